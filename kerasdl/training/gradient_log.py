"""The log of a training's gradients: their size in each layer, and how far updates move the weights, over time.

Now and then two updates are watched from outside, see `kerasdl.training.update`. When is a function of the number of
the batch alone, so that a run repeats to the bit, and one that was killed goes on with the same log.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kerasdl.training.batches import TrainingBatches
from kerasdl.training.event_file import EventFile
from kerasdl.training.update import Look, averages, gradients, kernel_name, kernels, look, moved

# Batches between two observations: at least so many, and a share of those that were trained. Watching two updates
# costs about as much as one batch of a small network.
FEWEST, SHARE = 60, 0.5
# Of a row: what is known of the update as a whole, before three numbers for each kernel.
HEAD = ("step", "updates", "square", "square_after", "product", "clipped")
EACH = ("gradient", "weight", "ratio")


class GradientLog(keras.callbacks.Callback):
    """Watch two updates now and then, and note gradients, weights and update-to-weight ratios of each kernel.

    Its rows are part of a checkpoint. Where updates come as several in one execution, they are watched together.

    Args:
        batches: The training's batches.
        into: What the log is added to when training ends; see :func:`add`.
        log_directory: Where TensorBoard finds the same numbers and histograms of the gradients; None writes none.

    Reference: update-to-weight ratios as in https://cs231n.github.io/neural-networks-3/#ratio
    """

    def __init__(self, batches: TrainingBatches, *, into: dict[str, Any], log_directory: Path | None = None):
        super().__init__()
        self._batches = batches
        self._into = into
        self._log_directory = log_directory
        self._rows: list[np.ndarray] = []
        self._first: list[np.ndarray] = []
        self._next = 0
        self._begins = 0
        self._before: tuple[int, Look] | None = None
        self._file: EventFile | None = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Look up what is to be watched."""
        self._kernels = tuple(kernels(self.model))
        self._next = self._aligned(0)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Note where the epoch begins, which another process may have begun."""
        self._begins = max(epoch * self._batches.steps, self._batches.start)
        self._before = None

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Look at the state before an update that is to be watched."""
        position = self._begins + batch
        if self._kernels and position + self.model.steps_per_execution > self._next:
            if self._before is None or self._before[0] != position:
                self._before = (position, look(self.model, list(self._kernels)))
        else:
            self._before = None

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Look at the state after it, and write a row when two updates have been watched."""
        if self._before is None:
            return
        before, after = self._before[1], look(self.model, list(self._kernels), last=bool(self._first))
        position = self._begins + batch + 1
        self._before = (position, after)
        if not moved(before, after):  # gradients are accumulated, or the batch was undone
            return
        count = max(1, self.model.steps_per_execution // self._accumulated())
        found = gradients(self.model.optimizer, list(self._kernels), before, after, count=count)
        if not self._first:
            self._first = [np.array([batch + self._begins, before.learning_rate], np.float64), *found]
            self._next = self._aligned(position)
            return
        self._write(self._row(before, after, count, self._first[1:], found), found)
        self._first = []
        self._next = self._aligned(position + max(FEWEST, int(SHARE * position)))

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Hand the log over."""
        if self._file is not None:
            self._file.close()
        names = [kernel_name(variable.path) for _, variable in self._kernels]
        add(self._into, names, self._rows, batch_size=self._batches.batch_size * self._accumulated())

    def _row(
        self, before: Look, after: Look, count: int, first: list[np.ndarray], second: list[np.ndarray]
    ) -> np.ndarray:
        # Entries that were left out are taken to be like those that were looked at.
        sizes = [math.prod(variable.shape) for _, variable in self._kernels]
        squares, products, each = [0.0, 0.0], 0.0, []
        position, rate = self._first[0]
        # All that came before says better than the last gradient alone in which direction they agree.
        means = averages(
            self.model.optimizer,
            list(self._kernels),
            before,
            updates=int(position) // self._accumulated() + 1,
            rate=float(rate),
        )
        for size, one, other, mean, old, new in zip(
            sizes, first, second, means, before.weights, after.weights, strict=True
        ):
            one, other, old = (np.asarray(values, np.float64) for values in (one, other, old))
            both = float(np.mean(one * one)), float(np.mean(other * other))
            squares = [total + size * square for total, square in zip(squares, both, strict=True)]
            products += size * float(np.mean((one if mean is None else mean) * other))
            weight = math.sqrt(float(np.mean(old * old)))
            change = math.sqrt(float(np.mean((new - old) ** 2))) / count
            each += [math.sqrt(sum(both) / 2), weight, change / weight if weight else math.nan]
        clip = self.model.optimizer.global_clipnorm
        clipped = bool(clip) and math.sqrt(squares[1]) > 0.98 * clip
        head = [position, count, squares[0], squares[1], products, float(clipped)]
        return np.array([*head, *each])

    def _write(self, row: np.ndarray, found: list[np.ndarray]) -> None:
        self._rows.append(row)
        if self._log_directory is None:
            return
        if self._file is None:
            self._file = EventFile(self._log_directory / "gradients")
        each = row[len(HEAD) :].reshape(-1, len(EACH))
        for (_, variable), values, gradient in zip(self._kernels, each, found, strict=True):
            name = kernel_name(variable.path)
            numbers = {f"{kind}/{name}": value for kind, value in zip(EACH, values, strict=True)}
            finite = {f"gradients/{name}": gradient} if np.isfinite(gradient).all() else {}
            self._file.write(int(row[0]), numbers, finite)

    def _accumulated(self) -> int:
        return getattr(self.model.optimizer, "gradient_accumulation_steps", None) or 1

    def _aligned(self, position: int) -> int:
        # With accumulation only every so many batches end in an update.
        return position + -(position + 1) % self._accumulated()


def add(log: dict[str, Any], names: list[str], rows: list[np.ndarray], *, batch_size: int) -> None:
    """Add the rows of one training to a log, which may have those of an earlier phase.

    A log is plain values for JSON. "layers": names of the kernels by depth. With one number for each observation:
    "step", of the first of its two batches, from 0; "updates" in an execution; "square" and "square_after", the squared
    norms of the gradients of both; "product", the inner product of the latter with the mean of the gradients before;
    "clipped", whether the optimizer clipped it; "batch_size", examples of an update. With a list of numbers for each,
    by layer: "gradient" and "weight", root mean squares over the entries of a kernel, and "ratio", of the update to the
    weight; NaN where a layer did not learn.

    Args:
        log: The log.
        names: Of the kernels.
        rows: Head, then three numbers for each kernel.
        batch_size: Examples of an update.
    """
    before = {kind: [dict(zip(log["layers"], values, strict=True)) for values in log[kind]] for kind in EACH if log}
    layers = [*names, *(name for name in log.get("layers", ()) if name not in names)]
    offset = log["step"][-1] + 1 if log.get("step") else 0
    log["layers"] = layers
    for place, name in enumerate(HEAD):
        log.setdefault(name, []).extend(float(row[place]) + (offset if name == "step" else 0) for row in rows)
    log.setdefault("batch_size", []).extend([batch_size] * len(rows))
    for place, kind in enumerate(EACH):
        now = [dict(zip(names, row[len(HEAD) :][place :: len(EACH)].tolist(), strict=True)) for row in rows]
        log[kind] = [[values.get(name, math.nan) for name in layers] for values in [*before.get(kind, ()), *now]]
