"""Findings on a detector: boxes that no location sees, objects it misses, and of what kind its wrong answers are.

Shares are compared by the Wilson score interval, see `kerasdl.diagnostics.curves`; boxes count as independent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kerasdl.diagnostics.curves import SMALLEST_GAP, Finding, diverged, wilson_interval

# Of the training boxes: fewer that no location sees are not worth a finer grid.
UNSEEN = 0.01
# Of the detections that are to be believed: fewer of a kind that are wrong are not worth a remedy.
WRONG = 0.05
# Kinds of objects of a size are told of when the others are found more often by so much, beyond chance.
SIZE_GAP = 0.1
LARGEST_SIDE = 1280


def diagnose_detector(
    *,
    history: Mapping[str, Sequence[float]],
    config: Mapping[str, Any],
    unseen: int,
    boxes: int,
    found: Mapping[str, tuple[int, int]],
    sizes: Mapping[str, tuple[int, int]],
    wrong: Mapping[str, int],
    believed: int,
    confused: Mapping[str, int],
) -> list[Finding]:
    """Diagnose a detector's training.

    Args:
        history: Curves by name; "loss" and "val_loss" are read.
        config: The recipe's resolved arguments, which the remedies start from.
        unseen: Training boxes that no location of the detector can find.
        boxes: All training boxes.
        found: Of "train" and "validation" how many boxes are found, and how many there are.
        sizes: The same of the "small", "medium" and "large" boxes of the validation split.
        wrong: Of the believed detections of the validation split how many are "duplicates", "confused", "misplaced" and
            "background".
        believed: How many those are.
        confused: How often which class is taken for which, by "one as another".

    Returns:
        The findings; empty when nothing is wrong.

    Reference: the kinds of wrong detections are those of Bolya et al., TIDE, arXiv:2008.08115.
    """
    checks = (
        diverged(history, config),
        boxes_unseen(unseen, boxes, config),
        _nothing_found(found["validation"], config),
        _overfitting(found, config),
        _underfitting(history, found["train"], config),
        _duplicates(wrong["duplicates"], believed, config),
        _background(wrong["background"], believed, config),
        _confusion(wrong["confused"], believed, confused, config),
        _missed_sizes(sizes, config),
    )
    return [finding for finding in checks if finding is not None]


def boxes_unseen(unseen: int, boxes: int, config: Mapping[str, Any]) -> Finding | None:
    """Find boxes that lie between the locations: the rule is that over 1 % of the training boxes have none, surely.

    FCOS learns from locations inside of boxes, so that what has none is never learned (arXiv:1904.01355).
    """
    if not boxes or wilson_interval(unseen / boxes, boxes)[0] <= UNSEEN:
        return None
    return Finding(
        "boxes_unseen",
        {"unseen_share": unseen / boxes, "unseen_boxes": unseen, "boxes": boxes},
        "No location of the detector lies in some boxes: too small for its finest grid, they are never learned.",
        _finer(config),
    )


def _finer(config: Mapping[str, Any]) -> dict[str, Any]:
    strides = list(config["strides"])
    if strides[0] > 4:
        return {"strides": [strides[0] // 2, *strides]}
    return _larger_images(config)


def _larger_images(config: Mapping[str, Any]) -> dict[str, Any]:
    size = config.get("image_size")
    if not isinstance(size, (list, tuple)) or 2 * max(size) > LARGEST_SIDE:
        return {}
    return {"image_size": [2 * side for side in size]}


def _nothing_found(found: tuple[int, int], config: Mapping[str, Any]) -> Finding | None:
    right, count = found
    _, high = wilson_interval(right / count, count) if count else (0.0, 1.0)
    if high >= 0.1:
        return None
    return Finding(
        "finds_nothing",
        {"found_share": right / count, "upper_bound": high, "validation_boxes": count},
        "The detector finds next to none of the objects: it has not begun to learn.",
        {"epochs": 2 * config["epochs"]},
    )


def _overfitting(found: Mapping[str, tuple[int, int]], config: Mapping[str, Any]) -> Finding | None:
    (right, boxes), (new, count) = found["train"], found["validation"]
    if not boxes or not count:
        return None
    low, high = wilson_interval(right / boxes, boxes)[0], wilson_interval(new / count, count)[1]
    gap = right / boxes - new / count
    if low <= high or gap < SMALLEST_GAP:
        return None
    augmentation = config.get("augmentation", "none")
    words = augmentation.split(",") if isinstance(augmentation, str) else list(augmentation)
    remedy: dict[str, Any]
    if words in (["none"], []):
        remedy = {"augmentation": "shift,scale,color"}
    elif "mosaic" not in words:
        remedy = {"augmentation": ",".join([*words, "mosaic"])}
    else:
        remedy = {"weight_decay": max(0.01, 2 * (config.get("weight_decay") or 0.0))}
    return Finding(
        "overfitting",
        {
            "train_found": right / boxes,
            "validation_found": new / count,
            "gap": gap,
            "gap_beyond_chance": low - high,
            "validation_boxes": count,
        },
        "The detector finds the objects of its training images better than those of new ones; change the images more, "
        "or give it more of them.",
        remedy,
    )


def _underfitting(
    history: Mapping[str, Sequence[float]], found: tuple[int, int], config: Mapping[str, Any]
) -> Finding | None:
    losses, (right, count) = np.asarray(history["val_loss"], dtype=float), found
    if not count:
        return None
    _, high = wilson_interval(right / count, count)
    still_falling = len(losses) < 2 or int(np.nanargmin(losses)) == len(losses) - 1
    # Objects hide each other, so that not even all of the training images' can be found: 90 % can.
    if high >= 0.9 or not still_falling:
        return None
    return Finding(
        "underfitting",
        {"train_found": right / count, "upper_bound": high, "last_val_loss": float(losses[-1])},
        "The detector does not even find the objects of its training images and was still improving: train longer, or "
        "enlarge it.",
        {"epochs": 2 * config["epochs"]},
    )


def _duplicates(count: int, believed: int, config: Mapping[str, Any]) -> Finding | None:
    if not _surely(count, believed):
        return None
    threshold = config.get("iou_threshold", 0.6)
    return Finding(
        "duplicates",
        {"duplicate_share": count / believed, "duplicates": count, "detections": believed},
        "Objects are found twice: boxes of one object overlap by less than what is suppressed.",
        {"iou_threshold": round(threshold - 0.1, 2)} if threshold > 0.3 else {},
    )


def _background(count: int, believed: int, config: Mapping[str, Any]) -> Finding | None:
    if not _surely(count, believed):
        return None
    return Finding(
        "background_confusion",
        {"background_share": count / believed, "background_detections": count, "detections": believed},
        "The detector sees objects where none are marked: add images with nothing in them, or look whether objects "
        "were left unmarked.",
        {"epochs": 2 * config["epochs"]},
    )


def _confusion(count: int, believed: int, pairs: Mapping[str, int], config: Mapping[str, Any]) -> Finding | None:
    if not _surely(count, believed):
        return None
    most = dict(sorted(pairs.items(), key=lambda pair: -pair[1])[:10])
    return Finding(
        "class_confusion",
        {"confused_share": count / believed, "confused": count, "detections": believed},
        "Objects are found and taken for another class"
        + (f", most often {next(iter(most))}" if most else "")
        + ": more images of these classes, or a larger detector.",
        {"size": {"nano": "small"}.get(config.get("size", ""), "base")} if config.get("size") != "base" else {},
        {"pairs": most},
    )


def _missed_sizes(sizes: Mapping[str, tuple[int, int]], config: Mapping[str, Any]) -> Finding | None:
    worst = None
    for name, (right, count) in sizes.items():
        others = [pair for other, pair in sizes.items() if other != name]
        rest, all_of_them = sum(pair[0] for pair in others), sum(pair[1] for pair in others)
        if not count or not all_of_them:
            continue
        gap = wilson_interval(rest / all_of_them, all_of_them)[0] - wilson_interval(right / count, count)[1]
        if gap > SIZE_GAP and (worst is None or gap > worst[1]):
            worst = name, gap, right / count, rest / all_of_them, count
    if worst is None:
        return None
    name, _, share, rest_share, count = worst
    coarser = {"strides": [*config["strides"], 2 * config["strides"][-1]]}
    return Finding(
        "missed_sizes",
        {f"{name}_found": share, "others_found": rest_share, "boxes": count},
        f"Objects that are {name} in the original images are missed far more often than others.",
        {"small": _finer(config), "medium": {}, "large": coarser}[name],
    )


def _surely(count: int, believed: int) -> bool:
    return believed > 0 and wilson_interval(count / believed, believed)[0] > WRONG
