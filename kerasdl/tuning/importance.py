"""How much each hyperparameter of a search matters: what a forest's guess of the score loses without it."""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence

from kerasdl.tuning.trial_rows import Row, fence, is_numeric, score_of, values_of, varying

# With fewer trials than that a forest finds what chance put there.
FEWEST_TRIALS = 8
TREES, REPEATS = 50, 5


def importance(rows: Sequence[Row], direction: str) -> dict[str, float]:
    """Return the share of the score's variation that each hyperparameter explains.

    A random forest learns the score from the hyperparameters; then one hyperparameter at a time is shuffled between the
    trials, and what the forest's error grows by is its importance (Breiman 2001, doi:10.1023/A:1010933404324). It is
    the importance within the ranges that were searched, and it says nothing about causes.

    Args:
        rows: One dictionary a trial; only finished trials with a finite score count, since others were scored after
            fewer epochs.
        direction: "min" or "max", what is good; scores that are only bad are cut to Tukey's fence, so that one diverged
            trial is not all there is to explain.

    Returns:
        Shares by name, the largest first, that sum to 1. Empty where there is nothing to say: fewer than 8 finished
        trials, no hyperparameter with two values, or scores that no hyperparameter explains.
    """
    trials = [row for row in rows if row["status"] == "finished" and score_of(row) is not None]
    names = varying(trials)
    if len(trials) < FEWEST_TRIALS or not names:
        return {}
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.inspection import permutation_importance

    scores = [float(row["score"]) for row in trials]
    limit = fence(scores, direction)
    scores = [max(score, limit) if direction == "max" else min(score, limit) for score in scores]
    # In steps, since the squares of scores of 1e-200 or 1e200 are no numbers.
    largest = max(map(abs, scores)) or 1.0
    scores = [score / largest for score in scores]
    middle, spread = statistics.fmean(scores), statistics.pstdev(scores)
    if spread == 0:
        return {}
    scores = [(score - middle) / spread for score in scores]
    columns = list(zip(*(_encoded(trials, name) for name in names), strict=True))
    forest = RandomForestRegressor(TREES, random_state=0).fit(columns, scores)
    losses = permutation_importance(forest, columns, scores, n_repeats=REPEATS, random_state=0).importances_mean
    grown = {name: max(0.0, float(loss)) for name, loss in zip(names, losses, strict=True)}
    total = sum(grown.values())
    if total == 0:
        return {}
    return {name: grown[name] / total for name in sorted(names, key=lambda name: -grown[name])}


def _encoded(trials: Sequence[Row], name: str) -> list[int]:
    """Return a hyperparameter as one number a trial; several columns for one would have to be shuffled together.

    A trial without it gets one of the others' values by chance. A value of its own would tell the forest which branch
    the trial belongs to, and the hyperparameters of a branch would share in the importance of the choice between
    branches: half of it was lost to them so.
    """
    values = values_of(trials, name)
    # A tree splits between values that follow each other: their order is all it takes from them, whatever the scale.
    distinct = {repr(value): value for value in (sorted(values) if is_numeric(values) else values)}
    code = {text: index for index, text in enumerate(distinct)}
    draw = random.Random(name)
    present = [trial["space"][name] if name in trial["space"] else draw.choice(values) for trial in trials]
    return [code[repr(value)] for value in present]
