"""From encoded files and arrays to uint8 images of one shape: decode, resize, convert, check.

`decode` and `resize` also run inside a `tf.function`, on images of unknown size: an exported model calls these very
functions, so what it sees is what was trained on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kerasdl.errors import InputError

if TYPE_CHECKING:
    import tensorflow as tf

LARGEST_DEFAULT = 224
"""Pixels that images of several sizes get at most when the user names no size: what ImageNet models train on."""


def decode(encoded: tf.Tensor, channels: int) -> tf.Tensor:
    """Decode one PNG, JPEG, GIF or BMP image.

    Of an animated GIF the first frame is taken; an alpha channel is dropped.

    Args:
        encoded: The content of the file, a scalar string tensor.
        channels: 1 for grey, 3 for colour; the image is converted when it has others.

    Returns:
        The image, uint8, of shape (height, width, channels).

    Raises:
        tf.errors.InvalidArgumentError: When the content is no image or a damaged one.

    Example:
        >>> image = decode(tf.io.read_file("photo.png"), 3)

    https://www.tensorflow.org/api_docs/python/tf/io/decode_image
    """
    return to_channels(decode_as_stored(encoded), channels)


def decode_as_stored(encoded: tf.Tensor) -> tf.Tensor:
    """Decode one image with the channels it has: 1 grey, 2 grey and alpha, 3 colour, 4 colour and alpha."""
    import tensorflow as tf

    image = tf.io.decode_image(encoded, expand_animations=False)
    image.set_shape([None, None, None])
    return image


def to_channels(images: tf.Tensor, channels: int) -> tf.Tensor:
    """Convert images between grey (1) and colour (3); alpha is dropped, images that already fit are returned as is.

    Args:
        images: uint8, of shape (..., height, width, 1 to 4); the last may be unknown until it runs.
        channels: 1 or 3, or the number the images have.

    Returns:
        uint8 images of shape (..., height, width, channels).
    """
    import tensorflow as tf

    images = tf.convert_to_tensor(images)
    if images.shape[-1] == channels:
        return images

    def from_colour() -> tf.Tensor:
        colour = images[..., :3]
        return colour if channels == 3 else tf.image.rgb_to_grayscale(colour)

    def from_grey() -> tf.Tensor:
        return tf.repeat(images[..., :1], channels, axis=-1)

    if images.shape[-1] is not None:
        return from_colour() if images.shape[-1] >= 3 else from_grey()
    converted = tf.cond(tf.shape(images)[-1] >= 3, from_colour, from_grey)
    converted.set_shape([*images.shape[:-1], channels])
    return converted


def resize(images: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    """Resize images bilinearly with antialiasing and round back to uint8.

    Args:
        images: uint8, of shape (height, width, channels) or (count, height, width, channels); sizes may be unknown.
        size: Height and width wanted, in pixels.

    Returns:
        uint8 images of that size; the same values when they already have it.

    Example:
        >>> resize(np.zeros((2, 32, 32, 3), "uint8"), (16, 16)).shape
        TensorShape([2, 16, 16, 3])

    https://www.tensorflow.org/api_docs/python/tf/image/resize
    """
    import tensorflow as tf

    images = tf.convert_to_tensor(images)
    if tuple(images.shape[-3:-1]) == tuple(size):
        return images
    resized = tf.image.resize(images, size, method="bilinear", antialias=True)
    return tf.cast(tf.clip_by_value(tf.round(resized), 0, 255), tf.uint8)


def conform(images: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Bring uint8 images of shape (count, height, width, channels) to `shape`: channels first, then the size."""
    if images.shape[1:] == tuple(shape):
        return images
    return resize(to_channels(images, shape[2]), shape[:2]).numpy()


