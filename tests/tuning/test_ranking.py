"""Which of the trials that paused together promise most."""

from __future__ import annotations

from kerasdl.tuning.ranking import promising

SHARE = 1 / 3
SCORES = {0: 0.30, 1: 0.32, 2: 0.50, 3: 0.52}
SCHEDULES = {0: "constant", 1: "constant", 2: "cosine", 3: "cosine", 7: "constant", 8: "cosine", 9: "constant"}


def paused() -> dict[int, dict[float, float]]:
    return {trial: {SHARE: score} for trial, score in SCORES.items()}


def test_of_one_schedule_the_lower_score_comes_first() -> None:
    assert promising({5: 0.2, 4: 0.1, 6: 0.1}, dict.fromkeys((4, 5, 6)), {}, share=SHARE) == [4, 6, 5]


def test_nothing_known_yet_the_best_of_each_schedule_come_first() -> None:
    assert promising(SCORES, SCHEDULES, paused(), share=SHARE) == [0, 2, 1, 3]


def test_a_schedule_that_has_never_been_trained_to_the_end_goes_first() -> None:
    courses = paused() | {7: {SHARE: 0.4, 1.0: 0.3}}
    assert promising(SCORES, SCHEDULES, courses, share=SHARE) == [2, 0, 3, 1]


def test_scores_are_compared_by_what_is_gained_from_there() -> None:
    constant = {7: {SHARE: 0.40, 1.0: 0.35}, 9: {SHARE: 0.4, 1.0: 0.35}}
    courses = paused() | constant | {8: {SHARE: 0.6, 1.0: 0.32}, 6: {SHARE: 0.6, 1.0: 0.32}}
    assert promising(SCORES, SCHEDULES | {6: "cosine"}, courses, share=SHARE) == [2, 3, 0, 1]
    # From another rung nothing is known.
    assert promising(SCORES, SCHEDULES | {6: "cosine"}, courses, share=0.1) == [0, 2, 1, 3]
