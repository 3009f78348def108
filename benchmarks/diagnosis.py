"""Fault by finding: trainings that really have a fault, healthy ones in which nothing may be found, and the cost.

    python benchmarks/diagnosis.py                        digits, on which the rules were set
    python benchmarks/diagnosis.py --data fashion_mnist   3,000 of its images, on which no rule was set
    python benchmarks/diagnosis.py --only healthy         or faults, or a part of a row's name
    python benchmarks/diagnosis.py --scale                the search for duplicates in 60,000 + 10,000 images

A row says what had to be found, whether it was, all that was found, how long the training took without its diagnosis,
and what the diagnosis and the log of gradients added to that (processor time). Findings that rest on the validation
split's scores are looked for once more on the test split, which neither the training nor they have seen: those that are
found there as well are marked so, and are no false alarms. A fault that was missed and a false alarm in a healthy
training end with exit status 1. Half an hour on two cores for each of the two data sets.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

import kerasdl
from kerasdl.data import Dataset, Split
from kerasdl.duplicates import find_duplicates
from kerasdl.training.gradient_log import GradientLog

SEED = 0
MLP: dict[str, Any] = {"architecture": "mlp"}
SMALL: dict[str, Any] = {**MLP, "units": (64,), "epochs": 8, "learning_rate": 0.01}
PLAIN: dict[str, Any] = {**MLP, "normalization": "none"}
CONSTANT: dict[str, Any] = {"optimizer": "sgd", "schedule": "constant"}
SIZES = {"train": 3000, "validation": 500, "test": 1000}
# Of 3,000 clothes a network learns more by heart than it should: healthy trainings have more, where there are more.
ENOUGH = {"train": 20_000, "validation": 2000, "test": 2000}
# What is concluded from scores on the validation split, and may be by its chance alone.
BY_SCORES = {
    "class_imbalance",
    "miscalibrated",
    "no_better_than_linear",
    "no_better_than_majority",
    "overfitting",
}
Row = tuple[str, str | None, str, Any, dict[str, Any]]


def changed(dataset: Dataset, change: Callable[[np.ndarray, np.random.Generator], np.ndarray]) -> Dataset:
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


def copied(dataset: Dataset, split: str, change: Callable[[np.ndarray], np.ndarray], share: float = 0.1) -> Dataset:
    """Replace a share of a split's examples by training examples."""
    count = int(share * len(dataset.splits[split]))
    chosen = np.random.default_rng(SEED).permutation(len(dataset.train))[:count]
    inputs, targets = dataset.splits[split].inputs.copy(), dataset.splits[split].targets.copy()
    inputs[:count], targets[:count] = change(dataset.train.inputs[chosen]), dataset.train.targets[chosen]
    return dataclasses.replace(dataset, **{split: Split(inputs, targets)})


def some(dataset: Dataset, sizes: dict[str, int]) -> Dataset:
    """Keep some examples of splits, spread evenly."""
    splits = {}
    for name, count in sizes.items():
        split = dataset.splits[name]
        kept = np.unique(np.linspace(0, len(split) - 1, min(count, len(split))).astype(int))
        splits[name] = Split(*split.batch(kept))
    return dataclasses.replace(dataset, **splits)


def edited(texts: np.ndarray) -> np.ndarray:
    """Change a word of each text of ten words or more, and the case of all."""
    result = np.empty(len(texts), object)
    for index, text in enumerate(texts):
        words = text.split()
        result[index] = " ".join([*words[:4], "indeed", *words[5:]] if len(words) > 9 else words).upper()
    return result