def to_uint8(images: np.ndarray, *, what: str) -> np.ndarray:
    """Convert whole numbers in [0, 255] of any type to uint8 without loss, and refuse all else.

    Args:
        images: The values, images along the first axis.
        what: How messages name them.

    Raises:
        InputError: For values that are not finite, not whole, outside [0, 255], or no numbers.
    """
    if images.dtype == np.uint8:
        return images
    if images.dtype.kind not in "iuf":
        raise InputError(
            what,
            received=f"values of type {images.dtype}",
            expected="numbers in [0, 255]",
            mend="Convert the images with np.asarray(x, dtype='uint8') first (booleans: times 255).",
        )
    if images.dtype.kind == "f":
        _check_whole(images, what)
    low, high = images.min(initial=0), images.max(initial=0)
    if low < 0 or high > 255:
        raise InputError(
            what,
            received=f"values from {low:g} to {high:g}",
            expected="pixels in [0, 255]",
            mend='Rescale them to that range and convert with .astype("uint8").',
        )
    return images.astype(np.uint8)


def _check_whole(images: np.ndarray, what: str) -> None:
    bad = ~np.isfinite(images)
    if bad.any():
        first = int(np.argmax(bad.reshape(len(bad), -1).any(axis=1)))
        kind = "NaN" if np.isnan(images[first]).any() else "infinite"
        raise InputError(
            what,
            received=f"{int(bad.sum())} NaN or infinite values, the first ({kind}) in the image of index {first}",
            expected="finite pixels in [0, 255]",
            mend=f"Look at x[{first}]; drop or repair such images.",
        )
    if (images != np.round(images)).any():
        refuse_fractions(what, float(images.min()), float(images.max()))


def refuse_fractions(what: str, low: float, high: float) -> None:
    """Raise the error for images given as fractions instead of whole pixel values."""
    raise InputError(
        what,
        received=f"floating-point values from {low:g} to {high:g}",
        expected="uint8 pixels, or whole numbers in [0, 255]",
        mend='If they are scaled to [0, 1], pass (x * 255).round().astype("uint8"); models rescale inside.',
    )


def choose_shape(
    shapes: np.ndarray, *, image_size: int | tuple[int, int] | None, input_shape: tuple[int, int, int] | None, what: str
) -> tuple[int, int, int]:
    """Choose the one shape that all images get.

    Args:
        shapes: The shapes that occur, one row (height, width, channels) an image.
        image_size: Height and width asked for, or one number for both.
        input_shape: Height, width and channels asked for.
        what: How messages name the data.

    Returns:
        `input_shape` if given; else `image_size`, or the common size, or the median size, at most
        `LARGEST_DEFAULT`, with the common number of channels.

    Raises:
        InputError: When grey and colour images are mixed and `input_shape` does not say which to have, or when the
            channels cannot be converted.
    """
    size = (image_size, image_size) if isinstance(image_size, int) else image_size
    channels = sorted({int(channel) for channel in shapes[:, 2]})
    if input_shape is None and len(channels) > 1:
        height, width = size or _median_size(shapes)
        raise InputError(
            what,
            received=f"images of {' and of '.join(map(str, channels))} channels",
            expected="all grey (1) or all colour (3)",
            mend=f"Pass input_shape=({height}, {width}, 3) to convert all to colour.",
        )
    if input_shape is None:
        return (*(size or _median_size(shapes)), channels[0])
    wanted = input_shape[2]
    odd = [c for c in channels if c != wanted and (wanted not in (1, 3) or c > 4)]
    if odd:
        raise InputError(
            "input_shape",
            received=f"{tuple(input_shape)} for images with {odd[0]} channels",
            expected="the channels the images have, or 1 or 3 for images with 1 to 4",
            mend=f"Pass input_shape=({input_shape[0]}, {input_shape[1]}, {channels[0]}).",
        )
    return input_shape


def _median_size(shapes: np.ndarray) -> tuple[int, int]:
    if (shapes[:, :2] == shapes[0, :2]).all():
        return int(shapes[0, 0]), int(shapes[0, 1])
    height, width = np.minimum(np.round(np.median(shapes[:, :2], axis=0)), LARGEST_DEFAULT)
    return int(height), int(width)
