"""The contract that every builder keeps, tested on one small model of each. A new builder adds a line to CASES.

Run as a script, `python test_contract.py weights.npz logits.npz`, it computes the logits of all cases with the weights
given, on the backend that KERAS_BACKEND names: the test of the backends compares them with those of this process.
"""

from __future__ import annotations

import functools
import pathlib
import sys
from typing import Any

import keras
import numpy as np
import pytest
from other_backend import needed, run

from kerasdl import models
from kerasdl.locations import STRIDES, locations
from kerasdl.safe_loading import load_keras

SMALL = {"filters": (4, 8), "num_layers": (1, 2)}
ATTENTION = {"num_layers": 2, "num_heads": 2, "hidden_dim": 8}
VOCABULARY = 11
RAW = {"mean": (1.0, -2.0), "scale": (2.0, 0.5)}
# name: (builder, input shape, keywords, trainable parameters); three classes each, or the vocabulary at each position
CASES = {
    "mlp": (models.mlp, (20,), {"hidden": (16, 8), "dropout": 0.2}, 499),
    "mlp on images": (models.mlp, (8, 8, 1), {"hidden": (16,), "normalization": "batch"}, 1107),
    "cnn": (models.cnn, (8, 8, 1), {"filters": (4, 8), "units": (8,)}, 647),
    "cnn deep": (
        models.cnn,
        (9, 5, 3),
        {"filters": (4, 8), "num_layers": 2, "units": (), "pooling": "average", "normalization": None},
        1191,
    ),
    "resnet": (models.resnet, (8, 8, 1), {**SMALL, "stochastic_depth": 0.2, "spatial_dropout": 0.1}, 2503),
    "resnet bottleneck": (models.resnet, (12, 12, 3), {**SMALL, "bottleneck": True, "stem": "large"}, 3879),
    "resnet group": (models.resnet, (8, 8, 1), {**SMALL, "normalization": "group", "activation": "gelu"}, 2503),
    "resnet plain": (models.resnet, (8, 8, 1), {**SMALL, "normalization": None}, 2451),
    "efficientnet_lite0": (models.efficientnet_lite0, (32, 32, 3), {"dropout": 0.2}, 3_374_851),
    "resnet9": (models.resnet9, (8, 8, 1), {"filters": (4, 4, 8, 8), "dropout": 0.2}, 2607),
    "resnet9 early": (models.resnet9, (20, 21, 1), {"filters": (4, 4, 8, 8), "early_pooling": "auto"}, 2607),
    "detector": (models.detector, (40, 24, 3), {"dropout": 0.2}, 340_152),
    "detector group": (
        models.detector,
        (24, 16, 1),
        {"strides": (8, 16), "normalization": "group", "activation": "silu"},
        168_984,
    ),
    "transformer_classifier": (models.transformer_classifier, (7,), {**ATTENTION, "attention_dropout": 0.1}, 1875),
    "transformer_classifier learned": (
        models.transformer_classifier,
        (16,),
        {**ATTENTION, "positions": "learned", "activation": "swiglu", "normalization": "rms", "pooling": "max"},
        2019,
    ),
    "text_lstm": (
        models.text_lstm,
        (7,),
        {"hidden_dim": 5, "units": 4, "num_layers": 2, "pooling": ("max", "last")},
        842,
    ),
    "text_cnn": (models.text_cnn, (7,), {"hidden_dim": 5, "filters": 4, "pooling": ("mean", "max")}, 262),
    "text_cnn subwords": (
        models.text_cnn,
        (7,),
        {"hidden_dim": 5, "filters": 4, "pooling": ("mean", "max"), "subwords": np.arange(44).reshape(11, 4) % 7},
        297,
    ),
    "text_cnn deep": (
        models.text_cnn,
        (16,),
        {"hidden_dim": 5, "filters": 4, "num_layers": 2, "kernel_sizes": (3,)},
        186,
    ),
    "vision_transformer": (models.vision_transformer, (9, 8, 3), {**ATTENTION, "stochastic_depth": 0.2}, 2227),
    "vision_transformer convolution": (
        models.vision_transformer,
        (8, 8, 1),
        {**ATTENTION, "stem": "convolution", "pooling": "class_token", "positions": "sinusoidal", "dropout": 0.1},
        2215,
    ),
    "causal_transformer": (models.causal_transformer, (6,), {**ATTENTION, "norm_first": False}, 1832),
    "causal_transformer untied": (
        models.causal_transformer,
        (6,),
        {**ATTENTION, "tie_embeddings": False, "positions": "learned"},
        1984,
    ),
    "fcn": (models.fcn, (9, 2), {"filters": (4, 8), "kernel_sizes": (4, 3), "dropout": 0.2, **RAW}, 179),
    "time_series_resnet": (models.time_series_resnet, (9, 2), {"filters": (4, 4), "l2": 0.01, **RAW}, 527),
    "inception_time": (models.inception_time, (9, 2), {"filters": 2, "num_layers": 3, "kernel_sizes": (5, 2)}, 221),
    "lstm_classifier": (models.lstm_classifier, (9, 2), {"units": (3,), **RAW}, 84),
    "lstm_classifier deep": (
        models.lstm_classifier,
        (9, 2),
        {"units": (3, 4), "bidirectional": True, "residual": True, "pooling": "max", "dropout": 0.1},
        597,
    ),
    "lstm_classifier gru": (
        models.lstm_classifier,
        (7, 2),
        {"units": (3, 3), "cell": "gru", "residual": True, "pooling": "mean"},
        156,
    ),
    "lstm_fcn": (models.lstm_fcn, (9, 2), {"units": 3, "filters": (4,), "kernel_sizes": (3,), **RAW}, 128),
    "series_transformer": (models.series_transformer, (9, 2), {**ATTENTION, **RAW}, 1859),
    "series_transformer learned": (
        models.series_transformer,
        (8, 1),
        {**ATTENTION, "patch_size": 1, "positions": "learned", "pooling": "max"},
        1867,
    ),
}
BATCH = 6
ON_TOKENS = (models.transformer_classifier, models.causal_transformer, models.text_cnn, models.text_lstm)


