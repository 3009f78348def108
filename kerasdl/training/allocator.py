"""Memory that one training step frees, kept for the next one: asking the system for it again costs more than it seems.

glibc gives what is freed in large pieces back to the system, which then maps and clears every page of it again: on a
processor up to a third of a training's time. What that comes to: `benchmarks/training_speed.py`.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import threading
from collections.abc import Iterator

# Of glibc's malloc.h. https://man7.org/linux/man-pages/man3/mallopt.3.html
TRIM_THRESHOLD, TOP_PAD, MMAP_THRESHOLD, MMAP_MAX = -1, -2, -3, -4
MEBIBYTE = 2**20
# Heaps are not trimmed, large pieces come out of them too, and they grow, and are kept, by so much at once.
KEEP = {TRIM_THRESHOLD: -1, MMAP_MAX: 0, TOP_PAD: 64 * MEBIBYTE}
# Defaults; the two thresholds are the most to which glibc itself raises them as large pieces are freed.
USUAL = {TRIM_THRESHOLD: 64 * MEBIBYTE, MMAP_THRESHOLD: 32 * MEBIBYTE, MMAP_MAX: 65536, TOP_PAD: 128 * 1024}
# Whoever set one of these has decided already.
VARIABLES = (
    "MALLOC_TRIM_THRESHOLD_",
    "MALLOC_TOP_PAD_",
    "MALLOC_MMAP_THRESHOLD_",
    "MALLOC_MMAP_MAX_",
    "GLIBC_TUNABLES",
)

_lock = threading.Lock()
_inside = 0


@contextlib.contextmanager
def keep_freed_memory() -> Iterator[None]:
    """Keep freed memory inside this context, and give it back at its end, but for up to 64 MiB a thread.

    The peak is about the same. Afterwards glibc's thresholds stay where it would raise them itself at most. Where
    memory is not managed by glibc, as on macOS, or where its environment variables are set, nothing changes.

    Example:
        >>> with keep_freed_memory():
        ...     model.fit(images, labels)
    """
    library = _glibc()
    if library is None:
        yield
        return
    _enter(library)
    try:
        yield
    finally:
        _leave(library)


def _glibc() -> ctypes.CDLL | None:
    if sys.platform != "linux" or any(name in os.environ for name in VARIABLES):
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "gnu_get_libc_version") else None


def _enter(library: ctypes.CDLL) -> None:
    global _inside
    with _lock:
        _inside += 1
        if _inside == 1:
            _set(library, KEEP)


def _leave(library: ctypes.CDLL) -> None:
    # The settings are those of the process: of fits that overlap the last one resets them.
    global _inside
    with _lock:
        _inside -= 1
        if _inside == 0:
            _set(library, USUAL)
            library.malloc_trim(0)


def _set(library: ctypes.CDLL, options: dict[int, int]) -> None:
    for option, value in options.items():
        library.mallopt(option, value)
