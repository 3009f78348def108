"""What checkpoints cost: the time of an epoch with them against one without, in one run.

    python benchmarks/checkpoint_cost.py        # five minutes on two cores

The default model on the digits (epochs of half a second, so the worst case of a checkpoint an epoch) is trained by
turns without checkpoints, with the default `checkpoint_every="epoch"`, and every 5 batches; means over the epochs after
the first, which compiles.
"""

from __future__ import annotations

import functools
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras  # noqa: E402 - TensorFlow reads the variable when it is imported

import kerasdl  # noqa: E402

EPOCHS, ROUNDS = 30, 4


class Clock(keras.callbacks.Callback):
    """Notes when each epoch began, so that an epoch is counted with its validation and its checkpoint."""

    def __init__(self) -> None:
        super().__init__()
        self.begun: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Note the time."""
        self.begun.append(time.perf_counter())


def epoch_seconds(dataset: kerasdl.data.Dataset, every: int | str | None, folder: Path) -> list[float]:
    """Train once and return the seconds of each epoch but the first, which compiles."""
    keras.utils.set_random_seed(0)
    clock = Clock()
    kerasdl.training.fit(
        kerasdl.models.resnet9(dataset.input_shape, dataset.num_classes, filters=(32, 64, 128, 128)),
        dataset.train,
        dataset.validation,
        loss=keras.losses.CategoricalCrossentropy(from_logits=True),
        encode_targets=functools.partial(keras.utils.to_categorical, num_classes=dataset.num_classes),
        epochs=EPOCHS,
        checkpoint_directory=None if every is None else folder,
        checkpoint_every=every or "epoch",
        callbacks=[clock],
        verbose=0,
    )
    return [after - before for before, after in zip(clock.begun[1:], clock.begun[2:], strict=False)]


def main() -> None:
    """Measure and print the table."""
    dataset = kerasdl.data.load("digits")
    seconds: dict[int | str | None, list[float]] = {None: [], "epoch": [], 5: []}
    for _ in range(ROUNDS):
        for every, found in seconds.items():
            with tempfile.TemporaryDirectory() as folder:
                found += epoch_seconds(dataset, every, Path(folder))
    without = statistics.mean(seconds[None])
    print(f"{'checkpoint_every':<18}{'ms an epoch':>12}{'cost':>8}")
    for every, found in seconds.items():
        mean = statistics.mean(found)
        print(f"{every or 'none'!s:<18}{1000 * mean:>12.0f}{100 * (mean / without - 1):>7.1f}%")


if __name__ == "__main__":
    main()
