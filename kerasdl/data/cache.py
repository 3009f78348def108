"""Where materialised images lie: in memory when they are few, else in an unlinked, memory-mapped temporary file."""

from __future__ import annotations

import tempfile
from typing import BinaryIO

import numpy as np

MEMORY_LIMIT = 2**30
"""Bytes of images of one split that stay in memory; more go to a file under `tempfile.gettempdir()`."""


class ImageWriter:
    """Collects batches of images of one shape into one array.

    The file has no name, so it takes no space once the array is gone, also after a kill.

    Example:
        >>> writer = ImageWriter()
        >>> writer.append(images)
        >>> array = writer.finish()
    """

    def __init__(self) -> None:
        self._batches: list[np.ndarray] = []
        self._bytes = 0
        self._count = 0
        self._file: BinaryIO | None = None

    def append(self, images: np.ndarray) -> None:
        """Add a batch of shape (count, ...), of one type. The batch is kept, not copied, while small."""
        self._batches.append(images)
        self._bytes += images.nbytes
        self._count += len(images)
        if self._bytes > MEMORY_LIMIT:
            if self._file is None:
                self._file = tempfile.TemporaryFile()  # noqa: SIM115, as it outlives this call
            for batch in self._batches:
                self._file.write(batch.tobytes())
            self._batches = []
            self._shape, self._type = images.shape[1:], images.dtype

    def finish(self) -> np.ndarray:
        """Return all images in order; an `np.memmap`, read-only, when they are more than `MEMORY_LIMIT` bytes."""
        if self._file is None:
            return np.concatenate(self._batches)
        with self._file:
            self._file.flush()
            return np.memmap(self._file, dtype=self._type, mode="r", shape=(self._count, *self._shape))
