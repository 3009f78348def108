"""Even steps: how far the rows of a series lie apart, rows for the times that lack, and the times that come next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from kerasdl.errors import InputError
from kerasdl.time_tables import RawSeries

if TYPE_CHECKING:
    import pandas as pd

ROWS = "rows"
"""The frequency of rows that count as one step each, whatever lies between them: trading days, say."""
DAY = 86_400
MOST_MISSING = 0.5
"""Share of all steps that may lack before a series counts as irregular."""
# By pandas' name of a step of months: how many.
MONTHS = {"MS": 1, "ME": 1, "QS": 3, "QE": 3, "YS": 12, "YE": 12}


@dataclass(frozen=True, eq=False)
class TimeSeries:
    """A series with even steps.

    Args:
        name: "" if it is the only one.
        time: Seconds since 1970 of every step, UTC where the times have a zone, int64 (steps,); step numbers without
            times.
        clock: The same as a clock on the wall shows it.
        values: float32 (steps, columns), NaN where missing.
    """

    name: str
    time: np.ndarray
    clock: np.ndarray
    values: np.ndarray

    def __len__(self) -> int:
        return len(self.values)


def infer_frequency(series: Sequence[RawSeries]) -> str:
    """Return pandas' name of the step between rows, or :data:`ROWS`.

    Steps may lack. Days that are never at a weekend count as rows: on holidays nothing is missing.

    Args:
        series: Sorted by time.

    Raises:
        InputError: For steps that are irregular.
    """
    import pandas as pd

    times = [each.time for each in series if each.time is not None and len(each.time) > 2]
    if not times:
        return ROWS
    longest = max(times, key=len)
    steps = np.concatenate([np.diff(time.as_unit("s").asi8) for time in times])
    sizes, counts = np.unique(steps, return_counts=True)
    usual = int(sizes[counts.argmax()])
    if usual == DAY and all((time.day_of_week < 5).all() for time in times) and len(longest) > 10:
        return ROWS
    if 27 * DAY < usual < 367 * DAY:
        local = longest
        days, ends = np.unique(local.day), bool(local.is_month_end.all())
        months = np.diff(local.year * 12 + local.month)
        if len(months) and (len(days) == 1 or ends):
            size = int(np.bincount(months).argmax())
            kind = "E" if ends else "S"
            return {1: f"M{kind}", 3: f"Q{kind}", 12: f"Y{kind}"}.get(size, f"{size}M{kind}")
    missing = 1 - len(steps) / max(1.0, steps.sum() / usual)
    uneven = float((steps % usual != 0).mean())
    if uneven or missing > MOST_MISSING:
        odd = steps[steps % usual != 0] if uneven else steps[steps != usual]
        raise InputError(
            "data",
            received=f"irregular steps: mostly {pd.Timedelta(usual, 's')}, also {pd.Timedelta(int(odd[0]), 's')}, "
            f"{100 * missing:.0f} % of the steps missing",
            expected="times with even steps between them, of which some may lack",
            mend="Resample the table to even steps, or pass frequency='rows' to count each row as one step.",
        )
    if usual % DAY == 0:
        return "D" if usual == DAY else f"{usual // DAY}D"
    return pd.tseries.frequencies.to_offset(pd.Timedelta(usual, "s")).freqstr


def season_of(frequency: str) -> int:
    """Return after how many steps values are usually alike again: a day of hours, a week of days, a year of months."""
    if frequency == ROWS:
        return 5
    if months := _months(frequency):
        return 12 // months if 12 % months == 0 else 1
    step = step_seconds(frequency) or 0.0
    for period in (DAY, 7 * DAY, 52 * 7 * DAY):
        if step < period and period % step == 0:
            return int(period // step)
    return 1


def _months(frequency: str) -> int:
    """Return how many months a step has, 0 for steps of fixed length."""
    offset = check_frequency(frequency)
    return MONTHS.get(offset.rule_code.split("-")[0], 0) * offset.n


def step_seconds(frequency: str) -> float | None:
    """Return the length of a step in seconds, its mean where months differ; None for :data:`ROWS`."""
    import pandas as pd

    if frequency == ROWS:
        return None
    start = pd.Timestamp("2001-01-01")
    # The mean of 400 years, after which the calendar repeats, where months differ.
    count = 4800 // _months(frequency) if _months(frequency) else 1
    first = start + check_frequency(frequency)
    return (first + count * check_frequency(frequency) - first).total_seconds() / count


def check_frequency(frequency: str) -> pd.offsets.BaseOffset:
    """Return pandas' offset of that name.

    Raises:
        InputError: For a name that it does not know.
    """
    import pandas as pd

    try:
        offset = pd.tseries.frequencies.to_offset(frequency)
    except ValueError:
        offset = None
    if offset is None or offset.n < 1:
        raise InputError(
            "frequency",
            received=repr(frequency),
            expected="rows, or a name of pandas' such as 15min, h, D, W or MS",
            mend="Leave it out: it is read off the times.",
        )
    return offset


def make_even(raw: RawSeries, frequency: str, *, timezone: str | None = None) -> TimeSeries:
    """Return a series with a row for every step; where none was, values are missing.

    Args:
        raw: Sorted by time.
        frequency: Of pandas, or :data:`ROWS`.
        timezone: Where the clock on the wall hangs, if the times are UTC; None for UTC.

    Raises:
        InputError: For times that lie between two steps.
    """
    import pandas as pd

    time, values = raw.time, raw.values
    if time is None:
        numbers = np.arange(len(values), dtype=np.int64)
        return TimeSeries(raw.name, numbers, numbers, values.astype(np.float32))
    if frequency != ROWS:
        offset = check_frequency(frequency)
        grid = pd.date_range(time[0], time[-1], freq=offset)
        if not offset.is_on_offset(time[0]):
            count = (time[-1].year - time[0].year) * 12 + time[-1].month - time[0].month
            grid = _months_from(time[0], range(0, count + 1, _months(frequency) or 1))
        places = grid.get_indexer(time)
        if (places < 0).any():
            raise InputError(
                f"series {raw.name!r}" if raw.name else "data",
                received=f"{int((places < 0).sum())} times between the steps, the first {time[places < 0][0]}",
                expected=f"times that lie whole steps of {frequency} after {time[0]}",
                mend="Resample the table, or pass frequency='rows' to count each row as one step.",
            )
        even = np.full((len(grid), values.shape[1]), np.nan)
        even[places] = values
        time, values = grid, even
    clock = time
    if time.tz is not None:
        clock = time.tz_convert(timezone or "UTC").tz_localize(None)
        time = time.tz_localize(None)
    seconds, on_wall = (each.as_unit("s").asi8.astype(np.int64) for each in (time, clock))
    return TimeSeries(raw.name, seconds, on_wall, values.astype(np.float32))


def _months_from(start: pd.Timestamp, months: Iterable[int]) -> pd.DatetimeIndex:
    """Return the same day in later months: a step of months may begin on any day."""
    import pandas as pd

    return pd.DatetimeIndex([start + pd.DateOffset(months=month) for month in months])


def next_times(last: int, count: int, frequency: str) -> np.ndarray:
    """Return the times that follow.

    Args:
        last: Seconds since 1970 of the last step.
        count: How many steps.
        frequency: Of pandas; after :data:`ROWS` come the next weekdays, since nobody knows the holidays.

    Returns:
        int64 (count,), seconds since 1970.
    """
    import pandas as pd

    offset = pd.offsets.BDay() if frequency == ROWS else check_frequency(frequency)
    start = pd.Timestamp(int(last), unit="s")
    if frequency != ROWS and not offset.is_on_offset(start):
        months = _months(frequency)
        found = _months_from(start, range(months, months * count + 1, months))
    else:
        found = pd.DatetimeIndex([start + (step + 1) * offset for step in range(count)])
    return found.as_unit("s").asi8.astype(np.int64)
