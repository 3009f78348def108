"""Forecasts by simple methods: what a model has to beat before it is worth anything."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from kerasdl.forecast_metrics import forecast_metrics
from kerasdl.spread import spread

if TYPE_CHECKING:
    from kerasdl.data.forecast_dataset import ForecastDataset
    from kerasdl.data.windows import Windows

LAST, SEASONAL, DRIFT, LINEAR = "last value", "seasonal naive", "drift", "linear"
# Windows that the linear method learns from at most, evenly spread.
MOST_WINDOWS = 20_000


def last_value(windows: Windows) -> np.ndarray:
    """Return the last observed value at every step: (windows, horizon, targets)."""
    return np.repeat(windows.last_values()[:, None], windows.layout.horizon, axis=1)


def seasonal_naive(windows: Windows) -> np.ndarray:
    """Return the values of the last season again and again; where one lacks, the last value."""
    layout = windows.layout
    steps = np.arange(layout.horizon) % layout.season - layout.season
    found = []
    for number, origin in zip(windows.number, windows.origin, strict=True):
        history = windows.history(number)
        places = origin + steps
        # Where a value lacks in the last season, the one of the season before.
        values = history[places]
        for back in range(1, 4):
            earlier = places - back * layout.season
            values = np.where(np.isnan(values) & (earlier >= 0)[:, None], history[np.maximum(earlier, 0)], values)
        found.append(values)
    return np.where(np.isnan(found), last_value(windows), np.array(found))


def drift(windows: Windows) -> np.ndarray:
    """Return the line through the first and the last observed value before each origin, carried on."""
    layout, last = windows.layout, windows.last_values()
    slopes = []
    for number, origin in zip(windows.number, windows.origin, strict=True):
        before = windows.history(number)[:origin]
        row = []
        for column in before.T:
            seen = np.flatnonzero(np.isfinite(column))
            row.append((column[seen[-1]] - column[seen[0]]) / max(seen[-1] - seen[0], 1) if len(seen) else 0.0)
        slopes.append(row)
    ahead = np.arange(1, layout.horizon + 1)[None, :, None]
    return last[:, None] + np.array(slopes)[:, None] * ahead


def fit_linear(train: Windows) -> Callable[[Windows], np.ndarray]:
    """Return forecasts by ridge regression on what a window shows, fitted on the training windows.

    Differences from the last value, in units of each series' scale, from those of the window and from the covariates
    that are known ahead.
    """
    from sklearn.linear_model import Ridge

    some = train.taken(spread(len(train), MOST_WINDOWS))
    features, wanted = _linear_features(some), _linear_targets(some)
    models = []
    for target in range(train.layout.num_targets):
        whole = np.isfinite(wanted[:, :, target]).all(axis=1)
        models.append(Ridge(alpha=1.0).fit(features[target][whole], wanted[whole, :, target]) if whole.any() else None)

    def forecast(windows: Windows) -> np.ndarray:
        scales, last = windows.scales[windows.number], windows.last_values()
        columns = [
            np.zeros((len(windows), windows.layout.horizon)) if model is None else model.predict(each)
            for model, each in zip(models, _linear_features(windows), strict=True)
        ]
        return np.stack(columns, axis=-1) * scales[:, None] + last[:, None]

    return forecast


def _linear_features(windows: Windows) -> list[np.ndarray]:
    """Return for each target what it is regressed on, (windows, features)."""
    inputs, _ = windows.batch(np.arange(len(windows)))
    layout, scales, last = windows.layout, windows.scales[windows.number], windows.last_values()
    known = inputs["known"].reshape(len(windows), -1) if "known" in inputs else np.zeros((len(windows), 0))
    found = []
    for target in range(layout.num_targets):
        lags = (inputs["past"][:, :, target] - last[:, None, target]) / scales[:, None, target]
        found.append(np.nan_to_num(np.concatenate([lags, known], axis=1)))
    return found


def _linear_targets(windows: Windows) -> np.ndarray:
    return (windows.targets - windows.last_values()[:, None]) / windows.scales[windows.number][:, None]


def forecast_baselines(dataset: ForecastDataset, levels: Sequence[float]) -> dict[str, dict[str, float]]:
    """Return what simple methods reach on the test split.

    Their quantiles are those of their errors on the validation split, at each step ahead and in units of each series'
    scale.

    Args:
        dataset: The data.
        levels: Of the quantiles.

    Returns:
        Metrics by the name of the method, see :func:`kerasdl.forecast_metrics.forecast_metrics`.

    Reference: Hyndman and Athanasopoulos, Forecasting: Principles and Practice, section 5.2, https://otexts.com/fpp3/
    """
    train, validation, test = dataset.windows
    methods: dict[str, Callable[[Windows], np.ndarray]] = {LAST: last_value, SEASONAL: seasonal_naive, DRIFT: drift}
    methods[LINEAR] = fit_linear(train)
    if dataset.layout.season == 1:
        del methods[SEASONAL]
    found = {}
    for name, method in methods.items():
        errors = (validation.targets - method(validation)) / validation.scales[validation.number][:, None]
        offsets = np.nan_to_num(np.moveaxis(np.nanquantile(errors, levels, axis=0), 0, -1))
        forecast, scales = method(test), test.scales[test.number]
        found[name] = forecast_metrics(
            test.targets,
            forecast,
            scales=scales,
            last=test.last_values(),
            quantiles=forecast[..., None] + offsets * scales[:, None, :, None],
            levels=levels,
        )
    return found
