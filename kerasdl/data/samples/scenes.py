"""Scenes made of real small images: digits or garments at random sizes and places on textured ground, with their boxes.

They are made when they are loaded, in a few seconds, the same for the same version every time. Scenes of one split
are made of images of that split only, so that no test digit was ever seen in training.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

SIZE = 128
"""Pixels a side of a scene."""
COUNTS = {"train": 1500, "validation": 250, "test": 250}
EMPTY = 0.05
"""Share of scenes without objects."""
MOST = 6
"""Objects in a scene at most."""
SIDES = (20, 56)
"""Pixels of the longer side of an object, at least and at most."""
COVERED = 0.2
"""Share of an object's box that others may cover at most."""
INK = 0.35
"""Opacity from which on a pixel belongs to an object: its box is around those."""

Triple = tuple[np.ndarray, list[np.ndarray], list[np.ndarray]]


def digit_scenes(data_dir: str | Path | None = None) -> dict[str, Triple]:
    """Return scenes of scikit-learn's handwritten digits: images, boxes (left, top, right, bottom) and labels by split.

    Args:
        data_dir: Not needed.

    https://archive.ics.uci.edu/dataset/80/optical+recognition+of+handwritten+digits
    """
    from sklearn.datasets import load_digits

    found = load_digits()
    parts = _divide(found.target, {"validation": 0.1, "test": 0.2})
    return {
        split: make_scenes(found.images[indices] / 16, found.target[indices], COUNTS[split], seed=number)
        for number, (split, indices) in enumerate(parts.items())
    }


def garment_scenes(data_dir: str | Path | None = None) -> dict[str, Triple]:
    """Return scenes of Fashion-MNIST's garments: images, boxes and labels by split; test scenes of test garments.

    Args:
        data_dir: Where TFDS keeps Fashion-MNIST.

    https://github.com/zalandoresearch/fashion-mnist
    """
    from kerasdl.data.loading import load

    found = load("fashion_mnist", data_dir=data_dir)
    names = np.array(found.class_names)
    return {
        split: make_scenes(
            # What is dark in a garment is part of it; only what is almost black is outside.
            np.minimum(part.inputs[..., 0] / 64.0, 1.0),
            names[part.targets],
            COUNTS[split] * (4 if split == "train" else 1),
            seed=number,
            shades=part.inputs[..., 0] / 255.0,
        )
        for number, (split, part) in enumerate(found.splits.items())
    }


def _divide(targets: np.ndarray, fractions: dict[str, float]) -> dict[str, np.ndarray]:
    """Return sorted indices by split; of every class each fraction is drawn."""
    generator = np.random.default_rng(0)
    chosen: dict[str, list[np.ndarray]] = {split: [] for split in ("train", *fractions)}
    for label in np.unique(targets):
        left = generator.permutation(np.flatnonzero(targets == label))
        for split, fraction in fractions.items():
            count = round(fraction * (targets == label).sum())
            chosen[split].append(left[:count])
            left = left[count:]
        chosen["train"].append(left)
    return {split: np.sort(np.concatenate(parts)) for split, parts in chosen.items()}


def make_scenes(
    shapes: np.ndarray, labels: np.ndarray, count: int, *, seed: int, shades: np.ndarray | None = None
) -> Triple:
    """Make scenes.

    Args:
        shapes: How opaque each small image is, in [0, 1], shape (number, height, width).
        labels: The class of each.
        count: How many scenes.
        seed: Fixes everything random.
        shades: How bright each small image is, in [0, 1]; None where it has one colour.

    Returns:
        Images of shape (count, SIZE, SIZE, 3), uint8; for each, boxes of shape (boxes, 4), float64, and labels.
    """
    generator = np.random.default_rng((seed, 2026))
    images = np.empty((count, SIZE, SIZE, 3), np.uint8)
    boxes, classes = [], []
    for number in range(count):
        scene = _ground(generator)
        there: list[tuple[float, ...]] = []
        names = []
        wanted = 0 if generator.random() < EMPTY else int(generator.integers(1, MOST, endpoint=True))
        for _ in range(wanted):
            chosen = int(generator.integers(len(shapes)))
            opacity, shade = _scaled(generator, shapes[chosen], None if shades is None else shades[chosen])
            place = _place(generator, opacity, there)
            if place is not None:
                there.append(_paint(generator, scene, opacity, shade, place))
                names.append(labels[chosen])
        images[number] = np.clip(scene + 0.5, 0, 255)
        boxes.append(np.array(there, np.float64).reshape(-1, 4))
        classes.append(np.array(names, labels.dtype))
    return images, boxes, classes


