"""Changing the values of a batch of uint8 images: tables of values, saturation, sharpness.

Whatever maps each value on its own is a table of 256 values, for each image or for each of its channels: several
changes make one table, and :func:`apply_tables` looks up a whole batch at once. Factors are as in Pillow's ImageEnhance
and torchvision: 1 changes nothing, 0 leaves nothing of the brightness, contrast, saturation or sharpness.
"""

from __future__ import annotations

import numpy as np

VALUES = np.arange(256)
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""The share of red, green and blue in grey: ITU-R BT.601, as in Pillow."""


def apply_tables(images: np.ndarray, tables: np.ndarray) -> np.ndarray:
    """Replace each value by what its table says.

    Args:
        images: Shape (batch, height, width, channels), uint8.
        tables: Shape (batch, 256), one for each image, or (batch, channels, 256); rounded and clipped to [0, 255].

    Example:
        >>> inverted = apply_tables(images, np.tile(255 - VALUES, (len(images), 1)))
    """
    flat = to_uint8(tables).reshape(-1)
    starts = np.arange(0, flat.size, 256).reshape(len(images), 1, 1, -1)
    return flat[images + starts]


def brightness_contrast(images: np.ndarray, brightness: np.ndarray, contrast: np.ndarray) -> np.ndarray:
    """Return tables, shape (batch, 256), that multiply values, then their distance from the image's mean."""
    means = brightness * images.mean(axis=(1, 2, 3))
    return means[:, np.newaxis] + contrast[:, np.newaxis] * (brightness[:, np.newaxis] * VALUES - means[:, np.newaxis])


def solarize(images: np.ndarray, threshold: float) -> np.ndarray:
    """Return tables that invert all values from `threshold` on."""
    return np.tile(np.where(threshold > VALUES, VALUES, 255 - VALUES), (len(images), 1))


def posterize(images: np.ndarray, bits: int) -> np.ndarray:
    """Return tables that keep the upper `bits` of 8 bits."""
    return np.tile(VALUES & (256 - 2 ** (8 - bits)), (len(images), 1))


def autocontrast(images: np.ndarray) -> np.ndarray:
    """Return tables, shape (batch, channels, 256), that stretch each channel to [0, 255]; a flat one stays."""
    low = images.min(axis=(1, 2))[..., np.newaxis].astype(np.float32)
    high = images.max(axis=(1, 2))[..., np.newaxis]
    span = high - low
    return np.where(span > 0, (VALUES - low) * (255 / np.maximum(span, 1)), VALUES)


def equalize(images: np.ndarray) -> np.ndarray:
    """Return tables, shape (batch, channels, 256), that make each channel's histogram even, as Pillow does."""
    batch, _, _, channels = images.shape
    starts = 256 * np.arange(batch * channels).reshape(batch, 1, 1, channels)
    counts = np.bincount((images + starts).ravel(), minlength=256 * batch * channels).reshape(batch, channels, 256)
    brightest = images.max(axis=(1, 2))[..., np.newaxis]
    step = (counts.sum(axis=-1, keepdims=True) - np.take_along_axis(counts, brightest.astype(np.intp), axis=-1)) // 255
    below = counts.cumsum(axis=-1) - counts
    return np.where(step > 0, (step // 2 + below) // np.maximum(step, 1), VALUES)


def saturate(images: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Move colours away from grey (factors above 1) or towards it; images without three channels stay.

    Args:
        images: Shape (batch, height, width, channels), uint8.
        factors: Shape (batch,).
    """
    if images.shape[-1] != 3:
        return images.copy()
    factors = factors.astype(np.float32)[:, np.newaxis, np.newaxis, np.newaxis]
    grey = (images @ LUMA)[..., np.newaxis]
    return to_uint8(grey + factors * (images - grey))


def sharpen(images: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Move images away from a smoothed copy (factors above 1) or towards it; border pixels stay, as in Pillow.

    Args:
        images: Shape (batch, height, width, channels), uint8.
        factors: Shape (batch,).
    """
    sharpened = images.copy()
    height, width = images.shape[1:3]
    if height < 3 or width < 3:
        return sharpened
    # A float32 holds these sums of integers exactly.
    values = images.astype(np.float32)
    rows = values[:, :-2] + values[:, 1:-1] + values[:, 2:]
    centre = values[:, 1:-1, 1:-1]
    smooth = (rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:] + 4 * centre) / 13
    factors = factors.astype(np.float32)[:, np.newaxis, np.newaxis, np.newaxis]
    sharpened[:, 1:-1, 1:-1] = to_uint8(smooth + factors * (centre - smooth))
    return sharpened


def to_uint8(values: np.ndarray) -> np.ndarray:
    """Return `values` rounded to the nearest integer and cut to [0, 255]."""
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
