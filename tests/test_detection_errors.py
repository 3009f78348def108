"""What a detector gets wrong, told apart on answers whose every kind of mistake is known."""

from __future__ import annotations

import numpy as np
import pytest

from kerasdl.detection_errors import best_score, find_errors, goodness
from kerasdl.detection_findings import found_by_size

# Two boxes of classes 0 and 1, a crowd, padding; and an image with nothing in it.
TARGETS = np.array(
    [
        [[10, 10, 30, 30, 0, 0], [40, 40, 60, 60, 1, 0], [70, 70, 90, 90, 0, 1], [0, 0, 0, 0, -1, 0]],
        [[0, 0, 0, 0, -1, 0]] * 4,
    ],
    np.float32,
)
ROWS = [
    ((10, 10, 30, 30), 0.9, 0, "right"),
    ((12, 10, 30, 30), 0.8, 0, "duplicates"),
    ((40, 40, 60, 60), 0.7, 0, "confused"),
    ((10, 10, 30, 16), 0.6, 0, "misplaced"),
    ((5, 60, 20, 80), 0.5, 1, "background"),
    ((72, 72, 88, 88), 0.4, 0, "ignored"),
    ((0, 0, 5, 5), 0.05, 0, "not believed"),
]


def answers():
    boxes = np.array([[row[0] for row in ROWS]] * 2, np.float32)
    scores = np.array([[row[1] for row in ROWS]] * 2, np.float32)
    labels = np.array([[row[2] for row in ROWS], [-1] * len(ROWS)])
    scores[1] = -1
    return {"boxes": boxes, "scores": scores, "labels": labels}


def test_each_kind_is_told():
    errors = find_errors(TARGETS, **answers(), least=0.1)
    for kind in ("right", "duplicates", "confused", "misplaced", "background"):
        expected = [row[3] == kind for row in ROWS]
        np.testing.assert_array_equal(getattr(errors, kind)[0], expected, err_msg=kind)
        assert not getattr(errors, kind)[1].any()
    assert errors.found[0].tolist() == [True, False, False, False]
    assert errors.wanted.sum() == 2


def test_without_any_box():
    nothing = np.zeros((2, 0, 6), np.float32)
    errors = find_errors(nothing, **answers(), least=0.1)
    assert errors.background[0].sum() == 6
    assert goodness(nothing, **answers()) == pytest.approx([0.1, 1.0])
    assert best_score(nothing, **answers()) == float("inf")


def test_the_score_to_believe():
    # One right of two boxes: with 0.9 alone F1 is 2/3, and any more detections are wrong.
    assert best_score(TARGETS, **answers()) == pytest.approx(0.9)


def test_goodness_of_each_image():
    perfect = {
        "boxes": TARGETS[:, :2, :4],
        "scores": np.array([[0.9, 0.8], [0.3, -1]], np.float32),
        "labels": np.array([[0, 1], [0, -1]]),
    }
    assert goodness(TARGETS, **perfect) == pytest.approx([1.0, 0.7])
    half = {name: values[:, :1] for name, values in perfect.items()}
    # One of two boxes: precision 1 up to a recall of a half, 51 of 101 recalls.
    assert goodness(TARGETS, **half)[0] == pytest.approx(51 / 101)


def test_sizes():
    errors = find_errors(TARGETS, **answers(), least=0.1)
    assert found_by_size(TARGETS, errors) == {"small": (1, 2), "medium": (0, 0), "large": (0, 0)}
    assert found_by_size(TARGETS * [3, 3, 3, 3, 1, 1], errors)["medium"] == (1, 2)
