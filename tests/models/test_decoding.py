"""The decoder computes what its model does, from kept keys and values and with the same weights."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from kerasdl import InputError, models
from kerasdl.models.decoding import decoder, empty_caches
from kerasdl.safe_loading import load_keras

array, tensor = ops.convert_to_numpy, ops.convert_to_tensor
TINY = {"num_layers": 2, "num_heads": 2, "hidden_dim": 8}
VARIANTS: list[dict[str, Any]] = [
    {"attention_dropout": 0.3},
    {"positions": "learned", "norm_first": False, "tie_embeddings": False},
    {"positions": "sinusoidal", "activation": "swiglu", "normalization": "rms"},
]


def made(**variant: Any) -> keras.Model:
    """A model with weights large enough that its logits differ clearly."""
    model = models.causal_transformer(12, 20, **TINY, **variant)
    rng = np.random.default_rng(0)
    for w in model.trainable_variables:
        w.assign(array(w) + rng.standard_normal(w.shape, "float32") * 0.3)
    return model


def decode(model: keras.Model, tokens: Any, positions: Any, mask: Any, index: int, caches: Any) -> dict[str, Any]:
    given = {"tokens": tokens, "token_positions": positions, "index": np.array(index, "int32")}
    given = {name: tensor(value, dtype="int32") for name, value in given.items()}
    return model({**given, "mask": tensor(mask), "caches": caches}, training=False)


@pytest.fixture
def mixed_precision() -> Iterator[None]:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    yield
    keras.config.set_dtype_policy(before)


def pieces(model: keras.Model, tokens: np.ndarray, padding: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Give the tokens in pieces of several sizes; yield how many were given, and the logits after the last."""
    caches, given = empty_caches(model, *tokens.shape), 0
    for size in (5, 1, 1, 5):
        places = np.arange(given, given + size)
        everywhere = np.arange(tokens.shape[1])
        seen = (everywhere <= places[:, None]) & (everywhere >= padding[:, None, None])
        mask = seen | (everywhere == places[:, None])
        positions = np.maximum(places - padding[:, None], 0)
        found = decode(model, tokens[:, given : given + size], positions, mask, given, caches)
        caches, given = found["caches"], given + size
        yield given, array(found["logits"])


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: next(iter(variant.values())))
def test_the_logits_are_those_of_the_model(variant: dict[str, Any]) -> None:
    model = made(**variant)
    second = decoder(model)
    assert second.output["logits"].dtype == "float32"
    assert {id(w) for w in second.trainable_variables} == {id(w) for w in model.trainable_variables}
    tokens = np.random.default_rng(0).integers(0, 20, (2, 12), "int32")
    padding = np.array([0, 4])
    alone = [np.roll(row, -start) for row, start in zip(tokens, padding, strict=True)]
    expected = array(model(np.stack(alone), training=False))
    for given, logits in pieces(second, tokens, padding):
        last = expected[np.arange(2), given - 1 - padding]
        assert np.ptp(last) > 1
        np.testing.assert_allclose(logits, last, atol=1e-5)


def test_mixed_precision(mixed_precision: None) -> None:
    model = made()
    second = decoder(model)
    assert {x.dtype for x in keras.tree.flatten(second.input["caches"])} == {"bfloat16"}
    tokens = np.random.default_rng(0).integers(0, 20, (1, 12), "int32")
    expected = array(model(tokens, training=False))
    for given, logits in pieces(second, tokens, np.array([0])):
        assert logits.dtype == "float32"
        np.testing.assert_allclose(logits, expected[:, given - 1], atol=0.05 * np.ptp(expected))


def test_saved_and_loaded(tmp_path: pathlib.Path) -> None:
    model = made(positions="learned")
    tokens = np.random.default_rng(0).integers(0, 20, (1, 12), "int32")
    second = decoder(model)
    for each, file in ((model, "model.keras"), (second, "decoder.keras")):
        each.save(tmp_path / file)
    loaded = load_keras(tmp_path / "model.keras")
    np.testing.assert_array_equal(array(loaded(tokens)), array(model(tokens)))
    expected, found = (
        [logits for _, logits in pieces(each, tokens, np.array([0]))]
        for each in (second, load_keras(tmp_path / "decoder.keras"))
    )
    np.testing.assert_array_equal(found, expected)


def test_other_models_are_refused() -> None:
    classifier = models.transformer_classifier(12, 20, 3, **TINY)
    for model in (classifier, models.mlp((4,), 2), keras.Sequential([keras.layers.Dense(2)]), "model"):
        with pytest.raises(InputError, match="causal"):
            decoder(model)
