"""Blocks of recurrent networks: functions from tensor to tensor that builders for series and texts share.

As in `kerasdl.blocks`, each names its layers after its `name`. The layers are made so that cuDNN can compute them on a
GPU: tanh and sigmoid, dropout between layers and never inside the recurrence.
"""

from __future__ import annotations

from typing import Any

import keras

from kerasdl import layers
from kerasdl.accelerators import accelerators
from kerasdl.errors import InputError, check_choice

CELLS = ("lstm", "gru", "rnn")
_LAYERS = {"lstm": layers.LSTM, "gru": keras.layers.GRU, "rnn": keras.layers.SimpleRNN}


def recurrent(
    x: keras.KerasTensor,
    units: int,
    *,
    cell: str = "lstm",
    bidirectional: bool = False,
    return_sequences: bool = True,
    residual: bool = False,
    dropout: float = 0.0,
    mask: keras.KerasTensor | None = None,
    initial_state: list[keras.KerasTensor] | None = None,
    return_state: bool = False,
    regularizer: keras.regularizers.Regularizer | None = None,
    name: str,
) -> Any:
    """Recurrent layer, dropout of what comes out of it, and the input added where it is residual.

    Steps where `mask` is false leave the state as it is. Both directions are right under padding on the right: the
    one that reads backwards begins in front of the padding, and its outputs stand where their inputs do. On a GPU,
    cuDNN takes masks only if they are true at first and false from some step on, with at least one step true.

    Args:
        x: Tensor of shape (batch, length, features).
        units: Features of the state; both directions together put out twice as many.
        cell: "lstm" (Hochreiter and Schmidhuber 1997), "gru" (arXiv:1406.1078) or "rnn", one dense layer with tanh.
        bidirectional: Read backwards too and concatenate; never for forecasting.
        return_sequences: Put out every step; else what the last step that is not masked puts out.
        residual: Add the input (arXiv:1609.08144, section 3.1), mapped by a dense layer where it has other features.
        dropout: Share of the output's features set to zero in training, in [0, 1); the states are left as they are.
        mask: Booleans of shape (batch, length), false at steps to skip; None where all count.
        initial_state: Tensors of shape (batch, units), as they are returned: for the LSTM output and cell state, for
            the others one; with both directions first all of the forward one. None for zeros.
        return_state: Return the states after the last step too.
        regularizer: Of the kernel and of the recurrent kernel.
        name: Name of the recurrent layer and first part of the names of the others.

    Returns:
        Tensor of shape (batch, length, units), or (batch, units) without `return_sequences`, twice the units with
        both directions; with `return_state` a tuple of it and the list of the states.

    Raises:
        InputError: If the cell is unknown, or a residual layer is to return its last step only.

    Example:
        >>> x = recurrent(x, 64, bidirectional=True, dropout=0.2, name="recurrent1")
        >>> x, states = recurrent(x, 64, return_sequences=False, return_state=True, name="recurrent2")
    """
    check_choice("cell", cell, CELLS)
    if residual and not return_sequences:
        raise InputError(
            "residual",
            received="True with return_sequences=False",
            expected="an output for every step of the input that is added",
            mend="Pass return_sequences=True and pool the steps, or residual=False.",
        )
    precision = _lstm_precision() if cell == "lstm" else {}
    layer = _LAYERS[cell](
        units,
        return_sequences=return_sequences,
        return_state=return_state,
        kernel_regularizer=regularizer,
        recurrent_regularizer=regularizer,
        name=name,
        **precision,
    )
    if bidirectional:
        layer = keras.layers.Bidirectional(layer, name=name, **precision)
    found = layer(x, mask=mask, initial_state=initial_state)
    y, *states = found if return_state else (found,)
    if dropout:
        y = keras.layers.Dropout(dropout, name=f"{name}_dropout")(y)
    if residual:
        if x.shape[-1] != y.shape[-1]:
            x = keras.layers.Dense(y.shape[-1], kernel_regularizer=regularizer, name=f"{name}_shortcut")(x)
        y = keras.layers.Add(name=f"{name}_add")([x, y])
    return (y, states) if return_state else y


def _lstm_precision() -> dict[str, str]:
    """Return the layer's `dtype` where it cannot be the policy's: JAX gives cuDNN's LSTM no numbers of 16 bits."""
    short = keras.config.dtype_policy().compute_dtype in ("bfloat16", "float16")
    on_a_gpu = keras.backend.backend() == "jax" and any(name.startswith("gpu") for name in accelerators())
    return {"dtype": "float32"} if short and on_a_gpu else {}
