"""Scaling in the graph: filled causally, shifted and stretched with its window, undone exactly, quantiles in order."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from kerasdl import layers
from kerasdl.layers.scaling import fill_forward

NAN = float("nan")
array = keras.ops.convert_to_numpy


def series(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def holes(x: np.ndarray, share: float = 0.4) -> np.ndarray:
    return np.where(np.random.default_rng(1).random(x.shape) < share, np.float32(NAN), x)


@pytest.mark.parametrize("length", [1, 2, 7, 16, 33])
def test_filled_like_pandas_would(length: int) -> None:
    x = holes(series(5, length, 3), 0.7)
    expected = x.copy()
    for step in range(1, length):
        missing = np.isnan(expected[:, step])
        expected[:, step][missing] = expected[:, step - 1][missing]
    np.testing.assert_array_equal(array(fill_forward(keras.ops.convert_to_tensor(x))), expected)


@pytest.mark.parametrize("scaler", ["window", "standard", "log", "none"])
def test_what_is_missing_is_filled_from_before_only(scaler: str) -> None:
    layer = layers.ScaleSeries("standard" if scaler == "window" else scaler, num_targets=1, num_channels=2)
    x = holes(np.exp(series(4, 20, 2)))
    later = x.copy()
    later[:, 12:] = holes(np.exp(series(4, 8, 2, seed=5)))
    if scaler == "window":  # its centre and scale are of the whole window: what is filled is told by undoing them
        layer = layers.ScaleSeries(scaler, num_targets=1, num_channels=2)
        (a, low), (b, high) = layer(x), layer(later)
        raw = [array(s[..., :1] * w[:, None, :, 1] + w[:, None, :, 0]) for s, w in ((a, low), (b, high))]
        seen = np.logical_or.accumulate(~np.isnan(x[:, :12, :1]), axis=1)
        np.testing.assert_allclose(raw[0][:, :12][seen], raw[1][:, :12][seen], rtol=1e-5)
        np.testing.assert_array_equal(array(a)[:, :12, 1], array(b)[:, :12, 1])
    else:
        np.testing.assert_array_equal(array(layer(x)[0])[:, :12], array(layer(later)[0])[:, :12])


@pytest.mark.parametrize("centre", ["last", "mean"])
def test_a_window_is_scaled_by_what_is_there(centre: str) -> None:
    x = holes(1000 + 3 * series(6, 30, 1))
    scaled, levels = layers.ScaleSeries("window", num_targets=1, num_channels=1, centre=centre)(x)
    last = [row[~np.isnan(row)][-1] for row in x[..., 0]]
    expected = last if centre == "last" else np.nanmean(x[..., 0].astype("float64"), axis=1)
    np.testing.assert_allclose(array(levels)[:, 0, 0], expected, rtol=1e-6)
    np.testing.assert_allclose(array(levels)[:, 0, 1], np.nanstd(x[..., 0].astype("float64"), axis=1), rtol=1e-4)
    there = ~np.isnan(x)
    back = array(scaled * levels[:, None, :, 1] + levels[:, None, :, 0])
    np.testing.assert_allclose(back[there], x[there], rtol=1e-6)


@pytest.mark.parametrize("value", [0.0, -7.0, 1e7, 1e-7, NAN, float("inf")])
@pytest.mark.parametrize("floor", [0.0, 0.01])
def test_windows_that_do_not_move_stay_finite(value: float, floor: float) -> None:
    x = np.full((1, 12, 1), value, "float32")
    x[:, :3] = NAN
    scaled, levels = layers.ScaleSeries("window", num_targets=1, num_channels=1, floor=floor)(x)
    np.testing.assert_array_equal(array(scaled), 0.0)
    assert np.isfinite(array(levels)).all()
    assert array(levels)[0, 0, 1] > 0


def test_a_window_that_hardly_moves_counts_as_the_floor() -> None:
    layer = layers.ScaleSeries("window", num_targets=1, num_channels=1, floor=0.01)
    layer.statistics.assign([[[5.0, 20.0]]])
    scaled, levels = layer(1e-3 * series(2, 12, 1))
    np.testing.assert_allclose(array(levels)[:, 0, 1], 0.2, rtol=1e-6)
    assert abs(array(scaled)).max() < 0.1
    # nothing in the window at all: the centre and scale of its series
    np.testing.assert_array_equal(array(layer(np.full((1, 12, 1), NAN, "float32"))[1]), [[[5.0, 20.0]]])


@pytest.mark.parametrize("scaler", ["window", "standard", "log"])
def test_each_series_has_statistics_of_its_own(scaler: str) -> None:
    layer = layers.ScaleSeries(scaler, num_targets=1, num_channels=2, num_series=3)
    table = np.stack([series(3, 2), 0.5 + np.abs(series(3, 2, seed=1))], axis=-1)
    layer.statistics.assign(table)
    x, known, rows = np.exp(series(4, 10, 2)), series(4, 5, 1), np.array([2, 0, 2, 1], "int32")
    scaled, levels, future = (array(part) for part in layer(x, series=rows, known=known))
    centre, scale = table[rows, 1, 0, None], table[rows, 1, 1, None]
    np.testing.assert_allclose(scaled[..., 1], (x[..., 1] - centre) / scale, rtol=1e-5)
    np.testing.assert_allclose(future[..., 0], (known[..., 0] - centre) / scale, rtol=1e-5)
    if scaler != "window":
        np.testing.assert_array_equal(levels, table[rows, :1])
        target = np.log(x[..., 0]) if scaler == "log" else x[..., 0]
        np.testing.assert_allclose(
            scaled[..., 0], (target - table[rows, 0, 0, None]) / table[rows, 0, 1, None], rtol=2e-5, atol=1e-6
        )


def test_what_has_no_logarithm_is_missing() -> None:
    layer = layers.ScaleSeries("log", num_targets=1, num_channels=1)
    scaled, _ = layer(np.array([[[-1.0], [np.e], [0.0], [NAN]]], "float32"))
    np.testing.assert_allclose(array(scaled)[0, :, 0], [0, 1, 1, 1], rtol=1e-6)


@pytest.mark.parametrize("scaler", ["window", "standard", "log"])
def test_unscaling_undoes_scaling(scaler: str) -> None:
    layer = layers.ScaleSeries(scaler, num_targets=2, num_channels=2)
    layer.statistics.assign([[[1.0, 2.0], [-1.0, 0.5]]])
    x = np.exp(series(3, 9, 2))
    scaled, levels = layer(x)
    np.testing.assert_allclose(array(layers.UnscaleForecast(scaler)(scaled[..., None], levels))[..., 0], x, rtol=1e-5)
    assert np.isfinite(array(layers.UnscaleForecast("log")(scaled[..., None] * 1e30, levels))).all()


@pytest.mark.parametrize("levels", [(0.5,), (0.9,), (0.1, 0.5, 0.9), (0.7, 0.8), (0.01, 0.1, 0.4, 0.6, 0.9, 0.99)])
def test_quantiles_never_cross(levels: tuple[float, ...]) -> None:
    layer = layers.AscendingQuantiles(levels)
    raw = 50 * series(4000, len(levels))
    found = array(layer(raw))
    assert found.shape == raw.shape
    assert (np.diff(found, axis=-1) >= 0).all()
    assert np.ptp(found[:, 0]) > 50
    # at the start the distances of a normal distribution
    start = array(layer(np.zeros((1, len(levels)), "float32")))[0]
    from scipy.stats import norm

    np.testing.assert_allclose(np.diff(start), np.diff(norm.ppf(levels)), rtol=1e-5)


def test_calibrated_quantiles_move_from_the_middle_and_never_cross() -> None:
    levels = (0.1, 0.3, 0.5, 0.9)
    x = np.sort(series(6, 2, 1, 4))
    layer = layers.CalibratedQuantiles(levels)
    np.testing.assert_allclose(array(layer(x)), x, atol=1e-6)
    factors = np.ones((2, 1, 4), "float32")
    factors[1, 0] = (3.0, 1.0, 1.0, 0.5)
    layer.factors.assign(factors)
    found = array(layer(x))
    np.testing.assert_allclose(found[:, 0], x[:, 0], atol=1e-6)
    middle = x[:, 1, 0, 2]
    np.testing.assert_allclose(found[:, 1, 0, 0], middle - 3 * (middle - x[:, 1, 0, 0]), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found[:, 1, 0, 3], middle + 0.5 * (x[:, 1, 0, 3] - middle), rtol=1e-4, atol=1e-5)
    # The outer of two never comes to lie within the inner.
    factors[0, 0] = (0.0, 2.0, 1.0, 1.0)
    layer.factors.assign(factors)
    assert (np.diff(array(layer(x)), axis=-1) >= 0).all()
    assert layer.count_params() == 8
    assert not layer.trainable_weights


def test_float32_under_any_policy() -> None:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        scaled, levels = layers.ScaleSeries("window", num_targets=1, num_channels=1)(1e4 + series(2, 8, 1))
        found = layers.UnscaleForecast("window")(
            layers.AscendingQuantiles((0.1, 0.9))(keras.ops.zeros((2, 3, 1, 2))), levels
        )
    finally:
        keras.config.set_dtype_policy(before)
    assert {keras.backend.standardize_dtype(x.dtype) for x in (scaled, levels, found)} == {"float32"}
    assert abs(array(scaled)).max() > 0.5