def faults(images: Dataset) -> Iterator[Row]:
    """Yield name, finding, recipe, data and keyword arguments of trainings with a fault."""

    def image(name: str, finding: str | None, data: Dataset = images, **keywords: Any) -> Row:
        return name, finding, "image_classification", data, keywords

    same = lambda inputs: inputs  # noqa: E731
    sigmoids = {**PLAIN, "units": (32,) * 30, "activation": "sigmoid", "epochs": 4}
    yield image("30 layers of sigmoids", "vanishing_gradients", **sigmoids)
    high = {**MLP, "epochs": 10, "learning_rate": 0.3, "schedule": "constant"}
    yield image("learning rate 300 times too high", "learning_rate_too_high", **high)
    yield image(
        "SGD, 30 times too high", "learning_rate_too_high", **MLP, epochs=10, optimizer="sgd", learning_rate=1.5
    )
    yield image("learning rate 100 times too low", "learning_rate_too_low", **MLP, epochs=10, learning_rate=1e-5)
    yield image("rectifiers that died", "dead_units", **PLAIN, **CONSTANT, epochs=5, learning_rate=1.5)
    tanh = {**PLAIN, **CONSTANT, "units": (64, 64), "activation": "tanh", "learning_rate": 3.0, "epochs": 5}
    yield image("tanh driven to its ends", "saturated_units", **tanh)
    lagging = {**MLP, "epochs": 4, "normalization_momentum": 0.999}
    yield image("statistics that lag behind", "batch_normalization_off", **lagging)
    half = dataclasses.replace(images, train=changed(images, wrong(0.5, 10)).train)
    noisy = {**PLAIN, "epochs": 2, "learning_rate": 1e-4}
    yield image("batches of 1, half the labels wrong", "batch_too_small", half, **noisy, batch_size=1)
    yield image("batches of 2", "batch_too_small", **PLAIN, epochs=3, batch_size=2)
    yield image("a single layer of 2 units", "plateau", **MLP, units=(2,), epochs=30)
    yield image("one epoch", "underfitting", **MLP, epochs=1)
    by_heart = {**SMALL, "units": (256, 256), "dropout": 0.0, "weight_decay": 0.0, "keep": "last", "epochs": 40}
    yield image("no regularization, 300 examples", "overfitting", some(images, {"train": 300}), **by_heart)

    yield image("10 % of test copied", "leakage", copied(images, "test", same), **SMALL)
    yield image("mirrored copies", "leakage", copied(images, "test", lambda each: each[:, :, ::-1]), **SMALL)
    darker = copied(images, "test", lambda each: (20 + 0.7 * each).astype(np.uint8))
    yield image("copies of another brightness", "leakage", darker, **SMALL)
    yield image("30 % of validation copied", "leakage", copied(images, "validation", same, 0.3), **SMALL)
    yield image("the first, deduplicate=True", None, copied(images, "test", same), **SMALL, deduplicate=True)
    for share in (0.1, 0.2, 0.4):
        yield image(f"{share:.0%} wrong labels", "suspicious_labels", changed(images, wrong(share, 10)), **SMALL)
    shuffled = some(changed(images, lambda targets, generator: generator.permutation(targets)), {"train": 300})
    yield image("shuffled labels", "memorising_noise", shuffled, **by_heart)
    eights = dataclasses.replace(
        changed(images, lambda targets, _: (targets == 8).astype(np.int64)), class_names=("other", "eight")
    )
    yield image(
        "one class of ten, few steps", "class_imbalance", eights, **SMALL | {"epochs": 2, "learning_rate": 3e-3}
    )
    yield image("the same, class_weight=balanced", None, eights, **SMALL, class_weight="balanced")
    hard = some(changed(images, wrong(0.1, 10)), {"train": 400})
    yield image("over-confident", "miscalibrated", hard, **by_heart)
    yield image("the same, calibrate=True", "overfitting", hard, **by_heart, calibrate=True)
    yield image("six layers of sigmoids", "no_better_than_linear", **sigmoids | {"units": (16,) * 6, "epochs": 6})

    glosses = kerasdl.data.load("glosses", kind="text")
    texts = some(glosses, {name: len(split) // 10 for name, split in glosses.splits.items()})
    copies = copied(texts, "test", edited)
    yield "texts, copies with another word", "leakage", "text_classification", copies, {"epochs": 2}
    mislabelled = changed(texts, wrong(0.2, texts.num_classes))
    yield "texts, 20 % wrong labels", "suspicious_labels", "text_classification", mislabelled, {"epochs": 3}
    yield "share prices", "no_better_than_naive", "forecasting", "stocks", {}


def healthy(images: Dataset) -> Iterator[Row]:
    """Yield trainings in which nothing should be found: as users would ask for them, none tuned."""
    variants: dict[str, dict[str, Any]] = {
        "mlp": {**MLP},
        "mlp, SGD, larger": {**MLP, "optimizer": "sgd", "units": (256, 128)},
        "mlp, tanh, RMSprop": {**MLP, "activation": "tanh", "optimizer": "rmsprop"},
        "mlp, constant rate, clipped": {**MLP, "schedule": "constant", "gradient_clip": 1.0},
        "mlp, 8 layers": {**MLP, "units": (128,) * 8, "epochs": 30, "learning_rate": 0.003},
        "mlp, layer norm, ema": {**MLP, "normalization": "layer", "ema": 0.9},
        "cnn": {"architecture": "cnn", "filters": (16, 32), "units": (64,)},
        "resnet9": {"filters": (16, 32, 32, 32)},
        "vit": {"architecture": "vit", "num_layers": 2},
    }
    epochs = {"epochs": 10} if len(images.train) > SIZES["train"] else {}
    for name, keywords in variants.items():
        keywords |= epochs
        yield name, None, "image_classification", images, keywords
    for name in ("gun_point", "italy_power_demand", "basic_motions"):
        yield name, None, "sequence_classification", name, {}
    yield "texts", None, "text_classification", "glosses", {}
    yield "language model", None, "language_model", "pydoc_topics", {"epochs": 2}
    yield "forecast of volatility", None, "forecasting", "stocks", {"transform": "volatility"}


class Stopwatch:
    """Processor time spent in methods, which are replaced while it runs."""

    def __init__(self, owner: type, *names: str):
        self.seconds = 0.0
        self._owner = owner
        self._methods = {name: getattr(owner, name) for name in names}

    def __enter__(self) -> Stopwatch:
        for name, method in self._methods.items():
            setattr(self._owner, name, self._timed(method))
        return self

    def __exit__(self, *_: Any) -> None:
        for name, method in self._methods.items():
            setattr(self._owner, name, method)

    def _timed(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **keywords: Any) -> Any:
            begun = time.process_time()
            try:
                return method(*arguments, **keywords)
            finally:
                self.seconds += time.process_time() - begun

        return timed


def report(row: Row) -> bool:
    """Train, print what was found, and return whether that is wrong."""
    name, expected, recipe, data, keywords = row
    train = importlib.import_module(f"recipes.{recipe}").train
    begun = time.process_time()
    with (
        Stopwatch(kerasdl.Result, "_diagnose") as diagnosis,
        Stopwatch(GradientLog, "on_train_batch_begin", "on_train_batch_end", "on_train_end") as log,
    ):
        result = train(data, seed=SEED, verbose=0, **keywords)
    training = time.process_time() - begun - diagnosis.seconds - log.seconds
    found = [finding.name for finding in result.diagnosis]
    true = found_on_test(result) & set(found)
    is_wrong = expected not in found if expected else bool(set(found) - true)
    shown = ", ".join(f"{each} (so on the test split)" if each in true else each for each in found)
    print(
        f"| {name} | {expected or '(nothing)'} | {'NO' if is_wrong else 'yes'} | {shown or '(nothing)'} "
        f"| {training:.0f} s | {diagnosis.seconds / training:.1%} | {log.seconds / training:.1%} |",
        flush=True,
    )
    return is_wrong


def found_on_test(result: kerasdl.Result) -> set[str]:
    """Return which findings by scores the same rules give on the test split in place of the validation split."""
    if not any(finding.name in BY_SCORES for finding in result.diagnosis):
        return set()
    dataset = result.dataset
    exchanged = dataclasses.replace(dataset, validation=dataset.test, test=dataset.validation)
    found = result.task.diagnose(result.model, exchanged, history=result.history, config=result.config)
    return BY_SCORES & {finding.name for finding in found}


def scale() -> None:
    """Time the search for duplicates on as many random images as Fashion-MNIST has."""
    images = np.random.default_rng(SEED).integers(0, 256, (70_000, 28, 28, 1), dtype=np.uint8)
    before = time.process_time()
    found = find_duplicates(images[:60_000], images[60_000:], kind="images")
    print(f"{time.process_time() - before:.1f} s of processor time, {found.compared} of 10000 for near duplicates")


def main() -> None:
    """Train and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="digits", help="the images: digits, fashion_mnist or another name")
    parser.add_argument("--only", default="", help="faults, healthy, or part of the name of a row")
    parser.add_argument("--scale", action="store_true")
    options = parser.parse_args()
    if options.scale:
        return scale()
    images = kerasdl.data.load(options.data)
    rows = [*faults(some(images, SIZES))] if options.only != "healthy" else []
    rows += [*healthy(some(images, ENOUGH))] if options.only != "faults" else []
    if options.only not in ("", "faults", "healthy"):
        rows = [row for row in rows if options.only in row[0]]
    print("| training | to be found | as it should be | found | trained | diagnosis | gradient log |")
    print("|---|---|---|---|---|---|---|")
    bad = sum([report(row) for row in rows])
    print(f"\n{bad} of {len(rows)} rows wrong")
    raise SystemExit(bad > 0)


if __name__ == "__main__":
    main()
