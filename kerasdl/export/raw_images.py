"""What a user may hand to `predict` as images, sorted into pixel arrays and encoded files. Needs NumPy only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kerasdl.errors import InputError
from kerasdl.export.outputs import Outputs

# What an image file is decoded to: grey or colour.
FILE_CHANNELS = (1, 3)
# Bounds the memory of one call whatever the number of images.
BATCH_SIZE = 256


class Undecodable(ValueError):
    """Bytes that are no whole image."""


def predict_raw_images(
    raw: Any,
    *,
    channels: int,
    on_pixels: Callable[[np.ndarray], Outputs],
    on_encoded: Callable[[np.ndarray], Outputs],
    any_colour: bool = False,
) -> Outputs:
    """Run a model on raw images of any kind and return one row an image.

    Args:
        raw: One image or many: uint8 arrays of shape (height, width[, channels]) or (count, height, width[, channels]),
            paths of image files, encoded bytes, or a list of any of these, sizes mixed as they come.
        channels: Channels the model wants.
        on_pixels: Outputs for a uint8 batch (count, height, width, channels).
        on_encoded: Outputs for an object array of encoded images.
        any_colour: Whether grey arrays and those with opacity become colour, as files do.

    Returns:
        Every output with a first axis over the images, also for a single one.

    Raises:
        InputError: For anything that is not an image the model can take.
    """
    if (
        isinstance(raw, np.ndarray)
        and raw.dtype == np.uint8
        and raw.ndim == 3
        and raw.shape[2] == channels
        and raw.size
    ):
        return on_pixels(raw[np.newaxis])  # one image, nothing to decide: the shortest way
    items = list(raw) if isinstance(raw, (list, tuple)) else [raw]
    if not items:
        raise InputError("raw", received="no images", expected="at least one", mend="Pass an array or a path.")
    if any_colour and channels == 3:
        items = [item if isinstance(item, (str, Path, bytes)) else in_colour(_as_array(item)) for item in items]
    rows = [row for item in items for row in _predict_item(item, channels, on_pixels, on_encoded)]
    return rows[0] if len(rows) == 1 else {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}


def _predict_item(
    item: Any,
    channels: int,
    on_pixels: Callable[[np.ndarray], Outputs],
    on_encoded: Callable[[np.ndarray], Outputs],
) -> Sequence[Outputs]:
    if isinstance(item, (str, Path, bytes)):
        what = "raw" if isinstance(item, bytes) else str(item)
        if channels not in FILE_CHANNELS:
            raise InputError(
                what,
                received="an image file",
                expected=f"a uint8 array: no file is decoded to {channels} channels",
                mend="Read the file yourself and pass its pixels.",
            )
        encoded = item if isinstance(item, bytes) else _read(Path(item))
        try:
            return [on_encoded(np.array([encoded], dtype=object))]
        except Exception as error:
            # TensorFlow's own class cannot be named here: this module is imported without TensorFlow.
            if not isinstance(error, Undecodable) and type(error).__name__ != "InvalidArgumentError":
                raise
            raise InputError(
                what,
                received=f"{len(encoded)} bytes that no decoder reads",
                expected="a whole PNG, JPEG, GIF or BMP image",
                mend="Open it in an image viewer and save it again.",
            ) from error
    batch = _as_batch(_as_array(item), channels)
    return [on_pixels(batch[begin : begin + BATCH_SIZE]) for begin in range(0, len(batch), BATCH_SIZE)]


def in_colour(array: np.ndarray) -> np.ndarray:
    """Return images of three channels, of grey ones and those with opacity; anything else as it is."""
    if array.ndim == 2 or (array.ndim == 3 and array.shape[-1] not in (1, 3, 4)):
        array = array[..., None]
    if array.ndim in (3, 4) and array.shape[-1] == 1:
        return np.repeat(array, 3, axis=-1)
    return array[..., :3] if array.ndim in (3, 4) and array.shape[-1] == 4 else array


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(
            str(path), received=error.strerror or type(error).__name__, expected="an image file", mend="Check the path."
        ) from error


def _as_array(item: Any) -> np.ndarray:
    try:
        return np.asarray(item)
    except ValueError as error:
        raise InputError(
            "raw",
            received=f"a {type(item).__name__} with parts of unequal lengths",
            expected="a uint8 array, or a flat list of images",
            mend="Pass a list of arrays, not a list of lists.",
        ) from error


def _as_batch(array: np.ndarray, channels: int) -> np.ndarray:
    if array.dtype != np.uint8:
        raise InputError(
            "raw",
            received=f"an array of {array.dtype}",
            expected="uint8 pixels from 0 to 255",
            mend='If the values lie in [0, 1], pass (x * 255).round().astype("uint8").',
        )
    if array.ndim == 2 and channels == 1:
        batch = array[None, :, :, None]
    elif array.ndim == 3 and array.shape[-1] == channels:
        batch = array[None]
    # Three or four columns are a colour image by mistake, not a stack of images three pixels wide.
    elif array.ndim == 3 and channels == 1 and array.shape[-1] not in (3, 4):
        batch = array[..., None]
    else:
        batch = array
    if batch.ndim != 4 or batch.shape[-1] != channels or 0 in batch.shape:
        raise InputError(
            "raw",
            received=f"an array of shape {array.shape}",
            expected=f"(height, width, {channels}) or (count, height, width, {channels}), no side empty",
            mend=f"This model was trained on images of {channels} channel{'s' if channels > 1 else ''}.",
        )
    return batch
