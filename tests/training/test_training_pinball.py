"""The pinball loss is the textbook's, exact about what is missing and about weights."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from sklearn.metrics import mean_pinball_loss

from kerasdl.training import MedianError, PinballLoss

LEVELS = (0.05, 0.5, 0.8)
array = keras.ops.convert_to_numpy


def batch(missing: bool = True) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    y, forecast = rng.standard_normal((6, 5, 2)).astype("float32"), rng.standard_normal((6, 5, 2, 3)).astype("float32")
    if missing:
        y[0] = np.nan
        y[1, 1:] = np.nan
        y[4, :, 1] = np.nan
    return y, forecast


def reference(y: np.ndarray, forecast: np.ndarray) -> float:
    there = ~np.isnan(y)
    return float(np.mean([mean_pinball_loss(y[there], forecast[there][:, i], alpha=a) for i, a in enumerate(LEVELS)]))


@pytest.mark.parametrize("missing", [False, True])
def test_the_mean_over_what_is_there(missing: bool) -> None:
    y, forecast = batch(missing)
    assert float(PinballLoss(LEVELS)(y, forecast)) == pytest.approx(reference(y, forecast), rel=1e-6)


def test_weights_multiply_an_example_as_in_keras() -> None:
    y, forecast = batch(missing=False)
    weights = np.array([0, 1, 2, 3, 0.5, 1], "float32")
    each = [reference(y[i : i + 1], forecast[i : i + 1]) for i in range(6)]
    assert float(PinballLoss(LEVELS)(y, forecast, sample_weight=weights)) == pytest.approx(np.mean(weights * each))
    # one level of 0.5 is half the mean absolute error, weighted as Keras weights it
    mae = keras.losses.MeanAbsoluteError()(y.reshape(6, -1), forecast[..., 1].reshape(6, -1), sample_weight=weights)
    ours = PinballLoss((0.5,))(y, forecast[..., 1:2], sample_weight=weights)
    assert float(ours) == pytest.approx(float(mae) / 2, rel=1e-6)


def test_weights_and_missing_targets_together() -> None:
    y, forecast = batch()
    weights = np.array([9, 1, 2, 3, 0.5, 1], "float32")
    there = ~np.isnan(y)
    sums = sum(reference(y[i : i + 1], forecast[i : i + 1]) * there[i].sum() * weights[i] for i in range(1, 6))
    assert float(PinballLoss(LEVELS)(y, forecast, sample_weight=weights)) == pytest.approx(sums / there.sum(), rel=1e-6)


def test_nothing_there_costs_nothing() -> None:
    y, forecast = batch()
    assert float(PinballLoss(LEVELS)(np.full_like(y, np.nan), forecast)) == 0.0


def test_what_is_missing_has_no_gradient() -> None:
    y, forecast = batch()
    y, start = y.reshape(6, 10, 1), forecast.reshape(6, 10, 1, 3)
    layer = keras.layers.Dense(3, use_bias=False, kernel_initializer="identity")
    model = keras.Sequential([keras.Input((10, 1, 3)), layer])
    model.compile(keras.optimizers.SGD(1.0), PinballLoss(LEVELS), run_eagerly=True)
    model.train_on_batch(start, y)
    found = np.eye(3) - array(layer.kernel)
    there = ~np.isnan(y)
    error = y[there][:, None] - start[there]
    expected = start[there].T @ np.where(error > 0, -np.array(LEVELS), 1 - np.array(LEVELS)) / (3 * there.sum())
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_the_median_error_adds_up_over_batches() -> None:
    y, forecast = batch()
    metric = MedianError(LEVELS)
    weights = np.array([9, 1, 2, 3, 0.5, 1], "float32")
    for part in (slice(0, 2), slice(2, 6)):
        metric.update_state(y[part], forecast[part], sample_weight=weights[part])
    w = np.broadcast_to(weights[:, None, None], y.shape)
    error = np.abs(y - forecast[..., 1])
    expected = np.nansum(w * error) / w[~np.isnan(y)].sum()
    assert float(metric.result()) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("thing", [PinballLoss(LEVELS), MedianError(LEVELS)])
def test_from_config(thing: keras.losses.Loss | keras.metrics.Metric) -> None:
    kind = keras.losses if isinstance(thing, PinballLoss) else keras.metrics
    again = kind.deserialize(kind.serialize(thing))
    assert (type(again), again.quantiles, again.name) == (type(thing), LEVELS, thing.name)
