"""What is tried next: small spaces in full, nothing twice, the better third for three times the epochs."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras_tuner
import pytest

from kerasdl import InputError
from kerasdl.tuning import proposers, spaces


def drained(proposer: Any, score: Callable[[Any], float | None]) -> list[proposers.Proposal]:
    """Carry out everything that is proposed, one after the other."""
    found = []
    while True:
        proposal = proposer.next()
        if isinstance(proposal, str):
            assert proposal == proposers.STOP
            return found
        found.append(proposal)
        proposer.tell(proposal.trial, score(proposal))


def small(hp: Any) -> dict[str, Any]:
    kind = hp.Choice("kind", ["a", "b"])
    # Depth is asked for by one kind only, and "unused" changes nothing.
    hp.Choice("unused", [1, 2, 3])
    return {"kind": kind, **({"depth": hp.Int("depth", 1, 3)} if kind == "b" else {})}


def line(hp: Any) -> dict[str, Any]:
    return {"x": hp.Float("x", 0.0, 1.0)}


def make(tuner: Any, space: Any, max_trials: int, seed: int = 0) -> Any:
    return proposers.make_proposer(
        tuner,
        space,
        known=spaces.discover(space),
        objective="val_loss",
        direction="min",
        max_trials=max_trials,
        seed=seed,
    )


@pytest.mark.parametrize("tuner", ["random", "grid", "bayesian", "hyperband"])
def test_a_small_space_is_exhausted_and_nothing_runs_twice(tuner: str) -> None:
    found = drained(make(tuner, small, 50), lambda proposal: len(str(proposal.point.keywords)))
    first = {}
    for proposal in found:
        first.setdefault(proposal.trial, proposal.point.identity)
    assert sorted(first) == list(range(4))
    assert len(set(first.values())) == 4
    if tuner != "hyperband":
        assert len(found) == 4


def without_effect(hp: Any) -> dict[str, Any]:
    hp.Float("unused", 0.0, 1.0)
    return {"kind": hp.Choice("kind", ["a", "b", "c", "d"])}


@pytest.mark.parametrize("tuner", ["random", "bayesian", "hyperband"])
def test_a_hyperparameter_without_effect_makes_no_new_points_and_no_endless_search(tuner: str) -> None:
    found = drained(make(tuner, without_effect, 50), lambda proposal: float(ord(proposal.point.keywords["kind"])))
    assert {proposal.point.keywords["kind"] for proposal in found} == set("abcd")
    assert {proposal.trial for proposal in found} == set(range(4))


@pytest.mark.parametrize(("tuner", "trials"), [("random", 11), ("bayesian", 5), ("hyperband", 11)])
def test_there_are_as_many_trials_as_asked_for(tuner: str, trials: int) -> None:
    # The Bayesian oracle draws the end of the range, where it is best, again and again.
    found = drained(make(tuner, line, trials), lambda proposal: proposal.point.keywords["x"])
    assert {proposal.trial for proposal in found} == set(range(trials))


@pytest.mark.parametrize("tuner", ["random", "hyperband"])
def test_the_same_scores_give_the_same_points(tuner: str) -> None:
    one, other, third = (
        [p.point.values for p in drained(make(tuner, line, 8, seed), lambda p: p.point.keywords["x"])]
        for seed in (0, 0, 1)
    )
    assert one == other
    assert one != third


def test_bayesian_goes_where_it_is_good() -> None:
    found = drained(make("bayesian", line, 9), lambda proposal: (proposal.point.keywords["x"] - 0.7) ** 2)
    assert min(abs(proposal.point.keywords["x"] - 0.7) for proposal in found[3:]) < 0.05


def conditional(hp: Any) -> dict[str, Any]:
    kind = hp.Choice("kind", ["wide", "deep"])
    name = "units" if kind == "wide" else "layers"
    return {"kind": kind, "rate": hp.Float("rate", 1e-4, 1.0, sampling="log"), name: hp.Int(name, 1, 64)}


def test_hyperband_learns_where_it_is_good_from_paused_trials_too() -> None:
    def score(proposal: proposers.Proposal) -> float | None:
        point = proposal.point.keywords
        if point["rate"] > 0.1:
            return None  # diverged
        return 0.3 * (math.log10(point["rate"]) + 2.5) ** 2 + (point["kind"] == "wide") + 1 / proposal.share

    found = drained(make("hyperband", conditional, 49), score)
    points = {proposal.trial: proposal.point.keywords for proposal in found}
    good = [point["kind"] == "deep" and 1e-3 < point["rate"] < 1e-2 for point in points.values()]
    # An eighth is, by chance; a quarter of the points are left to chance.
    assert sum(good[12:]) / len(good[12:]) > 0.4
    assert sum(good[:10]) <= 4
    assert sum(point["kind"] == "deep" for point in points.values()) / len(points) > 0.6
    diverging = [points[trial]["rate"] > 0.1 for trial in points]
    assert sum(diverging[12:]) / len(diverging[12:]) < 0.2


def same_name_twice(hp: Any) -> dict[str, Any]:
    kind = hp.Choice("kind", ["small", "large"])
    with hp.conditional_scope("kind", ["small"]):
        small = hp.Choice("size", [1, 2])
    with hp.conditional_scope("kind", ["large"]):
        large = hp.Choice("size", [100, 200, 300])
    return {"size": small if kind == "small" else large, "flag": hp.Boolean("flag"), "fixed": hp.Fixed("fixed", 3)}


def test_hyperband_takes_every_kind_of_hyperparameter() -> None:
    found = drained(make("hyperband", same_name_twice, 50), lambda proposal: float(proposal.point.keywords["size"]))
    first = {proposal.trial: proposal.point.identity for proposal in found}
    assert len(first) == len(set(first.values())) >= 8


def test_hyperband_where_every_trial_fails() -> None:
    assert len(drained(make("hyperband", line, 30), lambda proposal: None)) == 30


def test_halving_gives_the_better_third_three_times_the_epochs() -> None:
    found = drained(make("hyperband", line, 27), lambda proposal: proposal.point.keywords["x"])
    by_share: dict[float, list[proposers.Proposal]] = {}
    for proposal in found:
        if proposal.trial < 27:
            by_share.setdefault(round(proposal.share, 4), []).append(proposal)
    assert [len(by_share[share]) for share in (0.037, 0.1111, 0.3333, 1.0)] == [27, 9, 3, 1]
    first = sorted(proposal.point.keywords["x"] for proposal in by_share[0.037])
    assert sorted(proposal.point.keywords["x"] for proposal in by_share[0.1111]) == first[:9]
    assert by_share[1.0][0].point.keywords["x"] == first[0]


def with_a_schedule(hp: Any) -> dict[str, Any]:
    return {**line(hp), "schedule": hp.Choice("schedule", ["constant", "cosine"])}


def looks_better_early(proposal: proposers.Proposal) -> float:
    """The lower the better: the cosine ends lower by 0.2, and until then it is higher by 2."""
    cosine, early = proposal.point.keywords["schedule"] == "cosine", proposal.share < 1.0
    return proposal.point.keywords["x"] + (2.0 if cosine and early else -0.2 if cosine else 0.0)


def test_a_schedule_that_looks_better_early_leaves_room_for_the_other() -> None:
    found = drained(make("hyperband", with_a_schedule, 27), looks_better_early)
    rungs = {share: [p.point.keywords for p in found if round(p.share, 4) == share] for share in (0.037, 0.1111)}
    for schedule in ("constant", "cosine"):
        first, second = ([each["x"] for each in rung if each["schedule"] == schedule] for rung in rungs.values())
        assert len(second) in (len(first) // 3, len(first) // 3 + 1)
        assert second == sorted(first)[: len(second)]


def test_what_a_schedule_gains_after_a_pause_counts_once_it_is_known() -> None:
    found = drained(make("hyperband", with_a_schedule, 150), looks_better_early)
    went_on = [p for i, p in enumerate(found) if p.share == 1.0 and p.trial in {each.trial for each in found[:i]}]
    schedules = [p.point.keywords["schedule"] for p in went_on]
    assert {"constant", "cosine"} <= set(schedules[:4]), "both are trained to the end before either is preferred"
    late = [p for p in went_on if p.trial > 100]
    assert late
    # The better end, by what is known; a constant one only where it is better by more than the 0.2.
    assert sum(p.point.keywords["schedule"] == "cosine" for p in late) > len(late) / 2


def test_a_failed_trial_never_goes_on() -> None:
    found = drained(make("hyperband", line, 9), lambda p: None if p.trial % 2 else p.point.keywords["x"])
    assert {proposal.trial for proposal in found if proposal.share == 1.0 and proposal.trial % 2} <= {
        proposal.trial
        for proposal in found
        if proposal.trial % 2 and [p.trial for p in found].count(proposal.trial) == 1
    }
    assert all([p.trial for p in found].count(proposal.trial) == 1 for proposal in found if proposal.trial % 2)


def test_kerastuners_own_objects() -> None:
    oracle = keras_tuner.oracles.HyperbandOracle(
        objective=keras_tuner.Objective("val_loss", "min"), max_epochs=9, factor=3, seed=1
    )
    found = drained(make(oracle, line, 100), lambda proposal: proposal.point.keywords["x"])
    again = [proposal for index, proposal in enumerate(found) if proposal.trial in {p.trial for p in found[:index]}]
    assert again, "no trial went on"
    assert {proposal.share for proposal in found} == {1 / 9 * n for n in (1,)} | {
        proposal.share for proposal in found if proposal.share > 1 / 9
    }
    with pytest.raises(InputError, match="fresh one"):
        make(oracle, line, 100)
    with pytest.raises(InputError, match="tuner: received 'best'"):
        make("best", line, 3)


def test_single_entries_of_a_space() -> None:
    def default(hp: Any) -> dict[str, Any]:
        return {"dropout": hp.Float("dropout", 0.0, 0.5), "units": hp.Choice("units", [8, 16])}

    given = {
        "dropout": (0.1, 0.2),
        "learning_rate": (1e-4, 1e-1),
        "layers": [None, (8, 8)],
        "l2": keras_tuner.engine.hyperparameters.Float("other", 1e-5, 1e-3, sampling="log"),
        "ema": lambda hp: hp.Choice("ema", [0.9, 0.99]),
        "epochs": 3,
    }
    space = spaces.make_space(default, given, {"batch_size": 32})
    known = spaces.discover(space)
    assert [hp.name for hp in known.space if hp.name == "dropout"] == ["dropout"]
    assert spaces.log_names(known) == {"learning_rate", "l2"}
    values = {hp.name: hp.random_sample(3) for hp in known.space}
    keywords = spaces.point(space, values).keywords
    assert 0.1 <= keywords["dropout"] <= 0.2
    assert keywords["layers"] in (None, (8, 8))
    assert (keywords["epochs"], keywords["batch_size"]) == (3, 32)
    assert set(keywords) == {"dropout", "units", "learning_rate", "layers", "l2", "ema", "epochs", "batch_size"}
    for wrong in ((0.5, 0.1), (1,), [], {1}):
        with pytest.raises(InputError, match=r"space\['dropout'\]: received"):
            spaces.discover(spaces.make_space(default, {"dropout": wrong}, {}))
    with pytest.raises(InputError, match="dropout, which is also given"):
        spaces.make_space(default, {"dropout": (0.1, 0.2)}, {"dropout": 0.1})
