"""Moving the pixels of a batch of images, and the boxes in them: flips, shifts, and any affine map.

Nothing here is random: what moves how is an argument, so that images and boxes move alike. Coordinates are in pixels
from the upper left corner of the image, x to the right and y down; the centre of the first pixel is (0.5, 0.5). A map
is a 3 x 3 matrix that takes (x, y, 1) of the old image to the new one. What comes in from outside the image is its
mirror image, the last pixel repeated, which looks natural in photos and adds no edges; or one value, for images with
boxes, as mirrored objects would have no box.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def flip(images: np.ndarray, flips: np.ndarray) -> np.ndarray:
    """Mirror some images, left to right.

    Args:
        images: Shape (batch, height, width, channels), of any type.
        flips: Which images, bool, shape (batch,).

    Example:
        >>> flipped = flip(images, np.array([True, False]))
    """
    flipped = images.copy()
    flipped[flips] = images[flips, :, ::-1]
    return flipped


def flip_matrices(flips: np.ndarray, width: int) -> np.ndarray:
    """Return the maps of :func:`flip` for images of `width` pixels, shape (batch, 3, 3)."""
    matrices = _identities(len(flips))
    matrices[:, 0, 0] = np.where(flips, -1, 1)
    matrices[:, 0, 2] = np.where(flips, width, 0)
    return matrices


def shift(images: np.ndarray, shifts: np.ndarray, *, fill: int | None = None) -> np.ndarray:
    """Move each image by whole pixels: the same as padding it and cropping it at a place of its own.

    Args:
        images: Shape (batch, height, width, channels), uint8.
        shifts: Pixels to the right and down, integers, shape (batch, 2).
        fill: What comes in from outside, 0 to 255; None for the mirror image.

    Example:
        >>> moved = shift(images, np.array([[2, -1]]))
    """
    batch, height, width, channels = images.shape
    margin_x, margin_y = np.abs(shifts).max(axis=0, initial=0)
    padded = _pad(images, int(margin_y), int(margin_x), fill)
    # A window is a whole row of pixels, so that rows are copied and not pixels.
    rows = sliding_window_view(padded.reshape(batch, padded.shape[1], -1), width * channels, axis=2)
    tops = margin_y - shifts[:, 1, np.newaxis] + np.arange(height)
    lefts = (margin_x - shifts[:, :1]) * channels
    return rows[np.arange(batch)[:, np.newaxis], tops, lefts].reshape(images.shape)


def shift_matrices(shifts: np.ndarray) -> np.ndarray:
    """Return the maps of a shift by (right, down) pixels, shape (batch, 3, 3), from shape (batch, 2)."""
    matrices = _identities(len(shifts))
    matrices[:, :2, 2] = shifts
    return matrices


def affine_matrices(
    size: tuple[int, int],
    *,
    angles: np.ndarray | None = None,
    scales: np.ndarray | None = None,
    shears: np.ndarray | None = None,
) -> np.ndarray:
    """Return maps that shear, then scale, then turn images about their centre.

    Args:
        size: Height and width of the images, in pixels.
        angles: Radians, clockwise as seen, shape (batch,).
        scales: Factors, above 1 enlarges, shape (batch,).
        shears: Pixels to the right per pixel down, and down per pixel to the right, shape (batch, 2).

    Returns:
        Shape (batch, 3, 3).

    Raises:
        ValueError: When neither angles, scales nor shears are given.
    """
    given = [values for values in (angles, scales, shears) if values is not None]
    if not given:
        raise ValueError("affine_matrices needs angles, scales or shears")
    matrices = _identities(len(given[0]))
    if shears is not None:
        matrices[:, 0, 1], matrices[:, 1, 0] = shears.T
    if scales is not None:
        matrices[:, :2] *= scales[:, np.newaxis, np.newaxis]
    if angles is not None:
        turns = _identities(len(angles))
        turns[:, 0, 0] = turns[:, 1, 1] = np.cos(angles)
        turns[:, 1, 0] = np.sin(angles)
        turns[:, 0, 1] = -turns[:, 1, 0]
        matrices = turns @ matrices
    centre = np.array([size[1] / 2, size[0] / 2])
    matrices[:, :2, 2] = centre - matrices[:, :2, :2] @ centre
    return matrices


def warp(images: np.ndarray, matrices: np.ndarray, *, fill: int | None = None) -> np.ndarray:
    """Map each image by its matrix, with bilinear interpolation; the size stays.

    Args:
        images: Shape (batch, height, width, channels), uint8.
        matrices: Where each point of the old image goes, shape (batch, 3, 3), invertible.
        fill: What comes in from outside, 0 to 255; None for the mirror image.

    Returns:
        The images, uint8, rounded to the nearest value.

    Example:
        >>> turned = warp(images, affine_matrices(images.shape[1:3], angles=np.full(len(images), 0.1)))
    """
    batch, height, width, channels = images.shape
    if not batch:
        return images.copy()
    inverse = np.linalg.inv(matrices)[:, :2]
    x, y = np.arange(width) + 0.5, np.arange(height) + 0.5
    # Where each new pixel comes from, less half a pixel: the whole part is the upper left of four neighbours.
    from_x, from_y = (
        (m[:, np.newaxis, :1] * x + (m[:, 1:2, np.newaxis] * y[:, np.newaxis] + m[:, 2:, np.newaxis] - 0.5)).astype(
            "f4"
        )
        for m in (inverse[:, 0], inverse[:, 1])
    )
    margin_x = max(0, math.ceil(-from_x.min()), math.floor(from_x.max()) + 2 - width)
    margin_y = max(0, math.ceil(-from_y.min()), math.floor(from_y.max()) + 2 - height)
    padded = _pad(images, margin_y, margin_x, fill)
    # Without negative coordinates, conversion to integers is the floor.
    from_x += np.float32(margin_x)
    from_y += np.float32(margin_y)
    left, top = from_x.astype(np.intp), from_y.astype(np.intp)
    from_x -= left
    from_y -= top
    rows, columns = padded.shape[1:3]
    first = (top + rows * np.arange(batch)[:, np.newaxis, np.newaxis]) * columns + left
    warped = np.empty_like(images)
    # One plane after the other: NumPy is several times slower along an inner axis of three channels.
    for channel, plane in enumerate(np.moveaxis(padded, -1, 0)):
        pixels = plane.ravel()
        upper = _blend(pixels[first], pixels[first + 1], from_x)
        lower = _blend(pixels[first + columns], pixels[first + columns + 1], from_x)
        # Conversion to integers cuts the fraction off.
        warped[..., channel] = _blend(upper, lower, from_y) + np.float32(0.5)
    return warped


def move_boxes(
    boxes: np.ndarray, labels: np.ndarray, matrices: np.ndarray, *, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Map boxes as their images are mapped, and cut them at the border.

    A turned rectangle gets the upright box around it, which is larger than needed for an object that does not fill
    its box. A box of which less than a pixel a side stays inside becomes padding.

    Args:
        boxes: Left, top, right, bottom in pixels, shape (batch, boxes, 4), float.
        labels: A class index for each, or -1 for padding, shape (batch, boxes).
        matrices: Shape (batch, 3, 3).
        size: Height and width of the images, in pixels.

    Returns:
        New boxes and labels. The boxes of padding are all zeros.

    Example:
        >>> boxes, labels = move_boxes(boxes, labels, flip_matrices(flips, 64), size=(64, 64))
    """
    # The four corners, as (batch, boxes, corner, 3).
    corners = np.stack([boxes[..., [0, 2, 0, 2]], boxes[..., [1, 1, 3, 3]], np.ones_like(boxes)], axis=-1)
    points = corners @ matrices[:, np.newaxis, :2].swapaxes(-1, -2)
    low, high = points.min(axis=-2), points.max(axis=-2)
    limit = np.array([size[1], size[0]])
    inside_low, inside_high = np.clip(low, 0, limit), np.clip(high, 0, limit)
    stays = (inside_high - inside_low >= np.minimum(high - low, 1)).all(axis=-1) & (inside_high > inside_low).all(-1)
    stays &= labels >= 0
    moved = np.where(stays[..., np.newaxis], np.concatenate([inside_low, inside_high], axis=-1), 0)
    return moved.astype(boxes.dtype), np.where(stays, labels, -1).astype(labels.dtype)


def _identities(batch: int) -> np.ndarray:
    return np.tile(np.eye(3), (batch, 1, 1))


def _pad(images: np.ndarray, margin_y: int, margin_x: int, fill: int | None) -> np.ndarray:
    margins = ((0, 0), (margin_y, margin_y), (margin_x, margin_x), (0, 0))
    if fill is None:
        return np.pad(images, margins, mode="symmetric")
    return np.pad(images, margins, constant_values=fill)


def _blend(first: np.ndarray, second: np.ndarray, share: np.ndarray) -> np.ndarray:
    return first + share * np.subtract(second, first, dtype=np.float32)
