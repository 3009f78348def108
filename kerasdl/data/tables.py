"""Texts and labels in two columns of a `.csv` or `.tsv` file."""

from __future__ import annotations

import csv
import io
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kerasdl.data.folders import SPLIT_NAMES
from kerasdl.errors import InputError, nearest

TEXT_NAMES = ("text", "sentence", "review", "comment", "content", "tweet", "message", "body", "description", "document")
LABEL_NAMES = ("label", "labels", "class", "category", "target", "sentiment", "topic", "emotion", "intent", "y")
SUFFIXES = {".csv": ",", ".tsv": "\t"}
OTHER_ENCODINGS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16", b"PK\x03\x04": "no text but an archive, or Excel's"}
"""What the file is that begins with these bytes."""

Row = tuple[int, list[str]]
"""The line on which a row ends, counted from 1, and its cells."""


def read_table(
    path: Path, *, text_column: str | None = None, label_column: str | None = None
) -> tuple[list[str], np.ndarray]:
    """Read the texts and labels of a table with a header.

    Cells are separated by commas in a `.csv` file, or by semicolons or tabs if its header is; by tabs in a `.tsv` file.
    A cell in double quotes may hold separators, line breaks, and double quotes written twice.

    Args:
        path: UTF-8, with or without a byte order mark. Empty lines are left out.
        text_column: The column of the texts; None for the one with a usual name ("text", "review", ...).
        label_column: The column of the labels; None for the one with a usual name ("label", "class", ...). Of two
            columns without such names, the one with fewer different values has the labels.

    Returns:
        The texts, and the labels of shape (count,): int64 if all are whole numbers, else str.

    Raises:
        InputError: For other encodings, broken quotes, rows of other lengths than the header, columns that are not
            there, empty texts and missing labels: with their lines.

    Example:
        >>> texts, labels = read_table(Path("reviews.csv"))

    https://www.rfc-editor.org/rfc/rfc4180
    """
    rows = read_rows(path)
    if len(rows) < 2:
        raise InputError(
            str(path),
            received=f"{len(rows)} rows",
            expected="a header and a row for each text",
            mend="The first row names the columns: text,label.",
        )
    header = [name.strip() for name in rows[0][1]]
    rows = rows[1:]
    odd = [(line, len(cells)) for line, cells in rows if len(cells) != len(header)]
    if odd:
        raise InputError(
            str(path),
            received=f"{odd[0][1]} cells in the row that ends on line {odd[0][0]} ({_lines(odd)})",
            expected=f"{len(header)}, as in the header ({', '.join(header)[:200]})",
            mend="Put texts with separators or line breaks into double quotes.",
        )
    text, label = _columns(path, header, rows, text_column, label_column)
    for column, kind in ((text, "empty text"), (label, "missing label")):
        empty = [(line, 0) for line, cells in rows if not cells[column].strip()]
        if empty:
            raise InputError(
                str(path),
                received=f"{kind}s in the column {header[column]!r}, on {_lines(empty)}",
                expected="a text and a label in every row",
                mend="Fill or remove those rows.",
            )
    return [cells[text] for _, cells in rows], as_labels([cells[label].strip() for _, cells in rows])


def as_labels(labels: Sequence[str]) -> np.ndarray:
    """Return the labels of a file: int64 if all are whole numbers, else str."""
    whole = all(re.fullmatch(r"0|-?[1-9]\d{0,17}", value, re.ASCII) for value in set(labels))
    return np.array(labels, np.int64 if whole else str)


def read_rows(path: Path) -> list[Row]:
    """Return the rows of a table, its header included, as :func:`read_table` reads them."""
    return _rows(path, _decoded(path))


def find_tables(path: Path) -> dict[str, Path]:
    """Return the tables of a path by split: the file itself, or `train.csv` and its like in a folder."""
    if not path.is_dir():
        return {"train": path} if path.suffix.lower() in SUFFIXES else {}
    entries = sorted(entry for entry in path.iterdir() if entry.suffix.lower() in SUFFIXES)
    found = {SPLIT_NAMES[entry.stem.lower()]: entry for entry in entries if entry.stem.lower() in SPLIT_NAMES}
    return found if "train" in found else {}


