"""Faults that are planted in data, and what the diagnosis finds; and what it says of healthy runs.

    python benchmarks/diagnosis_data.py            # planted faults on digits and texts, healthy runs of all samples
    python benchmarks/diagnosis_data.py --scale    # time of the search for duplicates in 60,000 + 10,000 images

Prints a table: the fault, the finding that should be made, whether it was, all findings, the seconds that the diagnosis
took and its share of the training (processor time). Two cores need four minutes for the planted faults, and a quarter
of an hour for the healthy runs, most of it for the texts.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

import kerasdl
from kerasdl.data import Dataset, Split
from kerasdl.duplicates import find_duplicates
from recipes import image_classification, sequence_classification, text_classification

SEED = 0
MLP: dict[str, Any] = {"architecture": "mlp", "units": (64,), "epochs": 8, "learning_rate": 0.01}


def copies(dataset: Dataset, split: str, change: Callable[[np.ndarray], np.ndarray], share: float = 0.1) -> Dataset:
    """Replace a share of a split's examples by training examples."""
    count = int(share * len(dataset.splits[split]))
    chosen = np.random.default_rng(SEED).permutation(len(dataset.train))[:count]
    inputs, targets = dataset.splits[split].inputs.copy(), dataset.splits[split].targets.copy()
    inputs[:count], targets[:count] = change(dataset.train.inputs[chosen]), dataset.train.targets[chosen]
    return dataclasses.replace(dataset, **{split: Split(inputs, targets)})


def relabelled(dataset: Dataset, change: Callable[[np.ndarray, np.random.Generator], np.ndarray]) -> Dataset:
    """Change the labels of all splits."""
    generator = np.random.default_rng(SEED)
    splits = {name: Split(split.inputs, change(split.targets, generator)) for name, split in dataset.splits.items()}
    return dataclasses.replace(dataset, **splits)


