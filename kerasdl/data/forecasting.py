"""Series to forecast, of any source: read, made even, split in the order of time."""

from __future__ import annotations

import numbers
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from kerasdl import time_steps, time_tables
from kerasdl.data.dataset import IN_MEMORY
from kerasdl.data.forecast_dataset import ForecastDataset, assemble
from kerasdl.data.samples import FORECASTING_SAMPLES
from kerasdl.data.windows import Windows
from kerasdl.errors import InputError, check_choice, nearest
from kerasdl.forecast_layout import TRANSFORMS, ForecastLayout, choose_calendar
from kerasdl.table_columns import choose_columns
from kerasdl.time_steps import TimeSeries

# Steps of raw values that windows look back by default: some seasons, and several times what is foretold.
SHORTEST = 16


def load_forecasting(
    data: Any,
    *,
    target: str | Sequence[str] | None = None,
    time_column: str | None = None,
    series_column: str | None = None,
    past_covariates: Sequence[str] = (),
    known_covariates: Sequence[str] = (),
    frequency: str | None = None,
    timezone: str | None = None,
    calendar: bool = True,
    transform: str = "none",
    horizon: int | None = None,
    sequence_length: int | None = None,
    season: int | None = None,
    gap: int | None = None,
    validation_fraction: float = 0.2,
    test_fraction: float = 0.2,
) -> ForecastDataset:
    """Load series as windows, split in the order of time.

    Test targets are the last steps of all series, validation targets the last before them. `gap` steps before each of
    the two are no targets at all. What a window looks back on may lie in an earlier split, as it would in use.

    Args:
        data: "stocks"; a `.csv` or `.tsv` file, a DataFrame or a mapping of columns, with a row for each time (and
            series); an array of shape (steps,) or (steps, targets); a list of arrays, each a series; or a dataset.
        target: The columns to forecast; None for one with a usual name ("target", "y", "value", "close"), or the only
            one with numbers.
        time_column: When a row was observed; None for one with a usual name ("time", "date", ...), or for rows in
            order.
        series_column: Which series a row is of; None for one with a usual name ("series", "ticker", ...), or for one
            series.
        past_covariates: Columns that help and are known up to now.
        known_covariates: Columns that help and are known ahead, such as holidays or prices that one sets oneself.
        frequency: Step between rows, by pandas' name ("h", "D", "MS"), or "rows" to count each row as one, as for days
            of trading; None reads it off the times. Where a step has no row, its values are missing.
        timezone: Such as "Europe/Paris", of times that name no zone of their own; daylight saving is undone, and the
            calendar goes by the clock on the wall there.
        calendar: Whether time of day, of week and of year are covariates, as far as the training part covers them
            twice.
        transform: What of the targets to forecast: "none", "returns", "log_returns" or "volatility", see
            :class:`kerasdl.forecast_layout.ForecastLayout`.
        horizon: Steps to forecast; None for a season.
        sequence_length: Steps to look back; None for three seasons or four horizons, whichever is more.
        season: Steps after which values are alike; None for what is usual: 24 hours, 7 days, 12 months, 5 rows.
        gap: Steps left out between the splits; None for the horizon.
        validation_fraction: Of the time left after the test split, in (0, 1).
        test_fraction: Of all time, in (0, 1).

    Returns:
        The dataset.

    Raises:
        InputError: For tables that cannot be read, steps that are irregular, times that occur twice, series that are
            too short or constant, and for prices that are not above 0 where changes are forecast.

    Example:
        >>> load_forecasting("stocks", horizon=5).counts
        {'train': 6180, 'validation': 1545, 'test': 1941}
    """
    if isinstance(data, ForecastDataset):
        return data
    check_choice("transform", transform, TRANSFORMS)
    for what, fraction in (("validation_fraction", validation_fraction), ("test_fraction", test_fraction)):
        if isinstance(fraction, bool) or not isinstance(fraction, numbers.Real) or not 0 < fraction < 1:
            raise InputError(what, received=repr(fraction), expected="a number in (0, 1)", mend="Pass 0.2, say.")
    name, source, table = _find(data)
    asked = {"target": target, "time": time_column, "series": series_column}
    asked |= {"past": past_covariates or None, "known": known_covariates or None}
    columns = choose_columns(table, asked)
    raw = time_tables.split_series(table, columns, timezone=timezone)
    if frequency is None:
        frequency = time_steps.infer_frequency(raw)
    elif frequency != time_steps.ROWS:
        time_steps.check_frequency(frequency)
    series = tuple(time_steps.make_even(each, frequency, timezone=timezone) for each in raw)
    season = season or time_steps.season_of(frequency)
    horizon = horizon or season
    step = None if columns.time is None else time_steps.step_seconds(frequency)
    layout = ForecastLayout(
        columns=columns,
        series=tuple(each.name for each in series),
        frequency=frequency,
        step=step or 0.0,
        timezone=timezone,
        sequence_length=sequence_length or max(3 * season, 4 * horizon, SHORTEST),
        horizon=horizon,
        season=season,
        transform=transform,
        calendar=(),
    )
    _check_values(series, layout)
    starts = _starts(series, validation_fraction, test_fraction)
    if calendar and step is not None:
        begin = min(each.time[0] for each in series)
        layout = replace(layout, calendar=choose_calendar(step=step, span=float(starts[0] - begin)))
    return assemble(
        name,
        source,
        series,
        layout,
        starts=starts,
        gap=horizon if gap is None else gap,
        fractions=(validation_fraction, test_fraction),
    )


