"""What the builders on series promise beyond the contract: padding changes nothing, raw values come in."""

from __future__ import annotations

import functools

import keras
import numpy as np
import pytest

from kerasdl import models
from kerasdl.errors import InputError
from kerasdl.models.series_inputs import series_input

ATTENTION = {"num_layers": 1, "num_heads": 2, "hidden_dim": 8}
CASES = {
    "fcn": (models.fcn, {"filters": (4, 8), "kernel_sizes": (8, 3)}),
    "time_series_resnet": (models.time_series_resnet, {"filters": (4, 6)}),
    "inception_time": (models.inception_time, {"filters": 2, "num_layers": 3, "kernel_sizes": (8, 3)}),
    "lstm_fcn": (models.lstm_fcn, {"units": 3, "filters": (4,), "kernel_sizes": (3,)}),
    "series_transformer": (models.series_transformer, ATTENTION),
    "series_transformer max": (
        models.series_transformer,
        {**ATTENTION, "patch_size": 3, "positions": "learned", "maximum_length": 20, "pooling": "max"},
    ),
}
RAW = {"mean": (100.0, -3.0), "scale": (20.0, 0.5)}
X = np.random.default_rng(0).normal((100, -3), (20, 0.5), (6, 13, 2)).astype("float32")


def padded(series: np.ndarray, steps: int) -> np.ndarray:
    return np.concatenate([series, np.full((len(series), steps, 2), np.nan, "float32")], axis=1)


@functools.cache
def trained(case: str) -> keras.Model:
    """A model of any length after three steps on series of which the first is shorter; not to be changed."""
    builder, keywords = CASES[case]
    keras.utils.set_random_seed(0)
    model = builder((None, 2), 3, **keywords, **RAW)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), run_eagerly=True)
    for _ in range(3):
        model.train_on_batch(ragged(), np.arange(6) % 3)
    return model


def ragged() -> np.ndarray:
    batch = padded(X, 3)
    batch[0, 5:] = np.nan
    return batch


def logits(model: keras.Model, series: np.ndarray) -> np.ndarray:
    return keras.ops.convert_to_numpy(model(series, training=False))


@pytest.mark.parametrize("case", CASES)
def test_padding_on_the_right_changes_no_logit(case):
    expected = logits(trained(case), X)
    assert np.ptp(expected) > 1e-3
    for steps in (1, 7, 30):
        np.testing.assert_allclose(logits(trained(case), padded(X, steps)), expected, atol=1e-5)
    np.testing.assert_allclose(logits(trained(case), ragged()[:1]), logits(trained(case), X[:1, :5]), atol=1e-5)


@pytest.mark.parametrize("case", CASES)
def test_a_model_of_one_length_has_the_same_weights_and_logits(case):
    builder, keywords = CASES[case]
    model = builder((13, 2), 3, **keywords, **RAW)
    model.set_weights(trained(case).get_weights())
    np.testing.assert_allclose(logits(model, X), logits(trained(case), X), atol=1e-5)


@pytest.mark.parametrize("case", CASES)
def test_one_step_and_padding_only_give_finite_logits(case):
    for series in (X[:, :1], padded(X[:, :0], 4)):
        assert np.isfinite(logits(trained(case), series)).all()


@pytest.mark.parametrize("case", ["fcn", "inception_time"])
def test_training_does_not_see_how_much_padding_there_is(case):
    builder, keywords = CASES[case]
    losses = []
    for batch in (ragged(), padded(ragged(), 9)):
        keras.utils.set_random_seed(1)
        model = builder((None, 2), 3, **{**keywords, "dropout": 0.0}, **RAW)
        model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), run_eagerly=True)
        losses.append([model.train_on_batch(batch, np.arange(6) % 3) for _ in range(3)])
        # The moving statistics too are of what is not padding.
        losses[-1].append(float(np.abs(logits(model, X)).sum()))
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)


def test_a_value_that_is_missing_in_one_channel_is_no_padding():
    gap = X.copy()
    gap[0, 12, 1] = np.nan
    found = logits(trained("fcn"), gap)
    assert np.isnan(found[0]).all()
    assert np.isfinite(found[1:]).all()


def test_raw_values_are_standardised_inside():
    series, x, mask = series_input((None, 2), **RAW)
    found, there = keras.Model(series, [x, mask])(ragged())
    expected = (X - np.float32((100, -3))) / np.float32((20, 0.5))
    np.testing.assert_allclose(found[1:, :13], expected[1:], rtol=1e-5)
    assert (keras.ops.convert_to_numpy(found)[0, 5:] == 0).all()
    assert keras.ops.convert_to_numpy(there).sum(axis=1).tolist() == [5, *[13] * 5]


@pytest.mark.parametrize(
    ("keywords", "words"),
    [
        ({"input_shape": (9,)}, ["input_shape", "(length, channels)"]),
        ({"input_shape": (0, 1)}, ["length", "received 0"]),
        ({"input_shape": (9, None)}, ["channels", "None"]),
        ({"mean": (1, 2)}, ["mean: received 2 numbers", "3 channels"]),
        ({"scale": (1, 0, 1)}, ["scale: received 0", "above 0"]),
        ({"filters": (4, 4)}, ["filters: received 2 numbers with 3 kernel_sizes"]),
        ({"dropout": 1}, ["dropout: received 1"]),
    ],
)
def test_sizes_that_cannot_work_are_refused(keywords, words):
    with pytest.raises(InputError) as caught:
        models.fcn(**{"input_shape": (9, 3), "num_classes": 2, **keywords})
    for word in words:
        assert word in str(caught.value)
