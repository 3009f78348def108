"""Series in `.csv` and `.tsv` files: a row for each series, or a row for each time step."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kerasdl.data.tables import LABEL_NAMES, Row, read_rows
from kerasdl.errors import InputError, nearest
from kerasdl.series_values import UNKNOWN, clean, numbers_in

ID_NAMES = ("id", "series", "series_id", "case", "case_id", "sample", "sample_id", "group")
# Not y: with x and z it is a channel.
LABELS = tuple(name for name in LABEL_NAMES if name != "y")
TIME_NAMES = ("time", "timestamp", "datetime", "date", "step", "t")

Found = tuple[list[np.ndarray], list[str] | None]
"""Series (length, channels) and their labels, None where there are none."""


@dataclass(frozen=True)
class Columns:
    """The columns that are no values, by their index; None where there is none."""

    label: int | None
    id: int | None
    time: int | None

    def others(self, header: Sequence[str]) -> list[int]:
        """Return the columns of the values, in their order."""
        return [index for index in range(len(header)) if index not in (self.label, self.id, self.time)]


def read_series_table(
    path: Path,
    *,
    label_column: str | None = None,
    id_column: str | None = None,
    time_column: str | None = None,
    missing: str = "refuse",
) -> Found:
    """Read the series of a table.

    *A row for each series*: the label, and the values in the order of their columns, one channel. Shorter series end in
    empty cells. An `id` that is different in each row is left out.

    *A row for each time step*, where a column `id` repeats or there is a `time`: the rows of a series have its id and
    its label, their order is that of `time` (numbers or ISO 8601), else that of the file, and every other column is a
    channel.

    *No header*, as the UCR archive has its .tsv files: where all cells of the first row are numbers, a row is a series,
    its first cell the label.

    Args:
        path: UTF-8; separated as :func:`kerasdl.data.tables.read_table` says.
        label_column: The column of the labels; None for the one with a usual name ("label", "class", ...).
        id_column: The column that says which series a row belongs to; None for one of `ID_NAMES`.
        time_column: The column of the time; None for one of `TIME_NAMES`.
        missing: What is done with missing values: "refuse" or "interpolate".

    Returns:
        The series, float32 (length, channels), in the order in which they begin; and their labels, None without any.

    Raises:
        InputError: For columns that are not there, values that are no numbers, labels that change within a series,
            times that repeat, missing values that are refused: with the line.

    Example:
        >>> series, labels = read_series_table(Path("motions.csv"))
    """
    rows = read_rows(path)
    if len(rows) < 2:
        raise InputError(
            str(path),
            received=f"{len(rows)} rows",
            expected="a header and the rows of the series",
            mend="The first row names the columns: label,t1,t2,t3 or id,time,x,y,label.",
        )
    header = [name.strip() for name in rows[0][1]]
    wanted = {"label_column": label_column, "id_column": id_column, "time_column": time_column}
    if not any(wanted.values()) and all(_is_number(cell) for cell in header):
        # Rows may end early, the first too.
        names = ["label", *(str(index) for index in range(1, max(len(cells) for _, cells in rows)))]
        return _wide(path, names, rows, Columns(0, None, None), missing)
    _check_lengths(path, header, rows[1:])
    columns = Columns(
        _find("label_column", label_column, LABELS, header, path),
        _find("id_column", id_column, ID_NAMES, header, path),
        _find("time_column", time_column, TIME_NAMES, header, path),
    )
    if not columns.others(header):
        raise InputError(
            str(path),
            received=f"the columns {', '.join(header)[:200]}",
            expected="columns of values beside the label, id and time",
            mend="Name them: label_column=..., id_column=..., time_column=...",
        )
    ids = [cells[columns.id] for _, cells in rows[1:]] if columns.id is not None else []
    if columns.time is None and len(set(ids)) == len(ids):
        return _wide(path, header, rows[1:], columns, missing)
    if columns.id is None:
        raise InputError(
            str(path),
            received=f"a column {header[columns.time or 0]!r} of times, and none that says which series a row is of",
            expected="a column named id",
            mend="Add one, or name it: id_column=... A table with a row for each series has no column of times.",
        )
    return _long(path, header, rows[1:], columns, missing)


def _wide(path: Path, header: list[str], rows: list[Row], columns: Columns, missing: str) -> Found:
    """Return the series of a table that has a row for each."""
    values, series = columns.others(header), []

    def named(step: int) -> str:
        return f"column {header[values[step]]!r}"

    for line, cells in rows:
        what = f"{path}, line {line}"
        numbers = numbers_in([cells[index] for index in values if index < len(cells)], what=what)
        series.append(clean(numbers[:, np.newaxis], what=what, missing=missing, place=named))
    if columns.label is None:
        return series, None
    return series, [_label(cells[columns.label], f"{path}, line {line}") for line, cells in rows]


def _long(path: Path, header: list[str], rows: list[Row], columns: Columns, missing: str) -> Found:
    """Return the series of a table that has a row for each of their time steps."""
    groups: dict[str, list[Row]] = {}
    for line, cells in rows:
        groups.setdefault(cells[columns.id or 0].strip(), []).append((line, cells))
    series, labels = [], []
    for name, group in groups.items():
        what = f"{path}, series {name!r}"
        if columns.time is not None:
            group = _in_time(path, group, columns.time)
        values = np.stack(
            [
                numbers_in([cells[index] for index in columns.others(header)], what=f"{path}, line {line}")
                for line, cells in group
            ]
        )
        lines = [f"line {line}" for line, _ in group]
        series.append(clean(values, what=what, missing=missing, place=lines.__getitem__))
        if columns.label is not None:
            labels.append(_common_label(path, group, columns.label))
    return series, labels if columns.label is not None else None


def _in_time(path: Path, group: list[Row], column: int) -> list[Row]:
    times = [_time(cells[column], f"{path}, line {line}") for line, cells in group]
    if len({isinstance(time, float) for time in times}) > 1:
        raise InputError(
            f"{path}, line {group[0][0]}", received="times of several kinds", expected="one kind", mend="Rewrite them."
        )
    order = sorted(range(len(group)), key=times.__getitem__)
    for before, after in zip(order, order[1:], strict=False):
        if times[before] == times[after]:
            raise InputError(
                f"{path}, line {group[after][0]}",
                received=f"the time {group[after][1][column].strip()!r} again, as on line {group[before][0]}",
                expected="each time once in a series",
                mend="Drop or average the repetitions, or correct the id.",
            )
    return [group[index] for index in order]


def _time(cell: str, what: str) -> float | datetime.datetime:
    for read in (float, datetime.datetime.fromisoformat):
        try:
            found = read(cell.strip())
        except ValueError:
            continue
        if found == found:
            # Naive and aware times have no order among each other.
            return found.replace(tzinfo=found.tzinfo or datetime.UTC) if isinstance(found, datetime.datetime) else found
    raise InputError(
        what,
        received=f"the time {cell.strip()[:40]!r}",
        expected="a number, or a date and time as 2024-01-31 12:00:00",
        mend="Correct it.",
    )


def _label(cell: str, what: str) -> str:
    if cell.strip().lower() in UNKNOWN:
        raise InputError(
            what, received="a missing label", expected="a label for every series", mend="Fill or remove it."
        )
    return cell.strip()


def _common_label(path: Path, group: list[Row], column: int) -> str:
    found = {_label(cells[column], f"{path}, line {line}"): line for line, cells in reversed(group)}
    if len(found) > 1:
        (second, line), (first, _) = sorted(found.items(), key=lambda item: -item[1])[:2]
        raise InputError(
            f"{path}, line {line}",
            received=f"the label {second!r} in a series that begins with {first!r}",
            expected="one label for all rows of a series",
            mend="Correct the labels or the ids.",
        )
    return next(iter(found))


def _find(what: str, name: str | None, usual: Sequence[str], header: list[str], path: Path) -> int | None:
    if name is not None:
        if header.count(name) != 1:
            raise InputError(
                what,
                received=repr(name),
                expected=f"a column of {path}: {', '.join(header)[:200]}",
                mend=nearest(name, header),
            )
        return header.index(name)
    lowered = [column.lower() for column in header]
    return next((lowered.index(column) for column in usual if column in lowered), None)


def _check_lengths(path: Path, header: list[str], rows: list[Row]) -> None:
    for line, cells in rows:
        if len(cells) != len(header):
            raise InputError(
                f"{path}, line {line}",
                received=f"{len(cells)} cells",
                expected=f"{len(header)}, as in the header",
                mend="Leave the cells behind the end of a shorter series empty.",
            )


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
