"""What it costs to give freed memory back after each step: training steps with and without `keep_freed_memory`.

    python benchmarks/allocator.py                            # ten minutes on two quiet cores
    python benchmarks/allocator.py --models cnn --steps 20

The kit's models on random batches, trained by Keras's `fit` from a generator, AdamW, float32, without XLA. Each way is
a process of its own, and they take turns; medians over the steps after the first five count. "system" is the share of
processor time that the system took, "faults" the pages that it had to find and clear for each step.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np  # noqa: E402 - TensorFlow reads the variable when it is imported

WAYS = ("given back", "kept")
BATCH = {"cnn": 256, "resnet9": 128, "resnet18": 32, "detector": 16, "vit": 64, "transformer": 64, "lstm": 64}
WARM_UP = 5


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=BATCH, default=list(BATCH))
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.way:
        print(json.dumps(measure(options.models[0], options.way, options.steps)))
        return
    print(
        f"{'model':<13}{'batch':>6}"
        + "".join(f"{way + ': ms':>16}{'system':>8}{'faults':>8}" for way in WAYS)
        + "   ratio"
    )
    for model in options.models:
        found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
        for _ in range(options.rounds):
            for way in WAYS:
                command = [sys.executable, __file__, "--models", model, "--steps", str(options.steps), "--way", way]
                answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
                found[way].append(json.loads(answer.stdout.splitlines()[-1]))
        cells = {
            way: {name: statistics.median(run[name] for run in runs) for name in runs[0]} for way, runs in found.items()
        }
        columns = (f"{c['ms']:>16.0f}{c['system']:>8.0%}{c['faults']:>8.0f}" for c in cells.values())
        ratio = cells["given back"]["ms"] / cells["kept"]["ms"]
        print(f"{model:<13}{BATCH[model]:>6}{''.join(columns)}{ratio:>8.2f}", flush=True)


def measure(name: str, way: str, steps: int) -> dict[str, float]:
    """Train so many steps in one way and return milliseconds, the system's share, and page faults of a step."""
    import keras

    from kerasdl.training.allocator import keep_freed_memory

    model, inputs, targets, loss = made(name)
    model.compile("adamw", loss, jit_compile=False)
    times: list[tuple[float, ...]] = []

    class Clock(keras.callbacks.Callback):
        """Notes what time and memory have cost so far."""

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            """Note it."""
            used = resource.getrusage(resource.RUSAGE_SELF)
            times.append((time.perf_counter(), used.ru_utime, used.ru_stime, used.ru_minflt))

    def batches() -> Iterator[Any]:
        while True:
            yield inputs, targets

    with keep_freed_memory() if way == "kept" else contextlib.nullcontext():
        model.fit(batches(), steps_per_epoch=steps + WARM_UP, verbose=0, callbacks=[Clock()])
    wall, user, system, faults = np.diff(np.array(times)[WARM_UP - 1 :], axis=0).T
    share = system.sum() / (user.sum() + system.sum())
    return {"ms": 1000 * float(np.median(wall)), "system": float(share), "faults": float(faults.mean())}


def made(name: str) -> tuple[Any, np.ndarray, Any, Any]:
    """Return a model, a batch of inputs and targets for it, and its loss."""
    import keras

    from kerasdl import models
    from kerasdl.training.detection_losses import detection_losses

    generator = np.random.default_rng(0)
    count = BATCH[name]
    loss: Any = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    if name == "detector":
        model = models.detector((128, 128, 3), 10)
        # The last column is the weight of each location; no box, so no class either.
        shapes = {output: (count, *tensor.shape[1:-1]) for output, tensor in model.output.items()}
        columns = {"classes": 2, "boxes": 5, "centerness": 2}
        targets: Any = {output: np.ones((*shapes[output], columns[output]), "float32") for output in shapes}
        return model, _pixels(generator, (count, 128, 128, 3)), targets, detection_losses()
    if name == "transformer":
        model = models.transformer_classifier_small(64, 8000, 26)
        inputs = generator.integers(1, 8000, (count, 64))
    elif name == "lstm":
        model = models.lstm_classifier((100, 8), 10, units=(128,))
        inputs = generator.standard_normal((count, 100, 8), "float32")
    else:
        filters = {"filters": (32, 64, 128, 256)} if name == "resnet9" else {}
        builder = models.vit_tiny if name == "vit" else getattr(models, name)
        model = builder((28, 28, 1), 10, **filters)
        inputs = _pixels(generator, (count, 28, 28, 1))
    return model, inputs, generator.integers(0, 10, count), loss


def _pixels(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return generator.integers(0, 256, shape, np.uint8)


if __name__ == "__main__":
    main()
