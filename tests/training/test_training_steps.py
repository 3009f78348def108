"""What a training's callbacks hear of its steps."""

from __future__ import annotations

import json
from typing import Any

import keras
import numpy as np
import pytest

from kerasdl.training.steps import StepLogs


class Number:
    """Counts how often it is read."""

    def __init__(self, value: float):
        self.value, self.reads = value, 0

    def __array__(self, *_: Any, **__: Any) -> Any:
        self.reads += 1
        return np.asarray(self.value, np.float32)


@pytest.fixture
def read(monkeypatch: Any) -> Any:
    """Reading takes what is there; no backend is asked."""
    monkeypatch.setattr(keras.ops, "convert_to_numpy", np.asarray)


def test_a_number_is_read_when_somebody_looks_and_once(read: Any) -> None:
    loss, accuracy = Number(0.5), Number(0.75)
    logs = StepLogs(loss=loss, accuracy=accuracy)
    assert len(logs) == 2
    assert "loss" in logs
    assert list(logs) == ["loss", "accuracy"]
    assert loss.reads == accuracy.reads == 0
    assert logs["loss"] == 0.5
    assert logs.get("loss") == 0.5
    assert logs.get("missing", 7) == 7
    assert (loss.reads, accuracy.reads) == (1, 0)


@pytest.mark.parametrize(
    "copied",
    [dict, StepLogs.copy, lambda logs: {**logs}, lambda logs: {} | logs, lambda logs: json.loads(json.dumps(logs))],
)
def test_every_copy_has_plain_numbers(read: Any, copied: Any) -> None:
    found = copied(StepLogs(loss=Number(0.5), accuracy=Number(0.75)))
    assert [type(value) for value in found.values()] == [float, float]
    assert found == {"loss": 0.5, "accuracy": 0.75}


def test_a_metric_of_several_numbers_stays_as_it_is(read: Any) -> None:
    several = np.array([0.5, 0.75])
    assert StepLogs(f1=several)["f1"] is several


def test_callbacks_are_told_of_each_step_without_its_numbers_being_read(train: Any, build: Any) -> None:
    seen: list[tuple[int, bool, float]] = []

    class Watch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            unread = not isinstance(dict.__getitem__(logs, "loss"), float)
            seen.append((batch, unread, logs["loss"]))

    class Other(keras.callbacks.Callback):
        def on_batch_end(self, batch: int, logs: Any = None) -> None:
            assert isinstance(logs["loss"], float)

    history = train(build(), callbacks=[Watch(), Other()])
    assert [batch for batch, _, _ in seen] == [0, 1, 2, 3, 4, 5] * 2
    assert all(unread for _, unread, _ in seen)
    assert seen[-1][2] == pytest.approx(history["loss"][-1], rel=1e-6)
