"""What the recurrent classifier promises beyond the contract: padding changes nothing, in either direction."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from kerasdl import InputError, models, recurrent_blocks, training

array = keras.ops.convert_to_numpy


def build(**keywords: Any) -> keras.Model:
    model = models.lstm_classifier((None, 2), 3, **keywords)
    rng = np.random.default_rng(0)
    for w in model.trainable_variables:
        w.assign(array(w) + rng.standard_normal(w.shape, "float32") * 0.3)
    return model


@pytest.mark.parametrize(
    "keywords",
    [
        {"units": (3, 4), "bidirectional": True, "residual": True, "pooling": "last"},
        {"units": (3,), "bidirectional": True, "pooling": "max"},
        {"units": (3, 3), "cell": "gru", "residual": True, "pooling": "mean"},
        {"units": (3,), "cell": "rnn"},
    ],
)
def test_padding_on_the_right_changes_nothing(keywords: dict[str, Any]) -> None:
    model = build(**keywords)
    series = np.random.default_rng(0).standard_normal((3, 7, 2), "float32")
    series[1, 4:] = np.nan
    expected = array(model(series))
    assert np.ptp(expected, axis=0).max() > 0.01
    padded = np.pad(series, ((0, 0), (0, 5), (0, 0)), constant_values=np.nan)
    np.testing.assert_allclose(array(model(padded)), expected, atol=1e-5)
    np.testing.assert_allclose(array(model(series[1:2, :4])), expected[1:2], atol=1e-5)
    nothing = array(model(np.full((1, 4, 2), np.nan, "float32")))
    np.testing.assert_allclose(nothing[0], array(model.get_layer("logits").bias), atol=1e-6)


@pytest.mark.parametrize(
    ("argument", "value"),
    [("units", ()), ("cell", "lstn"), ("pooling", "first"), ("dropout", 1.0), ("num_classes", 1), ("l2", -1.0)],
)
def test_bad_arguments(argument: str, value: object) -> None:
    with pytest.raises(InputError, match=argument):
        models.lstm_classifier(**{"input_shape": (None, 2), "num_classes": 3, argument: value})


@pytest.mark.parametrize("bidirectional", [False, True])
def test_an_lstm_is_float32_where_its_kernel_knows_no_short_numbers(
    bidirectional: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recurrent_blocks, "accelerators", lambda: ["gpu:0"])
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with training.precision_policy("bfloat16"):
        model = models.lstm_classifier((5, 2), 3, units=(4,), bidirectional=bidirectional)
        gru = models.lstm_classifier((5, 2), 3, units=(4,), cell="gru")
    recurrent = [layer for layer in model.layers if isinstance(layer, (keras.layers.LSTM, keras.layers.Bidirectional))]
    assert [layer.compute_dtype for layer in recurrent] == ["float32"]
    assert "bfloat16" in {layer.compute_dtype for layer in model.layers}
    assert [layer.compute_dtype for layer in gru.layers if isinstance(layer, keras.layers.GRU)] == ["bfloat16"]
