"""Faster operations in training: what Keras's layers compute otherwise, on the same layers."""

from __future__ import annotations

import contextlib

import keras
import numpy as np
import pytest

from kerasdl import layers
from kerasdl.training.fast_operations import fast_operations

SHAPES = {"images": (6, 6, 3), "series": (9, 3), "features": (5,)}
FUSED, SLOW, ADAM = "FusedBatchNormV3", "Conv2DBackpropInput", "ResourceApplyAdam"


@pytest.fixture
def plain_kernels(monkeypatch):
    """TensorFlow's own kernels, whatever the processor has."""
    monkeypatch.setattr("kerasdl.training.fast_operations._has_onednn", lambda: False)


def make(shape=SHAPES["images"], kind=keras.layers.BatchNormalization, **keywords):
    keras.utils.set_random_seed(0)
    inputs = keras.Input(shape)
    x = kind(momentum=0.8, epsilon=0.02, name="norm", **keywords)(inputs)
    x = keras.layers.Dense(3, name="head")(keras.layers.Flatten()(x))
    model = keras.Model(inputs, x)
    model.compile(keras.optimizers.SGD(0.05), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def fit(model, context=None):
    generator = np.random.default_rng(0)
    x = 3 * generator.standard_normal((17, *model.input_shape[1:]), "float32") + 1
    with context or contextlib.nullcontext():  # batches of 8, 8 and 1
        model.fit(x, generator.integers(0, 3, 17), batch_size=8, epochs=3, shuffle=False, verbose=0)
    return [keras.ops.convert_to_numpy(each) for each in model.variables]


def operations(model):
    """Return the kinds of operations of a step of training."""
    import tensorflow as tf

    x = tf.TensorSpec((None, *model.input_shape[1:]), tf.float32)
    step = tf.function(lambda x, y: model.train_step((x, y)))
    traced = step.get_concrete_function(x, tf.TensorSpec((None,), tf.int32))
    return {operation.type for operation in traced.graph.get_operations()}


@pytest.mark.parametrize("keywords", [{}, {"scale": False}, {"center": False}], ids=["both", "no scale", "no center"])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_it_learns_what_keras_learns(shape, keywords):
    expected = fit(make(shape, **keywords))
    model = make(shape, **keywords)
    for one, other in zip(fit(model, fast_operations(model)), expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_what_is_saved_inside_is_a_layer_of_keras(tmp_path):
    model = make()
    with fast_operations(model):
        model.save(tmp_path / "model.keras")
    assert type(keras.saving.load_model(tmp_path / "model.keras").get_layer("norm")) is keras.layers.BatchNormalization


def test_a_frozen_layer_keeps_its_statistics():
    model = make()
    model.get_layer("norm").trainable = False
    model.compile(model.optimizer, model.loss)
    fit(model, fast_operations(model))
    np.testing.assert_array_equal(model.get_layer("norm").moving_mean, np.zeros(3))


def test_evaluation_inside_is_that_of_outside():
    model = make()
    fit(model, fast_operations(model))
    x = np.random.default_rng(1).standard_normal((5, *SHAPES["images"]), "float32")
    with fast_operations(model):
        inside = model.predict(x, verbose=0)
    model.predict_function = None
    np.testing.assert_array_equal(inside, model.predict(x, verbose=0))


class Own(keras.layers.BatchNormalization):
    """Somebody's own: what it overrides must be heard."""


@pytest.mark.parametrize(
    "keywords", [{"axis": 1}, {"renorm": True}, {"kind": Own}], ids=["other axis", "renormalizing", "somebody's own"]
)
def test_another_normalization_goes_on_as_it_is(keywords):
    model = make(**keywords)
    with fast_operations(model):
        assert FUSED not in operations(model)


def test_nothing_changes_under_xla():
    model = make()
    model.compile(model.optimizer, model.loss, jit_compile=True)
    with fast_operations(model):
        assert FUSED not in operations(model)


def masked():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4, 3))
    x = keras.layers.BatchNormalization(name="norm")(keras.layers.Masking()(inputs))
    model = keras.Model(inputs, keras.layers.Dense(3)(keras.layers.GlobalAveragePooling1D()(x)))
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def test_a_mask_is_honoured():
    model = masked()
    for one, other in zip(fit(model, fast_operations(model)), fit(masked()), strict=True):
        np.testing.assert_array_equal(one, other)


