"""Findings on the training of a language model: from its losses on windows of training and of held-out text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kerasdl.diagnostics.curves import Finding, Z, diverged

# Share of the held-out loss. Other text is somewhat harder to foretell without any fault of the model; below the
# smaller one the training text is foretold no better than other text, so there is capacity or time to gain.
LARGEST_GAP, SMALLEST_GAP = 0.1, 0.03


def diagnose_language_model(
    *,
    history: Mapping[str, Sequence[float]],
    config: Mapping[str, Any],
    train_losses: np.ndarray,
    validation_losses: np.ndarray,
) -> list[Finding]:
    """Diagnose the training of a language model.

    Losses are compared by Welch's 95 % interval of their difference (Welch 1947, doi:10.1093/biomet/34.1-2.28).

    Args:
        history: Curves by name, one number an epoch; "loss" and "val_loss" are read.
        config: The recipe's resolved arguments, which the remedies start from.
        train_losses: Mean loss of each of some windows of training text, in nats a token, with the final weights.
        validation_losses: The same of held-out text.

    Returns:
        The findings, the most serious first; empty when nothing is wrong.
    """
    train, validation = float(train_losses.mean()), float(validation_losses.mean())
    variances = [losses.var(ddof=1) / len(losses) for losses in (train_losses, validation_losses) if len(losses) > 1]
    half = Z * math.sqrt(sum(variances))
    evidence = {"train_loss": train, "validation_loss": validation, "gap": validation - train, "interval": half}
    found = [diverged(history, config)]
    if validation - train - half > LARGEST_GAP * validation:
        found.append(
            Finding(
                "overfitting",
                evidence,
                "The model foretells its training text better than new text; regularize it or give it more text.",
                {
                    "dropout": round(min(0.6, (config.get("dropout") or 0.0) + 0.1), 2),
                    "weight_decay": max(0.01, 2 * (config.get("weight_decay") or 0.0)),
                },
            )
        )
    losses = np.asarray(history["val_loss"], dtype=float)
    still_falling = len(losses) < 2 or int(np.nanargmin(losses)) == len(losses) - 1
    if still_falling and validation - train + half < SMALLEST_GAP * validation:
        found.append(
            Finding(
                "underfitting",
                evidence,
                "New text is foretold as well as the training text, and better with every epoch: train longer, or "
                "enlarge the model.",
                {"epochs": 2 * config["epochs"]},
            )
        )
    return [finding for finding in found if finding is not None]
