"""Findings that follow from losses and accuracies: overfitting, underfitting, divergence, a trivial baseline as good.

Shares are compared by the Wilson score interval (Wilson 1927, doi:10.1080/01621459.1927.10502953), so that a gap counts
only when the number of examples behind it makes it more than chance.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from kerasdl.diagnostics import remedies

# Two-sided 95 %.
Z = 1.96
# Below this share of examples a proven gap between training and validation is not worth a remedy.
SMALLEST_GAP = 0.03
# Share of the validation loss that the last fifth of the epochs has to have gained for more epochs to promise much.
SMALLEST_GAIN = 0.05


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with a training.

    Args:
        name: For example "overfitting".
        evidence: The numbers it rests on.
        advice: One plain sentence.
        remedy: Keyword arguments for the same recipe's `train`; none where no argument mends it.
        details: What is too much for one line, such as which examples; for JSON.
    """

    name: str
    evidence: dict[str, float]
    advice: str
    remedy: dict[str, Any]
    details: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        remedy = f" Remedy: {self.remedy_text()}." if self.remedy else ""
        return f"{self.name}: {self.advice} Evidence: {self.evidence_text()}.{remedy}"

    def evidence_text(self) -> str:
        """Return the evidence on one line."""
        return ", ".join(f"{name} {value:.4g}" for name, value in self.evidence.items())

    def remedy_text(self) -> str:
        """Return the remedy as it is written in a call."""
        return ", ".join(f"{name}={value!r}" for name, value in self.remedy.items())

    def as_dict(self) -> dict[str, Any]:
        """Return the finding as plain values for JSON."""
        return asdict(self)


def wilson_interval(share: float, count: int) -> tuple[float, float]:
    """Return the 95 % Wilson score interval of a share observed on `count` examples."""
    centre = (share + Z * Z / (2 * count)) / (1 + Z * Z / count)
    half = Z / (1 + Z * Z / count) * math.sqrt(share * (1 - share) / count + Z * Z / (4 * count * count))
    return max(0.0, centre - half), min(1.0, centre + half)


def no_better(accuracy: float, count: int, majority: float) -> bool:
    """Return whether an accuracy is not above the majority's share beyond chance, and that is not for want of examples.

    With few examples the interval reaches from the majority's share to a good model's; then nothing is known. It must
    end below half of what there is to win.
    """
    low, high = wilson_interval(accuracy, count)
    return low <= majority and high < (1 + majority) / 2


def diagnose_classifier(
    *,
    history: Mapping[str, Sequence[float]],
    config: Mapping[str, Any],
    train_accuracy: float,
    train_count: int,
    validation_accuracy: float,
    validation_count: int,
    class_shares: Sequence[float],
    label_accuracy: float | None = None,
) -> list[Finding]:
    """Diagnose a classifier's training.

    Args:
        history: Curves by name, one number an epoch; "loss" and "val_loss" are read.
        config: The recipe's resolved arguments, which the remedies start from.
        train_accuracy: Share right on training examples, measured in inference mode with the final weights.
        train_count: How many training examples that share was measured on.
        validation_accuracy: The same on validation examples.
        validation_count: How many there were.
        class_shares: Share of the validation examples that have each class.
        label_accuracy: Where several classes may be true at once, the share of all yes and no on validation examples
            that is right; the accuracies above are then those of whole examples, every class right.

    Returns:
        The findings, the most serious first; empty when nothing is wrong.
    """
    checks = (
        diverged(history, config),
        _baseline(validation_accuracy, validation_count, class_shares, config)
        if label_accuracy is None
        else _multi_label_baseline(label_accuracy, validation_count, class_shares, config),
        _overfitting(history, train_accuracy, train_count, validation_accuracy, validation_count, config),
        _underfitting(history, train_accuracy, train_count, config),
        plateau(history, train_accuracy, train_count, config) if label_accuracy is None else None,
    )
    return [finding for finding in checks if finding is not None]


def diverged(history: Mapping[str, Sequence[float]], config: Mapping[str, Any]) -> Finding | None:
    """Find a loss that grew to the double or stopped being finite."""
    loss = np.asarray(history["loss"], dtype=float)
    if np.isfinite(loss).all() and loss[-1] <= 2 * loss[0]:
        return None
    rate = config.get("learning_rate")
    return Finding(
        "diverged",
        {"first_loss": float(loss[0]), "last_loss": float(loss[-1])},
        "The loss grew instead of falling: the learning rate is too high.",
        {"learning_rate": rate / 10, "gradient_clip": 1.0} if rate else {"gradient_clip": 1.0},
    )


def _baseline(accuracy: float, count: int, class_shares: Sequence[float], config: Mapping[str, Any]) -> Finding | None:
    majority = max(class_shares)
    if not no_better(accuracy, count, majority):
        return None
    low, _ = wilson_interval(accuracy, count)
    return Finding(
        "no_better_than_majority",
        {"validation_accuracy": accuracy, "lower_bound": low, "majority_share": majority, "examples": count},
        "Always answering the most frequent class would do as well.",
        {"epochs": 2 * config["epochs"], "class_weight": "balanced"},
    )


