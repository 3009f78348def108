"""Points of two classes and a model of 42 weights: a fit of these takes less than a second."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import pytest

from kerasdl.training import fit


@dataclass
class Points:
    """Examples in memory, as training wants them."""

    inputs: np.ndarray
    targets: np.ndarray

    def __len__(self) -> int:
        return len(self.targets)

    def batch(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self.inputs[indices], self.targets[indices]


def make_points(count: int, seed: int = 0) -> Points:
    inputs = np.random.default_rng(seed).normal(size=(count, 3)).astype("float32")
    return Points(inputs, (inputs[:, 0] > 0).astype("int64"))


def make_model(*, dropout: float = 0.0, normalization: bool = False) -> keras.Model:
    keras.utils.set_random_seed(5)
    inputs = keras.Input((3,))
    x = keras.layers.Dense(6, bias_initializer="ones", name="debiased")(inputs)
    if normalization:
        x = keras.layers.BatchNormalization(gamma_initializer="ones", beta_initializer="ones")(x)
    x = keras.layers.Dropout(dropout)(keras.layers.Activation("relu")(x))
    return keras.Model(inputs, keras.layers.Dense(2)(x))


Train = Callable[..., dict[str, list[float]]]


@pytest.fixture(scope="session")
def points() -> Callable[..., Points]:
    return make_points


@pytest.fixture(scope="session")
def build() -> Callable[..., keras.Model]:
    return make_model


@pytest.fixture(scope="session")
def train() -> Train:
    """`fit` on 48 points, 16 for validation, two epochs, batches of 8, SGD, silent, unless told otherwise."""

    def run(model: keras.Model, train: Any = None, validation: Any = None, **keywords: Any) -> dict[str, list[float]]:
        defaults: dict[str, Any] = {
            "loss": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            "epochs": 2,
            "batch_size": 8,
            "optimizer": "sgd",
            "verbose": 0,
        }
        return fit(
            model,
            make_points(48) if train is None else train,
            make_points(16, seed=1) if validation is None else validation,
            **{**defaults, **keywords},
        )

    return run
