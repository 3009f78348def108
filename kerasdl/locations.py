"""Where a detector looks: the grid points of its feature maps, in the order of its outputs.

NumPy only: builders, targets and exports agree on this one order, level by level, row by row.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

STRIDES = (8, 16, 32)
"""Pixels between the grid points of the levels of a detector, unless it is told others."""


def grids(image_size: Sequence[int], strides: Sequence[int] = STRIDES) -> list[tuple[int, int]]:
    """Return the rows and columns of the grid of each level.

    Args:
        image_size: (height, width) in pixels.
        strides: Pixels between grid points, one number a level.

    Example:
        >>> grids((128, 100))
        [(16, 13), (8, 7), (4, 4)]
    """
    height, width = image_size
    return [(-(-height // stride), -(-width // stride)) for stride in strides]


def locations(image_size: Sequence[int], strides: Sequence[int] = STRIDES) -> tuple[np.ndarray, np.ndarray]:
    """Return the locations of a detector: the centres of the cells of its grids.

    Args:
        image_size: (height, width) in pixels.
        strides: Pixels between grid points, one number a level.

    Returns:
        Centres of shape (locations, 2), x and y in pixels, and the stride of each, (locations,), both float32.

    Example:
        >>> centres, stride = locations((128, 128))
        >>> centres[0], stride[0], len(stride)
        (array([4., 4.], dtype=float32), np.float32(8.0), 336)
    """
    centres, steps = [], []
    for (rows, columns), stride in zip(grids(image_size, strides), strides, strict=True):
        y, x = np.mgrid[:rows, :columns]
        centres.append((np.stack([x, y], axis=-1).reshape(-1, 2) + 0.5) * stride)
        steps.append(np.full(rows * columns, stride))
    return np.concatenate(centres).astype(np.float32), np.concatenate(steps).astype(np.float32)
