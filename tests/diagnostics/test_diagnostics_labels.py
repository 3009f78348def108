"""Wrong labels: planted ones are found and listed, weak models and hard data raise no alarm."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import kerasdl
from kerasdl.diagnostics import diagnose_labels, diagnose_memorising, noise_share, suspicious_labels

CONFIG = {"epochs": 10, "label_smoothing": 0.0}
CLASSES = 5


def model_scores(count: int = 1000, sharpness: float = 1.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return the scores of a calibrated model whose examples are easy or hard, and labels drawn by them."""
    generator = np.random.default_rng(seed)
    logits = sharpness * generator.gamma(2, 2, (count, 1)) * generator.normal(size=(count, CLASSES))
    scores = np.exp(logits - logits.max(axis=1, keepdims=True))
    scores /= scores.sum(axis=1, keepdims=True)
    draws = generator.random((count, 1))
    return scores, np.minimum((scores.cumsum(axis=1) < draws).sum(axis=1), CLASSES - 1)


def with_wrong(targets: np.ndarray, share: float, classes: int = CLASSES) -> tuple[np.ndarray, np.ndarray]:
    """Return labels of which a share is another class, and the indices of those."""
    generator = np.random.default_rng(1)
    wrong = generator.permutation(len(targets))[: int(share * len(targets))]
    changed = targets.copy()
    changed[wrong] = (changed[wrong] + generator.integers(1, classes, len(wrong))) % classes
    return changed, wrong


@pytest.mark.parametrize("share", [0.1, 0.2, 0.4])
def test_wrong_labels(share: float) -> None:
    scores, truth = model_scores()
    targets, wrong = with_wrong(truth, share)
    estimate, low, high = noise_share(scores, targets)
    assert low < share < high
    assert low <= estimate <= high
    finding = diagnose_labels(scores, targets, CONFIG)
    assert finding is not None
    assert finding.evidence["noise_share"] == estimate
    listed = finding.details["examples"]
    assert np.mean([each["index"] in wrong for each in listed]) > 0.6
    assert all(each["given"] == targets[each["index"]] != each["suggested"] for each in listed)
    assert all(truth[each["index"]] == each["suggested"] for each in listed[:10])
    scored = [each["score"] for each in listed]
    assert scored == sorted(scored, reverse=True)


def test_a_label_that_a_second_model_accepts_is_not_suspicious() -> None:
    scores, truth = model_scores()
    targets, wrong = with_wrong(truth, 0.2)
    denied = np.isin(np.arange(len(targets)), wrong)
    finding = diagnose_labels(scores, targets, CONFIG, denied=denied)
    assert finding is not None
    assert {each["index"] for each in finding.details["examples"]} <= set(wrong)
    assert diagnose_labels(scores, targets, CONFIG, denied=~denied) is None


@pytest.mark.parametrize("sharpness", [0.3, 0.5, 1.0, 3.0])
@pytest.mark.parametrize("count", [30, 144, 1000, 20_000])
def test_weak_models_and_small_splits_raise_no_alarm(sharpness: float, count: int) -> None:
    assert diagnose_labels(*model_scores(count, sharpness), CONFIG) is None


def test_a_model_without_skill_says_nothing_about_labels() -> None:
    scores, _ = model_scores()
    assert diagnose_labels(scores, np.random.default_rng(0).integers(0, CLASSES, len(scores)), CONFIG) is None


def test_suspicious_labels_by_hand() -> None:
    scores = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.2, 0.8], [0.1, 0.9], [0.95, 0.05]])
    targets = np.array([0, 0, 0, 1, 1, 1])
    # The mean score of class 0 where it is given is 0.8: only the last example is as sure of another class.
    assert suspicious_labels(scores, targets) == [
        {"index": 5, "given": 1, "suggested": 0, "score": pytest.approx(0.9)},
    ]
    assert suspicious_labels(scores[:5], targets[:5]) == []


def test_remedies() -> None:
    from recipes import image_classification

    scores, truth = model_scores()
    targets, _ = with_wrong(truth, 0.3)
    finding = diagnose_labels(scores, targets, CONFIG | {"keep": "last", "epochs": 40})
    assert finding is not None
    assert finding.remedy == {"label_smoothing": 0.2, "keep": "best"}
    image_classification.resolve(**finding.remedy)


def test_memorising() -> None:
    numbers: dict[str, Any] = {"train_accuracy": 0.99, "train_count": 500, "accuracy": 0.11, "count": 200}
    finding = diagnose_memorising(**numbers, majority=0.12)
    assert finding is not None
    assert finding.remedy == {}
    assert "Remedy" not in str(finding)
    assert diagnose_memorising(**numbers | {"accuracy": 0.3}, majority=0.12) is None
    assert diagnose_memorising(**numbers | {"train_accuracy": 0.2}, majority=0.12) is None
    assert diagnose_memorising(**numbers | {"accuracy": 0.6, "count": 5}, majority=0.4) is None


def train(dataset: kerasdl.data.Dataset, targets: dict[str, np.ndarray], **options: Any) -> kerasdl.Result:
    from recipes import image_classification

    data = {name: (split.inputs[: len(targets[name])], targets[name]) for name, split in dataset.splits.items()}
    options = {"architecture": "mlp", "learning_rate": 0.01, "verbose": 0} | options
    return image_classification.train(data, **options)


def test_real_trainings() -> None:
    dataset = kerasdl.data.load("digits")
    labels = {name: with_wrong(split.targets, 0.2, 10)[0] for name, split in dataset.splits.items()}
    wrong = train(dataset, labels, units=(32,), epochs=4)
    found = {finding.name: finding for finding in wrong.diagnosis}
    assert "suspicious_labels" in found
    listed = [each["index"] for each in found["suspicious_labels"].details["examples"]]
    truth = dataset.validation.targets
    assert np.mean(labels["validation"][listed] != truth[listed]) > 0.8

    shuffled = {name: np.random.default_rng(2).permutation(split.targets) for name, split in dataset.splits.items()}
    shuffled["train"] = shuffled["train"][:200]
    memorised = train(dataset, shuffled, units=(128,), epochs=30, dropout=0.0, batch_size=50, keep="last")
    names = [finding.name for finding in memorised.diagnosis]
    assert names[0] == "memorising_noise"
    assert "suspicious_labels" not in names
