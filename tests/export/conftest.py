"""One export of the digits classifier, and a tiny untrained classifier for exports that must fail."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import kerasdl
from kerasdl.data import images
from kerasdl.export import ImageClassifier


@pytest.fixture(scope="session")
def exported(digits_result: kerasdl.Result, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The digits classifier, exported once: .../saved_models/digits/1."""
    return digits_result.export(tmp_path_factory.mktemp("exports") / "saved_models" / "digits")


@pytest.fixture(scope="session")
def pictures() -> np.ndarray:
    """Nine random images of 6 x 5 in colour."""
    return np.random.default_rng(0).integers(0, 256, (9, 6, 5, 3), dtype=np.uint8)


@pytest.fixture(scope="session")
def make_classifier() -> Callable[..., ImageClassifier]:
    """Make an untrained classifier of 6 x 5 images into "a" and "b", with layers of your own in front."""

    def make(
        *layers: keras.layers.Layer, channels: int = 3, resize: Any = images.resize, multi_label: bool = False
    ) -> ImageClassifier:
        keras.utils.set_random_seed(0)
        image = keras.Input((6, 5, channels), dtype="uint8", name="image")
        x = keras.layers.Rescaling(1 / 255)(image)
        for layer in layers:
            x = layer(x)
        logits = keras.layers.Dense(2, dtype="float32")(keras.layers.Flatten()(x))
        return ImageClassifier(
            keras.Model(image, logits), ["a", "b"], decode=images.decode, resize=resize, multi_label=multi_label
        )

    return make