def _decoded(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(
            str(path), received=error.strerror, expected="a readable file", mend="Check its permissions."
        ) from None
    convert = f"Convert it, for instance with: iconv -f {{}} -t UTF-8 {path.name}"
    for start, name in OTHER_ENCODINGS.items():
        if content.startswith(start):
            mend = convert.format(name) if name.startswith("UTF") else "Save the table as CSV, in UTF-8."
            raise InputError(str(path), received=f"a file that is {name}", expected="a table in UTF-8", mend=mend)
    try:
        return content.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(
            str(path),
            received=f"the byte 0x{content[error.start]:02x} on line {line}, another encoding than UTF-8 "
            "(often Windows-1252 or Latin-1)",
            expected="a table in UTF-8",
            mend=convert.format("WINDOWS-1252"),
        ) from None


def _rows(path: Path, content: str) -> list[Row]:
    separator = SUFFIXES[path.suffix.lower()]
    first = content.partition("\n")[0]
    if separator == "," and "," not in first:
        separator = next((other for other in ";\t" if other in first), separator)
    reader = csv.reader(io.StringIO(content, newline=""), delimiter=separator, strict=True)
    # The limit of 131072 characters a cell belongs to the module and not to the reader.
    limit = csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    start = 1
    rows = []
    try:
        for cells in reader:
            if cells:
                rows.append((reader.line_num, cells))
            start = reader.line_num + 1
    except csv.Error as error:
        raise InputError(
            str(path),
            received=f"a broken row that begins on line {start} ({error})",
            expected='double quotes around a whole cell, and "" for one inside it',
            mend="Write the table with a CSV writer, such as pandas' to_csv.",
        ) from None
    finally:
        csv.field_size_limit(limit)
    return rows


def _columns(path: Path, header: list[str], rows: list[Row], text: str | None, label: str | None) -> tuple[int, int]:
    """Return the indices of the columns of the texts and the labels."""
    for what, name in (("text_column", text), ("label_column", label)):
        if name is not None and header.count(name) != 1:
            raise InputError(
                what,
                received=repr(name),
                expected=f"a column of {path}: {', '.join(header)[:200]}",
                mend=nearest(name, header),
            )
    texts = [header.index(text)] if text is not None else _named(header, TEXT_NAMES)
    labels = [header.index(label)] if label is not None else _named(header, LABEL_NAMES)
    texts = [column for column in texts if column not in labels[:1]] if text is None else texts
    if len(header) == 2 and not (texts and labels):
        found = (texts or [1 - column for column in labels]) or [_text_of_two(rows)]
        texts, labels = found, [1 - found[0]]
        known = {cells[labels[0]] for _, cells in rows}
        if header[labels[0]] in known:
            raise InputError(
                str(path),
                received=f"a first row of data: {header[labels[0]]!r} is also a label below",
                expected="a header, which names the columns",
                mend="Write text,label into the first line.",
            )
    if not texts or not labels or texts[0] == labels[0]:
        raise InputError(
            str(path),
            received=f"the columns {', '.join(header)[:200]}",
            expected="a column named text and one named label",
            mend="Name them: text_column=..., label_column=...",
        )
    return texts[0], labels[0]


def _named(header: Sequence[str], names: Sequence[str]) -> list[int]:
    lowered = [name.lower() for name in header]
    return [lowered.index(name) for name in names if name in lowered]


def _text_of_two(rows: list[Row]) -> int:
    different = [len({cells[column] for _, cells in rows}) for column in (0, 1)]
    return 0 if different[0] >= different[1] else 1


def _lines(found: Sequence[tuple[int, int]]) -> str:
    lines = ", ".join(str(line) for line, _ in found[:10])
    return f"line{'s' if len(found) > 1 else ''} {lines}{', ...' if len(found) > 10 else ''}"
