"""What the training part of series tells a forecaster: scalers, and where a forecast is best started from."""

from __future__ import annotations

from typing import Any

import numpy as np

from kerasdl.data.forecast_dataset import ForecastDataset
from kerasdl.errors import InputError
from kerasdl.spread import spread

SOME = 4_000
"""Windows of the training part that are looked at where all would take long."""


def fit_statistics(dataset: ForecastDataset, scaler: str) -> np.ndarray:
    """Return the centre and the scale of each series and channel, of the training part alone.

    Args:
        dataset: The data.
        scaler: "standard" for mean and standard deviation, "robust" for median and interquartile range over 1.349,
            "log" for the former of the targets' logarithms; with "window" and "none" those of the targets are not used.

    Returns:
        float32 (series, channels, 2), channels in the order of the model's input "past"; a single row where all series
        share theirs, which they do unless the targets' are used.

    Raises:
        InputError: For logarithms of values that are not above 0.
    """
    layout, train = dataset.layout, dataset.windows[0]
    own = scaler in ("standard", "robust", "log")
    found = []
    for number, (each, end) in enumerate(zip(dataset.series, dataset.train_ends, strict=True)):
        values = np.concatenate([train.history(number), each.values[:, layout.num_targets :]], axis=-1)[:end]
        values = values.astype(np.float64)
        if scaler == "log":
            if (values[:, : layout.num_targets] <= 0).any():
                raise InputError(
                    "scaler",
                    received=f"'log', and values down to {np.nanmin(values[:, : layout.num_targets]):g}",
                    expected="targets above 0",
                    mend="Pass scaler='robust'.",
                )
            values[:, : layout.num_targets] = np.log(values[:, : layout.num_targets])
        found.append(values)
    groups = found if own else [np.concatenate(found)]
    statistics = np.stack([_statistics(values, robust=scaler == "robust") for values in groups])
    if not own:
        # What is little for one series may be much for another: none is to count as noise beside a larger one.
        single = np.stack([_statistics(values[:, : layout.num_targets], robust=False) for values in found])
        statistics[0, : layout.num_targets, 1] = single[..., 1].min(axis=0)
    # Sines and cosines are of the right size as they are.
    waves = np.tile(np.array([0.0, 1.0]), (len(groups), 2 * len(layout.calendar), 1))
    return np.concatenate([statistics, waves], axis=1).astype(np.float32)


def choose_start(dataset: ForecastDataset, statistics: np.ndarray, scaler: str) -> dict[str, Any]:
    """Return what a forecast is best started from, as the training part tells, and how far from it values are.

    Args:
        dataset: The data.
        statistics: Of :func:`fit_statistics`.
        scaler: As for it.

    Returns:
        "season": the dataset's, or 1 for the last value, whichever is nearer to what came; "residual_scale": the
        median distance in units of the scaler, of the targets together. Keywords of the forecasting builders.
    """
    train = dataset.windows[0]
    some = train.taken(spread(len(train), SOME))
    inputs, truth = some.batch(np.arange(len(some)))
    targets = dataset.layout.num_targets
    past = inputs["past"][..., :targets].astype(np.float64)
    if scaler == "window":
        units = np.nanstd(past, axis=1)
    elif scaler == "none":
        units = np.ones((len(some), targets))
    else:
        rows = some.number if len(statistics) > 1 else np.zeros(len(some), int)
        units = statistics[rows][:, :targets, 1].astype(np.float64)
        if scaler == "log":
            past, truth = np.log(past), np.log(truth)
    steps = np.arange(dataset.layout.horizon)
    found = {}
    for season in sorted({1, min(dataset.layout.season, dataset.layout.sequence_length)}):
        start = past[:, steps % season - season]
        found[season] = np.abs(truth - start) / np.maximum(units, 1e-12 + 0.01 * np.nanmedian(units, axis=0))[:, None]
    season = min(found, key=lambda each: np.nanmean(found[each]))
    distance = float(np.nanmedian(found[season]))
    return {"season": season, "residual_scale": distance if distance > 1e-6 else 1.0}


def _statistics(values: np.ndarray, *, robust: bool) -> np.ndarray:
    pairs = []
    for column in values.T:
        seen = column[np.isfinite(column)]
        if not len(seen):
            pairs.append((0.0, 1.0))
            continue
        low, middle, high = np.percentile(seen, [25, 50, 75])
        centre, scale = (middle, (high - low) / 1.349) if robust else (seen.mean(), seen.std())
        # More than half of the values alike leave nothing between the quartiles.
        scale = scale or seen.std() or 1.0
        pairs.append((centre, scale))
    return np.array(pairs)
