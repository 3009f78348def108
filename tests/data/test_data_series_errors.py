"""Every bad input of series is refused with one message that names what is wrong and where."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from kerasdl.data import load
from kerasdl.errors import InputError

X = np.random.default_rng(0).normal(size=(20, 5, 2))
Y = [0, 1] * 10
HEAD = "@univariate false\n@dimensions 2\n@classLabel true a b\n@data\n"


def with_value(value: float) -> np.ndarray:
    changed = X.copy()
    changed[3, 2, 1] = value
    return changed


def file(name: str, content: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / name).write_text(content)
        return folder / name

    return write


def ts(line: str, head: str = HEAD) -> Callable[[Path], Path]:
    return file("t.ts", f"{head}1,2:3,4:a\n{line}\n")


def table(*rows: str, name: str = "t.csv") -> Callable[[Path], Path]:
    return file(name, "\n".join(rows))


def pairs(folder: Path) -> Path:
    for name in ("A_TRAIN.ts", "B_TRAIN.ts"):
        ts("1,2:3,4:b")(folder).rename(folder / name)
    return folder


LONG = ("id,time,x,label", "s,1,1,a", "s,2,1,a")
# what is wrong -> (data or a function from an empty folder to data, other arguments, words the message must have)
CASES = {
    "NaN inside": ((with_value(np.nan), Y), {}, ["index 3", "missing value at step 3, channel 2", "interpolate"]),
    "no value in a channel": (
        (np.where([True, False], X, np.nan), Y), {"missing": "interpolate"}, ["index 0", "whole channel", "channel 2"],
    ),
    "infinite": ((with_value(np.inf), Y), {}, ["index 3", "inf at step 3, channel 2"]),
    "too large for float32": ((with_value(1e300), Y), {}, ["1e+300 at step 3, channel 2"]),
    "nothing but NaN": ((X * np.nan, Y), {}, ["index 0", "without a value"]),
    "all the same": ((X * 0, Y), {}, ["training series that are all the same"]),
    "all the same, of several lengths": (([np.zeros((3, 1))] * 20, Y), {}, ["all the same"]),
    "four axes": ((X[..., np.newaxis], Y), {}, ["shape (20, 5, 2, 1)", "(count, length, channels)"]),
    "one axis": ((np.arange(20.0), Y), {}, ["shape (20,)"]),
    "words": (([["a", "b"]] * 20, Y), {}, ["index 0", "numbers"]),
    "text": (("gun_pont"), {}, ["'gun_pont'", "'gun_point'"]),
    "no series": (([], []), {}, ["no series"]),
    "channels differ": (([*X[:-1], X[-1, :, :1]], Y), {}, ["index 19", "1 channels", "2, as in"]),
    "channels differ by split": (
        {"train": (X, Y), "test": (X[..., :1], Y)}, {}, ["train series of 2", "test series of 1"],
    ),
    "labels missing": ((X, None), {}, ["None", "one label per series"]),
    "lengths differ": ((X, Y[1:]), {}, ["20 series and 19 labels"]),
    "single class": ((X, [1] * 20), {}, ["a single class"]),
    "missing": ((X, Y), {"missing": "drop"}, ["missing: received 'drop'", "interpolate"]),
    "missing of images": ((X, Y), {"kind": "images", "missing": "refuse"}, ["missing", "kind='series'"]),
    "columns of no table": ((X, Y), {"id_column": "id"}, ["id_column", "no table"]),
    "sample of another kind": ("glosses", {}, ["'glosses'", "gun_point"]),
    "TFDS": ("mnist", {}, ["gun_point"]),
    "empty folder": (lambda folder: folder, {}, ["name_TRAIN.ts"]),
    "several pairs": (pairs, {}, ["A, B", "A_TRAIN.ts"]),
    "another file": (file("a.txt", "x"), {}, ["a.txt", ".ts"]),
    "stream of strings": (tf.data.Dataset.from_tensor_slices((["a"], [0])), {}, ["string", "numbers"]),
    "ts: no header": (file("a.ts", "1,2:a\n"), {}, ["a.ts, line 1", "'1,2:a'", "@classLabel"]),
    "ts: unknown key": (ts("", "@classLable true a\n@data\n"), {}, ["line 1", "'@classLable true a'", "'classlabel'"]),
    "ts: no classes": (ts("", "@data\n"), {}, ["line 1", "without @classLabel"]),
    "ts: no data": (file("a.ts", "@classLabel true a\n"), {}, ["a.ts", "no line @data"]),
    "ts: nothing below": (file("a.ts", "@classLabel true a\n@data\n"), {}, ["no series below @data"]),
    "ts: no labels": (file("a.ts", "@classLabel false\n@data\n1,2\n"), {}, ["without labels"]),
    "ts: numbers to predict": (ts("", "@targetlabel true\n@data\n"), {}, ["line 1", "numbers to predict"]),
    "ts: time stamps": (ts("", "@timeStamps true\n@data\n"), {}, ["line 1", "@timeStamps true"]),
    "ts: dimensions": (ts("", "@dimensions two\n@data\n"), {}, ["line 1", "'two'"]),
    "ts: too few channels": (ts("1,2:b"), {}, ["t.ts, line 6", "1 channels", "2, as the header says"]),
    "ts: channels of different lengths": (ts("1,2:3:b"), {}, ["line 6", "channels of 1 to 2 values"]),
    "ts: unknown class": (ts("1,2:3,4:c"), {}, ["line 6", "the class 'c'", "a, b"]),
    "ts: class missing": (ts("1,2"), {}, ["line 6", "no class at its end"]),
    "ts: word": (ts("1,x:3,4:b"), {}, ["line 6, channel 1", "'x' at value 2"]),
    "ts: missing value": (ts("?,2:3,4:b"), {}, ["line 6", "missing value at step 1, channel 1", "interpolate"]),
    "ts: infinite": (ts("1,2:3,-inf:b"), {}, ["line 6", "-inf at step 2, channel 2"]),
    "ts: length": (
        ts("1:2:b", HEAD.replace("@data", "@seriesLength 2\n@data")), {}, ["line 7", "1 values", "@seriesLength"],
    ),
    "ts: column": (ts("1,2:3,4:b"), {"label_column": "y"}, ["label_column", "no columns"]),
    "table: no label": (table("a,b", "1,2", "3,4"), {}, ["t.csv", "without labels", "label_column"]),
    "table: wrong name": (table("a,label", "1,2"), {"label_column": "y"}, ["label_column", "'y'", "a, label"]),
    "table: word": (table("label,a,b", "x,1,two"), {}, ["t.csv, line 2", "'two' at value 2"]),
    "table: gap": (table("label,a,b,c", "x,1,,3"), {}, ["t.csv, line 2", "column 'b'", "interpolate"]),
    "table: label missing": (table("label,a,b", ",1,2"), {}, ["t.csv, line 2", "missing label"]),
    "table: cells": (table("label,a,b", "x,1"), {}, ["t.csv, line 2", "2 cells"]),
    "table: only a header": (table("label,a,b"), {}, ["1 rows"]),
    "table: no values": (table("label,id", "x,1", "y,2"), {}, ["beside the label"]),
    "table: time without id": (table("time,a,label", "1,2,x", "2,3,x"), {}, ["'time'", "id_column"]),
    "table: time repeats": (table(*LONG, "s,2,3,a"), {}, ["t.csv, line 4", "'2' again", "line 3"]),
    "table: label changes": (table(*LONG, "s,3,3,b"), {}, ["t.csv, line 4", "the label 'b'", "'a'"]),
    "table: time": (table(*LONG, "s,noon,3,a"), {}, ["t.csv, line 4", "'noon'"]),
    "table: gap in a step": (table(*LONG, "s,3,,a", "s,4,1,a"), {}, ["series 's'", "line 4", "interpolate"]),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_refused(name, tmp_path):
    data, arguments, words = CASES[name]
    with pytest.raises(InputError) as caught:
        load(data(tmp_path) if callable(data) else data, **{"kind": "series", **arguments})
    message = str(caught.value)
    assert "received" in message
    assert "expected" in message
    for word in words:
        assert word in message, message
