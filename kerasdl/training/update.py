"""What one update did: weights before and after, and the gradient behind it, from the optimizer's own memory.

Nothing here is part of the compiled step: it is looked at from outside, so that a training is the same to the bit
whether somebody looks or not, and nothing has to be compiled again.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import keras
import numpy as np

# Entries of a kernel that are looked at, spread over all of it: enough to tell sizes to a percent, whatever its size.
ENTRIES = 2**16
# Entries up to which a whole kernel is copied: picking some where they are takes longer.
WHOLE = 2**21


class Look(NamedTuple):
    """The state between two updates: of each kernel its weights, and what the optimizer remembers of its gradients."""

    learning_rate: float
    weights: list[np.ndarray]
    memory: list[np.ndarray | None]


def kernels(model: keras.Model) -> list[tuple[int, Any]]:
    """Return the trainable matrices of a model with their places among its trainable variables, by depth."""
    return [(index, each) for index, each in enumerate(model.trainable_variables) if len(each.shape) > 1]


def kernel_name(path: str) -> str:
    """Return how a kernel is called in tables: the path of its layer, and its own name where that is another."""
    return path.removesuffix("/kernel")


def sampled(variable: Any) -> np.ndarray:
    """Return a copy of at most some 65,000 entries of a variable, as a vector."""
    size = math.prod(variable.shape)
    stride = -(-size // ENTRIES)
    while math.gcd(stride, int(variable.shape[-1])) > 1:  # else all would be of the same few columns
        stride += 1
    if size > WHOLE:
        variable, stride = keras.ops.reshape(variable, (-1,))[::stride], 1
    # A copy: backends reuse their buffers.
    return np.array(keras.ops.convert_to_numpy(variable).ravel()[::stride], dtype=np.float32)


def look(model: keras.Model, chosen: list[tuple[int, Any]], *, last: bool = False) -> Look:
    """Look at a model that is being trained, between two batches.

    Args:
        model: The compiled model.
        chosen: What :func:`kernels` returned.
        last: Whether no update after this look will be watched; the learning rate is then left out.
    """
    if hasattr(model, "jax_state_sync"):
        model.jax_state_sync()
    inner = _inner(model.optimizer)
    memory = _memory(inner)
    # Only what SGD remembers depends on it; asking a schedule takes longer than all the rest.
    asked = isinstance(inner, keras.optimizers.SGD) and not last
    return Look(
        float(keras.ops.convert_to_numpy(inner.learning_rate)) if asked else math.nan,
        [sampled(variable) for _, variable in chosen],
        [None if not memory or memory[index] is None else sampled(memory[index]) for index, _ in chosen],
    )


def gradients(
    optimizer: keras.optimizers.Optimizer, chosen: list[tuple[int, Any]], before: Look, after: Look, *, count: int = 1
) -> list[np.ndarray]:
    """Return the gradients between two looks, as the optimizer got them: clipped if it clips, averaged if it averages.

    SGD, Adam and Muon keep a moving average of gradients, which turns back into the last one; RMSprop keeps one of
    their squares, and its steps have their signs. Over several updates it is their weighted mean.

    Args:
        optimizer: Of the model.
        chosen: What :func:`kernels` returned.
        before: The earlier look.
        after: The later one.
        count: Updates between them.

    Returns:
        The entries that were looked at, for each kernel; NaN for an optimizer of another kind.
    """
    inner = _inner(optimizer)
    shares = getattr(inner, "_shares", None)  # of the learning rate, see kerasdl.training.layerwise
    found = []
    for number, (index, _) in enumerate(chosen):
        rate = before.learning_rate * (shares[index] if shares else 1.0)
        step = after.weights[number] - before.weights[number]
        old, new = before.memory[number], after.memory[number]
        with np.errstate(divide="ignore", invalid="ignore"):
            gradient = _gradient(inner, index, step, old, new, rate, count)
        found.append(gradient if np.isfinite(gradient).all() else np.full_like(step, np.nan))
    return found


def _gradient(
    inner: Any, index: int, step: np.ndarray, old: np.ndarray | None, new: np.ndarray | None, rate: float, count: int
) -> np.ndarray:
    if isinstance(inner, keras.optimizers.SGD) and (old is None or new is None):
        return -step / (rate * count)
    if old is None or new is None:
        return np.full_like(step, np.nan)
    if isinstance(inner, keras.optimizers.SGD):
        return (inner.momentum**count * old - new) / (rate * _summed(inner.momentum, count))
    if isinstance(inner, keras.optimizers.RMSprop):
        kept = inner.rho**count
        return -np.sign(step) * np.sqrt(np.maximum(new - kept * old, 0) / (1 - kept))
    if isinstance(inner, keras.optimizers.Muon) and inner.adam_velocities[index] is None:
        return (new - inner.momentum**count * old) / _summed(inner.momentum, count)
    kept = (inner.adam_beta_1 if isinstance(inner, keras.optimizers.Muon) else inner.beta_1) ** count
    return (new - kept * old) / (1 - kept)


def averages(
    optimizer: keras.optimizers.Optimizer, chosen: list[tuple[int, Any]], state: Look, *, updates: int, rate: float
) -> list[np.ndarray | None]:
    """Return the mean of the last gradients, about ten of them, that SGD with momentum, Adam and Muon remember.

    Args:
        optimizer: Of the model.
        chosen: What :func:`kernels` returned.
        state: What was looked at.
        updates: How many there have been.
        rate: Learning rate of the last one; only SGD's memory depends on it.

    Returns:
        The entries that were looked at, for each kernel; None where an optimizer remembers no gradients.
    """
    inner = _inner(optimizer)
    shares = getattr(inner, "_shares", None)
    found: list[np.ndarray | None] = []
    for (index, _), memory in zip(chosen, state.memory, strict=True):
        if memory is None or isinstance(inner, keras.optimizers.RMSprop):
            found.append(None)
        elif isinstance(inner, keras.optimizers.SGD):
            scale = rate * (shares[index] if shares else 1.0) * _summed(inner.momentum, updates)
            found.append(-memory / scale if scale else None)
        elif isinstance(inner, keras.optimizers.Muon) and inner.adam_velocities[index] is None:
            found.append(memory / _summed(inner.momentum, updates))
        else:
            kept = inner.adam_beta_1 if isinstance(inner, keras.optimizers.Muon) else inner.beta_1
            found.append(memory / (1 - kept**updates))
    return found


def moved(before: Look, after: Look) -> bool:
    """Return whether there was an update between two looks."""
    pairs = zip((*before.weights, *before.memory), (*after.weights, *after.memory), strict=True)
    return any(one is not None and other is not None and not np.array_equal(one, other) for one, other in pairs)


def _summed(momentum: float, count: int) -> float:
    return (1 - momentum**count) / (1 - momentum)


def _inner(optimizer: Any) -> Any:
    return getattr(optimizer, "inner_optimizer", optimizer)  # of a LossScaleOptimizer


def _memory(inner: Any) -> Any:
    """Return what the optimizer remembers of the gradients of each variable, or nothing that could be turned back."""
    if isinstance(inner, (keras.optimizers.SGD, keras.optimizers.Muon)):
        return inner.momentums
    if isinstance(inner, keras.optimizers.RMSprop):
        return inner._velocities
    # Nadam's, too; the memory of other optimizers is not an average of gradients.
    return inner._momentums if isinstance(inner, (keras.optimizers.Adam, keras.optimizers.Nadam)) else None
