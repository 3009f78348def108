"""Every bad text input is refused with one message that names what is wrong and where."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from kerasdl.data import load
from kerasdl.errors import InputError

X = [f"text {index}" for index in range(20)]
Y = [0, 1] * 10
STREAM = tf.data.Dataset.from_tensor_slices((X, Y))


def table(*rows: str, name: str = "t.csv", encoding: str = "utf-8") -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / name).write_bytes("\n".join([*rows, ""]).encode(encoding))
        return folder / name

    return write


def folder(files: dict[str, bytes]) -> Callable[[Path], Path]:
    def write(root: Path) -> Path:
        for name, content in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(content)
        return root

    return write


# what is wrong -> (data or a function from an empty folder to data, other arguments, words the message must have)
LISTS = {
    "numbers": ((list(range(20)), Y), {}, ["arrays texts", "0 at index 0", "strings"]),
    "an array of numbers": ((np.zeros((20, 5)), Y), {}, ["shape (20, 5)", "(count,)"]),
    "one number among them": (([*X[:-1], 3.5], Y), {}, ["3.5 at index 19"]),
    "None": (([*X[:-1], None], Y), {}, ["None at index 19", "Drop"]),
    "NaN": (([*X[:-1], float("nan")], Y), {}, ["nan at index 19", "Drop"]),
    "split into words": (([["a", "b"]] * 20, Y), {}, ["['a', 'b'] at index 0"]),
    "one text": (("a text", Y), {}, ["'a text'", "(count,)"]),
    "damaged": (([*map(str.encode, X[:-1]), b"abc\xff"], Y), {}, ["index 19", "0xff at offset 3"]),
    "no texts": (([], []), {}, ["no texts"]),
    "lengths differ": ((X, Y[:-1]), {}, ["20 texts and 19 labels"]),
    "no labels": ((X, None), {}, ["None", "one label per text"]),
    "labels as one string": ((X, "labels"), {}, ["'labels'"]),
    "a None label": ((X, [None, *Y[1:]]), {}, ["None at index 0"]),
    "ragged labels": ((X, [[0], *[[1, 0]] * 19]), {}, ["different lengths", "one label per text"]),
    "all the same": ((["same"] * 20, Y), {}, ["14 training texts that are all the same"]),
    "all empty": (([""] * 20, Y), {}, ["all the same"]),
    "single class": ((X, [1] * 20), {}, ["a single class (1)"]),
    "too few of a class": ((X, ["a"] * 19 + ["rare"]), {}, ["'rare' (1)"]),
    "rows and labels": (((X, np.ones((20, 2))), (X, Y)), {}, ["one label per text, where another split"]),
    "a set": (({"a", "b"}, [0, 1]), {}, ["arrays texts", "{'"]),
    "a mapping without train": ({"test": (X, Y)}, {}, ["Add train"]),
}  # fmt: skip
ARGUMENTS = {
    "kind": ((X, Y), {"kind": "texts"}, ["kind: received 'texts'", "'text'"]),
    "image_size": ((X, Y), {"image_size": 8}, ["image_size: received 8", "kind='images'"]),
    "input_shape": ((X, Y), {"input_shape": (8, 8, 1)}, ["input_shape"]),
    "column of no table": ((X, Y), {"text_column": "text"}, ["text_column", "no table"]),
    "column of images": ((X, Y), {"kind": "images", "label_column": "y"}, ["label_column", "kind='text'"]),
    "sample of images": ("digits", {}, ["'digits'", "kind 'images'", "glosses"]),
    "sample of texts": ("glosses", {"kind": "images"}, ["'glosses'", "kind 'text'", "digits"]),
    "misspelt": ("gloses", {}, ["'glosses'"]),
    "a text by mistake": ("It was a good film. " * 50, {}, ["does not exist"]),
    "TFDS without text": ("mnist", {}, ["image: Image", "a Text and a ClassLabel", "imdb_reviews"]),
    "missing table": (lambda path: path / "t.csv", {}, ["does not exist"]),
    "text file": (table("some text", name="t.txt"), {}, ["t.txt", ".csv, .tsv or .npz", "kind='text'"]),
}
STREAMS = {
    "numbers in a stream": (tf.data.Dataset.from_tensor_slices((Y, Y)), {}, ["int32", "strings"]),
    "no labels in a stream": (STREAM.map(lambda text, label: text), {}, ["(text, label)"]),
    "infinite": (STREAM.repeat(), {}, ["infinite"]),
    "empty stream": (STREAM.take(0), {}, ["empty stream"]),
    "batches of batches": (STREAM.batch(2).batch(2), {}, ["shape (2, 2)"]),
    "damaged in a stream": (
        tf.data.Dataset.from_tensor_slices(([*map(str.encode, X[:-1]), b"\xff"], Y)), {}, ["index 19", "0xff"],
    ),
}  # fmt: skip
TABLES = {
    "Latin-1": (table("text,label", "good,1", "né,0", encoding="latin-1"), {}, ["0xe9 on line 3", "WINDOWS-1252"]),
    "UTF-16": (table("text,label", "good,1", encoding="utf-16"), {}, ["UTF-16", "iconv"]),
    "Excel": (folder({"t.csv": b"PK\x03\x04..."}), {}, ["Excel"]),
    "empty file": (table(), {}, ["0 rows", "header"]),
    "header only": (table("text,label"), {}, ["1 rows"]),
    "empty texts": (table("text,label", "a,1", ",0", '"b\nb",1', " ,0"), {}, ["empty texts", "'text'", "lines 3, 6"]),
    "missing label": (table("text,label", "a,1", "b,"), {}, ["missing labels", "line 3"]),
    "too many cells": (table("text,label", "a,1", "b, c,0"), {}, ["3 cells", "line 3", "double quotes"]),
    "open quote": (table("text,label", "a,1", '"b,0', "c,1"), {}, ["begins on line 3"]),
    "quote within": (table("text\tlabel", '"a" b\t1', name="t.tsv"), {}, ["begins on line 2", "double quotes"]),
    "unknown column": (table("text,label", "a,1"), {"text_column": "txt"}, ["text_column: received 'txt'", "'text'"]),
    "column twice": (table("text,text,label", "a,b,1"), {"text_column": "text"}, ["text, text, label"]),
    "no usual names": (table("a,b,c", "x,y,1"), {}, ["the columns a, b, c", "text_column="]),
    "no labels in the table": (table("id,text,source", "1,x,y"), {}, ["id, text, source", "label_column="]),
    "one column": (table("text", "a"), {}, ["the columns text"]),
    "the same column": (table("text,label", "a,1"), {"label_column": "text", "text_column": "text"}, ["named label"]),
    "no header": (table("a,pos", "b,neg", "c,pos"), {}, ["'pos' is also a label", "text,label"]),
}  # fmt: skip
FOLDERS = {
    "empty folder": (folder({}), {}, ["no class folders", "nothing"]),
    "one class": (folder({"a/1.txt": b"x"}), {}, ["one class folder (a)", "texts in them"]),
    "class without texts": (folder({"a/1.txt": b"x", "b/1.md": b"x"}), {}, ["without texts: b", ".txt"]),
    "empty text": (folder({"a/1.txt": b"x", "b/1.txt": b" \n"}), {}, ["1.txt", "without a text"]),
    "damaged text": (folder({"a/1.txt": b"x", "b/1.txt": b"ab\xff"}), {}, ["1.txt", "0xff at offset 2"]),
    "pos and unsup only": (folder({"pos/1.txt": b"x", "unsup/1.txt": b"x", "neg/1.md": b""}), {}, ["texts: neg"]),
}  # fmt: skip
NPZ = {"numbers in npz": (lambda path: npz(path, np.zeros((20, 4))), {}, ["train texts", "(20, 4)"])}
CASES = {
    f"{group}: {name}": case
    for group, cases in {
        "lists": LISTS, "arguments": ARGUMENTS, "streams": STREAMS, "tables": TABLES, "folders": FOLDERS, "npz": NPZ,
    }.items()
    for name, case in cases.items()
}  # fmt: skip


def npz(path: Path, x: np.ndarray) -> Path:
    np.savez(path / "data.npz", x=x, y=Y)
    return path / "data.npz"


@pytest.mark.parametrize("case", CASES)
def test_refused(case, tmp_path):
    data, arguments, words = CASES[case]
    with pytest.raises(InputError) as error:
        load(data(tmp_path) if callable(data) else data, **{"kind": "text"} | arguments)
    message = str(error.value)
    assert "\n" not in message
    for word in words:
        assert word in message
