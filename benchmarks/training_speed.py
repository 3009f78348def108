"""Examples a second in training: the same networks in Keras, kerasdl, PyTorch, Lightning and fastai.

    pip install -e '.[peers]'
    python benchmarks/training_speed.py                                   # fifty minutes on two quiet cores
    python benchmarks/training_speed.py --models cnn --sides Keras kerasdl --json speed.json

Six networks on random examples in memory: three convolutional ones and a vision transformer on images of 28
x 28 pixels, an LSTM on 28 steps of 28 features, a transformer on texts of 64 tokens. Keras: layers, `compile` and `fit`
as a tutorial has them. kerasdl: its builders and `kerasdl.training.fit` as recipes call it; calibrated: with the
precision and compilation that `kerasdl.training.calibrate` measures to be fastest, as `precision="auto"` and
`jit_compile="auto"` of a recipe do (its measuring is part of "start"). PyTorch: the loop of its tutorial; Lightning:
its Trainer; fastai: its Learner, all three on the modules of `torch_networks.py`. Each side is a process of its own,
they take turns, and the median time between the ends of two steps counts, after the first five (what kerasdl looks at
every sixty batches or more is not in a median). "system" is the share of processor time that the operating system took,
"start" the time from the start of the process to the end of the first step, imports, tracing and compiling included,
"memory" the most that the process held.
"""

from __future__ import annotations

import argparse
import importlib
import json
import math
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np  # noqa: E402 - TensorFlow reads the variable when it is imported
import sides  # noqa: E402
from transformer_speed import MODELS, data  # noqa: E402

TRANSFORMERS = {name: MODELS[name] for name in ("text", "vit")}
BATCH = {"cnn": 256, "resnet9": 128, "resnet18": 64, "lstm": 128}
BATCH |= {name: sizes["batch"] for name, sizes in TRANSFORMERS.items()}
CALIBRATED = "kerasdl, calibrated"
KITS = ("Keras", "kerasdl", "PyTorch", "Lightning", "fastai")
SIDES = ("Keras", "kerasdl", CALIBRATED, *KITS[2:])
WARM_UP = 5


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=BATCH, default=list(BATCH))
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES))
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="a file for every process's figures")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        sides.reply(measure, options.models[0], options.sides[0], options.steps)
        return
    print(
        "| model | batch | parameters | side | examples/s | of kerasdl's | system | start | memory |\n"
        "|---|---|---|---|---|---|---|---|---|"
    )
    everything = {}
    for model in options.models:
        runs: dict[str, list[dict[str, Any]]] = {side: [] for side in options.sides}
        for _ in range(options.rounds):
            for side in runs:
                words = "--measure", "--models", model, "--sides", side, "--steps", str(options.steps)
                runs[side].append(sides.in_a_process(__file__, *words, KERASDL_BENCHMARK_BEGAN=repr(time.time())))
        parameters = {run["parameters"] for several in runs.values() for run in several}
        if len(parameters) > 1:
            raise RuntimeError(f"{model}: the networks are not equal, parameters are {parameters}")
        everything[model] = runs
        print_rows(model, runs)
    if options.json:
        options.json.write_text(json.dumps(everything, indent=1))


def print_rows(model: str, found: dict[str, list[dict[str, Any]]]) -> None:
    """Print a line for each side."""

    def median(side: str, name: str) -> float:
        return statistics.median(run[name] for run in found[side])

    rates = {side: BATCH[model] / median(side, "seconds") for side in found}
    for side, rate in rates.items():
        share = f"{rate / rates['kerasdl']:.2f}" if "kerasdl" in rates else ""
        cells = (
            *(model, BATCH[model], f"{found[side][0]['parameters']:,}", side + found[side][0]["way"]),
            *(f"{rate:.0f}", share, f"{median(side, 'system'):.0%}"),
            *(f"{median(side, 'start'):.1f} s", f"{median(side, 'memory'):.0f} MiB"),
        )
        print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def examples(name: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return random examples and their classes."""
    generator = np.random.default_rng(0)
    if name == "lstm":
        return generator.standard_normal((count, 28, 28), "float32"), generator.integers(0, 10, count)
    if name in TRANSFORMERS:
        return data(TRANSFORMERS[name] | {"batch": count})
    return generator.integers(0, 256, (count, 28, 28, 1), np.uint8), generator.integers(0, 10, count)


def measure(name: str, side: str, steps: int) -> dict[str, Any]:
    """Train so many steps on one side, and return what was measured."""
    inputs, targets = examples(name, BATCH[name] * (steps + WARM_UP))
    marks: list[tuple[float, ...]] = []

    def done() -> None:
        used = resource.getrusage(resource.RUSAGE_SELF)
        marks.append((time.time(), used.ru_utime, used.ru_stime))

    way = ""
    if side in ("Keras", "kerasdl", CALIBRATED):
        parameters, way = train_keras(name, side, inputs, targets, done=done)
    else:
        ways = importlib.import_module("torch_networks")
        parameters = ways.train(name, side, inputs, targets, batch=BATCH[name], sizes=TRANSFORMERS.get(name), done=done)
    wall, user, system = np.diff(np.array(marks)[WARM_UP - 1 :], axis=0).T
    return {
        "seconds": float(np.median(wall)),
        "start": marks[0][0] - float(os.environ["KERASDL_BENCHMARK_BEGAN"]),
        "system": float(system.sum() / (user.sum() + system.sum())),
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "parameters": parameters,
        "way": way,
    }


def train_keras(
    name: str, side: str, inputs: np.ndarray, targets: np.ndarray, *, done: Callable[[], None]
) -> tuple[int, str]:
    """Train a network for one pass, call `done` after each step, and return its number of parameters and the way."""
    import keras
    from keras_networks import built, tutorial

    import kerasdl

    class Clock(keras.callbacks.Callback):
        """Says when a step is done."""

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            """Say so."""
            done()

    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    way = ""
    if side == "Keras":
        model = tutorial(name, TRANSFORMERS.get(name))
        model.compile(keras.optimizers.Adam(1e-3), loss, metrics=["accuracy"])
        model.fit(inputs, targets, batch_size=BATCH[name], epochs=1, verbose=0, callbacks=[Clock()])
    else:

        def build(precision: str) -> keras.Model:
            with kerasdl.training.precision_policy(precision):
                return built(name, TRANSFORMERS.get(name))

        split = kerasdl.data.Split(inputs, targets)
        few = kerasdl.data.Split(inputs[:32], targets[:32])
        ways: dict[str, Any] = {"batch_size": BATCH[name], "optimizer": "adam", "loss": loss}
        precision, jit_compile = "float32", False
        if side == CALIBRATED:
            with tempfile.TemporaryDirectory() as folder:
                choice = kerasdl.training.calibrate(
                    build,
                    split,
                    **ways,
                    total_steps=10**6,
                    steps_per_execution=1,
                    expected_seconds=math.inf,
                    cache=f"{folder}/cache.json",
                )
            precision, jit_compile = choice.precision, choice.jit_compile
            way = f": {precision}{', XLA' if jit_compile else ''}"
        model = build(precision)
        ways |= {"epochs": 1, "learning_rate": 1e-3, "jit_compile": jit_compile, "metrics": ["accuracy"]}
        ways |= {"gradient_log": {}, "callbacks": [Clock()], "verbose": 0}
        kerasdl.training.fit(model, split, few, **ways)
    return sum(int(np.prod(weights.shape)) for weights in model.trainable_weights), way


if __name__ == "__main__":
    main()
