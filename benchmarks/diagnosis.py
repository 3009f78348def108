"""What the diagnosis finds: prepared faults against findings, and healthy trainings in which nothing may be found.

    python benchmarks/diagnosis.py                  the faults, then ten healthy trainings; twenty minutes on two cores
    python benchmarks/diagnosis.py --only sigmoids  one of them

Every fault is a training that really has it. A row says what was found; a fault that was missed and an alarm in a
healthy training are counted, and end with exit status 1.
"""

from __future__ import annotations

import argparse
import importlib
import os
import time
from typing import Any

MLP: dict[str, Any] = {"architecture": "mlp", "verbose": 0}
# By name: recipe, keyword arguments, and what has to be found.
FAULTS: dict[str, tuple[str, dict[str, Any], str]] = {
    "30 layers of sigmoids": (
        "image_classification",
        {**MLP, "units": (32,) * 30, "activation": "sigmoid", "normalization": "none", "epochs": 4},
        "vanishing_gradients",
    ),
    "learning rate 300 times too high": (
        "image_classification",
        {**MLP, "epochs": 10, "learning_rate": 0.3, "schedule": "constant"},
        "learning_rate_too_high",
    ),
    "SGD, 30 times too high": (
        "image_classification",
        {**MLP, "epochs": 10, "optimizer": "sgd", "learning_rate": 1.5},
        "learning_rate_too_high",
    ),
    "learning rate 100 times too low": (
        "image_classification",
        {**MLP, "epochs": 10, "learning_rate": 1e-5},
        "learning_rate_too_low",
    ),
    "rectifiers that died": (
        "image_classification",
        {**MLP, "epochs": 5, "optimizer": "sgd", "learning_rate": 1.5, "schedule": "constant", "normalization": "none"},
        "dead_units",
    ),
    "tanh driven to its ends": (
        "image_classification",
        {
            **MLP,
            **{"units": (64, 64), "activation": "tanh", "normalization": "none", "optimizer": "sgd"},
            **{"learning_rate": 3.0, "schedule": "constant", "epochs": 5},
        },
        "saturated_units",
    ),
    "statistics that lag behind": (
        "image_classification",
        {**MLP, "epochs": 4, "normalization_momentum": 0.999},
        "batch_normalization_off",
    ),
    "batches of 1, half the labels wrong": (
        "image_classification",
        {**MLP, "epochs": 2, "batch_size": 1, "learning_rate": 1e-4, "normalization": "none", "fault": "labels"},
        "batch_too_small",
    ),
    "a single layer of 2 units": ("image_classification", {**MLP, "units": (2,), "epochs": 30}, "plateau"),
}
HEALTHY: dict[str, tuple[str, dict[str, Any]]] = {
    "mlp": ("image_classification", {**MLP}),
    "mlp, SGD, larger": ("image_classification", {**MLP, "optimizer": "sgd", "units": (256, 128)}),
    "mlp, tanh, RMSprop": ("image_classification", {**MLP, "activation": "tanh", "optimizer": "rmsprop"}),
    "mlp, constant rate, clipped": ("image_classification", {**MLP, "schedule": "constant", "gradient_clip": 1.0}),
    "mlp, 8 layers": ("image_classification", {**MLP, "units": (128,) * 8, "epochs": 30, "learning_rate": 0.003}),
    "mlp, layer norm, ema": ("image_classification", {**MLP, "normalization": "layer", "ema": 0.9}),
    "cnn": ("image_classification", {"architecture": "cnn", "filters": (16, 32), "units": (64,), "verbose": 0}),
    "resnet9": ("image_classification", {"filters": (16, 32, 32, 32), "verbose": 0}),
    "fcn on GunPoint": ("sequence_classification", {"verbose": 0}),
    "texts": ("text_classification", {"verbose": 0}),
}


def trained(recipe: str, keywords: dict[str, Any]) -> Any:
    """Train one, with what is wrong with its data or its model."""
    import numpy as np

    import kerasdl

    module = importlib.import_module(f"recipes.{recipe}")
    fault = keywords.get("fault")
    keywords = {name: value for name, value in keywords.items() if name != "fault"}
    if fault == "labels":
        dataset = kerasdl.data.load("digits")
        generator = np.random.default_rng(0)
        labels = dataset.train.targets.copy()
        wrong = generator.random(len(labels)) < 0.5
        labels[wrong] = generator.integers(10, size=int(wrong.sum()))
        splits = {"train": (dataset.train.inputs, labels)}
        splits |= {
            name: (getattr(dataset, name).inputs, getattr(dataset, name).targets) for name in ("validation", "test")
        }
        return module.train(splits, **keywords)
    return module.train(**keywords)


def main() -> None:
    """Train and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="part of the name of what to train")
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    bad = 0
    print(f"{'training':<36}  {'expected':<24}  {'s':>5}  found")
    for name, (recipe, keywords, expected) in FAULTS.items():
        bad += _row(name, recipe, keywords, expected) if options.only in name else 0
    for name, (recipe, keywords) in HEALTHY.items():
        bad += _row(name, recipe, keywords, "") if options.only in name else 0
    print(f"{bad} missed or false")
    raise SystemExit(bad > 0)


def _row(name: str, recipe: str, keywords: dict[str, Any], expected: str) -> bool:
    begun = time.monotonic()
    result = trained(recipe, keywords)
    found = [finding.name for finding in result.diagnosis]
    wrong = expected not in found if expected else bool(found)
    mark = "  <- wrong" if wrong else ""
    said = expected or "nothing"
    print(f"{name:<36}  {said:<24}  {time.monotonic() - begun:5.0f}  {', '.join(found) or 'nothing'}{mark}", flush=True)
    return wrong


if __name__ == "__main__":
    main()
