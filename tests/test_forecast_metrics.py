"""Measures of forecasts, naive forecasts, the test of significance and the calibration of quantiles."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import mean_absolute_error, mean_pinball_loss

from kerasdl.data import load_forecasting
from kerasdl.forecast_baselines import drift, fit_linear, forecast_baselines, last_value, seasonal_naive
from kerasdl.forecast_metrics import calibration_factors, diebold_mariano, forecast_metrics, losses_by_time

LEVELS = (0.1, 0.5, 0.9)
RNG = np.random.default_rng(0)


def test_metrics_against_scikit_learn():
    truth, forecast = RNG.normal(size=(2, 50, 4, 1))
    quantiles = np.sort(RNG.normal(size=(50, 4, 1, 3)))
    last, scales = RNG.normal(size=(50, 1)), np.full((50, 1), 2.0)
    found = forecast_metrics(truth, forecast, scales=scales, last=last, quantiles=quantiles, levels=LEVELS)
    flat = truth.ravel(), forecast.ravel()
    assert found["mae"] == pytest.approx(mean_absolute_error(*flat))
    assert found["mase"] == pytest.approx(mean_absolute_error(*flat) / 2)
    assert found["rmse"] == pytest.approx(np.sqrt(np.mean((flat[0] - flat[1]) ** 2)))
    assert found["smape"] == pytest.approx(np.mean(200 * np.abs(flat[0] - flat[1]) / (abs(flat[0]) + abs(flat[1]))))
    losses = [mean_pinball_loss(flat[0], quantiles[..., i].ravel(), alpha=level) for i, level in enumerate(LEVELS)]
    assert found["pinball"] == pytest.approx(np.mean(losses))
    inside = (truth >= quantiles[..., 0]) & (truth <= quantiles[..., 2])
    assert found["coverage"] == pytest.approx(inside.mean())
    right = np.sign(truth - last[:, None]) == np.sign(forecast - last[:, None])
    assert found["direction_accuracy"] == pytest.approx(right.mean())


def test_what_was_not_observed_counts_nowhere():
    truth, forecast = RNG.normal(size=(2, 30, 4, 1))
    holes = truth.copy()
    holes[5:] = np.nan
    arguments = {"scales": np.ones((30, 1)), "last": np.zeros((30, 1))}
    some = {"scales": np.ones((5, 1)), "last": np.zeros((5, 1))}
    assert forecast_metrics(holes, forecast, **arguments) == forecast_metrics(truth[:5], forecast[:5], **some)


def test_diebold_mariano_is_students_test_where_losses_are_independent():
    one, other = RNG.normal(1.0, 1, 400), RNG.normal(1.1, 1, 400)
    found = diebold_mariano(one, other, horizon=1)
    paired = stats.ttest_rel(one, other, alternative="less")
    assert found["p_value"] == pytest.approx(paired.pvalue, abs=0.03)
    assert found["p_value"] + diebold_mariano(other, one, horizon=1)["p_value"] == pytest.approx(1)
    assert diebold_mariano(one, one, horizon=1)["p_value"] == 0.5


def test_diebold_mariano_holds_its_level_where_windows_overlap():
    # Losses of windows of 8 steps share 7 of these; a test that took them for independent would reject far more often.
    rejected = 0
    for seed in range(300):
        noise = np.random.default_rng(seed).normal(size=(2, 307))
        one, other = (np.convolve(row, np.ones(8) / 8, "valid") for row in noise)
        rejected += diebold_mariano(one, other, horizon=8)["p_value"] < 0.05
    assert rejected / 300 < 0.1


def test_losses_of_one_time_are_put_together():
    error = np.array([1.0, 3.0, np.nan, 8.0]).reshape(4, 1, 1)
    scales = np.array([1.0, 1.0, 1.0, 2.0]).reshape(4, 1)
    np.testing.assert_array_equal(losses_by_time(error, scales, np.array([20, 10, 20, 10])), [3.5, 1.0])


def test_calibrated_quantiles_hold_as_often_as_they_say():
    truth = RNG.normal(0, 3, (4000, 2, 1))
    quantiles = np.broadcast_to(np.array([-1.0, 0.0, 2.0]), (4000, 2, 1, 3))
    factors = calibration_factors(truth[:2000], quantiles[:2000], LEVELS, middle=1)
    assert (factors[..., 1] == 1).all()
    low, high = -1 * factors[0, 0, 0], 2 * factors[0, 0, 2]
    inside = (truth[2000:, 0, 0] >= low) & (truth[2000:, 0, 0] <= high)
    assert inside.mean() == pytest.approx(0.8, abs=0.03)
    assert (low, high) == pytest.approx((-3.84, 3.84), rel=0.1)


@pytest.fixture(scope="module")
def dataset():
    steps = np.arange(600)
    values = 3 * np.sin(steps * 2 * np.pi / 12) + 0.05 * steps
    return load_forecasting(values, horizon=6, sequence_length=24, season=12)


def test_naive_forecasts(dataset):
    windows, values = dataset.test, dataset.series[0].values[:, 0]
    first = windows.origin[0]
    np.testing.assert_array_equal(last_value(windows)[0, :, 0], np.full(6, values[first - 1]))
    np.testing.assert_array_equal(seasonal_naive(windows)[0, :, 0], values[first - 12 : first - 6])
    slope = (values[first - 1] - values[0]) / (first - 1)
    np.testing.assert_allclose(drift(windows)[0, :, 0], values[first - 1] + slope * np.arange(1, 7), rtol=1e-5)
    forecast = fit_linear(dataset.train)(windows)
    assert np.abs(forecast - windows.targets).mean() < 0.05 * np.abs(seasonal_naive(windows) - windows.targets).mean()


def test_every_baseline_is_measured_alike(dataset):
    found = forecast_baselines(dataset, LEVELS)
    assert list(found) == ["last value", "seasonal naive", "drift", "linear"]
    assert all({"mae", "mase", "pinball", "coverage"} <= set(metrics) for metrics in found.values())
    # A season later all has grown by twelve steps of 0.05.
    assert found["seasonal naive"]["mae"] == pytest.approx(0.6, abs=0.01)
    assert found["seasonal naive"]["mase"] == pytest.approx(1.0, abs=0.01)
