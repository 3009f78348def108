"""Series by convolutional networks: FCN and ResNet, from raw values to the logits of classes.

They see each time step together with its neighbours, average over time, and know any length. Padding on the
right, see `series_inputs`, changes no logit but for rounding.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import keras

from kerasdl import blocks, series_blocks
from kerasdl.errors import InputError, check_choice
from kerasdl.models import inputs
from kerasdl.models.series_inputs import series_input

KERNEL_SIZES = (8, 5, 3)
"""Those of FCN and of each block of the ResNet, as published."""


def fcn(
    input_shape: Sequence[int | None],
    num_classes: int,
    *,
    filters: Sequence[int] = (128, 256, 128),
    kernel_sizes: Sequence[int] = KERNEL_SIZES,
    activation: str = "relu",
    momentum: float = blocks.MOMENTUM,
    dropout: float = 0.0,
    mean: Sequence[float] | None = None,
    scale: Sequence[float] | None = None,
    l1: float = 0.0,
    l2: float = 0.0,
    name: str = "fcn",
) -> keras.Model:
    """Build a fully convolutional network that sorts series into classes.

    Args:
        input_shape: (length, channels), or (None, channels) for series of any length, padded by NaN on the right.
        num_classes: Number of logits, at least 2.
        filters: Channels of each convolution.
        kernel_sizes: Time steps that each convolution sees.
        activation: Name of a Keras activation.
        momentum: Of the moving statistics of batch normalization, in [0, 1).
        dropout: Share of features set to zero in training before the logits, in [0, 1).
        mean: Of each channel, subtracted from the raw values; None for 0.
        scale: Of each channel, divided by; None for 1.
        l1: Weight of the sum of absolute kernel weights in the loss.
        l2: Weight of the sum of squared kernel weights in the loss.
        name: Name of the model.

    Returns:
        An uncompiled model from "series", float32 of shape (batch, length, channels), to logits (batch, num_classes),
        float32.

    Raises:
        InputError: If an argument is outside the ranges above.

    Example:
        >>> model = fcn((150, 1), 2)

    Reference: Wang, Yan and Oates, Time series classification from scratch with deep neural networks, arXiv:1611.06455
    """
    num_classes = inputs.check_integer("num_classes", num_classes, minimum=2)
    dropout = inputs.check_share("dropout", dropout)
    regularizer = inputs.penalty(l1, l2)
    series, x, mask = series_input(input_shape, mean=mean, scale=scale)
    x = convolutions(
        x,
        mask,
        filters=filters,
        kernel_sizes=kernel_sizes,
        activation=activation,
        momentum=momentum,
        regularizer=regularizer,
    )
    x = dropped(series_blocks.average(x, mask), dropout)
    return keras.Model(series, blocks.logits(x, num_classes, regularizer=regularizer), name=name)


def convolutions(
    x: keras.KerasTensor,
    mask: keras.KerasTensor | None,
    *,
    filters: Sequence[int],
    kernel_sizes: Sequence[int],
    activation: str,
    momentum: float,
    regularizer: keras.regularizers.Regularizer | None,
) -> keras.KerasTensor:
    """Return `x` after the convolutions of an FCN, named "conv1" and so on; arguments are checked here."""
    filters = inputs.check_integers("filters", filters)
    kernel_sizes = inputs.check_integers("kernel_sizes", kernel_sizes)
    if len(filters) != len(kernel_sizes):
        raise InputError(
            "filters",
            received=f"{len(filters)} numbers with {len(kernel_sizes)} kernel_sizes",
            expected="as many of the one as of the other",
            mend="Pass for example filters=(128, 256, 128), kernel_sizes=(8, 5, 3).",
        )
    check_choice("activation", activation, blocks.ACTIVATIONS)
    momentum = inputs.check_share("momentum", momentum, example=0.9)
    for index, (channels, size) in enumerate(zip(filters, kernel_sizes, strict=True), start=1):
        x = series_blocks.convolution(
            x,
            channels,
            size,
            mask=mask,
            activation=activation,
            momentum=momentum,
            regularizer=regularizer,
            name=f"conv{index}",
        )
    return x


def time_series_resnet(
    input_shape: Sequence[int | None],
    num_classes: int,
    *,
    filters: Sequence[int] = (64, 128, 128),
    kernel_sizes: Sequence[int] = KERNEL_SIZES,
    activation: str = "relu",
    momentum: float = blocks.MOMENTUM,
    dropout: float = 0.0,
    mean: Sequence[float] | None = None,
    scale: Sequence[float] | None = None,
    l1: float = 0.0,
    l2: float = 0.0,
    name: str = "time_series_resnet",
) -> keras.Model:
    """Build a residual network that sorts series into classes: blocks of three convolutions with a shortcut each.

    Args:
        input_shape: As of `fcn`, as are the others.
        num_classes: Number of logits, at least 2.
        filters: Channels of each block.
        kernel_sizes: Time steps that each convolution of a block sees.
        activation: Name of a Keras activation.
        momentum: Of the moving statistics of batch normalization, in [0, 1).
        dropout: Share of features set to zero in training before the logits, in [0, 1).
        mean: Of each channel, subtracted from the raw values; None for 0.
        scale: Of each channel, divided by; None for 1.
        l1: Weight of the sum of absolute kernel weights in the loss.
        l2: Weight of the sum of squared kernel weights in the loss.
        name: Name of the model.

    Returns:
        An uncompiled model as of `fcn`.

    Raises:
        InputError: If an argument is outside the ranges above.

    Example:
        >>> model = time_series_resnet((None, 6), 4)

    Reference: Wang, Yan and Oates, arXiv:1611.06455
    """
    num_classes = inputs.check_integer("num_classes", num_classes, minimum=2)
    filters = inputs.check_integers("filters", filters)
    kernel_sizes = inputs.check_integers("kernel_sizes", kernel_sizes)
    check_choice("activation", activation, blocks.ACTIVATIONS)
    dropout = inputs.check_share("dropout", dropout)
    regularizer = inputs.penalty(l1, l2)
    series, x, mask = series_input(input_shape, mean=mean, scale=scale)
    conv = functools.partial(
        series_blocks.convolution,
        mask=mask,
        momentum=inputs.check_share("momentum", momentum, example=0.9),
        regularizer=regularizer,
    )
    for block, channels in enumerate(filters, start=1):
        label, y = f"block{block}", x
        for layer, size in enumerate(kernel_sizes, start=1):
            last = layer == len(kernel_sizes)
            y = conv(y, channels, size, activation=None if last else activation, name=f"{label}_conv{layer}")
        if x.shape[-1] != channels:
            x = conv(x, channels, 1, activation=None, name=f"{label}_shortcut")
        x = keras.layers.Add(name=f"{label}_add")([x, y])
        x = series_blocks.masked(keras.layers.Activation(activation, name=f"{label}_activation")(x), mask)
    x = dropped(series_blocks.average(x, mask), dropout)
    return keras.Model(series, blocks.logits(x, num_classes, regularizer=regularizer), name=name)


def dropped(x: keras.KerasTensor, dropout: float) -> keras.KerasTensor:
    """Return features with a share of them set to zero in training, if any."""
    return keras.layers.Dropout(dropout, name="features_dropout")(x) if dropout else x
