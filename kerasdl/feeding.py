"""Batches of varying length, as Keras takes them on the backend in use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np


def varying(
    make: Callable[[], Iterator[tuple[Any, ...]]],
    *,
    like: tuple[Any, ...],
    otherwise: Any,
    count: int | None = None,
) -> Any:
    """Return what `fit`, `evaluate` and `predict` take where the length of the inputs varies from batch to batch.

    On TensorFlow, Keras takes the shapes of the first two batches of a generator or a PyDataset for those of all, and
    fails at the first batch that differs when these two are alike. A `tf.data.Dataset` says what varies.

    Args:
        make: Returns an iterator over batches (inputs, targets[, weights]); called anew for each pass.
        like: A batch.
        otherwise: The same batches as other backends take them.
        count: How many batches there are; None for no end.
    """
    if keras.backend.backend() != "tensorflow":
        return otherwise
    import tensorflow as tf

    inputs, *rest = (np.asarray(part) for part in like)
    specifications = [tf.TensorSpec((None, None, *inputs.shape[2:]), inputs.dtype)]
    specifications += [tf.TensorSpec((None, *part.shape[1:]), part.dtype) for part in rest]
    batches = tf.data.Dataset.from_generator(make, output_signature=tuple(specifications))
    # Not told, Keras warns at the end of each pass that the data ran out.
    return batches if count is None else batches.apply(tf.data.experimental.assert_cardinality(count))
