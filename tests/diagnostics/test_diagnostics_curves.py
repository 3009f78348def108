"""Findings: each on numbers that have it and on numbers that do not, and on two real trainings."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import kerasdl
from kerasdl.diagnostics import Finding, diagnose_classifier
from kerasdl.diagnostics.curves import wilson_interval

CONFIG = {"epochs": 10, "learning_rate": 0.1, "dropout": 0.2, "weight_decay": 0.05}
HEALTHY: dict[str, Any] = {
    "history": {"loss": [2.0, 1.0, 0.5, 0.3], "val_loss": [1.9, 1.0, 0.6, 0.61]},
    "config": CONFIG,
    "train_accuracy": 0.97,
    "train_count": 1000,
    "validation_accuracy": 0.96,
    "validation_count": 1000,
    "class_shares": [0.1] * 10,
}


def diagnose(**changes: Any) -> dict[str, Finding]:
    return {finding.name: finding for finding in diagnose_classifier(**{**HEALTHY, **changes})}


def test_nothing_is_found_in_a_healthy_training() -> None:
    assert diagnose() == {}


def test_wilson_interval() -> None:
    # Wilson's interval for 8 of 10, as tabulated: 0.490 to 0.943.
    assert wilson_interval(0.8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert wilson_interval(1.0, 10)[1] == 1.0
    assert wilson_interval(0.0, 10)[0] == 0.0


@pytest.mark.parametrize("losses", [[1.0, math.nan], [1.0, math.inf], [1.0, 3.0]])
def test_diverged(losses: list[float]) -> None:
    finding = diagnose(history={"loss": losses, "val_loss": [1.0, 1.1]})["diverged"]
    assert finding.evidence["first_loss"] == 1.0
    assert finding.remedy == {"learning_rate": pytest.approx(0.01), "gradient_clip": 1.0}


def test_not_diverged() -> None:
    assert "diverged" not in diagnose(history={"loss": [1.0, 1.9], "val_loss": [1.0, 1.1]})
    config = {**CONFIG, "learning_rate": None}
    finding = diagnose(config=config, history={"loss": [1.0, 3.0], "val_loss": [1.0, 1.1]})["diverged"]
    assert finding.remedy == {"gradient_clip": 1.0}


def test_overfitting() -> None:
    finding = diagnose(train_accuracy=0.99, validation_accuracy=0.80)["overfitting"]
    assert finding.evidence["gap"] == pytest.approx(0.19)
    assert finding.remedy == {"dropout": 0.4, "weight_decay": 0.1}


def test_overfitting_needs_a_gap_beyond_chance_that_is_worth_it() -> None:
    # The same gap on few examples may be chance.
    assert diagnose(train_accuracy=0.99, validation_accuracy=0.80, train_count=20, validation_count=20) == {}
    # A gap of 2 % on a million examples is no chance, but no harm either.
    tiny = {"train_accuracy": 0.99, "validation_accuracy": 0.97, "train_count": 10**6, "validation_count": 10**6}
    assert diagnose(**tiny) == {}


def test_remedies_have_bounds() -> None:
    strong = {**CONFIG, "dropout": 0.55, "weight_decay": None, "epochs": 100, "schedule": "constant"}
    finding = diagnose(train_accuracy=0.99, validation_accuracy=0.80, config=strong)["overfitting"]
    assert finding.remedy == {"dropout": 0.6, "weight_decay": 0.01, "early_stopping": 20}
    annealed = {**strong, "schedule": "one_cycle", "keep": "last"}
    finding = diagnose(train_accuracy=0.99, validation_accuracy=0.80, config=annealed)["overfitting"]
    assert finding.remedy == {"dropout": 0.6, "weight_decay": 0.01, "keep": "best"}


def test_a_perceptron_becomes_convolutional() -> None:
    perceptron = {**CONFIG, "architecture": "mlp", "augmentation": "none", "keep": "last"}
    finding = diagnose(train_accuracy=0.99, validation_accuracy=0.80, config=perceptron)["overfitting"]
    assert finding.remedy == {"architecture": "cnn", "keep": "best"}
    assert "convolutions need fewer examples" in finding.advice


def test_images_are_moved_where_they_stand_still() -> None:
    images = {**CONFIG, "architecture": "cnn", "augmentation": "none", "image_size": None}
    series = {**CONFIG, "augmentation": "none", "length": None}
    moved = {**images, "augmentation": "light"}
    frozen = {**images, "feature_passes": 1}
    for config, more in ((images, {"augmentation": "shift"}), (series, {}), (moved, {}), (frozen, {})):
        finding = diagnose(train_accuracy=0.99, validation_accuracy=0.80, config=config)["overfitting"]
        assert finding.remedy == {"dropout": 0.4, "weight_decay": 0.1, **more}


def test_underfitting() -> None:
    falling = {"loss": [2.0, 1.5, 1.2], "val_loss": [2.0, 1.6, 1.3]}
    finding = diagnose(history=falling, train_accuracy=0.7, validation_accuracy=0.7)["underfitting"]
    assert finding.remedy == {"epochs": 20}
    assert finding.evidence["gained_in_last_fifth"] == pytest.approx(1 - 1.3 / 1.6, abs=0.1)
    # Fitted well, or no longer improving: not underfitting.
    assert "underfitting" not in diagnose(history=falling)
    assert "underfitting" not in diagnose(train_accuracy=0.7, validation_accuracy=0.7)


def test_no_better_than_majority() -> None:
    shares = [0.9, 0.1]
    finding = diagnose(validation_accuracy=0.91, train_accuracy=0.91, class_shares=shares)["no_better_than_majority"]
    assert finding.evidence["majority_share"] == 0.9
    assert finding.remedy["class_weight"] == "balanced"
    assert diagnose(class_shares=shares) == {}


def test_no_better_than_the_majority_of_each_label() -> None:
    # Two classes, in 90 % and 20 % of the examples: saying always and never is right in 85 % of all answers.
    changes = {"class_shares": [0.9, 0.2], "train_accuracy": 0.97, "validation_accuracy": 0.96}
    finding = diagnose(**changes, label_accuracy=0.85)["no_better_than_majority"]
    assert finding.evidence["majority_share"] == pytest.approx(0.85)
    assert finding.remedy == {"epochs": 20}
    assert diagnose(**changes, label_accuracy=0.9) == {}
    # The accuracy of whole examples is no measure of it: with many classes it is low even when much is learnt.
    many = {"class_shares": [0.03] * 80, "train_accuracy": 0.2, "validation_accuracy": 0.2}
    assert diagnose(**many, label_accuracy=0.98) == {}


def test_a_finding_is_one_line_and_plain_values() -> None:
    finding = diagnose(train_accuracy=0.99, validation_accuracy=0.80)["overfitting"]
    assert "gap 0.19" in str(finding)
    assert "dropout=0.4" in str(finding)
    assert "\n" not in str(finding)
    assert Finding(**finding.as_dict()) == finding


def test_remedies_are_keywords_of_the_recipe() -> None:
    from recipes import image_classification

    findings = diagnose(
        history={"loss": [1.0, 3.0], "val_loss": [1.0, 0.9]}, train_accuracy=0.5, validation_accuracy=0.1
    )
    assert set(findings) == {"diverged", "no_better_than_majority", "overfitting", "underfitting"}
    for finding in findings.values():
        image_classification.resolve(**finding.remedy)


def test_real_trainings(digits_result: kerasdl.Result) -> None:
    from recipes import image_classification

    assert digits_result.diagnosis == []

    dataset = digits_result.dataset
    few = (dataset.train.inputs[:60], dataset.train.targets[:60])
    known_by_heart = image_classification.train(
        {
            "train": few,
            "validation": dataset.test.batch(np.arange(360)),
            "test": dataset.validation.batch(np.arange(9)),
        },
        architecture="mlp",
        units=(64,),
        dropout=0.0,
        epochs=20,
        batch_size=30,
        learning_rate=0.02,
        num_classes=10,
        verbose=0,
    )
    found = {finding.name: finding for finding in known_by_heart.diagnosis}
    assert set(found) == {"overfitting"}
    assert found["overfitting"].evidence["train_accuracy"] == 1.0
    assert found["overfitting"].evidence["gap"] > 0.1
