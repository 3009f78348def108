"""Findings on language models: each on losses that have the fault, none on losses that do not."""

from __future__ import annotations

import numpy as np
import pytest

from kerasdl.diagnostics import diagnose_language_model

CONFIG = {"epochs": 10, "dropout": 0.1, "weight_decay": 0.05, "learning_rate": 0.001}
FALLING = {"loss": [3.0, 2.0, 1.5], "val_loss": [3.0, 2.1, 1.6]}
TURNED = {"loss": [3.0, 2.0, 1.5], "val_loss": [3.0, 2.1, 2.2]}


def losses(mean, count=200):
    return np.random.default_rng(0).normal(mean, 0.3, count)


def names(history, train, validation):
    findings = diagnose_language_model(history=history, config=CONFIG, train_losses=train, validation_losses=validation)
    return [finding.name for finding in findings]


def test_overfitting_is_a_gap_beyond_chance():
    assert names(TURNED, losses(1.0), losses(2.0)) == ["overfitting"]
    assert names(TURNED, losses(1.9), losses(2.0)) == []
    # The same gap in few windows may be chance.
    assert names(TURNED, losses(1.7), losses(2.0)) == ["overfitting"]
    assert names(TURNED, losses(1.7, 4), losses(2.0, 4)) == []


def test_underfitting_is_no_gap_while_still_falling():
    assert names(FALLING, losses(2.0), losses(2.0)) == ["underfitting"]
    assert names(TURNED, losses(2.0), losses(2.0)) == []
    assert names(FALLING, losses(1.85), losses(2.0)) == []


@pytest.mark.parametrize("last", [float("nan"), 9.0])
def test_diverged(last):
    assert "diverged" in names({"loss": [3.0, last], "val_loss": [3.0, last]}, losses(1.9), losses(2.0))


def test_remedies_are_keywords():
    (finding,) = diagnose_language_model(
        history=TURNED, config=CONFIG, train_losses=losses(1.0), validation_losses=losses(2.0)
    )
    assert finding.remedy == {"dropout": 0.2, "weight_decay": 0.1}
    assert finding.evidence["gap"] == pytest.approx(1.0, abs=0.01)
