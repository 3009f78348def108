"""Pruning of units: fewer parameters, the same outputs, and hands off what it does not know."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers
from sklearn.datasets import load_digits

from kerasdl import InputError, models
from kerasdl.training.proximal import proximal
from kerasdl.training.pruning import prune_units

array = keras.ops.convert_to_numpy
SIZES = {"filters": (8, 16), "num_layers": (2, 2)}


def outputs(model: keras.Model, inputs: np.ndarray) -> np.ndarray:
    return np.concatenate([array(value) for value in keras.tree.flatten(model(inputs, training=False))], axis=-1)


def inputs_of(model: keras.Model) -> np.ndarray:
    rng, shape = np.random.default_rng(0), (5, *model.input_shape[1:])
    if keras.backend.standardize_dtype(model.inputs[0].dtype) == "uint8":
        return rng.integers(0, 256, shape, "uint8")
    return rng.standard_normal(shape, "float32")


def with_zeros(model: keras.Model, share: float = 0.4, seed: int = 0) -> keras.Model:
    """Give the model random weights in which units lack all incoming or all outgoing weights."""
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            values = [rng.normal(0, 0.3, weight.shape) for weight in layer.get_weights()]
            layer.set_weights([*values[:-1], np.abs(values[-1]) + 0.1])
        elif isinstance(layer, (layers.Dense, layers.Conv2D)):
            kernel, *bias = (rng.normal(0, 0.3, weight.shape) for weight in layer.get_weights())
            kernel[..., rng.random(kernel.shape[-1]) < share] = 0
            kernel[..., rng.random(kernel.shape[-2]) < share, :] = 0
            layer.set_weights([kernel, *bias])
    return model


def sequential(*stack: layers.Layer, shape: tuple[int, ...] = (6, 6, 2)) -> keras.Model:
    return keras.Sequential([keras.Input(shape), *stack])


PRUNABLE: dict[str, Callable[[], keras.Model]] = {
    "mlp": lambda: models.mlp((20,), 3, hidden=(16, 8)),
    "mlp with normalization": lambda: models.mlp(
        (8, 8, 1), 3, hidden=(16, 8), normalization="batch", dropout=0.2, activation="sigmoid"
    ),
    "cnn": lambda: models.cnn((8, 8, 1), 3, filters=(8, 8), units=(8,), spatial_dropout=0.1),
    "cnn without normalization": lambda: models.cnn(
        (9, 5, 3), 3, filters=(8, 8), num_layers=2, units=(), pooling="average", normalization=None, activation="gelu"
    ),
    "resnet": lambda: models.resnet((8, 8, 1), 3, stochastic_depth=0.2, **SIZES),
    "resnet bottleneck": lambda: models.resnet((12, 12, 3), 3, bottleneck=True, stem="large", **SIZES),
    "resnet9": lambda: models.resnet9((8, 8, 1), 3, filters=(8, 8, 16, 16), dropout=0.2),
    "resnet9 early": lambda: models.resnet9((8, 8, 1), 3, filters=(8, 8, 16, 16), early_pooling=True),
    "sequential": lambda: sequential(
        layers.Conv2D(8, 3, activation="relu"),
        layers.AveragePooling2D(3, strides=1, padding="same"),
        layers.Flatten(),
        layers.Dense(9, activation="sigmoid"),
        layers.LeakyReLU(),
        layers.Dense(3, activation="softmax"),
    ),
}


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", PRUNABLE)
def test_fewer_parameters_same_outputs(name: str, seed: int) -> None:
    model = with_zeros(PRUNABLE[name](), seed=seed)
    before = model.get_weights()
    pruned = prune_units(model)
    np.testing.assert_allclose(
        outputs(pruned, inputs_of(model)), outputs(model, inputs_of(model)), rtol=1e-5, atol=1e-5
    )
    assert pruned.count_params() < 0.7 * model.count_params()
    assert pruned.name == model.name
    assert all(np.array_equal(ours, theirs) for ours, theirs in zip(model.get_weights(), before, strict=True))


@pytest.mark.parametrize("name", PRUNABLE)
def test_without_zeros_nothing_is_removed(name: str) -> None:
    model = with_zeros(PRUNABLE[name](), share=0.0)
    pruned = prune_units(model)
    assert pruned.count_params() == model.count_params()
    np.testing.assert_array_equal(outputs(pruned, inputs_of(model)), outputs(model, inputs_of(model)))


def _shared() -> keras.Model:
    inputs = keras.Input((6,))
    twice = layers.Dense(6, activation="relu")
    x = twice(twice(inputs))
    y = layers.Dense(5)(x)
    joined = layers.Concatenate()([x, y])
    left, right = layers.Dense(4)(joined), layers.Dense(4)(y)
    return keras.Model(inputs, [layers.Add()([left, right]), right])


def _nested() -> keras.Model:
    inner = keras.Sequential([keras.Input((6,)), layers.Dense(5), layers.Dense(4)])
    inputs = keras.Input((6,))
    return keras.Model(inputs, layers.Dense(2)(inner(layers.Dense(6)(inputs))))


def _added_flat() -> keras.Model:
    inputs = keras.Input((2, 2, 3))
    flat = layers.Flatten()(layers.Conv2D(4, 1)(inputs))
    return keras.Model(inputs, layers.Dense(2)(layers.Add()([flat, layers.Dense(16)(layers.Flatten()(inputs))])))


LEFT_ALONE: dict[str, Callable[[], keras.Model]] = {
    "layer normalization": lambda: models.cnn((8, 8, 1), 3, filters=(8, 8), units=(), normalization="layer"),
    "softmax inside": lambda: sequential(layers.Dense(9, activation="softmax"), layers.Dense(3), shape=(6,)),
    "shared, concatenated, two outputs": _shared,
    "nested": _nested,
    "flattened and added": _added_flat,
    "recurrent": lambda: sequential(layers.Dense(4), layers.LSTM(3), layers.Dense(2), shape=(5, 3)),
    "grouped and depthwise": lambda: sequential(
        layers.Conv2D(4, 3, groups=2), layers.DepthwiseConv2D(3), layers.Conv2D(4, 1, groups=2)
    ),
}


@pytest.mark.parametrize("name", LEFT_ALONE)
def test_what_is_not_known_is_left_alone(name: str) -> None:
    model = with_zeros(LEFT_ALONE[name]())
    pruned = prune_units(model)
    assert pruned.count_params() == model.count_params()
    np.testing.assert_array_equal(outputs(pruned, inputs_of(model)), outputs(model, inputs_of(model)))


def test_a_constant_moves_into_the_next_bias() -> None:
    model = models.mlp((3,), 2, hidden=(4,))
    model.get_layer("dense1").set_weights([np.zeros((3, 4)), np.array([2.0, -1.0, 3.0, 0.0])])
    model.get_layer("logits").set_weights([np.arange(8.0).reshape(4, 2), np.zeros(2)])
    pruned = prune_units(model)
    assert pruned.get_layer("dense1").units == 1
    np.testing.assert_array_equal(outputs(pruned, np.zeros((1, 3), "float32")), [[2 * 0 + 3 * 4, 2 * 1 + 3 * 5]])


@pytest.mark.parametrize(("padding", "filters"), [("same", 4), ("valid", 3)])
def test_a_constant_stays_where_padding_would_change_it(padding: str, filters: int) -> None:
    keras.utils.set_random_seed(0)
    model = sequential(layers.Conv2D(4, 3, name="first"), layers.Conv2D(2, 3, padding=padding))
    kernel = np.ones((3, 3, 2, 4))
    kernel[..., 1] = 0
    model.get_layer("first").set_weights([kernel, np.ones(4)])
    pruned = prune_units(model)
    assert pruned.get_layer("first").filters == filters
    np.testing.assert_allclose(outputs(pruned, inputs_of(model)), outputs(model, inputs_of(model)), atol=1e-5)


def test_a_residual_branch_keeps_what_its_shortcut_needs() -> None:
    inputs = keras.Input((3,))
    stem = layers.Dense(4, name="stem")(inputs)
    branch = layers.Dense(4, name="end")(layers.Dense(5, name="begin")(stem))
    model = keras.Model(inputs, layers.Dense(2, name="head")(layers.Add()([stem, branch])))
    rng = np.random.default_rng(0)
    for name, shape in {"stem": (3, 4), "begin": (4, 5), "end": (5, 4), "head": (4, 2)}.items():
        model.get_layer(name).set_weights([rng.normal(size=shape), rng.normal(size=shape[1])])
    for name, lines in {"end": (slice(None), 0), "head": (1, slice(None)), "begin": (1, slice(None))}.items():
        kernel, bias = model.get_layer(name).get_weights()
        kernel[lines] = 0
        model.get_layer(name).set_weights([kernel, bias])
    pruned = prune_units(model)
    # Unit 0 of "end" is constant but its shortcut is not; nobody reads unit 1 of the sum or of the stem.
    assert [pruned.get_layer(name).units for name in ("stem", "begin", "end")] == [3, 5, 3]
    np.testing.assert_allclose(outputs(pruned, inputs_of(model)), outputs(model, inputs_of(model)), atol=1e-5)


def test_a_layer_without_any_use_keeps_one_unit() -> None:
    model = models.mlp((3,), 2, hidden=(4,))
    for layer in (model.get_layer("dense1"), model.get_layer("logits")):
        layer.set_weights([np.zeros_like(weight) for weight in layer.get_weights()])
    assert prune_units(model).get_layer("dense1").units == 1


@pytest.mark.parametrize(
    "build",
    [
        functools.partial(models.mlp, (8, 8, 1), 10, hidden=(32, 16)),
        functools.partial(models.cnn, (8, 8, 1), 10, filters=(8, 8), units=(16,), dropout=0.0),
        functools.partial(models.resnet9, (8, 8, 1), 10, filters=(4, 8, 8, 8)),
    ],
    ids=lambda build: build.func.__name__,
)
def test_trained_with_proximal_l1(build: Callable[[], keras.Model]) -> None:
    keras.utils.set_random_seed(0)
    model = build()
    images, labels = load_digits(return_X_y=True)
    images = (images[:640] * 15.9375).astype("uint8").reshape(-1, 8, 8, 1)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    steps = 1 if keras.backend.backend() == "torch" else 10
    model.compile(proximal(keras.optimizers.Adam(0.02), l1=0.05), loss, steps_per_execution=steps)
    model.fit(images, labels[:640], batch_size=64, epochs=8, shuffle=False, verbose=0)
    pruned = prune_units(model)
    np.testing.assert_allclose(outputs(pruned, images[:64]), outputs(model, images[:64]), atol=1e-5)
    assert pruned.count_params() < model.count_params()


@pytest.mark.parametrize("model", [keras.Sequential([layers.Dense(3)]), layers.Dense(3)])
def test_a_model_without_a_graph_is_refused(model: Any) -> None:
    with pytest.raises(InputError, match="functional or sequential"):
        prune_units(model)
