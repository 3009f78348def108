"""The good files that `fuzz_loading.py` changes, and how each kind is loaded."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np

MODELS = ("convnet", "lstm", "transformer", "text", "forecaster")
RUNS = ("run images", "run text")


def make_models(folder: Path) -> None:
    """Save a tiny model of each kind of `MODELS`."""
    import keras

    from kerasdl import models

    statistics = np.stack([np.arange(15.0).reshape(3, 5) / 5, 1 + np.arange(15.0).reshape(3, 5) / 15], axis=-1)
    wide = {"num_targets": 2, "num_past": 1, "num_known": 2, "statistics": statistics}
    heads: dict[str, Any] = {"num_layers": 1, "num_heads": 2, "hidden_dim": 8}
    keras.utils.set_random_seed(0)
    made = {
        "convnet": models.cnn((8, 8, 1), 3, filters=(4,), units=(8,)),
        "lstm": models.lstm_classifier((9, 2), 3, units=(3,), bidirectional=True),
        "transformer": models.causal_transformer(6, 11, **heads),
        "text": models.text_cnn(7, 11, 3, hidden_dim=5, filters=4, subwords=np.arange(44).reshape(11, 4) % 7),
        "forecaster": models.linear_forecaster(13, 4, **wide),
    }
    for name, model in made.items():
        if name == "convnet":  # as a run saves it
            model.compile("adam", "sparse_categorical_crossentropy")
        model.save(folder / f"{name}.keras")


def make_folders(folder: Path) -> None:
    """Save runs, an export, checkpoints and kept features."""
    from kerasdl.training.checkpoint import write_checkpoint
    from recipes import image_classification, text_classification

    quick = {"epochs": 1, "verbose": 0, "learning_rate": 0.01}
    result = image_classification.train(
        "digits", architecture="mlp", units=(8,), directory=folder / "run images", **quick
    )
    result.export(folder / "exports")
    (folder / "exports" / "1").rename(folder / "export")
    texts = np.array(["good and fine", "bad and poor", "a fine day", "a poor one"] * 20, object)
    labels = np.array(["good", "bad"] * 40, object)
    text_classification.train((texts, labels), architecture="cnn", directory=folder / "run text", **quick)
    for name in ("run images", "run text"):
        shutil.rmtree(folder / name / "tensorboard", ignore_errors=True)
        (folder / name / "report.html").unlink(missing_ok=True)
    (folder / "checkpoints").mkdir()
    for position in (3, 6):
        values = {f"model/{index}": np.full((4, 3), index, "float32") for index in range(4)}
        write_checkpoint(folder / "checkpoints", position, values, {"position": position, "callbacks": []})
    (folder / "features").mkdir()
    with open(folder / "features" / "features.npz", "wb") as file:
        np.savez(file, features=np.ones((5, 3), "float32"), targets=np.arange(5))


def load(kind: str, path: Path, naive: bool) -> Any:
    """Load what was changed, and return it; None if it was passed over as damaged."""
    import keras

    if kind in MODELS and naive:
        return keras.models.load_model(path, compile=False, safe_mode=True)
    if kind in MODELS:
        from kerasdl.safe_loading import load_keras

        return load_keras(path)
    if kind in RUNS:
        import kerasdl

        return kerasdl.Result.load(path).model
    if kind == "checkpoints":
        from kerasdl.training.checkpoint import read_newest

        return read_newest(path)
    if kind == "features":
        from kerasdl.training.frozen_features import kept

        return kept(path / "features.npz", lambda: (np.ones((5, 3), "float32"), np.arange(5)))
    from kerasdl.export import load_exported

    return load_exported(path)
