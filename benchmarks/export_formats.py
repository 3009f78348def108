"""Six small models in every format: size, accuracy against the live model's, difference, latency of one example.

    python benchmarks/export_formats.py

Expected: float formats differ by less than 1e-4 and lose nothing; int8 has at most half of the float's size. About ten
minutes on two quiet cores, a third of it training.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

import kerasdl
from kerasdl.export import load_exported
from recipes import (
    fine_tuning,
    forecasting,
    image_classification,
    sequence_classification,
    text_classification,
)

VARIANTS = [
    ("saved_model", None),
    ("keras", None),
    *((format, quantization) for format in ("litert", "onnx") for quantization in (None, "dynamic", "int8")),
]
CALLS, ROUNDS = 30, 5
TOPICS = ("animal", "food", "person", "plant")


def topics() -> tuple[list[str], list[str]]:
    """Return some glosses of four topics."""
    data = kerasdl.data.load("glosses", kind="text")
    names = [data.class_names[target] for target in data.train.targets]
    chosen = [index for topic in TOPICS for index in np.flatnonzero(np.array(names) == topic)[:500]]
    return [data.train.inputs[index] for index in chosen], [names[index] for index in chosen]


TRAININGS: dict[str, Callable[[], kerasdl.Result]] = {
    "digits, convolutions": lambda: image_classification.train("digits", architecture="cnn", epochs=8, verbose=0),
    "digits, ResNet-9": lambda: image_classification.train(
        "digits", architecture="resnet9", filters=(16, 32, 64, 64), epochs=6, verbose=0
    ),
    "glosses, text CNN": lambda: text_classification.train(topics(), epochs=5, verbose=0),
    "GunPoint, FCN": lambda: sequence_classification.train("gun_point", epochs=60, verbose=0),
    "stocks, LSTM": lambda: forecasting.train(
        "stocks", architecture="lstm", sequence_length=32, transform="log_returns", epochs=2, verbose=0
    ),
    "digits, EfficientNet-Lite0": lambda: fine_tuning.train(
        "digits", backbone="efficientnet_lite0", unfreeze=0.0, frozen_epochs=4, verbose=0
    ),
}


def one_example(result: kerasdl.Result) -> Any:
    """Return a single raw input of the test split."""
    return result.dataset.test.raw(np.arange(1))


def latencies(predicts: dict[tuple[str, str | None], Callable[[Any], Any]], raw: Any) -> dict[Any, float]:
    """Return the median milliseconds of a call of each, in turns, so that a busy machine slows all alike."""
    times: dict[Any, list[float]] = {key: [] for key in predicts}
    for predict in predicts.values():
        for _ in range(3):
            predict(raw)
    for _ in range(ROUNDS):
        for key, predict in predicts.items():
            for _ in range(CALLS):
                began = time.perf_counter()
                predict(raw)
                times[key].append(time.perf_counter() - began)
    return {key: 1000 * statistics.median(values) for key, values in times.items()}


def size_of(version: Path) -> int:
    """Return the bytes of the model's files, those that describe it left out."""
    left_out = ("kerasdl.json", "README.md")
    return sum(file.stat().st_size for file in version.rglob("*") if file.is_file() and file.name not in left_out)


def measure(name: str, folder: Path) -> None:
    """Train one model, export it in every way, and print its rows."""
    result = TRAININGS[name]()
    exported, failed = {}, {}
    for format, quantization in VARIANTS:
        try:
            version = result.export(
                folder / f"{format}_{quantization}".replace("_None", ""), format=format, quantization=quantization
            )
            exported[format, quantization] = load_exported(version)
        except (kerasdl.InputError, kerasdl.export.ParityError) as error:
            failed[format, quantization] = str(error)
    times = latencies({key: each.predict for key, each in exported.items()}, one_example(result))
    metric = "mase" if "mase" in result.metrics else "accuracy"
    sizes = {key: size_of(each.directory) for key, each in exported.items()}
    for key in VARIANTS:
        label = f"| {name} | {key[0]} | {key[1] or 'float'} |"
        if key in failed:
            print(f"{label} refused: {failed[key][:200]} |", flush=True)
            continue
        facts = exported[key].description
        live, found = facts["metrics"][metric], facts["exported_metrics"][metric]
        plain = (key[0], None)
        ratios = f"{sizes[key] / sizes[plain]:.2f} | {times[key] / times[plain]:.2f}" if key[1] else "|"
        print(
            f"{label} {sizes[key] / 1000:.0f} kB | {metric} {live:.4f} | {found:.4f} | {live - found:+.4f} "
            f"| {facts['parity']['max_difference']:.1e} | {times[key]:.2f} ms | {ratios} |",
            flush=True,
        )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="*", choices=list(TRAININGS), default=list(TRAININGS))
    options = parser.parse_args()
    print(
        "| model | format | numbers | size | live | exported | live - exported | largest difference "
        "| one example | size / float | time / float |"
    )
    print("|---" * 11 + "|")
    with tempfile.TemporaryDirectory() as folder:
        for index, name in enumerate(options.models):
            measure(name, Path(folder) / str(index))


if __name__ == "__main__":
    main()
