"""The command line, used as a user would: one run from training to prediction, in an empty folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from recipes.__main__ import main

QUICK = ["--architecture", "mlp", "--units", "32", "--epochs", "2"]


# JAX, where a test imports it, sets this variable, by which users ask for TensorFlow's start-up notes.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}


def kerasdl(*words, cwd):
    command = [sys.executable, "-m", "recipes", *words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, env=ENVIRONMENT)


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    folder = tmp_path_factory.mktemp("job")
    return folder, kerasdl("train", "image_classification", *QUICK, cwd=folder)


def test_training_says_what_it_does_and_where_things_are(job):
    folder, done = job
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert "architecture = 'mlp'" in lines
    assert "units = [32]" in lines
    for words in ("epoch 2/2", "accuracy", "Diagnosis"):
        assert words in done.stdout
    assert "Run: runs/digits" in done.stdout
    assert "Export: saved_models/digits/1 (verified" in done.stdout
    files = {path.name for path in (folder / "runs" / "digits").iterdir()}
    kept = {"config.json", "gradients.json", "history.csv", "model.keras", "result.json", "tensorboard"}
    assert files == {*kept, "exports.json", "report.html"}
    assert "saved_models/digits/1" in (folder / "runs/digits/report.html").read_text("utf-8")
    assert json.loads((folder / "runs/digits/config.json").read_text())["units"] == [32]
    assert [path.name for path in (folder / "saved_models" / "digits").iterdir()] == ["1"]


def test_a_finished_run_is_exported(job):
    folder, _ = job
    done = kerasdl("export", "runs/digits", "exports/again", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Export: exports/again/1 (verified: reloaded, 64 test images, scores differ by")
    card = (folder / "exports" / "again" / "1" / "README.md").read_text("utf-8")
    assert card.startswith("# again\n")
    assert "CC BY 4.0" in card


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["export", "no/such/run"], "no/such/run: received no finished run"),
        (["export", "run", "file"], "path: received"),
    ],
)
def test_what_cannot_be_exported_is_a_bad_input(tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "result.json").write_text("{}")
    (tmp_path / "file").write_text("")
    assert main(words) == 2
    assert message in capsys.readouterr().err


def test_predict_names_the_digit_of_a_png(job):
    from PIL import Image

    from kerasdl.data import load
    from kerasdl.export import load_exported

    folder, _ = job
    test = load("digits").test
    paths = []
    for index in range(3):
        paths.append(f"digit{index}.png")
        Image.fromarray(np.ascontiguousarray(test.inputs[index, :, :, 0])).save(folder / paths[-1])
    done = kerasdl("predict", "saved_models/digits", *paths, "--top", "1", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert [line.split(": ")[0] for line in lines] == paths
    exported = load_exported(folder / "saved_models" / "digits")
    expected = exported.predict(test.inputs[:3])["label"]
    assert [line.split(": ")[1].split()[0] for line in lines] == expected.tolist()


def test_report_and_diagnose_a_finished_run(job, capsys, monkeypatch):
    folder, _ = job
    monkeypatch.chdir(folder)
    assert main(["report", "runs/digits", "--output", "page.html"]) == 0
    assert (folder / "page.html").read_text().startswith("<!doctype html>")
    assert main(["diagnose", "runs/digits"]) == 0
    assert "Test split:" in capsys.readouterr().out


def test_a_second_run_takes_the_next_name_and_version(job, monkeypatch, capsys):
    folder, _ = job
    monkeypatch.chdir(folder)
    assert main(["train", "image_classification", *QUICK]) == 0
    out = capsys.readouterr().out
    assert "runs/digits-2" in out
    assert "saved_models/digits/2" in out


def test_help_lists_every_keyword_with_its_underscore(capsys):
    assert main(["train", "image_classification", "--help"]) == 0
    out = capsys.readouterr().out
    for word in ("--batch_size", "--learning_rate", "--image_size", "--export", "--jit_compile"):
        assert word in out
    assert "--callbacks" not in out
    assert "--versions" not in out


def test_debug_shows_the_traceback(tmp_path):
    done = kerasdl("train", "image_classification", "--epochs", "0", "--debug", cwd=tmp_path)
    assert done.returncode != 0
    assert "Traceback" in done.stderr
    assert os.listdir(tmp_path) == []
