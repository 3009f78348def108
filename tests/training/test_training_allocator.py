"""Memory that is kept for the next step: fewer pages to find, the same numbers, and given back at the end."""

from __future__ import annotations

import ctypes
import resource
import sys
from pathlib import Path

import numpy as np
import pytest

from kerasdl.training import allocator

glibc = pytest.mark.skipif(allocator._glibc() is None, reason="memory is not managed by glibc here")


def faults() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def churn() -> int:
    """Return the pages that 20 rounds of making and freeing 64 MiB have cost."""
    before = faults()
    for _ in range(20):
        pieces = [np.ones(8 * 2**20, np.uint8) for _ in range(8)]
        del pieces
    return faults() - before


@glibc
def test_freed_memory_is_used_again() -> None:
    with allocator.keep_freed_memory():
        churn()
        kept = churn()
    library = ctypes.CDLL(None)
    # As in a fresh process, before glibc has moved its threshold.
    library.mallopt(allocator.MMAP_THRESHOLD, 128 * 1024)
    try:
        given_back = churn()
    finally:
        library.mallopt(allocator.MMAP_THRESHOLD, allocator.USUAL[allocator.MMAP_THRESHOLD])
    assert kept < given_back / 20


@glibc
def test_memory_is_given_back_at_the_end() -> None:
    with allocator.keep_freed_memory():
        pieces = [np.ones(8 * 2**20, np.uint8) for _ in range(32)]
        full = resident()
        del pieces
        assert resident() > full - 64 * 2**20
    assert resident() < full - 192 * 2**20


@glibc
def test_it_ends_also_where_training_fails() -> None:
    full = 0

    @allocator.keep_freed_memory()
    def fail() -> None:
        nonlocal full
        pieces = [np.ones(8 * 2**20, np.uint8) for _ in range(32)]
        full = resident()
        del pieces
        raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        fail()
    assert resident() < full - 192 * 2**20


def test_elsewhere_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert allocator._glibc() is None
    with allocator.keep_freed_memory():
        pass
