"""How much of a training the making of its batches takes: what the model could wait for at most.

    python benchmarks/pipeline.py                                # fifteen minutes on two quiet cores
    python benchmarks/pipeline.py --only digits strong

Recipes with their defaults and embedded samples. Every batch is timed while it is made: reading, decoding,
augmentation, encoding, in the thread that feeds the model. The sum, as a share of the epochs after the first (which
compiles), is the most that the model can have waited, were nothing made ahead; Keras makes batches ahead while the
model trains, so that it waits less. "batches made" is what the pipeline could feed.
"""

from __future__ import annotations

import argparse
import importlib
import os
import time
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras  # noqa: E402 - TensorFlow reads the variable when it is imported

from kerasdl.training.batches import TrainingBatches  # noqa: E402

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "digits": ("image_classification", {}),
    "digits, light": ("image_classification", {"augmentation": "light"}),
    "digits, strong": ("image_classification", {"augmentation": "strong"}),
    "digits, mlp, strong": ("image_classification", {"architecture": "mlp", "augmentation": "strong"}),
    "glosses": ("text_classification", {}),
    "basic_motions": ("sequence_classification", {"data": "basic_motions"}),
    "stocks": ("forecasting", {}),
    "pydoc_topics": ("language_model", {}),
    "digit_scenes": ("object_detection", {}),
}


class Made:
    """Times the making of batches."""

    def __init__(self) -> None:
        self.seconds, self.examples = 0.0, 0
        make = TrainingBatches.__getitem__

        def timed(batches: TrainingBatches, position: int) -> tuple[Any, ...]:
            began = time.perf_counter()
            batch = make(batches, position)
            self.seconds += time.perf_counter() - began
            self.examples += batches.batch_size
            return batch

        TrainingBatches.__getitem__ = timed  # type: ignore[method-assign]


class Epochs(keras.callbacks.Callback):
    """Remembers what was made, and when, as each epoch but the first began or ended."""

    def __init__(self, made: Made):
        super().__init__()
        self.made, self.spans = made, []
        self._began = (0.0, 0.0, 0)

    def _now(self) -> tuple[float, float, int]:
        return time.perf_counter(), self.made.seconds, self.made.examples

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Remember."""
        self._began = self._now()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Remember; what follows the last batch is validation."""
        self._batch = self._now()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Keep the span."""
        if epoch:
            self.spans.append([after - before for before, after in zip(self._began, self._batch, strict=True)])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", help="words that the name of a case must contain")
    options = parser.parse_args()
    made = Made()
    print("| training | batches made, examples/s | trained, examples/s | share of the time |\n|---|---|---|---|")
    for name, (recipe, keywords) in CASES.items():
        if options.only and not all(word in name for word in options.only):
            continue
        watch = Epochs(made)
        importlib.import_module(f"recipes.{recipe}").train(epochs=3, verbose=0, callbacks=[watch], **keywords)
        whole, seconds, examples = (sum(values) for values in zip(*watch.spans, strict=True))
        cells = name, f"{examples / seconds:,.0f}", f"{examples / whole:,.0f}", f"{seconds / whole:.2%}"
        print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
