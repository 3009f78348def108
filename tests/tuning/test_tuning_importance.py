"""Importance: the planted hyperparameter is found, whatever its kind, and nothing is said where nothing is known."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest

from kerasdl.tuning.importance import importance


def trials(count: int, score: Any, *, seed: int = 0) -> list[dict[str, Any]]:
    """Return finished trials of a space with all kinds of hyperparameters; `score` is a function of the space."""
    draw = random.Random(seed)
    rows: list[dict[str, Any]] = []
    for index in range(count):
        space: dict[str, Any] = {
            "learning_rate": 10 ** draw.uniform(-5, -1),
            "dropout": draw.uniform(0, 0.5),
            "units": draw.choice([[32], [64, 32], [128]]),
            "ema": draw.choice([True, False]),
            "architecture": draw.choice(["cnn", "mlp"]),
            "epochs": 5,
        }
        if space["architecture"] == "cnn":
            space["filters"] = draw.choice([16, 32, 64])
        rows.append({"trial": index + 1, "status": "finished", "score": score(space), "space": space})
    return rows


SCORES = {
    "learning_rate": lambda space: abs(math.log10(space["learning_rate"]) + 3),
    "units": lambda space: {1: 0.0, 2: 1.0}[len(space["units"])],
    "ema": lambda space: 1.0 * space["ema"],
    "architecture": lambda space: 1.0 * (space["architecture"] == "mlp"),
    "filters": lambda space: space.get("filters", 40) / 10,
}


@pytest.mark.parametrize(("name", "direction"), [*((name, "min") for name in SCORES), ("learning_rate", "max")])
def test_the_planted_hyperparameter_is_found(name, direction):
    shares = importance(trials(40, SCORES[name]), direction)
    assert next(iter(shares)) == name
    # What a trial without filters scores is explained by its architecture.
    assert shares[name] > (0.5 if name == "filters" else 0.8)
    assert sum(shares.values()) == pytest.approx(1)
    assert min(shares.values()) >= 0
    assert "epochs" not in shares, "it never varied"


def test_a_branchs_hyperparameters_have_no_part_in_the_choice_of_the_branch():
    assert importance(trials(40, SCORES["architecture"]), "min")["filters"] < 0.02


def test_shares_follow_the_variation():
    def score(space):
        return 2 * SCORES["ema"](space) + SCORES["architecture"](space)

    shares = importance(trials(60, score), "min")
    assert shares["ema"] == pytest.approx(4 / 5, abs=0.1)
    assert shares["architecture"] == pytest.approx(1 / 5, abs=0.1)


def test_one_diverged_trial_is_not_all_there_is_to_explain():
    rows = trials(40, SCORES["ema"])
    for row in rows:
        row["score"] += 0.01 * row["space"]["dropout"]
    rows[7]["score"] = 1e9
    assert importance(rows, "min")["ema"] > 0.8


def test_the_same_rows_give_the_same_shares():
    rows = trials(20, SCORES["learning_rate"])
    assert importance(rows, "min") == importance(rows, "min")


def test_only_finished_trials_with_a_score_count():
    rows = trials(20, SCORES["ema"])
    others = trials(20, lambda space: 100 * space["dropout"], seed=1)
    for index, row in enumerate(others):
        row["status"] = ["failed", "paused", "running", "pruned"][index % 4]
    unknown = trials(3, lambda space: math.nan, seed=2) + trials(3, lambda space: None, seed=3)
    assert importance(rows + others + unknown, "min") == importance(rows, "min")


def test_nothing_is_said_where_nothing_is_known():
    assert importance([], "min") == {}
    assert importance(trials(7, SCORES["ema"]), "min") == {}
    assert importance(trials(8, SCORES["ema"]), "min") != {}
    assert importance(trials(20, lambda space: 1.0), "min") == {}, "all scores are the same"
    alike = [{**row, "space": {"ema": True}} for row in trials(20, SCORES["ema"])]
    assert importance(alike, "min") == {}


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_the_scores_may_be_of_any_size(scale):
    assert importance(trials(20, lambda space: scale * SCORES["ema"](space)), "min")["ema"] > 0.8
