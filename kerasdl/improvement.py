"""Train, diagnose, apply the remedy that promises most, keep it when it helps beyond noise, and tell the story.

    kerasdl improve image_classification --data digits --rounds 3

Everything is decided on the validation split. The test split is measured, as by every training, and not looked at.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasdl import checks, configuration, letterbox
from kerasdl.diagnostics.curves import Z
from kerasdl.errors import InputError
from kerasdl.measuring import Classification
from kerasdl.recipe_modules import find_recipe

if TYPE_CHECKING:
    from kerasdl.result import Result

STORY_FILE = "story.json"
# Nats. A log loss that is lower by less is no gain: two trainings that differ by rounding differ alike everywhere.
LEAST_SURER = 1e-3
# What improve decides itself.
OWN = ("directory", "resume", "callbacks", *configuration.RECORDED)


@dataclass(frozen=True)
class Attempt:
    """One training of an improvement.

    Args:
        finding: What was found in the best training before; empty for the first attempt.
        remedy: The keyword arguments that it changed.
        score: Its score on the validation split, higher is better: see `Task.goodness`.
        gain: How much better than the best before, a mean over the validation examples; None where nothing
            was there to compare with.
        low: Lower end of the 95 % interval of that mean.
        high: Upper end.
        surer: Of a classifier, how much likelier it makes what is right, a mean in nats, where that is more beyond
            noise and the score is not lower.
        kept: Whether it became the best: when the interval is above 0, or it is surer of what is right.
        reason: Why it failed, where it did.
    """

    finding: str
    remedy: dict[str, Any]
    score: float | None
    gain: float | None = None
    low: float | None = None
    high: float | None = None
    surer: float | None = None
    kept: bool = False
    reason: str = ""

    def __str__(self) -> str:
        changed = ", ".join(f"{name}={value!r}" for name, value in self.remedy.items())
        what = f"{self.finding} → {changed}" if self.finding else "as it was"
        if self.score is None:
            return f"{what}: failed, {self.reason}"
        if self.gain is None:
            return f"{what}: validation score {self.score:.4f}"
        how = f"{self.gain:+.4f} (95 % interval {self.low:+.4f} to {self.high:+.4f})"
        if self.surer is not None:
            return f"{what}: validation score {self.score:.4f}, {how}, log loss {-self.surer:+.4f}: kept"
        return (
            f"{what}: validation score {self.score:.4f}, {how}: {'kept' if self.kept else 'not beyond noise, dropped'}"
        )


def improve(
    recipe: ModuleType | str,
    data: Any = None,
    *,
    rounds: int = 3,
    budget_minutes: float | None = None,
    directory: str | Path | None = None,
    verbose: int = 1,
    **arguments: Any,
) -> Result:
    """Improve a training by its own diagnosis.

    The recipe is trained as it is asked to; its findings come with remedies, the most serious first. Each round trains
    again with one of them and compares both models on the same validation examples. A remedy stays when the mean
    difference is above 0 by its 95 % interval; else the next is tried, until the rounds or the findings are over. The
    interval is about these two models; another seed of the same training would differ by itself, too. A classifier's
    remedy also stays when as many answers are right and their log loss is lower beyond noise
    (and beyond rounding: by more than 0.001 nats).
    With a directory, the same call goes on where it was killed.

    Args:
        recipe: A module such as `recipes.image_classification`, or its name.
        data: As the recipe's `train` takes them; None for its embedded sample.
        rounds: Remedies that are tried at most.
        budget_minutes: No round begins that would, if it takes as long as the last, end after this time.
        directory: Folder of the attempts' runs and of the story; None writes none.
        verbose: 0 silent, 1 what is tried and what comes of it, 2 also what each training says.
        arguments: Of the recipe's `train`: where to start.

    Returns:
        The best result; `result.story` has an :class:`Attempt` for each training, as dictionaries.

    Raises:
        InputError: For an argument or data that cannot work.

    Example:
        >>> result = improve(image_classification, "digits", architecture="mlp", learning_rate=1.0)
        >>> for attempt in result.story: print(attempt["finding"], attempt["remedy"], attempt["kept"])
    """
    module, data = find_recipe(recipe, data)
    _check(rounds, budget_minutes, directory, arguments)
    folder = None if directory is None else Path(directory)
    story: list[Attempt] = []
    tried: list[dict[str, Any]] = []
    began = time.monotonic()

    def trained(keywords: Mapping[str, Any]) -> Result:
        tried.append(configuration.jsonable(module.resolve(data=data, **keywords)))
        place = {} if folder is None else {"directory": folder / f"attempt-{len(tried) - 1}", "resume": True}
        return module.train(data, **keywords, **place, verbose=max(0, verbose - 1))

    best: Result | None = None
    best_keywords, goodness = dict(arguments), np.zeros(0)
    finding, remedy = "", dict[str, Any]()
    while len(story) <= rounds:
        round_began = time.monotonic()
        keywords = {**best_keywords, **remedy}
        try:
            result = trained(keywords)
        except (FloatingPointError, MemoryError) as error:
            story.append(Attempt(finding, remedy, None, reason=f"{type(error).__name__}: {error}"))
            if best is None:
                best_keywords = keywords
        else:
            found = _goodness(result)
            gain, low, high = _difference(goodness, found) if best is not None else (None, None, None)
            surer = None
            if best is not None and low is not None and gain is not None and low <= 0 <= gain:
                surer = _surer(best, result)
            kept = low is None or low > 0 or surer is not None
            story.append(Attempt(finding, remedy, float(found.mean()), gain, low, high, surer, kept))
            if kept:
                best, best_keywords, goodness = result, keywords, found
        _tell(story, folder, verbose)
        last, spent = time.monotonic() - round_began, time.monotonic() - began
        if budget_minutes is not None and spent + last > budget_minutes * 60:
            break
        remedies = _without_result(module, data, best_keywords) if best is None else _by_seriousness(best)
        new = ((name, each) for name, each in remedies if _is_new(module, data, best, best_keywords, each, tried))
        finding, remedy = next(new, ("", {}))
        if not remedy:
            break
    if best is None:
        raise FloatingPointError(f"No attempt had a finite loss: {'; '.join(map(str, story))}")
    best.story = [asdict(attempt) for attempt in story]
    if best.directory is not None:
        best.save(best.directory)
    if verbose:
        print(best.summary(), flush=True)
    return best


def _by_seriousness(result: Result) -> list[tuple[str, dict[str, Any]]]:
    return [(finding.name, finding.remedy) for finding in result.diagnosis]


def _without_result(module: Any, data: Any, keywords: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return what can be done about a training that had no finite loss, and so no diagnosis."""
    rate = module.resolve(data=data, **keywords).get("learning_rate")
    slower = rate / 10 if isinstance(rate, (int, float)) else 1e-4
    return [("diverged", {"learning_rate": slower, "gradient_clip": 1.0})]


