"""TensorFlow's fused batch normalization in training: what Keras's own computes, in one operation."""

from __future__ import annotations

import contextlib

import keras
import numpy as np
import pytest

from kerasdl.training.normalization import fused_normalization

SHAPES = {"images": (6, 6, 3), "series": (9, 3), "features": (5,)}
FUSED = "FusedBatchNormV3"


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
    for one, other in zip(fit(model, fused_normalization(model)), expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_it_is_one_operation_inside_and_keras_again_outside():
    model = make()
    with fused_normalization(model):
        assert FUSED in operations(model)
    assert FUSED not in operations(model)


def test_what_is_saved_inside_is_a_layer_of_keras(tmp_path):
    model = make()
    with fused_normalization(model):
        model.save(tmp_path / "model.keras")
    assert type(keras.saving.load_model(tmp_path / "model.keras").get_layer("norm")) is keras.layers.BatchNormalization


def test_a_frozen_layer_keeps_its_statistics():
    model = make()
    model.get_layer("norm").trainable = False
    model.compile(model.optimizer, model.loss)
    fit(model, fused_normalization(model))
    np.testing.assert_array_equal(model.get_layer("norm").moving_mean, np.zeros(3))


def test_evaluation_inside_is_that_of_outside():
    model = make()
    fit(model, fused_normalization(model))
    x = np.random.default_rng(1).standard_normal((5, *SHAPES["images"]), "float32")
    with fused_normalization(model):
        inside = model.predict(x, verbose=0)
    model.predict_function = None
    np.testing.assert_array_equal(inside, model.predict(x, verbose=0))


class Own(keras.layers.BatchNormalization):
    """Somebody's own: what it overrides must be heard."""


@pytest.mark.parametrize(
    "keywords", [{"axis": 1}, {"renorm": True}, {"kind": Own}], ids=["other axis", "renormalizing", "somebody's own"]
)
def test_what_it_cannot_stand_for_goes_on_as_it_is(keywords):
    model = make(**keywords)
    with fused_normalization(model):
        assert FUSED not in operations(model)


def test_a_mask_is_honoured():
    def masked():
        keras.utils.set_random_seed(0)
        inputs = keras.Input((4, 3))
        x = keras.layers.BatchNormalization(name="norm")(keras.layers.Masking()(inputs))
        model = keras.Model(inputs, keras.layers.Dense(3)(keras.layers.GlobalAveragePooling1D()(x)))
        model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        return model

    model = masked()
    for one, other in zip(fit(model, fused_normalization(model)), fit(masked()), strict=True):
        np.testing.assert_array_equal(one, other)
