"""Texts by a recurrent or a convolutional network: from padded token ids to the logits of classes.

Here belong the builders of text classifiers other than transformers, and what these share: token vectors that are zero
at padding, and pooling over what is not padding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from kerasdl import blocks, layers, transformer_blocks
from kerasdl.errors import InputError, check_choice
from kerasdl.models import inputs

# With lengths of whole multiples, padding leaves every bit of the logits on the TensorFlow backend.
MULTIPLE = 16
# Beside vectors this long, the first steps of a recurrent net are not all zeros; GPT's 0.02 counts on a normalization.
STDDEV = 0.1


def text_lstm(
    sequence_length: int | None,
    vocabulary_size: int,
    num_classes: int,
    *,
    num_layers: int = 1,
    hidden_dim: int = 128,
    units: int = 128,
    dropout: float = 0.3,
    token_dropout: float = 0.1,
    subwords: np.ndarray | None = None,
    pooling: Sequence[str] | str = "max",
    l1: float = 0.0,
    l2: float = 0.0,
    name: str = "text_lstm",
) -> keras.Model:
    """Build a bidirectional LSTM that sorts sequences of tokens into classes.

    Token vectors, layers of two LSTMs that read forwards and backwards, pooling, logits. Id 0 is padding and stands at
    the end only: the backward LSTM starts in front of it and it is pooled with weight zero, so padding changes no
    logit. A sequence of padding only gets the bias of the logits. The layers are those that cuDNN computes on a GPU.

    Args:
        sequence_length: Tokens in each sequence, padded on the right; None for any length.
        vocabulary_size: Number of token ids, padding included: ids are 0 to vocabulary_size - 1. At least 2.
        num_classes: Number of logits, at least 2.
        num_layers: Number of bidirectional layers.
        hidden_dim: Features of each token's vector.
        units: Features of each LSTM; a layer gives twice as many.
        dropout: Share of features set to zero in training, before each layer and before the logits, in [0, 1).
        token_dropout: Share of tokens whose whole vector is set to zero in training, in [0, 1).
        subwords: The n-grams of each word as ids, whole numbers of shape (vocabulary_size, n-grams), 0 for none: their
            vectors are added to the word's (`layers.SubwordEmbedding`). None for words alone.
        pooling: "max" or "mean", over the tokens that are not padding, or "last", what both directions end with; or
            several of these, concatenated.
        l1: Weight of the sum of absolute kernel weights in the loss.
        l2: Weight of the sum of squared kernel weights in the loss.
        name: Name of the model.

    Returns:
        An uncompiled model from "tokens", int32 of shape (batch, length), to logits (batch, num_classes), float32.

    Raises:
        InputError: If an argument is outside the ranges above.

    Example:
        >>> model = text_lstm(128, 8000, 4)

    Reference: Graves and Schmidhuber, Framewise phoneme classification with bidirectional LSTM, Neural Networks 2005
    """
    num_classes = inputs.check_integer("num_classes", num_classes, minimum=2)
    num_layers, units = inputs.check_integer("num_layers", num_layers), inputs.check_integer("units", units)
    kinds = _kinds(pooling, ("mean", "max", "last"))
    regularizer = inputs.penalty(l1, l2)
    tokens, x, padding_mask = _token_vectors(
        sequence_length,
        vocabulary_size,
        hidden_dim=hidden_dim,
        dropout=dropout,
        token_dropout=token_dropout,
        subwords=subwords,
    )
    # cuDNN refuses a sequence of padding only: its first position is read as a token, and nothing of it is pooled.
    read = ops.concatenate([ops.ones_like(padding_mask[:, :1]), padding_mask[:, 1:]], axis=1)
    for layer in range(1, num_layers + 1):
        lstm = keras.layers.LSTM(
            units,
            return_sequences=True,
            return_state=True,
            kernel_regularizer=regularizer,
            recurrent_regularizer=regularizer,
        )
        x, forward, _, backward, _ = keras.layers.Bidirectional(lstm, name=f"lstm{layer}")(x, mask=read)
        if dropout and layer < num_layers:
            x = keras.layers.Dropout(dropout, name=f"lstm{layer}_dropout")(x)
    some = ops.any(padding_mask, axis=1, keepdims=True)
    last = ops.where(some, ops.cast(ops.concatenate([forward, backward], axis=-1), "float32"), 0.0)
    pooled = [last if kind == "last" else transformer_blocks.pool(x, padding_mask, kind) for kind in kinds]
    return keras.Model(tokens, _logits(pooled, num_classes, dropout=dropout, regularizer=regularizer), name=name)


def text_cnn(
    sequence_length: int | None,
    vocabulary_size: int,
    num_classes: int,
    *,
    hidden_dim: int = 128,
    filters: int = 128,
    kernel_sizes: Sequence[int] = (1, 2, 3),
    num_layers: int = 1,
    activation: str = "relu",
    dropout: float = 0.3,
    token_dropout: float = 0.1,
    subwords: np.ndarray | None = None,
    pooling: Sequence[str] | str = "max",
    l1: float = 0.0,
    l2: float = 0.0,
    name: str = "text_cnn",
) -> keras.Model:
    """Build a convolutional network that sorts sequences of tokens into classes.

    Token vectors, convolutions over windows of several widths side by side, pooling of each, logits. With more than
    one layer, all but the first are added to what they read (residual). Id 0 is padding: it is zero before every
    convolution and pooled with weight zero, so padding on the right changes no logit. A sequence of padding only gets
    the bias of the logits.

    Args:
        sequence_length: Tokens in each sequence, padded on the right; None for any length.
        vocabulary_size: Number of token ids, padding included: ids are 0 to vocabulary_size - 1. At least 2.
        num_classes: Number of logits, at least 2.
        hidden_dim: Features of each token's vector.
        filters: Features of each convolution.
        kernel_sizes: Widths of the windows, in tokens: one column of convolutions for each.
        num_layers: Convolutions in each column.
        activation: Name of a Keras activation.
        dropout: Share of features set to zero in training, of the token vectors and before the logits, in [0, 1).
        token_dropout: Share of tokens whose whole vector is set to zero in training, in [0, 1).
        subwords: The n-grams of each word as ids, whole numbers of shape (vocabulary_size, n-grams), 0 for none: their
            vectors are added to the word's (`layers.SubwordEmbedding`). None for words alone.
        pooling: "max" or "mean", over the tokens that are not padding, or both, concatenated.
        l1: Weight of the sum of absolute kernel weights in the loss.
        l2: Weight of the sum of squared kernel weights in the loss.
        name: Name of the model.

    Returns:
        An uncompiled model from "tokens", int32 of shape (batch, length), to logits (batch, num_classes), float32.

    Raises:
        InputError: If an argument is outside the ranges above.

    Example:
        >>> model = text_cnn(128, 8000, 4)

    Reference: Kim, Convolutional neural networks for sentence classification, arXiv:1408.5882
    """
    num_classes = inputs.check_integer("num_classes", num_classes, minimum=2)
    num_layers, filters = inputs.check_integer("num_layers", num_layers), inputs.check_integer("filters", filters)
    kernel_sizes = inputs.check_integers("kernel_sizes", kernel_sizes)
    check_choice("activation", activation, blocks.ACTIVATIONS)
    kinds = _kinds(pooling, ("mean", "max"))
    regularizer = inputs.penalty(l1, l2)
    tokens, vectors, padding_mask = _token_vectors(
        sequence_length,
        vocabulary_size,
        hidden_dim=hidden_dim,
        dropout=dropout,
        token_dropout=token_dropout,
        subwords=subwords,
    )
    pooled = []
    for column, width in enumerate(kernel_sizes, start=1):
        x = vectors
        for layer in range(1, num_layers + 1):
            label = f"column{column}_conv{layer}"
            y = keras.layers.Conv1D(
                filters,
                width,
                padding="same",
                activation=activation,
                kernel_initializer=blocks.initializer(activation),
                kernel_regularizer=regularizer,
                name=label,
            )(_masked(x, padding_mask))
            x = y if layer == 1 else keras.layers.Add(name=f"{label}_add")([x, y])
        pooled += [transformer_blocks.pool(x, padding_mask, kind) for kind in kinds]
    return keras.Model(tokens, _logits(pooled, num_classes, dropout=dropout, regularizer=regularizer), name=name)


def _kinds(pooling: Any, choices: tuple[str, ...]) -> tuple[str, ...]:
    """Return the kinds of pooling, each once, or raise :class:`InputError`."""
    kinds = (pooling,) if isinstance(pooling, str) else pooling
    if not isinstance(kinds, (tuple, list)) or not kinds or len(set(map(str, kinds))) < len(kinds):
        raise InputError(
            "pooling",
            received=repr(pooling),
            expected=f"one or several of {', '.join(choices)}, each once",
            mend='Pass for example pooling="max" or pooling=("mean", "max").',
        )
    for kind in kinds:
        check_choice("pooling", kind, choices)
    return tuple(kinds)


def _token_vectors(
    sequence_length: Any,
    vocabulary_size: Any,
    *,
    hidden_dim: Any,
    dropout: Any,
    token_dropout: Any,
    subwords: np.ndarray | None,
) -> tuple[keras.KerasTensor, keras.KerasTensor, keras.KerasTensor]:
    """Return the input of ids, their vectors, and where there is no padding, both lengthened to a multiple."""
    vocabulary_size = inputs.check_integer("vocabulary_size", vocabulary_size, minimum=2)
    hidden_dim = inputs.check_integer("hidden_dim", hidden_dim)
    if sequence_length is not None:
        sequence_length = inputs.check_integer("sequence_length", sequence_length)
    tokens = keras.Input((sequence_length,), dtype="int32", name="tokens")
    ids = tokens
    if sequence_length is None or sequence_length % MULTIPLE:
        ids = layers.PadLength(MULTIPLE, name="pad")(tokens)
    initializer = keras.initializers.RandomNormal(stddev=STDDEV)
    x = keras.layers.Embedding(vocabulary_size, hidden_dim, embeddings_initializer=initializer, name="embedding")(ids)
    if subwords is not None:
        table = _checked_table(subwords, vocabulary_size)
        layer = layers.SubwordEmbedding(len(table), table.shape[1], int(table.max()) + 1, hidden_dim, name="subwords")
        x = keras.layers.Add(name="vectors")([x, layer(ids)])
        layer.table.assign(table)
    if inputs.check_share("token_dropout", token_dropout):
        x = keras.layers.Dropout(token_dropout, noise_shape=(None, None, 1), name="token_dropout")(x)
    if inputs.check_share("dropout", dropout):
        x = keras.layers.Dropout(dropout, name="dropout")(x)
    return tokens, x, ops.not_equal(ids, 0)


def _checked_table(subwords: Any, vocabulary_size: int) -> np.ndarray:
    table = np.asarray(subwords)
    whole = table.ndim == 2 and len(table) == vocabulary_size and table.size and table.dtype.kind in "iu"
    if not whole or table.min() < 0:
        raise InputError(
            "subwords",
            received=f"{table.dtype} of shape {table.shape}",
            expected=f"ids of n-grams, whole numbers of at least 0 and of shape ({vocabulary_size}, n-grams)",
            mend="Pass kerasdl.data.subword_table(vocabulary), or leave subwords out.",
        )
    return table.astype(np.int32)


def _masked(x: keras.KerasTensor, padding_mask: keras.KerasTensor) -> keras.KerasTensor:
    """Return `x` with zeros at padding."""
    return ops.where(ops.expand_dims(padding_mask, -1), x, ops.zeros_like(x))


def _logits(
    pooled: list[keras.KerasTensor],
    num_classes: int,
    *,
    dropout: float,
    regularizer: keras.regularizers.Regularizer | None,
) -> keras.KerasTensor:
    """Concatenate vectors (batch, features), drop some of their features in training, map them to logits."""
    x = keras.layers.Concatenate(name="features")(pooled) if len(pooled) > 1 else pooled[0]
    if dropout:
        x = keras.layers.Dropout(dropout, name="features_dropout")(x)
    return blocks.logits(x, num_classes, regularizer=regularizer)
