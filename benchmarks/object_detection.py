"""A detector trained from scratch on digit_scenes: what it reaches, what that costs, and how fast its export answers.

    python benchmarks/object_detection.py                     # about ten minutes of training on two free cores
    python benchmarks/object_detection.py --epochs 1          # to see that it runs

The table has COCO's measures on the test split and the time of training, on the clock and of the processors: on a busy
machine only the second says something. Then the latency of one image of 320 x 320 on the exported nano model
(letterbox, network, suppression, way back) beside the bare forward pass of the same network as a compiled function; the
two take turns call by call and medians count.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np  # noqa: E402 - TensorFlow reads the variable when it is imported

SIDE = 320


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="digit_scenes")
    parser.add_argument("--epochs", type=int, help="by default those of the recipe")
    parser.add_argument("--calls", type=int, default=100)
    options = parser.parse_args()

    from recipes import object_detection

    keywords = {} if options.epochs is None else {"epochs": options.epochs}
    wall, cpu = time.perf_counter(), time.process_time()
    result = object_detection.train(options.data, verbose=2, **keywords)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(f"\n{options.data}, test split, {result.best_epoch} of {len(result.history['loss'])} epochs kept")
    for name, value in result.metrics.items():
        print(f"  {name:<12} {value:.4f}")
    print(f"  data, training, measuring and diagnosis: {wall:.0f} s on the clock, {cpu:.0f} s of the processors")
    times = latencies(options.calls)
    for name, milliseconds in times.items():
        print(f"  {name:<40} {milliseconds:7.2f} ms")
    whole, bare = times.values()
    print(f"  ratio {whole / bare:.2f} (target below 1.5)")


def latencies(calls: int) -> dict[str, float]:
    """Return milliseconds for one image on an exported nano model and on its network alone."""
    import keras
    import tensorflow as tf

    from kerasdl import models
    from kerasdl.detection_task import ObjectDetection
    from kerasdl.export import export, load_exported

    keras.utils.set_random_seed(0)
    shape, names = (SIDE, SIDE, 3), [str(digit) for digit in range(10)]
    model = models.detector(shape, len(names))
    predictor = ObjectDetection(names, input_shape=shape, strides=(8, 16, 32)).predictor(model)
    images = np.random.default_rng(0).integers(0, 256, (2, *shape), np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        exported = load_exported(export(predictor, Path(folder) / "nano", examples=images))
    bare = tf.function(
        lambda batch: model(batch, training=False), input_signature=[tf.TensorSpec((None, *shape), tf.uint8)]
    )
    batch = tf.constant(images[:1])
    ways: dict[str, Callable[[], Any]] = {
        "exported, .predict of one image": lambda: exported.predict(images[0]),
        "bare forward pass of the network": lambda: bare(batch),
    }
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for call in range(calls + 5):
        for name, way in ways.items():
            began = time.perf_counter()
            way()
            if call >= 5:
                taken[name].append(1000 * (time.perf_counter() - began))
    return {name: statistics.median(values) for name, values in taken.items()}


if __name__ == "__main__":
    main()
