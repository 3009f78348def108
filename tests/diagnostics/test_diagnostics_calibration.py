"""Calibration: planted over-confidence is measured and mended, and small or calibrated splits raise no alarm."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

import kerasdl
from kerasdl.diagnostics import (
    best_temperature,
    calibration_error,
    diagnose_calibration,
    reliability,
    reliability_picture,
)
from kerasdl.errors import InputError
from kerasdl.training import divide_logits

CONFIG: dict[str, Any] = {"calibrate": False, "label_smoothing": 0.0}


def calibrated(count: int = 2000, classes: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return logits, and labels drawn by their softmax."""
    generator = np.random.default_rng(seed)
    logits = 2 * generator.normal(size=(count, classes))
    shares = softmax(logits)
    draws = generator.random((count, 1))
    return logits, np.minimum((shares.cumsum(axis=1) < draws).sum(axis=1), classes - 1)


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def test_calibration_error_by_hand() -> None:
    # Twenty examples make two bins: one sure by 0.6 and half right, one sure by 0.9 and right.
    confidences = np.array([0.6] * 10 + [0.9] * 10)
    right = np.array([True, False] * 5 + [True] * 10)
    error, chance = calibration_error(confidences, right)
    assert error == pytest.approx((0.1 + 0.1) / 2)
    # So few examples of a calibrated model are farther from its confidences than that.
    assert error < chance
    bins = reliability(confidences, right)
    assert [each["accuracy"] for each in bins] == [0.5, 1.0]
    assert all(each["low"] <= each["confidence"] <= each["high"] for each in bins)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 3.0])
def test_the_temperature_is_found(temperature: float) -> None:
    logits, targets = calibrated()
    assert best_temperature(temperature * logits, targets) == pytest.approx(temperature, rel=0.08)
    rows = (np.random.default_rng(1).random(logits.shape) < 1 / (1 + np.exp(-logits))).astype(np.uint8)
    assert best_temperature(temperature * logits, rows) == pytest.approx(temperature, rel=0.08)


def test_a_few_right_answers_do_not_make_scores_of_one() -> None:
    logits = np.array([[2.0, 0.0]] * 5)
    # Five of five: the score is 6 of 7.
    temperature = best_temperature(logits, np.zeros(5, int))
    assert softmax(logits / temperature)[0, 0] == pytest.approx(6 / 7, abs=1e-4)


def test_scores_that_are_too_sure() -> None:
    logits, targets = calibrated(500)
    finding = diagnose_calibration(softmax(3 * logits), targets, CONFIG)
    assert finding is not None
    assert finding.remedy == {"calibrate": True}
    assert finding.evidence["mean_score"] > finding.evidence["accuracy"] + 0.05
    assert finding.evidence["temperature"] == pytest.approx(3, rel=0.2)
    assert finding.evidence["calibration_error_after"] < finding.evidence["calibration_error"] / 2
    picture = reliability_picture(finding.details["bins"], after=finding.details["bins_after"], title="a < b")
    assert picture.count("<svg") == 1
    assert "a &lt; b" in picture
    assert "nan" not in picture


def test_scores_that_are_not_sure_enough() -> None:
    logits, targets = calibrated()
    unsure = softmax(0.3 * logits)
    finding = diagnose_calibration(unsure, targets, CONFIG)
    assert finding is not None
    assert "less sure" in finding.advice
    # Label smoothing asks for it; a calibrated model is as sure as it is right all the same.
    assert diagnose_calibration(unsure, targets, CONFIG | {"label_smoothing": 0.1}) is None
    assert diagnose_calibration(unsure, targets, CONFIG | {"label_smoothing": 0.1, "calibrate": True}) is not None


@pytest.mark.parametrize("count", [5, 40, 150, 2000])
def test_no_alarm(count: int) -> None:
    for seed in range(20):
        logits, targets = calibrated(count, seed=seed)
        assert diagnose_calibration(softmax(logits), targets, CONFIG) is None


def test_logits_are_divided_in_the_weights(digits_result: kerasdl.Result) -> None:
    model = keras.models.clone_model(digits_result.model)
    model.set_weights(digits_result.model.get_weights())
    images = digits_result.dataset.test.inputs[:20]
    before = model.predict(images, verbose=0)
    divide_logits(model, 2.5)
    np.testing.assert_allclose(model.predict(images, verbose=0), before / 2.5, rtol=1e-5, atol=1e-6)
    with pytest.raises(InputError, match="calibrate"):
        divide_logits(keras.Sequential([keras.Input((3,)), keras.layers.Dense(2), keras.layers.Softmax()]), 2.0)


def test_a_calibrated_training_answers_the_same_with_other_scores(tmp_path: Any) -> None:
    from recipes import image_classification

    options: dict[str, Any] = {"architecture": "mlp", "units": (32,), "epochs": 2, "learning_rate": 0.02, "verbose": 0}
    plain = image_classification.train("digits", **options)
    run = image_classification.train("digits", **options, calibrate=True, directory=tmp_path / "run")
    validation = plain.dataset.validation
    logits = plain.model.predict(validation.inputs, verbose=0)
    temperature = best_temperature(logits, validation.targets)
    images = plain.dataset.test.inputs
    expected = softmax(plain.model.predict(images, verbose=0).astype(float) / temperature)
    answers = run.predict(images)
    np.testing.assert_allclose(answers["scores"], expected, atol=1e-4)
    assert (answers["label"] == plain.predict(images)["label"]).all()
    assert run.metrics["accuracy"] == plain.metrics["accuracy"]
    # Asked again, the model needs no other temperature; and what was saved is the calibrated model.
    assert run.task.temperature(run.model, validation, batch_size=64) == pytest.approx(1, abs=1e-3)
    loaded = kerasdl.Result.load(tmp_path / "run")
    np.testing.assert_array_equal(loaded.predict(images)["scores"], answers["scores"])
