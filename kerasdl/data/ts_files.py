"""Series in `.ts` files, the format of the UCR and UEA archives: a header of lines with @, then a line a series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kerasdl.data.texts import read_text
from kerasdl.errors import InputError, nearest
from kerasdl.series_values import check_channels, clean, numbers_in

KEYS = (
    *("problemname", "timestamps", "missing", "univariate", "dimension", "dimensions", "equallength", "serieslength"),
    *("classlabel", "targetlabel", "data"),
)


@dataclass
class Header:
    """What the header of a file says; None where it says nothing."""

    class_names: tuple[str, ...] | None = None
    channels: int | None = None
    length: int | None = None


def read_ts(path: Path, *, missing: str = "refuse") -> tuple[list[np.ndarray], list[str] | None]:
    """Read a `.ts` file.

    Below a header that ends with @data, each line is a series: the values of each channel, separated by commas, its
    channels and at last its class separated by colons. Shorter series have fewer values, or end in NaN.

    Args:
        path: UTF-8. Empty lines, and lines that begin with # or %, are left out.
        missing: What is done with ? and NaN inside a series: "refuse" or "interpolate".

    Returns:
        The series, float32 (length, channels), and the class of each; None where the header has @classLabel false.

    Raises:
        InputError: For a malformed header, time stamps, no series, other channels or lengths than the header says, a
            class that it does not name, missing values that are refused: with the line.

    Example:
        >>> series, labels = read_ts(Path("GunPoint_TRAIN.ts"))

    https://www.aeon-toolkit.org/en/latest/api_reference/file_specifications/ts.html
    """
    header, lines = _read_header(path)
    series: list[np.ndarray] = []
    labels: list[str] = []
    for number, line in lines:
        what = f"{path}, line {number}"
        channels = line.split(":")
        if header.class_names is not None:
            label = channels.pop().strip() if len(channels) > 1 else None
            if label not in header.class_names:
                raise InputError(
                    what,
                    received="no class at its end" if label is None else f"the class {label[:80]!r}",
                    expected=f"one of {', '.join(header.class_names)[:200]}, as @classLabel says, behind a last colon",
                    mend="Add it." if label is None else nearest(label, header.class_names),
                )
            labels.append(label)
        series.append(_series(channels, header, what=what, missing=missing))
    if not series:
        raise InputError(
            str(path), received="no series below @data", expected="a line for each", mend="Check that it is whole."
        )
    check_channels(series, lambda index: f"{path}, line {lines[index][0]}")
    return series, None if header.class_names is None else labels


def _read_header(path: Path) -> tuple[Header, list[tuple[int, str]]]:
    """Return what the header says, and the numbered lines below it."""
    lines = [(number, line.strip()) for number, line in enumerate(read_text(path).splitlines(), start=1)]
    lines = [(number, line) for number, line in lines if line and line[0] not in "#%"]
    header, labelled = Header(), False
    for position, (number, line) in enumerate(lines):
        what = f"{path}, line {number}"
        key, *words = line.split()
        if not key.startswith("@") or key[1:].lower() not in KEYS:
            raise InputError(
                what,
                received=repr(line[:40]),
                expected="a header of lines such as @classLabel true 1 2, which ends with @data",
                mend=nearest(key.removeprefix("@").lower(), KEYS)
                if key.startswith("@")
                else "Write the header of a .ts file, or give the file a name that ends in .csv.",
            )
        key = key[1:].lower()
        if key == "data":
            if not labelled:
                raise InputError(
                    what,
                    received="a header without @classLabel",
                    expected="@classLabel true and the names of the classes, or @classLabel false",
                    mend="Add it above @data.",
                )
            return header, lines[position + 1 :]
        labelled |= key == "classlabel"
        _note(header, key, words, what)
    raise InputError(
        str(path), received="no line @data", expected="a header that ends with it", mend="Check that it is whole."
    )


def _note(header: Header, key: str, words: Sequence[str], what: str) -> None:
    """Keep what one line of a header says."""
    first = words[0].lower() if words else ""
    if key in ("dimension", "dimensions", "serieslength"):
        if not (first.isascii() and first.isdecimal() and int(first)):
            raise InputError(what, received=repr(" ".join(words)), expected="a positive integer", mend="Correct it.")
        setattr(header, "length" if key == "serieslength" else "channels", int(first))
    elif key == "univariate" and first == "true":
        header.channels = 1
    elif key == "timestamps" and first == "true":
        raise InputError(
            what,
            received="@timeStamps true",
            expected="series of plain values",
            mend="Write the values alone, in order of time, or use a table with the columns id, time and label.",
        )
    elif key == "targetlabel" and first == "true":
        raise InputError(
            what, received="numbers to predict (@targetLabel true)", expected="classes", mend="Choose other data."
        )
    elif key == "classlabel" and first != "false":
        if first != "true" or len(words) < 2:
            raise InputError(
                what,
                received=f"@classLabel {' '.join(words)}".strip(),
                expected="@classLabel true and the names of the classes, or @classLabel false",
                mend="Name the classes behind it.",
            )
        header.class_names = tuple(words[1:])


def _series(cells: Sequence[str], header: Header, *, what: str, missing: str) -> np.ndarray:
    if header.channels is not None and len(cells) != header.channels:
        raise InputError(
            what,
            received=f"{len(cells)} channels",
            expected=f"{header.channels}, as the header says",
            mend="Separate channels by colons, or correct @dimensions.",
        )
    channels = [numbers_in(cell.split(","), what=f"{what}, channel {index}") for index, cell in enumerate(cells, 1)]
    lengths = [len(channel) for channel in channels]
    if len(set(lengths)) > 1:
        raise InputError(
            what,
            received=f"channels of {min(lengths)} to {max(lengths)} values",
            expected="as many in each channel of a series",
            mend="Fill the shorter ones with ?.",
        )
    if header.length is not None and lengths[0] != header.length:
        raise InputError(
            what,
            received=f"{lengths[0]} values",
            expected=f"{header.length}, as @seriesLength says",
            mend="Fill the end with NaN, or leave @seriesLength out.",
        )
    return clean(np.stack(channels, axis=1), what=what, missing=missing)
