"""Memory that is kept for the next step: fewer pages to find, and given back at the end."""

from __future__ import annotations

import ctypes
import resource
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from kerasdl.training import allocator

glibc = pytest.mark.skipif(allocator._glibc() is None, reason="memory is not glibc's, or set by a variable")


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[dict[int, int]]:
    """What would be set, in order, on a machine with glibc."""
    found: list[dict[int, int]] = []
    monkeypatch.setattr(allocator, "_glibc", lambda: ctypes.CDLL(None))
    monkeypatch.setattr(allocator, "_set", lambda _, options: found.append(options))
    return found


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


def test_fits_that_overlap_reset_it_once(recorded: list[dict[int, int]]) -> None:
    outer, inner = allocator.keep_freed_memory(), allocator.keep_freed_memory()
    outer.__enter__()
    inner.__enter__()
    outer.__exit__(None, None, None)
    assert recorded == [allocator.KEEP]
    inner.__exit__(None, None, None)
    assert recorded == [allocator.KEEP, allocator.USUAL]


def test_every_fit_does_it(recorded: list[dict[int, int]], build: Any, train: Any) -> None:
    seen: list[list[dict[int, int]]] = []

    class Look(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            seen.append(list(recorded))

    train(build(), callbacks=[Look()])
    assert seen
    assert all(each == [allocator.KEEP] for each in seen)
    assert recorded == [allocator.KEEP, allocator.USUAL]


@pytest.mark.parametrize("elsewhere", ["system", "variable"])
def test_elsewhere_nothing_changes(
    elsewhere: str, recorded: list[dict[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(allocator, "_set", lambda _, options: recorded.append(options))
    if elsewhere == "system":
        monkeypatch.setattr(sys, "platform", "darwin")
    else:
        monkeypatch.setenv("MALLOC_TOP_PAD_", "1000000")
    with allocator.keep_freed_memory():
        pass
    assert recorded == []
