"""Images a second in training: convolutional networks in kerasdl, in Keras as a tutorial has it, and in PyTorch.

    pip install torch
    python benchmarks/convnets.py                                   # twenty minutes on two quiet cores
    python benchmarks/convnets.py --models cnn --sides Keras kerasdl

The same networks, 28 x 28 pixels, float32, Adam, random images in memory. Keras: `compile` and `fit` on arrays.
kerasdl: `kerasdl.training.fit` as recipes call it (what it looks at every sixty batches or more is not in a median).
PyTorch: the loop of its tutorial with a DataLoader. Each side is a process of its own, they take turns, and the median
time between the ends of two steps counts, after the first five. "system" is the share of processor time that the
operating system took: freed memory that went back to it has to be found and cleared anew in each step. kerasdl keeps it
(`kerasdl/training/allocator.py`); the other two are as they come. "first step" is the time from the call to its end:
building the network, tracing and compiling it; imports are done before.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np  # noqa: E402 - TensorFlow reads the variable when it is imported

BATCH = {"cnn": 256, "resnet9": 128, "resnet18": 64}
SIDES = ("Keras", "kerasdl", "PyTorch")
WARM_UP = 5


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=BATCH, default=list(BATCH))
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES))
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.models[0], options.sides[0], options.steps)))
        return
    print(
        "| model | batch | parameters | side | images/s | of kerasdl's | system | first step |\n"
        "|---|---|---|---|---|---|---|---|"
    )
    for model in options.models:
        found: dict[str, list[dict[str, Any]]] = {side: [] for side in options.sides}
        for _ in range(options.rounds):
            for side, runs in found.items():
                arguments = ["--measure", "--models", model, "--sides", side, "--steps", str(options.steps)]
                answer = subprocess.run([sys.executable, __file__, *arguments], capture_output=True, text=True)
                if answer.returncode:
                    raise RuntimeError(f"{side}, {model}:\n{answer.stderr}")
                runs.append(json.loads(answer.stdout.splitlines()[-1]))
        parameters = {run["parameters"] for runs in found.values() for run in runs}
        if len(parameters) > 1:
            raise RuntimeError(f"{model}: the networks are not equal, parameters are {parameters}")
        rates = {side: BATCH[model] / statistics.median(run["seconds"] for run in runs) for side, runs in found.items()}
        for side, rate in rates.items():
            system = statistics.median(run["system"] for run in found[side])
            share = f"{rate / rates['kerasdl']:.2f}" if "kerasdl" in rates else ""
            size = f"{found[side][0]['parameters']:,}"
            first = statistics.median(run["first"] for run in found[side])
            cells = model, BATCH[model], size, side, f"{rate:.0f}", share, f"{system:.0%}", f"{first:.1f} s"
            print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def measure(name: str, side: str, steps: int) -> dict[str, Any]:
    """Train so many steps on one side; return their median, the first one's end, the system's share, the parameters."""
    generator = np.random.default_rng(0)
    count = BATCH[name] * (steps + WARM_UP)
    images = generator.integers(0, 256, (count, 28, 28, 1), np.uint8)
    targets = generator.integers(0, 10, count)
    marks: list[tuple[float, ...]] = []

    def done() -> None:
        used = resource.getrusage(resource.RUSAGE_SELF)
        marks.append((time.perf_counter(), used.ru_utime, used.ru_stime))

    if side == "PyTorch":
        from torch_convnets import train

        began = time.perf_counter()
        parameters = train(name, images, targets, batch=BATCH[name], done=done)
    else:
        for module in ("kerasdl.models", "kerasdl.training"):
            importlib.import_module(module)
        began = time.perf_counter()
        parameters = train_keras(name, images, targets, kit=side == "kerasdl", done=done)
    wall, user, system = np.diff(np.array(marks)[WARM_UP - 1 :], axis=0).T
    share = float(system.sum() / (user.sum() + system.sum()))
    first = marks[0][0] - began
    return {"seconds": float(np.median(wall)), "first": first, "system": share, "parameters": parameters}


def train_keras(name: str, images: np.ndarray, targets: np.ndarray, *, kit: bool, done: Callable[[], None]) -> int:
    """Train a network for one pass, call `done` after each step, and return its number of trainable parameters."""
    import keras

    import kerasdl

    class Clock(keras.callbacks.Callback):
        """Says when a step is done."""

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            """Say so."""
            done()

    filters = {"filters": (32, 64, 128, 256)} if name == "resnet9" else {}
    model = getattr(kerasdl.models, name)((28, 28, 1), 10, **filters)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    if kit:
        split = kerasdl.data.Split(images, targets)
        few = kerasdl.data.Split(images[:32], targets[:32])
        ways: dict[str, Any] = {"epochs": 1, "batch_size": BATCH[name], "optimizer": "adam", "learning_rate": 1e-3}
        ways |= {"loss": loss, "metrics": ["accuracy"], "gradient_log": {}, "callbacks": [Clock()], "verbose": 0}
        kerasdl.training.fit(model, split, few, **ways)
    else:
        model.compile(keras.optimizers.Adam(1e-3), loss, metrics=["accuracy"])
        model.fit(images, targets, batch_size=BATCH[name], epochs=1, verbose=0, callbacks=[Clock()])
    return sum(int(np.prod(weights.shape)) for weights in model.trainable_weights)


if __name__ == "__main__":
    main()
