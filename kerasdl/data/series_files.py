"""Files of series: which of them belong together as splits, and what reads each."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from kerasdl.data.arrays import read_arrays
from kerasdl.data.folders import SPLIT_NAMES
from kerasdl.data.series_tables import read_series_table
from kerasdl.data.tables import as_labels
from kerasdl.data.ts_files import read_ts
from kerasdl.errors import InputError
from kerasdl.series_values import as_series

SUFFIXES = (".ts", ".csv", ".tsv")


def series_files(path: Path) -> dict[str, Path]:
    """Return the files of a path by split, none where there are none of a type that :func:`read_series` reads.

    Args:
        path: A file: alone, or one of `name_TRAIN.ts` and `name_TEST.ts`, which make the two splits; or a folder with
            such a pair, or with `train.csv` and, if it has them, `validation.csv` and `test.csv`. Other suffixes and
            small letters will do as well.

    Raises:
        InputError: For a folder with several such pairs.
    """
    if not path.is_dir():
        if path.suffix.lower() not in SUFFIXES:
            return {}
        stem = _parts(path)
        pair = _splits(path.parent).get(stem[0], {}) if stem is not None else {}
        beside = {split: file for split, file in pair.items() if file.suffix == path.suffix}
        return beside if path in beside.values() and "train" in beside else {"train": path}
    found = {name: files for name, files in _splits(path).items() if "train" in files}
    if len(found) > 1:
        raise InputError(
            str(path),
            received=f"training series of {', '.join(sorted(found)[:10])}",
            expected="those of one dataset",
            mend=f"Pass the path of one: {sorted(files['train'] for files in found.values())[0]}.",
        )
    return next(iter(found.values()), {})


def _parts(file: Path) -> tuple[str, str] | None:
    """Return the name of a dataset and of its split, from a name such as `GunPoint_TRAIN`."""
    match = re.fullmatch(r"(?:(.+)_)?([A-Za-z]+)", file.stem)
    split = SPLIT_NAMES.get(match[2].lower()) if match else None
    return (match[1] or "", split) if match and split else None


def _splits(folder: Path) -> dict[str, dict[str, Path]]:
    """Return the files of a folder by the name of their dataset and their split; `.ts` goes before tables."""
    found: dict[str, dict[str, Path]] = {}
    for suffix in SUFFIXES:
        for file in sorted(folder.iterdir()):
            parts = _parts(file)
            if file.suffix.lower() == suffix and parts is not None and not file.name.startswith("."):
                files = found.setdefault(parts[0], {})
                if not files or next(iter(files.values())).suffix == file.suffix:
                    files.setdefault(parts[1], file)
    return found


def read_series(
    path: Path,
    *,
    label_column: str | None = None,
    id_column: str | None = None,
    time_column: str | None = None,
    missing: str = "refuse",
) -> tuple[list[np.ndarray], np.ndarray]:
    """Read the series and labels of one file: see :func:`read_ts` and :func:`read_series_table`.

    Raises:
        InputError: As they do, and for a file without labels.
    """
    if path.suffix.lower() == ".ts":
        for name, column in {"label_column": label_column, "id_column": id_column, "time_column": time_column}.items():
            if column is not None:
                raise InputError(
                    name, received=f"{column!r} for {path}", expected="None: it has no columns", mend="Leave it out."
                )
        series, labels = read_ts(path, missing=missing)
    else:
        columns = {"label_column": label_column, "id_column": id_column, "time_column": time_column}
        series, labels = read_series_table(path, **columns, missing=missing)
    if labels is None:
        raise InputError(
            str(path),
            received="series without labels",
            expected="the class of each: a column named label, or @classLabel true in a .ts file",
            mend="Add it, or name the column: label_column=...",
        )
    return series, as_labels(labels)


def read_unlabelled(path: Path, *, missing: str = "refuse") -> list[np.ndarray]:
    """Read the series of one file to classify them, whether it has labels or not.

    Args:
        path: A .ts, .csv, .tsv or .npz file; of the arrays in a .npz, `x`, `x_test` or the only one.
        missing: What is done with missing values: "refuse" or "interpolate".

    Raises:
        InputError: For a file of another type, and for what cannot be read.
    """
    suffix = path.suffix.lower()
    if suffix == ".ts":
        return read_ts(path, missing=missing)[0]
    if suffix in SUFFIXES:
        return read_series_table(path, missing=missing)[0]
    if suffix == ".npz":
        return as_series(_unlabelled_array(path), what=str(path), missing=missing)
    raise InputError(
        str(path), received="a file of another type", expected="a .ts, .csv, .tsv or .npz file", mend="Convert it."
    )


def _unlabelled_array(path: Path) -> Any:
    arrays = read_arrays(path)
    key = next((key for key in ("x", "x_test") if key in arrays), next(iter(arrays), None))
    if key is None or (key not in ("x", "x_test") and len(arrays) > 1):
        raise InputError(
            str(path),
            received=f"the arrays {', '.join(arrays) or '(none)'}",
            expected="x, or x_test",
            mend="Write it with np.savez(path, x=...).",
        )
    return arrays[key]
