"""What to try next: KerasTuner's oracles, told what they do wrong, and successive halving on top of them.

A proposer answers `next()` with a proposal, with WAIT while only running trials can say more, or with STOP; `tell()`
gives it a score. The same calls in the same order give the same proposals: that is how a killed search is gone on with.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from threadpoolctl import threadpool_limits

from kerasdl.errors import InputError, check_choice
from kerasdl.tuning import spaces
from kerasdl.tuning.ranking import promising
from kerasdl.tuning.spaces import Point, Space

TUNERS = ("random", "grid", "bayesian", "hyperband")
FACTOR = 3
"""Hyperband: of so many trials one goes on, for so many times the epochs."""
# Points that are drawn in vain where that is cheap, and how many points a space may have to go through one by one.
TRIES, LISTED = 100, 100_000


@dataclass(frozen=True)
class Proposal:
    """What to train next.

    Args:
        trial: Number of the trial; one that there is already goes on.
        point: What it is.
        share: The share of its epochs to train to, in (0, 1].
    """

    trial: int
    point: Point
    share: float = 1.0


WAIT, STOP = "wait", "stop"


def make_proposer(
    tuner: Any, space: Space, *, known: Any, objective: str, direction: str, max_trials: int, seed: int
) -> Any:
    """Return the proposer of a tuner.

    Args:
        tuner: random, grid, bayesian, hyperband, or one of KerasTuner's tuners or oracles.
        space: From `hp` to keyword arguments.
        known: Its hyperparameters, as :func:`kerasdl.tuning.spaces.discover` returns them.
        objective: What is looked at.
        direction: "min" or "max".
        max_trials: Different points at most.
        seed: Of the random numbers.

    Raises:
        InputError: For another tuner, or an oracle with another objective.
    """
    import keras_tuner

    from kerasdl.tuning.guided import GuidedOracle

    goal = keras_tuner.Objective(objective, direction)
    oracle = getattr(tuner, "oracle", tuner)
    if not isinstance(tuner, str):
        if not isinstance(oracle, keras_tuner.Oracle):
            check_choice("tuner", tuner, TUNERS)
        if oracle.trials:
            raise InputError(
                "tuner",
                received=f"an oracle with {len(oracle.trials)} trials",
                expected="a fresh one: the search keeps the trials",
                mend="Make it anew for each call.",
            )
        oracle.objective = goal
        oracle.hyperparameters.merge(known)
        return OracleProposer(oracle, space, max_trials=max_trials)
    check_choice("tuner", tuner, TUNERS)
    makers = {
        "random": keras_tuner.oracles.RandomSearchOracle,
        "hyperband": functools.partial(GuidedOracle, space),
        "grid": keras_tuner.oracles.GridSearchOracle,
        "bayesian": keras_tuner.oracles.BayesianOptimizationOracle,
    }
    # KerasTuner takes a seed of 0 for none. Its own limit of trials would count points that train the same.
    made = makers[tuner](objective=goal, max_trials=10**6, hyperparameters=known, seed=seed + 1)
    # Drawing costs little but in the Bayesian oracle, which optimizes for each draw.
    cheap = tuner != "bayesian"
    made._max_collisions = 1000 if cheap else 0
    proposer = OracleProposer(made, space, max_trials=max_trials, tries=TRIES if cheap else 1)
    if tuner != "hyperband":
        return proposer
    return Halving(proposer, observe=made.observe, max_trials=max_trials, minimize=direction == "min")


class OracleProposer:
    """Asks an oracle for points, leaves out those that train the same as one before, and exhausts small spaces.

    Args:
        oracle: The oracle.
        space: From `hp` to keyword arguments.
        max_trials: Different points at most.
        tries: Points that are drawn in vain before a finite space is gone through one by one.
    """

    def __init__(self, oracle: Any, space: Space, *, max_trials: int, tries: int = 3):
        self._oracle, self._tries = oracle, tries
        self._space = space
        self._max_trials = max_trials
        self._scores: list[float | None] = []
        self._ended: list[bool] = []
        self._trial_of: dict[str, int] = {}
        """By identity."""
        self._asked: dict[int, list[Any]] = {}
        """The oracle's trials of each of ours that it has no score for."""
        self._names: dict[str, int] = {}
        """Our trial by the oracle's name."""
        self._calls = itertools.count()
        self._listed: Iterator[dict[str, Any]] | None = None
        # The search keeps the trials, safely; an oracle writes its files in place.
        oracle.save = oracle._save_trial = lambda *arguments: None
        oracle.verbose = 0
        oracle.max_retries_per_trial, oracle.max_consecutive_failed_trials = 0, 10**9

    def next(self) -> Proposal | str:
        """Return a proposal, WAIT or STOP."""
        in_vain = 0
        while True:
            with threadpool_limits(1):  # its matrices are tiny: threads would only wait for each other
                asked = self._oracle.create_trial(f"call{next(self._calls)}")
            if asked.status == "IDLE":
                return WAIT
            if asked.status != "RUNNING":
                return self._another() or STOP
            values = asked.hyperparameters.values
            point = spaces.point(self._space, values)
            share = self._share(values)
            goes_on = self._names.get(values.get("tuner/trial_id"))
            trial = self._trial_of.get(point.identity) if goes_on is None else goes_on
            if trial is None:
                if len(self._scores) >= self._max_trials:
                    self._oracle.trials.pop(asked.trial_id, None)
                    return STOP
                trial = self._add(point)
            elif goes_on is None and share == 1.0:
                # The oracle is told what is known, and asked again.
                self._asked[trial].append(asked)
                if self._ended[trial]:
                    self._end(trial)
                in_vain += 1
                if in_vain >= self._tries:
                    return self._another() or STOP
                continue
            self._names[asked.trial_id] = trial
            self._asked[trial].append(asked)
            return Proposal(trial, point, share)

    def tell(self, trial: int, score: float | None) -> None:
        """Note the score of a trial, lower or higher better as the objective has it; None when it has none."""
        self._scores[trial], self._ended[trial] = score, True
        self._end(trial)

    def _share(self, values: dict[str, Any]) -> float:
        """Return the share of the epochs that one of KerasTuner's Hyperband oracles asks for."""
        if "tuner/epochs" not in values:
            return 1.0
        return min(values["tuner/epochs"] / self._oracle.max_epochs, 1.0)

    def _add(self, point: Point) -> int:
        trial = self._trial_of[point.identity] = len(self._scores)
        self._scores.append(None)
        self._ended.append(False)
        self._asked[trial] = []
        return trial

    def _end(self, trial: int) -> None:
        score = self._scores[trial]
        for asked in self._asked[trial]:
            if score is None:
                asked.status = "INVALID"
            else:
                self._oracle.update_trial(asked.trial_id, {self._oracle.objective.name: score})
                asked.status = "COMPLETED"
            self._oracle.end_trial(asked)
        self._asked[trial] = []

    def _another(self) -> Proposal | None:
        """Return a point that the oracle would not draw: the first untried one of a finite space, else a random one."""
        if len(self._scores) >= self._max_trials:
            return None
        if self._listed is None:
            self._listed = _all_points(self._oracle.hyperparameters.space)
        drawn = (self._oracle._random_values() for _ in range(TRIES))
        for values in itertools.chain(self._listed, drawn):
            if values is None:
                return None
            point = spaces.point(self._space, values)
            if point.identity not in self._trial_of:
                return Proposal(self._add(point), point)
        return None


