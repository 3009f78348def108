"""What of a detector's answer is decided, so that an export can be held to it: order and suppression are not always.

Two detections whose scores differ by less than rounding may change places, and where a box overlaps with a better one
by almost the threshold, rounding says whether it stays. So detections are compared with the nearest of the other
answer, and images whose detections would be others with thresholds a little off are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from kerasdl.export.outputs import Outputs


def undecided_images(
    answer: Callable[[Any], Outputs], layer: Callable[..., Any], expected: Outputs, tolerance: float
) -> np.ndarray:
    """Return of which images the detections hang on the last digits, bool (count,).

    Args:
        answer: From a layer of detections to what the model answers with it.
        layer: Makes such a layer, with some arguments changed.
        expected: The answer with none changed.
        tolerance: Within which numbers may differ.
    """
    usual = layer()
    found = np.zeros(len(expected["count"]), bool)
    most = expected["scores"].shape[1]
    for sign in (-1, 1):
        changes = {
            "score_threshold": max(0.0, usual.score_threshold + sign * 2 * tolerance),
            "iou_threshold": usual.iou_threshold + sign * 2 * tolerance,
            "candidates": usual.candidates + sign,
        }
        for name, value in changes.items():
            other = answer(layer(**{name: value}))
            found |= other["count"] != expected["count"]
            found |= (np.abs(other["scores"] - expected["scores"]) > tolerance).any(axis=-1)
    # What would come after the last place that there is.
    more = answer(layer(num_detections=most + 1))["scores"][:, most]
    return found | ((more >= 0) & (expected["scores"][:, most - 1] - more <= 2 * tolerance))


def settled(expected: Outputs, undecided: np.ndarray, *, least: float, unit: float) -> Callable[[Outputs], Outputs]:
    """Return what brings an answer into the order of the expected one, and undecided images to their best score.

    Args:
        expected: What the live model answers.
        undecided: Which images are left out but for the best score, which hangs on no order, if it is above `least`.
        least: Surely above the threshold of scores.
        unit: Pixels that boxes are measured in.
    """
    sure = undecided & (expected["scores"][:, 0] > least)

    def settle(found: Outputs) -> Outputs:
        order = np.tile(np.arange(found["scores"].shape[1]), (len(undecided), 1))
        for image in np.flatnonzero(~undecided):
            order[image] = _order({name: values[image] for name, values in expected.items()}, found, int(image))
        told = {}
        for name, values in found.items():
            if name != "count":
                values = np.take_along_axis(values, order[..., None] if values.ndim == 3 else order, axis=1)
            values = values / np.float32(unit) if name == "boxes" else values.copy()
            values[undecided] = "" if values.dtype == object else 0
            told[name] = values
        told["scores"][sure, 0] = found["scores"][sure, 0]
        return told

    return settle


def _order(expected: Outputs, found: Outputs, image: int) -> np.ndarray:
    """Return for each expected detection of an image the one that was found nearest to it, each once."""
    count = int(min(expected["count"], found["count"][image]))
    order = np.arange(len(expected["scores"]))
    labels, boxes, scores = (found[name][image, :count] for name in ("label", "boxes", "scores"))
    left = np.ones(count, bool)
    for place in range(count):
        distance = np.abs(boxes - expected["boxes"][place]).max(axis=-1) + np.abs(scores - expected["scores"][place])
        distance = np.where(left & (labels == expected["label"][place]), distance, np.inf)
        order[place] = int(distance.argmin()) if np.isfinite(distance).any() else int(left.argmax())
        left[order[place]] = False
    return order
