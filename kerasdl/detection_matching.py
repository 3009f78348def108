"""Which detection finds which box, and the average precision of that, fast enough for use in training.

The rules are COCO's; all images are matched at once, a detection of each at a time. `kerasdl.detection_metrics` has the
official numbers.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from kerasdl.detection_assignment import wanted

THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0, 1, 101)
# Images that are matched at a time: all detections are compared with all boxes, at each threshold.
IMAGES = 256


@dataclasses.dataclass(frozen=True)
class Matches:
    """What each detection has found, at each IoU threshold.

    Attributes:
        box: Index of the box in its image, -1 for none, int64 (images, detections, thresholds).
        ignored: Whether it counts for nothing: padding, or in a crowd without a box of its own; bool, same shape.
    """

    box: np.ndarray
    ignored: np.ndarray


def match(
    targets: np.ndarray,
    boxes: np.ndarray,
    scores: np.ndarray,
    labels: np.ndarray,
    *,
    thresholds: np.ndarray = THRESHOLDS,
) -> Matches:
    """Match detections with boxes of their class: best score first, each with the nearest box that is left.

    Args:
        targets: (images, max_boxes, 6): box, class (-1 for padding), 1 for a crowd.
        boxes: Detections, (images, detections, 4).
        scores: (images, detections).
        labels: (images, detections), -1 for padding.
        thresholds: Least intersection over union of a match.

    Example:
        >>> missed = match(targets, **found).box[..., 0] < 0
    """
    parts = [
        _match(targets[part], boxes[part], scores[part], labels[part], thresholds)
        for begin in range(0, max(len(labels), 1), IMAGES)
        for part in [slice(begin, begin + IMAGES)]
    ]
    return Matches(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("box", "ignored")))


def _match(
    targets: np.ndarray, boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray, thresholds: np.ndarray
) -> Matches:
    images, count, levels = *labels.shape, len(thresholds)
    found = Matches(np.full((images, count, levels), -1), np.repeat((labels < 0)[..., None], levels, axis=-1))
    if not images or not count or not targets.shape[1]:
        return found
    shares = overlaps(targets, boxes, labels)
    crowd = targets[..., 5] != 0
    free = np.repeat(~crowd[:, None], levels, axis=1)
    everyone, last = np.arange(images), targets.shape[1] - 1
    for place in np.argsort(-np.where(labels >= 0, scores, -np.inf), axis=1, kind="stable").T:
        overlap = shares[everyone, place][:, None]
        # A score of 1 would else miss by rounding.
        enough = overlap >= np.minimum(thresholds, 1 - 1e-10)[:, None]
        left = np.where(enough & free, overlap, -1.0)
        # Of boxes that overlap equally COCO takes the last.
        best = last - left[..., ::-1].argmax(axis=-1)
        row, level = np.nonzero(left.max(axis=-1) >= 0)
        free[row, level, best[row, level]] = False
        found.box[row, place[row], level] = best[row, level]
        in_crowd = (enough & crowd[:, None]).any(axis=-1)
        found.ignored[everyone, place] |= in_crowd & (found.box[everyone, place] < 0)
    return found


def average_precision(
    targets: np.ndarray, boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray, *, num_classes: int
) -> dict[str, float]:
    """Return "map", "map50" and "map75" of up to 100 detections an image, as COCO defines them; NaN without a box.

    Args:
        targets: As for :func:`match`, also the next three.
        boxes: Detections.
        scores: Of the detections.
        labels: Of the detections.
        num_classes: Number of classes.

    Example:
        >>> average_precision(split.targets, **found, num_classes=10)["map50"]
    """
    matches = match(targets, boxes, scores, labels)
    there = wanted(targets)
    found = []
    for index in range(num_classes):
        total = int((there & (targets[..., 4] == index)).sum())
        if total:
            mine = labels == index
            found.append(_precision(scores[mine], matches.box[mine] >= 0, matches.ignored[mine], total))
    if not found:
        return dict.fromkeys(("map", "map50", "map75"), float("nan"))
    mean = np.mean(found, axis=0)
    return {"map": float(mean.mean()), "map50": float(mean[0]), "map75": float(mean[5])}


def _precision(scores: np.ndarray, right: np.ndarray, ignored: np.ndarray, total: int) -> np.ndarray:
    """Average precision at each threshold: the mean over 101 recalls of the best precision at that recall or above."""
    order = np.argsort(-scores, kind="stable")
    right, ignored = right[order], ignored[order]
    hits = np.cumsum(right & ~ignored, axis=0)
    misses = np.cumsum(~right & ~ignored, axis=0)
    precision = hits / np.maximum(hits + misses, 1)
    precision = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
    padded = np.concatenate([precision, np.zeros((1, precision.shape[1]))])
    places = [np.searchsorted(recall, RECALLS) for recall in (hits / total).T]
    return np.array([padded[place, level].mean() for level, place in enumerate(places)])


def overlaps(targets: np.ndarray, boxes: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the intersection over union of detections and boxes of one class, over the detection with a crowd; else 0.

    Args:
        targets: As for :func:`match`, also the next two.
        boxes: Detections.
        labels: Of the detections.

    Returns:
        (images, detections, max_boxes).
    """
    real, boxes = targets[:, None, :, :4].astype(np.float64), boxes[:, :, None].astype(np.float64)
    low, high = np.maximum(real[..., :2], boxes[..., :2]), np.minimum(real[..., 2:], boxes[..., 2:])
    common = np.prod(np.maximum(high - low, 0), axis=-1)
    area, own = (np.prod(corners[..., 2:] - corners[..., :2], axis=-1) for corners in (real, boxes))
    crowd = targets[:, None, :, 5] != 0
    union = np.where(crowd, own, area + own - common)
    same = (labels[..., None] == targets[:, None, :, 4]) & (labels[..., None] >= 0)
    return np.where(same, common / np.maximum(union, 1e-12), 0.0)
