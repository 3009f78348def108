"""The axes of a search's pictures: of a hyperparameter, and of the score."""

from __future__ import annotations

from collections.abc import Sequence

from kerasdl.pages.axes import Axis, number_axis
from kerasdl.tuning.trial_rows import Row, fence, is_numeric, is_wide, shown, values_of

# So many different whole numbers are columns: 32, 64, 128 are three choices rather than points on a line.
MOST_COLUMNS = 6


def value_axis(rows: Sequence[Row], name: str, *, log: bool = False) -> Axis:
    """Return the axis of a hyperparameter.

    Args:
        rows: The trials; one at least has the hyperparameter.
        name: Of the hyperparameter.
        log: Whether it was sampled on a log scale; without that, only what spans two decades or more is drawn on one.
    """
    values = values_of(rows, name)
    by_text = {repr(value): value for value in values}
    if is_numeric(values):
        whole = all(isinstance(value, int) for value in values)
        if not whole or len(by_text) > MOST_COLUMNS:
            return number_axis(values, log=min(values) > 0 and (log or is_wide(values)))
        by_text = dict(sorted(by_text.items(), key=lambda item: item[1]))
    elif all(isinstance(value, (bool, str)) for value in values):
        by_text = dict(sorted(by_text.items()))
    return Axis("columns", columns=tuple(by_text), labels=tuple(shown(value) for value in by_text.values()))


def score_axis(scores: Sequence[float], direction: str) -> Axis:
    """Return the axis of scores, which ends where they are only bad."""
    limit = fence(scores, direction)
    return number_axis([max(score, limit) if direction == "max" else min(score, limit) for score in scores])
