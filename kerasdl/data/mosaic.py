"""Mosaic: four images of a batch in one, each in a corner, with their boxes.

Objects are seen smaller, with other neighbours and on other ground than theirs. Bochkovskiy, Wang and Liao, YOLOv4,
2020, https://arxiv.org/abs/2004.10934
"""

from __future__ import annotations

import math

import numpy as np

SHARE = 0.5
"""Of the images that become mosaics."""
CENTRE = (0.3, 0.7)
"""Where the four meet, as a share of the sides."""
SCALES = (0.5, 1.0)
"""What images are scaled by, evenly on a scale of ratios."""
VISIBLE = 0.3
"""Share of a box that must be inside its quarter: of less, nobody could say what it is."""
SLIVER = 2.0
"""Pixels that a side of a box must keep."""


def mosaic(
    generator: np.random.Generator, images: np.ndarray, boxes: np.ndarray, labels: np.ndarray, *, fill: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Make mosaics of some images of a batch, each with three others of it.

    The corner of each image lies where the four meet; boxes are cut at the border of their quarter and slivers
    dropped.

    Args:
        generator: Where all randomness comes from.
        images: Shape (batch, height, width, channels), uint8.
        boxes: Left, top, right, bottom in pixels, shape (batch, boxes, 4), float.
        labels: Shape (batch, boxes), -1 for padding.
        fill: What is where no image reaches.

    Returns:
        New images, boxes and labels. There may be more boxes an image than before, up to four times as many.
    """
    batch, height, width = images.shape[:3]
    chosen = np.flatnonzero(generator.random(batch) < SHARE)
    if not len(chosen):
        return images, boxes, labels
    count = len(chosen)
    centres = np.floor(generator.uniform(*CENTRE, size=(count, 2)) * [width, height])
    scales = np.exp(generator.uniform(math.log(SCALES[0]), math.log(SCALES[1]), size=(4, count)))
    sources = np.concatenate([chosen[np.newaxis], generator.integers(batch, size=(3, count))])
    made = np.full((count, *images.shape[1:]), fill, np.uint8)
    all_boxes, all_labels = [], []
    for quarter, (scale, source) in enumerate(zip(scales, sources, strict=True)):
        right, below = quarter % 2 == 1, quarter >= 2
        low = np.where([right, below], centres, 0).astype(int)
        high = np.where([right, below], [width, height], centres).astype(int)
        # The corner that is nearest to the middle of the mosaic lies there.
        shifts = centres - scale[:, np.newaxis] * [0 if right else width, 0 if below else height]
        for number in range(count):
            (left, top), (end, bottom) = low[number], high[number]
            place = made[number, top:bottom, left:end]
            _scale_into(place, images[source[number]], float(scale[number]), shifts[number] - low[number])
        moved = boxes[source] * scale[:, np.newaxis, np.newaxis] + np.tile(shifts, 2)[:, np.newaxis]
        cut, kept = _cut(moved, labels[source], np.concatenate([low, high], axis=1)[:, np.newaxis])
        all_boxes.append(cut)
        all_labels.append(kept)
    return _merge(images, boxes, labels, chosen, made, np.concatenate(all_boxes, 1), np.concatenate(all_labels, 1))


def _scale_into(place: np.ndarray, image: np.ndarray, scale: float, shift: np.ndarray) -> None:
    """Write an image that is scaled, then shifted by (right, down) pixels, into a place, bilinearly, as far as it fits.

    Only what is seen of an image is computed, which is a quarter of what a warp of whole images would.
    """
    inside, lower, share = [], [], []
    for axis, (old, new, moved) in enumerate(zip(image.shape, place.shape, (shift[1], shift[0]), strict=False)):
        source = (np.arange(new) + 0.5 - moved) / scale - 0.5
        found = np.flatnonzero((source > -0.5) & (source < old - 0.5))
        source = np.clip(source[found], 0, old - 1)
        first = np.minimum(source.astype(int), max(old - 2, 0))
        inside.append(found)
        lower.append((first, np.minimum(first + 1, old - 1)))
        share.append((source - first).astype(np.float32).reshape((-1, 1, 1) if axis == 0 else (1, -1, 1)))
    if not len(inside[0]) or not len(inside[1]):
        return
    upper, under = (image[rows].astype(np.float32) for rows in lower[0])
    blended = upper + share[0] * (under - upper)
    before, after = (blended[:, columns] for columns in lower[1])
    # Half more, so that taking the whole part is rounding.
    found = (before + share[1] * (after - before) + np.float32(0.5)).astype(np.uint8)
    place[inside[0][0] : inside[0][-1] + 1, inside[1][0] : inside[1][-1] + 1] = found


def _cut(boxes: np.ndarray, labels: np.ndarray, window: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cut boxes at a window, shape (batch, 1, 4), and drop those of which too little is left."""
    inside = np.concatenate(
        [np.maximum(boxes[..., :2], window[..., :2]), np.minimum(boxes[..., 2:], window[..., 2:])], axis=-1
    )
    sides, whole = inside[..., 2:] - inside[..., :2], boxes[..., 2:] - boxes[..., :2]
    enough = np.maximum(sides, 0).prod(axis=-1) >= VISIBLE * whole.prod(axis=-1)
    kept = (labels >= 0) & enough & (sides >= np.minimum(SLIVER, whole)).all(axis=-1) & (sides > 0).all(axis=-1)
    return np.where(kept[..., np.newaxis], inside, 0), np.where(kept, labels, -1)


def _merge(
    images: np.ndarray,
    boxes: np.ndarray,
    labels: np.ndarray,
    chosen: np.ndarray,
    made: np.ndarray,
    new_boxes: np.ndarray,
    new_labels: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Put mosaics in the places of images, padding last, with as many columns of boxes as are needed."""
    order = np.argsort(new_labels < 0, axis=1, kind="stable")
    width = max(boxes.shape[1], int((new_labels >= 0).sum(axis=1).max()))
    order = order[:, :width]
    grown = width - boxes.shape[1]
    images = images.copy()
    boxes = np.pad(boxes, ((0, 0), (0, grown), (0, 0)))
    labels = np.pad(labels, ((0, 0), (0, grown)), constant_values=-1)
    images[chosen] = made
    boxes[chosen] = np.take_along_axis(new_boxes, order[..., np.newaxis], 1)
    labels[chosen] = np.take_along_axis(new_labels, order, 1)
    return images, boxes, labels
