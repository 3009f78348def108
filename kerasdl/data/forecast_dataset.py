"""The dataset of a forecaster: series with even steps, cut into splits in the order of time."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerasdl import time_steps
from kerasdl.data.dataset import Dataset
from kerasdl.data.windows import Windows
from kerasdl.errors import InputError
from kerasdl.forecast_layout import ForecastLayout
from kerasdl.time_steps import TimeSeries


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
    def windows(self) -> tuple[Any, Any, Any]:
        """The windows of training, validation and test."""
        return self.train, self.validation, self.test

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
        test = self.windows[2]
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
        return tuple(end for _, end in self.windows[0].ranges)

    @property
    def scales(self) -> np.ndarray:
        """For each series and target how far training values are from those a season before, (series, targets).

        The denominator of the mean absolute scaled error; where it would be 0 or unknown, 1.

        Hyndman and Koehler, Another look at measures of forecast accuracy, 2006, doi:10.1016/j.ijforecast.2006.03.001
        """
        return self.windows[0].scales

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
        """Return what a person wants to know: series, columns, what is missing, and how many windows there are."""
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
    splits: dict[str, Any] = {split: Windows(series, layout, found) for split, found in ranges.items()}
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
    scales = _scales(splits["train"], layout)
    for windows in splits.values():
        windows.scales = scales
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
        **splits,
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


def _scales(train: Windows, layout: ForecastLayout) -> np.ndarray:
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
