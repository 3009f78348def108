"""Findings on detectors: each on numbers that have the fault, and none on numbers of a healthy training."""

from __future__ import annotations

import numpy as np
import pytest

from kerasdl.detection_assignment import unseen
from kerasdl.diagnostics import diagnose_detector
from recipes import object_detection

FALLING = {"loss": [2.0, 1.5, 1.2, 1.1], "val_loss": [2.0, 1.6, 1.3, 1.35]}
CONFIG = object_detection.resolve() | {"image_size": [128, 128]}
HEALTHY = {
    "history": FALLING,
    "config": CONFIG,
    "unseen": 6,
    "boxes": 5000,
    "found": {"train": (960, 1000), "validation": (790, 830)},
    "sizes": {"small": (480, 520), "medium": (310, 310), "large": (0, 0)},
    "wrong": {"duplicates": 4, "confused": 12, "misplaced": 6, "background": 8},
    "believed": 820,
    "confused": {"7 as 1": 5},
}


def found(**changed):
    return diagnose_detector(**HEALTHY | changed)


def test_a_healthy_training_has_none():
    assert found() == []
    few = {"duplicates": 2, "confused": 2, "misplaced": 0, "background": 2}
    sizes = {"small": (2, 4), "medium": (9, 10), "large": (0, 0)}
    assert found(wrong=few, believed=20, sizes=sizes) == [], "chance, with so few"


@pytest.mark.parametrize(
    ("name", "changed", "remedy"),
    [
        ("diverged", {"history": {"loss": [1.0, float("nan")], "val_loss": [1.0, 2.0]}}, {"gradient_clip": 1.0}),
        ("boxes_unseen", {"unseen": 300}, {"strides": [4, 8, 16, 32]}),
        (
            "boxes_unseen",
            {"unseen": 300, "config": CONFIG | {"strides": (4, 8, 16)}},
            {"image_size": [256, 256]},
        ),
        ("finds_nothing", {"found": {"train": (960, 1000), "validation": (5, 830)}}, {"epochs": 36}),
        (
            "overfitting",
            {"found": {"train": (990, 1000), "validation": (700, 830)}},
            {"augmentation": "shift,scale,color,mosaic"},
        ),
        (
            "overfitting",
            {"found": {"train": (990, 1000), "validation": (700, 830)}, "config": CONFIG | {"augmentation": "none"}},
            {"augmentation": "shift,scale,color"},
        ),
        (
            "underfitting",
            {
                "found": {"train": (600, 1000), "validation": (490, 830)},
                "history": {"loss": [2.0, 1.5], "val_loss": [2.0, 1.5]},
            },
            {"epochs": 36},
        ),
        ("duplicates", {"wrong": HEALTHY["wrong"] | {"duplicates": 90}}, {"iou_threshold": 0.5}),
        ("background_confusion", {"wrong": HEALTHY["wrong"] | {"background": 90}}, {"epochs": 36}),
        ("class_confusion", {"wrong": HEALTHY["wrong"] | {"confused": 90}}, {"size": "small"}),
        (
            "missed_sizes",
            {"sizes": {"small": (250, 520), "medium": (300, 310), "large": (0, 0)}},
            {"strides": [4, 8, 16, 32]},
        ),
        (
            "missed_sizes",
            {"sizes": {"small": (500, 520), "medium": (300, 310), "large": (50, 120)}},
            {"strides": [8, 16, 32, 64]},
        ),
    ],
)
def test_each_fault_is_found_alone_with_a_remedy_that_the_recipe_takes(name, changed, remedy):
    findings = found(**changed)
    assert name in [finding.name for finding in findings]
    finding = next(finding for finding in findings if finding.name == name)
    assert remedy.items() <= finding.remedy.items()
    object_detection.resolve(**finding.remedy)
    if name not in ("finds_nothing", "diverged"):
        assert len(findings) == 1, findings


def test_small_boxes_between_the_locations_are_really_unseen():
    targets = np.zeros((50, 4, 6), np.float32)
    corners = np.random.default_rng(0).uniform(0, 120, (50, 4, 2))
    targets[..., :2], targets[..., 2:4] = corners, corners + 3
    count = int(unseen(targets, (128, 128), strides=(8, 16, 32)).sum())
    names = [finding.name for finding in found(unseen=count, boxes=200)]
    assert names == ["boxes_unseen"]
    # A grid of half the distance sees more of them.
    assert unseen(targets, (128, 128), strides=(4, 8, 16, 32)).sum() < count
