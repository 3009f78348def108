"""Runs in a folder: killed and resumed, finished, of another configuration; rerun and compared."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest

import kerasdl
from recipes import image_classification
from recipes.__main__ import main

KEYWORDS = {"architecture": "mlp", "units": (16,), "augmentation": "light,-flip", "ema": 0.9, "verbose": 0}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "whole"
    return image_classification.train("digits", epochs=30, directory=folder, checkpoint_every=10, **KEYWORDS)


def test_killed_it_ends_as_if_it_had_never_been_killed(finished, tmp_path):
    folder = tmp_path / "killed"
    words = ["--directory", str(folder), "--resume", "--epochs", "30", "--checkpoint_every", "10", "--verbose", "0"]
    words += ["--architecture", "mlp", "--units", "16", "--augmentation", "light,-flip", "--ema", "0.9", "--no_export"]
    command = [sys.executable, "-m", "recipes", "train", "image_classification", *words]
    process = subprocess.Popen(command)
    while len(list(folder.glob("checkpoints/checkpoint-*.npz"))) < 2:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (folder / "result.json").exists()
    with pytest.raises(kerasdl.InputError, match=r"an unfinished run.*resume=True"):
        kerasdl.Result.load(folder)
    resumed = image_classification.train(
        "digits", epochs=30, directory=folder, resume=True, checkpoint_every=10, **KEYWORDS
    )
    assert resumed.history == finished.history
    assert resumed.metrics == finished.metrics
    assert resumed.diagnosis == finished.diagnosis
    one, other = (keras.models.load_model(result.directory / "model.keras") for result in (finished, resumed))
    for first, second in zip(
        (*one.weights, *one.optimizer.variables), (*other.weights, *other.optimizer.variables), strict=True
    ):
        np.testing.assert_array_equal(first, second)
    assert not (folder / "checkpoints").exists()


def test_a_finished_run_is_given_back(finished):
    again = image_classification.train(
        "digits", epochs=30, directory=finished.directory, resume=True, checkpoint_every=10, **KEYWORDS
    )
    assert again.metrics == finished.metrics
    np.testing.assert_array_equal(again.model.get_weights()[0], finished.model.get_weights()[0])


def test_another_configuration_is_refused_with_the_difference(finished):
    with pytest.raises(kerasdl.InputError, match=r"dropout: 0.2 there, 0.5 now; .*epochs: 30 there, 31 now"):
        image_classification.train(
            "digits", epochs=31, dropout=0.5, directory=finished.directory, resume=True, **KEYWORDS
        )
    with pytest.raises(kerasdl.InputError, match="finished run.*resume=True"):
        image_classification.train("digits", epochs=30, directory=finished.directory, **KEYWORDS)


def test_other_data_are_refused(finished):
    dataset = kerasdl.data.load("digits")
    other = kerasdl.data.Dataset(
        name="digits",
        kind="images",
        train=dataset.validation,
        validation=dataset.validation,
        test=dataset.test,
        class_names=dataset.class_names,
        source="digits",
    )
    with pytest.raises(kerasdl.InputError, match="data_fingerprint"):
        image_classification.train(
            other, epochs=30, directory=finished.directory, resume=True, checkpoint_every=10, **KEYWORDS
        )


def test_rerun_and_compare(finished, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["rerun", str(finished.directory), "--output", "again"]) == 0
    assert "the same metrics" in capsys.readouterr().out
    assert main(["compare", str(finished.directory), "again"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines[1:]] == ["test accuracy", "test macro_f1", "test log_loss"]
    facts = json.loads((tmp_path / "again" / "result.json").read_text())
    assert facts["metrics"] == finished.metrics


def test_an_interrupted_command_says_how_to_go_on(tmp_path):
    command = [sys.executable, "-m", "recipes", "train", "image_classification", "--architecture", "mlp"]
    process = subprocess.Popen(
        [*command, "--epochs", "2000"],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        # JAX, where a test imports it, sets this variable, by which users ask for TensorFlow's start-up notes.
        env={name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"},
    )
    while not list(tmp_path.glob("runs/digits/checkpoints/checkpoint-*.npz")):
        assert process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGINT)
    _, error = process.communicate()
    assert process.returncode == 130
    assert error.count("\n") == 1
    assert "everything is saved" in error
    assert "--resume" in error
