"""The vision transformer as an architecture of image_classification: its defaults, and all that a recipe promises."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras_tuner
import numpy as np
import pytest

import kerasdl
from recipes import image_classification

QUICK: dict[str, Any] = {
    "architecture": "vit",
    "num_layers": 2,
    "num_heads": 2,
    "hidden_dim": 32,
    "patch_size": 2,
    "learning_rate": 0.01,
    "epochs": 8,
    "seed": 3,
    "verbose": 0,
}


@pytest.fixture(scope="module")
def result() -> kerasdl.Result:
    return image_classification.train("digits", **QUICK)


def test_it_learns_the_digits(result: kerasdl.Result) -> None:
    assert result.metrics["accuracy"] >= 0.8


def test_its_configuration_says_what_it_was_built_from_and_repeats_it(result: kerasdl.Result) -> None:
    shown = {
        "stem": "convolution",
        "stem_depth": 2,
        "pooling": "mean",
        "normalization": "layer",
        "normalization_momentum": kerasdl.blocks.suitable_momentum(8 * (1293 // 64)),
        "activation": "gelu",
        "dropout": 0.1,
        "stochastic_depth": 0.1,
        "filters": None,
    }
    assert {name: result.config[name] for name in shown} == shown
    again = image_classification.train(**result.config)
    assert again.history == result.history
    for one, other in zip(result.model.get_weights(), again.model.get_weights(), strict=True):
        assert np.array_equal(one, other)


def test_its_export_is_the_trained_model(result: kerasdl.Result, tmp_path: Path) -> None:
    images = result.dataset.test.inputs[:50]
    live = result.predict(images)["scores"]
    exported = kerasdl.export.load_exported(result.export(tmp_path / "model"))
    assert np.abs(exported.predict(images)["scores"] - live).max() <= 1e-5


def test_what_it_looks_at_can_be_drawn(result: kerasdl.Result) -> None:
    images = result.dataset.test.inputs[:2]
    maps = kerasdl.models.attention_maps(result.model)
    weights = kerasdl.diagnostics.stack_maps(maps.predict(images, verbose=0))
    assert weights.shape == (2, 2, 2, 16, 16)
    assert kerasdl.diagnostics.patch_map(images[0], weights[0]).count("<rect") == 1 + 16


def test_defaults_of_each_architecture() -> None:
    for architecture in image_classification.ARCHITECTURES:
        resolved = image_classification.resolve(architecture=architecture)
        expected = ("layer", "gelu", 0.1) if architecture == "vit" else ("batch", "relu", 0.2)
        assert (resolved["normalization"], resolved["activation"], resolved["dropout"]) == expected


def test_options_reach_the_model() -> None:
    told = {"patch_size": 7, "stem": "patch", "pooling": "class_token", "num_layers": 1, "hidden_dim": 8}
    model = image_classification.build((28, 28, 1), 3, architecture="vit", normalization="rms", **told)
    expected = kerasdl.models.vision_transformer((28, 28, 1), 3, num_heads=4, normalization="rms", **told)
    assert [weight.path.split("/", 1)[1:] for weight in model.weights] == [
        weight.path.split("/", 1)[1:] for weight in expected.weights
    ]
    assert [weight.shape for weight in model.weights] == [weight.shape for weight in expected.weights]
    assert model.get_layer("class_token")


def test_the_space_offers_it_with_a_size_of_its_own() -> None:
    hp = keras_tuner.HyperParameters()
    hp.Fixed("architecture", "vit")
    chosen = image_classification.space(hp)
    assert "filters" not in chosen
    assert image_classification.resolve(**chosen)["hidden_dim"] == chosen["hidden_dim"]