def convolutional(dtype="float32", kind=keras.layers.Conv2D, **keywords):
    keras.utils.set_random_seed(0)
    keywords = {"kernel_size": 3, "padding": "same"} | keywords
    inputs = keras.Input(SHAPES["images"])
    x = keras.layers.Conv2D(4, 3, padding="same", activation="relu", dtype=dtype)(inputs)
    x = kind(filters=4, dtype=dtype, name="conv", **keywords)(x)
    x = keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(x))
    model = keras.Model(inputs, x)
    model.compile(keras.optimizers.SGD(0.05), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


@pytest.mark.parametrize("kernel_size", [1, 3, (5, 3), (1, 7)], ids=str)
@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_a_convolution_learns_what_it_learns_in_keras(kernel_size, dtype, plain_kernels):
    expected = fit(convolutional(dtype, kernel_size=kernel_size))
    model = convolutional(dtype, kernel_size=kernel_size)
    tolerance = 1e-6 if dtype == "float32" else 2e-3  # bfloat16 keeps eight bits
    for one, other in zip(fit(model, fast_operations(model)), expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=10 * tolerance, atol=tolerance)


def test_a_convolution_s_gradient_is_a_convolution(plain_kernels):
    model = convolutional()
    assert SLOW in operations(model)
    with fast_operations(model):
        assert SLOW not in operations(model)


class OwnConvolution(keras.layers.Conv2D):
    """Somebody's own."""


@pytest.mark.parametrize(
    "keywords",
    [
        {"strides": 2},
        {"dilation_rate": 2},
        {"groups": 2},
        {"padding": "valid"},
        {"kernel_size": 2},
        {"kind": OwnConvolution},
    ],
    ids=str,
)
def test_another_convolution_goes_on_as_it_is(keywords, plain_kernels):
    expected = fit(convolutional(**keywords))
    model = convolutional(**keywords)
    with fast_operations(model):
        assert "convolution_op" not in vars(model.get_layer("conv"))
    for one, other in zip(fit(model, fast_operations(model)), expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("side", [6, 7])
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_a_pooling_has_the_gradient_that_it_has_in_keras(side, padding, plain_kernels):
    import tensorflow as tf

    generator = np.random.default_rng(0)
    # Whole numbers: most windows have more than one largest value.
    images = tf.constant(generator.integers(0, 3, (5, side, side, 4)).astype("float32"))
    inputs = keras.Input((side, side, 4))
    model = keras.Model(inputs, keras.layers.MaxPooling2D(padding=padding, name="pool")(inputs))
    weights = tf.constant(generator.standard_normal((5, *model.output_shape[1:])), tf.float32)
    found = []
    for context in (contextlib.nullcontext(), fast_operations(model)):
        with context, tf.GradientTape() as tape:
            tape.watch(images)
            outputs = model(images, training=True)
        found.append((outputs, tape.gradient(outputs, images, output_gradients=weights)))
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_pooling_of_another_size_goes_on_as_it_is(plain_kernels):
    inputs = keras.Input((6, 6, 1))
    model = keras.Model(inputs, keras.layers.MaxPooling2D(3, name="pool")(inputs))
    with fast_operations(model):
        assert "call" not in vars(model.get_layer("pool"))


def test_convolutions_and_poolings_stay_where_onednn_computes_them(monkeypatch):
    monkeypatch.setattr("kerasdl.training.fast_operations._has_onednn", lambda: True)
    inputs = keras.Input(SHAPES["images"])
    model = keras.Model(inputs, keras.layers.MaxPooling2D()(keras.layers.Conv2D(4, 3, padding="same")(inputs)))
    with fast_operations(model):
        assert not [each for each in model.layers if {"call", "convolution_op"} & set(vars(each))]


def with_adam(optimizer=keras.optimizers.AdamW, **keywords):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((9,))
    x = keras.layers.Embedding(5, 4)(keras.ops.cast(keras.ops.abs(inputs) % 5, "int32"))
    x = keras.layers.Dense(3)(keras.layers.LSTM(6)(x))
    model = keras.Model(inputs, x)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer(learning_rate=0.01, **keywords), loss)
    return model


@pytest.mark.parametrize(
    "keywords",
    [
        {"optimizer": keras.optimizers.Adam, "beta_1": 0.8, "epsilon": 1e-3},
        {"weight_decay": 0.1, "clipnorm": 0.5},
        {"gradient_accumulation_steps": 2},
        {"use_ema": True, "ema_momentum": 0.9},
    ],
    ids=str,
)
def test_adam_learns_what_it_learns_in_keras(keywords):
    expected = with_adam(**keywords)
    fit(expected)
    model = with_adam(**keywords)
    fit(model, fast_operations(model))
    variables = (each.variables + each.optimizer.variables for each in (model, expected))
    for one, other in zip(*variables, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("made", "kind"), [(make, FUSED), (with_adam, ADAM)], ids=["normalization", "adam"])
def test_it_is_one_operation_inside_and_keras_again_outside(made, kind):
    model = made()
    with fast_operations(model):
        assert kind in operations(model)
    assert kind not in operations(model)


class OwnAdam(keras.optimizers.Adam):
    """Somebody's own."""


@pytest.mark.parametrize(
    "keywords", [{"amsgrad": True}, {"optimizer": OwnAdam}, {"optimizer": keras.optimizers.Nadam}], ids=str
)
def test_another_optimizer_goes_on_as_it_is(keywords):
    model = with_adam(**keywords)
    with fast_operations(model):
        assert ADAM not in operations(model)


def transformer(dtype="float32", **keywords):
    keras.utils.set_random_seed(0)
    inputs = keras.Input(SHAPES["series"])
    x = keras.layers.Dense(8, dtype=dtype)(inputs)
    attention = layers.SelfAttention(2, stddev=0.5, dtype=dtype, name="attention", **keywords)
    x = x + attention(x, keras.ops.any(inputs > 0, axis=-1))  # what has no positive feature counts as padding
    normal = {"gamma_initializer": "random_normal", "beta_initializer": "random_normal", "epsilon": 0.02}
    x = keras.layers.LayerNormalization(dtype=dtype, name="norm", **normal)(x)
    x = keras.layers.Activation("gelu", dtype=dtype, name="activation")(keras.layers.Dense(8, dtype=dtype)(x))
    model = keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Flatten()(x)))
    model.compile(keras.optimizers.SGD(0.05), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def gradients(model):
    """Return the gradients of one batch."""
    import tensorflow as tf

    generator = np.random.default_rng(0)
    x = tf.constant(3 * generator.standard_normal((8, *SHAPES["series"]), "float32") + 1)
    with tf.GradientTape() as tape:
        loss = model.loss(tf.constant(generator.integers(0, 3, 8)), model(x, training=True))
    return np.concatenate([each.numpy().ravel() for each in tape.gradient(loss, [w.value for w in model.weights])])


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("keywords", [{}, {"causal": True}, {"rotary": True}], ids=str)
def test_a_transformer_has_the_gradients_that_it_has_in_keras(dtype, keywords):
    model = transformer(dtype, **keywords)
    expected = gradients(model)
    with fast_operations(model):
        found = gradients(model)
    tolerance = 1e-6 if dtype == "float32" else 0.02  # bfloat16 keeps eight bits
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * np.abs(expected).max())


