"""What pretrained weights are worth: Fashion-MNIST at 96 pixels with few labels, three seeds.

    TFDS_DATA_DIR=... python benchmarks/transfer.py                 # an hour and a half on two cores
    TFDS_DATA_DIR=... python benchmarks/transfer.py --labels 100 --seeds 1

EfficientNet-Lite0 from scratch, as a linear probe (the head alone learns) and fine-tuned, by the recipe's defaults but
for the epochs. All labels that are counted are all that is used: a fifth of them are the validation split. Each seed
draws other labels. Measured on 2,000 test images that nothing was chosen by.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import time
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras  # noqa: E402 - TensorFlow reads the variable when it is imported
import numpy as np  # noqa: E402

import kerasdl  # noqa: E402
from recipes import fine_tuning  # noqa: E402

# Few labels need more passes over them. From scratch gets about twice as many as fine-tuning.
EPOCHS = {100: 20, 1000: 8, 5000: 4}
SCRATCH_EPOCHS = {100: 60, 1000: 20, 5000: 7}
TEST_IMAGES = 2000
KINDS: dict[str, dict[str, Any]] = {
    "linear probe": {"unfreeze": 0.0},
    "fine-tuned": {},
    "scratch": {"weights": None},
}


def few(dataset: kerasdl.data.Dataset, labels: int, seed: int) -> kerasdl.data.Dataset:
    """Return a dataset of so many labelled images, a fifth of them for validation, and the test images."""
    generator = np.random.default_rng(seed)
    targets = dataset.train.targets
    each = labels // dataset.num_classes
    chosen = np.sort(
        np.concatenate([generator.permutation(np.flatnonzero(targets == c))[:each] for c in range(dataset.num_classes)])
    )
    return kerasdl.data.load(
        {"train": dataset.train.batch(chosen), "test": dataset.test.batch(np.arange(TEST_IMAGES))},
        validation_fraction=0.2,
        split_seed=seed,
    )


class LastEpoch(keras.callbacks.Callback):
    """Keeps the weights that the last epoch ended with."""

    def __init__(self) -> None:
        super().__init__()
        self.weights: dict[str, Any] = {}

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Keep them."""
        self.weights["last"] = self.model.get_weights()


def train(kind: str, dataset: kerasdl.data.Dataset, labels: int, seed: int) -> float:
    """Train once and return the test accuracy.

    From scratch, few labels give a validation loss that only rises while the accuracy does too: there the better of the
    chosen and the last epoch is returned, which is generous to it.
    """
    last = LastEpoch()
    result = fine_tuning.train(
        dataset,
        backbone="efficientnet_lite0",
        epochs=(SCRATCH_EPOCHS if kind == "scratch" else EPOCHS)[labels],
        seed=seed,
        callbacks=[last] if kind == "scratch" else [],
        verbose=0,
        **KINDS[kind],
    )
    accuracy = result.metrics["accuracy"]
    if kind == "scratch":
        result.model.set_weights(last.weights["last"])
        accuracy = max(accuracy, result.evaluate()["accuracy"])
    return accuracy


def gain(accuracy: float, scratch: dict[int, float]) -> str:
    """Say how many times as many labels training from scratch takes for the same accuracy, between those measured."""
    counts = sorted(scratch)
    for low, high in zip(counts, counts[1:], strict=False):
        if scratch[low] <= accuracy <= scratch[high]:
            share = (accuracy - scratch[low]) / (scratch[high] - scratch[low])
            return f"{math.exp(math.log(low) + share * math.log(high / low)):.0f}"
    return f"more than {counts[-1]}" if accuracy > scratch[counts[-1]] else f"fewer than {counts[0]}"


def main() -> None:
    """Train all and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labels", type=int, nargs="+", choices=list(EPOCHS), default=list(EPOCHS))
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    dataset = kerasdl.data.load("fashion_mnist")
    found: dict[tuple[str, int], list[float]] = {}
    for labels in options.labels:
        for kind in KINDS:
            for seed in range(options.seeds):
                began = time.perf_counter()
                accuracy = train(kind, few(dataset, labels, seed), labels, seed)
                found.setdefault((kind, labels), []).append(accuracy)
                print(
                    f"{kind}, {labels} labels, seed {seed}: {accuracy:.4f} ({time.perf_counter() - began:.0f} s)",
                    flush=True,
                )
    scratch = {labels: statistics.mean(found["scratch", labels]) for labels in options.labels}
    print(f"\n{'labels':>6}  {'kind':<13}{'test accuracy':<26}as good as scratch with so many labels")
    for (kind, labels), values in found.items():
        seeds = " ".join(f"{value:.4f}" for value in values)
        mean = statistics.mean(values)
        equal = "" if kind == "scratch" or len(scratch) < 2 else gain(mean, scratch)
        print(f"{labels:>6}  {kind:<13}{mean:.4f} ({seeds})  {equal}")


if __name__ == "__main__":
    main()
