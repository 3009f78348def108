"""Series by an Inception network, which looks at several widths of time side by side."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from kerasdl import blocks, series_blocks
from kerasdl.errors import check_choice
from kerasdl.models import inputs
from kerasdl.models.series_convolutional import dropped
from kerasdl.models.series_inputs import series_input


def inception_time(
    input_shape: Sequence[int | None],
    num_classes: int,
    *,
    num_layers: int = 6,
    filters: int = 32,
    kernel_sizes: Sequence[int] = (40, 20, 10),
    activation: str = "relu",
    momentum: float = blocks.MOMENTUM,
    dropout: float = 0.0,
    mean: Sequence[float] | None = None,
    scale: Sequence[float] | None = None,
    l1: float = 0.0,
    l2: float = 0.0,
    name: str = "inception_time",
) -> keras.Model:
    """Build one Inception network that sorts series into classes, of the five whose mean the paper calls InceptionTime.

    Each module looks at several widths side by side: a convolution of width 1 down to few channels, convolutions of
    each kernel size on what it gives, and a maximum over 3 steps followed by a convolution of width 1; all of them
    concatenated, normalized, activated. Around every third module there is a shortcut.

    Args:
        input_shape: As of `fcn`, as are the others.
        num_classes: Number of logits, at least 2.
        num_layers: Number of modules.
        filters: Channels of each convolution; a module puts out as many for each kernel size, and once more.
        kernel_sizes: Time steps that the convolutions of a module see.
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
        >>> model = inception_time((150, 1), 2)

    Reference: Ismail Fawaz et al., InceptionTime: finding AlexNet for time series classification, arXiv:1909.04939
    """
    num_classes = inputs.check_integer("num_classes", num_classes, minimum=2)
    num_layers, filters = inputs.check_integer("num_layers", num_layers), inputs.check_integer("filters", filters)
    kernel_sizes = inputs.check_integers("kernel_sizes", kernel_sizes)
    check_choice("activation", activation, blocks.ACTIVATIONS)
    momentum = inputs.check_share("momentum", momentum, example=0.9)
    dropout = inputs.check_share("dropout", dropout)
    regularizer = inputs.penalty(l1, l2)
    series, x, mask = series_input(input_shape, mean=mean, scale=scale)

    def conv(x: keras.KerasTensor, size: int, *, name: str) -> keras.KerasTensor:
        return keras.layers.Conv1D(
            filters,
            size,
            padding="same",
            use_bias=False,
            kernel_initializer=blocks.initializer(activation),
            kernel_regularizer=regularizer,
            name=name,
        )(x)

    before = x
    for module in range(1, num_layers + 1):
        label = f"module{module}"
        narrow = conv(x, 1, name=f"{label}_bottleneck") if x.shape[-1] > 1 else x
        columns = [conv(narrow, size, name=f"{label}_conv{index}") for index, size in enumerate(kernel_sizes, start=1)]
        highest = series_blocks.highest_near(x, 3, mask=mask, name=f"{label}_max")
        columns.append(conv(highest, 1, name=f"{label}_max_conv"))
        x = keras.layers.Concatenate(name=f"{label}_columns")(columns)
        x = series_blocks.normalized(x, mask=mask, activation=activation, momentum=momentum, name=label)
        if module % 3 == 0:
            shortcut = series_blocks.convolution(
                before,
                x.shape[-1],
                1,
                mask=mask,
                activation=None,
                momentum=momentum,
                regularizer=regularizer,
                name=f"{label}_shortcut",
            )
            x = keras.layers.Add(name=f"{label}_add")([shortcut, x])
            x = series_blocks.masked(keras.layers.Activation(activation, name=f"{label}_sum_activation")(x), mask)
            before = x
    x = dropped(series_blocks.average(x, mask), dropout)
    return keras.Model(series, blocks.logits(x, num_classes, regularizer=regularizer), name=name)
