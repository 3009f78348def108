"""Gradients over depth: the guide's vanishing gradient and what mends it, true numbers, and a model left as it was."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from typing import Any

import keras
import numpy as np
import pytest
from other_backend import needed, run_tests

import kerasdl
from kerasdl import blocks
from kerasdl.diagnostics import GradientFlow, activity, gradient_flow, gradient_picture

LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
RANDOM = np.random.default_rng(0)
BATCH = RANDOM.normal(size=(32, 8)).astype("float32"), RANDOM.integers(3, size=32)


def stack(depth: int, activation: str, *, normalization: str | None = None, residual: bool = False) -> keras.Model:
    keras.utils.set_random_seed(0)
    features = keras.Input((8,), name="features")
    x: Any = features
    for number in range(1, depth + 1):
        y = blocks.dense(x, 8, activation=activation, normalization=normalization, name=f"dense{number}")
        x = keras.layers.Add()([x, y]) if residual else y
    return keras.Model(features, blocks.logits(x, 3))


@pytest.fixture(scope="module")
def sigmoids() -> GradientFlow:
    return gradient_flow(stack(30, "sigmoid"), BATCH, loss=LOSS)


def test_the_gradient_vanishes_through_thirty_sigmoids(sigmoids):
    assert 0 < sigmoids.decline() < 1e-12
    sizes = [layer.gradient for layer in sigmoids.kernels()]
    assert len(sizes) == 31
    # It shrinks with every layer, by about a quarter, the steepest slope of the sigmoid, and the weights.
    assert all(one < other for one, other in zip(sizes[1:10], sizes[2:11], strict=True))


@pytest.mark.parametrize(
    "mend",
    [
        {"activation": "relu"},
        {"activation": "sigmoid", "normalization": "batch"},
        {"activation": "sigmoid", "residual": True},
    ],
    ids=["relu", "normalization", "residual"],
)
def test_what_mends_it(mend):
    assert 1e-3 < gradient_flow(stack(30, **mend), BATCH, loss=LOSS).decline() < 1e3


def test_gradients_are_those_of_the_loss():
    model = stack(1, "tanh")
    flow = gradient_flow(model, BATCH, loss=LOSS)
    weights = [np.asarray(each, np.float64) for each in model.weights]

    def loss(kernel: np.ndarray) -> float:
        logits = np.tanh(BATCH[0] @ kernel + weights[1]) @ weights[2] + weights[3]
        return float(np.mean(np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(32), BATCH[1]]))

    slopes = []
    for place in np.ndindex(8, 8):
        change = np.zeros((8, 8))
        change[place] = 1e-5
        slopes.append((loss(weights[0] + change) - loss(weights[0] - change)) / 2e-5)
    assert flow.loss == pytest.approx(loss(weights[0]), rel=1e-5)
    first = next(layer for layer in flow.layers if layer.name == "dense1")
    assert first.gradient == pytest.approx(np.sqrt(np.mean(np.square(slopes))), rel=1e-3)
    assert first.weight == pytest.approx(np.sqrt(np.mean(weights[0] ** 2)), rel=1e-5)
    assert first.weights == 72
    assert np.isnan(first.ratio), "there is no optimizer"


def compiled() -> keras.Model:
    keras.utils.set_random_seed(0)
    features = keras.Input((8,), name="features")
    x = keras.layers.Dense(6, activation="relu", kernel_constraint="unit_norm", name="dense")(features)
    x = keras.layers.Dropout(0.5)(keras.layers.BatchNormalization(name="norm")(x))
    model = keras.Model(features, keras.layers.Dense(3, name="logits")(x))
    model.compile(keras.optimizers.AdamW(0.01), LOSS, metrics=["accuracy"])
    model.fit(*BATCH, epochs=2, batch_size=16, shuffle=False, verbose=0)
    return model


def test_the_model_is_left_as_it_was():
    model = compiled()
    optimizer, function = model.optimizer, model.train_function

    def state() -> list[np.ndarray]:
        every = (*model.variables, *model.optimizer.variables, *model.metrics_variables)
        return [np.array(keras.ops.convert_to_numpy(each)) for each in every]

    before = state()
    gradient_flow(model, BATCH)
    assert model.optimizer is optimizer
    assert model.train_function is function
    for one, other in zip(before, state(), strict=True):
        np.testing.assert_array_equal(one, other)
    # What comes next is the same, too: dropout draws on.
    model = compiled()
    gradient_flow(model, BATCH)
    model.fit(*BATCH, epochs=1, batch_size=16, shuffle=False, verbose=0)
    again = compiled()
    again.fit(*BATCH, epochs=1, batch_size=16, shuffle=False, verbose=0)
    for one, other in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_ratio_is_that_of_the_next_update():
    model = compiled()
    model.optimizer = None
    model.compile(keras.optimizers.SGD(0.1), LOSS)
    flow = {layer.name: layer for layer in gradient_flow(model, BATCH).layers}
    # Plain gradient descent: the update is the gradient times the rate.
    logits = flow["logits"]
    assert logits.ratio == pytest.approx(0.1 * logits.gradient / logits.weight, rel=1e-3)
    assert [flow[name].depth for name in ("dense", "norm", "logits")] == [1, 2, 3]
    assert [flow[name].kernel for name in ("dense", "norm", "logits")] == [True, False, True]


def test_dead_and_saturated_units():
    features = keras.Input((8,), name="features")
    x = keras.layers.Dense(4, activation="relu", name="half_dead")(features)
    x = keras.layers.Dense(4, activation="tanh", name="saturated")(x)
    x = keras.layers.Dense(5, activation="sigmoid", name="alive")(x)
    x = keras.layers.LeakyReLU(name="leaky")(x)
    model = keras.Model(features, keras.layers.Dense(3, name="logits")(x))
    model.get_layer("half_dead").bias.assign([-100, -100, 0, 0])
    model.get_layer("saturated").bias.assign([100, -100, 100, 0])
    found = {each.layer: each for each in activity(model, BATCH[0])}
    assert set(found) == {"half_dead", "saturated", "alive"}
    assert (found["half_dead"].dead, found["half_dead"].saturated) == (0.5, None)
    assert (found["saturated"].dead, found["saturated"].saturated) == (None, 0.75)
    assert found["alive"].saturated == 0
    assert activity(model, BATCH[0], batch_size=5) == list(found.values())
    # What has diverged is not called dead.
    assert all(not each.dead for each in activity(model, np.full_like(BATCH[0], np.nan)))
    flow = gradient_flow(model, BATCH, loss=LOSS)
    assert [layer.dead for layer in flow.layers if layer.name == "half_dead"] == [0.5]


def test_the_table_and_the_picture(sigmoids):
    lines = str(sigmoids).splitlines()
    assert lines[0].split() == ["depth", "layer", "kind", "weights", "gradient", "weight", "ratio", "dead", "saturated"]
    assert len(lines) == len(sigmoids.layers) + 1
    assert lines[1].split()[:4] == ["1", "dense1", "Dense", "72"]
    json.dumps(sigmoids.as_dict())
    picture = ElementTree.fromstring(sigmoids.picture(title="<Thirty> sigmoids"))
    assert len(picture.findall(".//{http://www.w3.org/2000/svg}circle")) == 31
    assert "<Thirty> sigmoids" in "".join(picture.find("{http://www.w3.org/2000/svg}title").itertext())
    # Zeros and what is no number have no place on a logarithmic scale.
    ElementTree.fromstring(gradient_picture({"a": [0.0, np.nan, 1.0], "b": []}))
    ElementTree.fromstring(gradient_picture({}))


def test_several_inputs_by_name():
    ids, more = keras.Input((4,), name="ids"), keras.Input((2,), name="more")
    x = keras.layers.Embedding(9, 3, name="embedding")(ids)
    x = keras.layers.Concatenate()([keras.layers.LSTM(5, name="lstm")(x), more])
    model = keras.Model({"ids": ids, "more": more}, keras.layers.Dense(3, name="logits")(x))
    inputs = {"more": np.ones((6, 2), "float32"), "ids": np.arange(24).reshape(6, 4) % 9}
    flow = gradient_flow(model, (inputs, np.arange(6) % 3), loss=LOSS)
    assert [layer.name for layer in flow.layers] == ["embedding", "lstm/lstm_cell", "logits"]


def test_what_cannot_be_measured_is_refused():
    with pytest.raises(kerasdl.InputError, match=r"loss.*not compiled"):
        gradient_flow(stack(1, "relu"), BATCH)

    class Plain(keras.Model):
        def call(self, x: Any) -> Any:
            return x

    with pytest.raises(kerasdl.InputError, match="functional model"):
        gradient_flow(Plain(), BATCH, loss=LOSS)


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends(backend):
    needed(backend)
    assert "2 passed" in run_tests(backend, __file__, chosen="left_as_it_was or those_of_the_loss")
