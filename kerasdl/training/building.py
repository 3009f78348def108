"""The variables that a first training step would make, made before it."""

from __future__ import annotations

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
