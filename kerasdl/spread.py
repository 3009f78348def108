"""Some of many, spread evenly over all of them: a sample that is the same each time and misses no part."""

from __future__ import annotations

import numpy as np


def spread(count: int, most: int) -> np.ndarray:
    """Return at most `most` indices of `count` things, rising, from the first to the last.

    Example:
        >>> spread(9, 3)
        array([0, 4, 8])
    """
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(int))
