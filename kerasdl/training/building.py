"""The variables that a first training step would make, made before it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import keras


def build_variables(model: keras.Model, batch: Any) -> None:
    """Make the variables of a compiled model's optimizer and metrics.

    Left to the first step, a checkpoint could not restore them before it, and TensorFlow traces a step a second time
    whose first trace has made variables.

    Args:
        model: A compiled model.
        batch: Inputs, targets and perhaps weights of a batch; only their shapes and types count.
    """
    model.optimizer.build(model.trainable_variables)
    if keras.backend.backend() == "tensorflow":
        model._symbolic_build(data_batch=batch)  # for JAX, Keras does it itself


@contextlib.contextmanager
def no_batch_taken(model: keras.Model) -> Iterator[None]:
    """Keep Keras from taking a first batch to build variables by, where :func:`build_variables` has built them.

    It does so on several devices of TensorFlow, and training would begin with the second batch.
    """
    taking = getattr(model, "_distribute_strategy", None) is not None
    if taking:
        model._maybe_symbolic_build = _nothing
    try:
        yield
    finally:
        if taking:
            del model._maybe_symbolic_build


def _nothing(**arguments: Any) -> None:
    """Stand for what has been done."""
