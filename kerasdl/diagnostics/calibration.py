"""Calibration: whether scores are the shares of answers that are right, and the temperature that makes them so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kerasdl.diagnostics.curves import SMALLEST_GAP, Finding

MOST_BINS = 15
"""As Guo et al. have them; fewer where a bin would have less than `FEWEST_IN_BIN` examples."""
FEWEST_IN_BIN = 10
DRAWS = 200
"""Simulated splits of a perfectly calibrated model, of which 95 % are the interval."""
COLDEST, HOTTEST = 0.05, 20.0
STEPS = 60


def reliability(confidences: np.ndarray, right: np.ndarray) -> list[dict[str, float]]:
    """Return the bins of a reliability diagram, each of as many examples, the least confident first.

    Args:
        confidences: The score of each answer, (count,).
        right: Whether it is right, (count,).

    Returns:
        Of each bin "confidence" and "accuracy", its means, "count", and "low" and "high", between which the accuracy of
        a calibrated model is with 95 % (Bröcker and Smith 2007, doi:10.1175/WAF993.1).
    """
    order = np.argsort(confidences, kind="stable")
    rates = _simulated(confidences)[:, order]
    bins = []
    for places in np.array_split(np.arange(len(order)), _bin_count(len(order))):
        low, high = np.quantile(rates[:, places].mean(axis=1), (0.025, 0.975))
        bins.append(
            {
                "confidence": float(confidences[order[places]].mean()),
                "accuracy": float(right[order[places]].mean()),
                "count": len(places),
                "low": float(low),
                "high": float(high),
            }
        )
    return bins


def calibration_error(confidences: np.ndarray, right: np.ndarray) -> tuple[float, float]:
    """Return the expected calibration error and what chance makes of it.

    Args:
        confidences: The score of each answer, (count,).
        right: Whether it is right, (count,).

    Returns:
        The mean distance of confidence and accuracy over bins of equal count; and the 95 % quantile of what a perfectly
        calibrated model with the same confidences would get on as many examples.

    Reference: Naeini et al., Obtaining well calibrated probabilities using Bayesian binning, AAAI 2015; the resampling:
    Vaicenavicius et al., Evaluating model calibration in classification, arXiv:1902.06977.
    """
    order = np.argsort(confidences, kind="stable")
    bins = np.array_split(np.arange(len(order)), _bin_count(len(order)))
    simulated = _simulated(confidences)[:, order].astype(float)
    known, answers = confidences[order], right[order].astype(float)

    def error(hits: np.ndarray) -> np.ndarray:
        gaps = [np.abs((hits[..., places] - known[places]).sum(axis=-1)) for places in bins]
        return np.sum(gaps, axis=0) / len(known)

    return float(error(answers)), float(np.quantile(error(simulated), 0.95))


def best_temperature(logits: np.ndarray, targets: np.ndarray) -> float:
    """Return what logits are divided by for the lowest log loss.

    The log loss is convex in 1/T, so the search by golden section finds its minimum. Of n examples each counts as right
    with (n + 1) / (n + 2) only, as in Platt 1999: a few that are all right would else make scores of 1 of all.

    Args:
        logits: Of shape (count, classes); logarithms of scores do as well.
        targets: Class indices (count,), or rows of 0 and 1 (count, classes).

    Returns:
        The temperature, from 0.05 to 20.

    Reference: Guo et al., On calibration of modern neural networks, arXiv:1706.04599.

    Example:
        >>> best_temperature(3 * logits_of_a_calibrated_model, targets)
        2.98...
    """
    logits = np.asarray(logits, dtype=np.float64)
    missing = 1 / (len(targets) + 2)
    if targets.ndim == 2:
        soft = np.where(targets == 1, 1 - missing, missing)
    else:
        soft = np.full(logits.shape, missing / (logits.shape[1] - 1))
        soft[np.arange(len(targets)), targets] = 1 - missing

    def loss(scaled: np.ndarray) -> float:
        powers = np.logaddexp(0, scaled) if targets.ndim == 2 else np.logaddexp.reduce(scaled, axis=1)
        return float(powers.sum() - (soft * scaled).sum())

    low, high, golden = 1 / HOTTEST, 1 / COLDEST, (np.sqrt(5) - 1) / 2
    for _ in range(STEPS):
        first, second = high - golden * (high - low), low + golden * (high - low)
        if loss(logits * first) <= loss(logits * second):
            high = second
        else:
            low = first
    return float(2 / (low + high))


def losses(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return the log loss of each example in nats, (count,), from logits and class indices."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    return np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(targets)), targets]


def diagnose_calibration(scores: np.ndarray, targets: np.ndarray, config: Mapping[str, Any]) -> Finding | None:
    """Find scores that are surer, or less sure, than they are right, on the validation split.

    The rule: the calibration error is beyond what chance makes of it by 0.03 at least, and a temperature that was
    chosen on one half of the examples lowers the log loss of the other half, both ways, by more than two standard
    errors. Scores that are less sure than right are what label smoothing asks for; beside it nothing is said of them.

    Args:
        scores: Of shape (count, classes), each row sums to 1.
        targets: Class indices, (count,).
        config: The recipe's resolved arguments.

    Returns:
        The finding, its details the bins of :func:`reliability`; or None.

    Reference: Guo et al., arXiv:1706.04599; Vaicenavicius et al., arXiv:1902.06977; label smoothing: Müller et al.,
    When does label smoothing help?, arXiv:1906.02629.
    """
    from scipy.special import softmax

    if len(targets) < 2 * FEWEST_IN_BIN:
        return None
    right = scores.argmax(axis=1) == targets
    confidences = scores.max(axis=1).astype(float)
    sure = float(confidences.mean() - right.mean())
    smoothed = bool(config.get("label_smoothing")) and not config.get("calibrate")
    error, chance = calibration_error(confidences, right)
    if error - chance < SMALLEST_GAP or (smoothed and sure <= 0):
        return None
    logits = np.log(np.maximum(scores.astype(np.float64), 1e-30))
    halves = np.arange(len(targets)) % 2
    gains = np.empty(len(targets))
    for half in (0, 1):
        there = halves == half
        temperature = best_temperature(logits[~there], targets[~there])
        gains[there] = losses(logits[there], targets[there]) - losses(logits[there] / temperature, targets[there])
    if gains.mean() <= 2 * gains.std() / np.sqrt(len(gains)):
        return None
    temperature = best_temperature(logits, targets)
    after = softmax(logits / temperature, axis=1).max(axis=1)
    return Finding(
        "miscalibrated",
        {
            "calibration_error": error,
            "error_by_chance": chance,
            "mean_score": float(confidences.mean()),
            "accuracy": float(right.mean()),
            "temperature": temperature,
            "calibration_error_after": calibration_error(after, right)[0],
            "log_loss_gain": float(gains.mean()),
            "examples": len(targets),
        },
        f"The scores are {'surer' if sure > 0 else 'less sure'} than they are right; one temperature for all logits "
        "mends it.",
        {"calibrate": True} if config.get("calibrate") is False else {},
        {"bins": reliability(confidences, right), "bins_after": reliability(after, right)},
    )


def _bin_count(count: int) -> int:
    return max(1, min(MOST_BINS, count // FEWEST_IN_BIN))


def _simulated(confidences: np.ndarray) -> np.ndarray:
    """Return which answers are right in each draw of a perfectly calibrated model, bool (draws, count)."""
    return np.random.default_rng(0).random((DRAWS, len(confidences))) < confidences
