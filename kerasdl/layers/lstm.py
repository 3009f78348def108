"""An LSTM that is fast on a CPU: `keras.layers.LSTM` with another loop over the steps and a gradient of its own.

Keras computes a step at a time, input projection included, and its gradient adds up the kernels' gradients step by
step. Here one product projects the inputs of all steps, a step forward is one product and one tanh, a step backward is
one product, and the gradients of the weights are one product each over all steps at once.
"""

from __future__ import annotations

import os
from typing import Any

import keras
import numpy as np
from keras import ops

from kerasdl.accelerators import accelerators

# Steps that are laid out one after another in training: more take long to trace.
SHORT = 32


@keras.saving.register_keras_serializable("kerasdl")
class LSTM(keras.layers.LSTM):
    """`keras.layers.LSTM`, faster on a CPU: the same arguments, weights, masks, states and outputs.

    On a GPU it is Keras's own, and so cuDNN's. It is Keras's own also where the fast loop does not apply:
    `slow_reason` says why. In training on TensorFlow a batch goes in two halves, each a loop of its own, which run at
    the same time: the operations of a step are too small to be worth dividing. With `unroll=True`, which needs a known
    length, the steps are laid out one after another, which runs a little faster, traces longer and has no loop, as
    LiteRT wants it; in training up to 32 steps are, without being asked.

    Args:
        *args: As of `keras.layers.LSTM`.
        **kwargs: As of `keras.layers.LSTM`.

    Example:
        >>> LSTM(64, return_sequences=True)(keras.Input((None, 8)))

    Reference: Hochreiter and Schmidhuber, Long short-term memory, Neural Computation 1997; the gradient of all steps at
    once as in Appleyard et al., arXiv:1604.01946
    """

    def slow_reason(self) -> str | None:
        """Return the argument that rules the fast loop out, in words; None where nothing does."""
        if self.activation is not keras.activations.tanh:
            return "activation is not tanh"
        if self.recurrent_activation is not keras.activations.sigmoid:
            return "recurrent_activation is not sigmoid"
        if self.dropout or self.recurrent_dropout:
            return "dropout or recurrent_dropout inside the layer"
        if not self.use_bias:
            return "use_bias is False"
        return "zero_output_for_mask" if self.zero_output_for_mask else None

    def inner_loop(self, sequences: Any, initial_state: Any, mask: Any, training: bool = False) -> Any:
        """Return the last output, the outputs of all steps or of the last one, and the states."""
        if self.slow_reason() or self.use_cudnn is True or accelerators():
            return super().inner_loop(sequences, initial_state, mask, training=training)
        if isinstance(mask, (list, tuple)):
            mask = mask[0]
        x = ops.transpose(sequences, (1, 0, 2))
        if mask is not None:
            mask = ops.transpose(ops.expand_dims(ops.cast(mask, x.dtype), -1), (1, 0, 2))
        if self.go_backwards:
            x = ops.flip(x, axis=0)
            mask = None if mask is None else ops.flip(mask, axis=0)
        h, c = initial_state
        # sigmoid(z) = (1 + tanh(z / 2)) / 2: weights halved, one tanh gives all gates: input, forget, cell, output
        halves = ops.convert_to_tensor(np.repeat([0.5, 0.5, 1.0, 0.5], self.units), dtype=x.dtype)
        cell = self.cell
        weights = (cell.kernel * halves, cell.recurrent_kernel * halves, cell.bias * halves)
        short = training and x.shape[0] is not None and x.shape[0] <= SHORT
        how = {"sequences": self.return_sequences, "unroll": bool(self.unroll or short)}
        if training and keras.backend.backend() == "tensorflow" and (os.cpu_count() or 1) > 1:
            middle = ops.shape(h)[0] // 2
            found = ops.concatenate(
                [
                    _lstm(x[:, rows], *weights, h[rows], c[rows], None if mask is None else mask[:, rows], **how)
                    for rows in (slice(None, middle), slice(middle, None))
                ],
                axis=1,
            )
        else:
            found = _lstm(x, *weights, h, c, mask, **how)
        outputs, h, c = found[:-2], found[-2], found[-1]
        last = h
        if mask is not None:
            # Keras puts out zeros before the first step that counts, whatever the initial state.
            seen = ops.cast(ops.cumsum(mask, axis=0) > 0, x.dtype)
            outputs, last = outputs * seen if self.return_sequences else outputs, h * seen[-1]
        outputs = ops.transpose(outputs, (1, 0, 2)) if self.return_sequences else ops.expand_dims(last, 1)
        return last, outputs, [h, c]


