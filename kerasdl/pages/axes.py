"""An axis of a picture: where a value is on it, and which values are written beside it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Axis:
    """A scale from 0 to 1.

    Args:
        kind: "linear", "log" or "columns".
        low: Smallest value, or its logarithm.
        high: Largest value, or its logarithm.
        columns: The `repr` of each value that has a place of its own.
        labels: How these are written.
    """

    kind: str
    low: float = 0.0
    high: float = 1.0
    columns: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()

    def place(self, value: Any) -> float:
        """Return where `value` is; what lies outside is at the edge."""
        if self.kind == "columns":
            return (self.columns.index(repr(value)) + 0.5) / len(self.columns)
        number = math.log10(value) if self.kind == "log" else value
        # Halves, since the distance between the largest numbers there are is not one of them.
        share = (number / 2 - self.low / 2) / (self.high / 2 - self.low / 2)
        return min(1.0, max(0.0, share))

    def ticks(self, count: int = 5) -> list[tuple[float, str]]:
        """Return places and labels of about `count` round values, or of all columns."""
        if self.kind == "columns":
            return [((index + 0.5) / len(self.columns), label) for index, label in enumerate(self.labels)]
        rounds = _round_powers(self.low, self.high, count) if self.kind == "log" else None
        values = rounds or _round_values(*self._ends(), count)
        return [(self.place(value), f"{value:.6g}") for value in values]

    def _ends(self) -> tuple[float, float]:
        return (10**self.low, 10**self.high) if self.kind == "log" else (self.low, self.high)


def number_axis(values: Sequence[float], *, log: bool = False) -> Axis:
    """Return an axis from the smallest to the largest of `values`, wider where they are all the same."""
    low, high = float(min(values)), float(max(values))
    if log:
        low, high = math.log10(low), math.log10(high)
    if high / 2 - low / 2 <= 1e-12 * max(abs(low), abs(high)):
        around = max(0.1 * abs(low), 1e-6)
        low, high = low - around, high + around
    return Axis("log" if log else "linear", low, high)


def _round_values(low: float, high: float, count: int) -> list[float]:
    step = 10.0 ** math.floor(math.log10(max(high / count - low / count, 1e-300)))
    step *= next(factor for factor in (1, 2, 5, 10, 20) if (high / step - low / step) / factor <= count)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [index * step for index in range(first, last + 1)]


def _round_powers(low: float, high: float, count: int) -> list[float]:
    for factors in ((1, 2, 3, 5), (1, 3), (1,)):
        values = [f * 10.0**power for power in range(math.floor(low), math.ceil(high) + 1) for f in factors]
        values = [value for value in values if low - 1e-9 <= math.log10(value) <= high + 1e-9]
        if 2 <= len(values) <= count + 1:
            return values
    return values[:: math.ceil(len(values) / count)] if len(values) > count else []