def _multi_label_baseline(
    accuracy: float, count: int, class_shares: Sequence[float], config: Mapping[str, Any]
) -> Finding | None:
    majority = float(np.mean([max(share, 1 - share) for share in class_shares]))
    # The answers for one example are taken as independent: without skill they are the majority's to the last, and with
    # many rare classes an interval for the examples alone would be wider than what there is to win.
    low, _ = wilson_interval(accuracy, count * len(class_shares))
    if low > majority:
        return None
    return Finding(
        "no_better_than_majority",
        {"label_accuracy": accuracy, "lower_bound": low, "majority_share": majority, "examples": count},
        "Always giving the more frequent answer for each class, there or not, would do as well.",
        {"epochs": 2 * config["epochs"]},
    )


def _overfitting(
    history: Mapping[str, Sequence[float]],
    train_accuracy: float,
    train_count: int,
    accuracy: float,
    count: int,
    config: Mapping[str, Any],
) -> Finding | None:
    _, high = wilson_interval(accuracy, count)
    low, _ = wilson_interval(train_accuracy, train_count)
    gap = train_accuracy - accuracy
    if low <= high or gap < SMALLEST_GAP:
        return None
    losses = np.asarray(history["val_loss"], dtype=float)
    best = int(np.nanargmin(losses)) + 1
    early = best <= len(losses) / 2 and losses[-1] > 1.1 * losses[best - 1]
    remedy = remedies.regularized(config)
    return Finding(
        "overfitting",
        {
            "train_accuracy": train_accuracy,
            "validation_accuracy": accuracy,
            "gap": gap,
            "gap_beyond_chance": low - high,
            "validation_examples": count,
            "best_epoch": best,
            "epochs": len(losses),
        },
        "The model knows its training examples better than new ones"
        + (f", and the epochs after the {best}. made that worse" if early else "")
        + ("; regularize it" if "dropout" in remedy else "; convolutions need fewer examples: take them")
        + " or give it more data.",
        remedy,
    )


def _underfitting(
    history: Mapping[str, Sequence[float]], train_accuracy: float, train_count: int, config: Mapping[str, Any]
) -> Finding | None:
    val_loss = np.asarray(history["val_loss"], dtype=float)
    _, high = wilson_interval(train_accuracy, train_count)
    if not np.isfinite(val_loss).all():
        return None
    # Where the learning rate falls to zero, the last epoch is nearly always the best: it must be so by enough.
    late = max(1, len(val_loss) // 5)
    gained = 1 - np.nanmin(val_loss[-late:]) / np.nanmin(val_loss[:-late]) if len(val_loss) > 1 else 1.0
    # The training examples themselves are the easiest there are: 95 % on them is within reach of a model that fits.
    if high >= 0.95 or not gained >= SMALLEST_GAIN:
        return None
    return Finding(
        "underfitting",
        {"train_accuracy": train_accuracy, "upper_bound": high, "gained_in_last_fifth": float(gained)},
        "The model does not fit even its training examples and was still improving: train longer, or enlarge it.",
        {"epochs": 2 * config["epochs"]},
    )


def plateau(
    history: Mapping[str, Sequence[float]], train_accuracy: float, train_count: int, config: Mapping[str, Any]
) -> Finding | None:
    """Find a training loss that stands still far from fitting.

    The rule: over the second half of at least six epochs the training loss falls by less than 5 %, by the steep end of
    the 95 % interval of its slope; it is above a third of the first; and less than 95 % of the training examples are
    right, by the upper end of the interval.

    Reference: Smith, A disciplined approach to neural network hyper-parameters, arXiv:1803.09820, section 3.
    """
    loss = np.asarray(history["loss"], dtype=float)
    late = loss[len(loss) // 2 :]
    _, high = wilson_interval(train_accuracy, train_count)
    if len(loss) < 6 or not np.isfinite(loss).all() or high >= 0.95 or loss[-1] < loss[0] / 3:
        return None
    epochs = np.arange(len(late)) - (len(late) - 1) / 2
    slope = float((epochs * late).sum() / (epochs**2).sum())
    left = late - late.mean() - slope * epochs
    half = Z * math.sqrt(float((left**2).sum()) / max(1, len(late) - 2) / float((epochs**2).sum()))
    if (half - slope) * len(late) > 0.05 * late.mean():
        return None
    return Finding(
        "plateau",
        {"first_loss": float(loss[0]), "loss_half_way": float(late[0]), "last_loss": float(loss[-1])},
        "The training loss stands still far from fitting: the model is too small, or does not get on at this learning "
        "rate.",
        remedies.larger(config) or remedies.faster(config, 3),
    )
