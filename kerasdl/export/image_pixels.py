"""Image files and sizes without TensorFlow: decoded by Pillow, resized in NumPy as training resizes, to the last bit.

Runtimes for phones and servers have neither decoders nor dynamic resizing, so the exports for them hold the network
alone, and this stands before it. What is said of colours and sizes in `kerasdl.data.images` holds here too.
"""

from __future__ import annotations

import functools
import io
import math
from typing import Any

import numpy as np

from kerasdl.errors import InputError
from kerasdl.export.raw_images import Undecodable

# Grey is so much of red, green and blue, as in tf.image.rgb_to_grayscale.
GREY = np.array([0.2989, 0.5870, 0.1140], np.float32)


def decode(encoded: bytes, channels: int) -> np.ndarray:
    """Decode one image file.

    PNG, GIF and BMP files give the pixels that training saw. Of a JPEG file a pixel may differ by a few steps of 255
    where Pillow was built with another decoder than TensorFlow.

    Args:
        encoded: The content of the file.
        channels: 1 for grey, 3 for colour.

    Returns:
        uint8 (height, width, channels); alpha is dropped, of an animation the first frame is taken.

    Raises:
        InputError: If Pillow is not installed.
        Undecodable: If the content is no whole image.
    """
    try:
        from PIL import Image
    except ImportError:
        raise InputError(
            "an image file",
            received="no Pillow to decode it",
            expected="Pillow, where an export is used without TensorFlow",
            mend="pip install pillow, or pass the pixels.",
        ) from None
    try:
        with Image.open(io.BytesIO(encoded), formats=("PNG", "JPEG", "GIF", "BMP")) as image:
            image.load()
            return to_channels(_as_stored(image), channels)
    # Pillow raises whatever its parsers meet.
    except Exception as error:
        raise Undecodable(f"{type(error).__name__}: {error}") from error


def _as_stored(image: Any) -> np.ndarray:
    """Return the pixels with the channels that TensorFlow would give: grey or colour, each with alpha or without."""
    if image.mode.startswith("I"):
        return (np.asarray(image).astype(np.int64) >> 8).astype(np.uint8)[..., None]
    if image.format == "GIF" or image.mode not in ("1", "L", "LA", "RGB", "RGBA"):
        image = image.convert("RGB")
    elif image.mode == "1":
        image = image.convert("L")
    pixels = np.asarray(image, np.uint8)
    return pixels if pixels.ndim == 3 else pixels[..., None]


def to_channels(image: np.ndarray, channels: int) -> np.ndarray:
    """Convert uint8 pixels (height, width, 1 to 4) to grey or colour; alpha is dropped."""
    if image.shape[-1] == channels:
        return image
    if image.shape[-1] < 3:
        return np.repeat(image[..., :1], channels, axis=-1)
    if channels == 3:
        return image[..., :3]
    shares = image[..., :3].astype(np.float32) * np.float32(1 / 255)
    grey = shares[..., 0] * GREY[0] + shares[..., 1] * GREY[1] + shares[..., 2] * GREY[2]
    return (grey * np.float32(255.5)).astype(np.uint8)[..., None]


def resize(images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize images bilinearly with antialiasing and round back to uint8.

    Args:
        images: uint8 (count, height, width, channels).
        size: Height and width wanted, in pixels.

    Returns:
        uint8 (count, *size, channels), what `kerasdl.data.images.resize` returns.

    https://www.tensorflow.org/api_docs/python/tf/raw_ops/ScaleAndTranslate
    """
    if images.shape[1:3] == tuple(size):
        return images
    rows = _along(images.astype(np.float32), size[0], axis=1)
    return np.clip(np.round(_along(rows, size[1], axis=2)), 0, 255).astype(np.uint8)


def _along(images: np.ndarray, size: int, *, axis: int) -> np.ndarray:
    starts, weights = _taps(images.shape[axis], size)
    shape = [1] * images.ndim
    shape[axis] = size
    total = np.zeros((*images.shape[:axis], size, *images.shape[axis + 1 :]), np.float32)
    last = images.shape[axis] - 1
    # One pixel after another, as TensorFlow adds them: another order would round otherwise.
    for tap in range(weights.shape[1]):
        taken = np.take(images, np.minimum(starts + tap, last), axis=axis)
        total += taken * weights[:, tap].reshape(shape)
    return total


@functools.lru_cache(maxsize=256)
def _taps(given: int, wanted: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the first pixel that each new one is made of, and the weights of this and the next ones, in float32."""
    single = np.float32
    scale = single(wanted) / single(given)
    inverse = single(1) / scale
    stretch = max(inverse, single(1))
    starts, rows = np.zeros(wanted, np.int64), []
    for index in range(wanted):
        place = (single(index) + single(0.5)) * inverse
        begin = min(max(math.ceil(place - stretch - single(0.5)), 0), given - 1)
        end = min(max(math.floor(place + stretch - single(0.5)), 0), given - 1) + 1
        distance = np.abs((np.arange(begin, end).astype(single) + single(0.5) - place) * (single(1) / stretch))
        row = np.maximum(single(1) - distance, single(0))
        total = single(0)
        for weight in row:
            total += weight
        starts[index] = begin
        rows.append(row * (single(1) / total) if total > 0 else row)
    weights = np.zeros((wanted, max(map(len, rows))), single)
    for index, row in enumerate(rows):
        weights[index, : len(row)] = row
    return starts, weights