def on_tokens(case: str) -> bool:
    return CASES[case][0] in ON_TOKENS


def build(case: str) -> keras.Model:
    builder, shape, keywords, _ = CASES[case]
    if builder is models.causal_transformer:
        return builder(*shape, VOCABULARY, **keywords)
    return builder(*shape, VOCABULARY, 3, **keywords) if on_tokens(case) else builder(shape, 3, **keywords)


def output_shape(case: str) -> tuple[int, ...]:
    builder, shape, keywords, _ = CASES[case]
    if builder is models.detector:
        return (len(locations(shape[:2], keywords.get("strides", STRIDES))[0]), 3 + 4 + 1)
    return (*shape, VOCABULARY) if builder is models.causal_transformer else (3,)


def batch(case: str, size: int = BATCH) -> np.ndarray:
    shape = (size, *CASES[case][1])
    rng = np.random.default_rng(0)
    if on_tokens(case):
        return rng.integers(0, VOCABULARY, shape, "int32")
    return rng.integers(0, 256, shape, "uint8") if len(shape) == 4 else rng.standard_normal(shape, "float32")


def logits(model: keras.Model, x: np.ndarray) -> np.ndarray:
    return as_array(model(x, training=False))


def as_array(outputs: Any) -> np.ndarray:
    """The outputs of a model; several side by side, by their names."""
    parts = [outputs[name] for name in sorted(outputs)] if isinstance(outputs, dict) else [outputs]
    return np.concatenate([keras.ops.convert_to_numpy(part) for part in parts], axis=-1)


def targets(case: str) -> Any:
    """Anything to learn, of the shape that the loss wants."""
    shape = (BATCH, *output_shape(case))
    if CASES[case][0] is models.detector:
        return {
            "classes": np.ones((*shape[:2], 3)),
            "boxes": np.ones((*shape[:2], 4)),
            "centerness": np.ones((*shape[:2], 1)),
        }
    return np.arange(BATCH) % 3 if output_shape(case) == (3,) else batch(case)


@functools.cache
def trained(case: str) -> keras.Model:
    """A model that has seen three steps, so that no weight or statistic is at its start; not to be changed."""
    keras.utils.set_random_seed(0)
    model = build(case)
    loss: Any = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", "mse" if isinstance(model.output, dict) else loss, run_eagerly=True)
    for _ in range(3):
        model.train_on_batch(batch(case), targets(case))
    return model


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> str:
    return request.param


