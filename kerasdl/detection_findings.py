"""Measuring what the diagnosis of a detector asks for: on some training images, and on the validation split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasdl.detection_assignment import unseen, wanted
from kerasdl.detection_errors import AT, DetectionErrors, best_score, find_errors
from kerasdl.detection_matching import overlaps
from kerasdl.spread import spread

if TYPE_CHECKING:
    import keras

    from kerasdl.data import DetectionDataset, DetectionSplit
    from kerasdl.detection_task import Found, ObjectDetection

# Images of a split that are looked at.
MOST = 500


def detection_findings(
    task: ObjectDetection,
    model: keras.Model,
    dataset: DetectionDataset,
    *,
    history: Mapping[str, Sequence[float]],
    config: Mapping[str, Any],
) -> list[Any]:
    """Return the findings on a detector's training: see :func:`kerasdl.diagnostics.diagnose_detector`.

    Args:
        task: What it detects.
        model: The trained detector.
        dataset: The data it was trained on; the test split is not looked at.
        history: Curves by name.
        config: The recipe's resolved arguments.
    """
    from kerasdl.diagnostics import diagnose_detector, diagnose_leakage, find_leaks

    train, validation = _some(dataset.train), _some(dataset.validation)
    answers = [task.detections(model, split, batch_size=config["batch_size"]) for split in (train, validation)]
    # Chosen on new images and used for both.
    least = best_score(validation.targets, **answers[1])
    learned, new = (
        find_errors(split.targets, **found, least=least)
        for split, found in zip((train, validation), answers, strict=True)
    )
    targets, _ = task.in_originals(validation, answers[1])
    kinds = ("duplicates", "confused", "misplaced", "background")
    wrong = {name: int(getattr(new, name).sum()) for name in kinds}
    stored: Any = dataset.train
    boxes = wanted(stored.targets)

    def right(name: str) -> np.ndarray:
        split: Any = dataset.splits[name]
        if name == "validation" and len(split) == len(validation):
            errors = new
        else:
            found = task.detections(model, split, batch_size=config["batch_size"])
            errors = find_errors(split.targets, **found, least=least)
        wrong = errors.duplicates | errors.confused | errors.misplaced | errors.background
        return np.asarray((errors.found | ~errors.wanted).all(axis=1) & ~wrong.any(axis=1))

    leaks = find_leaks({name: split.inputs for name, split in dataset.splits.items()}, kind="images")
    leakage = diagnose_leakage(leaks, right=right, config=config)
    found = diagnose_detector(
        history=history,
        config=config,
        unseen=int(unseen(stored.targets, task.image_size, strides=task.strides).sum()),
        boxes=int(boxes.sum()),
        found={"train": _found(learned), "validation": _found(new)},
        sizes=found_by_size(targets, new),
        wrong=wrong,
        believed=int(new.right.sum()) + sum(wrong.values()),
        confused=_confused(validation.targets, answers[1], new, task.class_names),
    )
    return found if leakage is None else [leakage, *found]


def found_by_size(targets: np.ndarray, errors: DetectionErrors) -> dict[str, tuple[int, int]]:
    """Return how many boxes of each of COCO's sizes are found, and how many there are.

    Args:
        targets: In pixels of the original images.
        errors: Of the detections in them.
    """
    from kerasdl.detection_metrics import AREAS

    area = (targets[..., 2] - targets[..., 0]) * (targets[..., 3] - targets[..., 1])
    return {
        name: _found(errors, (area > low) & (area <= high) if low else area <= high)
        for name, (low, high) in AREAS.items()
    }


def _found(errors: DetectionErrors, where: Any = True) -> tuple[int, int]:
    return int((errors.found & errors.wanted & where).sum()), int((errors.wanted & where).sum())


def _some(split: Any) -> DetectionSplit:
    """Return images from all over a split, enough to tell shares by."""
    return split.taken(spread(len(split), MOST))


def _confused(targets: np.ndarray, found: Found, errors: DetectionErrors, names: Sequence[str]) -> dict[str, int]:
    """Return how often which class is taken for which."""
    images, places = np.nonzero(errors.confused)
    pairs: dict[str, int] = {}
    for image, place in zip(images, places, strict=True):
        one = np.where(errors.wanted[image], 0, -1)[None, :, None]
        alike = np.concatenate([targets[image : image + 1, :, :4], one, targets[image : image + 1, :, 5:]], axis=-1)
        shares = overlaps(alike, found["boxes"][image : image + 1, place : place + 1], np.zeros((1, 1), int))[0, 0]
        box = int(shares.argmax())
        if shares[box] >= AT[0]:
            said = names[int(found["labels"][image, place])]
            pair = f"{names[int(targets[image, box, 4])]} as {said}"
            pairs[pair] = pairs.get(pair, 0) + 1
    return pairs
