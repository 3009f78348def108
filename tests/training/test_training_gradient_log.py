"""The log of gradients: true numbers, a training that does not notice, and the same log after a stop."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from kerasdl.training import TrainingInterrupted, gradient_log, layerwise, update
from kerasdl.training.gradient_log import add


def logged(fitted: Any, model: keras.Model, **keywords: Any) -> dict[str, Any]:
    log: dict[str, Any] = {}
    fitted(model, gradient_log=log, **keywords)
    return log


def first_gradients(model: keras.Model, points: Any) -> dict[str, float]:
    """Return root mean squares by hand: of the loss's derivative in each weight, by differences in float64."""
    batch = points(8)
    weights = [np.asarray(variable, np.float64) for variable in model.trainable_variables]

    def loss(changed: list[np.ndarray]) -> float:
        hidden = np.maximum(batch.inputs @ changed[0] + changed[1], 0)
        logits = hidden @ changed[2] + changed[3]
        return float(np.mean(np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(8), batch.targets]))

    found = {}
    for place, name in ((0, "debiased"), (2, model.layers[-1].name)):
        slopes = []
        for index in np.ndindex(weights[place].shape):
            sides = []
            for change in (1e-5, -1e-5):
                changed = [values.copy() for values in weights]
                changed[place][index] += change
                sides.append(loss(changed))
            slopes.append((sides[0] - sides[1]) / 2e-5)
        found[name] = float(np.sqrt(np.mean(np.square(slopes))))
    return found


OPTIMIZERS = ["sgd", "nesterov", "adam", "adamw", "rmsprop", "muon", "plain sgd", "layerwise adam", "lion"]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_first_gradient_is_the_one_of_the_loss(train, build, points, optimizer):
    model = build()
    expected = first_gradients(model, points)
    made: Any = {
        "plain sgd": keras.optimizers.SGD(1e-5),
        "lion": keras.optimizers.Lion(1e-4),
        "layerwise adam": layerwise(keras.optimizers.Adam(1e-4), {"debiased": 0.1}),
    }.get(optimizer, optimizer)
    keywords = {} if made is not optimizer else {"learning_rate": 1e-5, "schedule": "one_cycle"}
    # One batch of all: the second update sees the same gradient, at weights that have hardly moved.
    log = logged(train, model, train=points(8), optimizer=made, epochs=2, **keywords)
    assert log["step"] == [0.0]
    found = dict(zip(log["layers"], log["gradient"][0], strict=True))
    if optimizer == "lion":
        assert all(np.isnan(value) for value in found.values()), "its memory is no average of gradients"
        return
    tolerance = 0.02 if optimizer == "plain sgd" else 2e-3  # the weights have few digits for so small a step
    assert found == pytest.approx(expected, rel=tolerance)
    assert log["product"][0] == pytest.approx(log["square"][0], rel=tolerance)


def test_ratios_are_those_of_the_weights(train, build, points):
    model = build()
    before = [np.asarray(variable) for variable in model.trainable_variables]
    log = logged(train, model, train=points(8), optimizer="sgd", learning_rate=0.1, epochs=2)
    # Momentum 0.9: of two equal gradients g the second moves by 1.9 g, so about 1.9 / 2.9 of the whole way.
    way = np.asarray(model.trainable_variables[0]) - before[0]
    ratio = np.sqrt(np.mean(way**2)) / np.sqrt(np.mean(before[0] ** 2)) * 1.9 / 2.9
    assert log["ratio"][0][0] == pytest.approx(ratio, rel=0.2)
    assert log["batch_size"] == [8]


@pytest.mark.parametrize("keywords", [{}, {"gradient_accumulation": 2}, {"steps_per_execution": 3}, {"ema": 0.9}])
def test_the_training_does_not_notice(train, build, monkeypatch, keywords):
    monkeypatch.setattr(gradient_log, "FEWEST", 3)
    logs: list[Any] = [None, {}]
    states = []
    for log in logs:
        model = build(dropout=0.3, normalization=True)
        train(model, gradient_log=log, optimizer="adamw", epochs=3, **keywords)
        states.append([np.asarray(each) for each in (*model.variables, *model.optimizer.variables)])
    for one, other in zip(*states, strict=True):
        np.testing.assert_array_equal(one, other)
    assert len(logs[1]["step"]) >= 2
    assert np.isfinite(logs[1]["gradient"]).all()
    assert set(logs[1]["batch_size"]) == {8 * keywords.get("gradient_accumulation", 1)}


class Stop(keras.callbacks.Callback):
    def __init__(self, at: int):
        super().__init__()
        self.left = {at}

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        (left,) = self.left
        self.left = {left - 1}
        if left == 1:
            os.kill(os.getpid(), signal.SIGTERM)


def test_stopped_by_a_signal_the_log_goes_on(train, build, tmp_path, monkeypatch):
    monkeypatch.setattr(gradient_log, "FEWEST", 4)
    keywords = {"optimizer": "adamw", "epochs": 3, "ema": 0.9}
    whole = logged(train, build(dropout=0.2), **keywords, callbacks=[Stop(0)])
    assert len(whole["step"]) >= 3
    for stop in (1, 2, 6, 7, 8):  # between the two updates of an observation, too
        folder = tmp_path / str(stop)
        with pytest.raises(TrainingInterrupted):
            logged(train, build(dropout=0.2), checkpoint_directory=folder, callbacks=[Stop(stop)], **keywords)
        model = build(dropout=0.2)
        again = logged(train, model, checkpoint_directory=folder, resume=True, callbacks=[Stop(0)], **keywords)
        again["layers"] = whole["layers"]  # Keras counts unnamed layers on
        assert again == whole


def test_phases_are_joined_by_the_names_of_their_layers():
    log: dict[str, Any] = {}
    add(log, ["head"], [np.array([0.0, 1, 2, 3, 4, 0, 0.1, 0.2, 0.3])], batch_size=8)
    add(log, ["body", "head"], [np.array([0.0, 1, 2, 3, 4, 0, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])], batch_size=8)
    assert log["layers"] == ["body", "head"]
    assert log["step"] == [0.0, 1.0]
    np.testing.assert_array_equal(log["gradient"], [[np.nan, 0.1], [0.4, 0.7]])
    np.testing.assert_array_equal(log["ratio"], [[np.nan, 0.3], [0.6, 0.9]])


def test_a_large_kernel_is_looked_at_in_part():
    variable = keras.Variable(np.random.default_rng(0).normal(size=(512, 1024)).astype("float32"))
    entries = update.sampled(variable)
    assert 30_000 < len(entries) <= update.ENTRIES
    assert len(set(np.flatnonzero(np.isin(np.asarray(variable).ravel(), entries)) % 1024)) == 1024, "of all columns"
    assert np.std(entries) == pytest.approx(1, abs=0.02)


def test_tensorboard_has_curves_and_histograms(train, build, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    history = train(build(), gradient_log={}, log_directory=tmp_path)
    found = EventAccumulator(str(Path(tmp_path) / "gradients")).Reload().Tags()
    assert {"gradient/debiased", "ratio/debiased"} <= set(found["tensors"])
    assert "gradients/debiased" in found["tensors"]
    for folder, name, column in (
        ("train", "epoch_loss", "loss"),
        ("train", "epoch_learning_rate", "learning_rate"),
        ("validation", "epoch_loss", "val_loss"),
    ):
        events = EventAccumulator(str(tmp_path / folder)).Reload().Tensors(name)
        assert [event.step for event in events] == list(range(len(history[column])))
        values = [event.tensor_proto.float_val[0] for event in events]
        assert values == pytest.approx(history[column], rel=1e-6)
