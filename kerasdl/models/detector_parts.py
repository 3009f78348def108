"""The parts of a detector: feature maps of a backbone, the pyramid over them, the branches of the head, the outputs.

A feature map is known by its stride, the pixels of the image between two of its points.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import keras

from kerasdl import blocks
from kerasdl.errors import InputError
from kerasdl.locations import grids


def residual_maps(
    x: keras.KerasTensor, filters: Sequence[int], num_layers: Sequence[int], **options: Any
) -> dict[int, keras.KerasTensor]:
    """Return the feature maps of a small residual network at strides 4, 8 and so on.

    Args:
        x: Image of shape (batch, height, width, channels), scaled.
        filters: Channels of each stage; each halves height and width, as the stem does.
        num_layers: Residual blocks of each stage.
        **options: Activation, normalization, momentum and regularizer of the blocks.
    """
    x = blocks.convolution(x, filters[0], 3, strides=2, name="stem_conv", **options)
    maps = {}
    for stage, (channels, count) in enumerate(zip(filters, num_layers, strict=True), start=1):
        for block in range(1, count + 1):
            strides = 2 if block == 1 else 1
            x = blocks.residual(x, channels, strides=strides, name=f"stage{stage}_block{block}", **options)
        maps[2 ** (stage + 1)] = x
    return maps


def maps_of(network: keras.Model, strides: Sequence[int]) -> dict[int, keras.KerasTensor]:
    """Return the last feature map of a backbone at each stride.

    Args:
        network: From an image to its last feature map, made by :func:`kerasdl.models.features` without pooling.
        strides: Up to 32.

    Raises:
        InputError: If there is none at a stride.
    """
    height, width = network.input.shape[1:3]
    maps = {}
    for stride, grid in zip(strides, grids((height, width), strides), strict=True):
        # The last map of a size is the one that has seen most.
        fitting = [tensor for tensor in _maps(network) if tuple(tensor.shape[1:3]) == grid]
        if not fitting:
            raise InputError(
                "backbone",
                received=f"{network.name} without a feature map of {grid} for images of {(height, width)}",
                expected=f"one at stride {stride}",
                mend="Take another backbone, such as efficientnet_lite0, other strides, or larger images.",
            )
        maps[stride] = fitting[-1]
    return maps


def _maps(network: keras.Model) -> list[keras.KerasTensor]:
    outputs = [layer.output for layer in network.layers]
    return [tensor for tensor in outputs if isinstance(tensor, keras.KerasTensor) and len(tensor.shape) == 4]


def pyramid(
    maps: dict[int, keras.KerasTensor], strides: Sequence[int], width: int, *, activation: str, **options: Any
) -> list[keras.KerasTensor]:
    """Return the levels of a feature pyramid (arXiv:1612.03144): a coarse map is enlarged and added to the finer one.

    Args:
        maps: Of the backbone.
        strides: Of the levels; one without a map is made of the level before it.
        width: Channels of all levels.
        activation: Name of a Keras activation.
        **options: Normalization, momentum and regularizer of the convolutions.
    """
    conv: Callable[..., keras.KerasTensor] = functools.partial(blocks.convolution, **options)
    found: dict[int, keras.KerasTensor] = {}
    above = None
    for stride in sorted(maps.keys() & set(strides), reverse=True):
        x = conv(maps[stride], width, 1, activation=None, name=f"pyramid{stride}_lateral")
        if above is not None:
            x = keras.layers.Add(name=f"pyramid{stride}_add")([x, _enlarge(above, x.shape, f"pyramid{stride}")])
        above = x
        found[stride] = conv(x, width, activation=activation, name=f"pyramid{stride}_conv")
    for stride in strides:
        if stride not in found:
            found[stride] = conv(
                found[stride // 2], width, strides=2, activation=activation, name=f"pyramid{stride}_conv"
            )
    return [found[stride] for stride in strides]


def _enlarge(x: keras.KerasTensor, shape: Sequence[int], name: str) -> keras.KerasTensor:
    x = keras.layers.UpSampling2D(2, name=f"{name}_upsampling")(x)
    excess = (x.shape[1] - shape[1], x.shape[2] - shape[2])
    if not any(excess):
        return x
    # A grid of an odd number of points was rounded up when it was halved.
    return keras.layers.Cropping2D(((0, excess[0]), (0, excess[1])), name=f"{name}_cropping")(x)


def branch(
    levels: Sequence[keras.KerasTensor],
    width: int,
    depth: int,
    *,
    activation: str,
    normalization: str | None,
    momentum: float,
    regularizer: keras.regularizers.Regularizer | None,
    dropout: float,
    name: str,
) -> list[keras.KerasTensor]:
    """Return what the convolutions of one branch of the head make of each level.

    The convolutions are the same for all levels. So is their normalization, but a batch normalization is each level's
    own: the levels differ in their statistics (arXiv:1911.09070).

    Args:
        levels: Of the pyramid.
        width: Channels.
        depth: Number of convolutions.
        activation: Name of a Keras activation.
        normalization: As in `blocks.normalize`.
        momentum: As in `blocks.normalize`.
        regularizer: Of the kernels.
        dropout: Share of features set to zero in training, after the last.
        name: First part of the names of all layers.
    """
    found = list(levels)
    for number in range(1, depth + 1):
        label = f"{name}_conv{number}"
        conv = keras.layers.Conv2D(
            width,
            3,
            padding="same",
            use_bias=normalization is None,
            kernel_initializer=blocks.initializer(activation),
            kernel_regularizer=regularizer,
            name=label,
        )
        found = [conv(x) for x in found]
        if normalization == "batch":
            names = [f"{label}_norm{level}" for level in range(1, len(found) + 1)]
            found = [blocks.normalize(x, "batch", momentum=momentum, name=n) for x, n in zip(found, names, strict=True)]
        elif normalization is not None:
            shared = blocks.normalization_layer(normalization, width, name=f"{label}_norm")
            found = [shared(x) for x in found]
        act = keras.layers.Activation(activation, name=f"{label}_activation")
        found = [act(x) for x in found]
    drop = keras.layers.Dropout(dropout, name=f"{name}_dropout") if dropout else None
    return found if drop is None else [drop(x) for x in found]


def output(
    levels: Sequence[keras.KerasTensor],
    channels: int,
    *,
    bias: Any,
    regularizer: keras.regularizers.Regularizer | None,
    strides: Sequence[int] | None = None,
    name: str,
) -> keras.KerasTensor:
    """Return one output at all locations, (batch, locations, channels), in float32 whatever the precision policy.

    Args:
        levels: What a branch made of each level.
        channels: Numbers at each location.
        bias: Initializer of the bias.
        regularizer: Of the kernel.
        strides: If given, the numbers become lengths in pixels: a softplus in units of the stride.
        name: Name of the last layer.
    """
    conv = keras.layers.Conv2D(
        channels,
        3,
        padding="same",
        # Small, so that the start is what the bias says, on every level (arXiv:1708.02002, section 4.1).
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
        bias_initializer=bias,
        kernel_regularizer=regularizer,
        dtype="float32",
        name=f"{name}_conv",
    )
    flat = []
    for level, x in enumerate(levels, start=1):
        x = keras.layers.Reshape((-1, channels), dtype="float32", name=f"{name}_flat{level}")(conv(x))
        if strides is not None:
            x = keras.layers.Activation("softplus", dtype="float32", name=f"{name}_positive{level}")(x)
            x = keras.layers.Rescaling(float(strides[level - 1]), dtype="float32", name=f"{name}_pixels{level}")(x)
        flat.append(x)
    if len(flat) == 1:
        return keras.layers.Identity(dtype="float32", name=name)(flat[0])
    return keras.layers.Concatenate(axis=1, dtype="float32", name=name)(flat)
