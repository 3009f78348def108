"""Improving a training by its own findings: what helps is kept, what does not is told and dropped."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import kerasdl
from kerasdl import InputError, improvement
from kerasdl.data import DetectionSplit
from kerasdl.diagnostics import Finding
from recipes import image_classification

SHORT: dict[str, Any] = {"architecture": "mlp", "units": 16, "epochs": 2, "learning_rate": 1e-3, "verbose": 0}


def found(*findings: tuple[str, dict[str, Any]]) -> Any:
    """A diagnosis that always finds the same."""
    return lambda *_, **__: [Finding(name, {}, "", remedy) for name, remedy in findings]


def test_what_helps_beyond_noise_is_kept_and_the_story_survives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    remedies = (
        ("useless", {"label_smoothing": 1e-6}),
        ("slow", {"learning_rate": 1e-2}),
        ("wrong", {"learning_rate": 1e-6}),
    )
    monkeypatch.setattr(kerasdl.ImageClassification, "diagnose", found(*remedies))
    call = {**SHORT, "rounds": 3, "directory": tmp_path / "better"}
    result = kerasdl.improve(image_classification, "digits", **call)
    assert [attempt["finding"] for attempt in result.story] == ["", "useless", "slow", "useless"]
    assert [attempt["kept"] for attempt in result.story] == [True, False, True, False]
    assert result.config["learning_rate"] == 1e-2
    gained = result.story[2]
    assert 0 < gained["low"] < gained["gain"] < gained["high"]
    assert gained["score"] == pytest.approx(result.story[0]["score"] + gained["gain"])
    assert "4 trainings, 1 remedies kept" in result.summary()
    # On the disk, and the same call trains nothing again.
    assert json.loads((tmp_path / "better" / improvement.STORY_FILE).read_text()) == result.story
    assert kerasdl.Result.load(tmp_path / "better" / "attempt-2").story == result.story
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "better").glob("*/model.keras")}
    again = kerasdl.improve(image_classification, "digits", **call)
    assert again.story == result.story
    kept = tmp_path / "better" / "attempt-2" / "model.keras"  # sealed again, with its story
    assert {path: path.stat().st_mtime_ns for path in times if path != kept} == {
        p: times[p] for p in times if p != kept
    }


def test_what_did_not_help_is_not_tried_again_after_a_calibration(monkeypatch: pytest.MonkeyPatch):
    remedies = ("useless", {"label_smoothing": 1e-6}), ("unsure", {"calibrate": True})
    monkeypatch.setattr(kerasdl.ImageClassification, "diagnose", found(*remedies))
    monkeypatch.setattr(improvement, "_surer", lambda _, after: 0.1 if after.config["calibrate"] else None)
    result = kerasdl.improve(image_classification, "digits", **SHORT)
    assert [attempt["finding"] for attempt in result.story] == ["", "useless", "unsure"]
    assert result.story[2]["kept"]


@pytest.mark.parametrize(("right", "surer"), [(0.6, np.log(0.6 / 0.5)), (0.5 + 1e-6, None), (0.5, None)])
def test_what_is_likelier_by_rounding_alone_is_not_surer(right: float, surer: float | None):
    results = []
    for score in (0.5, right):
        task = kerasdl.ImageClassification(("a", "b"), multi_label=False, input_shape=(2, 2, 1))
        task.scores = lambda *_, score=score, **__: np.tile([score, 1 - score], (10, 1))
        split = kerasdl.data.Split(np.zeros((10, 2, 2, 1), np.uint8), np.zeros(10, np.int64))
        dataset = SimpleNamespace(validation=split)
        results.append(SimpleNamespace(task=task, model=None, dataset=dataset, config={"batch_size": 1}))
    assert improvement._surer(*results) == (surer and pytest.approx(surer, rel=1e-5))


def test_a_start_that_has_no_finite_loss_is_mended():
    start = {**SHORT, "optimizer": "sgd", "schedule": "constant", "learning_rate": 1e30, "gradient_clip": None}
    with pytest.raises(FloatingPointError, match="No attempt had a finite loss: as it was: failed"):
        kerasdl.improve(image_classification, "digits", **start, normalization="none", rounds=1)


def test_nothing_found_is_nothing_tried(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(kerasdl.ImageClassification, "diagnose", found())
    result = kerasdl.improve("image_classification", "digits", **SHORT)
    assert [attempt["finding"] for attempt in result.story] == [""]


def test_the_mean_of_the_goodness_counts_every_class_the_same():
    task = kerasdl.ImageClassification(("a", "b"), multi_label=False, input_shape=(2, 2, 1))
    task.scores = lambda *_, **__: np.tile([0.9, 0.1], (10, 1))
    split = kerasdl.data.Split(np.zeros((10, 2, 2, 1), np.uint8), np.array([0] * 9 + [1]))
    assert task.goodness(None, split, batch_size=1).mean() == pytest.approx(0.5)


def test_bad_arguments_are_refused():
    for arguments, words in (
        ({"rounds": 0}, "rounds: received 0"),
        ({"budget_minutes": 0}, "budget_minutes"),
        ({"resume": True}, "an argument that improve sets itself"),
        ({"epochs": 0}, "epochs"),
    ):
        with pytest.raises(InputError, match=words):
            kerasdl.improve(image_classification, "digits", **{**SHORT, **arguments})
    with pytest.raises(InputError, match="a recipe, such as"):
        kerasdl.improve(json, "digits")


def test_the_same_boxes_in_larger_images_are_the_same_truth():
    boxes = np.array([[[3.0, 5.0, 30.0, 20.0, 1.0, 0.0], [-1, -1, -1, -1, -1, 0]]], np.float32)
    sizes = np.array([[40, 60]])

    def letterboxed(side: int, targets: np.ndarray) -> DetectionSplit:
        corners = improvement.letterbox.apply(targets[..., :4], sizes, (side, side))
        moved = np.concatenate([corners, targets[..., 4:]], axis=-1).astype(np.float32)
        return DetectionSplit(np.zeros((1, side, side, 3), np.uint8), moved, sizes)

    assert improvement._same_truth(letterboxed(32, boxes), letterboxed(64, boxes))
    assert not improvement._same_truth(letterboxed(32, boxes), letterboxed(64, boxes + np.float32([0, 0, 1, 0, 0, 0])))
    assert not improvement._same_truth(letterboxed(32, boxes), letterboxed(64, boxes + np.float32([0, 0, 0, 0, 1, 0])))
