"""Blocks of convolutional networks on series: functions from tensor to tensor that respect padding.

A mask is booleans (batch, length), false at padding, which stands on the right; None where there is none. What comes
out of a block is zero at padding, as a convolution's own padding is, so that nothing depends on how much there is.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from kerasdl import blocks

# Lower than any value of a network in float32; what float16 makes of it, minus infinity, is right too.
_LOWEST = -1e30


def masked(x: keras.KerasTensor, mask: keras.KerasTensor | None) -> keras.KerasTensor:
    """Return `x` (batch, length, features) with zeros where `mask` (batch, length) is false, as it is without one."""
    return x if mask is None else ops.where(ops.expand_dims(mask, -1), x, ops.zeros_like(x))


def readable(mask: keras.KerasTensor | None) -> keras.KerasTensor | None:
    """Return a mask whose first step is always true: cuDNN refuses a series of padding only, which stays all zeros."""
    return None if mask is None else ops.concatenate([ops.ones_like(mask[:, :1]), mask[:, 1:]], axis=1)


def convolution(
    x: keras.KerasTensor,
    filters: int,
    kernel_size: int,
    *,
    mask: keras.KerasTensor | None = None,
    activation: str | None = "relu",
    momentum: float = blocks.MOMENTUM,
    regularizer: keras.regularizers.Regularizer | None = None,
    name: str,
) -> keras.KerasTensor:
    """Convolution along time, batch normalization, activation.

    Args:
        x: Tensor of shape (batch, length, channels), zero at padding.
        filters: Number of output channels.
        kernel_size: Time steps that each output sees.
        mask: Where there is no padding.
        activation: Name of a Keras activation, or None for none.
        momentum: Of the moving statistics, which are of what is not padding.
        regularizer: Of the kernel.
        name: Name of the convolution and first part of the names of the layers after it.

    Returns:
        Tensor of shape (batch, length, filters), zero at padding.

    Example:
        >>> x = convolution(x, 128, 8, mask=mask, name="conv1")
    """
    x = keras.layers.Conv1D(
        filters,
        kernel_size,
        padding="same",
        use_bias=False,
        kernel_initializer=blocks.initializer(activation),
        kernel_regularizer=regularizer,
        name=name,
    )(x)
    return normalized(x, mask=mask, activation=activation, momentum=momentum, name=name)


def normalized(
    x: keras.KerasTensor,
    *,
    mask: keras.KerasTensor | None,
    activation: str | None = "relu",
    momentum: float = blocks.MOMENTUM,
    name: str,
) -> keras.KerasTensor:
    """Batch normalization of what is not padding, and activation; see :func:`convolution`."""
    options: dict[str, Any] = {} if mask is None else {"mask": mask}
    x = keras.layers.BatchNormalization(momentum=momentum, name=f"{name}_norm")(x, **options)
    if activation is not None:
        x = keras.layers.Activation(activation, name=f"{name}_activation")(x)
    return masked(x, mask)


def highest_near(
    x: keras.KerasTensor, size: int, *, mask: keras.KerasTensor | None = None, name: str
) -> keras.KerasTensor:
    """Return for each time step the highest of the `size` around it, zero at padding; the length stays."""
    if mask is not None:
        x = ops.where(ops.expand_dims(mask, -1), x, ops.full_like(x, _LOWEST))
    return masked(keras.layers.MaxPooling1D(size, strides=1, padding="same", name=name)(x), mask)


def average(x: keras.KerasTensor, mask: keras.KerasTensor | None) -> keras.KerasTensor:
    """Return the mean over the time steps that are not padding, float32 (batch, channels); zeros if none is."""
    x = ops.cast(masked(x, mask), "float32")
    if mask is None:
        return ops.mean(x, axis=1)
    count = ops.sum(ops.cast(mask, "float32"), axis=1, keepdims=True)
    return ops.sum(x, axis=1) / ops.maximum(count, 1.0)
