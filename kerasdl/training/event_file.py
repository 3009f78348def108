"""What TensorBoard reads, written by its own writer."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np


class EventFile:
    """A file of numbers and histograms over steps, on every backend.

    TensorFlow's writer would have to be compiled, for longer than small networks train. Keras's callback needs
    TensorFlow on every backend, which takes seconds and memory to import, on a GPU that of another backend too.

    Args:
        folder: Where the file goes.
    """

    def __init__(self, folder: Path):
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self._writer = EventFileWriter(str(folder))

    def write(
        self, step: int, numbers: Mapping[str, float], histograms: Mapping[str, np.ndarray] | None = None
    ) -> None:
        """Add what belongs to a step, by its tags."""
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.plugins.histogram.summary_v2 import histogram_pb
        from tensorboard.plugins.scalar.summary_v2 import scalar_pb

        summaries = [scalar_pb(tag, value) for tag, value in numbers.items()]
        summaries += [histogram_pb(tag, values) for tag, values in (histograms or {}).items()]
        for summary in summaries:
            self._writer.add_event(Event(step=step, wall_time=time.time(), summary=summary))

    def flush(self) -> None:
        """Have all of it in the file."""
        self._writer.flush()

    def close(self) -> None:
        """Close the file."""
        self._writer.close()
