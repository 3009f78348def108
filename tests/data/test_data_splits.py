"""Splits: the same every time, disjoint, stratified; and where their images lie."""

from __future__ import annotations

import numpy as np
import pytest

from kerasdl.data import cache, load

COUNT = 300
IMAGES = np.arange(COUNT, dtype=np.uint16).view(np.uint8).reshape(COUNT, 1, 2)
LABELS = np.repeat([0, 1, 2], [200, 90, 10])


def identities(split) -> list[int]:
    """Which of IMAGES each image is: its two pixels are its number."""
    return split.inputs.reshape(len(split), 2).copy().view(np.uint16)[:, 0].tolist()


def test_every_example_is_in_exactly_one_split_with_its_label():
    dataset = load((IMAGES, LABELS))
    found = [identities(split) for split in dataset.splits.values()]
    assert sorted(sum(found, [])) == list(range(COUNT))
    for split, numbers in zip(dataset.splits.values(), found, strict=True):
        assert split.targets.tolist() == LABELS[numbers].tolist()


def test_fractions_and_stratification():
    dataset = load((IMAGES, LABELS), test_fraction=0.2, validation_fraction=0.25)
    assert dataset.counts == {"train": 180, "validation": 60, "test": 60}
    for split, share in (("train", 0.6), ("validation", 0.2), ("test", 0.2)):
        assert np.bincount(dataset.splits[split].targets).tolist() == [200 * share, 90 * share, 10 * share]


def test_same_seed_same_splits():
    first = load((IMAGES, LABELS), split_seed=1)
    assert load((IMAGES, LABELS), split_seed=1).fingerprint == first.fingerprint
    other = load((IMAGES, LABELS), split_seed=2)
    assert other.fingerprint != first.fingerprint
    assert identities(other.test) != identities(first.test)


def test_every_class_is_in_every_split_of_the_smallest_data():
    dataset = load((IMAGES[:6], [0, 0, 0, 1, 1, 1]))
    for split in dataset.splits.values():
        assert split.targets.tolist() == [0, 1]


@pytest.mark.parametrize("change", ["pixel", "label", "name"])
def test_fingerprint_sees_every_change(change):
    images, labels = IMAGES.copy(), np.array(["a", "b", "c"])[LABELS]
    before = load((images, labels)).fingerprint
    if change == "pixel":
        images[17, 0, 1] ^= 1
    elif change == "label":
        labels[17] = "b"
    else:
        labels[labels == "c"] = "d"
    assert load((images, labels)).fingerprint != before


def test_large_images_lie_in_an_unlinked_memory_map(monkeypatch, tmp_path):
    small = load((IMAGES, LABELS))
    monkeypatch.setattr(cache, "MEMORY_LIMIT", 100)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    large = load((IMAGES, LABELS))
    assert isinstance(large.train.inputs, np.memmap)
    assert large.fingerprint == small.fingerprint
    assert list(tmp_path.iterdir()) == []
    batch, _ = large.train.batch(np.array([3, 1]))
    assert type(batch) is np.ndarray
    assert (batch == small.train.inputs[[3, 1]]).all()


def test_a_later_change_of_the_users_arrays_changes_nothing():
    images, labels = IMAGES.copy(), LABELS.copy()
    dataset = load({split: (images, labels) for split in ("train", "validation", "test")})
    images[:], labels[:] = 0, 0
    assert identities(dataset.train) == list(range(COUNT))
    assert dataset.train.targets.tolist() == LABELS.tolist()
