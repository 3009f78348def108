"""Series by recurrent networks: from raw values to the logits of classes."""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import ops

from kerasdl import blocks, recurrent_blocks, series_blocks, transformer_blocks
from kerasdl.errors import check_choice
from kerasdl.models import inputs
from kerasdl.models.series_inputs import series_input

POOLINGS = ("last", "max", "mean")


def lstm_classifier(
    input_shape: Sequence[int | None],
    num_classes: int,
    *,
    units: Sequence[int] = (64,),
    cell: str = "lstm",
    bidirectional: bool = False,
    residual: bool = False,
    dropout: float = 0.0,
    pooling: str = "last",
    mean: Sequence[float] | None = None,
    scale: Sequence[float] | None = None,
    l1: float = 0.0,
    l2: float = 0.0,
    name: str = "lstm_classifier",
) -> keras.Model:
    """Build a recurrent network that sorts series into classes: layers of LSTMs, GRUs or plain cells, pooling, logits.

    Padding changes nothing: no state moves there, the layer that reads backwards begins in front of it, and it is
    pooled with weight zero. A series of padding only gets the bias of the logits. The layers are those that cuDNN
    computes on a GPU, and LSTMs are `layers.LSTM`, which is fast on a CPU too.

    Args:
        input_shape: (length, channels), or (None, channels) for series of any length, padded by NaN on the right.
        num_classes: Number of logits, at least 2.
        units: Features of each layer, of each direction.
        cell: "lstm", "gru" or "rnn".
        bidirectional: Read each series backwards too, and concatenate.
        residual: Add to each layer what it reads, mapped by a dense layer where it has other features; not to the last
            one with `pooling="last"`, of which only the end is left.
        dropout: Share of the features set to zero in training after each layer, in [0, 1).
        pooling: "last", what each direction ends with, or "max" or "mean" over the steps that are not padding.
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
        >>> model = lstm_classifier((None, 6), 4, units=(64, 64), bidirectional=True, dropout=0.2)

    Reference: Hochreiter and Schmidhuber, Long short-term memory, Neural Computation 1997
    """
    num_classes = inputs.check_integer("num_classes", num_classes, minimum=2)
    units = inputs.check_integers("units", units)
    check_choice("cell", cell, recurrent_blocks.CELLS)
    check_choice("pooling", pooling, POOLINGS)
    dropout = inputs.check_share("dropout", dropout)
    regularizer = inputs.penalty(l1, l2)
    series, x, mask = series_input(input_shape, mean=mean, scale=scale)
    for layer, features in enumerate(units, start=1):
        ends = pooling == "last" and layer == len(units)
        x = recurrent_blocks.recurrent(
            x,
            features,
            cell=cell,
            bidirectional=bidirectional,
            return_sequences=not ends,
            residual=residual and not ends,
            dropout=dropout,
            mask=series_blocks.readable(mask),
            regularizer=regularizer,
            name=f"{cell}{layer}",
        )
    x = _end(x, mask) if pooling == "last" else _pool(x, mask, pooling)
    return keras.Model(series, blocks.logits(x, num_classes, regularizer=regularizer), name=name)


def _end(x: keras.KerasTensor, mask: keras.KerasTensor | None) -> keras.KerasTensor:
    """Return what the layers end with in float32, zeros for a series of padding only."""
    x = ops.cast(x, "float32")
    return x if mask is None else ops.where(ops.any(mask, axis=1, keepdims=True), x, 0.0)


def _pool(x: keras.KerasTensor, mask: keras.KerasTensor | None, pooling: str) -> keras.KerasTensor:
    """Pool over the steps that are not padding, all where there is no mask."""
    if mask is not None:
        return transformer_blocks.pool(x, mask, pooling)
    x = ops.cast(x, "float32")
    return ops.max(x, axis=1) if pooling == "max" else ops.mean(x, axis=1)
