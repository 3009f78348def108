"""Rows of 0 and 1 as labels: when they are multi-label, what is refused, how they are split, evaluated and mixed."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from kerasdl.data import class_weights, load, load_split, make_augmentation
from kerasdl.errors import InputError

COUNT = 300
IMAGES = np.arange(COUNT, dtype=np.uint16).view(np.uint8).reshape(COUNT, 1, 2)
# Shares of 0.5, 0.3, 0.95 and 0.03; some rows have no label.
ROWS = (np.random.default_rng(0).random((COUNT, 4)) < [0.5, 0.3, 0.95, 0.03]).astype(np.uint8)
ROWS[:3] = 0
DIGITS = ("0", "1", "2", "3")
NAMES = ("a", "b", "c", "d")


def identities(split):
    """Which of IMAGES each image is: its two pixels are its number."""
    return split.inputs.reshape(len(split), 2).copy().view(np.uint16)[:, 0]


@pytest.mark.parametrize("kind", ["bool", "uint8", "int64", "float32"])
def test_rows_of_any_type(kind):
    dataset = load((IMAGES, ROWS.astype(kind)), num_classes=4)
    assert dataset.multi_label
    assert dataset.class_names == DIGITS
    assert "4 classes (multi-label): 0, 1, 2, 3" in dataset.describe()
    for split in dataset.splits.values():
        assert split.targets.dtype == np.uint8
        np.testing.assert_array_equal(split.targets, ROWS[identities(split)])


def test_lists_streams_and_files(tmp_path):
    expected = load((IMAGES, ROWS)).fingerprint
    assert load((IMAGES, ROWS.tolist())).fingerprint == expected
    stream = tf.data.Dataset.from_tensor_slices((IMAGES[..., None], ROWS))
    assert load(stream).fingerprint == load(stream.batch(7)).fingerprint == expected
    np.savez(tmp_path / "rows.npz", x=IMAGES, y=ROWS, class_names=NAMES)
    assert load(tmp_path / "rows.npz").class_names == NAMES


def test_one_hot_rows_stay_one_class_an_image():
    dataset = load((IMAGES, np.eye(3)[np.arange(COUNT) % 3]))
    assert not dataset.multi_label
    assert dataset.train.targets.shape == (len(dataset.train),)


def test_one_split_of_several_labels_makes_all_so():
    single = np.eye(4, dtype=np.uint8)[np.arange(40) % 4]
    dataset = load({"train": (IMAGES, ROWS), "test": (IMAGES[:40], single)})
    np.testing.assert_array_equal(dataset.test.targets, single)
    with pytest.raises(InputError, match=r"test labels: received one label per image.*rows of 0 and 1"):
        load({"train": (IMAGES, ROWS), "test": (IMAGES[:40], np.arange(40) % 4)})


def with_column(values):
    rows = ROWS.copy()
    rows[:, 1] = values
    return rows


@pytest.mark.parametrize(
    ("rows", "arguments", "message"),
    [
        (with_column(0), {}, "no positive training examples: 1;"),
        (with_column(1), {}, "only positive training examples: 1;"),
        (with_column(2), {}, r"other values than 0 and 1, the first \[0, 2, 0, 0\] at index 0"),
        (with_column(0) * 0.5, {}, "fractions"),
        (ROWS, {"num_classes": 5}, "received 4 and 5"),
        (with_column(np.arange(COUNT) < 2), {}, r"'1' \(2 with, 298 without\)"),
        (with_column(np.arange(COUNT) > 1), {}, r"'1' \(298 with, 2 without\)"),
        (ROWS[:, :0], {}, r"labels of shape \(300, 0\)"),
    ],
)
def test_refused(rows, arguments, message):
    with pytest.raises(InputError, match=message):
        load((IMAGES, rows), **arguments)


def test_splits_are_balanced_and_every_class_is_on_every_side():
    dataset = load((IMAGES, ROWS), test_fraction=0.2, validation_fraction=0.25)
    assert sorted(np.concatenate([identities(split) for split in dataset.splits.values()])) == list(range(COUNT))
    for name, share in (("train", 0.6), ("validation", 0.2), ("test", 0.2)):
        targets = dataset.splits[name].targets
        assert abs(len(targets) - share * COUNT) <= 4
        found = targets.sum(axis=0)
        assert found.min() > 0
        assert found.max() < len(targets)
        np.testing.assert_allclose(found, share * ROWS.sum(axis=0), atol=3)


def test_three_of_a_class_are_one_in_each_split():
    rows = with_column(np.isin(np.arange(COUNT), [5, 70, 200]))
    for seed in range(20):
        assert [split.targets[:, 1].sum() for split in load((IMAGES, rows), split_seed=seed).splits.values()] == [1] * 3


def test_same_seed_same_splits():
    first = load((IMAGES, ROWS), split_seed=1)
    assert load((IMAGES, ROWS), split_seed=1).fingerprint == first.fingerprint
    other = load((IMAGES, ROWS), split_seed=2)
    assert identities(other.test).tolist() != identities(first.test).tolist()


def test_the_fingerprint_sees_a_label():
    rows = ROWS.copy()
    rows[17, 0] ^= 1
    assert load((IMAGES, rows)).fingerprint != load((IMAGES, ROWS)).fingerprint


def test_class_weights_are_refused():
    dataset = load((IMAGES, ROWS))
    assert class_weights(dataset, None) is None
    for weights in ("balanced", {"0": 2.0}):
        with pytest.raises(InputError, match="Leave class_weight out"):
            class_weights(dataset, weights)


def split_of(data, names=DIGITS, **keywords):
    return load_split(data, class_names=names, input_shape=(1, 2, 1), **{"multi_label": True, **keywords})


def test_a_split_to_measure_on(tmp_path):
    np.testing.assert_array_equal(split_of((IMAGES, ROWS)).targets, ROWS)
    np.testing.assert_array_equal(split_of((IMAGES, ROWS), NAMES).targets, ROWS)
    dataset = load((IMAGES, ROWS))
    np.testing.assert_array_equal(split_of(dataset).targets, dataset.test.targets)
    np.savez(tmp_path / "rows.npz", x=IMAGES, y=ROWS, class_names=NAMES[::-1])
    np.testing.assert_array_equal(split_of(tmp_path / "rows.npz", NAMES).targets, ROWS[:, ::-1])
    one_hot = np.eye(4)[np.arange(COUNT) % 4]
    np.testing.assert_array_equal(split_of((IMAGES, one_hot)).targets, one_hot)


def test_without_a_test_split_all_is_measured():
    one_hot = np.eye(4, dtype=np.uint8)[np.arange(COUNT) % 4]
    # By itself the second would be read as one class each.
    found = split_of({"train": (IMAGES, ROWS), "validation": (IMAGES[:300], one_hot[:300])})
    np.testing.assert_array_equal(found.targets, np.concatenate([ROWS, one_hot[:300]]))
    np.testing.assert_array_equal(found.inputs[COUNT:], found.inputs[:300])
    with pytest.raises(InputError, match="4 columns and no columns"):
        split_of({"train": (IMAGES, ROWS), "validation": (IMAGES, ROWS[:, 0])})


def test_a_split_that_does_not_fit_the_model(tmp_path):
    np.savez(tmp_path / "rows.npz", x=IMAGES, y=ROWS, class_names=["a", "b", "c", "x"])
    with pytest.raises(InputError, match="4 columns: a, b, c, x; expected the model's 4 classes: a, b, c, d"):
        split_of(tmp_path / "rows.npz", NAMES)
    with pytest.raises(InputError, match="4 columns; expected the model's 3 classes"):
        split_of((IMAGES, ROWS), NAMES[:3])
    with pytest.raises(InputError, match="the model is multi-label"):
        split_of((IMAGES, ROWS[:, 0]))
    for data in ((IMAGES, ROWS), load((IMAGES, ROWS))):
        with pytest.raises(InputError, match="rows with several classes, or none"):
            split_of(data, multi_label=False)


@pytest.mark.parametrize("policy", ["mixup", "cutmix"])
def test_mixing_mixes_rows_by_exact_shares(policy):
    targets = ROWS[:40].astype(np.float32)
    # The pixels are the first class's target, so that what is mixed can be seen in both.
    images = np.broadcast_to((targets[:, 0] * 255).astype(np.uint8)[:, None, None, None], (40, 8, 8, 1)).copy()
    mixed, rows = make_augmentation(policy, num_classes=4)(np.random.default_rng(0), images, targets)
    assert rows.dtype == np.float32
    assert ((rows >= 0) & (rows <= 1)).all()
    assert ((rows > 0) & (rows < 1)).any()
    np.testing.assert_allclose(mixed.mean(axis=(1, 2, 3)) / 255, rows[:, 0], atol=1 / 256)
