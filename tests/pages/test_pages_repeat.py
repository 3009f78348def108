"""The code that repeats a run gives the same arguments again when it is run, on the command line and in Python."""

from __future__ import annotations

import inspect
import shlex
from pathlib import Path
from typing import Any

import pytest

import recipes.__main__ as command_line
from kerasdl import configuration
from kerasdl.repeating import repeat_code
from recipes import forecasting, image_classification, text_classification

CASES: dict[str, tuple[Any, dict[str, Any]]] = {
    "defaults": (image_classification, {}),
    "lists and numbers": (image_classification, {"architecture": "mlp", "units": [32, 16], "learning_rate": 0.02}),
    "switches": (image_classification, {"deduplicate": True, "calibrate": True, "jit_compile": True, "epochs": 3}),
    "words": (text_classification, {"architecture": "cnn", "vocabulary": "character", "dropout": 0.25}),
    "series": (forecasting, {"horizon": 3, "epochs": 2}),
}


def resolved(recipe: Any, **keywords: Any) -> dict[str, Any]:
    """Return the arguments as a run's configuration has them."""
    found = recipe.resolve(**keywords) | {"directory": None}
    return configuration.jsonable({key: value for key, value in found.items() if key != "callbacks"})


def recipe_data(recipe: Any) -> Any:
    return inspect.signature(recipe.train).parameters["data"].default


@pytest.mark.parametrize("case", CASES)
def test_the_command_and_the_call_have_the_same_arguments(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe, keywords = CASES[case]
    name = recipe.__name__.removeprefix("recipes.")
    config = resolved(recipe, **keywords)
    code = repeat_code(name, {"data": recipe_data(recipe), **config}, None)
    seen: dict[str, Any] = {}
    monkeypatch.setattr(command_line, "run_training", lambda _, data, __, typed: seen.update(typed, data=data))
    command = code["On the command line"].replace("\\\n", " ")
    assert command_line.main(shlex.split(command)[1:]) in (0, None)
    assert resolved(recipe, **seen) == config
    called: dict[str, Any] = {}
    with monkeypatch.context() as patch:
        patch.setattr(recipe, "train", lambda data, **given: called.update(given, data=data))
        exec(code["In Python"], {})
    assert resolved(recipe, **called) == config


def test_what_cannot_be_typed_or_found() -> None:
    memory = repeat_code("image_classification", {"data": "arrays", "epochs": 2}, Path("runs/a"))
    assert list(memory) == ["In Python"]
    assert "train(data, epochs=2)" in memory["In Python"]
    optimizer = {"data": "digits", "optimizer": {"class_name": "SGD"}}
    code = repeat_code("image_classification", optimizer, Path("runs/a b"))
    assert "On the command line" not in code
    assert "kerasdl rerun 'runs/a b'" in code.values()
    assert list(repeat_code("no_such_recipe", {"data": "x", "a": 1}, None)) == ["On the command line", "In Python"]
    assert "In Python" in repeat_code("os; evil", {"data": "x"}, None)
