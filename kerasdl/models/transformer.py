"""Transformers on token ids: the classifier of texts, the causal language model, and their named sizes."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from kerasdl import blocks, layers, transformer_blocks
from kerasdl.errors import check_choice
from kerasdl.models import inputs, transformer_inputs

# With lengths of whole multiples, padding leaves every bit of the logits on the TensorFlow backend; 8 did not.
MULTIPLE = 16


def transformer_classifier(
    sequence_length: int | None,
    vocabulary_size: int,
    num_classes: int,
    *,
    num_layers: int = 2,
    num_heads: int = 4,
    hidden_dim: int = 128,
    intermediate_dim: int | None = None,
    dropout: float = 0.1,
    attention_dropout: float = 0.0,
    positions: str = "rotary",
    maximum_length: int | None = None,
    activation: str = "gelu",
    normalization: str = "layer",
    norm_first: bool = True,
    pooling: str = "mean",
    l1: float = 0.0,
    l2: float = 0.0,
    name: str = "transformer_classifier",
) -> keras.Model:
    """Build a transformer encoder that sorts sequences of tokens into classes.

    Token vectors, blocks of self-attention and feed-forward layers, pooling, logits. Id 0 is padding: it is looked at
    by nothing and pooled with weight zero, so padding on the right changes no logit. Inside, lengths are rounded up to
    a multiple of 16, so that not even the rounding changes. A sequence of padding only gets the bias of the logits.

    Args:
        sequence_length: Tokens in each sequence, padded; None for any length.
        vocabulary_size: Number of token ids, padding included: ids are 0 to vocabulary_size - 1. At least 2.
        num_classes: Number of logits, at least 2.
        num_layers: Number of blocks.
        num_heads: Attention heads in each block, a divisor of `hidden_dim`.
        hidden_dim: Features of each token; with rotary positions a multiple of 2 * num_heads.
        intermediate_dim: Features inside the feed-forward layers; None for 4 * hidden_dim, and for "swiglu" two thirds
            of that, which has as many parameters.
        dropout: Share of features set to zero in training, of the token vectors and in each branch, in [0, 1).
        attention_dropout: Share of attention weights set to zero in training, in [0, 1); above 0 training is slower,
            for fused kernels have none.
        positions: "rotary", in the attention (arXiv:2104.09864); "learned" or "sinusoidal", added to the tokens.
        maximum_length: Number of learned positions; None takes `sequence_length`.
        activation: Name of a Keras activation, or "swiglu".
        normalization: "layer" or "rms".
        norm_first: Normalize before each branch, which trains stably; else after it.
        pooling: "mean", "first" (the first token) or "max", over the tokens that are not padding.
        l1: Weight of the sum of absolute kernel weights in the loss.
        l2: Weight of the sum of squared kernel weights in the loss.
        name: Name of the model.

    Returns:
        An uncompiled model from "tokens", int32 of shape (batch, length), to logits (batch, num_classes), float32.

    Raises:
        InputError: If an argument is outside the ranges above.

    Example:
        >>> model = transformer_classifier(128, 8000, 4)

    Reference: Vaswani et al., Attention is all you need, arXiv:1706.03762
    """
    num_classes = inputs.check_integer("num_classes", num_classes, minimum=2)
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
    tokens, _, x = transformer_inputs.token_input(
        sequence_length,
        vocabulary_size,
        hidden_dim=hidden_dim,
        positions=positions,
        maximum_length=maximum_length,
        dropout=sizes["dropout"],
    )
    padding_mask = ops.not_equal(tokens, 0)
    if sequence_length is None or sequence_length % MULTIPLE:
        x = layers.PadLength(MULTIPLE, name="pad")(x)
        padding_mask = layers.PadLength(MULTIPLE, name="pad_mask")(padding_mask)
    x = transformer_blocks.transformer(x, padding_mask=padding_mask, **sizes)
    x = transformer_blocks.pool(x, padding_mask, pooling)
    return keras.Model(tokens, blocks.logits(x, num_classes, regularizer=sizes["regularizer"]), name=name)


def causal_transformer(
    sequence_length: int | None,
    vocabulary_size: int,
    *,
    num_layers: int = 4,
    num_heads: int = 4,
    hidden_dim: int = 128,
    intermediate_dim: int | None = None,
    dropout: float = 0.1,
    attention_dropout: float = 0.0,
    positions: str = "rotary",
    maximum_length: int | None = None,
    activation: str = "gelu",
    normalization: str = "layer",
    norm_first: bool = True,
    tie_embeddings: bool = True,
    l1: float = 0.0,
    l2: float = 0.0,
    name: str = "causal_transformer",
) -> keras.Model:
    """Build a causal language model: at each position the logits of the next token, from this and earlier ones only.

    A later token never changes an earlier logit. Every id is a token: there is no padding, texts are packed. Under a
    mixed precision policy the product with the vocabulary is in the short type, being a large share of the work, and
    the logits are float32 after it.

    Args:
        sequence_length: Tokens in each sequence; None for any length.
        vocabulary_size: Number of token ids, at least 2.
        num_layers: Number of blocks.
        num_heads: Attention heads in each block, a divisor of `hidden_dim`.
        hidden_dim: Features of each token; with rotary positions a multiple of 2 * num_heads.
        intermediate_dim: As in `transformer_classifier`.
        dropout: As in `transformer_classifier`.
        attention_dropout: As in `transformer_classifier`.
        positions: As in `transformer_classifier`.
        maximum_length: Number of learned positions; None takes `sequence_length`.
        activation: Name of a Keras activation, or "swiglu".
        normalization: "layer" or "rms".
        norm_first: Normalize before each branch, which trains stably; else after it.
        tie_embeddings: Whether the logits use the token vectors again (arXiv:1608.05859); else a kernel of their own.
        l1: Weight of the sum of absolute kernel weights in the loss.
        l2: Weight of the sum of squared kernel weights in the loss.
        name: Name of the model.

    Returns:
        An uncompiled model from "tokens", int32 (batch, length), to logits (batch, length, vocabulary_size), float32.

    Raises:
        InputError: If an argument is outside the ranges above.

    Example:
        >>> model = causal_transformer(256, 257)

    Reference: Radford et al., Language models are unsupervised multitask learners (GPT-2), 2019
    """
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
    tokens, embedding, x = transformer_inputs.token_input(
        sequence_length,
        vocabulary_size,
        hidden_dim=hidden_dim,
        positions=positions,
        maximum_length=maximum_length,
        dropout=sizes["dropout"],
    )
    x = transformer_blocks.transformer(x, causal=True, **sizes)
    if tie_embeddings:
        x = embedding(x, reverse=True)
    else:
        x = transformer_blocks.linear(
            x, vocabulary_size, use_bias=False, kernel_regularizer=sizes["regularizer"], name="vocabulary"
        )
    x = keras.layers.Activation("linear", dtype="float32", name="logits")(x)
    return keras.Model(tokens, x, name=name)


def transformer_classifier_tiny(
    sequence_length: int | None,
    vocabulary_size: int,
    num_classes: int,
    *,
    name: str = "transformer_classifier_tiny",
    **keywords: Any,
) -> keras.Model:
    """Build a `transformer_classifier` of 2 layers, 2 heads and 64 features."""
    sizes = {"num_layers": 2, "num_heads": 2, "hidden_dim": 64, **keywords}
    return transformer_classifier(sequence_length, vocabulary_size, num_classes, name=name, **sizes)


def transformer_classifier_small(
    sequence_length: int | None,
    vocabulary_size: int,
    num_classes: int,
    *,
    name: str = "transformer_classifier_small",
    **keywords: Any,
) -> keras.Model:
    """Build a `transformer_classifier` of 4 layers, 4 heads and 128 features."""
    sizes = {"num_layers": 4, "num_heads": 4, "hidden_dim": 128, **keywords}
    return transformer_classifier(sequence_length, vocabulary_size, num_classes, name=name, **sizes)


def gpt_tiny(
    sequence_length: int | None, vocabulary_size: int, *, name: str = "gpt_tiny", **keywords: Any
) -> keras.Model:
    """Build a `causal_transformer` of 4 layers, 4 heads and 128 features."""
    sizes = {"num_layers": 4, "num_heads": 4, "hidden_dim": 128, **keywords}
    return causal_transformer(sequence_length, vocabulary_size, name=name, **sizes)


def gpt_small(
    sequence_length: int | None, vocabulary_size: int, *, name: str = "gpt_small", **keywords: Any
) -> keras.Model:
    """Build a `causal_transformer` of 6 layers, 6 heads and 384 features."""
    sizes = {"num_layers": 6, "num_heads": 6, "hidden_dim": 384, **keywords}
    return causal_transformer(sequence_length, vocabulary_size, name=name, **sizes)


def gpt2_small(
    sequence_length: int | None = 1024, vocabulary_size: int = 50_257, *, name: str = "gpt2_small", **keywords: Any
) -> keras.Model:
    """Build the smallest GPT-2: 12 layers, 12 heads, 768 features, learned positions; 124,439,808 parameters."""
    sizes = {"num_layers": 12, "num_heads": 12, "hidden_dim": 768, "positions": "learned", **keywords}
    return causal_transformer(sequence_length, vocabulary_size, name=name, **sizes)
