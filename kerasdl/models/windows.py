"""What a causal language model looks at: the size of its window, and what is seen once a text outgrows it."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from kerasdl import layers
from kerasdl.errors import InputError
from kerasdl.models import inputs


def context_length(count: Any, window: int | None) -> Any:
    """Return how many of the last of `count` tokens are looked at for the next one, at most `window`.

    When the window is full, the next token starts it again from its last half. It depends on `count` alone, so a text
    goes on in the same way whether it was written in one go, or is given as a prompt.

    Args:
        count: Number of tokens so far, an int tensor.
        window: Size of the window in tokens; None for no limit.
    """
    if window is None:
        return count
    half = max(window // 2, 1)
    return ops.where(count <= window, count, half + (count - window - 1) % (window - half + 1))


def window_of(model: keras.Model, window: int | None = None) -> int | None:
    """Return the largest number of tokens that `model` may look at, or None where nothing limits it.

    Args:
        model: A causal language model.
        window: A limit that is wanted, at most the model's own; None for that.

    Raises:
        InputError: If `window` is not a positive integer, or more than `model` can look at.
    """
    limits = [model.inputs[0].shape[1]]
    limits += [layer.embeddings.shape[0] for layer in model.layers if hasattr(layer, "embeddings") and _learned(layer)]
    own = min((limit for limit in limits if limit is not None), default=None)
    if window is None:
        return own
    window = inputs.check_integer("window", window)
    if own is not None and window > own:
        raise InputError(
            "window",
            received=window,
            expected=f"at most {own}, the number of positions that the model knows",
            mend=f"Try window={own}.",
        )
    return window


def _learned(layer: Any) -> bool:
    return isinstance(layer, layers.Positions) and layer.kind == "learned"
