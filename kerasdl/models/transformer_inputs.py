"""What every transformer builder does first: check its sizes, and turn token ids into vectors."""

from __future__ import annotations

from typing import Any

import keras

from kerasdl import blocks, layers, transformer_blocks
from kerasdl.errors import InputError, check_choice
from kerasdl.models import inputs


def check_sizes(
    *,
    num_layers: Any,
    num_heads: Any,
    hidden_dim: Any,
    intermediate_dim: Any,
    dropout: Any,
    attention_dropout: Any,
    positions: Any,
    activation: Any,
    normalization: Any,
    norm_first: Any,
    l1: Any,
    l2: Any,
) -> dict[str, Any]:
    """Return what all transformers share as keyword arguments of `transformer_blocks.transformer`, checked.

    Raises:
        InputError: If an argument is outside the ranges that the builders state.
    """
    num_heads, hidden_dim = inputs.check_integer("num_heads", num_heads), inputs.check_integer("hidden_dim", hidden_dim)
    even = 2 if positions == "rotary" else 1
    if hidden_dim % (num_heads * even) or (positions == "sinusoidal" and hidden_dim % 2):
        unit = max(num_heads * even, 2 if positions == "sinusoidal" else 1)
        raise InputError(
            "hidden_dim",
            received=f"{hidden_dim} with num_heads={num_heads} and positions={positions!r}",
            expected=f"num_heads heads of {'an even' if even == 2 else 'a whole'} number of features each"
            + (", and an even number in all" if positions == "sinusoidal" else ""),
            mend=f"Try hidden_dim={-(-hidden_dim // unit) * unit}.",
        )
    check_choice("positions", positions, transformer_blocks.POSITIONS)
    check_choice("activation", activation, ("swiglu", *blocks.ACTIVATIONS))
    check_choice("normalization", normalization, transformer_blocks.NORMALIZATIONS)
    if intermediate_dim is None:
        # Three kernels in place of two: two thirds of the features keep the number of parameters (arXiv:2002.05202).
        intermediate_dim = -(-8 * hidden_dim // 3) if activation == "swiglu" else 4 * hidden_dim
    return {
        "num_layers": inputs.check_integer("num_layers", num_layers),
        "num_heads": num_heads,
        "intermediate_dim": inputs.check_integer("intermediate_dim", intermediate_dim),
        "rotary": positions == "rotary",
        "activation": activation,
        "normalization": normalization,
        "norm_first": bool(norm_first),
        "dropout": inputs.check_share("dropout", dropout),
        "attention_dropout": inputs.check_share("attention_dropout", attention_dropout),
        "regularizer": inputs.penalty(l1, l2),
    }


def token_input(
    sequence_length: Any,
    vocabulary_size: Any,
    *,
    hidden_dim: int,
    positions: str,
    maximum_length: Any,
    dropout: float,
) -> tuple[keras.KerasTensor, keras.layers.ReversibleEmbedding, keras.KerasTensor]:
    """Return the input of int32 ids named "tokens", the layer of their vectors, and these with their positions."""
    vocabulary_size = inputs.check_integer("vocabulary_size", vocabulary_size, minimum=2)
    for what, length in {"sequence_length": sequence_length, "maximum_length": maximum_length}.items():
        if length is not None:
            inputs.check_integer(what, length)
    if positions == "learned" and (maximum_length or sequence_length or 0) < (sequence_length or 1):
        raise InputError(
            "maximum_length",
            received=f"{maximum_length} with sequence_length={sequence_length} and learned positions",
            expected="the length of the longest sequence, at least sequence_length",
            mend='Pass for example maximum_length=512, or positions="rotary", which know any length.',
        )
    tokens = keras.Input((sequence_length,), dtype="int32", name="tokens")
    embedding = keras.layers.ReversibleEmbedding(
        vocabulary_size,
        hidden_dim,
        embeddings_initializer=keras.initializers.RandomNormal(stddev=transformer_blocks.STDDEV),
        name="embedding",
    )
    x = embedding(tokens)
    if positions != "rotary":
        x = layers.Positions(positions, maximum_length=maximum_length, name="positions")(x)
    return tokens, embedding, keras.layers.Dropout(dropout, name="dropout")(x) if dropout else x
