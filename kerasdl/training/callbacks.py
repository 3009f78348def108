"""What watches a training: its best epoch, its learning rate, its progress, and the log of its epochs."""

from __future__ import annotations

import math
import sys
import time
from pathlib import Path
from typing import Any

import keras
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from kerasdl.training.event_file import EventFile


class BestEpoch(keras.callbacks.EarlyStopping):
    """Keep the weights of the best epoch; an epoch whose monitored value is not finite is never the best.

    Keras compares with NaN as with any number, so that a first epoch with NaN would be kept for ever.

    Args:
        last: Take each epoch for better than those before, so that the last with a finite value is kept.
        keywords: Those of Keras's EarlyStopping.
    """

    def __init__(self, *, last: bool = False, **keywords: Any):
        super().__init__(**keywords)
        self._last = last

    def get_monitor_value(self, logs: dict[str, Any] | None) -> Any:
        """Return the monitored value, or None when it is not finite, which makes Keras pass over the epoch."""
        value = super().get_monitor_value(logs)
        return value if value is not None and math.isfinite(value) else None

    def _is_improvement(self, monitor_value: Any, reference_value: Any) -> bool:
        return self._last or bool(super()._is_improvement(monitor_value, reference_value))


class LearningRateRecord(keras.callbacks.Callback):
    """Put the learning rate that an epoch ended with into its logs, and so into the history."""

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Add "learning_rate" to `logs`."""
        if logs is not None:
            logs["learning_rate"] = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))


class EpochLog(keras.callbacks.Callback):
    """Write what an epoch ended with for TensorBoard, in the folders and under the names that Keras's callback takes.

    Args:
        directory: Where the folders "train" and "validation" go.
    """

    def __init__(self, directory: Path):
        super().__init__()
        self._directory = directory
        self._files: dict[str, EventFile] = {}

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Write the values of `logs`."""
        for name, value in (logs or {}).items():
            folder = "validation" if name.startswith("val_") else "train"
            if folder not in self._files:
                self._files[folder] = EventFile(self._directory / folder)
            self._files[folder].write(epoch, {f"epoch_{name.removeprefix('val_')}": float(value)})
        for file in self._files.values():
            file.flush()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Close the files."""
        for file in self._files.values():
            file.close()


class ProgressDisplay(keras.callbacks.Callback):
    """A live bar with epochs, time left and metrics on a terminal; one plain line an epoch elsewhere.

    Args:
        epochs: Epochs of the training.
        steps: Batches an epoch.
        plain: Print plain lines even on a terminal.
    """

    def __init__(self, *, epochs: int, steps: int, plain: bool = False):
        super().__init__()
        self._epochs = epochs
        self._steps = steps
        self._console = Console(highlight=False, soft_wrap=True, file=sys.stdout)
        self._live = self._console.is_terminal and not plain
        self._progress: Progress | None = None
        self._epoch_started = 0.0
        self._last: dict[str, Any] = {}

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Start the bar, on a terminal."""
        if self._live:
            self._progress = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
                TextColumn("{task.fields[metrics]}"),
                console=self._console,
                transient=True,
            )
            self._task = self._progress.add_task("epoch 1", total=self._epochs * self._steps, metrics="")
            self._progress.start()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Name the epoch."""
        self._epoch = epoch
        self._epoch_started = time.monotonic()
        if self._progress is not None:
            self._progress.update(self._task, description=f"epoch {epoch + 1}/{self._epochs}")

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Move the bar; the numbers are those of the step before, for which no device has to be waited for."""
        if self._progress is not None:
            self._progress.update(
                self._task, completed=self._epoch * self._steps + batch + 1, metrics=_metrics_line(self._last)
            )
            self._last = logs or {}

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Print the epoch's line."""
        done, seconds = epoch + 1, time.monotonic() - self._epoch_started
        # By this epoch alone: the first also had the compilation, and those before a resume were another process's.
        left = seconds * (self._epochs - done)
        self._console.print(
            f"epoch {done:>{len(str(self._epochs))}}/{self._epochs}  {seconds:5.1f} s  "
            f"left {_clock(left)}  {_metrics_line(logs or {})}",
        )

    def close(self) -> None:
        """Take the bar away; also called when training was interrupted, so that the terminal is left clean."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Take the bar away."""
        self.close()


def _metrics_line(logs: dict[str, Any]) -> str:
    # The parts of a loss of several outputs are in the history; a line has their sum.
    shown = {name: value for name, value in logs.items() if name in ("loss", "val_loss") or not name.endswith("_loss")}
    return "  ".join(f"{name} {float(value):.4g}" for name, value in shown.items() if name != "learning_rate")


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
