"""Which kernel computes a recurrent layer is told with its reason, layer by layer."""

from __future__ import annotations

from typing import Any

import keras
import pytest

from kerasdl import layers
from kerasdl.diagnostics import recurrent_kernels


def told(layer: Any, accelerator: str) -> str:
    series = keras.Input((5, 2))
    (found,) = recurrent_kernels(keras.Model(series, layer(series)), accelerator=accelerator)
    assert found.layer == layer.name
    return str(found).partition(": ")[2]


@pytest.mark.parametrize(
    ("keywords", "word"),
    [
        ({"recurrent_dropout": 0.1}, "recurrent_dropout"),
        ({"activation": "relu"}, "activation is not tanh"),
        ({"recurrent_activation": "hard_sigmoid"}, "recurrent_activation is not sigmoid"),
        ({"use_bias": False}, "use_bias"),
        ({"unroll": True}, "unroll"),
        ({"use_cudnn": False}, "use_cudnn"),
    ],
)
def test_what_keeps_cudnn_away(keywords: dict[str, Any], word: str) -> None:
    for kind in (keras.layers.LSTM, layers.LSTM, keras.layers.GRU):
        assert word in told(kind(3, **keywords), "gpu")
        assert told(kind(3), "gpu") == "cuDNN"


def test_kernels_on_a_cpu() -> None:
    assert told(layers.LSTM(3), "cpu") == "fast loop"
    assert told(layers.LSTM(3, unroll=True), "cpu") == "fast unrolled"
    assert told(layers.LSTM(3, use_bias=False), "cpu") == "loop, because use_bias is False"
    assert "kerasdl.layers.LSTM" in told(keras.layers.LSTM(3), "cpu")
    assert told(keras.layers.GRU(3, unroll=True), "cpu") == "unrolled, because there is no GPU"
    assert "LSTM and GRU only" in told(keras.layers.SimpleRNN(3), "gpu")


def test_layers_inside_of_others_are_found() -> None:
    series = keras.Input((5, 2), name="series")
    both = keras.layers.Bidirectional(layers.LSTM(3, return_sequences=True), name="both")(series)
    inner = keras.Sequential([keras.layers.GRU(3, name="gru")], name="inner")
    found = recurrent_kernels(keras.Model(series, inner(both)))
    assert [kernel.layer for kernel in found] == ["both/forward", "both/backward", "inner/gru"]
    assert recurrent_kernels(keras.Sequential([keras.layers.Dense(2)])) == []