def test_logits_of_any_batch_size(case: str) -> None:
    model = trained(case)
    outputs = model.output if isinstance(model.output, dict) else {"logits": model.output}
    shapes = [tuple(output.shape) for output in outputs.values()]
    assert (*shapes[0][:-1], sum(shape[-1] for shape in shapes)) == (None, *output_shape(case))
    assert {output.dtype for output in outputs.values()} == {"float32"}
    assert model.name == CASES[case][0].__name__
    whole = logits(model, batch(case))
    assert whole.shape == (BATCH, *output_shape(case))
    np.testing.assert_allclose(logits(model, batch(case)[:1]), whole[:1], atol=1e-5)


def test_raw_input(case: str) -> None:
    given = build(case).inputs[0]
    kinds = {1: ("features", "float32"), 2: ("series", "float32"), 3: ("image", "uint8")}
    assert (given.name, given.dtype) == (("tokens", "int32") if on_tokens(case) else kinds[len(CASES[case][1])])
    assert not build(case).compiled


def test_parameter_count(case: str) -> None:
    assert sum(int(np.prod(w.shape)) for w in build(case).trainable_weights) == CASES[case][3]


def test_every_weight_moves_in_three_steps(case: str) -> None:
    keras.utils.set_random_seed(0)
    start = build(case)
    for before, after in zip(start.weights, trained(case).weights, strict=True):
        # The state of dropout, and which parts words have: neither is learnt.
        if before.path.split("/")[-1] in ("seed_generator_state", "table"):
            continue
        assert np.isfinite(after.numpy()).all(), after.path
        assert not np.array_equal(before.numpy(), after.numpy()), after.path


def test_layer_names_are_unique_and_meant(case: str) -> None:
    names = [layer.name for layer in build(case).layers]
    assert len(set(names)) == len(names)
    outputs = build(case).output
    last = set(outputs) if isinstance(outputs, dict) else {"logits"}
    assert set(names[-len(last) :]) == last
    # a second model in the same process gets the same names: none is left to Keras's counters
    assert names == [layer.name for layer in build(case).layers]


def test_keras_file_round_trip_is_exact(case: str, tmp_path: pathlib.Path) -> None:
    trained(case).save(tmp_path / "model.keras")
    loaded = load_keras(tmp_path / "model.keras")
    for ours, theirs in zip(trained(case).weights, loaded.weights, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
    np.testing.assert_array_equal(logits(loaded, batch(case)), logits(trained(case), batch(case)))


def test_from_config_and_clone(case: str) -> None:
    model = trained(case)
    for copy in (model.__class__.from_config(model.get_config()), keras.models.clone_model(model)):
        copy.set_weights(model.get_weights())
        np.testing.assert_array_equal(logits(copy, batch(case)), logits(model, batch(case)))


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="a SavedModel needs the TensorFlow backend")
def test_saved_model_round_trip(case: str, tmp_path: pathlib.Path) -> None:
    import tensorflow as tf

    trained(case).export(tmp_path / "export", verbose=False)
    loaded = tf.saved_model.load(tmp_path / "export")
    expected = as_array(trained(case).predict(batch(case), verbose=0))
    # Pixels of a box are larger numbers than logits.
    np.testing.assert_allclose(as_array(loaded.serve(batch(case))), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_same_logits_on_every_backend(backend: str, tmp_path: pathlib.Path) -> None:
    needed(backend)
    weights = {f"{c}|{i}": w for c in CASES for i, w in enumerate(trained(c).get_weights())}
    np.savez(tmp_path / "weights.npz", **weights)
    run(backend, __file__, tmp_path / "weights.npz", tmp_path / "logits.npz")
    with np.load(tmp_path / "logits.npz") as found:
        for c in CASES:
            np.testing.assert_allclose(found[c], logits(trained(c), batch(c)), atol=1e-4, rtol=1e-5, err_msg=c)


def _main(weights: str, out: str) -> None:
    found = {}
    with np.load(weights) as given:
        for c in CASES:
            model = build(c)
            model.set_weights([given[f"{c}|{i}"] for i in range(len(model.weights))])
            # On JAX a compiled model costs a third of the same operations compiled one by one.
            found[c] = as_array(model.predict_on_batch(batch(c)))
    np.savez(out, **found)


if __name__ == "__main__":
    _main(*sys.argv[1:])
