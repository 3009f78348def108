"""The small real data that ships with the kit, by name."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Return 1797 handwritten digits of 8 x 8 pixels and their labels.

    Returns:
        Images of shape (1797, 8, 8, 1), uint8, scaled from [0, 16] to [0, 255]; labels 0 to 9 of shape (1797,).

    https://archive.ics.uci.edu/dataset/80/optical+recognition+of+handwritten+digits
    """
    from sklearn.datasets import load_digits

    found = load_digits()
    return np.round(found.images[..., np.newaxis] * (255 / 16)).astype(np.uint8), found.target


SAMPLES: dict[str, Callable[[], tuple[np.ndarray, np.ndarray]]] = {"digits": digits}
"""From the name of an embedded sample to the function that returns its images and labels."""
