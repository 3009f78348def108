"""The callback that makes a training resumable: it saves when it is time, restores at the start, and heeds signals."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import keras

from kerasdl.training.batches import TrainingBatches
from kerasdl.training.checkpoint import (
    BackgroundWriter,
    Pace,
    capture,
    read_newest,
    restore,
    restore_metrics,
    restore_random_states,
)


class TrainingInterrupted(KeyboardInterrupt):
    """A signal stopped the training; everything is saved, and the same call with `resume=True` goes on."""


class Resumable(keras.callbacks.Callback):
    """Save checkpoints and go on from the newest one. It must be the last callback: the others reset themselves first.

    Args:
        folder: Where checkpoints lie.
        batches: The training's batches.
        stateful: The callbacks whose state belongs to the training.
        every: "epoch" saves after an epoch when saving has taken no more than 1 % of the time, and after the last one;
            or a number of batches, or seconds as in "60s".
        epochs: Epochs of the whole training.
        resume: Whether to go on from a checkpoint that is there.
    """

    def __init__(
        self,
        folder: Path,
        *,
        batches: TrainingBatches,
        stateful: Sequence[keras.callbacks.Callback],
        every: int | str = "epoch",
        epochs: int,
        resume: bool = False,
    ):
        super().__init__()
        self._folder = folder
        self._batches = batches
        self._stateful = list(stateful)
        self._every_batches = every if isinstance(every, int) else None
        self._every_seconds = float(every[:-1]) if isinstance(every, str) and every.endswith("s") else None
        self._epochs = epochs
        self._writer = BackgroundWriter()
        self._pace = Pace()
        self._history: dict[str, list[float]] = {}
        self._found = read_newest(folder) if resume else None
        self.start: int = self._found[1]["position"] if self._found else 0
        self._first_step = self._skipped = 0
        self._cut_short = False
        self._signal: int | None = None
        self._handlers: dict[int, Any] = {}
        self._saved_at = time.monotonic()
        self._saved_position = self.start
        self._epoch = 0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Restore the newest checkpoint, and take over SIGINT and SIGTERM."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self.model._initial_epoch = 0  # Keras keeps it from one fit to the next
        if self._found is not None:
            arrays, facts = self._found
            restore(self.model, self._stateful, arrays, facts)
            self._history = facts["history"]
            self.model.history.history = {name: list(values) for name, values in self._history.items()}
            epoch, self._skipped = divmod(self.start, self._batches.steps)
            # A training that had stopped early has no epochs left.
            self.model._initial_epoch = self._epochs if facts["stopped"] else epoch
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._handlers[number] = signal.signal(number, self._note_signal)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Begin the epoch at its first batch, or where a checkpoint left it."""
        self._epoch = epoch
        self._first_step, self._skipped = self._skipped, 0
        if self._first_step and self._found is not None:
            restore_metrics(self.model, self._batches[self.start], self._found[0])

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Restore the last of the checkpoint: PyTorch's random state."""
        if self._found is not None:
            restore_random_states(self._found[0])
            self._found = None

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Save when it is time, and stop when a signal asked for it."""
        step = self._first_step + batch + 1
        if self._signal is not None:
            self._stop(step)
        # The last batch is left to the end of the epoch, which has the validation too.
        if step < self._batches.steps and self._is_time(step):
            self._save(self._epoch * self._batches.steps + step)
        if self._first_step and step == self._batches.steps and not self.model.stop_training:
            # Ends this epoch, whose first batches another process trained; taken back before anybody else looks.
            self.model.stop_training = self._cut_short = True

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Go on after the epoch that was cut short."""
        if self._cut_short:
            self.model.stop_training = self._cut_short = False

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Add the epoch to the history and save."""
        for name, value in (logs or {}).items():
            self._history.setdefault(name, []).append(float(value))
        last = epoch + 1 == self._epochs or self.model.stop_training
        if last or self._signal is not None or self._is_time_after_epoch():
            self._save((epoch + 1) * self._batches.steps)
        if self._signal is not None:
            self._finish_and_say(epoch + 1, 0)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Wait for the disk and give the signals back."""
        self.model._initial_epoch = 0
        self.close()

    def close(self) -> None:
        """Wait for the disk and give the signals back; also called when training failed."""
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers = {}
        self._writer.wait()

    def _is_time_after_epoch(self) -> bool:
        if self._every_seconds is not None:
            return self._is_time(0)
        return self._every_batches is not None or self._pace.is_due()

    def _is_time(self, step: int) -> bool:
        if self._every_seconds is not None:
            return time.monotonic() - self._saved_at >= self._every_seconds
        if self._every_batches is None:
            return False
        # Several batches may have run at once: has a multiple been passed since the last time?
        position = self._epoch * self._batches.steps + step
        return position // self._every_batches > self._saved_position // self._every_batches

    def _save(self, position: int) -> None:
        begun = time.monotonic()
        arrays, facts = capture(self.model, self._stateful)
        facts |= {"position": position, "history": self._history, "stopped": bool(self.model.stop_training)}
        self._writer.write(self._folder, position, arrays, facts)
        self._saved_at, self._saved_position = time.monotonic(), position
        # Writing goes on beside the training; what it takes of the processor is known for the one before.
        self._pace.spent(self._saved_at - begun + self._writer.seconds)

    def _note_signal(self, number: int, frame: FrameType | None) -> None:
        if self._signal is not None:  # asked twice: at once, the last checkpoint stands
            raise KeyboardInterrupt
        self._signal = number

    def _stop(self, step: int) -> None:
        if step == self._batches.steps:
            return  # the epoch's end comes first
        self._save(self._epoch * self._batches.steps + step)
        self._finish_and_say(self._epoch, step)

    def _finish_and_say(self, epoch: int, step: int) -> None:
        self._writer.wait()
        where = f"after {epoch} epochs" + (f" and {step} batches" if step else "")
        raise TrainingInterrupted(
            f"Stopped by {signal.Signals(self._signal or signal.SIGINT).name} {where}; everything is saved in "
            f"{self._folder}. The same call with resume=True goes on."
        )