def load_windows(data: Any, layout: ForecastLayout, scales: np.ndarray) -> Any:
    """Load series to measure a forecaster on: the test windows of a dataset, else all windows of the series.

    Args:
        data: As for :func:`load_forecasting`, with the columns of the layout.
        layout: That of the training.
        scales: Of each of its series and targets.

    Raises:
        InputError: As `load_forecasting` does, for series that the training did not have, and for no window.
    """
    if isinstance(data, ForecastDataset):
        return data.test
    name, _, table = _find(data)
    raw = {each.name: each for each in time_tables.split_series(table, layout.columns, timezone=layout.timezone)}
    unknown = sorted(set(raw) - set(layout.series))
    if unknown:
        raise InputError(
            name,
            received=f"the series {unknown[0]!r}",
            expected=f"series of the training: {', '.join(layout.series[:20])}",
            mend="Leave it out, or train with it.",
        )
    series = [time_steps.make_even(raw[each], layout.frequency, timezone=layout.timezone) for each in raw]
    _check_values(series, layout)
    # In the order of the training, so that each has its number.
    found = {each.name: each for each in series}
    empty = np.zeros((0, len(layout.columns.values)), np.float32)
    none = np.zeros(0, np.int64)
    ordered = [found.get(each, TimeSeries(each, none, none, empty)) for each in layout.series]
    windows = Windows(ordered, layout, [(0, len(each)) for each in ordered], scales=scales)
    if not len(windows):
        raise InputError(
            name,
            received=f"{max(map(len, series))} steps at most",
            expected=f"at least {layout.raw_length + layout.horizon} steps of a series",
            mend="Bring longer series.",
        )
    return windows


def _find(data: Any) -> tuple[str, str, Any]:
    if isinstance(data, str) and data in FORECASTING_SAMPLES:
        return data, data, FORECASTING_SAMPLES[data]()
    if isinstance(data, str) and data in IN_MEMORY:
        raise InputError(
            "data",
            received=f"{data!r}, what the configuration of a run on data from memory says",
            expected="those data",
            mend="Pass the same table or arrays again.",
        )
    if isinstance(data, str) and not os.path.exists(os.path.expanduser(data)) and not Path(data).suffix:
        raise InputError(
            "data",
            received=repr(data),
            expected="the name of a sample, a .csv or .tsv file, a DataFrame, or arrays",
            mend=nearest(data, FORECASTING_SAMPLES),
        )
    table = time_tables.read_table(data)
    return (Path(data).stem, str(data), table) if isinstance(data, (str, Path)) else ("arrays", "arrays", table)


def _check_values(series: Sequence[TimeSeries], layout: ForecastLayout) -> None:
    for each in series:
        targets = each.values[:, : layout.num_targets]
        named = f"series {each.name!r}" if each.name else "data"
        empty = [name for name, column in zip(layout.columns.target, targets.T, strict=True) if np.isnan(column).all()]
        if empty:
            raise InputError(named, received=f"no value of {empty[0]}", expected="some", mend="Drop it from the data.")
        if layout.transform != "none" and (targets <= 0).any():
            raise InputError(
                named,
                received=f"values down to {np.nanmin(targets):g}",
                expected=f"values above 0, as {layout.transform} need",
                mend="Pass transform='none'.",
            )


def _starts(series: Sequence[TimeSeries], validation_fraction: float, test_fraction: float) -> tuple[int, int]:
    """Return where validation and test begin: the same times for all series, so that none tells of another's future."""
    times = np.unique(np.concatenate([each.time for each in series]))
    test = round(len(times) * (1 - test_fraction))
    validation = round(test * (1 - validation_fraction))
    last = len(times) - 1
    return int(times[min(validation, last)]), int(times[min(test, last)])
