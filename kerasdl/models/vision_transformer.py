"""Vision transformers: images as sequences of patches, and their named sizes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from kerasdl import blocks, layers, transformer_blocks
from kerasdl.errors import InputError, check_choice
from kerasdl.models import inputs, transformer_inputs


def vision_transformer(
    input_shape: Sequence[int],
    num_classes: int,
    *,
    patch_size: int = 4,
    num_layers: int = 6,
    num_heads: int = 4,
    hidden_dim: int = 128,
    intermediate_dim: int | None = None,
    dropout: float = 0.0,
    attention_dropout: float = 0.0,
    stochastic_depth: float = 0.0,
    positions: str = "learned",
    stem: str = "patch",
    stem_depth: int = 1,
    momentum: float = blocks.MOMENTUM,
    activation: str = "gelu",
    normalization: str = "layer",
    norm_first: bool = True,
    pooling: str = "mean",
    l1: float = 0.0,
    l2: float = 0.0,
    name: str = "vision_transformer",
) -> keras.Model:
    """Build a vision transformer for images.

    The stem makes one vector of each patch of patch_size x patch_size pixels, padding the image where it is no whole
    number of patches; then blocks of self-attention and feed-forward layers, pooling, logits. Nothing in it but the
    stem knows that neighbours matter: on small data use the convolutional stem, strong augmentation and stochastic
    depth.

    Args:
        input_shape: (height, width, channels) of uint8 images in pixels, scaled to [-1, 1] inside. Any size.
        num_classes: Number of logits, at least 2.
        patch_size: Side of a patch in pixels; a power of 2 for the convolutional stem.
        num_layers: Number of blocks.
        num_heads: Attention heads in each block, a divisor of `hidden_dim`.
        hidden_dim: Features of each patch; with rotary positions a multiple of 2 * num_heads.
        intermediate_dim: Features inside the feed-forward layers; None for 4 * hidden_dim, and for "swiglu" two thirds
            of that, which has as many parameters.
        dropout: Share of features set to zero in training, of the patches and in each branch, in [0, 1).
        attention_dropout: Share of attention weights set to zero in training, in [0, 1).
        stochastic_depth: Share of the examples whose last branches are left out in training, in [0, 1); the share of
            the others grows linearly with their depth (arXiv:1603.09382).
        positions: "learned" or "sinusoidal", added to the patches, or "rotary", in the attention; all three count the
            patches row by row.
        stem: "patch", one convolution with the size and stride of a patch, or "convolution", 3x3 convolutions with
            batch normalization (arXiv:2106.14881), pooling that halves the image until each patch is a point
            (arXiv:2104.05704), and a 1x1 convolution.
        stem_depth: Convolutions for each halving of the convolutional stem; all but the first come behind the pooling.
        momentum: Of the moving statistics of the stem's batch normalization; `kerasdl.blocks.suitable_momentum` suits
            it to a training's length. In [0, 1).
        activation: Name of a Keras activation, or "swiglu".
        normalization: "layer" or "rms".
        norm_first: Normalize before each branch, which trains stably; else after it.
        pooling: "mean" of all patches (arXiv:2205.01580), or "class_token", an element in front of them.
        l1: Weight of the sum of absolute kernel weights in the loss.
        l2: Weight of the sum of squared kernel weights in the loss.
        name: Name of the model.

    Returns:
        An uncompiled model from "image" to logits of shape (batch, num_classes), float32.

    Raises:
        InputError: If an argument is outside the ranges above.

    Example:
        >>> model = vision_transformer((28, 28, 1), 10, stem="convolution", stochastic_depth=0.1)

    Reference: Dosovitskiy et al., An image is worth 16x16 words, arXiv:2010.11929
    """
    num_classes = inputs.check_integer("num_classes", num_classes, minimum=2)
    patch_size = inputs.check_integer("patch_size", patch_size)
    stem_depth = inputs.check_integer("stem_depth", stem_depth)
    momentum = inputs.check_share("momentum", momentum, example=0.9)
    check_choice("stem", stem, ("patch", "convolution"))
    check_choice("pooling", pooling, ("mean", "class_token"))
    if stem == "convolution" and (patch_size < 2 or patch_size & (patch_size - 1)):
        raise InputError(
            "patch_size",
            received=patch_size,
            expected="a power of 2 from 2 on, for the convolutions of the stem halve the sides",
            mend='Try patch_size=4, or stem="patch".',
        )
    sizes = transformer_inputs.check_sizes(
        num_layers=num_layers,
        num_heads=num_heads,
        hidden_dim=hidden_dim,
        intermediate_dim=intermediate_dim,
        dropout=dropout,
        attention_dropout=attention_dropout,
        positions=positions,
        activation=activation,
        normalization=normalization,
        norm_first=norm_first,
        l1=l1,
        l2=l2,
    )
    stochastic_depth = inputs.check_share("stochastic_depth", stochastic_depth)
    regularizer = sizes["regularizer"]

    image, x = inputs.image_input(input_shape)
    if stem == "convolution":
        halvings = patch_size.bit_length() - 1
        for step in range(1, halvings + 1):
            filters = max(hidden_dim >> (halvings - step), 1)
            for depth in range(1, stem_depth + 1):
                label = f"stem_conv{step}" if depth == 1 else f"stem_conv{step}_{depth}"
                x = blocks.convolution(x, filters, momentum=momentum, regularizer=regularizer, name=label)
                if depth == 1:
                    x = keras.layers.MaxPooling2D(2, padding="same", name=f"stem_pool{step}")(x)
    side = patch_size if stem == "patch" else 1
    x = keras.layers.Conv2D(
        hidden_dim,
        side,
        strides=side,
        padding="same",
        kernel_initializer="lecun_normal",
        kernel_regularizer=regularizer,
        name="patches",
    )(x)
    x = keras.layers.Reshape((x.shape[1] * x.shape[2], hidden_dim), name="sequence")(x)
    if pooling == "class_token":
        x = layers.ClassToken(name="class_token")(x)
    if positions != "rotary":
        x = layers.Positions(positions, name="positions")(x)
    if dropout:
        x = keras.layers.Dropout(dropout, name="dropout")(x)
    x = transformer_blocks.transformer(x, stochastic_depth=stochastic_depth, **sizes)
    average = keras.layers.GlobalAveragePooling1D(name="pool")
    x = ops.take(x, 0, axis=1) if pooling == "class_token" else average(x)
    return keras.Model(image, blocks.logits(x, num_classes, regularizer=regularizer), name=name)


def vit_tiny(input_shape: Sequence[int], num_classes: int, *, name: str = "vit_tiny", **keywords: Any) -> keras.Model:
    """Build a `vision_transformer` for small images: 6 layers, 4 heads, 128 features, patches of 4x4 pixels."""
    sizes = {"num_layers": 6, "num_heads": 4, "hidden_dim": 128, "patch_size": 4, **keywords}
    return vision_transformer(input_shape, num_classes, name=name, **sizes)


def vit_small(input_shape: Sequence[int], num_classes: int, *, name: str = "vit_small", **keywords: Any) -> keras.Model:
    """Build a ViT-S/16 with a class token: 12 layers, 6 heads, 384 features; 22,050,664 parameters for 224, 1000."""
    sizes = {"num_layers": 12, "num_heads": 6, "hidden_dim": 384, "patch_size": 16, "pooling": "class_token"}
    return vision_transformer(input_shape, num_classes, name=name, **{**sizes, **keywords})
