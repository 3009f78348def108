"""What the machine is, and the precision that a model is built in."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
from collections.abc import Iterator

import keras

from kerasdl.accelerators import accelerators

POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}


@contextlib.contextmanager
def precision_policy(precision: str) -> Iterator[None]:
    """Build layers in `precision` inside this context; weights stay float32 and so do the logits.

    Args:
        precision: "float32", "bfloat16" or "float16" (mixed: computation in 16 bits, variables in 32).

    Example:
        >>> with precision_policy("bfloat16"):
        ...     model = kerasdl.models.cnn((28, 28, 1), 10)
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(POLICIES[precision])
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def describe_hardware() -> dict[str, object]:
    """Return the processor, its cores and the accelerators that the backend sees, as plain values."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "accelerators": accelerators(),
        "system": platform.system(),
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()


def versions() -> dict[str, str]:
    """Return the versions of what a run's numbers depend on."""
    backend = keras.backend.backend()
    packages = ["kerasdl", "keras", backend, "numpy"]
    found = {"python": platform.python_version(), "backend": backend}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:  # run from a source tree that is not installed
            continue
    return found
