"""Several classes of an image true at once, from data to export: two digits side by side, both to be named."""

from __future__ import annotations

import json

import numpy as np
import pytest
import sklearn.metrics

import kerasdl
from kerasdl.export import load_exported
from recipes import image_classification

NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


def digit_pairs(count=1200):
    """Images of 8 x 16 with a digit on either side, and rows of which digits are there."""
    digits = kerasdl.data.load("digits").train
    chosen = np.random.default_rng(0).integers(0, len(digits), (count, 2))
    images = np.concatenate([digits.inputs[chosen[:, 0]], digits.inputs[chosen[:, 1]]], axis=2)
    rows = np.zeros((count, 10), np.uint8)
    for side in range(2):
        rows[np.arange(count), digits.targets[chosen[:, side]]] = 1
    return images, rows


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    images, rows = digit_pairs()
    np.savez(folder / "pairs.npz", x=images, y=rows, class_names=NAMES)
    return image_classification.train(
        folder / "pairs.npz",
        architecture="mlp",
        units=(64,),
        epochs=8,
        learning_rate=0.02,
        augmentation="mixup",
        label_smoothing=0.02,
        verbose=0,
        directory=folder / "run",
    )


def test_it_learns(trained):
    truth = trained.dataset.test.targets
    share = trained.dataset.train.targets.mean(axis=0)
    drawn = np.random.default_rng(0).random(truth.shape) < share
    # To say of each class what is more frequent is to find nothing at all; guessing by frequency finds something.
    baseline = sklearn.metrics.f1_score(truth, drawn, average="macro")
    assert baseline < 0.3
    assert trained.metrics["macro_f1"] > baseline + 0.4
    assert trained.metrics["mean_average_precision"] > 0.8
    assert "no_better_than_majority" not in {finding.name for finding in trained.diagnosis}
    assert set(trained.history) == {"loss", "macro_f1", "val_loss", "val_macro_f1", "learning_rate"}


def test_metrics_are_those_of_what_it_predicts(trained):
    test = trained.dataset.test
    outputs = trained.predict(test.inputs)
    np.testing.assert_array_equal(outputs["present"], outputs["scores"] > 0.5)
    assert outputs["label"].tolist() == [NAMES[best] for best in outputs["scores"].argmax(axis=1)]
    assert outputs["scores"].sum(axis=1).max() > 1.2
    assert trained.metrics["subset_accuracy"] == (outputs["present"] == test.targets).all(axis=1).mean()
    truth = test.targets == 1
    losses = -np.log(np.where(truth, outputs["scores"], 1 - outputs["scores"]))
    assert trained.metrics["log_loss"] == pytest.approx(losses.mean(), rel=1e-3)
    assert f"subset_accuracy         {trained.metrics['subset_accuracy']:.4f}" in trained.summary()


def test_the_loaded_run_is_the_same(trained):
    loaded = kerasdl.Result.load(trained.directory)
    assert loaded.multi_label
    images = trained.dataset.test.inputs[:9]
    np.testing.assert_array_equal(loaded.predict(images)["present"], trained.predict(images)["present"])
    assert loaded.dataset.fingerprint == trained.dataset.fingerprint
    assert loaded.evaluate() == loaded.metrics == trained.metrics
    assert loaded.diagnosis == trained.diagnosis


def test_the_export_is_the_trained_model(trained, tmp_path):
    exported = load_exported(trained.export(tmp_path / "pairs"))
    assert exported.multi_label
    assert set(exported.signatures) == {"serving_default", "encoded"}
    facts = json.loads((exported.directory / "assets.extra" / "kerasdl.json").read_text("utf-8"))
    assert facts["multi_label"] is True
    images = trained.dataset.test.inputs[:50]
    live, served = trained.predict(images), exported.predict(images)
    assert set(live) == set(served) == {"scores", "label", "present"}
    assert np.abs(live["scores"] - served["scores"]).max() <= 1e-5
    assert served["present"].dtype == bool
    np.testing.assert_array_equal(live["present"], served["present"])
    assert live["label"].tolist() == served["label"].tolist()


def test_the_report_has_the_classes_and_no_confusion(trained):
    page = (trained.directory / "report.html").read_text("utf-8")
    for word in ("average precision", "seven", "macro f1: training from", "mean_average_precision"):
        assert word in page
    assert "Confusion" not in page


def test_evaluate_on_other_data(trained):
    test = trained.dataset.test
    expected = pytest.approx(trained.metrics, abs=1e-6)
    assert trained.evaluate((test.inputs, test.targets)) == expected
    # Rows of one class each, as they may happen to be, are rows like any others.
    single = test.targets.sum(axis=1) == 1
    assert set(trained.evaluate((test.inputs[single], test.targets[single]))) == set(trained.metrics)
    with pytest.raises(kerasdl.InputError, match="the model is multi-label"):
        trained.evaluate((test.inputs, test.targets.argmax(axis=1)))


def test_class_weights_are_refused():
    with pytest.raises(kerasdl.InputError, match="Leave class_weight out"):
        image_classification.train(digit_pairs(200), class_weight="balanced", verbose=0)
