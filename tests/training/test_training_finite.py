"""Numbers that go wrong: where it began is said, good weights are kept, a few bad batches can be passed over."""

from __future__ import annotations

import warnings
from typing import Any

import keras
import numpy as np
import pytest

from kerasdl.training import fit
from kerasdl.training.finite import first_bad_layer


class Examples:
    """Two features and their sum; `poison` sets one example to infinity."""

    def __init__(self, poison: int | None = None):
        self.inputs = np.random.default_rng(0).normal(size=(64, 2)).astype("float32")
        self.targets = self.inputs.sum(axis=1)
        if poison is not None:
            self.inputs[poison] = np.inf

    def __len__(self) -> int:
        return len(self.targets)

    def batch(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self.inputs[indices], self.targets[indices]


def model() -> keras.Model:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((2,))
    x = keras.layers.Dense(4, activation="tanh", name="first")(inputs)
    return keras.Model(inputs, keras.layers.Dense(1, name="second")(keras.layers.BatchNormalization(name="norm")(x)))


def train(net: keras.Model, examples: Examples, **keywords: Any) -> dict[str, list[float]]:
    return fit(net, examples, Examples(), loss="mse", epochs=3, batch_size=8, learning_rate=0.01, verbose=0, **keywords)


def finite(net: keras.Model) -> bool:
    return all(np.isfinite(weight).all() for weight in net.get_weights())


class Poison(keras.callbacks.Callback):
    """Makes a weight NaN when an epoch is half done, as a faulty step would."""

    def __init__(self, epoch: int):
        super().__init__()
        self.epoch = {epoch}
        self.now = -1

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.now = epoch

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if self.now in self.epoch and batch == 4:
            self.model.get_layer("second").kernel.assign(np.full((4, 1), np.nan))


def test_a_bad_batch_stops_and_the_place_is_named():
    with pytest.raises(FloatingPointError, match=r"It began in batch \d of epoch 1: the output of layer 'first'"):
        train(model(), Examples(poison=5))


def test_good_weights_are_put_back():
    net = model()
    with pytest.warns(UserWarning, match=r"weights are those of the best epoch, 1.*try learning_rate=0.001"):
        history = train(net, Examples(), callbacks=[Poison(epoch=1)])
    assert len(history["loss"]) == 2
    assert finite(net)


def test_a_few_bad_batches_are_passed_over():
    net = model()
    with pytest.warns(UserWarning, match=r"passed over \(\d of at most 3\)"):
        history = train(net, Examples(poison=5), skip_bad_batches=3)
    assert np.isfinite(history["loss"]).all()
    assert finite(net)
    assert history["loss"][2] < history["loss"][0]


def test_one_bad_batch_too_many_stops():
    net = model()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        history = train(net, Examples(poison=5), skip_bad_batches=2)
    messages = [str(warning.message) for warning in caught]
    assert sum("passed over" in message for message in messages) == 2
    assert sum("training stopped" in message for message in messages) == 1
    assert len(history["loss"]) == 3
    assert finite(net)


def test_skipping_changes_nothing_while_all_is_well():
    one, other = model(), model()
    assert train(one, Examples()) == train(other, Examples(), skip_bad_batches=3)
    for first, second in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(first, second)


def test_bad_weights_are_named_before_bad_outputs():
    net = model()
    net.get_layer("second").bias.assign([np.nan])
    assert first_bad_layer(net, np.zeros((1, 2), "float32")) == "the weights 'bias' of layer 'second'"