def _check(
    rounds: int, budget_minutes: float | None, directory: str | Path | None, arguments: Mapping[str, Any]
) -> None:
    checks.integer(1, example=3)("rounds", rounds)
    if budget_minutes is not None:
        checks.number(0, above=True, example=30)("budget_minutes", budget_minutes)
    if directory is not None:
        checks.folder("directory", directory)
    for name in arguments:
        if name in OWN:
            raise InputError(
                name,
                received="an argument that improve sets itself",
                expected="others of train",
                mend=f"Leave {name} out.",
            )


def _is_new(
    module: Any,
    data: Any,
    best: Result | None,
    keywords: Mapping[str, Any],
    remedy: Mapping[str, Any],
    tried: Sequence[Any],
) -> bool:
    """Return whether a remedy can be applied, would be anything new, and could be compared with the best."""
    try:
        asked = module.resolve(data=data, **{**keywords, **remedy})
        resolved = configuration.jsonable(asked)
        if "calibrate" in resolved and "calibrate" not in remedy:
            # It changes no weights: what was tried without it would give the same answers with it.
            tried = [{**each, "calibrate": resolved["calibrate"]} for each in tried]
        if not remedy or resolved in tried:
            return False
        if best is None or not set(remedy) & set(module.DATA_KEYWORDS):
            return True
        # Where other values are foretold, or other examples are judged, a better score would mean nothing.
        return _same_truth(module.load(**asked).validation, best.dataset.validation)
    except InputError:
        return False


def _same_truth(one: Any, other: Any) -> bool:
    """Return whether two splits ask for the same answers, boxes in the pixels of the original images."""
    if not hasattr(one, "sizes") or not hasattr(other, "sizes"):
        return np.array_equal(one.targets, other.targets)
    boxes, others = (letterbox.undo(each.targets[..., :4], each.sizes, each.inputs.shape[1:3]) for each in (one, other))
    return (
        np.array_equal(one.sizes, other.sizes)
        and np.array_equal(one.targets[..., 4:], other.targets[..., 4:])
        and np.allclose(boxes, others, atol=0.01)
    )


def _goodness(result: Result) -> np.ndarray:
    return result.task.goodness(result.model, result.dataset.validation, batch_size=result.config["batch_size"])


def _surer(before: Result, after: Result) -> float | None:
    """Return how much likelier what is right has become, beyond noise and rounding; else, or of no classifier, None."""
    likelihoods = [
        result.task.log_likelihood(result.model, result.dataset.validation, batch_size=result.config["batch_size"])
        for result in (before, after)
        if isinstance(result.task, Classification)
    ]
    gain, low, _ = _difference(*likelihoods) if likelihoods else (0.0, 0.0, 0.0)
    return gain if low > LEAST_SURER else None


def _difference(before: np.ndarray, after: np.ndarray) -> tuple[float, float, float]:
    """Return the mean of what examples gained and its 95 % interval; both models saw the same examples."""
    gains = after - before
    mean, half = (
        float(gains.mean()),
        Z * float(gains.std(ddof=1)) / math.sqrt(len(gains)) if len(gains) > 1 else math.inf,
    )
    return mean, mean - half, mean + half


def _tell(story: list[Attempt], folder: Path | None, verbose: int) -> None:
    if folder is not None:
        configuration.write_json(folder / STORY_FILE, [asdict(attempt) for attempt in story])
    if verbose:
        print(f"Attempt {len(story) - 1}: {story[-1]}", flush=True)
