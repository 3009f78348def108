"""What a detector gets wrong: which detections are right, and of what kind the others are; how good each image's are.

Kinds are those of Bolya et al., TIDE, arXiv:2008.08115.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from kerasdl.detection_assignment import wanted
from kerasdl.detection_matching import RECALLS, THRESHOLDS, match, overlaps

AT = np.array([0.5])
"""Least intersection over union of a detection that is right."""
TOUCHING = 0.1
"""Below that intersection over union a detection has nothing to do with a box."""


@dataclasses.dataclass(frozen=True)
class DetectionErrors:
    """Detections of at least some score, and the boxes, told apart.

    Attributes:
        least: That score.
        right: Detections that are right, bool (images, detections), as the next four are.
        duplicates: That overlap with a box of their class which a better one has found.
        confused: Where a box of another class is.
        misplaced: That touch a box, and do not cover it enough.
        background: Where nothing is.
        found: Which boxes are found, bool (images, boxes).
        wanted: Which are to be found: no padding, no crowds.
    """

    least: float
    right: np.ndarray
    duplicates: np.ndarray
    confused: np.ndarray
    misplaced: np.ndarray
    background: np.ndarray
    found: np.ndarray
    wanted: np.ndarray


def best_score(targets: np.ndarray, boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray) -> float:
    """Return the score from which on detections are to be believed: where precision and recall agree best (F1).

    Args:
        targets: (images, max_boxes, 6).
        boxes: Detections, (images, detections, 4).
        scores: (images, detections).
        labels: (images, detections), -1 for padding.

    Returns:
        A score; infinite where no detection is right.
    """
    matches = match(targets, boxes, scores, labels, thresholds=AT)
    counting = ~matches.ignored[..., 0]
    right, scores = (matches.box[..., 0] >= 0)[counting], scores[counting]
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(right[order])
    if not len(hits) or not hits[-1]:
        return float("inf")
    count = int(wanted(targets).sum())
    return float(scores[order][np.argmax(2 * hits / (np.arange(1, len(hits) + 1) + count))])


def find_errors(
    targets: np.ndarray, boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray, *, least: float
) -> DetectionErrors:
    """Tell the detections of at least the score `least` apart; the other arguments are those of :func:`best_score`.

    Example:
        >>> wrong = find_errors(split.targets, **found, least=best_score(split.targets, **found))
        >>> wrong.background.sum(), (wrong.wanted & ~wrong.found).sum()
    """
    labels = np.where(scores >= least, labels, -1)
    matches = match(targets, boxes, scores, labels, thresholds=AT)
    box, counting = matches.box[..., 0], (labels >= 0) & ~matches.ignored[..., 0]
    right = counting & (box >= 0)
    there = wanted(targets)
    if targets.shape[1]:
        # Whatever the class: labels and targets of one class.
        alike = np.where(there, 0, -1)
        one = np.concatenate([targets[..., :4], alike[..., None], targets[..., 5:]], axis=-1)
        near = overlaps(one, boxes, np.where(labels >= 0, 0, -1))
        same = near * (labels[..., None] == targets[:, None, :, 4])
    else:
        near = same = np.zeros((*labels.shape, 1))
    wrong = counting & ~right
    duplicates = wrong & (same.max(axis=-1) >= AT[0])
    confused = wrong & ~duplicates & (near.max(axis=-1) >= AT[0])
    misplaced = wrong & ~duplicates & ~confused & (near.max(axis=-1) >= TOUCHING)
    found = np.zeros(there.shape, bool)
    images, places = np.nonzero(right)
    found[images, box[images, places]] = True
    background = wrong & ~duplicates & ~confused & ~misplaced
    return DetectionErrors(least, right, duplicates, confused, misplaced, background, found, there)


def goodness(targets: np.ndarray, boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return how good the detections of each image are, in [0, 1], by themselves: (images,).

    The average precision of the image's own detections over COCO's thresholds, whatever their classes; of an image
    without objects, how little the best detection is believed. The arguments are those of :func:`best_score`.
    """
    matches = match(targets, boxes, scores, labels)
    order = np.argsort(-np.where(labels >= 0, scores, -np.inf), axis=1, kind="stable")[..., None]
    right = np.take_along_axis((matches.box >= 0) & ~matches.ignored, order, axis=1)
    counting = np.take_along_axis(~matches.ignored, order, axis=1)
    hits = np.cumsum(right, axis=1)
    precision = hits / np.maximum(np.cumsum(counting, axis=1), 1)
    precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    count = wanted(targets).sum(axis=1)
    recall = hits / np.maximum(count, 1)[:, None, None]
    total = np.zeros((len(targets), len(THRESHOLDS)))
    for level in RECALLS:
        # The best precision at that recall or above: precision falls and recall grows along the detections.
        total += np.where(recall >= level - 1e-12, precision, 0).max(axis=1, initial=0)
    best = np.where(labels >= 0, scores, 0).max(axis=1, initial=0)
    return np.where(count > 0, total.mean(axis=1) / len(RECALLS), 1 - best)
