"""Which box each location of a detector shall find, and which boxes none can: the assignment of FCOS, in NumPy.

Boxes are left, top, right, bottom in pixels. Stored targets are float32 (count, max_boxes, 6): a box, the index of its
class (-1 for padding), and 1 where it is a crowd, which counts neither for nor against a detector.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

from kerasdl.locations import STRIDES, locations

RADIUS = 1.5
"""A location belongs to a box only within so many strides of its centre, to each side (arXiv:2006.09214)."""
REACH = 4.0
"""A level sees boxes whose farthest side is up to so many strides from a location; the coarsest has no limit."""
# So many pairs of box and location are compared at a time: some ten megabytes.
PAIRS = 500_000


@dataclasses.dataclass(frozen=True)
class Assignment:
    """Which box each location shall find.

    Attributes:
        box: Index of the box in its image, -1 for none, int64 (count, locations).
        ignored: Where a location lies in a crowd and belongs to no box, bool (count, locations).
    """

    box: np.ndarray
    ignored: np.ndarray


def assign(
    targets: np.ndarray,
    image_size: Sequence[int],
    *,
    strides: Sequence[int] = STRIDES,
    radius: float = RADIUS,
    reach: float = REACH,
) -> Assignment:
    """Return which box each location shall find: the smallest that it lies in, near the centre of, and is to see.

    Which boxes a location is to see depends on its level, by the farthest side of the box; but a box that no location
    of its level lies in is left to the coarsest finer level with one, so that long thin boxes are not lost.

    Args:
        targets: Stored targets, (count, max_boxes, 6).
        image_size: (height, width) in pixels.
        strides: Of the detector.
        radius: See `RADIUS`.
        reach: See `REACH`.

    Reference: Tian et al., FCOS, arXiv:1904.01355 and arXiv:2006.09214
    """
    count = len(targets)
    centres, _ = locations(image_size, strides)
    owner = np.full((count, len(centres)), -1, np.int64)
    in_crowd = np.zeros((count, len(centres)), bool)
    # What is written last stays: the smallest box.
    image, index = np.nonzero(wanted(targets))
    order = np.argsort(-_area(targets[image, index]), kind="stable")
    image, index = image[order], index[order]
    for part, seen in _candidates(targets[image, index], image_size, strides, radius, reach):
        box, place = np.nonzero(seen)
        owner[image[part][box], place] = index[part][box]
    image, index = np.nonzero(_crowd(targets))
    for each, box in zip(image, targets[image, index], strict=True):
        in_crowd[each] |= (distances_from(box, centres) > 0).all(axis=-1)
    return Assignment(owner, in_crowd & (owner < 0))


def unseen(
    targets: np.ndarray,
    image_size: Sequence[int],
    *,
    strides: Sequence[int] = STRIDES,
    radius: float = RADIUS,
    reach: float = REACH,
    alone: bool = True,
) -> np.ndarray:
    """Return which boxes no location of a detector can find.

    Args:
        targets: Stored targets, (count, max_boxes, 6).
        image_size: (height, width) in pixels.
        strides: Of the detector.
        radius: See `RADIUS`.
        reach: See `REACH`.
        alone: Whether each box is looked at as if it were the only one; else those count too whose locations all
            belong to smaller boxes.

    Returns:
        bool (count, max_boxes): True for a box that has no location. Padding and crowds are False.

    Example:
        >>> share = unseen(split.targets, (128, 128)).sum() / (split.targets[..., 4] >= 0).sum()
    """
    found = wanted(targets)
    image, index = np.nonzero(found)
    if not alone:
        owner = assign(targets, image_size, strides=strides, radius=radius, reach=reach).box
        owning, place = np.nonzero(owner >= 0)
        found[owning, owner[owning, place]] = False
        return found
    for part, seen in _candidates(targets[image, index], image_size, strides, radius, reach):
        found[image[part], index[part]] = ~seen.any(axis=1)
    return found


def _candidates(
    boxes: np.ndarray, image_size: Sequence[int], strides: Sequence[int], radius: float, reach: float
) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield parts of the boxes and which locations see each of them, (boxes, locations)."""
    centres, stride = locations(image_size, strides)
    finest, coarsest = stride == strides[0], stride == strides[-1]
    low = np.where(finest, -1.0, reach * stride / 2)
    high = np.where(coarsest, np.inf, reach * stride)
    step = max(1, PAIRS // len(centres))
    for begin in range(0, len(boxes), step):
        part = slice(begin, begin + step)
        distances = distances_from(boxes[part, None], centres)
        middle = (boxes[part, None, :2] + boxes[part, None, 2:4]) / 2
        near = (np.abs(middle - centres) < radius * stride[:, None]).all(axis=-1)
        farthest = distances.max(axis=-1)
        large = near & (distances.min(axis=-1) > 0) & (farthest > low)
        seen = large & (farthest <= high)
        # A long thin box passes between the points of its level: then the coarsest finer one that has one in it.
        finer = large & (stride == np.where(large, stride, 0).max(axis=1, keepdims=True))
        yield part, np.where(seen.any(axis=1, keepdims=True), seen, finer)


def distances_from(boxes: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Return the distances from points to the left, top, right and bottom of boxes, negative outside, (..., 4)."""
    return np.concatenate([centres - boxes[..., :2], boxes[..., 2:4] - centres], axis=-1)


def _area(boxes: np.ndarray) -> np.ndarray:
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])


def wanted(targets: np.ndarray) -> np.ndarray:
    """Return which boxes are to be found, bool (images, max_boxes): no padding, no crowds."""
    return (targets[..., 4] >= 0) & (targets[..., 5] == 0)


def _crowd(targets: np.ndarray) -> np.ndarray:
    return (targets[..., 4] >= 0) & (targets[..., 5] != 0)
