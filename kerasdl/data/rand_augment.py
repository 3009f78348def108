"""RandAugment: a few changes drawn at random for each image, all at one strength.

The 14 operations and their full strengths are those of the paper's code and torchvision: identity, autocontrast,
equalize, rotate, solarize, color, posterize, contrast, brightness, sharpness, shears and translations.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from kerasdl.data import image_colors, image_geometry

# Each takes amounts, from minus to plus the strength, and the height and width of the images; returns maps.
MOVES: dict[str, Callable[[np.ndarray, tuple[int, int]], np.ndarray]] = {
    "rotate": lambda amounts, size: image_geometry.affine_matrices(size, angles=amounts * math.radians(30)),
    "shear_x": lambda amounts, size: _shear(amounts, size, axis=0),
    "shear_y": lambda amounts, size: _shear(amounts, size, axis=1),
    "translate_x": lambda amounts, size: _translate(amounts * size[1], axis=0),
    "translate_y": lambda amounts, size: _translate(amounts * size[0], axis=1),
}
# Each takes images and amounts; returns tables.
TABLES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "autocontrast": lambda images, amounts: image_colors.autocontrast(images),
    "equalize": lambda images, amounts: image_colors.equalize(images),
    "solarize": lambda images, amounts: image_colors.solarize(images, 255 * (1 - abs(amounts[0]))),
    "posterize": lambda images, amounts: image_colors.posterize(images, 8 - round(4 * abs(amounts[0]))),
    "brightness": lambda images, amounts: image_colors.brightness_contrast(
        images, brightness=1 + 0.9 * amounts, contrast=np.ones(len(images))
    ),
    "contrast": lambda images, amounts: image_colors.brightness_contrast(
        images, brightness=np.ones(len(images)), contrast=1 + 0.9 * amounts
    ),
}
# Each takes images and factors around 1; returns images.
BLENDS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "color": image_colors.saturate,
    "sharpness": image_colors.sharpen,
}
OPERATIONS = ("identity", *MOVES, *TABLES, *BLENDS)


def rand_augment(
    generator: np.random.Generator,
    images: np.ndarray,
    *,
    fill: int | None = None,
    num_operations: int = 2,
    strength: float = 0.3,
) -> tuple[np.ndarray, np.ndarray]:
    """Change each image by operations drawn at random, each of them as likely, forwards or backwards.

    Cubuk et al., RandAugment: Practical automated data augmentation with a reduced search space, arXiv:1909.13719.

    Args:
        generator: Where all randomness comes from.
        images: Shape (batch, height, width, channels), uint8.
        fill: What comes in from outside, 0 to 255; None for the mirror image.
        num_operations: Operations an image; N in the paper.
        strength: Share of the full strength, in [0, 1]; M / 30 in the paper.

    Returns:
        The images, and the map by which each moved, shape (batch, 3, 3).

    Example:
        >>> images, matrices = rand_augment(np.random.default_rng(0), images)
    """
    size = images.shape[1:3]
    changed = images.copy()
    moved_by = np.tile(np.eye(3), (len(images), 1, 1))
    for _ in range(num_operations):
        chosen = generator.integers(len(OPERATIONS), size=len(images))
        amounts = strength * generator.choice((-1.0, 1.0), size=len(images))
        matrices = np.tile(np.eye(3), (len(images), 1, 1))
        for index, name in enumerate(OPERATIONS):
            which = np.flatnonzero(chosen == index)
            if not len(which):
                continue
            if name in MOVES:
                matrices[which] = MOVES[name](amounts[which], size)
            elif name in TABLES:
                tables = TABLES[name](changed[which], amounts[which])
                changed[which] = image_colors.apply_tables(changed[which], tables)
            elif name in BLENDS:
                changed[which] = BLENDS[name](changed[which], 1 + 0.9 * amounts[which])
        # All moves of a round are one interpolation, and images that do not move are left alone.
        which = np.flatnonzero(np.isin(chosen, [OPERATIONS.index(name) for name in MOVES]))
        changed[which] = image_geometry.warp(changed[which], matrices[which], fill=fill)
        moved_by = matrices @ moved_by
    return changed, moved_by


def _shear(amounts: np.ndarray, size: tuple[int, int], *, axis: int) -> np.ndarray:
    shears = np.zeros((len(amounts), 2))
    shears[:, axis] = 0.3 * amounts
    return image_geometry.affine_matrices(size, shears=shears)


def _translate(pixels: np.ndarray, *, axis: int) -> np.ndarray:
    shifts = np.zeros((len(pixels), 2))
    # 150 of 331 pixels in the paper's code.
    shifts[:, axis] = np.rint(pixels * (150 / 331))
    return image_geometry.shift_matrices(shifts)
