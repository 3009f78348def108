"""Series as users have them, made into float32 arrays of time steps and channels, and padded. Needs NumPy only.

Loading data and answering with a model, live or exported, must take the same things for a series; so this stands
beside both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kerasdl.errors import InputError

MISSING = ("refuse", "interpolate")
"""What can be done with values that are missing inside a series."""
UNKNOWN = ("", "?", "nan", "na", "n/a", "null", "none")
"""How files say that a value is missing, in small letters."""
EXPECTED = "numbers of shape (count, length) or (count, length, channels), or a list of arrays (length, channels)"


def as_series(values: Any, *, what: str, missing: str = "refuse") -> list[np.ndarray]:
    """Return many series as float32 arrays (length, channels), of one or of different lengths.

    Args:
        values: An array of shape (count, length) or (count, length, channels), or a list of arrays or lists of shape
            (length,) or (length, channels). Time steps at the end that are NaN in every channel are padding.
        what: How messages name them.
        missing: "refuse" NaN inside a series, or "interpolate" it along time.

    Raises:
        InputError: For no series, for what is no number, for different numbers of channels, and as :func:`clean` does.
    """
    if isinstance(values, (str, bytes)) or not hasattr(values, "__len__"):
        raise InputError(what, received=repr(values)[:80], expected=EXPECTED, mend="Pass an array, or a list of them.")
    shape = getattr(values, "shape", None)
    if shape is not None and getattr(getattr(values, "dtype", None), "kind", "O") != "O":
        if len(shape) not in (2, 3):
            raise InputError(
                what, received=f"an array of shape {tuple(shape)}", expected=EXPECTED, mend="Reshape it to that."
            )
        table = _as_numbers(values, what)
        values = list(table if table.ndim == 3 else table[..., np.newaxis])
    if not len(values):
        raise InputError(what, received="no series", expected="at least one", mend="Check how they are made.")
    found = [
        clean(as_one(one, what=f"{what}, index {index}"), what=f"{what}, index {index}", missing=missing)
        for index, one in enumerate(values)
    ]
    check_channels(found, lambda index: f"{what}, index {index}")
    return found


def as_one(values: Any, *, what: str) -> np.ndarray:
    """Return one series, an array or list of shape (length,) or (length, channels), with two axes and of numbers."""
    series = _as_numbers(values, what)
    if series.ndim not in (1, 2):
        raise InputError(
            what,
            received=f"an array of shape {series.shape}",
            expected="a series of shape (length,) or (length, channels)",
            mend="Reshape it to that.",
        )
    return series if series.ndim == 2 else series[:, np.newaxis]


def _as_numbers(values: Any, what: str) -> np.ndarray:
    try:
        found = np.asarray(values)
        if found.dtype.kind not in "biuf":
            # None among numbers makes objects of all.
            found = found.astype(np.float64) if found.dtype.kind == "O" else found
        if found.dtype.kind not in "biuf":
            raise TypeError(found.dtype)
    except (TypeError, ValueError):
        raise InputError(
            what, received=repr(values)[:80], expected="numbers", mend="Make each value a number, NaN where it lacks."
        ) from None
    return found if found.dtype.kind == "f" else found.astype(np.float64)


def clean(
    values: np.ndarray, *, what: str, missing: str = "refuse", place: Callable[[int], str] | None = None
) -> np.ndarray:
    """Return a series as float32 without padding and without gaps.

    Args:
        values: Numbers (length, channels). Steps at the end that are NaN in every channel are taken for padding.
        what: How messages name the series.
        missing: "refuse" other NaN, or "interpolate" them: linearly along time, constant before the first and after
            the last value of a channel.
        place: From a time step, counted from 0, to how messages name it; None for "step 1" and so on.

    Raises:
        InputError: For infinite values and values that float32 cannot hold; for missing values that are refused, or of
            a channel that has no other; for a series without a value.
    """
    with np.errstate(over="ignore"):
        series = values.astype(np.float32)
    # Nearly all are like this, and what answers one series at a time is not to look at it four times.
    if series.size and np.isfinite(series).all():
        return series
    gaps = np.isnan(values)
    if gaps.any():
        length = len(values) - int(np.argmin(gaps.all(axis=1)[::-1])) if not gaps.all() else 0
        values, gaps = values[:length], gaps[:length]
    if not values.size:
        raise InputError(
            what, received="a series without a value", expected="at least one time step", mend="Fill or remove it."
        )

    def named(found: np.ndarray) -> str:
        step, channel = np.argwhere(found)[0]
        where = place(int(step)) if place is not None else f"step {step + 1}"
        return where + (f", channel {channel + 1}" if values.shape[1] > 1 else "")

    with np.errstate(over="ignore"):
        series = values.astype(np.float32)
    infinite = np.isinf(series)
    if infinite.any():
        first = values[tuple(np.argwhere(infinite)[0])]
        raise InputError(
            what,
            received=f"{first} at {named(infinite)}",
            expected="finite numbers that float32 can hold",
            mend="Correct the value, or mark it as missing (NaN).",
        )
    if not gaps.any():
        return series
    empty = np.flatnonzero(gaps.all(axis=0))
    if missing == "refuse" or len(empty):
        count = int(gaps.sum())
        lacking = "no value in a whole channel" if len(empty) else "a missing value"
        raise InputError(
            what,
            received=f"{lacking} at {named(gaps)}" + (f", and {count - 1} more" if count > 1 else ""),
            expected="a value at every time step",
            mend="Drop the series or the channel."
            if len(empty)
            else 'Fill it, or pass missing="interpolate" to have it filled in along time.',
        )
    steps = np.arange(len(series))
    for channel in np.flatnonzero(gaps.any(axis=0)):
        gap = gaps[:, channel]
        series[gap, channel] = np.interp(steps[gap], steps[~gap], values[~gap, channel])
    return series


def check_channels(series: Sequence[np.ndarray], named: Callable[[int], str]) -> int:
    """Return the number of channels that all series have, or refuse the first that differs; `named` says which."""
    channels = series[0].shape[1]
    for index, one in enumerate(series):
        if one.shape[1] != channels:
            raise InputError(
                named(index),
                received=f"{one.shape[1]} channels",
                expected=f"{channels}, as in {named(0)}",
                mend="Give every series the same channels.",
            )
    return channels


def padded(series: Any, length: int | None = None) -> np.ndarray:
    """Return series as float32 (count, longest, channels), padded on the right by NaN.

    Args:
        series: Arrays (length, channels), or one array of such.
        length: To pad to; None for the longest.
    """
    longest = max(map(len, series)) if length is None else length
    if isinstance(series, np.ndarray) and series.ndim == 3 and series.shape[1] == longest:
        return np.asarray(series, np.float32)
    if len(series) == 1 and len(series[0]) == longest:
        return np.asarray(series[0], np.float32)[np.newaxis]
    batch = np.full((len(series), longest, series[0].shape[1]), np.nan, np.float32)
    for row, one in enumerate(series):
        batch[row, : len(one)] = one
    return batch


def as_objects(series: Sequence[np.ndarray]) -> np.ndarray:
    """Return arrays of different lengths as an object array (count,)."""
    found = np.empty(len(series), object)
    for index, one in enumerate(series):
        found[index] = one
    return found


def differ(series: Any) -> bool:
    """Whether some series is not as the first."""
    return any(not np.array_equal(one, series[0]) for one in series)


def as_bytes(series: Any) -> bytes:
    """Return the content of series as bytes that are the same on every machine, for a fingerprint."""
    return b"".join(repr(one.shape).encode() + one.astype("<f4").tobytes() for one in series)


def numbers_in(cells: Sequence[str], *, what: str) -> np.ndarray:
    """Return the numbers that some cells of a file say, NaN for what is missing.

    Args:
        cells: Numbers as Python reads them; empty, or one of ?, NaN, NA, null for a missing one.
        what: How messages name them.

    Raises:
        InputError: For a cell that is none of these.
    """
    try:
        return np.array(cells, np.float64)
    except ValueError:
        pass
    found = np.empty(len(cells))
    for index, cell in enumerate(cells):
        try:
            found[index] = np.nan if cell.strip().lower() in UNKNOWN else float(cell)
        except ValueError:
            raise InputError(
                what,
                received=f"{cell.strip()[:40]!r} at value {index + 1}",
                expected="a number, or ? for a missing one",
                mend="Correct it.",
            ) from None
    return found
