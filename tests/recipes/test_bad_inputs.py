"""Every case of `tests/bad_inputs.py`, in this process: refused before any training."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import kerasdl.training
from recipes.__main__ import main

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from bad_files import contents  # noqa: E402
from bad_inputs import CASES, OFFLINE, changed  # noqa: E402


@pytest.mark.parametrize("name", CASES)
def test_refused(name, tmp_path, monkeypatch, capsys):
    def no_training(*arguments, **keywords):
        raise AssertionError("a training began")

    case = CASES[name]
    for variable, value in OFFLINE.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setattr("tensorflow_datasets.core.constants.DATA_DIR", str(tmp_path / "tfds"))
    monkeypatch.setattr(kerasdl.training, "fit", no_training)
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    case.write(folder)
    before = contents(folder)
    capsys.readouterr()
    status = main(case.arguments)
    assert case.broken(status, capsys.readouterr().err, changed(before, contents(folder))) == ""
