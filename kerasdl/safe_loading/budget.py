"""A limit on the weights that are made while a model is built from a configuration that nobody vouches for."""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Iterator
from typing import Any

import keras

# The states of generators of dropout and the like, which are many and small.
_SPARE = 1 << 16
_LOCK = threading.RLock()


@contextlib.contextmanager
def limited_weights(elements: int) -> Iterator[None]:
    """Let layers make about as many weights as `elements` in this block and thread, and no more.

    Every layer of Keras and of the kit makes its weights by `add_weight`, which is replaced for the time being: there
    a size is known before anything is allocated. `Dense(10**9)` is a few bytes of configuration.

    Args:
        elements: Numbers that the weights may have together.

    Raises:
        ValueError: In `add_weight`, for the first weight that is too many.
    """
    original, builder = keras.layers.Layer.add_weight, threading.get_ident()
    left = elements + _SPARE

    def add_weight(self: keras.layers.Layer, *arguments: Any, **keywords: Any) -> Any:
        nonlocal left
        if threading.get_ident() == builder:
            shape = keywords.get("shape") or (arguments[0] if arguments else ())
            sides = [shape] if isinstance(shape, int) else list(shape)
            if not all(isinstance(side, int) and side >= 0 for side in sides):
                raise ValueError(f"a weight of shape {str(shape)[:80]}")
            left -= math.prod(sides)
            if left < 0:
                raise ValueError(f"weights for more than the {elements} numbers that the file has")
        return original(self, *arguments, **keywords)

    # One at a time, or the last to end would leave the other's method in place.
    with _LOCK:
        keras.layers.Layer.add_weight = add_weight
        try:
            yield
        finally:
            keras.layers.Layer.add_weight = original
