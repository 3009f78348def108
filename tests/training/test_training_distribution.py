"""Several devices learn what one learns; what they cannot do is refused before anything is trained."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from other_backend import needed, run

from kerasdl import InputError, training
from recipes import image_classification

PROGRAM = Path(__file__).with_name("two_devices.py")


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_two_devices_learn_what_one_learns(backend: str) -> None:
    if backend != keras.backend.backend():
        needed(backend)
    assert run(backend, PROGRAM).splitlines()[-6:] == [
        "devices 2",
        "weights moved True",
        "weights equal True",
        "history equal True",
        "own optimizer equal True",
        "resumed equal True",
    ]


ARGUMENTS = {
    "strategy": "mirrored",
    "batch_size": 8,
    "jit_compile": False,
    "steps_per_execution": 1,
    "gradient_accumulation": 1,
    "precision": "float32",
    "optimizer": "adamw",
}


@pytest.mark.parametrize(
    ("name", "value"),
    [("jit_compile", True), ("steps_per_execution", 4), ("gradient_accumulation", 2), ("precision", "float16")],
)
def test_what_several_devices_cannot_do(name: str, value: object) -> None:
    with pytest.raises(InputError, match=f"{name}: received {value} with strategy='mirrored'"):
        training.suited(ARGUMENTS | {name: value}, 100)
    assert training.suited(ARGUMENTS | {name: value, "strategy": None}, 100) == {}


def test_auto_becomes_what_several_devices_can_do() -> None:
    auto = {"jit_compile": "auto", "steps_per_execution": "auto"}
    found = training.suited(ARGUMENTS | auto, 100)
    assert (found["jit_compile"], found["steps_per_execution"]) == (False, 1)


def test_an_optimizer_that_accumulates_by_itself() -> None:
    own = keras.optimizers.Adam(gradient_accumulation_steps=2)
    with pytest.raises(InputError, match="gradient_accumulation: received 2 with strategy"):
        training.suited(ARGUMENTS | {"optimizer": own}, 100)


def test_batches_that_cannot_be_divided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training.distribution, "_devices", lambda: ["cpu:0"] * 3)
    with pytest.raises(InputError, match=r"batch_size: received 8 on 3 devices.*Try batch_size=9"):
        training.suited(ARGUMENTS, 100)
    with pytest.raises(InputError, match="batch_size: received 7 on 3 devices"):
        training.suited(ARGUMENTS, 7)


@pytest.mark.parametrize("strategy", ["multi_worker_mirrored", "parameter_server", "ddp", True])
def test_another_strategy_is_refused_with_its_reason(strategy: object) -> None:
    reason = "keras#20585" if strategy in ("multi_worker_mirrored", "parameter_server") else "expected mirrored"
    with pytest.raises(InputError, match=reason):
        image_classification.train("digits", strategy=strategy)


def test_a_recipe_returns_a_plain_model(tmp_path: Path) -> None:
    keywords = {"architecture": "cnn", "filters": (4, 8), "epochs": 1, "dropout": 0.0, "verbose": 0}
    result = image_classification.train("digits", strategy="mirrored", directory=tmp_path / "run", **keywords)
    alone = image_classification.train("digits", **keywords)
    assert result.model._distribute_strategy is None
    for one, other in zip(result.model.get_weights(), alone.model.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)
    assert result.config["strategy"] == "mirrored"
    assert (result.export(tmp_path / "export") / "saved_model.pb").exists()
