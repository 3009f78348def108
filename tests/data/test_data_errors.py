"""Every bad input is refused with one :class:`InputError` that names what is wrong and how to mend it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kerasdl.data import load, tfds
from kerasdl.errors import InputError

X = np.repeat(np.arange(40, dtype=np.uint8), 30).reshape(40, 6, 5)
Y = np.arange(40) % 2
STREAM = tf.data.Dataset.from_tensor_slices((X[..., None], Y))


def with_value(value: float, index: tuple[int, ...] = (17, 2, 3)) -> np.ndarray:
    images = X.astype(np.float32)
    images[index] = value
    return images


def folder(root: Path, change: Callable[[Path], object] | None = None, *, classes: str = "ab") -> Path:
    for name in classes:
        (root / name).mkdir()
        for index in range(6):
            Image.fromarray(np.random.default_rng(index).integers(0, 256, (16, 16, 3), np.uint8)).save(
                root / name / f"{index}.png"
            )
    if change:
        change(root)
    return root


def cut(root: Path, kind: str) -> None:
    file = root / "a" / f"9.{kind}"
    Image.open(root / "a" / "0.png").save(file)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def split_folders(root: Path) -> Path:
    for name in ("train", "val", "validation"):
        (root / name).mkdir()
        folder(root / name)
    return root


def no_images(root: Path) -> None:
    for file in root.glob("*/*.png"):
        file.unlink()


def npz(path: Path, **arrays: object) -> Path:
    np.savez(path / "data.npz", **arrays)
    return path / "data.npz"


def damaged_npz(path: Path) -> Path:
    file = npz(path, x=X, y=Y)
    content = bytearray(file.read_bytes())
    content[100:400] = b"\xff" * 300
    file.write_bytes(content)
    return file


def text(path: Path, content: str = "a,b\n1,2\n") -> Path:
    path.write_text(content)
    return path


# what is wrong -> (data or a function from an empty folder to data, other arguments, words the message must have)
ARRAYS = {
    "lengths differ": ((X, Y[:-1]), {}, ["40 images and 39 labels"]),
    "rank 2": ((X.reshape(40, 30), Y), {}, ["(40, 30)", "(count, height, width, channels)"]),
    "rank 5": ((X[None, ..., None], Y[:1]), {}, ["(1, 40, 6, 5, 1)"]),
    "nan": ((with_value(np.nan), Y), {}, ["1 NaN", "index 17"]),
    "inf": ((with_value(np.inf), Y), {}, ["infinite", "index 17"]),
    "scaled to one": ((X / 255, Y), {}, ['(x * 255).round().astype("uint8")']),
    "scaled, zeros and ones only": (((X > 20).astype("float32"), Y), {}, ['(x * 255).round().astype("uint8")']),
    "other fractions": ((X + 0.5, Y), {}, ["0.5 to 39.5", '.astype("uint8")']),
    "negative": ((X.astype(int) - 1, Y), {}, ["-1 to 38", "[0, 255]"]),
    "too large": ((X.astype(int) + 250, Y), {}, ["289", "[0, 255]"]),
    "booleans": ((X > 3, Y), {}, ["bool", "uint8"]),
    "text for images": ((["a", "b"], [0, 1]), {}, ["arrays images", "uint8"]),
    "object array": ((X.astype(object), Y), {}, ["object array"]),
    "ragged": (([X[0], X[0, :3]], [0, 1]), {}, ["different shapes", "Resize"]),
    "no examples": ((X[:0], Y[:0]), {}, ["(0, 6, 5, 1)", "at least one image"]),
    "no pixels": ((X[:, :0], Y), {}, ["(40, 0, 5, 1)", "at least one pixel"]),
    "channels first": ((np.zeros((4, 3, 8, 8), "uint8"), Y[:4]), {}, ["np.moveaxis(x, 1, -1)"]),
    "empty test split": (((X, Y), (X[:0], Y[:0])), {}, ["test images", "(0, 6, 5, 1)"]),
    "shapes differ by split": (((X, Y), (X[:, 1:], Y)), {}, ["(5, 5, 1) and (6, 5, 1)"]),
    "no labels": ((X, None), {}, ["None", "one label per image"]),
    "a None label": ((X, [None, *Y[1:].tolist()]), {}, ["None at index 0"]),
    "nan label": ((X, np.where(Y, np.nan, 1)), {}, ["NaN", "argmax"]),
    "complex labels": ((X, Y * 1j), {}, ["complex128"]),
    "rows of scores": ((X, np.full((40, 3), 2)), {}, ["[2, 2, 2] at index 0", "rows of 0 and 1", "argmax"]),
    "every label in every row": ((X, np.ones((40, 3))), {}, ["only positive training examples: 0, 1, 2"]),
    "labels of rank 3": ((X, Y.reshape(40, 1, 1)), {}, ["(40, 1, 1)"]),
    "ragged labels": ((X, [[0], *[[1, 0]] * 39]), {}, ["different lengths"]),
    "single class": ((X, Y * 0), {}, ["a single class (0)", "at least two"]),
    "too few of a class": ((X, ["a"] * 39 + ["rare"]), {}, ["'rare' (1)", "drop those classes"]),
    "two of a class": ((X, ["a"] * 38 + ["rare"] * 2), {}, ["'rare' (2)"]),
    "test class unseen": (((X, Y), (X, Y + 1)), {}, ["do not occur in training: 2"]),
    "text and numbers": (((X, Y), (X, Y.astype(str))), {}, ["integers in one split and strings in another"]),
    "label out of range": ((X, Y + 1), {"num_classes": 2}, ["(2) at index 1", "0 to 1"]),
    "num_classes of names": ((X, Y.astype(str)), {"num_classes": 3}, ["num_classes: received 3", "expected 2"]),
    "num_classes of one-hot": ((X, np.eye(2)[Y]), {"num_classes": 3}, ["2 and 3"]),
    "five channels to three": ((np.zeros((4, 6, 6, 5), "uint8"), Y[:4]), {"input_shape": (6, 6, 3)}, ["5 channels"]),
    "three arrays": ((X, Y, X), {}, ["tuple", "arrays (x, y)"]),
    "a number": (7, {}, ["int", "arrays (x, y)"]),
}
ARGUMENTS = {
    "kind": ("digits", {"kind": "image"}, ["kind", "images"]),
    "image_size": ("digits", {"image_size": 0}, ["image_size: received 0"]),
    "image_size of three": ("digits", {"image_size": (8, 8, 1)}, ["(height, width)"]),
    "input_shape": ("digits", {"input_shape": (8, 8)}, ["(height, width, channels)"]),
    "conflict": ("digits", {"image_size": 4, "input_shape": (8, 8, 1)}, ["only one of the two"]),
    "test_fraction": ("digits", {"test_fraction": 1.0}, ["test_fraction: received 1.0", "(0, 1)"]),
    "validation_fraction": ("digits", {"validation_fraction": 0}, ["validation_fraction: received 0"]),
    "fraction as text": ("digits", {"test_fraction": "0.2"}, ["'0.2'"]),
    "split_seed": ("digits", {"split_seed": -1}, ["split_seed: received -1"]),
    "num_classes": ("digits", {"num_classes": 1}, ["num_classes: received 1"]),
}
NAMES = {
    "misspelt sample": ("digit", {}, ["'digits'"]),
    "misspelt TFDS name": ("fashoin_mnist", {}, ["'fashion_mnist'"]),
    "misspelt TFDS name with prefix": ("tfds:fashoin_mnist", {}, ["'fashion_mnist'"]),
    "misspelt folder": (lambda path: str(folder(path) / "aa"), {}, ["does not exist", "'a'"]),
    "misspelt path": (lambda path: path / "nothing" / "there", {}, ["does not exist"]),
    "empty name": ("", {}, ["received ''"]),
    "unknown version": ("mnist/9.9.9", {}, ["9.9.9", "3.0.1"]),
    "no image": ("imdb_reviews", {}, ["text: Text, label: ClassLabel"]),
    "no label": ("voc/2007", {}, ["image: Image", "ClassLabel"]),
    "csv": (lambda path: text(path / "t.csv"), {}, ["t.csv", "kind='images'"]),
    "txt": (lambda path: str(text(path / "t.txt")), {}, ["t.txt", "kind='images'"]),
    "one image": (lambda path: folder(path) / "a" / "0.png", {}, ["0.png", "folder of images"]),
}
MAPPINGS = {
    "unknown split": ({"train": (X, Y), "tset": (X, Y)}, {}, ["tset", "'test'"]),
    "no train": ({"test": (X, Y)}, {}, ["Add train"]),
    "empty": ({}, {}, ["no splits"]),
    "not a pair": ({"train": X}, {}, ["ndarray", "(x, y)"]),
}
STREAMS = {
    "infinite": (STREAM.repeat(), {}, ["infinite", ".repeat()"]),
    "empty stream": (STREAM.take(0), {}, ["empty stream"]),
    "images only": (STREAM.map(lambda image, label: image), {}, ["(image, label)"]),
    "a dict": (STREAM.map(lambda image, label: {"image": image, "label": label}), {}, ["(image, label)"]),
    "vectors": (tf.data.Dataset.from_tensor_slices((X[:, 0, :], Y)), {}, ["shape (5,)"]),
    "batches of vectors": (tf.data.Dataset.from_tensor_slices((X[:, 0, :], Y)).batch(4), {}, ["shape (4, 5)"]),
    "fractions": (STREAM.map(lambda image, label: (image / 255, label)), {}, ["(x * 255)"]),
    "fractions, zeros and ones only": (
        STREAM.map(lambda image, label: (tf.cast(image > 20, tf.float32), label)), {}, ["(x * 255)"],
    ),
    "empty images": (STREAM.map(lambda image, label: (image[:0], label)), {}, ["(0, 5, 1)"]),
}  # fmt: skip
NPZ = {
    "missing keys": (lambda path: npz(path, a=X, b=Y), {}, ["the arrays a, b", "x_train"]),
    "labels missing": (lambda path: npz(path, x_train=X), {}, ["the arrays x_train", "y_train"]),
    "train missing": (lambda path: npz(path, x_test=X, y_test=Y), {}, ["x_train"]),
    "nothing in it": (lambda path: npz(path), {}, ["(none)"]),
    "pickled": (lambda path: npz(path, x=X.astype(object), y=Y), {}, ["pickled objects"]),
    "no zip": (lambda path: text(path / "data.npz"), {}, ["damaged"]),
    "empty npz": (lambda path: text(path / "data.npz", ""), {}, ["damaged"]),
    "damaged": (damaged_npz, {}, ["damaged"]),
    "class names too few": (lambda path: npz(path, x=X, y=Y, class_names=["a"]), {}, ["outside the classes"]),
}
FOLDERS = {
    "empty folder": (lambda path: folder(path, classes=""), {}, ["no class folders", "nothing"]),
    "loose images": (lambda path: folder(path, classes="a") / "a", {}, ["no class folders", "6 entries (0.png"]),
    "one class": (lambda path: folder(path, classes="a"), {}, ["one class folder (a)"]),
    "no images": (lambda path: folder(path, no_images), {}, ["no images"]),
    "empty class": (lambda path: folder(path, lambda r: (r / "c").mkdir()), {}, ["without images: c"]),
    "empty file": (lambda path: folder(path, lambda r: (r / "a" / "x.png").touch()), {}, ["x.png", "empty file"]),
    "no image file": (lambda path: folder(path, lambda r: text(r / "a" / "x.JPG")), {}, ["x.JPG", "decode"]),
    "unreadable": (lambda path: folder(path, lambda r: os.symlink("gone", r / "b" / "x.png")), {}, ["No such file"]),
    "unsupported type": (lambda path: folder(path, lambda r: text(r / "a" / "x.tiff")), {}, ["x.tiff", "Convert"]),
    "cut png": (lambda path: folder(path, lambda r: cut(r, "png")), {}, ["9.png", "cut short"]),
    "cut jpeg": (lambda path: folder(path, lambda r: cut(r, "jpg")), {}, ["9.jpg", "cut short"]),
    "cut gif": (lambda path: folder(path, lambda r: cut(r, "gif")), {}, ["9.gif", "cut short"]),
    "cut bmp": (lambda path: folder(path, lambda r: cut(r, "bmp")), {}, ["9.bmp", "cut short"]),
    "grey and colour": (
        lambda path: folder(path, lambda r: Image.new("L", (16, 16)).save(r / "a" / "0.png")),
        {}, ["of 1 and of 3 channels", "input_shape=(16, 16, 3)"],
    ),
    "two validation folders": (split_folders, {}, ["train, val, validation", "once"]),
}  # fmt: skip


CASES = {
    f"{group}: {name}": case
    for group, cases in {
        "arrays": ARRAYS, "arguments": ARGUMENTS, "names": NAMES, "mappings": MAPPINGS, "streams": STREAMS,
        "npz": NPZ, "folders": FOLDERS,
    }.items()
    for name, case in cases.items()
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_refused(case, tmp_path):
    data, arguments, words = CASES[case]
    with pytest.raises(InputError) as error:
        load(data(tmp_path) if callable(data) else data, **arguments)
    message = str(error.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def test_data_that_cannot_be_had_is_refused_with_its_files(monkeypatch, tmp_path):
    monkeypatch.setattr(tfds, "_answers", lambda url: False)
    with pytest.raises(InputError, match="does not answer") as error:
        load("fashion_mnist", data_dir=tmp_path)
    for word in ("train-images-idx3-ubyte.gz", str(tmp_path / "downloads" / "manual"), "digits"):
        assert word in str(error.value)


def test_damaged_downloads_are_named(monkeypatch, tmp_path):
    manual = tmp_path / "downloads" / "manual"
    manual.mkdir(parents=True)
    for kind in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        (manual / f"{kind}-ubyte.gz").write_bytes(b"damaged")
    with pytest.raises(InputError, match="manual.*wrong checksum"):
        load("fashion_mnist", data_dir=tmp_path)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/file.gz", "http://no-such-host.invalid/file.gz"])
def test_a_host_that_is_not_there_does_not_answer(url):
    assert not tfds._answers(url)


def test_a_name_server_that_never_answers_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(tfds, "TIMEOUT", 0.01)
    monkeypatch.setattr("requests.get", lambda url, **options: threading.Event().wait())  # for ever
    assert not tfds._answers("http://example.invalid/file.gz")
