"""Metrics: worked by hand, also where a class or every class is missing."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kerasdl.data import Split
from kerasdl.measuring import classification_metrics, predict_scores

TRUTH = np.array([[1, 1, 0], [1, 0, 0], [0, 1, 0], [0, 0, 0]], np.uint8)
SCORES = np.array([[0.9, 0.4, 0.1], [0.8, 0.6, 0.1], [0.2, 0.7, 0.1], [0.3, 0.2, 0.1]], np.float32)


def test_several_labels() -> None:
    metrics = classification_metrics(TRUTH, SCORES)
    # First class: all right. Second: one of two found, and one that is not there. Third: never there, so not averaged.
    assert metrics["subset_accuracy"] == 0.5
    assert metrics["macro_f1"] == pytest.approx((1 + 0.5) / 2)
    assert metrics["micro_f1"] == pytest.approx(2 * 3 / (4 + 4))
    # Second class in order of score: there, not there, there.
    assert metrics["mean_average_precision"] == pytest.approx((1 + (1 + 2 / 3) / 2) / 2)
    losses = -np.log(np.where(TRUTH == 1, SCORES, 1 - SCORES))
    assert metrics["log_loss"] == pytest.approx(losses.mean())


def test_one_example_and_none_of_the_classes() -> None:
    assert classification_metrics(TRUTH[:1], SCORES[:1])["macro_f1"] == 0.5
    nothing = classification_metrics(TRUTH[3:], SCORES[3:])
    assert nothing["subset_accuracy"] == 1.0
    assert math.isnan(nothing["macro_f1"])
    assert math.isnan(nothing["mean_average_precision"])


def test_scores_of_zero_and_one_have_a_finite_loss() -> None:
    assert np.isfinite(classification_metrics(TRUTH, 1 - TRUTH.astype(np.float32))["log_loss"])


def test_one_label() -> None:
    scores = np.array([[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.1, 0.8, 0.1]], np.float32)
    metrics = classification_metrics(np.array([0, 1, 1]), scores)
    assert metrics["accuracy"] == pytest.approx(2 / 3)
    assert metrics["macro_f1"] == pytest.approx(2 / 3)
    assert metrics["log_loss"] == pytest.approx(-np.log([0.7, 0.3, 0.8]).mean(), rel=1e-5)


def test_measuring_takes_smaller_batches_where_memory_runs_out():
    sizes = []

    class Small:
        def predict(self, batches, verbose):
            sizes.append(len(next(iter(batches))[0]))
            if sizes[-1] > 16:
                raise MemoryError
            return np.zeros((200, 2), np.float32)

    split = Split(np.zeros((200, 3)), np.zeros(200, np.int64))
    scores = predict_scores(Small(), split, batch_size=1, multi_label=False)
    np.testing.assert_allclose(scores, 0.5, rtol=1e-6)
    assert scores.shape == (200, 2)
    assert sizes == [128, 64, 32, 16]

    class Broken:
        def predict(self, batches, verbose):
            raise ValueError("another error")

    with pytest.raises(ValueError, match="another error"):
        predict_scores(Broken(), split, batch_size=1, multi_label=False)
