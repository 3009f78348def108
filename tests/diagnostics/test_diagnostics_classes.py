"""Rare classes that are given up, and linear models that do better: each with the fault and without."""

from __future__ import annotations

from typing import Any

import numpy as np

import kerasdl
from kerasdl.diagnostics import diagnose_imbalance, diagnose_linear
from kerasdl.diagnostics.curves import no_better
from kerasdl.linear_baseline import linear_answers

CONFIG: dict[str, Any] = {"epochs": 10, "class_weight": None}
TARGETS = np.repeat([0, 1], [200, 20])


def answers(frequent: float, rare: float) -> np.ndarray:
    """Return answers with these shares right of the 200 frequent and the 20 rare examples."""
    right = np.concatenate([np.arange(200) < 200 * frequent, np.arange(20) < 20 * rare])
    return np.where(right, TARGETS, 1 - TARGETS)


def test_rare_classes_that_are_given_up() -> None:
    finding = diagnose_imbalance(answers(0.99, 0.2), TARGETS, [2000, 200], CONFIG, class_names=("ham", "spam"))
    assert finding is not None
    assert finding.evidence["balanced_accuracy"] == np.mean([0.99, 0.2])
    assert finding.evidence["accuracy"] > 0.9
    assert finding.evidence["classes_never_found"] == 0
    assert finding.remedy == {"class_weight": "balanced"}
    assert [each["class"] for each in finding.details["rare_classes"]] == ["spam"]
    never = diagnose_imbalance(answers(1.0, 0.0), TARGETS, [2000, 200], CONFIG | {"class_weight": "balanced"})
    assert never is not None
    assert never.evidence["classes_never_found"] == 1
    assert never.remedy == {}


def test_no_alarm_about_classes() -> None:
    # As good as the frequent one within the interval; equally frequent; too few to tell (one of two found); none rare.
    assert diagnose_imbalance(answers(0.97, 0.9), TARGETS, [2000, 200], CONFIG) is None
    assert diagnose_imbalance(answers(0.99, 0.2), TARGETS, [1000, 1000], CONFIG) is None
    some = np.r_[:200, 200:202]
    assert diagnose_imbalance(answers(0.9, 0.05)[some], TARGETS[some], [2000, 20], CONFIG) is None
    assert diagnose_imbalance(answers(0.99, 0.0)[:200], TARGETS[:200], [2000, 20], CONFIG) is None


def test_linear() -> None:
    def right(share: float) -> np.ndarray:
        return np.arange(200) < round(200 * share)

    finding = diagnose_linear(right(0.7), right(0.9), CONFIG, trained_on=500)
    assert finding is not None
    assert finding.evidence["only_linear_right"] == 40
    assert finding.remedy == {"epochs": 20}
    assert diagnose_linear(right(0.9), right(0.9), CONFIG, trained_on=500) is None
    assert diagnose_linear(right(0.9), right(0.92), CONFIG, trained_on=500) is None
    assert diagnose_linear(right(0.9), right(0.7), CONFIG, trained_on=500) is None


def test_linear_answers() -> None:
    digits = kerasdl.data.load("digits")
    indices, found, count = linear_answers(digits)
    assert count == len(digits.train)
    assert (found == digits.validation.targets[indices]).mean() > 0.85
    texts = [f"{'good' if index % 2 else 'bad'} word{index}" for index in range(200)]
    dataset = kerasdl.data.load((texts, [index % 2 for index in range(200)]), kind="text")
    indices, found, _ = linear_answers(dataset)
    assert (found == dataset.validation.targets[indices]).all()
    series = kerasdl.data.load("basic_motions", kind="series")
    assert len(linear_answers(series)[1]) == len(series.validation)


def test_few_examples_are_no_proof_of_a_trivial_model() -> None:
    assert no_better(0.11, 200, 0.12)
    assert no_better(0.92, 2000, 0.92)
    # All five right, and six of seven: a good model looks like this.
    assert not no_better(1.0, 5, 0.6)
    assert not no_better(6 / 7, 7, 4 / 7)
    assert not no_better(0.5, 200, 0.12)


def test_a_real_training_on_imbalanced_data() -> None:
    from recipes import image_classification

    digits = kerasdl.data.load("digits")
    inputs = np.concatenate([split.inputs for split in digits.splits.values()])
    targets = np.concatenate([split.targets for split in digits.splits.values()])
    # Eights against all others, one to ten, and too few steps.
    options: dict[str, Any] = {"architecture": "mlp", "units": (32,), "epochs": 2, "learning_rate": 0.003, "verbose": 0}
    dataset = kerasdl.data.load((inputs, (targets == 8).astype(int)), validation_fraction=0.4)
    found = {finding.name: finding for finding in image_classification.train(dataset, **options).diagnosis}
    assert found["class_imbalance"].remedy == {"class_weight": "balanced"}
    mended = image_classification.train(dataset, **options, class_weight="balanced")
    names = {finding.name for finding in mended.diagnosis}
    # The accuracy is below the majority's share now, but that is what the weights are for.
    assert mended.metrics["accuracy"] < found["class_imbalance"].evidence["accuracy"]
    assert not {"class_imbalance", "no_better_than_majority", "no_better_than_linear"} & names
