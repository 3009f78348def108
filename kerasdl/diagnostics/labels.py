"""Labels that look wrong: examples whose class a model denies that never saw them, and labels that say nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kerasdl.diagnostics import remedies
from kerasdl.diagnostics.curves import SMALLEST_GAP, Finding, no_better, wilson_interval

FEWEST_SURE, USUAL_SURE = 20, 100
"""Examples of which the model is surest, as many as the share of wrong labels is estimated by: at least, and as a rule
no less as long as they are at most a quarter of all."""
FLAT = 0.2
"""Nats: if a model's doubts about an example say no more beyond those about its class, it has no second thoughts."""
LISTED = 100
"""Examples that a finding lists."""


def suspicious_labels(scores: np.ndarray, targets: np.ndarray) -> list[dict[str, Any]]:
    """Return the examples whose label looks wrong, by confident learning, the most suspicious first.

    An example counts for another class if its score for that class is at least the mean score which examples labelled
    so have; of several such classes for the one with the highest score. The threshold by class makes up for a model
    that is surer of some classes than of others.

    Args:
        scores: Of a model that did not see the examples, (count, classes), each row sums to 1.
        targets: The given class indices, (count,).

    Returns:
        For each "index", "given" and "suggested" class index, and "score", how much surer the model is of the suggested
        one, in (0, 1].

    Reference: Northcutt, Jiang and Chuang, Confident learning: estimating uncertainty in dataset labels,
    arXiv:1911.00068.

    Example:
        >>> suspicious_labels(result.task.scores(result.model, split, batch_size=64), split.targets)[0]
        {'index': 17, 'given': 4, 'suggested': 9, 'score': 0.98}
    """
    own = scores[np.arange(len(targets)), targets]
    counts = np.bincount(targets, minlength=scores.shape[1])
    sums = np.bincount(targets, weights=own, minlength=scores.shape[1])
    # A class without an example cannot be suggested.
    thresholds = np.where(counts > 0, sums / np.maximum(counts, 1), np.inf)
    confident = scores >= thresholds
    suggested = np.where(confident, scores, -1).argmax(axis=1)
    margins = scores[np.arange(len(targets)), suggested] - own
    found = np.flatnonzero(confident.any(axis=1) & (suggested != targets) & (margins > 0))
    found = found[np.argsort(-margins[found], kind="stable")]
    return [
        {
            "index": int(index),
            "given": int(targets[index]),
            "suggested": int(suggested[index]),
            "score": float(margins[index]),
        }
        for index in found
    ]


def noise_share(
    scores: np.ndarray, targets: np.ndarray, *, denied: np.ndarray | None = None
) -> tuple[float, float, float]:
    """Return the share of wrong labels with its 95 % interval, from where the model is surest.

    A model errs little on the eighth of the examples that it is surest of, however hard the others are; wrong labels
    are among them as often as anywhere. The share of "errors" there is the floor that the risk has at low coverage. It
    is rather too low than too high: a model that learned from the same wrong labels is less sure of such examples.

    Args:
        scores: Of a model that did not see the examples, (count, classes).
        targets: The given class indices, (count,).
        denied: Which labels a second model denies as well, bool (count,): only those count.

    Returns:
        Share, lower and upper bound; NaN, 0.0 and 1.0 where there are fewer than 80 examples.

    Reference: the curve of risk and coverage: Geifman and El-Yaniv, arXiv:1705.08500.
    """
    surest = _surest(scores)
    if len(surest) < FEWEST_SURE:
        return float("nan"), 0.0, 1.0
    wrong = scores[surest].argmax(axis=1) != targets[surest]
    share = float((wrong if denied is None else wrong & denied[surest]).mean())
    return (share, *wilson_interval(share, len(surest)))


