"""Which of the trials that paused together promise most, where their schedules differ."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Hashable, Mapping

# Trials of a schedule that have been trained to the end, before it is known what its trials gain from a pause on.
ENOUGH = 2


def promising(
    scores: Mapping[int, float],
    schedules: Mapping[int, Hashable],
    courses: Mapping[int, Mapping[float, float]],
    *,
    share: float,
) -> list[int]:
    """Return the trials of a rung, the most promising first.

    A rate that is still high looks worse than what it comes to: with a falling schedule a trial gains more after its
    pause than with a constant one. How much, the trials tell that were trained to the end: once there are enough of
    each schedule, all trials are compared by their score and what is usually gained from there. Before that each is
    compared with those of its own schedule only, and of equals that one comes first whose schedule has been trained to
    the end least often.

    Args:
        scores: Of each trial at the rung; lower is better.
        schedules: Of all trials that there are.
        courses: Of each trial the scores known so far, by the share of its epochs.
        share: Of the rung, in (0, 1).
    """
    present = {schedules[trial] for trial in scores}
    ended = {trial: course for trial, course in courses.items() if 1.0 in course}
    gains = {
        each: [
            course[share] - course[1.0]
            for trial, course in ended.items()
            if schedules[trial] == each and share in course
        ]
        for each in present
    }
    if len(present) == 1 or all(len(known) >= ENOUGH for known in gains.values()):
        gain = {each: statistics.median(known) if known else 0.0 for each, known in gains.items()}
        return sorted(scores, key=lambda trial: (scores[trial] - gain[schedules[trial]], trial))
    often = Counter(schedules[trial] for trial in ended)

    def key(trial: int) -> tuple[float, int, float, int]:
        alike = [score for other, score in scores.items() if schedules[other] == schedules[trial]]
        better = sum(score < scores[trial] for score in alike) / len(alike)
        return better, often[schedules[trial]], scores[trial], trial

    return sorted(scores, key=key)
