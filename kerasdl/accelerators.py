"""The GPUs and TPUs that the backend computes on."""

from __future__ import annotations

import contextlib

import keras


def accelerators() -> list[str]:
    """Return the names of the GPUs and TPUs that the backend sees, such as "gpu:0"; of PyTorch the one that it uses."""
    if keras.backend.backend() == "torch":
        # Keras lists no devices of PyTorch: where it makes a tensor is where it computes; "meta" is a dry run.
        kind, _, number = str(getattr(keras.ops.zeros(()), "device", "cpu")).partition(":")
        return [] if kind in ("cpu", "meta") else [f"{'gpu' if kind == 'cuda' else kind}:{number or 0}"]
    found: list[str] = []
    for kind in ("gpu", "tpu"):
        # JAX raises where there is no such device.
        with contextlib.suppress(RuntimeError, AttributeError, NotImplementedError):
            found += keras.distribution.list_devices(kind)
    return found
