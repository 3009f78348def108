"""What a report draws of a detector: precision-recall curves, and images with what was found and missed in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kerasdl.detection_errors import DetectionErrors, best_score, find_errors, goodness
from kerasdl.spread import spread

if TYPE_CHECKING:
    import keras

    from kerasdl.data import DetectionDataset
    from kerasdl.detection_metrics import DetectionMetrics
    from kerasdl.detection_task import Found, ObjectDetection

# Images of each group, and of the validation split that the worst are looked for in.
PICTURES, LOOKED_AT = 6, 500
# Classes that have a curve of their own, the worst.
CURVES = 3


def detection_figures(
    task: ObjectDetection, model: keras.Model, dataset: DetectionDataset, *, batch_size: int
) -> dict[str, list[str]]:
    """Draw what a detector finds in the validation split: nobody is to choose by the test split, not even what is seen.

    Args:
        task: What is detected.
        model: The detector.
        dataset: Its data.
        batch_size: Images at a time.

    Returns:
        Figures as HTML, by their heading.
    """
    whole: Any = dataset.validation
    indices = spread(len(whole), LOOKED_AT)
    split = whole.taken(indices)
    found = task.detections(model, split, batch_size=batch_size)
    # Where nothing is right, at least the best guesses are seen.
    least = min(best_score(split.targets, **found), float(found["scores"].max(initial=0)))
    errors = find_errors(split.targets, **found, least=least)
    worst = np.argsort(goodness(split.targets, **found), kind="stable")[:PICTURES]
    shown = spread(len(split), PICTURES)
    measured = task.coco_metrics(split, found)
    return {
        "Precision and recall": [*_curves(task, measured), *_by_class(task, split, measured)],
        f"Detections in the validation split, scores from {least:.2f}": _drawn(
            task, split, found, errors, shown, indices
        ),
        "Worst images of the validation split": _drawn(task, split, found, errors, worst, indices),
    }


def _curves(task: ObjectDetection, measured: DetectionMetrics) -> list[str]:
    from kerasdl.detection_matching import RECALLS
    from kerasdl.pages.chart import curves

    at50, at75 = (_mean(precision) for precision in measured.precision)
    all_classes = curves(
        {"IoU 0.5": at50.tolist(), "IoU 0.75": at75.tolist()},
        title="Precision by recall, mean of all classes,",
        across=RECALLS.tolist(),
        note="of the validation split",
    )
    by_class = measured.by_class["map"]
    known = np.flatnonzero(np.isfinite(by_class))
    worst = known[np.argsort(by_class[known], kind="stable")][:CURVES]
    classes = curves(
        {task.class_names[index]: measured.precision[0][:, index].tolist() for index in worst},
        title="Precision by recall, the worst classes at IoU 0.5,",
        across=RECALLS.tolist(),
        note="of the validation split",
    )
    return [each for each in (all_classes, classes) if each]


def _by_class(task: ObjectDetection, split: Any, measured: DetectionMetrics) -> list[str]:
    from kerasdl.pages.frame import table

    counts = np.bincount(split.targets[..., 4][split.targets[..., 4] >= 0].astype(int), minlength=len(task.class_names))
    rows = [
        [name, int(counts[index]), *(_said(measured.by_class[key][index]) for key in ("map", "map50", "map75"))]
        for index, name in enumerate(task.class_names)
    ]
    return [table(["class", "boxes", "mAP", "mAP50", "mAP75"], rows[:30], caption="Of the validation split")]


def _drawn(
    task: ObjectDetection, split: Any, found: Found, errors: DetectionErrors, chosen: np.ndarray, numbers: np.ndarray
) -> list[str]:
    from kerasdl.diagnostics.detection_picture import DrawnBox, detection_picture
    from kerasdl.pages.chart import figure

    figures = []
    for index in chosen:
        boxes = [
            DrawnBox(split.targets[index, place, :4], task.class_names[int(split.targets[index, place, 4])], "missed")
            for place in np.flatnonzero(errors.wanted[index] & ~errors.found[index])
        ]
        wrong = 0
        for place in np.flatnonzero(found["scores"][index] >= errors.least)[::-1]:
            right = bool(errors.right[index, place])
            wrong += not right
            said = f"{task.class_names[int(found['labels'][index, place])]} {found['scores'][index, place]:.2f}"
            boxes.append(DrawnBox(found["boxes"][index, place], said, "right" if right else "wrong"))
        missed = int((errors.wanted[index] & ~errors.found[index]).sum())
        caption = f"Image {numbers[index]}: {int(errors.right[index].sum())} right, {wrong} wrong, {missed} missed"
        figures.append(figure(detection_picture(split.inputs[index], boxes, title=caption), caption))
    return figures


def _mean(precision: np.ndarray) -> np.ndarray:
    known = np.isfinite(precision).all(axis=0)
    return precision[:, known].mean(axis=1) if known.any() else np.full(len(precision), np.nan)


def _said(value: float) -> str:
    return f"{value:.3f}" if np.isfinite(value) else "none"
