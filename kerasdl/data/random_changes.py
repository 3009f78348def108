"""What augmentation draws at random for each image of a batch, within which limits: one function a word of a policy."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np

from kerasdl.data import image_colors, image_geometry
from kerasdl.data.image_mixing import random_erasing
from kerasdl.data.rand_augment import rand_augment

Change = Callable[[np.random.Generator, np.ndarray, int | None], tuple[np.ndarray, np.ndarray | None]]
"""Of a generator, images and what to fill with: new images, and the map by which each moved if they did."""


def _shift(
    generator: np.random.Generator, images: np.ndarray, fill: int | None
) -> tuple[np.ndarray, np.ndarray | None]:
    largest = np.array([images.shape[2], images.shape[1]]) // 8
    shifts = generator.integers(-largest, largest, size=(len(images), 2), endpoint=True)
    return image_geometry.shift(images, shifts, fill=fill), image_geometry.shift_matrices(shifts)


def _flip(generator: np.random.Generator, images: np.ndarray, fill: int | None) -> tuple[np.ndarray, np.ndarray | None]:
    flips = generator.random(len(images)) < 0.5
    return image_geometry.flip(images, flips), image_geometry.flip_matrices(flips, images.shape[2])


def _color(
    generator: np.random.Generator, images: np.ndarray, fill: int | None
) -> tuple[np.ndarray, np.ndarray | None]:
    brightness, contrast, saturation = generator.uniform(0.8, 1.2, size=(3, len(images)))
    tables = image_colors.brightness_contrast(images, brightness, contrast)
    return image_colors.saturate(image_colors.apply_tables(images, tables), saturation), None


def _rand_augment(
    generator: np.random.Generator, images: np.ndarray, fill: int | None
) -> tuple[np.ndarray, np.ndarray | None]:
    return rand_augment(generator, images, fill=fill)


def _random_erasing(
    generator: np.random.Generator, images: np.ndarray, fill: int | None
) -> tuple[np.ndarray, np.ndarray | None]:
    return random_erasing(generator, images), None


def _rotate(generator: np.random.Generator, batch: int, size: tuple[int, int]) -> np.ndarray:
    return image_geometry.affine_matrices(size, angles=generator.uniform(-math.pi / 12, math.pi / 12, batch))


def _scale(generator: np.random.Generator, batch: int, size: tuple[int, int]) -> np.ndarray:
    return image_geometry.affine_matrices(size, scales=generator.uniform(0.85, 1.15, batch))


def _warp(
    generator: np.random.Generator, images: np.ndarray, fill: int | None, *, names: Sequence[str]
) -> tuple[np.ndarray, np.ndarray | None]:
    maps = [WARPS[name](generator, len(images), images.shape[1:3]) for name in names]
    matrices = functools.reduce(lambda first, then: then @ first, maps)
    return image_geometry.warp(images, matrices, fill=fill), matrices


WARPS: dict[str, Callable[[np.random.Generator, int, tuple[int, int]], np.ndarray]] = {
    "rotate": _rotate,
    "scale": _scale,
}
"""Of a generator, the number of images, their height and width: maps, shape (batch, 3, 3)."""
CHANGES: dict[str, Change] = {
    "shift": _shift,
    "flip": _flip,
    "color": _color,
    "rand_augment": _rand_augment,
    "random_erasing": _random_erasing,
}


def make_changes(names: Sequence[str]) -> list[Change]:
    """Return the changes of these names, in order; neighbours among `WARPS` become one, with one interpolation."""
    changes: list[Change] = []
    for warps, group in itertools.groupby(names, key=WARPS.__contains__):
        neighbours = tuple(group)
        if warps:
            changes.append(functools.partial(_warp, names=neighbours))
        else:
            changes += [CHANGES[name] for name in neighbours]
    return changes
