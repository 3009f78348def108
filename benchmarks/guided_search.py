"""What guided points are worth to Hyperband: many searches on a table of trainings that were really carried out.

    python benchmarks/guided_search.py searches/table.jsonl    # 20 minutes on two cores; a table that is there is kept

The table: 150 random points of the space of `search.py`, each trained for ten epochs on 1,007 noisy digits, with its
validation accuracy after each epoch. A search looks trials up in it instead of training them, so that 24 seeds cost
little. Printed is the accuracy after ten epochs of the trial that a search would have named, by the epochs it had spent
until then, mean and standard error over the seeds: Hyperband with points that `kerasdl.tuning.guided` picks, with
random ones, and random points that are all trained to the end.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras_tuner
import numpy as np
from search import EPOCHS, fitted, space
from sklearn.datasets import load_digits

import kerasdl
from kerasdl.tuning import guided, proposers, spaces

POINTS, SEEDS, BUDGETS = 150, 24, (30, 60, 100, 150, 250)


def make_table(path: Path) -> list[dict[str, Any]]:
    """Train the points that the table lacks, and return it: "values", and "scores" of each epoch."""
    import keras

    inputs, targets = load_digits(return_X_y=True)
    generator = np.random.default_rng(0)
    order = generator.permutation(len(inputs))
    noisy = np.clip(16 * inputs[order] + generator.normal(0, 70, inputs.shape), 0, 255)
    images, targets = noisy.astype(np.uint8).reshape(-1, 8, 8, 1), targets[order]
    splits = ((images[:1400], targets[:1400]), (images[1400:], targets[1400:]))
    data = kerasdl.data.load(splits, validation_fraction=0.28)
    known = spaces.discover(space)
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    with open(path, "a") as file:
        for number in range(len(rows), POINTS):
            values = {hp.name: hp.random_sample(1000 * number + index) for index, hp in enumerate(known.space)}
            keras.utils.set_random_seed(number)
            history = fitted(spaces.point(space, values).keywords, data).history
            losses, accuracies = np.asarray(history["val_loss"]), history["val_accuracy"]
            losses = np.where(np.isfinite(losses), losses, np.inf)
            # As a search scores it: at the epoch with the lowest loss so far.
            scores = [accuracies[int(np.argmin(losses[: epoch + 1]))] for epoch in range(EPOCHS)]
            rows.append({"values": values, "scores": scores})
            file.write(json.dumps(rows[-1]) + "\n")
            file.flush()
            keras.backend.clear_session()
    return rows


class Table:
    """Where Hyperband's points come from here: the rows of the table that have not been tried."""

    def __init__(self, rows: list[dict[str, Any]], *, seed: int, guide: guided.GuidedOracle | None):
        self._points = [spaces.point(space, row["values"]) for row in rows]
        self._left = list(np.random.default_rng(seed).permutation(len(rows)))
        self._guide = guide
        self._calls = 0

    def next(self) -> Any:
        """Return a proposal, or STOP."""
        if not self._left:
            return proposers.STOP
        self._calls += 1
        index = 0
        if self._guide is not None and self._guide.knows_enough and self._calls % guided.RANDOM_EVERY:
            candidates = [self._points[trial] for trial in self._left[: guided.CANDIDATES]]
            index = int(np.argmax(self._guide.expected_improvements(candidates)))
        trial = int(self._left.pop(index))
        return proposers.Proposal(trial, self._points[trial])

    def tell(self, trial: int, score: float | None) -> None:
        """Nothing to note: the guide is told by Hyperband."""


def searched(rows: list[dict[str, Any]], seed: int, *, guide: bool) -> Iterator[tuple[int, float]]:
    """Carry out one search; after each trial, yield the epochs spent and what the best trial comes to in the end."""
    objective = keras_tuner.Objective("val_accuracy", "max")
    known = spaces.discover(space)
    oracle = guided.GuidedOracle(space, objective=objective, max_trials=10**6, hyperparameters=known, seed=seed + 1)
    table: Any = Table(rows, seed=seed, guide=oracle if guide else None)
    hyperband = proposers.Halving(table, observe=oracle.observe, max_trials=len(rows), minimize=False)
    spent, best, end, reached = 0, -1.0, 0.0, dict.fromkeys(range(len(rows)), 0)
    while spent < BUDGETS[-1] and not isinstance(proposal := hyperband.next(), str):
        epochs = max(int(np.ceil(EPOCHS * proposal.share - 1e-9)), 1)
        spent, reached[proposal.trial] = spent + epochs - reached[proposal.trial], epochs
        score = rows[proposal.trial]["scores"][epochs - 1]
        hyperband.tell(proposal.trial, score)
        if score > best:
            best, end = score, rows[proposal.trial]["scores"][-1]
        yield spent, end


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    rows = make_table(parser.parse_args().table)
    print("| search | " + " | ".join(f"{budget} epochs" for budget in BUDGETS) + " |")
    print("|---" * (len(BUDGETS) + 1) + "|")
    for name, guide in (("Hyperband, guided", True), ("Hyperband, random", False)):
        found = []
        for seed in range(SEEDS):
            course = list(searched(rows, seed, guide=guide))
            found.append([[end for spent, end in course if spent <= budget][-1] for budget in BUDGETS])
        say(name, np.asarray(found))
    ends = np.asarray([row["scores"][-1] for row in rows])
    orders = [np.random.default_rng(seed).permutation(len(rows)) for seed in range(SEEDS)]
    say("random, to the end", np.asarray([[ends[o[: b // EPOCHS]].max() for b in BUDGETS] for o in orders]))


def say(name: str, found: np.ndarray) -> None:
    """Print a row of the table."""
    errors = found.std(axis=0, ddof=1) / np.sqrt(len(found))
    cells = [f"{mean:.4f} ± {error:.4f}" for mean, error in zip(found.mean(axis=0), errors, strict=True)]
    print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
