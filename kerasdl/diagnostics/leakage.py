"""Leakage: examples of the validation or test split that the model was trained on, as they are or nearly."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from kerasdl.diagnostics.curves import Finding, wilson_interval
from kerasdl.duplicates import Duplicates, Known

LISTED = 200
"""Pairs of examples that a finding lists for each two splits."""

Leaks = dict[tuple[str, str], Duplicates]
"""By (known split, asked split)."""


def find_leaks(splits: Mapping[str, np.ndarray], *, kind: str) -> Leaks:
    """Find the examples that occur in two splits: see :func:`kerasdl.duplicates.find_duplicates`.

    Windows of one series overlap by their making, and the splits of a forecaster are apart in time by construction:
    they are nothing for this function.

    Args:
        splits: The inputs of "train", "validation" and "test".
        kind: "images", "text" or "series".

    Returns:
        What was found of validation in training, of test in training, and of test in validation.

    Example:
        >>> leaks = find_leaks({name: split.inputs for name, split in dataset.splits.items()}, kind="images")
        >>> leaks["train", "test"].indices
        array([ 3, 17])
    """
    known = {name: Known(splits[name], kind=kind) for name in ("train", "validation")}
    pairs = (("train", "validation"), ("train", "test"), ("validation", "test"))
    return {(name, asked): known[name].find(splits[asked]) for name, asked in pairs}


def diagnose_leakage(
    leaks: Leaks, *, right: Callable[[str], np.ndarray], config: Mapping[str, Any] | None = None
) -> Finding | None:
    """Find leakage that changes what the splits say.

    The rule: of the validation or of the test split a larger share is among the training examples (of the test split
    also among the validation ones) than the 95 % interval of the accuracy is wide: what the split says is then beyond
    what chance explains. A few duplicates in a large split are left alone, as are short texts that are bound to repeat.
    Where only a sample was looked at, the shares are at least so large.

    Args:
        leaks: What :func:`find_leaks` returned.
        right: Returns for "validation" or "test" which examples the model gets right, bool (count,). It is asked for
            the test split only where something has leaked.
        config: The recipe's resolved arguments; without "deduplicate" among them there is no remedy.

    Returns:
        The finding, its "details" the pairs of examples by splits; or None.

    Reference: Barz and Denzler, Do we train on test data? Purging CIFAR of near-duplicates, arXiv:1902.00423;
    Kapoor and Narayanan, Leakage and the reproducibility crisis in machine-learning-based science, 2023.
    """
    answers: dict[str, np.ndarray] = {}
    evidence: dict[str, float] = {}
    serious = False
    for split in ("validation", "test"):
        leaked = [found.asked for (_, asked), found in leaks.items() if asked == split]
        indices = np.unique(np.concatenate([np.zeros(0, np.int64), *leaked]))
        if not len(indices):
            continue
        answers[split] = right(split)
        accuracy, count = float(answers[split].mean()), len(answers[split])
        low, high = wilson_interval(accuracy, count)
        kept = np.delete(answers[split], indices)
        serious |= len(indices) > 1 and len(indices) / count > high - low
        evidence |= {
            f"{split}_leaked": len(indices),
            f"{split}_share": len(indices) / count,
            f"{split}_accuracy": accuracy,
            f"{split}_accuracy_without": float(kept.mean()) if len(kept) else float("nan"),
        }
    if not serious:
        return None
    exact = sum(len(np.unique(found.asked[found.exact])) for found in leaks.values())
    sampled = any(found.compared < len(answers.get(asked, ())) for (_, asked), found in leaks.items())
    return Finding(
        "leakage",
        {**evidence, "exact": exact},
        "Examples that the model is measured on are among those that it was trained or chosen by: its scores are too "
        "good." + (" Near duplicates were looked for in a sample only." if sampled else ""),
        {"deduplicate": True} if config is not None and config.get("deduplicate") is False else {},
        {
            f"{asked} in {known}": {
                "pairs": [[int(a), int(k)] for a, k in zip(found.asked[:LISTED], found.known[:LISTED], strict=True)],
                "exact": [bool(exact) for exact in found.exact[:LISTED]],
                "compared": found.compared,
                "ratio": found.ratio,
            }
            for (known, asked), found in leaks.items()
        },
    )
