"""Windows of series: what a forecaster sees, what it is to foretell, and exactly which ones a split has."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from kerasdl.forecast_layout import ForecastLayout, model_inputs, transformed
from kerasdl.time_steps import TimeSeries


class Windows:
    """All windows of one split, as :func:`kerasdl.training.fit` takes them.

    A window is named by its origin, the first step that is foretold: the model sees the `sequence_length` steps before
    it. Its targets lie in the split; what it sees may lie before. Windows of which no target was observed are left out,
    and those of which nothing that the targets were is seen.

    Args:
        series: All series, whole.
        layout: What a window is.
        ranges: For each series the steps [begin, end) that are foretold.
        stride: Steps between two origins.
        scales: Of each series and target, (series, targets): an example weighs the less in the loss the larger its
            values are, so that every series counts alike.

    Attributes:
        number: Which series each window is of, (count,).
        origin: Its first foretold step, (count,).
    """

    def __init__(
        self,
        series: Sequence[TimeSeries],
        layout: ForecastLayout,
        ranges: Sequence[tuple[int, int]],
        *,
        stride: int = 1,
        scales: np.ndarray | None = None,
    ):
        self.series, self.layout, self.ranges, self.stride = series, layout, tuple(ranges), stride
        self._targets = [_foretold(each, layout) for each in series]
        numbers, origins = [], []
        for number, (begin, end) in enumerate(ranges):
            found = np.arange(max(begin, layout.raw_length), end - layout.horizon + 1, stride)
            seen = np.concatenate([[0], np.cumsum(np.isfinite(self._targets[number]).any(axis=-1))])
            found = found[seen[found + layout.horizon] > seen[found]]
            found = found[seen[found] > seen[found - layout.sequence_length]]
            numbers.append(np.full(len(found), number))
            origins.append(found)
        self.numbered = False
        self.number, self.origin = np.concatenate(numbers), np.concatenate(origins)
        self.scales = np.ones((len(series), layout.num_targets)) if scales is None else scales

    def __len__(self) -> int:
        return len(self.origin)

    @functools.cached_property
    def targets(self) -> np.ndarray:
        """What is to be foretold, float32 (count, horizon, targets), NaN where it was not observed."""
        return self._targets_of(np.arange(len(self)))

    @functools.cached_property
    def weights(self) -> np.ndarray:
        """Weight of each window in the loss, float32 (count,): see `scales`."""
        return (1 / self.scales.mean(axis=-1))[self.number].astype(np.float32)

    @property
    def time(self) -> np.ndarray:
        """The time of each origin, int64 (count,), as the series have it."""
        return np.array([self.series[n].time[o] for n, o in zip(self.number, self.origin, strict=True)], np.int64)

    def _targets_of(self, indices: np.ndarray) -> np.ndarray:
        return self._cut(self._targets, indices, 0, self.layout.horizon)

    def _cut(self, arrays: Sequence[np.ndarray], indices: np.ndarray, begin: int, end: int) -> np.ndarray:
        """Return the steps from `begin` to `end` after the origin of each window."""
        pairs = zip(self.number[indices], self.origin[indices], strict=True)
        shape = (end - begin, arrays[0].shape[-1])
        cut = [arrays[number][origin + begin : origin + end] for number, origin in pairs]
        return np.stack(cut) if cut else np.zeros((0, *shape), np.float32)

    def raw(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        """Return what a predictor takes: "values", and where the layout asks for them "known", "time" and "series"."""
        layout, values = self.layout, [each.values for each in self.series]
        found = {"values": self._cut(values, indices, -layout.raw_length, 0)}
        if layout.columns.known:
            known = self._cut(values, indices, 0, layout.horizon)
            found["known"] = known[..., -len(layout.columns.known) :]
        if layout.calendar:
            pairs = zip(self.number[indices], self.origin[indices], strict=True)
            found["time"] = np.array([self.series[n].clock[o - 1] for n, o in pairs], np.int64)
        if len(self.series) > 1:
            found["series"] = np.array([self.series[number].name for number in self.number[indices]], object)
        return found

    def batch(self, indices: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Return the model's inputs and the targets at `indices`."""
        raw = self.raw(indices)
        inputs: dict[str, Any] = model_inputs(
            self.layout, values=raw["values"], known=raw.get("known"), clock=raw.get("time")
        )
        if self.numbered:
            inputs["series"] = self.number[indices].astype(np.int32)
        return inputs, self._targets_of(indices)

    def last_values(self) -> np.ndarray:
        """Return what was observed last of what is foretold, (count, targets); zero changes where changes are."""
        if self.layout.transform in ("returns", "log_returns"):
            return np.zeros((len(self), self.layout.num_targets), np.float32)
        filled = [_filled_forward(targets) for targets in self._targets]
        return self._cut(filled, np.arange(len(self)), -1, 0)[:, 0]

    def history(self, number: int) -> np.ndarray:
        """Return all that is foretold of a series, from its start to its end, float32 (steps, targets)."""
        return self._targets[number]

    def taken(self, indices: np.ndarray) -> Windows:
        """Return the windows at `indices` alone."""
        some = object.__new__(Windows)
        some.__dict__ = {k: v for k, v in self.__dict__.items() if k not in ("targets", "weights")}
        some.number, some.origin = self.number[indices], self.origin[indices]
        return some

    def told(self, *, numbered: bool) -> Windows:
        """Return the same windows, whose inputs name their series by number or do not."""
        same = self.taken(np.arange(len(self)))
        same.numbered = numbered
        return same


def _foretold(series: TimeSeries, layout: ForecastLayout) -> np.ndarray:
    targets = series.values[:, : layout.num_targets]
    if layout.transform == "none":
        return targets
    first = np.full((1, layout.num_targets), np.nan, np.float32)
    return np.concatenate([first, transformed(targets, layout.transform)]).astype(np.float32)


def _filled_forward(values: np.ndarray) -> np.ndarray:
    """Return values with the last observation where one lacks, so that nothing comes from later."""
    observed = np.isfinite(values)
    places = np.maximum.accumulate(np.where(observed, np.arange(len(values))[:, None], 0), axis=0)
    return np.take_along_axis(values, places, axis=0)
