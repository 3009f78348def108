"""COCO's measures of a detector: the official numbers, by pycocotools.

Boxes are left, top, right, bottom in pixels. COCO tells small, medium and large boxes apart by their area in the pixels
of the original image: bring boxes and targets back to those, where images were resized.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
from typing import Any

import numpy as np

AREAS = {"small": (0, 32**2), "medium": (32**2, 96**2), "large": (96**2, 1e10)}
MAX_DETECTIONS = (1, 10, 100)


@dataclasses.dataclass(frozen=True)
class DetectionMetrics:
    """What COCO says of a detector; NaN where there is no box to find.

    Attributes:
        summary: "map", the mean average precision over the IoU thresholds 0.5, 0.55 to 0.95 and over classes; "map50"
            and "map75", at one threshold; "map_small", "map_medium", "map_large", of boxes up to 32 x 32 pixels, up to
            96 x 96, and above; "recall", the mean of the largest recall with up to 100 detections an image.
        by_class: "map", "map50" and "map75" of each class, (classes,).
        precision: At `RECALLS`, for each class, at the IoU thresholds 0.5 and 0.75, (2, 101, classes).
    """

    summary: dict[str, float]
    by_class: dict[str, np.ndarray]
    precision: np.ndarray


def coco_metrics(
    targets: np.ndarray, boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray, *, num_classes: int
) -> DetectionMetrics:
    """Compare detections with what is there, as COCO does.

    Args:
        targets: What is there, (images, max_boxes, 6): box, class (-1 for padding), 1 for a crowd, in which detections
            count for nothing.
        boxes: Detections, (images, detections, 4).
        scores: (images, detections).
        labels: Their classes, (images, detections), -1 for padding.
        num_classes: Number of classes.

    Example:
        >>> coco_metrics(split.targets, **found, num_classes=10).summary["map50"]

    Reference: Lin et al., Microsoft COCO, arXiv:1405.0312; https://cocodataset.org/#detection-eval
    """
    from pycocotools.cocoeval import COCOeval

    # It prints, and has no switch for that.
    with contextlib.redirect_stdout(io.StringIO()):
        truth = _coco(targets[..., :4], targets[..., 4], num_classes, iscrowd=targets[..., 5].astype(int))
        found = _coco(boxes, labels, num_classes, score=scores)
        evaluation = COCOeval(truth, found, "bbox")
        evaluation.params.maxDets = list(MAX_DETECTIONS)
        evaluation.params.areaRng = [[0, 1e10], *(list(area) for area in AREAS.values())]
        evaluation.params.areaRngLbl = ["all", *AREAS]
        evaluation.evaluate()
        evaluation.accumulate()
    # Threshold, recall, class, area, number of detections; -1 where there is nothing to find.
    precision = np.where(evaluation.eval["precision"] < 0, np.nan, evaluation.eval["precision"])[..., -1]
    recall = np.where(evaluation.eval["recall"] < 0, np.nan, evaluation.eval["recall"])[..., 0, -1]
    every, at50, at75 = precision[..., 0], precision[:1, ..., 0], precision[5:6, ..., 0]
    levels = {"map": every, "map50": at50, "map75": at75}
    summary = {name: _mean(values) for name, values in levels.items()}
    summary |= {f"map_{name}": _mean(precision[..., place]) for place, name in enumerate(AREAS, start=1)}
    return DetectionMetrics(
        summary={**summary, "recall": _mean(recall)},
        by_class={
            name: np.array([_mean(values[..., index]) for index in range(num_classes)])
            for name, values in levels.items()
        },
        precision=np.concatenate([at50, at75]),
    )


def _coco(boxes: np.ndarray, labels: np.ndarray, num_classes: int, **columns: np.ndarray) -> Any:
    """COCO's own object of all boxes that are no padding."""
    from pycocotools.coco import COCO

    rows, places = np.nonzero(labels >= 0)
    corners = boxes[rows, places].astype(np.float64)
    sizes = corners[:, 2:] - corners[:, :2]
    more = {"iscrowd": np.zeros(labels.shape, int), **columns}
    made = COCO()
    made.dataset = {
        "images": [{"id": index} for index in range(len(labels))],
        "categories": [{"id": index} for index in range(num_classes)],
        "annotations": [
            {
                # From 1 on: COCO takes 0 for no match.
                "id": number,
                "image_id": int(row),
                "category_id": int(labels[row, place]),
                "bbox": [*corner[:2].tolist(), *size.tolist()],
                "area": float(size.prod()),
                **{name: values[row, place].item() for name, values in more.items()},
            }
            for number, (row, place, corner, size) in enumerate(zip(rows, places, corners, sizes, strict=True), start=1)
        ],
    }
    made.createIndex()
    return made


def _mean(values: np.ndarray) -> float:
    seen = values[~np.isnan(values)]
    return float(seen.mean()) if len(seen) else float("nan")
