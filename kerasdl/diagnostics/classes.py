"""What the accuracy hides: classes that are never found, and a linear model that does better."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kerasdl.diagnostics import remedies
from kerasdl.diagnostics.curves import Finding, wilson_interval

RARE = 0.5
"""A class is rare if it has less than this share of what it would have if all were equally frequent."""
SMALLEST_RECALL_GAP = 0.1
"""Below, a proven gap between frequent and rare classes is not worth a remedy."""
CHANCE = 0.01
"""Level of the test between two models: many runs are tested, and healthy ones must stay quiet."""


def diagnose_imbalance(
    predicted: np.ndarray,
    targets: np.ndarray,
    train_counts: Sequence[int],
    config: Mapping[str, Any],
    *,
    class_names: Sequence[str] = (),
) -> Finding | None:
    """Find rare classes that the model sacrifices for the frequent ones.

    The rule: the classes with less than half of an equal share of the training examples are found less often than the
    others, all of the rare and all of the frequent examples taken together, beyond the 95 % intervals of both, and by
    more than 0.1.

    Args:
        predicted: Class indices of validation examples, (count,).
        targets: What is true, (count,).
        train_counts: Training examples of each class.
        config: The recipe's resolved arguments.
        class_names: Name of each class.

    Returns:
        The finding, its details the recall of each rare class with its interval; or None.

    Reference: Brodersen et al., The balanced accuracy and its posterior distribution, ICPR 2010,
    doi:10.1109/ICPR.2010.764; the remedy: King and Zeng, Logistic regression in rare events data, 2001.
    """
    counts = np.asarray(train_counts)
    rare = counts < RARE * counts.sum() / len(counts)
    is_rare, right = rare[targets], predicted == targets
    if not is_rare.any() or is_rare.all():
        return None
    recalls = {kind: (float(right[these].mean()), int(these.sum())) for kind, these in _kinds(is_rare)}
    _, high = wilson_interval(*recalls["rare"])
    low, _ = wilson_interval(*recalls["frequent"])
    if low <= high or recalls["frequent"][0] - recalls["rare"][0] < SMALLEST_RECALL_GAP:
        return None
    each = {index: right[targets == index] for index in np.unique(targets)}
    balanced = float(np.mean([some.mean() for some in each.values()]))
    error = np.sqrt(sum(some.var() / len(some) for some in each.values())) / len(each)
    never = [index for index, some in each.items() if rare[index] and not some.any()]
    return Finding(
        "class_imbalance",
        {
            "accuracy": float(right.mean()),
            "balanced_accuracy": balanced,
            "balanced_accuracy_error": float(1.96 * error),
            "rare_recall": recalls["rare"][0],
            "frequent_recall": recalls["frequent"][0],
            "rare_examples": recalls["rare"][1],
            "classes_never_found": len(never),
            "largest_to_smallest": float(counts.max() / max(1, counts.min())),
        },
        "The accuracy hides that rare classes are missed: the model gives them up for the frequent ones.",
        {} if config.get("class_weight") else {"class_weight": "balanced"},
        {
            "rare_classes": [
                {
                    "class": class_names[index] if len(class_names) else str(index),
                    "recall": float(some.mean()),
                    "low": wilson_interval(float(some.mean()), len(some))[0],
                    "high": wilson_interval(float(some.mean()), len(some))[1],
                    "examples": len(some),
                    "train_examples": int(counts[index]),
                }
                for index, some in each.items()
                if rare[index]
            ]
        },
    )


def diagnose_linear(
    right: np.ndarray, linear_right: np.ndarray, config: Mapping[str, Any], *, trained_on: int
) -> Finding | None:
    """Find a model that a linear one on the same inputs beats.

    The rule: of the validation examples on which only one of the two is right, the linear model has more than chance
    would give it, by McNemar's exact test on one side at 1 %. Where both do as well nothing is said: simple data are no
    fault of the training.

    Args:
        right: Which validation examples the model gets right, bool (count,).
        linear_right: The same for the linear model.
        config: The recipe's resolved arguments.
        trained_on: Training examples that the linear model saw.

    Returns:
        The finding or None.

    Reference: McNemar 1947, doi:10.1007/BF02295996; Dietterich, Approximate statistical tests for comparing supervised
    classification learning algorithms, 1998.
    """
    from scipy.stats import binomtest

    only_linear, only_model = int((linear_right & ~right).sum()), int((right & ~linear_right).sum())
    if only_linear <= only_model:
        return None
    chance = float(binomtest(only_linear, only_linear + only_model, alternative="greater").pvalue)
    if chance > CHANCE:
        return None
    return Finding(
        "no_better_than_linear",
        {
            "validation_accuracy": float(right.mean()),
            "linear_accuracy": float(linear_right.mean()),
            "only_linear_right": only_linear,
            "only_model_right": only_model,
            "p_value": chance,
            "linear_train_examples": trained_on,
        },
        "A linear model on the same inputs does better: this one is too small, not trained to the end, or too hard to "
        "train.",
        {**remedies.larger(config), "epochs": 2 * config["epochs"]},
    )


def _kinds(is_rare: np.ndarray) -> tuple[tuple[str, np.ndarray], tuple[str, np.ndarray]]:
    return ("rare", is_rare), ("frequent", ~is_rare)
