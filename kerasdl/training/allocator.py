"""Memory that one training step frees, kept for the next one: asking the system for it again costs more than it seems.

glibc gives what is freed in large pieces back to the system, which then maps and clears every page of it again: on a
processor up to a third of a training's time. What that comes to: `benchmarks/convnets.py`.
"""

from __future__ import annotations

import contextlib
import ctypes
import sys
from collections.abc import Iterator

# Of glibc's malloc.h. https://man7.org/linux/man-pages/man3/mallopt.3.html
TRIM_THRESHOLD, TOP_PAD, MMAP_THRESHOLD, MMAP_MAX = -1, -2, -3, -4
MEBIBYTE = 2**20
# Nothing is trimmed, no piece is mapped on its own, and heaps grow, and are kept, by so much at once.
KEEP = {TRIM_THRESHOLD: -1, MMAP_MAX: 0, TOP_PAD: 64 * MEBIBYTE}
# glibc's defaults; its thresholds are where it moves them itself once a large array was freed.
USUAL = {TRIM_THRESHOLD: 64 * MEBIBYTE, MMAP_THRESHOLD: 32 * MEBIBYTE, MMAP_MAX: 65536, TOP_PAD: 128 * 1024}


@contextlib.contextmanager
def keep_freed_memory() -> Iterator[None]:
    """Keep freed memory inside this context, and give it back at its end.

    The peak is about the same. Where memory is not managed by glibc, as on macOS, nothing changes.

    Example:
        >>> with keep_freed_memory():
        ...     model.fit(images, labels)
    """
    library = _glibc()
    if library is None:
        yield
        return
    _set(library, KEEP)
    try:
        yield
    finally:
        _set(library, USUAL)
        library.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    if sys.platform != "linux":
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "gnu_get_libc_version") else None


def _set(library: ctypes.CDLL, options: dict[int, int]) -> None:
    for option, value in options.items():
        library.mallopt(option, value)
