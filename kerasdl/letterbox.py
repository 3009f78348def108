"""Letterboxing: how an image of any size lies in one of fixed size, and where its boxes are then.

The image is scaled so that it just fits, keeps its proportions, and lies in the middle; the rest is `FILL`. Everything
follows from the two sizes, in whole numbers, so that data, predictions and exports agree on every pixel.

Example:
    >>> inner, offset = letterbox.fit(np.array([100, 200]), (64, 64))
    >>> inner, offset
    (array([32, 64]), array([16,  0]))
"""

from __future__ import annotations

import numpy as np

FILL = 128
"""What is beside the image: mid-grey, the zero of models that scale to [-1, 1]."""


def fit(sizes: np.ndarray, image_size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return the size that images get and how far from the corner they lie.

    Args:
        sizes: Height and width of the original images, in pixels, integers, shape (..., 2).
        image_size: Height and width of what they are to lie in.

    Returns:
        Height and width in there, at least 1; rows above and columns to the left. Both integers of shape (..., 2).
    """
    sizes = np.asarray(sizes, np.int64)
    height, width = sizes[..., 0], sizes[..., 1]
    full_height, full_width = (int(side) for side in image_size)
    # Halves are rounded up. In integers, so that no other way to compute it can come to another pixel.
    upright = height * full_width > width * full_height
    inner_height = np.where(upright, full_height, (2 * height * full_width + width) // (2 * width))
    inner_width = np.where(upright, (2 * width * full_height + height) // (2 * height), full_width)
    inner = np.maximum(np.stack([inner_height, inner_width], axis=-1), 1)
    return inner, (np.array([full_height, full_width]) - inner) // 2


def apply(boxes: np.ndarray, sizes: np.ndarray, image_size: tuple[int, int]) -> np.ndarray:
    """Return where boxes of the original images are in the letterboxed ones.

    Args:
        boxes: Left, top, right, bottom in pixels of the original images, shape (..., boxes, 4).
        sizes: Height and width of the original images, shape (..., 2).
        image_size: Height and width of the letterboxed images.

    Returns:
        Left, top, right, bottom in pixels of the letterboxed images, floats of the same shape.
    """
    scales, offsets = _as_boxes(sizes, image_size)
    return boxes * scales + offsets


def undo(boxes: np.ndarray, sizes: np.ndarray, image_size: tuple[int, int]) -> np.ndarray:
    """Return where boxes of the letterboxed images are in the original ones, cut at their borders.

    Args:
        boxes: Left, top, right, bottom in pixels of the letterboxed images, shape (..., boxes, 4).
        sizes: Height and width of the original images, shape (..., 2).
        image_size: Height and width of the letterboxed images.

    Returns:
        Left, top, right, bottom in pixels of the original images, floats of the same shape.
    """
    scales, offsets = _as_boxes(sizes, image_size)
    limits = np.asarray(sizes)[..., np.newaxis, [1, 0, 1, 0]]
    return np.clip((boxes - offsets) / scales, 0, limits)


def _as_boxes(sizes: np.ndarray, image_size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    # Rounding makes the two sides' scales differ a little; boxes follow the pixels.
    inner, offsets = fit(sizes, image_size)
    return (inner / sizes)[..., np.newaxis, [1, 0, 1, 0]], offsets[..., np.newaxis, [1, 0, 1, 0]]