def _ground(generator: np.random.Generator) -> np.ndarray:
    """Return a textured ground of dim colours, float32 of shape (SIZE, SIZE, 3): noise of several scales."""
    ground = np.zeros((2, 2, 3), np.float32) + generator.uniform(50, 150, 3).astype(np.float32)
    for cells, strength in ((2, 30), (8, 22), (32, 12)):
        noise = generator.standard_normal((cells, cells, 3), np.float32)
        ground = _zoom(ground, cells, cells) + noise * np.float32(strength * generator.uniform(0.3, 1))
    grain = generator.standard_normal((SIZE, SIZE, 1), np.float32) * np.float32(5)
    return np.clip(_zoom(ground, SIZE, SIZE) + grain, 0, 200)


def _zoom(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Scale an image of shape (rows, columns, ...) bilinearly; pixels are squares and borders are repeated."""
    for axis, side in enumerate((height, width)):
        old = image.shape[axis]
        place = np.clip((np.arange(side) + 0.5) * old / side - 0.5, 0, old - 1)
        lower = np.minimum(place.astype(int), max(old - 2, 0))
        share = (
            (place - lower).astype(np.float32).reshape([-1 if number == axis else 1 for number in range(image.ndim)])
        )
        first, second = image.take(lower, axis), image.take(np.minimum(lower + 1, old - 1), axis)
        image = first + (second - first) * share
    return image


def _scaled(
    generator: np.random.Generator, shape: np.ndarray, shade: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return a small image at a random size, cut to what is opaque, and its brightness."""
    # Even on a scale of ratios, so that small and large ones are as frequent. A margin lets edges fade out.
    padded = np.pad(shape, 1)
    side = np.exp(generator.uniform(*np.log(SIDES)))
    rows, columns = (np.flatnonzero((padded > INK).any(axis=axis)) for axis in (1, 0))
    factor = side / max(rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1)
    height, width = (max(round(length * factor), 2) for length in padded.shape)
    opacity = _zoom(padded, height, width)
    rows, columns = (np.flatnonzero((opacity > INK).any(axis=axis)) for axis in (1, 0))
    cut = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    return opacity[cut], None if shade is None else _zoom(np.pad(shade, 1, mode="edge"), height, width)[cut]


def _place(
    generator: np.random.Generator, opacity: np.ndarray, there: list[tuple[float, ...]]
) -> tuple[int, int] | None:
    """Return a row and column where an object covers no other too much; None when ten random ones do."""
    height, width = opacity.shape
    for _ in range(10):
        top, left = int(generator.integers(SIZE - height + 1)), int(generator.integers(SIZE - width + 1))
        shares = [_covered((left, top, left + width, top + height), box) for box in there]
        if max(shares, default=0) <= COVERED:
            return top, left
    return None


def _covered(first: tuple[float, ...], second: tuple[float, ...]) -> float:
    """Return the share of the smaller of two boxes that the other covers."""
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (first, second)]
    return max(width, 0) * max(height, 0) / min(areas)


def _paint(
    generator: np.random.Generator,
    scene: np.ndarray,
    opacity: np.ndarray,
    shade: np.ndarray | None,
    place: tuple[int, int],
) -> tuple[float, ...]:
    """Paint an object over a scene, in place, in a colour that stands out, and return its box."""
    (top, left), (height, width) = place, opacity.shape
    under = scene[top : top + height, left : left + width]
    colour = generator.uniform(120, 255, 3)
    colour *= max(1.0, (under.mean() + 70) / colour.mean())
    painted: Any = colour if shade is None else colour * (0.35 + 0.65 * shade[..., np.newaxis])
    share = opacity[..., np.newaxis]
    scene[top : top + height, left : left + width] = under + (painted - under) * share
    return float(left), float(top), float(left + width), float(top + height)
