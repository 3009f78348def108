"""What `fit` promises: repeatable, the best epoch kept, stopping, weights of classes, callbacks, what is printed."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from rich.console import Console

from kerasdl import InputError
from kerasdl.training import callbacks, precision_policy


class WeightsAtEnd(keras.callbacks.Callback):
    """Keeps the weights after each epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.weights: list[list[np.ndarray]] = []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.weights.append(self.model.get_weights())


class Poison(keras.callbacks.Callback):
    """Makes the last bias NaN when an epoch begins."""

    def __init__(self, epoch: int):
        super().__init__()
        self.epoch = epoch
        self.batches: list[int] = []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.batches.append(0)
        if epoch == self.epoch:
            self.model.trainable_weights[-1].assign(np.full(2, np.nan))

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.batches[-1] += 1


def same(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def loss_of(model: keras.Model, points: Any, weights: np.ndarray | float = 1.0) -> float:
    logits = model.predict(points.inputs, verbose=0)
    each = keras.losses.sparse_categorical_crossentropy(points.targets, logits, from_logits=True)
    return float(np.mean(keras.ops.convert_to_numpy(each) * weights))


def test_same_seed_same_weights(build: Any, train: Any) -> None:
    weights, histories = [], []
    for seed in (0, 0, 1):
        model = build(dropout=0.5)
        histories.append(train(model, seed=seed))
        weights.append(model.get_weights())
    assert same(weights[0], weights[1])
    assert histories[0] == histories[1]
    assert not same(weights[0], weights[2])


def test_the_best_epoch_is_kept(build: Any, train: Any, points: Any) -> None:
    model = build()
    record = WeightsAtEnd()
    # Labels of validation that contradict those of training: what training learns makes validation worse.
    validation = points(16, seed=1)
    validation.targets = 1 - validation.targets
    history = train(model, validation=validation, epochs=4, learning_rate=0.3, callbacks=[record])
    best = int(np.argmin(history["val_loss"]))
    assert best < 3
    assert same(model.get_weights(), record.weights[best])
    assert not same(model.get_weights(), record.weights[-1])
    assert loss_of(model, validation) == pytest.approx(min(history["val_loss"]), rel=1e-5)


def test_the_last_epoch_is_kept_where_validation_is_not_to_choose(build: Any, train: Any, points: Any) -> None:
    model = build()
    record = WeightsAtEnd()
    validation = points(16, seed=1)
    validation.targets = 1 - validation.targets
    history = train(model, validation=validation, epochs=4, learning_rate=0.3, keep="last", callbacks=[record])
    assert int(np.argmin(history["val_loss"])) < 3
    assert same(model.get_weights(), record.weights[-1])
    with pytest.raises(InputError, match="early_stopping: received 2 with keep='last'"):
        train(build(), keep="last", early_stopping=2)


def test_monitor_names_the_best_epoch(build: Any, train: Any, points: Any) -> None:
    model = build()
    record = WeightsAtEnd()
    history = train(
        model, epochs=4, learning_rate=0.5, metrics=["accuracy"], monitor="val_accuracy", callbacks=[record]
    )
    best = int(np.argmax(history["val_accuracy"]))
    assert best != int(np.argmin(history["val_loss"]))
    assert same(model.get_weights(), record.weights[best])


def test_early_stopping(build: Any, train: Any, points: Any) -> None:
    validation = points(16, seed=1)
    validation.targets = 1 - validation.targets
    history = train(build(), validation=validation, epochs=9, learning_rate=0.3, early_stopping=2)
    losses = history["val_loss"]
    assert len(losses) == int(np.argmin(losses)) + 3 < 9
    assert {len(values) for values in history.values()} == {len(losses)}


def test_a_loss_that_is_never_finite_is_an_error(build: Any, train: Any) -> None:
    model = build()
    with pytest.raises(FloatingPointError) as caught:
        train(model, epochs=5, learning_rate=1e12)
    message = str(caught.value)
    assert "epoch 1," in message
    assert "learning_rate=1e+11" in message
    assert "\n" not in message


def test_a_rate_of_an_optimizer_object_is_divided_too(build: Any, train: Any) -> None:
    with pytest.raises(FloatingPointError, match=r"learning_rate=1e\+29"):
        train(build(), optimizer=keras.optimizers.SGD(1e30))


def test_a_loss_that_becomes_nan_stops_at_once_and_leaves_the_best_epoch(build: Any, train: Any, points: Any) -> None:
    model = build()
    record, poison = WeightsAtEnd(), Poison(epoch=2)
    with pytest.warns(UserWarning, match="training stopped"):
        history = train(model, epochs=6, callbacks=[record, poison])
    assert len(history["loss"]) == 3
    assert not np.isfinite(history["loss"][-1])
    assert poison.batches[:2] == [6, 6]
    assert poison.batches[2] <= 2
    assert same(model.get_weights(), record.weights[int(np.nanargmin(history["val_loss"]))])
    assert np.isfinite(loss_of(model, points(16)))


def test_an_epoch_without_a_finite_monitor_is_passed_over(build: Any, train: Any) -> None:
    class Judge(callbacks.BestEpoch):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            super().on_epoch_end(epoch, {**logs, "val_loss": next(values)})

    values = iter([np.nan, 0.5, np.inf, 0.7])
    judge = Judge(monitor="val_loss", patience=4, restore_best_weights=True)
    train(build(), epochs=4, callbacks=[judge])
    assert (judge.best_epoch, judge.best) == (1, 0.5)


def test_class_weights_weigh_the_loss(build: Any, train: Any, points: Any) -> None:
    examples = points(48)
    model = build()
    history = train(model, examples, epochs=1, learning_rate=1e-12, class_weight={0: 3.0, 1: 0.5})
    expected = loss_of(model, examples, np.where(examples.targets == 0, 3.0, 0.5))
    assert history["loss"][0] == pytest.approx(expected, rel=1e-5)
    assert expected != pytest.approx(loss_of(model, examples), rel=0.05)
    # Validation is not weighed.
    assert history["val_loss"][0] == pytest.approx(loss_of(model, points(16, seed=1)), rel=1e-5)


def test_users_callbacks_and_logs(build: Any, train: Any, tmp_path: Path) -> None:
    called: list[str] = []

    class Mine(keras.callbacks.Callback):
        def on_train_begin(self, logs: Any = None) -> None:
            called.append("begin")

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            called.append(f"epoch {epoch} {sorted(logs)}")

    train(build(), callbacks=[Mine()], log_directory=tmp_path / "logs")
    names = ["learning_rate", "loss", "val_loss"]
    assert called == ["begin", f"epoch 0 {names}", f"epoch 1 {names}"]
    assert len(list((tmp_path / "logs").rglob("events.*"))) == 2


@pytest.mark.parametrize("verbose", [0, 1, 2])
def test_what_is_printed_without_a_terminal(build: Any, train: Any, capfd: Any, verbose: int) -> None:
    train(build(), verbose=verbose)
    output, error = capfd.readouterr()
    lines = output.splitlines()
    if not verbose:
        assert output == error == ""
    else:
        assert len(lines) == 2
        assert lines[0].startswith("epoch 1/2 ")
        assert "val_loss" in lines[1]
        assert "\x1b" not in output


def test_what_is_printed_on_a_terminal(build: Any, train: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()

    def terminal(**keywords: Any) -> Console:
        return Console(**{**keywords, "file": screen, "force_terminal": True, "width": 160})

    monkeypatch.setattr(callbacks, "Console", terminal)
    train(build(), verbose=1)
    assert "epoch 2/2" in screen.getvalue()
    assert "━" in screen.getvalue()
    assert "left" in screen.getvalue()
    screen.truncate(0)
    train(build(), verbose=2)
    assert "━" not in screen.getvalue()


def test_the_bar_is_taken_away_when_training_is_interrupted(
    build: Any, train: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(callbacks, "Console", lambda **keywords: Console(file=screen, force_terminal=True, width=160))

    class Interrupt(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(build(), verbose=1, callbacks=[Interrupt()])
    hide, show = "\x1b[?25l", "\x1b[?25h"
    assert screen.getvalue().rfind(show) > screen.getvalue().rfind(hide) >= 0


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_mixed_precision(build: Any, train: Any, precision: str) -> None:
    import kerasdl

    before = keras.config.dtype_policy().name
    with precision_policy(precision):
        model = kerasdl.models.mlp((3,), 2, hidden=(6,))
    assert keras.config.dtype_policy().name == before
    history = train(model, learning_rate=0.1, ema=0.5)
    assert model.get_layer("dense1").compute_dtype == precision
    assert {weight.dtype for weight in model.trainable_weights} == {"float32"}
    assert model.predict(np.zeros((2, 3), "float32"), verbose=0).dtype == np.float32
    assert history["loss"][1] < history["loss"][0]


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="JAX traces once by itself, PyTorch never")
def test_a_step_is_traced_once(build: Any, train: Any) -> None:
    traces = []

    class Traced(keras.Model):
        def train_step(self, data: Any) -> Any:
            traces.append(data)
            return super().train_step(data)

    plain = build()
    train(Traced(plain.inputs, plain.outputs), metrics=["accuracy"])
    assert len(traces) == 1
