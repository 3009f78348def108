"""The fast LSTM is Keras's: outputs, states and gradients, masks, precision, files; on every backend.

Run as a script it makes the comparison of all cases on the backend that KERAS_BACKEND names.
"""

from __future__ import annotations

import pathlib
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops
from other_backend import needed, run

from kerasdl import layers
from kerasdl.safe_loading import load_keras

BATCH, LENGTH, FEATURES, UNITS = 3, 6, 2, 4
RNG = np.random.default_rng(0)
X = RNG.standard_normal((BATCH, LENGTH, FEATURES), "float32")
STATES = [RNG.standard_normal((BATCH, UNITS), "float32") for _ in range(2)]
# padding on the right, a gap, and a start that does not count
MASK = np.array([[1, 1, 1, 1, 0, 0], [1, 1, 0, 1, 1, 1], [0, 1, 1, 1, 1, 1]], bool)
ALL = {"return_sequences": True, "return_state": True}
# name: (arguments of the layer, with a mask, with initial states)
CASES: dict[str, tuple[dict[str, bool], bool, bool]] = {
    "last": ({}, False, False),
    "all": (ALL, False, True),
    "unrolled": ({"unroll": True}, False, False),
    "unrolled all": ({**ALL, "unroll": True}, True, True),
    "masked": (ALL, True, False),
    "masked last backwards": ({"go_backwards": True}, True, True),
    "masked all backwards": ({**ALL, "go_backwards": True}, True, True),
}


def pair(**keywords: bool) -> tuple[Any, Any]:
    """Our layer and Keras's, with the same random weights."""
    ours = layers.LSTM(UNITS, **keywords)
    theirs = keras.layers.LSTM(UNITS, **{**keywords, "unroll": False})
    for layer in (ours, theirs):
        layer.build((BATCH, LENGTH, FEATURES))
    weights = [np.random.default_rng(i).standard_normal(w.shape, "float32") for i, w in enumerate(theirs.get_weights())]
    theirs.set_weights(weights)
    ours.set_weights(theirs.get_weights())
    return ours, theirs


def loss(layer: Any, x: Any, states: list[Any], mask: Any, *, with_states: bool) -> tuple[Any, list[Any]]:
    """A number in which each element of each output has a weight of its own."""
    # in training, where a batch goes in halves and few steps are laid out
    found = layer(x, mask=mask, initial_state=states if with_states else None, training=True)
    found = list(found) if isinstance(found, (tuple, list)) else [found]
    total = 0.0
    for output in found:
        size = int(np.prod(output.shape))
        weights = ops.convert_to_tensor(np.cos(np.arange(size)), dtype="float32")
        total = total + ops.sum(ops.reshape(output, (-1,)) * weights)
    return total, found


def outputs_and_gradients(layer: Any, mask: Any, *, with_states: bool) -> list[np.ndarray]:
    """Outputs, then the gradients of the inputs, of the states if there are any, and of the weights."""
    mask = None if mask is None else ops.convert_to_tensor(mask)
    backend = keras.backend.backend()
    variables = layer.trainable_variables
    values = [X, *(STATES if with_states else [])]
    if backend == "jax":
        import jax

        def function(values: list[Any], weights: list[Any]) -> Any:
            with keras.StatelessScope(list(zip(variables, weights, strict=True))):
                return loss(layer, values[0], values[1:], mask, with_states=with_states)

        compute = jax.value_and_grad(function, (0, 1), has_aux=True)
        (_, found), (inner, outer) = compute(values, [v.value for v in variables])
        gradients = [*inner, *outer]
    elif backend == "torch":
        import torch

        tensors = [torch.tensor(value, requires_grad=True) for value in values]
        total, found = loss(layer, tensors[0], tensors[1:], mask, with_states=with_states)
        gradients = torch.autograd.grad(total, [*tensors, *(v.value for v in variables)])
        found = [output.detach() for output in found]
    else:
        import tensorflow as tf

        tensors = [tf.constant(value) for value in values]
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            total, found = loss(layer, tensors[0], tensors[1:], mask, with_states=with_states)
        gradients = tape.gradient(total, [*tensors, *(v.value for v in variables)])
    return [ops.convert_to_numpy(value) for value in [*found, *gradients]]


