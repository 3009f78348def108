"""The rows of a search, one a trial, and how they are read from a trial's files."""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kerasdl import configuration, search_trial
from kerasdl.errors import InputError
from kerasdl.tuning.spaces import Point
from kerasdl.tuning.trial_rows import ranked

TRIALS_FOLDER = "trials"
ATTEMPTS, ATTEMPTS_LOST = 3, 10
"""Times that a trial's process may end without having got any further, and that it may be lost with who trained it."""


def place(folder: Path, row: Mapping[str, Any]) -> Path:
    """Return the folder of a trial in that of its search; from another seed it has one of its own."""
    repeat = row.get("repeat", 0)
    return folder / TRIALS_FOLDER / (f"{row['trial']:04d}" + (f"-seed{repeat}" if repeat else ""))


def scores(row: Mapping[str, Any], finals: Sequence[Mapping[str, Any]]) -> list[float]:
    """Return a trial's score, and behind it those of its other seeds among `finals`."""
    fresh = [each["score"] for each in finals if each["trial"] == row["trial"] and each["score"] is not None]
    return [row["score"], *fresh]


def new(trial: int, *, seed: int, point: Point) -> dict[str, Any]:
    """Return the row of a trial that begins."""
    return {
        **begun(),
        "trial": trial,
        "best_epoch": None,
        "epochs": 0,
        "seed": seed,
        "space": point.values,
        "keywords": configuration.jsonable(point.keywords),
    }


def begun() -> dict[str, Any]:
    """Return what a row says of a training that begins."""
    return {"status": "running", "score": None, "history": {}, "pace": {}, "seconds": 0.0, "reason": ""}


def until(share: float, epochs: int | None) -> int | None:
    """Return the epoch after which a trial pauses that gets a share of its epochs; None for all of them."""
    if share >= 1:
        return None
    if epochs is None:
        raise InputError(
            "epochs",
            received="None: the recipe decides it by the data",
            expected="a number, of which hyperband gives most trials a part",
            mend="Pass epochs=30 to the search.",
        )
    return max(math.ceil(epochs * share - 1e-9), 1)


def score(row: Mapping[str, Any], objective: str) -> dict[str, Any]:
    """Return the objective at the epoch whose weights are kept, "score", and that epoch from 1, "best_epoch"."""
    history = row["history"]
    losses = np.asarray(history.get("val_loss", []), dtype=float)
    if objective not in history and losses.size:
        raise InputError(
            "objective",
            received=repr(objective),
            expected=f"one of {', '.join(name for name in history if name.startswith('val_'))}",
            mend='Try objective="val_loss".',
        )
    if not np.isfinite(losses).any():
        return {"score": None, "best_epoch": None}
    best = int(np.nanargmin(np.where(np.isfinite(losses), losses, np.nan)))
    if row["keywords"].get("keep") == "last":
        best = int(np.flatnonzero(np.isfinite(losses))[-1])
    found = history[objective][best]
    return {"score": found if math.isfinite(found) else None, "best_epoch": best + 1}


def read(place: Path, last: int | None) -> dict[str, Any]:
    """Return what a row has of a trial's file; an epoch trained again after a kill counts once.

    Args:
        place: The trial's folder.
        last: The last epoch that is looked at, or None.

    Returns:
        "epochs", how many have been trained; "history", its curves; "pace", with "legs", in how many processes it has
        been trained, and "epoch", the seconds of one, None if not known. The first epoch of a process has its start and
        what it compiles in it; where a trial has no other, what came after its first step counts.
    """
    lines = _lines(place)
    logs = {line["epoch"]: line["logs"] for line in lines if last is None or line["epoch"] <= last}
    history: dict[str, list[float]] = {}
    for epoch in sorted(logs):
        for name, value in logs[epoch].items():
            history.setdefault(name, []).append(float(value))
    steps = [after["seconds"] - before["seconds"] for before, after in itertools.pairwise(lines)]
    # Lines of an earlier version know no first step.
    firsts = [line["seconds"] - line["first_step"] for line in lines if "first_step" in line]
    apart = [step for step in steps if step > 0] or firsts
    pace = {"legs": 1 + sum(step <= 0 for step in steps), "epoch": statistics.median(apart) if apart else None}
    return {"epochs": len(logs), "history": history, "pace": pace}


def _lines(place: Path) -> list[dict[str, Any]]:
    path = place / search_trial.EPOCHS_FILE
    found = []
    for line in path.read_text("utf-8").splitlines() if path.exists() else ():
        with contextlib.suppress(ValueError):  # cut short by a kill; the epoch is trained again
            found.append(json.loads(line))
    return found


def crash(ends: Sequence[int | None], epochs: int) -> str | None:
    """Return why a trial is given up, or None where it is tried again.

    Args:
        ends: How its processes have ended since it last got further: exit codes, and None where it was lost with the
            machine or the process that trained it, which says little of the trial itself.
        epochs: How many have been trained.
    """
    crashes = [code for code in ends if code is not None]
    if len(crashes) >= ATTEMPTS:
        code = crashes[-1]
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        memory = " (SIGKILL: often the system, when memory has run out)" if code == -9 else ""
        return f"ended {len(crashes)} times by {how}{memory} after epoch {epochs}"
    if len(ends) >= ATTEMPTS_LOST:
        lost = len(ends) - len(crashes)
        return f"{lost} times lost with the machine or the process that trained it after epoch {epochs}"
    return None


def last_line(path: Path) -> str:
    """Return the last line of a log after a colon, or nothing."""
    if not path.exists():
        return ""
    lines = path.read_text("utf-8", "replace").strip().splitlines()
    return f": {lines[-1][:300]}" if lines else ""


def seconds_to_finish(rows: Sequence[Mapping[str, Any]], direction: str, default_epochs: int | None) -> float:
    """Return how long the best trial has to go on to its end where that is a paused one, else 0."""
    known = [row for row in rows if row["status"] in ("finished", "paused", "running") and row["score"] is not None]
    best = next(iter(ranked(known, direction)), None)
    if best is None or best["status"] != "paused":
        return 0.0
    paces = [(row, row["pace"]) for row in known if row.get("pace", {}).get("epoch")]
    starts = [max(row["seconds"] - row["epochs"] * pace["epoch"], 0.0) / pace["legs"] for row, pace in paces]
    start = statistics.median(starts) if starts else 0.0
    pace = best.get("pace", {"legs": 1, "epoch": None})
    epoch = pace["epoch"] or max(best["seconds"] - pace["legs"] * start, 0.0) / max(best["epochs"], 1)
    epochs = best["keywords"].get("epochs") or default_epochs or 0
    return float(start + epoch * max(epochs - best["epochs"], 0))
