"""Series by networks of more than convolutions: an LSTM beside an FCN, and a transformer on patches of a series."""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import ops

from kerasdl import blocks, layers, recurrent_blocks, series_blocks, transformer_blocks
from kerasdl.errors import check_choice
from kerasdl.models import inputs, transformer_inputs
from kerasdl.models.series_convolutional import KERNEL_SIZES, convolutions
from kerasdl.models.series_inputs import series_input


def lstm_fcn(
    input_shape: Sequence[int | None],
    num_classes: int,
    *,
    units: int = 64,
    filters: Sequence[int] = (128, 256, 128),
    kernel_sizes: Sequence[int] = KERNEL_SIZES,
    activation: str = "relu",
    momentum: float = blocks.MOMENTUM,
    dropout: float = 0.5,
    mean: Sequence[float] | None = None,
    scale: Sequence[float] | None = None,
    l1: float = 0.0,
    l2: float = 0.0,
    name: str = "lstm_fcn",
) -> keras.Model:
    """Build an LSTM and a fully convolutional network side by side, whose features are concatenated.

    The LSTM reads along time, and what its last step puts out counts. (As published, series are transposed in front of
    it: it then makes one step of all values, and knows one length only.)

    Args:
        input_shape: (length, channels), or (None, channels) for series of any length, padded by NaN on the right.
        num_classes: Number of logits, at least 2.
        units: Features of the LSTM.
        filters: Channels of each convolution.
        kernel_sizes: Time steps that each convolution sees.
        activation: Name of a Keras activation, of the convolutions.
        momentum: Of the moving statistics of batch normalization, in [0, 1).
        dropout: Share of the LSTM's features set to zero in training, in [0, 1).
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
        >>> model = lstm_fcn((150, 1), 2)

    Reference: Karim et al., LSTM fully convolutional networks for time series classification, arXiv:1709.05206
    """
    num_classes = inputs.check_integer("num_classes", num_classes, minimum=2)
    units = inputs.check_integer("units", units)
    dropout = inputs.check_share("dropout", dropout)
    regularizer = inputs.penalty(l1, l2)
    series, x, mask = series_input(input_shape, mean=mean, scale=scale)
    read = recurrent_blocks.recurrent(
        x,
        units,
        return_sequences=False,
        dropout=dropout,
        mask=series_blocks.readable(mask),
        regularizer=regularizer,
        name="lstm",
    )
    x = convolutions(
        x,
        mask,
        filters=filters,
        kernel_sizes=kernel_sizes,
        activation=activation,
        momentum=momentum,
        regularizer=regularizer,
    )
    seen = keras.layers.Activation("linear", dtype="float32", name="lstm_features")(read)
    x = keras.layers.Concatenate(dtype="float32", name="features")([seen, series_blocks.average(x, mask)])
    return keras.Model(series, blocks.logits(x, num_classes, regularizer=regularizer), name=name)


def series_transformer(
    input_shape: Sequence[int | None],
    num_classes: int,
    *,
    patch_size: int = 4,
    num_layers: int = 2,
    num_heads: int = 4,
    hidden_dim: int = 64,
    intermediate_dim: int | None = None,
    dropout: float = 0.1,
    attention_dropout: float = 0.0,
    positions: str = "rotary",
    maximum_length: int | None = None,
    activation: str = "gelu",
    normalization: str = "layer",
    norm_first: bool = True,
    pooling: str = "mean",
    mean: Sequence[float] | None = None,
    scale: Sequence[float] | None = None,
    l1: float = 0.0,
    l2: float = 0.0,
    name: str = "series_transformer",
) -> keras.Model:
    """Build a transformer encoder that sorts series into classes, one vector for each patch of time steps.

    Args:
        input_shape: (length, channels), or (None, channels) for series of any length, padded by NaN on the right.
        num_classes: Number of logits, at least 2.
        patch_size: Time steps of a patch; the last one is filled with zeros.
        num_layers: Number of blocks.
        num_heads: Attention heads in each block, a divisor of `hidden_dim`.
        hidden_dim: Features of each patch; with rotary positions a multiple of 2 * num_heads.
        intermediate_dim: As of `transformer_classifier`, as are the next seven, with patches for tokens.
        dropout: Share of features set to zero in training, of the patches and in each branch, in [0, 1).
        attention_dropout: Share of attention weights set to zero in training, in [0, 1).
        positions: "rotary", "learned" or "sinusoidal".
        maximum_length: Number of learned positions, of patches; None takes that of `input_shape`.
        activation: Name of a Keras activation, or "swiglu".
        normalization: "layer" or "rms".
        norm_first: Normalize before each branch, which trains stably; else after it.
        pooling: "mean", "first" or "max", over the patches that are not padding.
        mean: Of each channel, subtracted from the raw values; None for 0.
        scale: Of each channel, divided by; None for 1.
        l1: Weight of the sum of absolute kernel values in the loss.
        l2: Weight of the sum of squared kernel values in the loss.
        name: Name of the model.

    Returns:
        An uncompiled model from "series", float32 of shape (batch, length, channels), to logits (batch, num_classes),
        float32.

    Raises:
        InputError: If an argument is outside the ranges above.

    Example:
        >>> model = series_transformer((None, 12), 9, patch_size=1)

    Reference: Nie et al., A time series is worth 64 words, arXiv:2211.14730
    """
    num_classes = inputs.check_integer("num_classes", num_classes, minimum=2)
    patch_size = inputs.check_integer("patch_size", patch_size)
    check_choice("pooling", pooling, ("mean", "first", "max"))
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
    series, x, mask = series_input(input_shape, mean=mean, scale=scale)
    if patch_size > 1:
        x = layers.PadLength(patch_size, name="pad")(x)
        # Padding stands on the right, so a patch is there if its first step is.
        mask = None if mask is None else layers.PadLength(patch_size, name="pad_mask")(mask)[:, ::patch_size]
    x = keras.layers.Conv1D(
        hidden_dim,
        patch_size,
        strides=patch_size,
        kernel_initializer="lecun_normal",
        kernel_regularizer=sizes["regularizer"],
        name="patches",
    )(x)
    if positions != "rotary":
        # About as large as the vectors of patches: the usual 0.02 would be lost beside them.
        x = layers.Positions(positions, maximum_length=maximum_length, stddev=0.5, name="positions")(x)
    if sizes["dropout"]:
        x = keras.layers.Dropout(sizes["dropout"], name="dropout")(x)
    x = transformer_blocks.transformer(x, padding_mask=mask, **sizes)
    x = transformer_blocks.pool(x, ops.ones_like(x[..., 0], dtype="bool") if mask is None else mask, pooling)
    return keras.Model(series, blocks.logits(x, num_classes, regularizer=sizes["regularizer"]), name=name)
