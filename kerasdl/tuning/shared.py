"""A dataset that several processes read and none copies: its arrays lie in one file that all of them map.

The file is written by a search for its own children and removed by it; nothing else ever reads it.
"""

from __future__ import annotations

import mmap
import os
import pickle
from pathlib import Path
from typing import Any

HEAD_FILE, BUFFERS_FILE = "data.head", "data.buffers"
ALIGNMENT = 64


def write(folder: Path, dataset: Any) -> None:
    """Write a dataset for :func:`read`.

    Args:
        folder: A private folder that exists.
        dataset: Any object whose bulk is arrays.
    """
    buffers: list[pickle.PickleBuffer] = []
    head = pickle.dumps(dataset, protocol=5, buffer_callback=buffers.append)
    places = []
    for name in (HEAD_FILE, BUFFERS_FILE):
        (folder / name).unlink(missing_ok=True)
    with open(os.open(folder / BUFFERS_FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        for buffer in buffers:
            file.write(b"\0" * (-file.tell() % ALIGNMENT))
            raw = buffer.raw()
            places.append((file.tell(), raw.nbytes))
            file.write(raw)
    with open(os.open(folder / HEAD_FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        pickle.dump((places, head), file)


def read(folder: Path) -> Any:
    """Return the dataset; its arrays are read only and share their memory with every process that reads them."""
    with open(folder / HEAD_FILE, "rb") as file:
        places, head = pickle.load(file)  # noqa: S301 - written by the parent process for this one
    with open(folder / BUFFERS_FILE, "rb") as file:
        empty = os.fstat(file.fileno()).st_size == 0
        content = memoryview(b"" if empty else mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    return pickle.loads(head, buffers=[content[start : start + size] for start, size in places])  # noqa: S301
