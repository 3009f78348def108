"""Every kind of source that `load` takes, and what comes out of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from PIL import Image

from kerasdl.data import Dataset, Split, load


def grey(count: int = 40, size: tuple[int, int] = (6, 5)) -> np.ndarray:
    """Images that all differ: every pixel of image i is i."""
    return np.repeat(np.arange(count, dtype=np.uint8), size[0] * size[1]).reshape(count, *size)


def labels(count: int = 40) -> np.ndarray:
    return np.arange(count) % 2


def write_folder(root: Path, classes: dict[str, int], size: tuple[int, int] = (6, 5), suffix: str = ".png") -> Path:
    value = 0
    for name, count in classes.items():
        (root / name).mkdir(parents=True)
        for index in range(count):
            Image.new("RGB", size[::-1], (value, value, value)).save(root / name / f"{index}{suffix}")
            value += 1
    return root


def values(split: Split) -> list[int]:
    """The first pixel of every image: which of `grey` or `write_folder` it is."""
    return [int(value) for value in split.inputs[:, 0, 0, 0]]


def test_importing_costs_neither_tensorflow_nor_sklearn():
    code = "import sys, kerasdl.data; print({'tensorflow', 'sklearn', 'keras'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"


def test_embedded_digits():
    dataset = load("digits")
    assert dataset.input_shape == (8, 8, 1)
    assert dataset.num_classes == 10
    assert dataset.class_names == tuple("0123456789")
    assert sum(dataset.counts.values()) == 1797
    assert dataset.train.inputs.dtype == np.uint8
    assert dataset.train.inputs.max() == 255
    assert dataset.train.targets.dtype == np.int64
    assert (dataset.name, dataset.kind, dataset.source) == ("digits", "images", "digits")
    assert dataset.describe() == (
        "digits: 1797 images of 8 x 8 x 1; 10 classes: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9\n"
        "train 1293, validation 144, test 360"
    )


def test_a_dataset_is_returned_as_is():
    dataset = load((grey(), labels()))
    assert load(dataset) is dataset
    assert isinstance(dataset, Dataset)


def test_batch_is_in_the_order_asked_for():
    images, targets = load("digits").train.batch(np.array([7, 2, 7]))
    assert images.shape == (3, 8, 8, 1)
    assert (images[0] == images[2]).all()
    assert targets.shape == (3,)


@pytest.mark.parametrize(
    "targets",
    [labels(), labels()[:, None], np.eye(2)[labels()], labels().tolist(), labels().astype("float32"), labels() == 1],
    ids=["integers", "column", "one-hot", "list", "whole floats", "booleans"],
)
def test_integer_labels(targets):
    dataset = load((grey(), targets))
    assert dataset.class_names == ("0", "1")
    for split in dataset.splits.values():
        assert split.targets.tolist() == [value % 2 for value in values(split)]


@pytest.mark.parametrize("kind", [str, bytes, object])
def test_string_labels(kind):
    names = np.array(["dog", "cat"])[labels()]
    names = np.char.encode(names) if kind is bytes else names.astype(kind)
    dataset = load((grey(), names))
    assert dataset.class_names == ("cat", "dog")
    assert dataset.train.targets.tolist() == [1 - value % 2 for value in values(dataset.train)]


def test_labels_with_gaps_are_named_by_their_value():
    dataset = load((grey(), np.where(labels(), 10, 9)))
    assert dataset.class_names == ("9", "10")
    assert load((grey(), labels()), num_classes=4).class_names == ("0", "1", "2", "3")


@pytest.mark.parametrize("kind", ["int64", "uint16", "float64"])
def test_whole_numbers_become_uint8_without_loss(kind):
    plain = load((grey(), labels()))
    assert load((grey().astype(kind), labels())).fingerprint == plain.fingerprint


def test_train_and_test_pairs_keep_their_splits():
    x, y = grey(60), labels(60)
    dataset = load(((x[:40], y[:40]), (x[40:], y[40:])))
    assert values(dataset.test) == list(range(40, 60))
    assert sorted(values(dataset.train) + values(dataset.validation)) == list(range(40))
    assert dataset.counts == {"train": 36, "validation": 4, "test": 20}
    assert (dataset.name, dataset.source) == ("arrays", "arrays")


def test_mapping_of_arrays_and_streams():
    x, y = grey(60)[..., None], labels(60)
    stream = tf.data.Dataset.from_tensor_slices((x[30:40], y[30:40])).batch(4)
    dataset = load({"train": (x[:30], y[:30]), "validation": stream, "test": (x[40:], y[40:])})
    assert dataset.counts == {"train": 30, "validation": 10, "test": 20}
    assert values(dataset.validation) == list(range(30, 40))
    assert dataset.source == "tf.data"


@pytest.mark.parametrize("batched", [False, True])
@pytest.mark.parametrize("style", ["integers", "one-hot", "strings", "no channels"])
def test_streams(batched, style):
    x = grey()[..., None] if style != "no channels" else grey()
    y = {"one-hot": np.eye(2, dtype=int)[labels()], "strings": np.array(["0", "1"])[labels()]}.get(style, labels())
    stream = tf.data.Dataset.from_tensor_slices((x, y))
    dataset = load(stream.batch(7) if batched else stream)
    assert dataset.fingerprint == load((grey(), labels())).fingerprint


def test_stream_of_several_sizes_gets_the_median():
    def images():
        for index in range(30):
            yield np.full((6 + index % 3, 5, 1), index, np.uint8), index % 2

    spec = (tf.TensorSpec((None, None, 1), tf.uint8), tf.TensorSpec((), tf.int64))
    stream = tf.data.Dataset.from_generator(images, output_signature=spec)
    assert load(stream).input_shape == (7, 5, 1)
    assert load(stream, image_size=4).input_shape == (4, 4, 1)


def test_npz_with_splits_and_class_names(tmp_path):
    x, y = grey(60), labels(60)
    path = tmp_path / "some pictures.npz"
    np.savez(
        path, x_train=x[:40], y_train=y[:40], x_val=x[40:50], y_val=y[40:50], x_test=x[50:], y_test=y[50:],
        class_names=["no", "yes"],
    )  # fmt: skip
    dataset = load(path)
    assert dataset.counts == {"train": 40, "validation": 10, "test": 10}
    assert dataset.class_names == ("no", "yes")
    assert (dataset.name, dataset.source) == ("some_pictures", str(path))


def test_npz_without_splits(tmp_path):
    np.savez(tmp_path / "plain.npz", x=grey(), y=labels())
    assert load(str(tmp_path / "plain.npz")).fingerprint == load((grey(), labels())).fingerprint


def test_folder_of_classes(tmp_path):
    root = write_folder(tmp_path / "pets", {"dog": 20, "cat": 20})
    (root / "cat" / "deeper").mkdir()
    (root / "cat" / "0.png").rename(root / "cat" / "deeper" / "0.PNG")
    (root / ".git").mkdir()
    (root / "dog" / ".hidden.png").write_text("no image")
    (root / "dog" / "notes.txt").write_text("no image")
    dataset = load(root)
    assert dataset.class_names == ("cat", "dog")
    assert dataset.input_shape == (6, 5, 3)
    seen = []
    for split in dataset.splits.values():
        seen += values(split)
        assert split.targets.tolist() == [int(value < 20) for value in values(split)]
    assert sorted(seen) == list(range(40))
    assert (dataset.name, dataset.source) == ("pets", str(root))
    assert load(str(root)).fingerprint == dataset.fingerprint


def test_folder_with_split_folders(tmp_path):
    for name, count in (("train", 8), ("valid", 2), ("Test", 3)):
        write_folder(tmp_path / name, {"a": count, "b": count})
    assert load(tmp_path).counts == {"train": 16, "validation": 4, "test": 6}


def test_a_class_may_be_called_train(tmp_path):
    dataset = load(write_folder(tmp_path / "vehicles", {"bus": 8, "train": 8}))
    assert dataset.class_names == ("bus", "train")


def test_folder_of_several_sizes_gets_the_median_of_at_most_224(tmp_path):
    for name, size in (("a", (10, 300)), ("b", (12, 310)), ("c", (20, 320))):
        write_folder(tmp_path, {name: 4}, size=size)
    assert load(tmp_path).input_shape == (12, 224, 3)
    assert load(tmp_path, image_size=9).input_shape == (9, 9, 3)
    assert load(tmp_path, image_size=(8, 9)).input_shape == (8, 9, 3)


@pytest.mark.parametrize("channels", [1, 3])
def test_grey_and_colour_mixed_are_converted_when_asked(tmp_path, channels):
    write_folder(tmp_path, {"a": 6, "b": 6})
    for file in (tmp_path / "a").iterdir():
        Image.open(file).convert("L").save(file)
    dataset = load(tmp_path, input_shape=(6, 5, channels))
    assert dataset.input_shape == (6, 5, channels)
    assert sorted(sum((values(split) for split in dataset.splits.values()), [])) == list(range(12))


def test_tfds_mocked():
    with tfds.testing.mock_data(num_examples=60):
        dataset = load("tfds:tf_flowers/3.0.1", image_size=8)
    assert dataset.class_names == ("dandelion", "daisy", "tulips", "sunflowers", "roses")
    assert dataset.input_shape == (8, 8, 3)
    assert (dataset.name, dataset.source) == ("tf_flowers_3.0.1", "tfds:tf_flowers/3.0.1")
