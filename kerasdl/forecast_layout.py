"""What the windows of a forecaster are made of, and how raw values become its inputs: the same here and in an export.

Functions take `xp`, NumPy or `keras.ops`: training and the live model compute in NumPy, an exported graph in tensors.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from kerasdl.table_columns import Columns

DAY, WEEK, YEAR = 86_400, 604_800, 31_556_952
TRANSFORMS = ("none", "returns", "log_returns", "volatility")
# The mean absolute value of a normal variable is that share of its standard deviation.
ABSOLUTE = math.sqrt(2 / math.pi)


@dataclass(frozen=True)
class ForecastLayout:
    """All that makes raw values the inputs of a forecaster.

    Args:
        columns: Which column of a table is what.
        series: The names of the series, in the order of their numbers; ("",) for one without a name.
        frequency: Step between rows, by pandas' name, or "rows".
        step: Its length in seconds, 0 where times do not matter.
        timezone: Of the clock on the wall that the calendar goes by; None for the times as they are.
        sequence_length: Steps that the forecaster looks back.
        horizon: Steps that it looks ahead.
        season: Steps after which values are alike again.
        transform: What of the targets is forecast: "none" for themselves, "returns" for their relative change from step
            to step, "log_returns" for that of their logarithms, "volatility" for the size of the latter, scaled so
            that its mean is the standard deviation of normal ones.
        calendar: Periods in seconds whose phase is a covariate: of the day, the week, the year.
        numbered: Whether the forecaster must be told which series a window is of, because each has a scaler of its own.
    """

    columns: Columns
    series: tuple[str, ...]
    frequency: str
    step: float
    timezone: str | None
    sequence_length: int
    horizon: int
    season: int
    transform: str
    calendar: tuple[int, ...]
    numbered: bool = False

    @property
    def asked(self) -> tuple[str, ...]:
        """What raw windows must bring: "values", and as far as needed "known", "time" and "series"."""
        needed = {"known": self.columns.known, "time": self.calendar, "series": self.numbered}
        return ("values", *(name for name, need in needed.items() if need))

    @property
    def num_targets(self) -> int:
        """Number of targets."""
        return len(self.columns.target)

    @property
    def num_past(self) -> int:
        """Number of covariates that are not known for the future."""
        return len(self.columns.past)

    @property
    def num_known(self) -> int:
        """Number of covariates that are known for the future, those of the calendar included."""
        return len(self.columns.known) + 2 * len(self.calendar)

    @property
    def raw_length(self) -> int:
        """Steps of raw values that a forecast needs: one more where changes are forecast."""
        return self.sequence_length + (self.transform != "none")

    def as_dict(self) -> dict[str, Any]:
        """Return the layout for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any]) -> ForecastLayout:
        """Return the layout that `as_dict` described."""

        def tuples(of: Mapping[str, Any]) -> dict[str, Any]:
            return {key: tuple(value) if isinstance(value, list) else value for key, value in of.items()}

        return cls(**{**tuples(facts), "columns": Columns(**tuples(facts["columns"]))})


def transformed(targets: Any, transform: str, xp: Any = np) -> Any:
    """Return what is forecast of the targets.

    Args:
        targets: Raw, (..., steps, targets); with a transform they must be above 0.
        transform: Of :data:`TRANSFORMS`.
        xp: NumPy or `keras.ops`.

    Returns:
        The targets as they are, or their changes, (..., steps - 1, targets).
    """
    if transform == "none":
        return targets
    ratio = targets[..., 1:, :] / targets[..., :-1, :]
    if transform == "returns":
        return ratio - 1.0
    logarithms = xp.log(ratio)
    return logarithms if transform == "log_returns" else xp.absolute(logarithms) / ABSOLUTE


def middle_level(quantiles: Sequence[float]) -> int:
    """Return the index of the level nearest to one half: the point forecast."""
    return min(range(len(quantiles)), key=lambda index: abs(quantiles[index] - 0.5))


def possible(quantiles: Any, transform: str, xp: Any = np) -> Any:
    """Return foretold quantiles without what cannot be: volatility is not below 0."""
    return xp.maximum(quantiles, 0.0) if transform == "volatility" else quantiles


def calendar_features(clock: Any, steps: np.ndarray, layout: ForecastLayout, xp: Any = np) -> Any:
    """Return sine and cosine of where in the day, the week, the year each step of each window lies.

    Steps are counted on from the clock of the window's last observation: where it is put forward or back within a
    window, they are an hour off after that.

    Args:
        clock: Seconds since 1970 on the clock on the wall at the last observation, int64 (count,).
        steps: Which steps, 0 for the last observation.
        layout: With the periods.
        xp: NumPy or `keras.ops`.

    Returns:
        (count, len(steps), 2 * periods), float64 or what the division of integers gives.
    """
    seconds = clock[:, None] + np.round(steps * layout.step).astype(np.int64)[None]
    angles = [(seconds % period) / period * (2 * math.pi) for period in layout.calendar]
    return xp.stack([wave(angle) for angle in angles for wave in (xp.sin, xp.cos)], axis=-1)


def model_inputs(
    layout: ForecastLayout, *, values: Any, known: Any = None, clock: Any = None, xp: Any = np
) -> dict[str, Any]:
    """Return the inputs "past" and "known" of a forecaster from raw values.

    Args:
        layout: What they are.
        values: (count, raw_length, columns) in the order of `layout.columns.values`, NaN where missing.
        known: What is known of the next steps, (count, horizon, columns.known); if there are such columns.
        clock: Seconds since 1970 of the last observation, int64 (count,); if there is a calendar.
        xp: NumPy or `keras.ops`.

    Returns:
        "past": float32 (count, sequence_length, channels); "known": float32 (count, horizon, num_known), if any.
    """
    targets = transformed(values[..., : layout.num_targets], layout.transform, xp)
    past = [targets, values[:, -layout.sequence_length :, layout.num_targets :]]
    future = [known] if layout.columns.known else []
    if layout.calendar:
        steps = np.arange(1 - layout.sequence_length, layout.horizon + 1)
        features = _float32(calendar_features(clock, steps, layout, xp), xp)
        past.append(features[:, : layout.sequence_length])
        future.append(features[:, layout.sequence_length :])
    inputs = {"past": _float32(xp.concatenate(past, axis=-1), xp)}
    if future:
        inputs["known"] = _float32(xp.concatenate(future, axis=-1), xp)
    return inputs


def _float32(values: Any, xp: Any) -> Any:
    return np.asarray(values, np.float32) if xp is np else xp.cast(values, "float32")


def choose_calendar(*, step: float | None, span: float) -> tuple[int, ...]:
    """Return the periods of the calendar that data can teach something about.

    Args:
        step: Seconds between two steps, None where they have no times.
        span: Seconds of training data. A period that they do not cover twice says when rather than what.
    """
    if step is None:
        return ()
    return tuple(period for period in (DAY, WEEK, YEAR) if 2 * step <= period and 2 * period <= span)
