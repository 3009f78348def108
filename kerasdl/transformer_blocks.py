"""Blocks of transformers: functions from tensor to tensor that the builders of text and image transformers share.

As in `kerasdl.blocks`, each names its layers after its `name`. Kernels start from a normal distribution of standard
deviation 0.02, as in GPT-2 and in vision transformers, those that end a residual branch from 0.02 / sqrt(branches), so
that the sum of all branches starts no larger than one (Radford et al., Language models are unsupervised multitask
learners, section 2.3).
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from kerasdl import layers

NORMALIZATIONS = ("layer", "rms")
POSITIONS = ("rotary", "learned", "sinusoidal")
STDDEV = 0.02


def normalize(x: keras.KerasTensor, normalization: str, *, name: str) -> keras.KerasTensor:
    """Normalize the features of each position: "layer" (arXiv:1607.06450) or "rms" (arXiv:1910.07467)."""
    # GPT-2's epsilon: Keras's 0.001 is large beside the variance of small features.
    kind = keras.layers.RMSNormalization if normalization == "rms" else keras.layers.LayerNormalization
    return kind(epsilon=1e-5, name=name)(x)


def linear(
    x: keras.KerasTensor, units: int, *, stddev: float = STDDEV, name: str, **keywords: Any
) -> keras.KerasTensor:
    """Dense layer on the features of each position, from a normal distribution; `keywords` as of `Dense`."""
    initializer = keras.initializers.RandomNormal(stddev=stddev)
    return keras.layers.Dense(units, kernel_initializer=initializer, name=name, **keywords)(x)


def feed_forward(
    x: keras.KerasTensor,
    *,
    intermediate_dim: int,
    activation: str,
    regularizer: keras.regularizers.Regularizer | None = None,
    output_stddev: float = STDDEV,
    name: str,
) -> keras.KerasTensor:
    """Two dense layers on each position with an activation between; "swiglu" gates them (arXiv:2002.05202).

    Args:
        x: Tensor of shape (batch, length, features).
        intermediate_dim: Features between the two.
        activation: Name of a Keras activation, or "swiglu": down(silu(gate(x)) * up(x)).
        regularizer: Of the kernels.
        output_stddev: Standard deviation that the last kernel starts from.
        name: First part of the names of all layers.

    Returns:
        A tensor of the shape of `x`.

    Example:
        >>> feed_forward(x, intermediate_dim=512, activation="gelu", name="block1_mlp")
    """
    features = x.shape[-1]
    if activation == "swiglu":
        gate = linear(x, intermediate_dim, activation="silu", kernel_regularizer=regularizer, name=f"{name}_gate")
        up = linear(x, intermediate_dim, kernel_regularizer=regularizer, name=f"{name}_up")
        x = keras.layers.Multiply(name=f"{name}_product")([gate, up])
    else:
        x = linear(x, intermediate_dim, kernel_regularizer=regularizer, name=f"{name}_up")
        x = keras.layers.Activation(activation, name=f"{name}_activation")(x)
    return linear(x, features, stddev=output_stddev, kernel_regularizer=regularizer, name=f"{name}_down")


def transformer(
    x: keras.KerasTensor,
    *,
    num_layers: int,
    num_heads: int,
    intermediate_dim: int,
    padding_mask: keras.KerasTensor | None = None,
    causal: bool = False,
    rotary: bool = False,
    activation: str = "gelu",
    normalization: str = "layer",
    norm_first: bool = True,
    dropout: float = 0.0,
    attention_dropout: float = 0.0,
    stochastic_depth: float = 0.0,
    regularizer: keras.regularizers.Regularizer | None = None,
) -> keras.KerasTensor:
    """Blocks of self-attention and feed-forward layers, each in a residual branch with a normalization.

    Args:
        x: Tensor of shape (batch, length, features).
        num_layers: Number of blocks, named "block1" and so on.
        num_heads: Attention heads, a divisor of the features.
        intermediate_dim: Features inside the feed-forward layers.
        padding_mask: Booleans of shape (batch, length), false where nothing may look; None where all may be seen.
        causal: Whether a position sees itself and earlier ones only.
        rotary: Whether queries and keys are turned by their position.
        activation: As in `feed_forward`.
        normalization: "layer" or "rms".
        norm_first: Normalize at the start of each branch, and once at the end (arXiv:2002.04745), which trains without
            a warm-up; else after each addition, as first published.
        dropout: Share of features set to zero in training at the end of each branch.
        attention_dropout: Share of attention weights set to zero in training.
        stochastic_depth: Share of the examples whose last branches are left out in training, in [0, 1); the share of
            the others grows linearly with their depth, from 0 (arXiv:1603.09382).
        regularizer: Of the kernels.

    Returns:
        A tensor of the shape of `x`, normalized.

    Example:
        >>> transformer(x, num_layers=2, num_heads=4, intermediate_dim=512, causal=True)
    """
    output_stddev = STDDEV / (2 * num_layers) ** 0.5
    for block in range(1, num_layers + 1):
        # As in big_vision: the first block always stays.
        rate = stochastic_depth * (block - 1) / max(num_layers - 1, 1)
        for part in ("attention", "mlp"):
            name = f"block{block}_{part}"
            y = normalize(x, normalization, name=f"{name}_norm") if norm_first else x
            if part == "attention":
                attention = layers.SelfAttention(
                    num_heads,
                    causal=causal,
                    rotary=rotary,
                    dropout=attention_dropout,
                    stddev=STDDEV,
                    output_stddev=output_stddev,
                    kernel_regularizer=regularizer,
                    name=name,
                )
                y = attention(y) if padding_mask is None else attention(y, padding_mask)
            else:
                y = feed_forward(
                    y,
                    intermediate_dim=intermediate_dim,
                    activation=activation,
                    regularizer=regularizer,
                    output_stddev=output_stddev,
                    name=name,
                )
            if dropout:
                y = keras.layers.Dropout(dropout, name=f"{name}_dropout")(y)
            if rate:
                # One draw an example; the branches that stay grow by 1 / (1 - rate): inference needs no factor.
                y = keras.layers.Dropout(rate, noise_shape=(None, 1, 1), name=f"{name}_stochastic_depth")(y)
            x = keras.layers.Add(name=f"{name}_add")([x, y])
            if not norm_first:
                x = normalize(x, normalization, name=f"{name}_norm")
    return normalize(x, normalization, name="norm") if norm_first else x


def pool(x: keras.KerasTensor, padding_mask: keras.KerasTensor, pooling: str) -> keras.KerasTensor:
    """Make one vector of each sequence, from what is not padding; zeros where there is nothing else.

    Args:
        x: Tensor of shape (batch, length, features).
        padding_mask: Booleans of shape (batch, length), false at padding.
        pooling: "mean", "max", or "first" for the first position.

    Returns:
        Tensor of shape (batch, features), float32.
    """
    keep = ops.expand_dims(padding_mask, -1)
    x = ops.cast(x, "float32")
    if pooling == "max":
        highest = ops.max(ops.where(keep, x, -1e30), axis=1)
        return ops.where(ops.any(keep, axis=1), highest, 0.0)
    x = ops.where(keep, x, 0.0)
    if pooling == "first":
        return ops.take(x, 0, axis=1)
    return ops.sum(x, axis=1) / ops.maximum(ops.sum(ops.cast(keep, "float32"), axis=1), 1.0)