def _all_points(hyperparameters: Sequence[Any]) -> Iterator[dict[str, Any]]:
    """Go through the values of a space, nothing where it is infinite or too large."""
    import keras_tuner

    endless = any(
        isinstance(hp, keras_tuner.engine.hyperparameters.Float) and hp.step is None for hp in hyperparameters
    )
    if endless:
        return iter(())
    lists = {hp.name: list(hp.values) for hp in hyperparameters}
    if math.prod(map(len, lists.values())) > LISTED:
        return iter(())
    return (dict(zip(lists, values, strict=True)) for values in itertools.product(*lists.values()))


class Halving:
    """Hyperband: many trials for few epochs; of each group a third goes on, for three times the epochs.

    A trial that goes on is the same training, its schedule laid out for all of its epochs from the start; trials that
    pause are compared as :func:`kerasdl.tuning.ranking.promising` says. Brackets differ in how early they choose; the
    last one trains every trial to the end. New points are guided by the scores of all trials so far, those that paused
    included.

    Args:
        sampler: Where new points come from.
        observe: Is told the point of every trial that paused or ended, its share of its epochs and its score.
        max_trials: Different points at most.
        minimize: Whether a lower score is better.
        rungs: Times that a trial is looked at in the first bracket.

    Reference: Li et al., Hyperband, arXiv:1603.06560; guided as in Falkner et al., BOHB, arXiv:1807.01774
    """

    def __init__(
        self,
        sampler: OracleProposer,
        *,
        observe: Callable[[Point, float, float | None], None],
        max_trials: int,
        minimize: bool,
        rungs: int = 3,
    ):
        self._sampler, self._observe = sampler, observe
        self._sign = 1 if minimize else -1
        sizes = self._sizes(max_trials, rungs)
        self._brackets = [_Bracket(size, depth) for depth, size in sizes]
        self._points: dict[int, Point] = {}
        self._of: dict[int, _Bracket] = {}

    @staticmethod
    def _sizes(max_trials: int, rungs: int) -> list[tuple[int, int]]:
        """Return how often trials are stopped and how many there are, for each bracket."""
        sizes: list[tuple[int, int]] = []
        left = max_trials
        while left > 0:
            for depth in range(rungs, -1, -1):
                size = min(math.ceil((rungs + 1) / (depth + 1) * FACTOR**depth), left)
                if size > 0:
                    # Too few to choose among as often: fewer looks.
                    sizes.append((min(depth, int(math.log(size, FACTOR) + 1e-9)), size))
                    left -= size
        return sizes

    def next(self) -> Proposal | str:
        """Return a proposal, WAIT or STOP."""
        for bracket in self._brackets:
            if len(bracket.members) < bracket.size:
                proposal = self._sampler.next()
                if isinstance(proposal, str):
                    if proposal == WAIT:
                        return WAIT
                    for each in self._brackets:
                        each.size = len(each.members)
                else:
                    bracket.members.append(proposal.trial)
                    bracket.reached[proposal.trial] = 0
                    bracket.running.add(proposal.trial)
                    self._of[proposal.trial], self._points[proposal.trial] = bracket, proposal.point
                    return Proposal(proposal.trial, proposal.point, bracket.share(0))
            trial = bracket.promote(self._ranked)
            if trial is not None:
                bracket.running.add(trial)
                return Proposal(trial, self._points[trial], bracket.share(bracket.reached[trial]))
        return WAIT if any(bracket.running for bracket in self._brackets) else STOP

    def tell(self, trial: int, score: float | None) -> None:
        """Note the score of a trial at its rung."""
        bracket = self._of[trial]
        bracket.running.discard(trial)
        bracket.scores.setdefault(bracket.reached[trial], {})[trial] = score
        self._observe(self._points[trial], bracket.share(bracket.reached[trial]), score)
        if bracket.reached[trial] == bracket.depth or score is None:
            self._sampler.tell(trial, score)

    def _ranked(self, scores: Mapping[int, float | None], share: float) -> list[int]:
        """Return the trials of a rung that have a score, the most promising first."""
        courses: dict[int, dict[float, float]] = {}
        for bracket in self._brackets:
            for rung, known in bracket.scores.items():
                for trial, score in known.items():
                    if score is not None:
                        courses.setdefault(trial, {})[bracket.share(rung)] = self._sign * score
        able = {trial: self._sign * score for trial, score in scores.items() if score is not None}
        schedules = {trial: point.keywords.get("schedule") for trial, point in self._points.items()}
        return promising(able, schedules, courses, share=share)

    def is_over(self, trial: int) -> bool:
        """Return whether a trial that was stopped will not go on."""
        bracket = self._of[trial]
        rung = bracket.reached[trial]
        return rung in bracket.chosen and trial not in bracket.chosen[rung]


class _Bracket:
    def __init__(self, size: int, depth: int):
        self.size, self.depth = size, depth
        self.members: list[int] = []
        self.running: set[int] = set()
        self.reached: dict[int, int] = {}
        self.scores: dict[int, dict[int, float | None]] = {}
        self.chosen: dict[int, list[int]] = {}

    def share(self, rung: int) -> float:
        return float(FACTOR) ** (rung - self.depth)

    def promote(self, ranked: Callable[[Mapping[int, float | None], float], list[int]]) -> int | None:
        """Return a trial that goes on to the next rung, or None."""
        for rung in range(self.depth):
            entered = [trial for trial in self.members if self.reached[trial] >= rung]
            scores = self.scores.get(rung, {})
            if len(self.members) < self.size or not entered or any(trial not in scores for trial in entered):
                return None
            if rung not in self.chosen:
                self.chosen[rung] = ranked(scores, self.share(rung))[: max(len(entered) // FACTOR, 1)]
            for trial in self.chosen[rung]:
                if self.reached[trial] == rung:
                    self.reached[trial] = rung + 1
                    return trial
        return None
