"""Optimizers and schedules: every name trains, and each keyword does to an update what its documentation says."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from kerasdl import InputError
from kerasdl.keywords import LEARNING_RATES, OPTIMIZERS, SCHEDULES
from kerasdl.training import make_optimizer
from kerasdl.training.optimizers import make_schedule

array = keras.ops.convert_to_numpy


def update(optimizer: keras.optimizers.Optimizer, gradients: list[Any], values: Any, name: str = "kernel") -> Any:
    """Return the variable that starts at `values` after one `apply` a gradient."""
    variable = keras.Variable(np.asarray(values, "float32"), name=name)
    for gradient in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(np.asarray(gradient, "float32"))], [variable])
    return array(variable)


@pytest.mark.parametrize("optimizer", [*OPTIMIZERS, keras.optimizers.Lion(0.05)])
def test_every_optimizer_learns(build: Any, train: Any, optimizer: Any) -> None:
    rate = 0.05 if isinstance(optimizer, str) else None
    history = train(build(normalization=True), optimizer=optimizer, learning_rate=rate)
    assert history["loss"][1] < 0.95 * history["loss"][0]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_default_learning_rates(optimizer: str) -> None:
    made = make_optimizer(optimizer, total_steps=10)
    assert float(made.learning_rate) == pytest.approx(LEARNING_RATES[optimizer])


def test_names_are_what_they_say() -> None:
    classes = {name: type(make_optimizer(name, total_steps=10)).__name__ for name in OPTIMIZERS}
    assert classes == {
        "sgd": "SGD",
        "nesterov": "SGD",
        "adam": "Adam",
        "adamw": "AdamW",
        "rmsprop": "RMSprop",
        "muon": "Muon",
    }
    assert make_optimizer("nesterov", total_steps=10).nesterov
    assert not make_optimizer("sgd", total_steps=10).nesterov


# The learning rate before the first step, at the peak and after the last step, as shares of the peak; the peak's place.
COURSES = {
    "constant": (1, 1, 1, 0.5),
    "plateau": (1, 1, 1, 0.5),
    "cosine": (0, 1, 0.01, 0.05),
    "one_cycle": (1 / 25, 1, 1e-4, 0.3),
    "exponential": (1, 1, 0.01, 0.0),
}


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_schedules_start_peak_and_end_as_documented(schedule: str) -> None:
    made = make_schedule(schedule, 0.1, 200)
    start, peak, end, place = COURSES[schedule]
    rates = [float(array(made(step))) if callable(made) else made for step in range(201)]
    assert [rates[0], rates[round(200 * place)], rates[200]] == pytest.approx([0.1 * start, 0.1 * peak, 0.1 * end])
    top = int(np.argmax(rates))
    assert max(rates) == pytest.approx(0.1)
    assert all(np.diff(rates[: top + 1]) >= 0)
    assert all(np.diff(rates[top:]) <= 1e-9)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_schedules_of_very_short_trainings(schedule: str, steps: int) -> None:
    made = make_schedule(schedule, 0.1, steps)
    rates = [float(array(made(step))) if callable(made) else made for step in range(steps + 1)]
    assert all(0 <= rate <= 0.1 * (1 + 1e-6) for rate in rates)


def test_the_history_follows_the_schedule(build: Any, train: Any) -> None:
    rates = train(build(), epochs=10, schedule="one_cycle", learning_rate=0.1, gradient_accumulation=2)["learning_rate"]
    # 6 batches an epoch: the climb of 18 steps ends with epoch 3.
    assert rates[2] == pytest.approx(0.1)
    assert rates[9] == pytest.approx(1e-5)
    assert rates[0] == pytest.approx(0.1 / 25 + (0.1 - 0.1 / 25) / 3)
    assert rates[6] < rates[3] < rates[2]


def test_plateau_divides_by_five_after_five_epochs(build: Any, train: Any, points: Any) -> None:
    validation = points(16, seed=1)
    validation.targets = 1 - validation.targets
    history = train(build(), validation=validation, epochs=9, learning_rate=0.3, schedule="plateau")
    best = int(np.argmin(history["val_loss"]))
    rates = history["learning_rate"]
    assert best < 3
    assert rates[: best + 6] == pytest.approx([0.3] * (best + 6))  # the rate an epoch ended with
    assert rates[best + 6 :] == pytest.approx([0.06] * len(rates[best + 6 :]))


def test_schedule_objects_and_their_configurations() -> None:
    schedule = keras.optimizers.schedules.PolynomialDecay(0.2, 4, end_learning_rate=0.1)
    assert make_schedule(schedule, 9.0, 10) is schedule
    again = make_schedule(keras.saving.serialize_keras_object(schedule), 9.0, 10)
    assert again.get_config() == schedule.get_config()
    assert float(make_optimizer("adam", schedule=schedule, total_steps=10).learning_rate) == pytest.approx(0.2)


def test_accumulated_batches_are_one_large_batch(build: Any, train: Any, points: Any) -> None:
    whole, parts = build(), build()
    train(whole, epochs=1, batch_size=24, learning_rate=0.5)
    train(parts, epochs=1, batch_size=8, gradient_accumulation=3, learning_rate=0.5)
    start = build().get_weights()
    for one, other, before in zip(whole.get_weights(), parts.get_weights(), start, strict=True):
        np.testing.assert_allclose(other, one, rtol=0, atol=1e-6)
        assert np.abs(one - before).max() > 1e-3


def test_gradient_clip_bounds_the_global_norm() -> None:
    clipped = make_optimizer("sgd", total_steps=10, learning_rate=1.0, gradient_clip=0.5)
    np.testing.assert_allclose(update(clipped, [[30.0, 40.0]], [0, 0]), [-0.3, -0.4], rtol=1e-6)
    small = make_optimizer("sgd", total_steps=10, learning_rate=1.0, gradient_clip=0.5)
    np.testing.assert_allclose(update(small, [[0.03, 0.04]], [0, 0]), [-0.03, -0.04], rtol=1e-6)


def test_gradient_clip_clips_the_mean_of_accumulated_batches() -> None:
    made = make_optimizer("sgd", total_steps=10, learning_rate=1.0, gradient_clip=0.5, gradient_accumulation=2)
    np.testing.assert_allclose(update(made, [[10.0, 0.0], [-10.0, 0.2]], [0, 0]), [0, -0.1], atol=1e-6)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(("name", "decays"), [("kernel", True), ("bias", False), ("gamma", False), ("beta", False)])
def test_weight_decay_shrinks_kernels_alone(optimizer: str, name: str, decays: bool) -> None:
    def make(weight_decay: float) -> keras.optimizers.Optimizer:
        return make_optimizer(optimizer, total_steps=10, learning_rate=0.1, weight_decay=weight_decay)

    gradient = np.full((2, 3), 1e-3)
    plain = update(make(0.0), [gradient], np.ones((2, 3)), name)
    decayed = update(make(0.5), [gradient], np.ones((2, 3)), name)
    np.testing.assert_allclose(decayed, plain - (0.1 * 0.5 if decays else 0.0), rtol=1e-6)


def test_weight_decay_in_a_model(build: Any, train: Any) -> None:
    model = build(normalization=True)
    before = [array(weight) for weight in model.trainable_weights]
    # Nothing but decay: the gradients are clipped away.
    train(model, epochs=1, learning_rate=0.1, weight_decay=0.5, gradient_clip=1e-12)
    for weight, start in zip(model.trainable_weights, before, strict=True):
        left = (1 - 0.1 * 0.5) ** 6 if weight.name == "kernel" else 1.0
        np.testing.assert_allclose(array(weight), start * left, atol=1e-6, err_msg=weight.path)


def test_ema_validates_and_keeps_the_average(build: Any, train: Any, points: Any) -> None:
    momentum, raw = 0.8, []

    class Raw(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            raw.append(self.model.get_weights())

    model = build()
    history = train(model, ema=momentum, learning_rate=0.3, callbacks=[Raw()])
    average = raw[0]
    for weights in raw[1:]:
        average = [momentum * one + (1 - momentum) * other for one, other in zip(average, weights, strict=True)]
    assert history["val_loss"][1] < history["val_loss"][0]
    for kept, expected, last in zip(model.get_weights(), average, raw[-1], strict=True):
        np.testing.assert_allclose(kept, expected, atol=1e-5)
        assert np.abs(kept - last).max() > 1e-4
    validation = points(16, seed=1)
    logits = model.predict(validation.inputs, verbose=0)
    losses = keras.losses.sparse_categorical_crossentropy(validation.targets, logits, from_logits=True)
    assert history["val_loss"][1] == pytest.approx(float(np.mean(array(losses))), rel=1e-4)


def test_ema_of_an_optimizer_object_is_the_same(build: Any, train: Any) -> None:
    named, given = build(), build()
    train(named, ema=0.8, learning_rate=0.3)
    optimizer = keras.optimizers.SGD(0.3, momentum=0.9, use_ema=True, ema_momentum=0.8)
    train(given, optimizer=optimizer)
    for one, other in zip(named.get_weights(), given.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_ema_survives_early_stopping(build: Any, train: Any, points: Any) -> None:
    validation = points(16, seed=1)
    validation.targets = 1 - validation.targets
    model = build()
    history = train(model, validation=validation, epochs=9, learning_rate=0.3, early_stopping=1, ema=0.5)
    logits = model.predict(validation.inputs, verbose=0)
    losses = keras.losses.sparse_categorical_crossentropy(validation.targets, logits, from_logits=True)
    assert len(history["loss"]) < 9
    assert min(history["val_loss"]) == pytest.approx(float(np.mean(array(losses))), rel=1e-4)


def test_an_optimizer_object_is_used_as_it_is(build: Any, train: Any) -> None:
    optimizer = keras.optimizers.Adagrad(0.02)
    model = build()
    history = train(model, optimizer=optimizer)
    assert model.optimizer is optimizer
    assert history["learning_rate"] == pytest.approx([0.02, 0.02])


@pytest.mark.parametrize(
    "keyword",
    [
        {"learning_rate": 0.1},
        {"schedule": "cosine"},
        {"weight_decay": 0.0},
        {"gradient_clip": 1.0},
        {"gradient_accumulation": 2},
        {"ema": 0.9},
    ],
)
@pytest.mark.parametrize("serialized", [False, True])
def test_an_optimizer_object_is_refused_beside_what_would_change_it(keyword: dict[str, Any], serialized: bool) -> None:
    optimizer: Any = keras.optimizers.SGD()
    if serialized:
        optimizer = keras.optimizers.serialize(optimizer)
    with pytest.raises(InputError, match=f"^{next(iter(keyword))}: .*SGD"):
        make_optimizer(optimizer, total_steps=10, **keyword)


def test_a_serialized_optimizer_is_the_optimizer(build: Any, train: Any) -> None:
    optimizer = keras.optimizers.RMSprop(0.02, rho=0.7)
    given, again = build(), build()
    serialized = keras.saving.serialize_keras_object(optimizer)
    train(given, optimizer=optimizer)
    train(again, optimizer=serialized)
    assert again.optimizer.get_config() == optimizer.get_config()
    for one, other in zip(given.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
