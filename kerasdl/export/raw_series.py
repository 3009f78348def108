"""What a user may hand to `predict` as series, in batches of similar length. Needs NumPy only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kerasdl.errors import InputError
from kerasdl.export.length_batches import run_by_length
from kerasdl.export.outputs import Outputs
from kerasdl.series_values import as_series, padded

# Values of a batch, padding counted: one series of any length is a batch by itself.
BATCH_VALUES = 2_000_000


def predict_raw_series(
    raw: Any, *, input_shape: Sequence[int | None], missing: str, on_series: Callable[[np.ndarray], Outputs]
) -> Outputs:
    """Run a model on raw series and return one row a series.

    Args:
        raw: One series or many, see :func:`as_raw_series`.
        input_shape: Length, None for any, and channels that the model takes.
        missing: "refuse" or "interpolate" values that are missing inside a series.
        on_series: Outputs for float32 (count, length, channels), padded by NaN on the right.

    Returns:
        Every output with a first axis over the series, also for a single one.

    Raises:
        InputError: For anything that is no series that the model takes.
    """
    plain = isinstance(raw, np.ndarray) and raw.dtype == np.float32 and raw.shape[1:] == (input_shape[1],) and raw.size
    if plain and input_shape[0] in (None, len(raw)) and np.isfinite(raw).all():
        return on_series(raw[np.newaxis])  # one series, nothing to decide: the shortest way
    series = as_raw_series(raw, input_shape=input_shape, missing=missing)
    return run_by_length(
        [one.size for one in series],
        most=BATCH_VALUES,
        on_batch=lambda batch: on_series(padded([series[index] for index in batch])),
    )


def as_raw_series(raw: Any, *, input_shape: Sequence[int | None], missing: str, what: str = "raw") -> list[np.ndarray]:
    """Return one series or many as float32 arrays (length, channels), or refuse what is none.

    Args:
        raw: One: numbers of shape (length,) or (length, channels). Many: an array of shape (count, length, channels),
            of one channel also (count, length); or a list of such series, of any lengths. NaN at the end is padding.
        input_shape: Length, None for any, and channels that the model takes.
        missing: "refuse" or "interpolate" values that are missing inside a series.
        what: How messages name them.
    """
    length, channels = input_shape
    series = as_series([raw] if _is_one(raw, channels) else raw, what=what, missing=missing)
    for index, one in enumerate(series):
        if one.shape[1] != channels or (length is not None and len(one) != length):
            raise InputError(
                f"{what}, index {index}",
                received=f"a series of {len(one)} time steps and {one.shape[1]} channels",
                expected=f"{'any number of' if length is None else length} time steps of {channels} channels",
                mend="Bring series as the model was trained on.",
            )
    return series


def _is_one(raw: Any, channels: int | None) -> bool:
    """Whether something is a single series rather than many."""
    if isinstance(raw, (str, bytes)) or not hasattr(raw, "__len__") or not len(raw):
        return False
    nested = isinstance(raw, (list, tuple)) or getattr(getattr(raw, "dtype", None), "kind", "O") == "O"
    try:
        shape = (len(raw), *np.shape(raw[0])) if nested else tuple(raw.shape)
    except (KeyError, ValueError):
        return False
    return len(shape) == 1 or (len(shape) == 2 and (channels != 1 or shape[1] == 1))