def diagnose_labels(
    scores: np.ndarray, targets: np.ndarray, config: Mapping[str, Any], *, denied: np.ndarray | None = None
) -> Finding | None:
    """Find wrong labels among the validation examples, which stand for those of the training examples.

    The rule: of the examples that the model is surest of, more than 3 % are labelled otherwise, beyond chance, and
    by a linear model's answers too, see :func:`noise_share`; the model is better than the most frequent class,
    beyond chance; and the labels that it denies do not depend on the examples, as confident learning supposes of
    wrong ones: if they were the model's own second thoughts, the examples would be hard, not the labels wrong. Of
    two classes there are no second thoughts; then the model must be surer than its doubts allow for. Only held-out
    examples are judged: of its training examples a model knows the labels by heart, wrong ones too.

    Args:
        scores: Of shape (count, classes), each row sums to 1.
        targets: Class indices, (count,).
        config: The recipe's resolved arguments.
        denied: Which labels a linear model denies as well, bool (count,): one that is half trained is no judge alone.

    Returns:
        The finding, its details the most suspicious examples; or None.

    Reference: Northcutt et al., arXiv:1911.00068; the remedy: Lukasik et al., Does label smoothing mitigate label
    noise?, arXiv:2003.02819; Li et al., Gradient descent with early stopping is provably robust to label noise,
    arXiv:1903.11680.
    """
    share, low, high = noise_share(scores, targets, denied=denied)
    accuracy = float((scores.argmax(axis=1) == targets).mean())
    majority = float(np.bincount(targets).max() / len(targets))
    if low <= SMALLEST_GAP or wilson_interval(accuracy, len(targets))[0] <= majority or _hard(scores, targets):
        return None
    found = [each for each in suspicious_labels(scores, targets) if denied is None or denied[each["index"]]]
    # As many as are estimated to be wrong: the paper's pruning by noise rate, over all classes at once.
    listed = found[: min(LISTED, max(1, round(share * len(targets))))]
    return Finding(
        "suspicious_labels",
        {
            "noise_share": share,
            "lower_bound": low,
            "upper_bound": high,
            "suspicious": len(found),
            "validation_accuracy": accuracy,
            "validation_examples": len(targets),
        },
        "Some labels look wrong: the model is sure of another class; look at the examples listed and correct them.",
        {
            "label_smoothing": max(config.get("label_smoothing") or 0.0, 0.2 if share > 0.15 else 0.1),
            **remedies.best_epoch(config),
        },
        {"split": "validation", "examples": listed},
    )


def _surest(scores: np.ndarray) -> np.ndarray:
    sure = max(len(scores) // 8, min(len(scores) // 4, USUAL_SURE))
    return np.argsort(-scores.max(axis=1), kind="stable")[:sure]


def _hard(scores: np.ndarray, targets: np.ndarray) -> bool:
    """Return whether the doubts that the model has of each example explain the labels that it denies.

    The likelihood of those labels by the doubts about each example is compared with that by the mean doubts about all
    sure examples of the same answer, which are the noise that depends on the class only.
    """
    surest = _surest(scores)
    scores, targets = scores[surest].astype(np.float64), targets[surest]
    answers = scores.argmax(axis=1)
    wrong = answers != targets
    if scores.shape[1] == 2:
        doubts = 1 - scores.max(axis=1)
        return bool(wrong.sum() <= doubts.sum() + 2 * np.sqrt((doubts * (1 - doubts)).sum()))
    doubts = np.maximum(scores, 1e-12)
    doubts[np.arange(len(doubts)), answers] = 0
    doubts /= doubts.sum(axis=1, keepdims=True)
    means = np.stack([doubts[answers == answer].mean(axis=0) for answer in answers[wrong]])
    own = np.maximum(doubts[wrong], 1e-12)
    ratios = np.log(own / np.maximum(means, 1e-12))
    found = ratios[np.arange(len(own)), targets[wrong]].mean()
    # What it is on average if the doubts are right; if the noise is that of the class, it is 0 or below.
    expected = (own * ratios).sum(axis=1).mean()
    return bool(expected > FLAT and found > expected / 2)


def diagnose_memorising(
    *, train_accuracy: float, train_count: int, accuracy: float, count: int, majority: float
) -> Finding | None:
    """Find a model that knows its training labels by heart and nothing else, as it does with shuffled labels.

    The rule: on validation it is not better than the most frequent class, see
    :func:`kerasdl.diagnostics.curves.no_better`; on the training examples it is, by more than the intervals of both.

    Args:
        train_accuracy: Share right on training examples.
        train_count: How many there were.
        accuracy: The same on validation examples.
        count: How many there were.
        majority: Share of the most frequent class among the validation examples.

    Returns:
        The finding, without a remedy: no argument of the training mends labels that say nothing; or None.

    Reference: Zhang et al., Understanding deep learning requires rethinking generalization, arXiv:1611.03530.
    """
    low, high = wilson_interval(accuracy, count)
    train_low, _ = wilson_interval(train_accuracy, train_count)
    if not no_better(accuracy, count, majority) or train_low <= max(majority, high) + SMALLEST_GAP:
        return None
    return Finding(
        "memorising_noise",
        {
            "train_accuracy": train_accuracy,
            "validation_accuracy": accuracy,
            "lower_bound": low,
            "majority_share": majority,
            "validation_examples": count,
        },
        "The model learns its training labels by heart and can tell nothing of new examples: the labels do not belong "
        "to the inputs; check that both are in the same order, and what one example should say.",
        {},
    )