def test_attention_is_products_of_matrices_inside():
    model = transformer()
    assert {"Einsum", "SquaredDifference"} <= operations(model)
    with fast_operations(model):
        assert not {"Einsum", "SquaredDifference"} & operations(model)
        assert "call" in vars(model.get_layer("activation"))


class OwnAttention(layers.SelfAttention):
    """Somebody's own."""


@pytest.mark.parametrize("keywords", [{"axis": 1}, {"axis": (1, 2)}, {"scale": False}], ids=str)
def test_what_is_unusual_in_a_transformer_goes_on_as_it_is(keywords):
    inputs = keras.Input((4, 8))
    x = keras.layers.LayerNormalization(name="norm", **keywords)(OwnAttention(2, name="attention")(inputs))
    model = keras.Model(inputs, keras.layers.Activation("silu", name="activation")(x))
    with fast_operations(model):
        assert "attend" not in vars(model.get_layer("attention"))
        assert not any("call" in vars(model.get_layer(name)) for name in ("norm", "activation"))


@pytest.mark.parametrize("value", [-40.0, -3.0, 0.0, 3.0, 40.0])
def test_gelu_and_its_gradient_are_those_of_keras(value):
    import tensorflow as tf

    inputs = keras.Input((1,))
    model = keras.Model(inputs, keras.layers.Activation("gelu")(inputs))
    x = tf.constant([[value]])
    found = []
    for context in (contextlib.nullcontext(), fast_operations(model)):
        with context, tf.GradientTape() as tape:
            tape.watch(x)
            outputs = model(x, training=True)
        found += [(outputs, tape.gradient(outputs, x))]
    np.testing.assert_allclose(found[1], found[0], rtol=1e-5, atol=1e-7)
