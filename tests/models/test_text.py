"""What the recurrent and the convolutional classifier of texts promise beyond the contract: padding changes nothing."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from kerasdl import InputError, models

array = keras.ops.convert_to_numpy
BUILDERS = {
    models.text_lstm: {"hidden_dim": 6, "units": 5},
    models.text_cnn: {"hidden_dim": 6, "filters": 5, "kernel_sizes": (2, 5)},
}
LSTM, CNN = BUILDERS


def build(builder: Any, length: int | None = None, **keywords: Any) -> keras.Model:
    """A small model whose logits differ from sequence to sequence, also those of classes without examples."""
    model = builder(length, 20, 3, **{**BUILDERS[builder], **keywords})
    rng = np.random.default_rng(0)
    for w in model.trainable_variables:
        w.assign(array(w) + rng.standard_normal(w.shape, "float32") * 0.3)
    return model


def ids(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(1, 20, shape, "int32")


@pytest.mark.parametrize(
    ("builder", "keywords"),
    [
        (LSTM, {"pooling": ("mean", "max", "last"), "num_layers": 2}),
        (CNN, {"pooling": ("mean", "max")}),
        (CNN, {"pooling": "mean", "num_layers": 3, "activation": "gelu"}),
    ],
)
def test_padding_on_the_right_changes_nothing(builder: Any, keywords: dict[str, Any]) -> None:
    model = build(builder, **keywords)
    # XLA on another backend may sum in another order
    tolerance = 0.0 if keras.backend.backend() == "tensorflow" else 1e-5
    for length in (1, 5, 16, 33):
        tokens = ids(3, length)
        tokens[1, 1:] = 0
        expected = array(model(tokens, training=False))
        assert np.ptp(expected, axis=0).max() > 0.01
        for padding in (1, 15, 50):
            padded = np.pad(tokens, ((0, 0), (0, padding)))
            np.testing.assert_allclose(array(model(padded, training=False)), expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("length", [None, 16, 20])
@pytest.mark.parametrize("builder", BUILDERS)
def test_nothing_but_padding_gives_the_bias(builder: Any, length: int | None) -> None:
    kinds = ("mean", "max", "last") if builder is LSTM else ("mean", "max")
    model = build(builder, length, pooling=kinds, num_layers=2)
    bias = array(model.get_layer("logits").bias)
    found = array(model(np.zeros((2, length or 3), "int32"), training=False))
    np.testing.assert_array_equal(found, np.stack([bias, bias]))


def test_the_lstm_is_that_of_keras_on_each_sequence_alone() -> None:
    model = build(LSTM, pooling="last")
    embedding, lstm, logits = (model.get_layer(name) for name in ("embedding", "lstm1", "logits"))
    tokens = ids(3, 9)
    tokens[1, 4:] = 0
    for row, length in ((0, 9), (1, 4)):
        x = embedding(tokens[row : row + 1, :length])
        ends = [lstm.forward_layer(x)[1], lstm.backward_layer(x)[1]]
        expected = array(logits(keras.ops.concatenate(ends, axis=-1)))
        np.testing.assert_allclose(array(model(tokens, training=False))[row : row + 1], expected, atol=1e-5)


def test_a_convolution_sees_its_window_only() -> None:
    model = build(CNN, kernel_sizes=(3,), num_layers=2, pooling="mean")
    last = keras.Model(model.input, model.get_layer("column1_conv2_add").output)
    tokens, changed = ids(1, 20), ids(1, 20)
    changed[0, 10] = tokens[0, 10] % 19 + 1
    different = np.abs(array(last(tokens)) - array(last(changed))).max(axis=(0, 2)) > 1e-6
    # two layers of width 3 reach two tokens to either side
    assert np.flatnonzero(different).tolist() == [8, 9, 10, 11, 12]


@pytest.mark.parametrize("builder", BUILDERS)
def test_dropouts(builder: Any) -> None:
    keras.utils.set_random_seed(0)
    for keywords in ({"dropout": 0.5}, {"token_dropout": 0.5}, {}):
        model = build(builder, **{"dropout": 0.0, "token_dropout": 0.0, **keywords})
        same = np.array_equal(array(model(ids(8, 9), training=True)), array(model(ids(8, 9), training=True)))
        assert same == (not keywords)
        np.testing.assert_array_equal(array(model(ids(8, 9), training=False)), array(model(ids(8, 9), training=False)))


@pytest.mark.parametrize("builder", BUILDERS)
def test_dropped_tokens_lose_their_whole_vector(builder: Any) -> None:
    keras.utils.set_random_seed(0)
    model = build(builder, token_dropout=0.5)
    dropped = array(model.get_layer("token_dropout")(np.ones((4, 30, 6), "float32"), training=True))
    assert set(np.unique(dropped)) == {0.0, 2.0}
    np.testing.assert_array_equal(dropped, np.repeat(dropped[..., :1], 6, axis=-1))


@pytest.mark.parametrize("builder", BUILDERS)
def test_penalties_are_on_all_kernels_and_nothing_else(builder: Any) -> None:
    model = build(builder, l1=0.01, l2=0.1)
    kernels = [array(w) for w in model.trainable_weights if w.name in ("kernel", "recurrent_kernel")]
    expected = sum(0.01 * np.abs(k).sum() + 0.1 * np.square(k).sum() for k in kernels)
    assert float(array(sum(model.losses))) == pytest.approx(expected, rel=1e-4)
    assert build(builder).losses == []


@pytest.mark.parametrize("builder", BUILDERS)
def test_mixed_precision(builder: Any) -> None:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = build(builder, num_layers=2)
    finally:
        keras.config.set_dtype_policy(before)
    found = model(ids(2, 5), training=False)
    assert model.get_layer("dropout").output.dtype == "bfloat16"
    assert keras.backend.standardize_dtype(found.dtype) == "float32"
    assert np.isfinite(array(found)).all()


@pytest.mark.parametrize(
    ("builder", "argument", "value"),
    [
        *((builder, argument, value) for builder in BUILDERS for argument, value in (
            ("sequence_length", 0),
            ("vocabulary_size", 1),
            ("num_classes", 1),
            ("num_layers", 0),
            ("hidden_dim", 2.5),
            ("dropout", 1.0),
            ("token_dropout", -0.1),
            ("pooling", "first"),
            ("pooling", ()),
            ("pooling", ("max", "max")),
            ("pooling", None),
            ("l1", -1),
            ("l2", None),
        )),
        (LSTM, "units", 0),
        (CNN, "filters", 0),
        (CNN, "kernel_sizes", ()),
        (CNN, "kernel_sizes", (0,)),
        (CNN, "activation", "swiglu"),
        (CNN, "pooling", "last"),
    ],
)  # fmt: skip
def test_bad_arguments(builder: Any, argument: str, value: object) -> None:
    with pytest.raises(InputError, match=argument):
        builder(**{"sequence_length": None, "vocabulary_size": 20, "num_classes": 3, argument: value})


def test_words_of_like_parts_have_like_vectors() -> None:
    table = np.array([[0, 0], [0, 0], [1, 2], [1, 2], [3, 0]])
    model = models.text_cnn(None, 5, 3, hidden_dim=8, filters=4, subwords=table)
    layer = model.get_layer("subwords")
    one, other, third, unknown = keras.ops.convert_to_numpy(layer(np.array([[2, 3, 4, 1]], "int32")))[0]
    np.testing.assert_array_equal(one, other)
    vectors = keras.ops.convert_to_numpy(layer.embeddings)
    np.testing.assert_allclose(one, (vectors[1] + vectors[2]) / np.sqrt(2), rtol=1e-6)
    np.testing.assert_allclose(third, vectors[3], rtol=1e-6)
    assert not unknown.any()


@pytest.mark.parametrize("table", [np.zeros((4, 2), int), np.zeros((5, 2)), np.full((5, 2), -1), np.zeros(5, int)])
def test_a_table_that_is_none_of_these_words(table: np.ndarray) -> None:
    with pytest.raises(InputError, match="subwords"):
        models.text_cnn(None, 5, 3, subwords=table)
