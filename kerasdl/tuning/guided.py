"""Where Hyperband's new points come from: random ones first, then what a forest expects most of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras_tuner
import numpy as np
from scipy import stats

# Scores before there is anything to learn from; every so-manieth point stays random, so that no part of a space is
# given up for good; and how many random points the most promising one is chosen among.
FIRST, RANDOM_EVERY, CANDIDATES = 10, 4, 200
TREES = 100
INACTIVE = -1.0


class GuidedOracle(keras_tuner.oracles.RandomSearchOracle):
    """KerasTuner's random points, of which a forest picks after the first scores.

    The forest learns the rank of a score from the hyperparameters and from the share of its epochs that the trial had
    trained, so that trials paused early tell as much as they can of those that go on. What it picks has the greatest
    expected improvement, by the spread of its trees, among random points trained to the end.

    Reference: Hutter et al., Sequential Model-Based Optimization for General Algorithm Configuration (SMAC),
    doi:10.1007/978-3-642-25566-3_40; models across shares of a training: Falkner et al., BOHB, arXiv:1807.01774
    """

    def __init__(self, **keywords: Any):
        super().__init__(**keywords)
        self._rows: list[list[float]] = []
        self._scores: list[float] = []
        self._asked = 0

    def observe(self, values: Mapping[str, Any], share: float, score: float | None) -> None:
        """Note a score.

        Args:
            values: The hyperparameters of a trial.
            share: The share of its epochs that it has trained, in (0, 1].
            score: As the objective has it, or None for a trial that failed.
        """
        sign = -1.0 if self.objective.direction == "min" else 1.0
        self._rows.append([*self._numbers(values), share])
        self._scores.append(-np.inf if score is None else sign * score)

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Return the values of a new trial, as KerasTuner asks its oracles for them."""
        self._asked += 1
        if len(self._scores) < FIRST or self._asked % RANDOM_EVERY == 0:
            return super().populate_space(trial_id)
        candidates = [values for _ in range(CANDIDATES) if (values := self._random_values()) is not None]
        if not candidates:
            return super().populate_space(trial_id)
        best = int(np.argmax(self._expected_improvements(candidates)))
        return {"status": keras_tuner.engine.trial.TrialStatus.RUNNING, "values": candidates[best]}

    def _expected_improvements(self, candidates: Sequence[Mapping[str, Any]]) -> np.ndarray:
        from sklearn.ensemble import ExtraTreesRegressor

        ranks = stats.rankdata(self._scores) / len(self._scores)
        forest = ExtraTreesRegressor(TREES, bootstrap=True, random_state=self.seed + self._asked)
        forest.fit(self._rows, ranks)
        rows = np.asarray([[*self._numbers(values), 1.0] for values in candidates], np.float32)
        guesses = np.stack([tree.predict(rows) for tree in forest.estimators_])
        mean, spread = guesses.mean(axis=0), guesses.std(axis=0) + 1e-9
        better = mean - ranks.max()
        return better * stats.norm.cdf(better / spread) + spread * stats.norm.pdf(better / spread)

    def _numbers(self, values: Mapping[str, Any]) -> list[float]:
        """Return where each hyperparameter lies in its range, from 0 to 1, or INACTIVE."""
        hyperparameters = self.hyperparameters.copy()
        hyperparameters.values = dict(values)
        return [
            hp.value_to_prob(values[hp.name]) if hp.name in values and hyperparameters.is_active(hp) else INACTIVE
            for hp in self.hyperparameters.space
        ]
