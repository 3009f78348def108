"""Latency of one example on an export: `.predict`, a bare concrete function, `keras.Model.predict`; and loading it.

    python benchmarks/export_latency.py                       # ten minutes on two busy cores
    python benchmarks/export_latency.py --models lstm --calls 200

Six models as their recipes build them, trained for one epoch, exported and loaded again. "bare" is the signature that
`tf.saved_model.load` gives, called with a tensor that is ready, its outputs left as tensors; `.predict` gets raw input
(pixels, a text, values) and returns NumPy arrays and labels as str; `keras.Model.predict` gets what the live model
takes, one batch of one. The three take turns call by call and medians count, so that other work on the machine falls on
all of them. "load" is `load_exported` with its check of the hashes, in a fresh process after "import", which is that of
TensorFlow; medians of three.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np  # noqa: E402 - TensorFlow reads the variable when it is imported

MODELS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "convnet": ("image_classification", "digits", {"architecture": "cnn"}),
    "resnet": ("image_classification", "digits", {"architecture": "resnet9"}),
    "vit": ("image_classification", "digits", {"architecture": "vit", "patch_size": 2}),
    "text cnn": ("text_classification", "glosses", {"architecture": "cnn"}),
    "lstm": ("sequence_classification", "gun_point", {"architecture": "lstm"}),
    "forecaster": ("forecasting", "stocks", {"horizon": 5, "target": "close"}),
}
COLD = """
import sys, time
began = time.perf_counter()
import tensorflow
imported = time.perf_counter()
from kerasdl.export import load_exported
exported = load_exported(sys.argv[1])
print(imported - began, time.perf_counter() - imported)
"""


def prepared(name: str, folder: Path) -> tuple[dict[str, Callable[[], Any]], Path]:
    """Train and export a model; return the ways to ask it for one answer, and where it is."""
    import importlib

    import tensorflow as tf

    from kerasdl.export import load_exported

    recipe, data, keywords = MODELS[name]
    result = importlib.import_module(f"recipes.{recipe}").train(data, epochs=1, verbose=0, **keywords)
    version = result.export(folder / name.replace(" ", "_"))
    exported, predictor = load_exported(version), result.task.predictor(result.model)
    example = result.dataset.test.raw(np.arange(1))
    # What reaches the live model of one example.
    given: list[Any] = []
    plain = result.model.predict
    result.model.predict = lambda inputs, **keywords: (given.append(inputs), plain(inputs, **keywords))[1]
    trial = next(iter(predictor.trials(example, tolerance=1e-5)))
    if name == "text cnn":
        given.clear()
        predictor.predict(example)
    result.model.predict = plain
    inputs = {"text": example} if name == "text cnn" else trial.inputs
    function = exported.signatures["serving_default"]
    kinds = function.structured_input_signature[1]
    tensors = {key: tf.constant(value, kinds[key].dtype) for key, value in inputs.items()}
    raw = {**example, **inputs} if isinstance(example, dict) else example[0]
    return {
        "bare": lambda: function(**tensors),
        "predict": lambda: exported.predict(raw),
        "keras": lambda: plain(given[0], verbose=0),
    }, version


def cold(version: Path) -> tuple[float, float]:
    """Return seconds that a fresh process imports TensorFlow for, and loads the export for: medians of three."""
    command = [sys.executable, "-c", COLD, str(version)]
    path = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    seconds = [
        tuple(
            map(
                float,
                subprocess.run(
                    command, capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": path}
                ).stdout.split(),
            )
        )
        for _ in range(3)
    ]
    imported, loaded = (statistics.median(column) for column in zip(*seconds, strict=True))
    return imported, loaded


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--calls", type=int, default=300, help="of each way")
    options = parser.parse_args()
    print(
        "| model | bare function, us | .predict, us | ratio | keras.Model.predict, us | ratio | load, s | import, s |"
    )
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name in options.models:
            ways, version = prepared(name, Path(folder))
            seconds: dict[str, list[float]] = {way: [] for way in ways}
            for call in range(options.calls + 10):
                for way, ask in ways.items():
                    began = time.perf_counter()
                    ask()
                    if call >= 10:  # the first ones trace and warm up
                        seconds[way].append(time.perf_counter() - began)
            bare, predict, live = (statistics.median(times) * 1e6 for times in seconds.values())
            imported, loaded = cold(version)
            print(
                f"| {name} | {bare:.0f} | {predict:.0f} | {predict / bare:.2f} | {live:.0f} | 1/{live / predict:.0f} | "
                f"{loaded:.2f} | {imported:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