def wrong(share: float, classes: int) -> Callable[[np.ndarray, np.random.Generator], np.ndarray]:
    """Return what makes a share of labels another class."""

    def change(targets: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        chosen = generator.random(len(targets)) < share
        return np.where(chosen, (targets + generator.integers(1, classes, len(targets))) % classes, targets)

    return change


def rare_eights(dataset: Dataset) -> Dataset:
    """Make one class of ten, one example to nine."""
    named = relabelled(dataset, lambda targets, _: (targets == 8).astype(np.int64))
    return dataclasses.replace(named, class_names=("other", "eight"))


def few(dataset: Dataset, count: int) -> Dataset:
    """Keep some training examples."""
    return dataclasses.replace(dataset, train=Split(*dataset.train.batch(np.arange(count))))


def edited(texts: np.ndarray) -> np.ndarray:
    """Change a word of each text of ten words or more, and the case of all."""
    changed = np.empty(len(texts), object)
    for index, text in enumerate(texts):
        words = text.split()
        changed[index] = " ".join([*words[:4], "indeed", *words[5:]] if len(words) > 9 else words).upper()
    return changed


def row(name: str, expected: str | None, recipe: Any, data: Any, **options: Any) -> None:
    """Train, and print what was found."""
    before = time.process_time()
    result = recipe.train(data, seed=SEED, verbose=0, **options)
    trained = time.process_time() - before
    before = time.process_time()
    found = [
        each.name
        for each in result.task.diagnose(result.model, result.dataset, history=result.history, config=result.config)
    ]
    took = time.process_time() - before
    as_expected = expected in found if expected else not found
    print(
        f"{name:<34} {expected or '(none)':<24} {'yes' if as_expected else 'NO':<4} {', '.join(found) or '-':<60} "
        f"{took:5.1f} s {took / max(1e-9, trained - took):6.1%}",
        flush=True,
    )


def planted() -> None:
    """Faults in the data."""
    digits = kerasdl.data.load("digits")
    images = image_classification
    row("10 % of test copied", "leakage", images, copies(digits, "test", lambda some: some), **MLP)
    row(
        "10 % of test copied, mirrored", "leakage", images, copies(digits, "test", lambda some: some[:, :, ::-1]), **MLP
    )
    darker = copies(digits, "test", lambda some: (20 + 0.7 * some).astype(np.uint8))
    row("10 % of test copied, brightness", "leakage", images, darker, **MLP)
    row("30 % of validation copied", "leakage", images, copies(digits, "validation", lambda some: some, 0.3), **MLP)
    row("the first, deduplicate=True", None, images, copies(digits, "test", lambda s: s), deduplicate=True, **MLP)
    for share in (0.1, 0.2, 0.4):
        row(f"{share:.0%} wrong labels", "suspicious_labels", images, relabelled(digits, wrong(share, 10)), **MLP)
    shuffled = few(relabelled(digits, lambda targets, generator: generator.permutation(targets)), 300)
    by_heart = MLP | {"epochs": 40, "dropout": 0.0, "units": (128,), "keep": "last"}
    row("shuffled labels", "memorising_noise", images, shuffled, **by_heart)
    short = MLP | {"epochs": 2, "learning_rate": 0.003}
    row("one class of ten, few steps", "class_imbalance", images, rare_eights(digits), **short)
    row("the same, class_weight=balanced", None, images, rare_eights(digits), class_weight="balanced", **MLP)
    certain = {"epochs": 60, "dropout": 0.0, "weight_decay": 0.0, "keep": "last", "units": (256, 256)}
    hard = relabelled(digits, wrong(0.1, 10))
    row("over-confident", "miscalibrated", images, few(hard, 400), **MLP | certain)
    row("the same, calibrate=True", "overfitting", images, few(hard, 400), calibrate=True, **MLP | certain)
    row(
        "sigmoid net that does not learn",
        "no_better_than_linear",
        images,
        digits,
        architecture="mlp",
        units=(16,) * 6,
        activation="sigmoid",
        normalization="none",
        epochs=6,
    )
    glosses = kerasdl.data.load("glosses", kind="text")
    some = dataclasses.replace(
        glosses,
        train=Split(*glosses.train.batch(np.arange(0, len(glosses.train), 10))),
        validation=Split(*glosses.validation.batch(np.arange(0, len(glosses.validation), 5))),
        test=Split(*glosses.test.batch(np.arange(0, len(glosses.test), 10))),
    )
    row("glosses, copies with another word", "leakage", text_classification, copies(some, "test", edited), epochs=2)
    row(
        "glosses, 20 % wrong labels",
        "suspicious_labels",
        text_classification,
        relabelled(some, wrong(0.2, some.num_classes)),
        epochs=3,
    )


def healthy() -> None:
    """Runs on which nothing of the data should be found."""
    for options in (MLP, {"architecture": "cnn", "epochs": 8}, {"architecture": "vit", "num_layers": 2, "epochs": 10}):
        row(f"digits, {options['architecture']}", None, image_classification, "digits", **options)
    for name in ("gun_point", "italy_power_demand", "basic_motions"):
        row(name, None, sequence_classification, name)
    row("glosses", None, text_classification, "glosses", epochs=3)


def scale() -> None:
    """Time the search on as many random images as Fashion-MNIST has."""
    images = np.random.default_rng(SEED).integers(0, 256, (70_000, 28, 28, 1), dtype=np.uint8)
    before = time.process_time()
    found = find_duplicates(images[:60_000], images[60_000:], kind="images")
    print(f"{time.process_time() - before:.1f} s of processor time, {found.compared} of 10000 for near duplicates")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", action="store_true")
    parser.add_argument("--only", choices=("planted", "healthy"))
    arguments = parser.parse_args()
    if arguments.scale:
        scale()
    else:
        print(f"{'fault':<34} {'finding':<24} {'made':<4} {'all findings':<60} {'took':>7} {'share':>6}")
        if arguments.only != "healthy":
            planted()
        if arguments.only != "planted":
            healthy()
