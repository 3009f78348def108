"""A vision transformer from scratch on Fashion-MNIST: test accuracy and minutes.

    TFDS_DATA_DIR=... python benchmarks/vit.py                       # one seed
    TFDS_DATA_DIR=... python benchmarks/vit.py --seeds 3
    TFDS_DATA_DIR=... python benchmarks/vit.py --images 10000 --epochs 6 --settings patch_size=8 learning_rate=0.002

The recipe's architecture "vit" with its defaults (convolutional stem, mean of the patches, stochastic depth) and the
settings below. `--images` keeps the first so many of the training images, a fifth of them for validation, to choose
settings by: then only the validation accuracy is printed. Target: 0.93.
"""

from __future__ import annotations

import argparse
import ast
import os
import statistics
import time
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np  # noqa: E402 - TensorFlow reads the variable when it is imported

import kerasdl  # noqa: E402
from recipes import image_classification  # noqa: E402

# Clothes have a left and a right that mean nothing; flips and shifts by 3 pixels make as good images.
SETTINGS: dict[str, Any] = {
    "architecture": "vit",
    "num_layers": 4,
    "patch_size": 8,
    "epochs": 20,
    "batch_size": 128,
    "learning_rate": 0.002,
    "augmentation": "light",
    "label_smoothing": 0.1,
    "gradient_clip": 1.0,
    "jit_compile": "auto",
    "precision": "auto",
    "steps_per_execution": "auto",
}


def few(dataset: kerasdl.data.Dataset, images: int) -> kerasdl.data.Dataset:
    """Return a dataset of the first training images; its test split is its validation split, as nothing else may be."""
    inputs, targets = dataset.train.batch(np.arange(images))
    cut = images * 4 // 5
    held_out = (inputs[cut:], targets[cut:])
    return kerasdl.data.load({"train": (inputs[:cut], targets[:cut]), "validation": held_out, "test": held_out})


def setting(words: str) -> tuple[str, Any]:
    """Return `name=value` as a name and a number, or a word."""
    name, _, value = words.partition("=")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


def main() -> None:
    """Train once for each seed and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=SETTINGS["epochs"])
    parser.add_argument("--images", type=int, help="training images; then the validation accuracy is printed")
    parser.add_argument(
        "--settings", nargs="*", default=[], type=setting, help="keywords of train, such as dropout=0.2"
    )
    parser.add_argument("--verbose", type=int, default=0, help="1 prints the configuration and every epoch")
    options = parser.parse_args()
    dataset = kerasdl.data.load("fashion_mnist")
    if options.images:
        dataset = few(dataset, options.images)
    settings = SETTINGS | {"epochs": options.epochs} | dict(options.settings)
    found = []
    for seed in range(options.seeds):
        began = time.perf_counter()
        result = image_classification.train(dataset, seed=seed, verbose=options.verbose, **settings)
        accuracy = max(result.history["val_accuracy"]) if options.images else result.metrics["accuracy"]
        found.append(accuracy)
        chosen = ", ".join(f"{name} {result.config[name]}" for name in ("precision", "jit_compile"))
        print(
            f"seed {seed}: {'best validation' if options.images else 'test'} accuracy {accuracy:.4f} in "
            f"{(time.perf_counter() - began) / 60:.1f} minutes, {result.model.count_params():,} parameters, {chosen}",
            flush=True,
        )
    print(f"mean of {len(found)}: {statistics.mean(found):.4f}")


if __name__ == "__main__":
    main()
