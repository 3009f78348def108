"""Findings on forecasts: no better than naive ones, intervals that hold too rarely, a window learnt by heart."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kerasdl.diagnostics.curves import Finding, diverged, wilson_interval

# The usual level of significance.
SIGNIFICANT = 0.05
# Share of the error of the last value by which training windows may be foretold better than later ones.
LARGEST_GAP = 0.1
# Points by which intervals may hold more or less often than they say.
LARGEST_MISS = 0.05


def diagnose_forecaster(
    *,
    history: Mapping[str, Sequence[float]],
    config: Mapping[str, Any],
    against: Mapping[str, Mapping[str, float]],
    movement: float,
    train_skill: float,
    validation_skill: float,
    nominal: float | None = None,
    coverage: float | None = None,
    independent: int = 0,
) -> list[Finding]:
    """Diagnose a forecaster.

    Args:
        history: Curves by name, one number an epoch; "loss" and "val_loss" are read.
        config: The recipe's resolved arguments, which the remedies start from.
        against: For each naive forecast on the test split "error_ratio", the model's mean absolute error over its, and
            "p_value" of the Diebold-Mariano test that the model is better.
        movement: Standard deviation of the foretold change from the last value, over that of the true one.
        train_skill: One minus the error ratio to the last value on training windows.
        validation_skill: The same on validation windows.
        nominal: How often the outer quantiles say that the truth lies between them; None without intervals.
        coverage: How often it does on the test split.
        independent: Windows of the test split that do not overlap.

    Returns:
        The findings, the most serious first; empty when nothing is wrong.

    The comparison with naive forecasts and the coverage are taken from the test split: they say what the result is
    worth, and no remedy of theirs chooses between models.
    """
    found = [
        diverged(history, config),
        _naive(against, movement, config),
        _overfitting(history, train_skill, validation_skill, config),
        _underfitting(history, train_skill, validation_skill, config),
        _intervals(nominal, coverage, independent, config),
    ]
    return [finding for finding in found if finding is not None]


def _naive(against: Mapping[str, Mapping[str, float]], movement: float, config: Mapping[str, Any]) -> Finding | None:
    name = max(against, key=lambda each: against[each]["error_ratio"])
    ratio, p_value = against[name]["error_ratio"], against[name]["p_value"]
    if p_value < SIGNIFICANT and ratio < 1:
        return None
    evidence = {"error_ratio": ratio, "p_value": p_value, "movement_foretold": movement}
    advice = (
        f"The forecast is not better than the naive one ({name}), as far as a Diebold-Mariano test can tell: what "
        "looks like a good forecast in a picture is a copy of what came before."
    )
    prices = config.get("transform") == "none" and config.get("frequency") == "rows"
    if not prices:
        return Finding("no_better_than_naive", evidence, advice, {"epochs": 2 * config["epochs"]})
    return Finding(
        "no_better_than_naive",
        evidence,
        f"{advice} Of prices that are traded nothing else is to be expected; how much they will move can be foretold.",
        {"transform": "volatility"},
    )


def _overfitting(
    history: Mapping[str, Sequence[float]], train: float, validation: float, config: Mapping[str, Any]
) -> Finding | None:
    losses = np.asarray(history["val_loss"], dtype=float)
    best = int(np.nanargmin(losses)) + 1
    if train - validation < LARGEST_GAP or best > 0.8 * len(losses):
        return None
    return Finding(
        "overfitting",
        {"train_skill": train, "validation_skill": validation, "best_epoch": best, "epochs": len(losses)},
        "Training windows are foretold much better than later ones, and later epochs made that worse; regularize the "
        "model or give it more data.",
        {
            "dropout": round(min(0.6, (config.get("dropout") or 0.0) + 0.2), 2),
            "weight_decay": max(0.01, 2 * (config.get("weight_decay") or 0.0)),
        },
    )


def _underfitting(
    history: Mapping[str, Sequence[float]], train: float, validation: float, config: Mapping[str, Any]
) -> Finding | None:
    losses = np.asarray(history["val_loss"], dtype=float)
    late = max(1, len(losses) // 5)
    if len(losses) < 5 or int(np.nanargmin(losses)) < len(losses) - late:
        return None
    gained = 1 - losses[-late:].min() / losses[:-late].min()
    if gained < 0.05 or train - validation > LARGEST_GAP:
        return None
    return Finding(
        "underfitting",
        {"gained_in_last_fifth": float(gained), "train_skill": train, "validation_skill": validation},
        "The validation loss was still falling fast at the end: train longer.",
        {"epochs": 2 * config["epochs"]},
    )


def _intervals(
    nominal: float | None, coverage: float | None, independent: int, config: Mapping[str, Any]
) -> Finding | None:
    if nominal is None or coverage is None or not independent or math.isnan(coverage):
        return None
    low, high = wilson_interval(coverage, independent)
    if abs(coverage - nominal) < LARGEST_MISS or low <= nominal <= high:
        return None
    return Finding(
        "miscalibrated_intervals",
        {"nominal": nominal, "coverage": coverage, "lower_bound": low, "upper_bound": high},
        "The intervals hold less often than they say: the time of the test differs from that of the validation split, "
        "by which they were calibrated."
        if coverage < nominal
        else "The intervals are wider than they need be: the time of the test was calmer than that of the validation "
        "split, by which they were calibrated.",
        {"validation_fraction": round(min(0.5, config["validation_fraction"] + 0.1), 2)},
    )
