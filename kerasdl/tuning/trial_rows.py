"""What is asked of a search's rows in more than one place: the best trial, the values that vary, how they are written.

A row is one trial as a dictionary: "trial", "status", "score" (None where there is none), "best_epoch", "epochs",
"seconds", "seed", "reason", "space" (hyperparameters by name; those of other branches are missing) and "history".
"""

from __future__ import annotations

import math
import numbers
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]

# Trials that have no score that counts; the others have one of a part of their epochs, unless they are finished.
FAILED = ("failed", "timed_out", "out_of_memory", "crashed", "not_finite")
# From this ratio of largest to smallest on, values can only be told apart on a log scale.
WIDE = 100.0


def score_of(row: Row) -> float | None:
    """Return a trial's score, or None where the trial failed or has none that is a finite number."""
    score = row["score"]
    return float(score) if row["status"] not in FAILED and is_number(score) else None


def is_number(value: object) -> bool:
    """Return whether `value` is a finite number; True and False are not."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)


def ranked(rows: Sequence[Row], direction: str) -> list[Row]:
    """Return the trials, the best first: finished ones, then others with a score, then those that failed or have none.

    A trial that was paused or pruned was scored after fewer epochs and is no answer to the search while another is.
    """
    sign = -1.0 if direction == "max" else 1.0

    def key(row: Row) -> tuple[int, float]:
        score = score_of(row)
        if score is None:
            return 2, 0.0
        return int(row["status"] != "finished"), sign * score

    return sorted(rows, key=key)


def best_of(rows: Sequence[Row], direction: str) -> Row | None:
    """Return the best trial, or None while none has a score."""
    first = next(iter(ranked(rows, direction)), None)
    return first if first is not None and score_of(first) is not None else None


def names_of(rows: Iterable[Row]) -> list[str]:
    """Return the names of all hyperparameters in the order in which the trials met them."""
    return list(dict.fromkeys(name for row in rows for name in row["space"]))


def values_of(rows: Iterable[Row], name: str) -> list[Any]:
    """Return a hyperparameter's values, one for each trial that has it."""
    return [row["space"][name] for row in rows if name in row["space"]]


def varying(rows: Sequence[Row]) -> list[str]:
    """Return the names of the hyperparameters that have two values or more."""
    return [name for name in names_of(rows) if len({repr(value) for value in values_of(rows, name)}) > 1]


def is_numeric(values: Sequence[Any]) -> bool:
    """Return whether all `values` are finite numbers, so that they have an order and distances."""
    return all(is_number(value) for value in values)


def is_wide(values: Sequence[Any]) -> bool:
    """Return whether numbers are positive and so far apart that only a log scale shows them."""
    return min(values) > 0 and max(values) / min(values) >= WIDE


def fence(scores: Sequence[float], direction: str) -> float:
    """Return the score from which on trials are only "bad": Tukey's fence, 1.5 times the middle half beyond it.

    One diverged trial would otherwise press all others into one line of a picture, and be all the variation there is.

    Args:
        scores: One number or more.
        direction: "min" or "max", what is good.
    """
    worst = min(scores) if direction == "max" else max(scores)
    if len(scores) < 4:
        return worst
    low, _, high = statistics.quantiles(scores, n=4, method="inclusive")
    if low == high:
        return worst
    return max(worst, low - 1.5 * (high - low)) if direction == "max" else min(worst, high + 1.5 * (high - low))


def in_words(row: Row) -> str:
    """Return a trial's status for reading: out of memory."""
    return str(row["status"]).replace("_", " ")


def shown(value: object) -> str:
    """Return a hyperparameter's value for reading: four digits of a number, the items of a list."""
    if isinstance(value, (list, tuple)):
        return f"({', '.join(shown(item) for item in value)})"
    if isinstance(value, numbers.Real) and not isinstance(value, numbers.Integral):
        return f"{float(value):.4g}"
    return str(value)


def exact(value: object) -> str:
    """Return a value as Python reads it, with every bit of its numbers, NumPy's among them."""
    if isinstance(value, (list, tuple)):
        items = ", ".join(exact(item) for item in value)
        return f"[{items}]" if isinstance(value, list) else f"({items}{',' if len(value) == 1 else ''})"
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        return repr(int(value) if isinstance(value, numbers.Integral) else float(value))
    return repr(value)


def duration(seconds: float) -> str:
    """Return a time for reading: 31 s, 6 min, 2 h 05 min."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02} min"