def check(case: str) -> None:
    keywords, with_mask, with_states = CASES[case]
    # What Keras puts out before the first step that counts is zeros on TensorFlow, as here, and elsewhere the state.
    with_states = with_states and not (with_mask and keras.backend.backend() != "tensorflow")
    ours, theirs = pair(**keywords)
    mask = MASK if with_mask else None
    found = outputs_and_gradients(ours, mask, with_states=with_states)
    expected = outputs_and_gradients(theirs, mask, with_states=with_states)
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5, rtol=1e-5, err_msg=case)
    assert all(np.abs(other).max() > 0.01 for other in expected)


@pytest.mark.parametrize("case", CASES)
def test_outputs_states_and_gradients_are_those_of_keras(case: str) -> None:
    check(case)


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_on_every_backend(backend: str) -> None:
    needed(backend)
    run(backend, __file__)


def test_the_fast_loop_is_what_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Keras's loop would run, this fails: the comparison above would hold for it too."""

    def refuse(*args: Any, **keywords: Any) -> None:
        raise RuntimeError("Keras's loop")

    monkeypatch.setattr(keras.layers.LSTM, "inner_loop", refuse)
    layers.LSTM(UNITS)(X)
    for keywords in ({"activation": "relu"}, {"recurrent_dropout": 0.1}, {"use_bias": False}):
        with pytest.raises(RuntimeError, match="Keras's loop"):
            layers.LSTM(UNITS, **keywords)(X)
    monkeypatch.setattr("kerasdl.layers.lstm.accelerators", lambda: ["gpu:0"])
    with pytest.raises(RuntimeError, match="Keras's loop"):
        layers.LSTM(UNITS)(X)


def test_half_precision_computes_in_half_and_keeps_weights_whole() -> None:
    ours = layers.LSTM(UNITS, dtype="mixed_bfloat16", return_sequences=True)
    theirs = keras.layers.LSTM(UNITS, dtype="mixed_bfloat16", return_sequences=True)
    found, _ = ours(X), theirs(X)
    theirs.set_weights(ours.get_weights())
    assert keras.backend.standardize_dtype(found.dtype) == "bfloat16"
    assert {w.dtype for w in ours.weights if w.name.endswith("kernel")} == {"float32"}
    expected = ops.cast(theirs(X), "float32")
    np.testing.assert_allclose(ops.cast(found, "float32"), expected, atol=0.02)


def test_files_and_exports_know_any_batch_and_length(tmp_path: pathlib.Path) -> None:
    series = keras.Input((None, FEATURES))
    model = keras.Model(series, layers.LSTM(UNITS, name="lstm")(series))
    expected = ops.convert_to_numpy(model(X))
    model.save(tmp_path / "model.keras")
    loaded = load_keras(tmp_path / "model.keras")
    assert isinstance(loaded.get_layer("lstm"), layers.LSTM)
    np.testing.assert_array_equal(ops.convert_to_numpy(loaded(X)), expected)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        model.export(tmp_path / "export", verbose=False)
        served = tf.saved_model.load(tmp_path / "export")
        for x in (X, X[:1], X[:, :3]):
            np.testing.assert_allclose(served.serve(x).numpy(), ops.convert_to_numpy(model(x)), atol=1e-6)


def test_a_length_that_is_not_known_trains_as_a_known_one() -> None:
    """Of both directions and with a mask: another way through the loop on TensorFlow."""
    found = []
    for length in (None, LENGTH):
        series = keras.Input((length, FEATURES))
        mask = ops.not_equal(series[..., 0], 0)
        lstm = layers.LSTM(UNITS, return_sequences=True)
        x = keras.layers.Bidirectional(lstm)(series, mask=mask)
        model = keras.Model(series, x)
        model.set_weights([np.cos(np.arange(w.size)).reshape(w.shape) for w in model.get_weights()])
        model.compile(keras.optimizers.SGD(0.1), "mse")
        x = X * MASK[..., None]
        model.train_on_batch(x, np.ones((BATCH, LENGTH, 2 * UNITS), "float32"))
        found.append([*model.get_weights(), model.predict_on_batch(x)])
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


if __name__ == "__main__":
    for name in CASES:
        check(name)
