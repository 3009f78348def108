"""What every builder of models on series does first: take raw values in, normalise them, tell what is padding.

Series are float32 (batch, length, channels) in the units of their data. Where lengths differ, the shorter ones are
padded on the right by time steps that are NaN in every channel: no value of real data can be taken for it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from kerasdl import checks, series_blocks
from kerasdl.errors import InputError
from kerasdl.models import inputs


def series_input(
    input_shape: Sequence[int | None],
    *,
    mean: Sequence[float] | None = None,
    scale: Sequence[float] | None = None,
    name: str = "series",
) -> tuple[keras.KerasTensor, keras.KerasTensor, keras.KerasTensor | None]:
    """Return the input of raw series, the same normalised with zeros at padding, and where there is no padding.

    Args:
        input_shape: (length, channels) of series of one length, which have no padding; (None, channels) of series of
            any length, padded by NaN on the right.
        mean: Of each channel, subtracted; or one number for all. None for 0.
        scale: Of each channel, divided by; or one number for all. None for 1.
        name: Name of the input.

    Returns:
        The input, float32 (batch, length, channels); the tensor to go on with, of the same shape, float32 whatever
        the precision policy; and booleans (batch, length), false at padding, or None for series of one length.

    Raises:
        InputError: If `input_shape` is no such pair, or a mean or scale is no finite number or of another count than
            the channels, or a scale is not above 0.

    Example:
        >>> series, x, mask = series_input((None, 6), mean=[0.0] * 6, scale=[9.8] * 6)
    """
    length, channels = check_series_shape(input_shape)
    series = keras.Input((length, channels), dtype="float32", name=name)
    x, mask = series, None
    if length is None:
        # Not from one channel alone: a step that lacks only some values must not pass for padding.
        mask = ops.logical_not(ops.all(ops.isnan(series), axis=-1))
        x = series_blocks.masked(x, mask)
    # First the mean, then the scale: a product first would round what is small beside a large mean.
    if mean is not None:
        offset = [-value for value in _numbers("mean", mean, channels)]
        x = keras.layers.Rescaling(1.0, offset=offset, dtype="float32", name=f"{name}_center")(x)
    if scale is not None:
        factors = [1 / value for value in _numbers("scale", scale, channels)]
        x = keras.layers.Rescaling(factors, dtype="float32", name=f"{name}_scale")(x)
    return series, series_blocks.masked(x, mask), mask


def check_series_shape(input_shape: Any) -> tuple[int | None, int]:
    """Return (length or None, channels), or raise :class:`InputError` unless it is that."""
    if not isinstance(input_shape, (tuple, list)) or len(input_shape) != 2:
        raise InputError(
            "input_shape",
            received=repr(input_shape),
            expected="the shape of a series, (length, channels), its length None where lengths differ",
            mend="Pass for example input_shape=(150, 1) or (None, 6).",
        )
    length, channels = input_shape
    if length is not None:
        length = inputs.check_integer("the length in input_shape", length)
    return length, inputs.check_integer("the channels in input_shape", channels)


def _numbers(what: str, values: Any, channels: int) -> list[float]:
    several = hasattr(values, "__len__") and not isinstance(values, str)
    found = list(values) if several else [values] * channels
    for value in found:
        checks.number(0 if what == "scale" else -math.inf, above=what == "scale", example=1.0)(what, value)
    if len(found) != channels:
        raise InputError(
            what,
            received=f"{len(found)} numbers",
            expected=f"one for each of the {channels} channels",
            mend=f"Pass {channels} numbers, or a single one for all channels.",
        )
    return [float(value) for value in found]
