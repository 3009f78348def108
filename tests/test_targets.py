"""Loss, encoding and metrics of both kinds of targets, in numbers."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from kerasdl import targets
from kerasdl.data import load

IMAGES = np.arange(40, dtype=np.uint8).reshape(40, 1, 1)
ROWS = (np.arange(40)[:, None] % np.array([2, 3, 5]) == 0).astype(np.uint8)
LOGITS = np.array([[2.0, -1.0, 0.5], [-0.5, 0.0, -2.0]], np.float32)


def test_one_class() -> None:
    dataset = load((IMAGES, np.arange(40) % 3))
    ways = targets.loss_and_encoding(dataset, label_smoothing=0.3)
    encoded = ways["encode_targets"](np.array([2, 0]))
    np.testing.assert_array_equal(encoded, [[0, 0, 1], [1, 0, 0]])
    smooth = encoded * 0.7 + 0.1
    expected = -(smooth * keras.ops.convert_to_numpy(keras.ops.log_softmax(LOGITS))).sum(axis=1).mean()
    assert float(ways["loss"](encoded, LOGITS)) == pytest.approx(expected, rel=1e-5)
    assert targets.training_metrics(dataset) == ["accuracy"]


def test_several_classes() -> None:
    dataset = load((IMAGES, ROWS))
    ways = targets.loss_and_encoding(dataset, label_smoothing=0.3)
    encoded = ways["encode_targets"](np.array([[1, 0, 1], [0, 0, 1]], np.uint8))
    assert encoded.dtype == np.float32
    smooth, scores = encoded * 0.7 + 0.15, 1 / (1 + np.exp(-LOGITS))
    expected = -(smooth * np.log(scores) + (1 - smooth) * np.log(1 - scores)).mean()
    assert float(ways["loss"](encoded, LOGITS)) == pytest.approx(expected, rel=1e-5)
    (metric,) = targets.training_metrics(dataset)
    metric.update_state(encoded, LOGITS)
    # A logit above 0 says yes: right in the first class, never in the second; in the third one of two is found.
    assert metric.name == "macro_f1"
    assert float(metric.result()) == pytest.approx((1 + 0 + 2 / 3) / 3, rel=1e-5)
