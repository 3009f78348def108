"""Residual networks for images: the general ResNet, its published sizes, and the small ResNet-9."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import keras

from kerasdl import blocks, checks
from kerasdl.errors import InputError, check_choice
from kerasdl.models import inputs


def resnet(
    input_shape: Sequence[int],
    num_classes: int,
    *,
    filters: Sequence[int] = (64, 128, 256, 512),
    num_layers: Sequence[int] = (2, 2, 2, 2),
    bottleneck: bool = False,
    stem: str = "auto",
    activation: str = "relu",
    normalization: str | None = "batch",
    momentum: float = blocks.MOMENTUM,
    dropout: float = 0.0,
    spatial_dropout: float = 0.0,
    stochastic_depth: float = 0.0,
    l1: float = 0.0,
    l2: float = 0.0,
    name: str = "resnet",
) -> keras.Model:
    """Build a residual network for images.

    A stem, stages of residual blocks, global average pooling, logits. Every stage but the first halves height and
    width. The shortcuts carry the gradient past the layers, so that deep networks train: the mend for vanishing
    gradients. Each branch starts as zero, each block thus as its shortcut.

    Args:
        input_shape: (height, width, channels) of uint8 images in pixels, scaled to [-1, 1] inside. Any size.
        num_classes: Number of logits, at least 2.
        filters: Channels of each stage; the blocks of a bottleneck put out four times as many.
        num_layers: Residual blocks in each stage, as many numbers as `filters`.
        bottleneck: Blocks of 1x1, 3x3 and 1x1 convolutions (version 1.5) in place of two 3x3.
        stem: "small", one 3x3 convolution; "large", a 7x7 convolution and a pooling, both of stride 2; "auto", large
            where both sides have 96 pixels or more.
        activation: Name of a Keras activation.
        normalization: "batch", "layer", "group" or None, before each activation.
        momentum: Of the moving statistics of batch normalization; `kerasdl.blocks.suitable_momentum` suits it to a
            number of steps.
        dropout: Share of features set to zero in training before the logits, in [0, 1).
        spatial_dropout: Share of whole channels set to zero in training between stages (arXiv:1411.4280), in [0, 1).
        stochastic_depth: Share of the examples whose last residual branch is left out in training, in [0, 1); the
            share of the others grows linearly with their depth (arXiv:1603.09382).
        l1: Weight of the sum of absolute kernel weights in the loss.
        l2: Weight of the sum of squared kernel weights in the loss.
        name: Name of the model.

    Returns:
        An uncompiled model from "image" to logits of shape (batch, num_classes), float32.

    Raises:
        InputError: If an argument is outside the ranges above.

    Example:
        >>> model = resnet((32, 32, 3), 10, filters=(16, 32, 64), num_layers=(3, 3, 3))

    Reference: He et al., Deep residual learning for image recognition, arXiv:1512.03385; version 1.5:
    https://catalog.ngc.nvidia.com/orgs/nvidia/resources/resnet_50_v1_5_for_pytorch
    """
    num_classes = inputs.check_integer("num_classes", num_classes, minimum=2)
    filters = inputs.check_integers("filters", filters)
    num_layers = inputs.check_integers("num_layers", num_layers)
    if len(filters) != len(num_layers):
        raise InputError(
            "num_layers",
            received=f"{len(num_layers)} numbers {num_layers} for {len(filters)} stages of filters {filters}",
            expected="one number of blocks for each stage",
            mend="Pass as many numbers in num_layers as in filters.",
        )
    check_choice("stem", stem, ("auto", "small", "large"))
    inputs.check_activation(activation, normalization)
    momentum = inputs.check_share("momentum", momentum, example=0.9)
    dropout = inputs.check_share("dropout", dropout)
    spatial_dropout = inputs.check_share("spatial_dropout", spatial_dropout)
    stochastic_depth = inputs.check_share("stochastic_depth", stochastic_depth)
    regularizer = inputs.penalty(l1, l2)
    options: dict[str, Any] = {
        "activation": activation,
        "normalization": normalization,
        "momentum": momentum,
        "regularizer": regularizer,
    }

    image, x = inputs.image_input(input_shape)
    if stem == "large" or (stem == "auto" and min(x.shape[1:3]) >= 96):
        x = blocks.convolution(x, filters[0], 7, strides=2, name="stem_conv", **options)
        x = keras.layers.MaxPooling2D(3, strides=2, padding="same", name="stem_pool")(x)
    else:
        x = blocks.convolution(x, filters[0], 3, name="stem_conv", **options)
    for stage, (channels, count) in enumerate(zip(filters, num_layers, strict=True), start=1):
        for block in range(1, count + 1):
            strides = 2 if stage > 1 and block == 1 else 1
            label = f"stage{stage}_block{block}"
            rate = stochastic_depth * (sum(num_layers[: stage - 1]) + block) / sum(num_layers)
            x = blocks.residual(
                x, channels, strides=strides, bottleneck=bottleneck, stochastic_depth=rate, name=label, **options
            )
        if spatial_dropout and stage < len(filters):
            x = keras.layers.SpatialDropout2D(spatial_dropout, name=f"stage{stage}_spatial_dropout")(x)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    if dropout:
        x = keras.layers.Dropout(dropout, name="dropout")(x)
    return keras.Model(image, blocks.logits(x, num_classes, regularizer=regularizer), name=name)


def resnet18(input_shape: Sequence[int], num_classes: int, *, name: str = "resnet18", **keywords: Any) -> keras.Model:
    """Build a ResNet-18: `resnet` with two blocks in each stage; 11,689,512 parameters for 1000 classes."""
    return resnet(input_shape, num_classes, num_layers=(2, 2, 2, 2), name=name, **keywords)


def resnet34(input_shape: Sequence[int], num_classes: int, *, name: str = "resnet34", **keywords: Any) -> keras.Model:
    """Build a ResNet-34: `resnet` with 3, 4, 6, 3 blocks; 21,797,672 parameters for 1000 classes."""
    return resnet(input_shape, num_classes, num_layers=(3, 4, 6, 3), name=name, **keywords)


def resnet50(input_shape: Sequence[int], num_classes: int, *, name: str = "resnet50", **keywords: Any) -> keras.Model:
    """Build a ResNet-50: `resnet` with 3, 4, 6, 3 bottlenecks; 25,557,032 parameters for 1000 classes."""
    return resnet(input_shape, num_classes, num_layers=(3, 4, 6, 3), bottleneck=True, name=name, **keywords)


def resnet9(
    input_shape: Sequence[int],
    num_classes: int,
    *,
    filters: Sequence[int] = (64, 128, 256, 512),
    early_pooling: bool | str = False,
    activation: str = "relu",
    normalization: str | None = "batch",
    momentum: float = blocks.MOMENTUM,
    dropout: float = 0.0,
    spatial_dropout: float = 0.0,
    l1: float = 0.0,
    l2: float = 0.0,
    name: str = "resnet9",
) -> keras.Model:
    """Build the ResNet-9 that won DAWNBench on CIFAR-10: small, and quick to train to a good accuracy.

    A convolution, then three stages of convolution and max pooling, the first and last of them followed by a residual
    branch of two convolutions; global max pooling; the features times 1/8 to the logits.

    Args:
        input_shape: (height, width, channels) of uint8 images in pixels, scaled to [-1, 1] inside. Any size.
        num_classes: Number of logits, at least 2.
        filters: Channels of the first convolution and of the three stages: four numbers.
        early_pooling: Max pooling follows the first convolution too, and comes before normalization and activation:
            a quarter of the computation, and nearly as good after as many epochs. True, False, or "auto": where both
            sides have 20 pixels or more.
        activation: Name of a Keras activation.
        normalization: "batch", "layer", "group" or None, before each activation.
        momentum: Of the moving statistics of batch normalization; `kerasdl.blocks.suitable_momentum` suits it to a
            number of steps.
        dropout: Share of features set to zero in training before the logits, in [0, 1).
        spatial_dropout: Share of whole channels set to zero in training between stages (arXiv:1411.4280), in [0, 1).
        l1: Weight of the sum of absolute kernel weights in the loss.
        l2: Weight of the sum of squared kernel weights in the loss.
        name: Name of the model.

    Returns:
        An uncompiled model from "image" to logits of shape (batch, num_classes), float32.

    Raises:
        InputError: If an argument is outside the ranges above.

    Example:
        >>> model = resnet9((32, 32, 3), 10)

    Reference: David Page, How to train your ResNet, https://myrtle.ai/learn/how-to-train-your-resnet/
    """
    num_classes = inputs.check_integer("num_classes", num_classes, minimum=2)
    filters = inputs.check_integers("filters", filters)
    if len(filters) != 4:
        raise InputError(
            "filters",
            received=f"{len(filters)} numbers {filters}",
            expected="four numbers for resnet9: the first convolution and three stages",
            mend="Pass for example filters=(64, 128, 256, 512), or use models.resnet for other depths.",
        )
    checks.or_auto(checks.boolean)("early_pooling", early_pooling)
    inputs.check_activation(activation, normalization)
    momentum = inputs.check_share("momentum", momentum, example=0.9)
    dropout = inputs.check_share("dropout", dropout)
    spatial_dropout = inputs.check_share("spatial_dropout", spatial_dropout)
    regularizer = inputs.penalty(l1, l2)
    conv = functools.partial(
        blocks.convolution,
        activation=activation,
        normalization=normalization,
        momentum=momentum,
        regularizer=regularizer,
    )

    image, x = inputs.image_input(input_shape)
    early = early_pooling is True or (early_pooling == "auto" and min(x.shape[1:3]) >= 20)
    x = conv(x, filters[0], pool=early, name="stem_conv")
    for stage, channels in enumerate(filters[1:], start=1):
        x = conv(x, channels, pool=early, name=f"stage{stage}_conv1")
        if not early:
            x = keras.layers.MaxPooling2D(2, padding="same", name=f"stage{stage}_pool")(x)
        if stage != 2:
            y = conv(x, channels, name=f"stage{stage}_conv2")
            y = conv(y, channels, name=f"stage{stage}_conv3")
            x = keras.layers.Add(name=f"stage{stage}_add")([x, y])
        if spatial_dropout and stage < 3:
            x = keras.layers.SpatialDropout2D(spatial_dropout, name=f"stage{stage}_spatial_dropout")(x)
    x = keras.layers.GlobalMaxPooling2D(name="pool")(x)
    # The largest of many activations is large: without this factor the first logits are, and the first loss.
    x = keras.layers.Rescaling(1 / 8, name="pool_scale")(x)
    if dropout:
        x = keras.layers.Dropout(dropout, name="dropout")(x)
    return keras.Model(image, blocks.logits(x, num_classes, regularizer=regularizer), name=name)
