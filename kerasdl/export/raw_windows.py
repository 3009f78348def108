"""What a user may hand to `predict` of a forecaster: a table as the one it learned from, or windows of raw values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from kerasdl import time_steps, time_tables
from kerasdl.errors import InputError
from kerasdl.export.outputs import Outputs
from kerasdl.forecast_layout import ForecastLayout, model_inputs

BATCH_SIZE = 256


def predict_raw_windows(
    raw: Any, layout: ForecastLayout, *, on_windows: Callable[[dict[str, Any]], Outputs]
) -> Outputs:
    """Run a forecaster on raw series and return one row a forecast.

    Args:
        raw: One of:
            a table (path of a `.csv` or `.tsv` file, DataFrame, mapping of columns) with the columns of the training
            data; every series in it is forecast from its last row with an observed target. Covariates that are known
            ahead stand in the rows after it;
            an array of raw values of the target, (steps,) or (count, steps), or with several columns (steps, columns)
            or (count, steps, columns); the last steps are read;
            a mapping with "values", (count, steps, columns), and what else the forecaster asks for: "known" (count,
            horizon, columns), "time", the last observation's time in seconds since 1970 or as `numpy.datetime64`,
            (count,), and "series", names (count,).
        layout: What the forecaster takes.
        on_windows: Outputs for windows, see :func:`kerasdl.forecast_layout.model_inputs`.

    Returns:
        Every output with a first axis over the forecasts; of a table also "series", their names, and "time", the times
        that are foretold, `datetime64[s]` (count, horizon).

    Raises:
        InputError: For too few steps, unknown series, and anything else that does not fit.
    """
    windows, told = as_windows(raw, layout)
    count = len(windows["values"])
    rows: dict[str, list[np.ndarray]] = {}
    for begin in range(0, count, BATCH_SIZE):
        batch = {name: values[begin : begin + BATCH_SIZE] for name, values in windows.items()}
        for name, values in on_windows(batch).items():
            rows.setdefault(name, []).append(values)
    outputs = {name: values[0] if len(values) == 1 else np.concatenate(values) for name, values in rows.items()}
    return {**told, **outputs}


def window_inputs(windows: Mapping[str, Any], layout: ForecastLayout) -> dict[str, Any]:
    """Return the inputs of a forecaster from whole windows, with the number of each series where it is asked for."""
    inputs = model_inputs(layout, values=windows["values"], known=windows.get("known"), clock=windows.get("time"))
    if layout.numbered:
        numbers = {name: number for number, name in enumerate(layout.series)}
        inputs["series"] = np.array([numbers[name] for name in windows["series"]], np.int32)
    return inputs


def as_windows(raw: Any, layout: ForecastLayout) -> tuple[dict[str, Any], Outputs]:
    """Return raw input as windows, and what a table tells besides; see :func:`predict_raw_windows`."""
    if isinstance(raw, Mapping) and "values" in raw and "values" not in layout.columns.values:
        return _given(raw, layout), {}
    if not isinstance(raw, (np.ndarray, list, tuple)):
        return _from_table(raw, layout)
    try:
        values = np.asarray(raw, np.float32)
    except ValueError:
        raise InputError(
            "raw",
            received="windows of different lengths, or what is no number",
            expected="numbers, (steps,) or (count, steps)",
            mend="Pass one at a time, or cut them to one length.",
        ) from None
    columns = len(layout.columns.values)
    if columns == 1 and values.ndim in (1, 2):
        values = np.atleast_2d(values)[..., None]
    elif values.ndim == 2:
        values = values[None]
    return _given({"values": values}, layout), {}


def _given(raw: Mapping[str, Any], layout: ForecastLayout) -> dict[str, Any]:
    asked = layout.asked
    lacking = [name for name in asked if raw.get(name) is None]
    if lacking:
        raise InputError(
            "raw",
            received=f"no {' and no '.join(lacking)}",
            expected=f"{', '.join(asked)} for each window",
            mend="Pass a table with the columns of the training data, or a mapping with these.",
        )
    values = np.asarray(raw["values"], np.float32)
    columns = layout.columns.values
    if values.ndim != 3 or values.shape[2] != len(columns) or values.shape[1] < layout.raw_length or not len(values):
        raise InputError(
            "values",
            received=f"an array of shape {values.shape}",
            expected=f"(count, at least {layout.raw_length} steps, {len(columns)}: {', '.join(columns)})",
            mend="Bring as many of the latest steps; NaN where a value is missing.",
        )
    found: dict[str, Any] = {"values": values[:, -layout.raw_length :]}
    if "known" in asked:
        known, shape = np.asarray(raw["known"], np.float32), (len(values), layout.horizon, len(layout.columns.known))
        if known.shape != shape:
            raise InputError(
                "known", received=f"an array of shape {known.shape}", expected=f"{shape}", mend="One row a step ahead."
            )
        found["known"] = known
    if "time" in asked:
        time = np.asarray(raw["time"])
        found["time"] = (time.astype("datetime64[s]") if time.dtype.kind in "MUO" else time).astype(np.int64)
    if "series" in asked:
        found["series"] = _known_names(np.asarray(raw["series"], object), layout.series)
    for name, each in found.items():
        if len(each) != len(values):
            raise InputError(
                name, received=f"{len(each)} for {len(values)} windows", expected="one a window", mend="Check them."
            )
    return found


def _known_names(names: np.ndarray, known: Sequence[str]) -> np.ndarray:
    unknown = [name for name in names if name not in known]
    if unknown:
        raise InputError(
            "series",
            received=f"{unknown[0]!r}",
            expected=f"one of the series of the training: {', '.join(known[:20])}{', …' if len(known) > 20 else ''}",
            mend="A series that was not learnt cannot be scaled: train with it.",
        )
    return names


def _from_table(raw: Any, layout: ForecastLayout) -> tuple[dict[str, Any], Outputs]:
    table = time_tables.read_table(raw, what="raw")
    found = time_tables.split_series(table, layout.columns, timezone=layout.timezone, future=True)
    targets, parts = layout.num_targets, []
    told: dict[str, list[Any]] = {"series": [], "time": []}
    for each in found:
        even = time_steps.make_even(each, layout.frequency, timezone=layout.timezone)
        seen = np.flatnonzero(np.isfinite(even.values[:, :targets]).any(axis=1))
        origin = seen[-1] + 1 if len(seen) else 0
        named = f"series {each.name!r}" if each.name else "raw"
        if origin < layout.raw_length:
            raise InputError(
                named,
                received=f"{origin} steps up to the last with an observed target",
                expected=f"at least {layout.raw_length} steps, {layout.frequency} apart",
                mend="Bring more of the past; rows may lack values.",
            )
        part = {"values": even.values[None, origin - layout.raw_length : origin]}
        if layout.columns.known:
            ahead = even.values[origin : origin + layout.horizon, -len(layout.columns.known) :]
            if len(ahead) < layout.horizon or not np.isfinite(ahead).all():
                raise InputError(
                    named,
                    received=f"{int(np.isfinite(ahead).all(axis=1).sum())} rows after the last observed target",
                    expected=f"{layout.horizon} rows with {', '.join(layout.columns.known)}, the target left empty",
                    mend="These covariates are known ahead: add them.",
                )
            part["known"] = ahead[None]
        part["time"], part["series"] = even.clock[None, origin - 1], np.array([each.name], object)
        parts.append(part)
        if layout.columns.time is not None:
            ahead = time_steps.next_times(int(even.clock[origin - 1]), layout.horizon, layout.frequency)
            told["time"].append(ahead.astype("datetime64[s]"))
        told["series"].append(each.name)
    merged = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    extra = {name: np.array(values, object if name == "series" else None) for name, values in told.items() if values}
    return _given(merged, layout), extra
