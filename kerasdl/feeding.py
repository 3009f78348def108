"""Batches as Keras takes them on the backend in use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import keras

# Batches that are made ahead while the model computes.
AHEAD = 4


def source(
    make: Callable[[], Iterator[tuple[Any, ...]]],
    *,
    varying: bool,
    otherwise: Any,
    count: int | None = None,
) -> Any:
    """Return what `fit`, `evaluate` and `predict` take.

    On TensorFlow that is a `tf.data.Dataset`, for two reasons. Of a generator or a PyDataset Keras takes the shapes of
    the first two batches for those of all, and fails at the first that differs when these two are alike. And what it
    makes of them lets TensorFlow tune how many batches are made ahead, in a thread that sleeps up to a minute between
    two looks and that the end of a training waits for.

    Args:
        make: Returns an iterator over batches (inputs, targets[, weights]); called anew for each pass.
        varying: Whether the length of the inputs, their second dimension, varies from batch to batch.
        otherwise: The same batches as other backends take them.
        count: How many batches there are; None for no end.
    """
    if keras.backend.backend() != "tensorflow":
        return otherwise
    import tensorflow as tf

    def specification(part: Any, *lengths: None) -> Any:
        return keras.tree.map_structure(
            lambda array: tf.TensorSpec((None, *lengths, *array.shape[1 + len(lengths) :]), array.dtype), part
        )

    inputs, *rest = next(make())
    specifications = specification(inputs, *[None] * varying), *map(specification, rest)
    batches = tf.data.Dataset.from_generator(make, output_signature=specifications)
    if count is not None:
        # Not told, Keras warns at the end of each pass that the data ran out.
        batches = batches.apply(tf.data.experimental.assert_cardinality(count))
    options = tf.data.Options()
    options.autotune.enabled = False
    return batches.prefetch(AHEAD).with_options(options)
