"""Tables of values over time, and each series in them, in the order of time.

Used where a forecaster learns and where it answers, so it stands on pandas and nothing of the kit. Steps between the
rows are made even by :mod:`kerasdl.time_steps`.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasdl.errors import InputError
from kerasdl.table_columns import Columns

if TYPE_CHECKING:
    import pandas as pd

SUFFIXES = {".csv": ",", ".tsv": "\t"}


@dataclass(frozen=True, eq=False)
class RawSeries:
    """One series as it stands in a table, in the order of time.

    Args:
        name: What its rows have in the series column, as text; "" without such a column.
        time: A `pandas.DatetimeIndex`, in UTC if the times had a zone; None without a time column.
        values: float64 (rows, columns), NaN where missing.
    """

    name: str
    time: pd.DatetimeIndex | None
    values: np.ndarray


def read_table(data: Any, *, what: str = "data") -> pd.DataFrame:
    """Return data of any form as a table.

    Args:
        data: A path of a `.csv` or `.tsv` file with a header, a DataFrame or what converts to one (a mapping of
            columns, a structured array), an array of shape (steps,) or (steps, targets), or a list of arrays (steps,),
            each a series of its own.
        what: How messages name it.

    Raises:
        InputError: For a file that cannot be read, and for what is no table.
    """
    import pandas as pd

    if isinstance(data, (str, Path)):
        return _read_file(Path(data).expanduser())
    if isinstance(data, pd.DataFrame):
        # Times may be the index, as pandas has it.
        named = isinstance(data.index, pd.DatetimeIndex) and data.index.name not in data.columns
        return data.rename_axis(data.index.name or "time").reset_index() if named else data
    if isinstance(data, pd.Series):
        return read_table(data.to_frame(data.name or "value"), what=what)
    if isinstance(data, Mapping):
        try:
            return pd.DataFrame(dict(data))
        except ValueError as error:
            raise InputError(
                what,
                received=f"columns that do not fit ({error})",
                expected="columns of one length",
                mend="Check them.",
            ) from None
    if isinstance(data, (list, tuple)) and data and all(np.ndim(item) == 1 for item in data):
        parts = [pd.DataFrame({"series": str(index), "value": np.asarray(item)}) for index, item in enumerate(data)]
        return pd.concat(parts, ignore_index=True)
    values = np.asarray(data) if hasattr(data, "__len__") else np.zeros(())
    if values.ndim not in (1, 2) or values.dtype.kind not in "biuf" or not len(values):
        raise InputError(
            what,
            received=f"a {type(data).__name__}" + (f" of shape {values.shape}" if values.ndim else ""),
            expected="a .csv or .tsv file, a DataFrame, a mapping of columns, or an array (steps,) or (steps, targets)",
            mend="Put the values into a table with a row for each time.",
        )
    if values.ndim == 1:
        return pd.DataFrame({"value": values})
    return pd.DataFrame({f"value_{index}": column for index, column in enumerate(values.T)})


def _read_file(path: Path) -> pd.DataFrame:
    import pandas as pd

    if path.suffix.lower() not in SUFFIXES or not path.is_file():
        exists = "" if path.exists() else ", which does not exist"
        raise InputError(
            "data",
            received=f"{path}{exists}",
            expected="a .csv or .tsv file with a row for each time",
            mend="Check the path.",
        )
    try:
        return pd.read_csv(path, sep=SUFFIXES[path.suffix.lower()], skipinitialspace=True)
    except (ValueError, OSError) as error:
        raise InputError(
            str(path),
            received=f"a table that cannot be read ({' '.join(str(error).split())[:120]})",
            expected="UTF-8 text with a header, and rows of its length",
            mend="Repair it, or write it again with pandas' to_csv(index=False).",
        ) from None


def split_series(
    table: pd.DataFrame, columns: Columns, *, timezone: str | None = None, future: bool = False
) -> list[RawSeries]:
    """Return each series of a table, sorted by time.

    Args:
        table: Its rows may be in any order where it has a time column.
        columns: What is what.
        timezone: The zone of times that say none, such as "Europe/Paris"; None takes them as they are.
        future: Whether targets may lack in the last rows.

    Raises:
        InputError: For columns that lack, times that cannot be read or occur twice, values that are no numbers.
    """
    wanted = [name for name in (columns.time, columns.series, *columns.values) if name is not None]
    lacking = [name for name in wanted if name not in table.columns and not (future and name in columns.target)]
    if lacking:
        raise InputError(
            "data",
            received=f"a table without {', '.join(map(repr, lacking))}",
            expected=f"the columns {', '.join(wanted)}",
            mend="Bring them, named as in the training data.",
        )
    if not len(table):
        raise InputError("data", received="a table without rows", expected="a row for each time", mend="Check it.")
    values = np.stack([_numbers(table, name) for name in columns.values], axis=1)
    names = np.full(len(table), "") if columns.series is None else table[columns.series].astype(str).to_numpy()
    time = None if columns.time is None else _times(table, columns.time)
    found = []
    for name in dict.fromkeys(names):
        rows = np.flatnonzero(names == name)
        found.append(RawSeries(str(name), None if time is None else time[rows], values[rows]))
    return [_in_order(series, timezone) for series in found]


def _numbers(table: pd.DataFrame, name: str) -> np.ndarray:
    import pandas as pd

    if name not in table.columns:
        return np.full(len(table), np.nan)
    column = table[name]
    values = pd.to_numeric(column, errors="coerce").to_numpy(np.float64, na_value=np.nan)
    wrong = np.flatnonzero((np.isnan(values) & column.notna().to_numpy()) | np.isinf(values))
    if len(wrong):
        raise InputError(
            name,
            received=f"{column.iloc[wrong[0]]!r} in row {wrong[0] + 1}"
            + (f" and {len(wrong) - 1} more" * (len(wrong) > 1)),
            expected="finite numbers, or nothing where a value is missing",
            mend="Correct them, or leave the cells empty.",
        )
    return values


def _times(table: pd.DataFrame, name: str) -> pd.DatetimeIndex:
    import pandas as pd

    column = table[name]
    if column.isna().any():
        row = int(np.flatnonzero(column.isna().to_numpy())[0])
        raise InputError(
            name, received=f"no time in row {row + 1}", expected="a time in each row", mend="Drop the row."
        )
    if column.dtype.kind in "iuf":
        raise InputError(
            name,
            received=f"numbers such as {column.iloc[0]}",
            expected="dates or times such as 2024-01-31 or 2024-01-31 13:00",
            mend="Convert them with pandas.to_datetime (unit='s' for seconds since 1970), or drop the column.",
        )
    with warnings.catch_warnings():
        # That a format was not recognized and each cell is parsed by itself is no news to a user.
        warnings.simplefilter("ignore", UserWarning)
        try:
            parsed = pd.to_datetime(column)
        except ValueError:
            try:
                # Offsets that differ, as +01:00 in winter and +02:00 in summer, become one clock.
                parsed = pd.to_datetime(column, utc=True)
            except ValueError as error:
                raise InputError(
                    name,
                    received=f"times that cannot be read ({' '.join(str(error).split())[:100]})",
                    expected="one format throughout, such as 2024-01-31 13:00",
                    mend="Convert them with pandas.to_datetime(..., format=...).",
                ) from None
    return pd.DatetimeIndex(parsed)


def _in_order(series: RawSeries, timezone: str | None) -> RawSeries:
    if series.time is None:
        return series
    order = np.argsort(series.time.asi8, kind="stable")
    time, values = series.time[order], series.values[order]
    if time.tz is not None:
        time = time.tz_convert("UTC")
    elif timezone is not None:
        time = _localized(time, timezone)
    twice = np.flatnonzero(time.duplicated())
    if len(twice):
        hourly = len(time.hour.unique()) > 1
        autumn = (
            hourly and time.tz is None and time[twice].hour.max() <= 3 and len(twice) <= 4 * max(1, len(time) // 8000)
        )
        raise InputError(
            f"series {series.name!r}" if series.name else "data",
            received=f"{len(twice)} times that occur twice, the first {time[twice[0]]}",
            expected="each time once",
            mend="The end of daylight saving does this: pass timezone='Europe/Paris', say."
            if autumn
            else "Drop or aggregate them; if the table has several series, pass series_column.",
        )
    return replace(series, time=time, values=values)


def _localized(time: pd.DatetimeIndex, timezone: str) -> pd.DatetimeIndex:
    import zoneinfo

    try:
        # Of an hour that the clock skips in spring there is none, of one that it repeats in autumn there are two.
        return time.tz_localize(timezone, ambiguous="infer", nonexistent="shift_forward").tz_convert("UTC")
    except zoneinfo.ZoneInfoNotFoundError:
        raise InputError(
            "timezone", received=repr(timezone), expected="a name such as Europe/Paris", mend="Check the spelling."
        ) from None
    except ValueError:
        # One row only for the repeated hour: it is taken for the second.
        ambiguous = np.zeros(len(time), bool)
        return time.tz_localize(timezone, ambiguous=ambiguous, nonexistent="shift_forward").tz_convert("UTC")
