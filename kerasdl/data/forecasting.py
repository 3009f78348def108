"""Series to forecast, of any source: read, made even, split in the order of time, measured on the training part alone."""

from __future__ import annotations

import functools
import hashlib
import numbers
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from kerasdl import time_steps, time_tables
from kerasdl.data.dataset import IN_MEMORY, Dataset
from kerasdl.data.samples import FORECASTING_SAMPLES
from kerasdl.data.windows import Windows
from kerasdl.errors import InputError, check_choice, nearest
from kerasdl.forecast_layout import TRANSFORMS, ForecastLayout, choose_calendar
from kerasdl.time_steps import TimeSeries

# Steps of raw values that windows look back by default: some seasons, and several times what is foretold.
SHORTEST = 16
SOME = 4_000
"""Windows of the training part that are looked at where all would take long."""


@dataclass(frozen=True, eq=False)
class ForecastDataset(Dataset):
    """A dataset of kind "forecasting": its splits are :class:`Windows`, in the order of time.

    Args:
        series: All series, whole.
        layout: What a window is.
        starts: Times, as the series have them, from which on there are validation targets, and test targets.
        gap: Steps that are left out before each of these.
        fractions: Of the time, for validation and for test, as :func:`load_forecasting` took them.
    """

    series: tuple[TimeSeries, ...]
    layout: ForecastLayout
    starts: tuple[int, int]
    gap: int
    fractions: tuple[float, float]

    @property
    def keywords(self) -> dict[str, Any]:
        """The keywords of :func:`load_forecasting` as they were resolved."""
        layout, columns = self.layout, self.layout.columns
        return {
            "target": list(columns.target),
            "time_column": columns.time,
            "series_column": columns.series,
            "past_covariates": list(columns.past),
            "known_covariates": list(columns.known),
            "frequency": layout.frequency,
            "timezone": layout.timezone,
            "calendar": bool(layout.calendar),
            "transform": layout.transform,
            "horizon": layout.horizon,
            "sequence_length": layout.sequence_length,
            "season": layout.season,
            "gap": self.gap,
            "validation_fraction": self.fractions[0],
            "test_fraction": self.fractions[1],
        }

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Steps of a window and columns of raw values."""
        return (self.layout.raw_length, len(self.layout.columns.values))

    @property
    def test_span(self) -> tuple[Any, Any]:
        """First and last time that the test split foretells: `numpy.datetime64`, or step numbers without times."""
        test: Any = self.test
        series = [test.series[number] for number in test.number]
        first = min(each.clock[origin] for each, origin in zip(series, test.origin, strict=True))
        ends = test.origin + self.layout.horizon - 1
        last = max(each.clock[end] for each, end in zip(series, ends, strict=True))
        if self.layout.columns.time is None:
            return int(first), int(last)
        return np.datetime64(int(first), "s"), np.datetime64(int(last), "s")

    @property
    def train_ends(self) -> tuple[int, ...]:
        """For each series, the first step that is not for training."""
        return tuple(end for _, end in self.train.ranges)  # type: ignore[attr-defined]

    @functools.cached_property
    def scales(self) -> np.ndarray:
        """For each series and target how far training values are from those a season before, (series, targets).

        The denominator of the mean absolute scaled error; where it would be 0 or unknown, 1.

        Hyndman and Koehler, Another look at measures of forecast accuracy, 2006, doi:10.1016/j.ijforecast.2006.03.001
        """
        return _scales(self.series, self.train, self.layout)

    @functools.cached_property
    def fingerprint(self) -> str:
        """The SHA-256 of the layout, of all series and of where the splits lie, in hex."""
        digest = hashlib.sha256(repr((self.layout, self.starts, self.gap)).encode())
        for each in self.series:
            digest.update(repr((each.name, each.values.shape)).encode())
            for array in (each.time, each.clock, each.values):
                digest.update(array.tobytes())
        return digest.hexdigest()

    def describe(self) -> str:
        """Return what a person wants to know: series, steps, columns, what is missing, and how many windows there are."""
        layout, columns = self.layout, self.layout.columns
        lengths = [len(each) for each in self.series]
        span = f"{min(lengths)} to {max(lengths)}" if min(lengths) < max(lengths) else f"{lengths[0]}"
        missing = sum(int(np.isnan(each.values[:, : layout.num_targets]).sum()) for each in self.series)
        total = sum(lengths) * layout.num_targets
        what = "" if layout.transform == "none" else f"{layout.transform.replace('_', ' ')} of "
        lines = [
            f"{self.name}: {len(self.series)} series of {span} steps ({layout.frequency}), {self._span()}; forecasts "
            f"{what}{', '.join(columns.target)} for the next {layout.horizon} from the last {layout.sequence_length}"
            + (f"; {missing} of {total} values missing, filled from before" if missing else "")
        ]
        if columns.past or columns.known or layout.calendar:
            named = {86_400: "day", 604_800: "week", 31_556_952: "year"}
            calendar = [f"time of {named[period]}" for period in layout.calendar]
            lines.append(f"covariates: {', '.join([*columns.past, *columns.known, *calendar])}")
        counts = ", ".join(f"{name} {len(split)}" for name, split in self.splits.items())
        return "\n".join([*lines, f"windows: {counts}; {self.gap} steps left out between the splits"])

    def _span(self) -> str:
        first, last = min(each.time[0] for each in self.series), max(each.time[-1] for each in self.series)
        if self.layout.columns.time is None:
            return "without times"
        unit = "D" if self.layout.frequency == time_steps.ROWS or self.layout.step >= time_steps.DAY else "m"
        begin, end = (np.datetime64(int(time), "s").astype(f"datetime64[{unit}]") for time in (first, last))
        return f"{begin} to {end}"


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
    columns = time_tables.choose_columns(table, asked)
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


def assemble(
    name: str,
    source: str,
    series: tuple[TimeSeries, ...],
    layout: ForecastLayout,
    *,
    starts: tuple[int, int],
    gap: int,
    fractions: tuple[float, float],
    end: int | None = None,
) -> ForecastDataset:
    """Return the dataset whose validation and test targets begin at some times.

    Args:
        name: Of the dataset.
        source: How to load it again.
        series: All series.
        layout: What a window is.
        starts: Times of the first validation and the first test target.
        gap: Steps left out before each.
        fractions: Recorded.
        end: Time after the last test target; None for the end of the series.

    Raises:
        InputError: For a split without windows, and for training values that are all the same.
    """
    ranges: dict[str, list[tuple[int, int]]] = {"train": [], "validation": [], "test": []}
    for each in series:
        validation, test = (int(np.searchsorted(each.time, start)) for start in starts)
        last = len(each) if end is None else int(np.searchsorted(each.time, end))
        ranges["train"].append((0, max(0, validation - gap)))
        ranges["validation"].append((validation, max(validation, test - gap)))
        ranges["test"].append((test, last))
    splits = {split: Windows(series, layout, found) for split, found in ranges.items()}
    for split, windows in splits.items():
        if not len(windows):
            longest = max(map(len, series))
            raise InputError(
                name,
                received=f"{longest} steps in the longest series, and no window in the {split} split",
                expected=f"in each split at least one window that foretells {layout.horizon} steps from "
                f"{layout.raw_length}, with {gap} steps left out between the splits",
                mend="Bring longer series, or pass a smaller sequence_length, horizon or gap.",
            )
    _refuse_constant(name, splits["train"])
    scales = _scales(series, splits["train"], layout)
    splits = {split: Windows(series, layout, found, scales=scales) for split, found in ranges.items()}
    return ForecastDataset(
        name=name,
        kind="forecasting",
        class_names=(),
        source=source,
        series=series,
        layout=layout,
        starts=starts,
        gap=gap,
        fractions=fractions,
        **splits,  # type: ignore[arg-type]
    )


def backtest_folds(dataset: ForecastDataset, folds: int) -> list[ForecastDataset]:
    """Cut the time of the test split into equal parts, and return for each a dataset that ends with it.

    The validation split of each is as long as that of the dataset and lies right before its test split; all that lies
    before is for training.

    Args:
        dataset: The data.
        folds: How many.

    Raises:
        InputError: For parts that are too short for a window.
    """
    times = np.unique(np.concatenate([each.time for each in dataset.series]))
    validation, test = (int(np.searchsorted(times, start)) for start in dataset.starts)
    edges = np.linspace(test, len(times), folds + 1).round().astype(int)
    found = []
    for begin, end in zip(edges[:-1], edges[1:], strict=True):
        found.append(
            assemble(
                dataset.name,
                dataset.source,
                dataset.series,
                dataset.layout,
                starts=(int(times[begin - (test - validation)]), int(times[begin])),
                gap=dataset.gap,
                fractions=dataset.fractions,
                end=int(times[end]) if end < len(times) else None,
            )
        )
    return found


def load_windows(data: Any, layout: ForecastLayout, scales: np.ndarray) -> Windows:
    """Load series to measure a forecaster on: the test windows of a dataset, else all windows of the series.

    Args:
        data: As for :func:`load_forecasting`, with the columns of the layout.
        layout: That of the training.
        scales: Of each of its series and targets.

    Raises:
        InputError: As `load_forecasting` does, for series that the training did not have, and for no window.
    """
    if isinstance(data, ForecastDataset):
        return data.test  # type: ignore[return-value]
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
    layout, train = dataset.layout, dataset.train
    own = scaler in ("standard", "robust", "log")
    found = []
    for number, (each, end) in enumerate(zip(dataset.series, dataset.train_ends, strict=True)):
        values = np.concatenate([train.history(number), each.values[:, layout.num_targets :]], axis=-1)[:end]  # type: ignore[attr-defined]
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
        each = np.stack([_statistics(values[:, : layout.num_targets], robust=False) for values in found])
        statistics[0, : layout.num_targets, 1] = each[..., 1].min(axis=0)
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
    train: Any = dataset.train
    some = train.taken(np.unique(np.linspace(0, len(train) - 1, min(len(train), SOME)).astype(int)))
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


def _refuse_constant(name: str, train: Windows) -> None:
    ends = [end for _, end in train.ranges]
    seen = [train.history(number)[:end] for number, end in enumerate(ends)]
    varies = [np.nanmax(values, axis=0) > np.nanmin(values, axis=0) for values in seen if np.isfinite(values).any()]
    if not np.any(varies):
        raise InputError(
            name,
            received=f"training values that are all {float(np.nanmax(seen[0])):g}",
            expected="values that change: there is nothing to forecast of a constant",
            mend="Check the target column.",
        )


def _scales(series: Sequence[TimeSeries], train: Any, layout: ForecastLayout) -> np.ndarray:
    rows = []
    for number, (_, end) in enumerate(train.ranges):
        values = train.history(number)[:end].astype(np.float64)
        row = []
        for column in values.T:
            changes = np.abs(column[layout.season :] - column[: -layout.season])
            changes = changes[np.isfinite(changes)]
            row.append(float(changes.mean()) if len(changes) and changes.mean() > 0 else 1.0)
        rows.append(row)
    return np.array(rows)
