"""COCO's numbers are pycocotools' own, and the fast ones are the same."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest

from kerasdl import detection_matching
from kerasdl.detection_matching import average_precision, match
from kerasdl.detection_metrics import coco_metrics

CLASSES = 4
Found = dict[str, np.ndarray]


def scenes(seed: int, *, images: int = 40, noise: float = 4.0, crowds: float = 0.1) -> tuple[np.ndarray, Found]:
    """Boxes, and detections of a detector that misses some, repeats some, confuses some and sees what is not there."""
    rng = np.random.default_rng(seed)
    targets = np.full((images, 6, 6), -1, np.float32)
    targets[..., 5] = 0
    found = {"boxes": np.full((images, 20, 4), -1.0), "scores": np.full((images, 20), -1.0)}
    found["labels"] = np.full((images, 20), -1)
    for image in range(images):
        count = rng.integers(0, 7)
        corner, size = rng.uniform(0, 200, (count, 2)), rng.uniform(8, 160, (count, 2))
        label = rng.integers(0, CLASSES - 1, count)
        crowd = rng.uniform(size=count) < crowds
        targets[image, :count] = np.column_stack([corner, corner + size, label, crowd])
        for place in range(rng.integers(0, 20)):
            real = count and rng.uniform() < 0.8
            box = targets[image, rng.integers(count), :5] if real else np.array([*rng.uniform(0, 99, 2), 150, 150, 1])
            found["boxes"][image, place] = np.sort((box[:4] + rng.normal(0, noise, 4)).reshape(2, 2), axis=0).ravel()
            found["labels"][image, place] = box[4] if rng.uniform() < 0.9 else rng.integers(CLASSES)
            # In steps, so that there are ties, of which both take those first that come first.
            found["scores"][image, place] = np.round(rng.uniform(), 2)
    return targets, found


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("noise", [0.0, 4.0, 12.0])
def test_the_fast_numbers_are_those_of_coco(seed: int, noise: float) -> None:
    targets, found = scenes(seed, noise=noise, crowds=0.1 if seed else 0.0)
    official = coco_metrics(targets, **found, num_classes=CLASSES).summary
    for name, value in average_precision(targets, **found, num_classes=CLASSES).items():
        assert value == pytest.approx(official[name], abs=1e-9), name


def test_the_summary_is_that_of_pycocotools(monkeypatch: pytest.MonkeyPatch) -> None:
    from pycocotools import cocoeval

    made = []
    real = cocoeval.COCOeval
    monkeypatch.setattr(cocoeval, "COCOeval", lambda *arguments: made.append(real(*arguments)) or made[0])
    targets, found = scenes(5)
    ours = coco_metrics(targets, **found, num_classes=CLASSES)
    with contextlib.redirect_stdout(io.StringIO()):
        made[0].summarize()
    expected = made[0].stats
    names = {"map": 0, "map50": 1, "map75": 2, "map_small": 3, "map_medium": 4, "map_large": 5, "recall": 8}
    assert {name: pytest.approx(expected[place]) for name, place in names.items()} == ours.summary
    # the last class is nowhere, and counts for nothing
    assert np.isnan(ours.by_class["map"][-1])
    assert np.nanmean(ours.by_class["map50"]) == pytest.approx(ours.summary["map50"])
    assert ours.precision.shape == (2, len(detection_matching.RECALLS), CLASSES)
    assert np.nanmean(ours.precision[1]) == pytest.approx(ours.summary["map75"])
    assert (np.diff(ours.precision[..., 0], axis=1) <= 0).all()


def test_perfect_and_empty(capsys: pytest.CaptureFixture[str]) -> None:
    targets, _ = scenes(1, crowds=0.0)
    perfect = {"boxes": targets[..., :4], "scores": (targets[..., 4] >= 0) * 1.0, "labels": targets[..., 4].astype(int)}
    nothing = {"boxes": perfect["boxes"], "scores": perfect["scores"], "labels": np.full(targets.shape[:2], -1)}
    no_targets = np.where(np.arange(6) == 4, -1, targets)
    for given, detections, expected in (
        (targets, perfect, 1.0),
        (targets, nothing, 0.0),
        (no_targets, perfect, np.nan),
    ):
        official = coco_metrics(given, **detections, num_classes=CLASSES).summary
        fast = average_precision(given, **detections, num_classes=CLASSES)
        assert fast["map"] == pytest.approx(expected, nan_ok=True)
        assert official["map"] == pytest.approx(expected, nan_ok=True)
    none = average_precision(targets[:, :0], **perfect, num_classes=CLASSES)
    assert np.isnan(none["map"])
    assert capsys.readouterr().out == ""


def test_a_box_is_found_once_and_a_crowd_counts_for_nothing() -> None:
    targets = np.array([[[0, 0, 10, 10, 0, 0], [50, 50, 90, 90, 0, 1]]], np.float32)
    boxes = np.array([[[0, 0, 10, 9], [0, 0, 10, 10], [50, 50, 60, 60], [60, 60, 70, 70], [20, 20, 30, 30]]])
    found = match(
        targets, boxes, np.array([[0.9, 0.8, 0.7, 0.6, 0.5]]), np.zeros((1, 5), int), thresholds=np.array([0.5])
    )
    assert found.box[0, :, 0].tolist() == [0, -1, -1, -1, -1]
    assert found.ignored[0, :, 0].tolist() == [False, False, True, True, False]


def test_images_are_matched_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    targets, found = scenes(3)
    whole = match(targets, **found)
    monkeypatch.setattr(detection_matching, "IMAGES", 7)
    parts = match(targets, **found)
    np.testing.assert_array_equal(parts.box, whole.box)
    np.testing.assert_array_equal(parts.ignored, whole.ignored)
    assert match(targets[:0], **{name: values[:0] for name, values in found.items()}).box.shape == (0, 20, 10)
