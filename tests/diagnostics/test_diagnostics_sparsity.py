"""Sparsity counts exact zeros of kernels, and nothing else."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from kerasdl.diagnostics.sparsity import sparsity, sparsity_table


@pytest.fixture(scope="module")
def model() -> keras.Model:
    inputs = keras.Input((4,))
    x = keras.layers.Dense(5, name="first")(inputs)
    x = keras.layers.BatchNormalization(name="norm")(x)
    model = keras.Model(inputs, keras.layers.Dense(2, name="second")(x))
    kernel = np.ones((4, 5), "float32")
    kernel[:, 0] = 0
    kernel[0, 1] = 1e-30
    model.get_layer("first").kernel.assign(kernel)
    model.get_layer("second").kernel.assign(np.ones((5, 2)))
    return model


def test_shares_by_layer(model: keras.Model) -> None:
    assert sparsity(model) == pytest.approx({"first": 0.2, "second": 0.0, "total": 4 / 30})


def test_two_kernels_of_a_layer_count_together() -> None:
    inputs = keras.Input((3, 4))
    model = keras.Model(inputs, keras.layers.LSTM(2, name="lstm")(inputs))
    layer = model.get_layer("lstm").cell
    layer.kernel.assign(np.zeros((4, 8)))
    layer.recurrent_kernel.assign(np.ones((2, 8)))
    shares = sparsity(model)
    assert len(shares) == 2
    assert shares["total"] == pytest.approx(32 / 48)


def test_a_model_without_kernels() -> None:
    inputs = keras.Input((3,))
    assert sparsity(keras.Model(inputs, keras.layers.Rescaling(2.0)(inputs))) == {"total": 0.0}


def test_table(model: keras.Model) -> None:
    lines = [line.split() for line in sparsity_table(model).splitlines()]
    assert lines[1:] == [
        ["first", "20", "16", "20.0%"],
        ["second", "10", "10", "0.0%"],
        ["total", "30", "26", "13.3%"],
    ]
