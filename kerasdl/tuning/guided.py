"""Where Hyperband's new points come from: random ones first, then what a forest expects most of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras_tuner
import numpy as np
from scipy import stats

from kerasdl.tuning import spaces
from kerasdl.tuning.spaces import Point, Space

# Scores before there is anything to learn from; every fourth point stays random, so that no part of a space is given up
# for good; and how many random points the most promising one is chosen among.
FIRST, RANDOM_EVERY, CANDIDATES = 10, 4, 200
TREES = 100
NOT_ASKED_FOR = -1.0


class GuidedOracle(keras_tuner.oracles.RandomSearchOracle):
    """KerasTuner's random points, of which a forest picks after the first scores.

    The forest learns the rank of a score from the hyperparameters and from the share of its epochs that the trial had
    trained, so that trials paused early tell as much as they can of those that go on. What it picks has the greatest
    expected improvement, by the spread of its trees, among random points trained to the end.

    Args:
        space: From `hp` to keyword arguments.
        **keywords: As for KerasTuner's oracle.

    Reference: Hutter et al., Sequential Model-Based Optimization for General Algorithm Configuration (SMAC),
    doi:10.1007/978-3-642-25566-3_40; models across shares of a training: Falkner et al., BOHB, arXiv:1807.01774
    """

    def __init__(self, space: Space, **keywords: Any):
        super().__init__(**keywords)
        self._space = space
        self._rows: list[list[float]] = []
        self._scores: list[float] = []
        self._forest: Any = None
        self._asked = 0
        self._proposed: set[str] = set()
        """Identities of points."""

    def observe(self, point: Point, share: float, score: float | None) -> None:
        """Note a score.

        Args:
            point: What was trained.
            share: The share of its epochs that it has trained, in (0, 1].
            score: As the objective has it, or None for a trial that failed.
        """
        sign = -1.0 if self.objective.direction == "min" else 1.0
        self._rows.append([*self._numbers(point), share])
        self._scores.append(-np.inf if score is None else sign * score)
        self._forest = None

    @property
    def knows_enough(self) -> bool:
        """Whether there are scores enough to learn from."""
        return len(self._scores) >= FIRST

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Return the values of a new trial, as KerasTuner asks its oracles for them."""
        self._asked += 1
        answer = self._guided() if self.knows_enough and self._asked % RANDOM_EVERY else None
        answer = answer or super().populate_space(trial_id)
        if answer.get("values") is not None:
            self._proposed.add(spaces.point(self._space, answer["values"]).identity)
        return answer

    def _guided(self) -> dict[str, Any] | None:
        """Return the values of the most promising of some random points, or None where all have been proposed."""
        drawn = []
        for _ in range(CANDIDATES):
            values = self._random_values()
            if values is None:  # all of a small space
                break
            point = spaces.point(self._space, values)
            if point.identity not in self._proposed:
                drawn.append((values, point))
        if not drawn:
            return None
        best = int(np.argmax(self.expected_improvements([point for _, point in drawn])))
        return {"status": keras_tuner.engine.trial.TrialStatus.RUNNING, "values": drawn[best][0]}

    def expected_improvements(self, points: Sequence[Point]) -> np.ndarray:
        """Return how promising each point is, trained to the end; shape (points,).

        Args:
            points: At least one.
        """
        if self._forest is None:
            from sklearn.ensemble import ExtraTreesRegressor

            ranks = stats.rankdata(self._scores) / len(self._scores)
            self._forest = ExtraTreesRegressor(TREES, bootstrap=True, random_state=self.seed + len(self._scores))
            self._forest.fit(self._rows, ranks)
        rows = np.asarray([[*self._numbers(point), 1.0] for point in points], np.float32)
        guesses = np.stack([tree.predict(rows) for tree in self._forest.estimators_])
        mean, spread = guesses.mean(axis=0), guesses.std(axis=0) + 1e-9
        better = mean - 1.0  # the best one's rank
        return better * stats.norm.cdf(better / spread) + spread * stats.norm.pdf(better / spread)

    def _numbers(self, point: Point) -> list[float]:
        """Return where each hyperparameter lies in its range, from 0 to 1."""
        numbers = []
        for hp in self.hyperparameters.space:
            try:
                numbers.append(float(hp.value_to_prob(point.values[hp.name])))
            except (KeyError, ValueError):  # not asked for, or another one's of the same name
                numbers.append(NOT_ASKED_FOR)
        return numbers