def _lstm(
    x: Any, kernel: Any, recurrent: Any, bias: Any, h: Any, c: Any, mask: Any, *, sequences: bool, unroll: bool
) -> Any:
    """Compute all steps of (length, batch, features).

    Returns:
        One tensor, because Keras's custom gradients on PyTorch know only one, of shape (steps + 2, batch, units): the
        outputs of all steps if `sequences`, the output state, the cell state.
    """
    units, length = recurrent.shape[0], ops.shape(x)[0]

    def steps(x: Any, kernel: Any, recurrent: Any, bias: Any, h0: Any, c0: Any, *masks: Any) -> Any:
        batch, rows = ops.shape(h0)[0], ops.reshape(x, (-1, x.shape[-1]))
        z = ops.reshape(ops.matmul(rows, kernel) + bias, (length, batch, 4 * units))
        h, c, hs, cs, gates = _forward(z, recurrent, h0, c0, masks, unroll=unroll)
        found = ops.stack([h, c])
        if sequences:
            found = ops.stack([*hs, h, c]) if unroll else ops.concatenate([hs, found])

        def gradient(*args: Any, upstream: Any = None) -> Any:
            given = args[0] if upstream is None else upstream
            dhs = (given[:-2],) if sequences else ()
            # Reshaped in between: a product with a mere transpose is several times slower in TensorFlow on a CPU.
            turned = ops.transpose(ops.reshape(recurrent, (units, 4, units)), (1, 2, 0))
            turned = ops.reshape(turned, (4 * units, units))
            dz, dh, dc = _backward(gates, cs, masks, dhs, given[-2], given[-1], turned, unroll=unroll)
            dz = ops.reshape(ops.stack(dz) if unroll else dz, (-1, 4 * units))
            h_rows = ops.reshape(ops.stack(hs) if unroll else hs, (-1, units))
            d_recurrent = ops.matmul(ops.transpose(h0), dz[:batch])
            d_recurrent = d_recurrent + ops.matmul(ops.transpose(h_rows[:-batch]), dz[batch:])
            d_kernel = ops.matmul(ops.transpose(rows), dz)
            # A product, which uses all of a vector register, where a sum of rows may not.
            d_bias = ops.matmul(ops.expand_dims(ops.ones_like(dz[:, 0]), 0), dz)[0]
            dx = ops.reshape(ops.matmul(dz, ops.transpose(kernel)), ops.shape(x))
            return (dx, d_kernel, d_recurrent, d_bias, dh, dc, *(ops.zeros_like(m) for m in masks))

        return found, gradient

    return ops.custom_gradient(steps)(x, kernel, recurrent, bias, h, c, *(() if mask is None else (mask,)))


def _cell(gates: Any, c: Any) -> tuple[Any, ...]:
    """Return the tanh of the four gates apart, the cell state after that of `c`, and its tanh."""
    units = c.shape[-1]
    i, f, g, o = (gates[:, k * units : (k + 1) * units] for k in range(4))
    c = 0.5 * (c + f * c + g + i * g)
    return i, f, g, o, c, ops.tanh(c)


def _forward(z: Any, recurrent: Any, h: Any, c: Any, masks: Any, *, unroll: bool) -> tuple[Any, ...]:
    """Return the last states; the outputs, the cell states before, and the gates, of all steps."""

    def step(carry: Any, given: Any) -> Any:
        h_before, c_before, _, _ = carry
        gates = ops.tanh(given[0] + ops.matmul(h_before, recurrent))
        *_, o, c, t = _cell(gates, c_before)
        h = 0.5 * (t + o * t)
        for mask in given[1:]:
            h, c = h_before + mask * (h - h_before), c_before + mask * (c - c_before)
        new = (h, c, c_before, gates)
        return new, new

    carry, found = _steps(step, (h, c, c, ops.zeros_like(z[0])), (z, *masks), unroll=unroll)
    hs, _, cs, gates = found
    return carry[0], carry[1], hs, cs, gates


def _backward(
    gates: Any, cs: Any, masks: Any, dhs: Any, dh: Any, dc: Any, turned: Any, *, unroll: bool
) -> tuple[Any, Any, Any]:
    """Return the gradients of what enters the gates of all steps, and of the first states.

    `dhs` has the gradients of all outputs or nothing, `dh` and `dc` are those of the last states, `turned` is the
    transposed recurrent kernel.
    """

    def step(carry: Any, given: Any) -> Any:
        _, dh, dc = carry
        gates, c_before, *rest = given
        if dhs:
            dh = dh + rest[-1]
        dh_left, dc_left = dh, dc
        for mask in rest[: len(masks)]:
            dh, dc = mask * dh, mask * dc
        i, f, g, o, _, t = _cell(gates, c_before)
        dt = 0.5 * dh
        # half the gradient of the cell state
        dc = 0.5 * (dc + (dt + dt * o) * (1.0 - t * t))
        dz = ops.concatenate([dc * g, dc * c_before, dc + dc * i, dt * t], axis=-1) * (1.0 - gates * gates)
        new_dh, new_dc = ops.matmul(dz, turned), dc + dc * f
        if masks:
            new_dh, new_dc = new_dh + dh_left - dh, new_dc + dc_left - rest[0] * dc_left
        new = (dz, new_dh, new_dc)
        return new, new

    carry = (gates[0] * 0.0, dh, dc)
    (_, dh, dc), found = _steps(step, carry, (gates, cs, *masks, *dhs), unroll=unroll, reverse=True)
    return found[0], dh, dc


def _steps(step: Any, carry: Any, given: Any, *, unroll: bool, reverse: bool = False) -> tuple[Any, Any]:
    """`ops.scan`, or the same steps one after another, which returns lists and takes lists or tensors."""
    if not unroll and given[0].shape[0] is not None:
        return ops.scan(step, carry, given, reverse=reverse)
    if not unroll:
        # Keras 3.15's scan on TensorFlow fails on several sequences of unknown length: it goes along their indices.
        indices = ops.arange(ops.shape(given[0])[0], dtype="int32")
        return ops.scan(lambda carry, t: step(carry, [x[t] for x in given]), carry, indices, reverse=reverse)
    rows = list(zip(*(x if isinstance(x, list) else ops.unstack(x) for x in given), strict=True))
    found = []
    for row in reversed(rows) if reverse else rows:
        carry, _ = step(carry, row)
        found.append(carry)
    if reverse:
        found.reverse()
    return carry, [list(part) for part in zip(*found, strict=True)]
