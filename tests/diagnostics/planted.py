"""Data whose truth is known: a patch, a word or a bump at a random place decides the class, and nothing else does."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

PATCH = 6
SIDE = 24
WORDS = ["the", "a", "film", "plot", "actor", "scene", "was", "and", "of", "music", "good", "bad"]
GOOD, BAD = WORDS.index("good") + 2, WORDS.index("bad") + 2


def images(count: int, *, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return images, their classes, and where the patch is: one is striped along, the other across."""
    random = np.random.default_rng(seed)
    noise = random.integers(60, 190, size=(count, SIDE, SIDE, 1)).astype(np.uint8)
    classes = random.integers(2, size=count)
    inside = np.zeros((count, SIDE, SIDE), bool)
    stripes = np.where(np.arange(PATCH)[:, None] % 2, 255, 0).astype(np.uint8) * np.ones((1, PATCH), np.uint8)
    for index, kind in enumerate(classes):
        row, column = random.integers(0, SIDE - PATCH + 1, size=2)
        inside[index, row : row + PATCH, column : column + PATCH] = True
        noise[index, row : row + PATCH, column : column + PATCH, 0] = stripes if kind else stripes.T
    return noise, classes, inside


def texts(count: int, *, seed: int, length: int = 16) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return ids padded with zeros, their classes, and where the word stands that decides."""
    random = np.random.default_rng(seed)
    ids = random.integers(2, GOOD, size=(count, length)).astype(np.int32)
    classes = random.integers(2, size=count)
    lengths = random.integers(5, length + 1, size=count)
    places = random.integers(0, lengths)
    ids[np.arange(count), places] = np.where(classes, GOOD, BAD)
    ids[np.arange(length) >= lengths[:, None]] = 0
    return ids, classes, places


def series(count: int, *, seed: int, length: int = 40) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return series of two channels around 20, their classes, and where in the second channel a bump is, up or down."""
    random = np.random.default_rng(seed)
    values = 20 + random.normal(size=(count, length, 2), scale=0.3)
    classes = random.integers(2, size=count)
    inside = np.zeros((count, length, 2), bool)
    starts = random.integers(0, length - 6, size=count)
    for index, start in enumerate(starts):
        inside[index, start : start + 6, 1] = True
        values[index, start : start + 6, 1] += 2.0 if classes[index] else -2.0
    return values.astype(np.float32), classes, inside


def trained(model: keras.Model, inputs: Any, classes: np.ndarray, *, epochs: int, rate: float = 3e-3) -> keras.Model:
    """Return the model, trained on the classes."""
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(rate), loss, jit_compile=False)
    model.fit(inputs, classes, epochs=epochs, batch_size=64, verbose=0)
    return model
