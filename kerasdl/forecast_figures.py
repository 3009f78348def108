"""The forecasts that a report draws: some of the test split, evenly over it, and the worst of the validation split."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kerasdl.spread import spread

if TYPE_CHECKING:
    import keras

    from kerasdl.forecasting_task import Forecasting

# Windows of each group, and of the validation split that the worst are looked for in.
PICTURES, LOOKED_AT = 4, 2_000


def forecast_figures(task: Forecasting, model: keras.Model, dataset: Any, *, batch_size: int) -> dict[str, list[str]]:
    """Draw forecasts against what came, with their intervals.

    Args:
        task: What is foretold.
        model: The forecaster.
        dataset: The series with their splits.
        batch_size: Windows at a time.

    Returns:
        Figures as HTML, by their heading.
    """
    test, validation = dataset.test, dataset.validation
    shown = test.taken(spread(len(test), PICTURES))
    some = validation.taken(spread(len(validation), LOOKED_AT))
    quantiles = task.forecasts(model, some, batch_size=batch_size)
    errors = np.abs(some.targets - quantiles[..., task.middle]) / some.scales[some.number][:, None]
    # A window of which nothing was observed has no error.
    means = np.nan_to_num(np.nanmean(np.where(np.isfinite(errors).any(axis=(1, 2), keepdims=True), errors, 0), (1, 2)))
    worst = np.argsort(-means, kind="stable")[:PICTURES]
    return {
        "Forecasts of the test split": _figures(task, shown, task.forecasts(model, shown, batch_size=batch_size)),
        "Worst forecasts of the validation split": _figures(task, some.taken(worst), quantiles[worst]),
    }


def _figures(task: Forecasting, windows: Any, quantiles: np.ndarray) -> list[str]:
    from kerasdl.diagnostics import forecast_picture

    layout = task.layout
    figures = []
    for index, (number, origin) in enumerate(zip(windows.number, windows.origin, strict=True)):
        series = windows.series[number]
        shown = min(layout.sequence_length, 4 * layout.horizon + 20)
        for target, column in enumerate(layout.columns.target):
            named = " ".join(filter(None, (series.name, "" if layout.transform == "none" else layout.transform)))
            figures.append(
                forecast_picture(
                    windows.history(number)[origin - shown : origin, target],
                    windows.targets[index, :, target],
                    quantiles[index, :, target],
                    middle=task.middle,
                    levels=task.quantiles,
                    title=f"{column} {named}".strip(),
                    begin=_said(task, series.clock[origin - shown]),
                    end=_said(task, series.clock[origin + layout.horizon - 1]),
                )
            )
    return figures


def _said(task: Forecasting, time: int) -> str:
    if task.layout.columns.time is None:
        return f"step {time}"
    return str(np.datetime64(int(time), "s")).replace("T", " ").removesuffix(":00").removesuffix(" 00:00")
