"""Every pretrained backbone at work: is the table right, does it train, is its export the same model?

    python benchmarks/backbones.py                  one small member of each family
    python benchmarks/backbones.py --names resnet50,vgg16
    python benchmarks/backbones.py --all            every name; needs 16 GB of memory

For each name: the row of `kerasdl.models.backbones()` against what Keras does, features against Keras's own from one
weights file, one training step at the smallest size and at an odd one, the export at the smallest size loaded again
and compared. Nothing is downloaded. Expected: no row says "no" or "nan"; features differ from Keras's by less than
1e-5 of the largest, exported scores by less than 1e-5. About fifteen minutes on two cores.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any
from unittest import mock

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

from kerasdl import models, training
from kerasdl.data import images
from kerasdl.export import ImageClassifier, ParityError, export, read_description

SMALL = (
    "convnext_tiny",
    "densenet121",
    "efficientnet_b0",
    "efficientnet_v2_b0",
    "inception_resnet_v2",
    "inception_v3",
    "mobilenet",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "nasnet_mobile",
    "resnet50",
    "resnet50_v2",
    "vgg16",
    "xception",
    "efficientnet_lite0",
)
CLASSES = ("a", "b", "c")


class Examples:
    """Random images in memory."""

    def __init__(self, count: int, shape: tuple[int, int, int]):
        generator = np.random.default_rng(0)
        self.inputs = generator.integers(0, 256, (count, *shape), "uint8")
        self.targets = generator.integers(0, len(CLASSES), count)

    def __len__(self) -> int:
        return len(self.targets)

    def batch(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return inputs and targets at `indices`."""
        return self.inputs[indices], self.targets[indices]


def row_is_right(row: dict[str, Any]) -> bool:
    """Compare the file, its place and its hash with what Keras would download, and both sizes with what it checks."""
    if row["function"] is None:
        return True
    asked: dict[str, Any] = {}

    def get_file(file: str, url: str, *, cache_subdir: str, file_hash: str | None = None) -> str:
        asked.update(weights_file=file, weights_url=url, weights_hash=file_hash)
        return ""

    function = getattr(keras.applications, row["function"])
    module = sys.modules[function.__module__]
    if row["family"] == "resnet_v2":  # it is built by the functions of resnet
        module = sys.modules[function.__module__.removesuffix("_v2")]
    size_of = module.imagenet_utils.obtain_input_shape

    def obtain_input_shape(shape: Any, **keywords: Any) -> Any:
        asked.update(image_size=keywords["default_size"], minimum_size=keywords["min_size"])
        return size_of(shape, **keywords)

    with (
        mock.patch.object(module.file_utils, "get_file", get_file),
        mock.patch.object(module.imagenet_utils, "obtain_input_shape", obtain_input_shape),
        mock.patch.object(keras.Model, "load_weights"),
        warnings.catch_warnings(action="ignore"),
    ):
        model = function(include_top=False, weights="imagenet")
    asked["parameters"] = model.count_params()
    return asked == {name: row[name] for name in asked}


def difference_from_keras(row: dict[str, Any], folder: Path) -> float:
    """Return how far our features are from Keras's own with the same weights file, as a share of the largest."""
    if row["function"] is None:
        return float("nan")
    function = getattr(keras.applications, row["function"])
    size = row["minimum_size"] + 8
    own = function(include_top=False, weights=None, pooling="avg", input_shape=(size, size + 8, 3))
    if row["family"] == "efficientnet":
        return float("nan")  # Keras scales otherwise without the real file: tests/models/test_pretrained.py
    file = folder / f"{row['name']}.weights.h5"
    own.save_weights(file)
    ours = models.features(function, (size, size + 8, 3), weights=file)
    file.unlink()
    pixels = Examples(2, (size, size + 8, 3)).inputs
    preprocess_input = sys.modules[function.__module__].preprocess_input
    expected = np.asarray(own(preprocess_input(pixels.astype("float32")), training=False))
    return float(np.abs(np.asarray(ours(pixels, training=False)) - expected).max() / np.abs(expected).max())


def train_one_step(name: str, shape: tuple[int, int, int]) -> tuple[keras.Model, bool]:
    """Return a classifier after one step on eight images, and whether its loss was finite."""
    keras.utils.set_random_seed(0)
    model = models.classifier(name, shape, len(CLASSES), dropout=0.1)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            # One step must do: the statistics at their start let the signal vanish, and equal scores prove nothing.
            layer.momentum = 0.0
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    data = Examples(8, shape)
    tf.config.run_functions_eagerly(True)  # tracing costs more than one step
    warnings.filterwarnings("ignore", message="Even though the `tf.config")
    try:
        history = training.fit(
            model, data, data, loss=loss, epochs=1, batch_size=8, learning_rate=1e-4, jit_compile=False, verbose=0
        )
    finally:
        tf.config.run_functions_eagerly(False)
    model.compile()
    return model, bool(np.isfinite(history["loss"]).all())


def exported_difference(model: keras.Model, folder: Path) -> float:
    """Export, which loads and compares, and return the largest difference of scores; NaN if it is not the same."""
    classifier = ImageClassifier(model, CLASSES, decode=images.decode, resize=images.resize)
    try:
        written = export(classifier, folder / model.name, examples=Examples(7, model.input_shape[1:]).inputs)
    except ParityError as error:
        print(error)
        return float("nan")
    return read_description(written)["parity"]["max_difference"]


def main(names: list[str]) -> None:
    """Print one row for each name."""
    rows = {row["name"]: row for row in models.backbones()}
    print("| backbone | parameters | table right | off Keras's | loss finite at | export differs by | seconds |")
    print("|---|---|---|---|---|---|---|")
    for name in names:
        row, start = rows[name], time.perf_counter()
        right = row_is_right(row)
        smallest = row["minimum_size"]
        shapes = ((smallest, smallest, 3), (smallest + 8, smallest + 24, 1))
        finite = []
        with tempfile.TemporaryDirectory() as folder:
            off = difference_from_keras(row, Path(folder))
            for shape in shapes:
                model, is_finite = train_one_step(name, shape)
                finite.append(f"{shape[0]}x{shape[1]}x{shape[2]} {'yes' if is_finite else 'no'}")
                if shape == shapes[0]:
                    parity = exported_difference(model, Path(folder))
        compared = "-" if np.isnan(off) else f"{off:.1e}"
        print(
            f"| {name} | {row['parameters']:,} | {'yes' if right else 'no'} | {compared} | {', '.join(finite)} | "
            f"{parity:.1e} | {time.perf_counter() - start:.0f} |",
            flush=True,
        )
        del model
        keras.backend.clear_session()
        gc.collect()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--names", help="names with commas between them")
    choice.add_argument("--all", action="store_true", help="every name of kerasdl.models.backbones()")
    arguments = parser.parse_args()
    every = [row["name"] for row in models.backbones()]
    main(every if arguments.all else arguments.names.split(",") if arguments.names else list(SMALL))
