"""Which column of a table of values over time is what: as asked, or as usual names say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kerasdl.errors import InputError, nearest

if TYPE_CHECKING:
    import pandas as pd

TIME_NAMES = ("time", "date", "datetime", "timestamp", "ds", "day", "month", "hour")
SERIES_NAMES = ("series", "series_id", "unique_id", "item_id", "ticker", "symbol")
TARGET_NAMES = ("target", "y", "value", "close")


@dataclass(frozen=True)
class Columns:
    """Which column of a table is what.

    Args:
        target: What is to be forecast, one or more.
        time: When a row was observed; None where rows are in order without it.
        series: Which series a row belongs to; None for one series.
        past: Covariates that are known up to now.
        known: Covariates that are known for the future as well.
    """

    target: tuple[str, ...]
    time: str | None = None
    series: str | None = None
    past: tuple[str, ...] = ()
    known: tuple[str, ...] = ()

    @property
    def values(self) -> tuple[str, ...]:
        """The columns of numbers, in the order of :attr:`RawSeries.values`."""
        return (*self.target, *self.past, *self.known)


def choose_columns(table: pd.DataFrame, asked: Mapping[str, Any]) -> Columns:
    """Return which column is what: as asked, or as usual names say.

    Args:
        table: With a header.
        asked: "target", "time", "series", "past", "known": names, or None where not given.

    Raises:
        InputError: For columns that are not there, or that are asked for twice, and where no target can be told.
    """
    names = [str(name) for name in table.columns]
    given = {role: _as_names(asked.get(role)) for role in ("target", "time", "series", "past", "known")}
    keywords = {"target": "target", "time": "time_column", "series": "series_column"}
    seen: dict[str, str] = {}
    for role, wanted in given.items():
        keyword = keywords.get(role, f"{role}_covariates")
        for name in wanted:
            if name not in names:
                raise InputError(
                    keyword,
                    received=repr(name),
                    expected=f"one of the columns {_some(names)}",
                    mend=nearest(name, names),
                )
            if name in seen:
                raise InputError(
                    keyword,
                    received=f"{name!r}, which is {seen[name]} already",
                    expected="each column once",
                    mend="Leave it out of one of the two.",
                )
            seen[name] = keyword
    time = given["time"] or _usual(names, TIME_NAMES, seen)
    seen |= dict.fromkeys(time, "time_column")
    series = given["series"] or _usual(names, SERIES_NAMES, seen)
    seen |= dict.fromkeys(series, "series_column")
    target = given["target"]
    if not target:
        left = [name for name in names if name not in seen and table[name].dtype.kind in "biuf"]
        target = _usual(left, TARGET_NAMES, seen) or (tuple(left) if len(left) == 1 or _from_array(names) else ())
    if not target:
        raise InputError(
            "target",
            received=f"no name, and the columns {_some(names)}",
            expected="the column of numbers to forecast",
            mend=f"Pass target={(left or names)[0]!r}, say.",
        )
    return Columns(
        target=target,
        time=time[0] if time else None,
        series=series[0] if series else None,
        past=given["past"],
        known=given["known"],
    )


def _as_names(value: Any) -> tuple[str, ...]:
    return () if value is None else (value,) if isinstance(value, str) else tuple(str(name) for name in value)


def _from_array(names: Sequence[str]) -> bool:
    return all(name == f"value_{index}" for index, name in enumerate(names))


def _usual(names: Sequence[str], usual: Sequence[str], seen: Mapping[str, str]) -> tuple[str, ...]:
    found = [name for word in usual for name in names if name.lower() == word and name not in seen]
    return tuple(found[:1])


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:12]) + (", …" if len(names) > 12 else "")
