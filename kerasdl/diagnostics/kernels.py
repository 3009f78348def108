"""Which kernel computes each recurrent layer on the hardware at hand, and why it is not the fast one where it isn't.

Layers are told by their attributes, those of Keras and those of `kerasdl.layers.LSTM`, of which nothing is imported.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras

from kerasdl.accelerators import accelerators


@dataclass(frozen=True)
class Kernel:
    """What computes one recurrent layer.

    Args:
        layer: Path of the layer in its model.
        kernel: "cuDNN", "fast loop" or "fast unrolled" (of `kerasdl.layers.LSTM`), "unrolled" or "loop" (of Keras).
        reason: Why it is not a faster one, and what to change; empty for the fastest.
    """

    layer: str
    kernel: str
    reason: str

    def __str__(self) -> str:
        return f"{self.layer}: {self.kernel}" + (f", because {self.reason}" if self.reason else "")


def recurrent_kernels(model: keras.Model, *, accelerator: str | None = None) -> list[Kernel]:
    """Say for each recurrent layer which kernel will compute it and why it is not a faster one.

    Only the arguments of the layers are looked at. A mask has to be true at first and false from some step on, with at
    least one step true in each sequence, for cuDNN: TensorFlow stops with an error where it isn't.

    Args:
        model: Any model; layers inside of other layers are found.
        accelerator: "gpu", "tpu" or "cpu"; None for what the backend sees.

    Returns:
        A record for each recurrent layer, in the order of the model; nothing if it has none.

    Example:
        >>> for kernel in recurrent_kernels(model):
        ...     print(kernel)
        lstm1: loop, because recurrent_dropout is above 0 (use dropout between layers)
    """
    if accelerator is None:
        accelerator = next((name.partition(":")[0] for name in accelerators()), "cpu")
    return [Kernel(path, *_kernel(layer, accelerator)) for path, layer in _recurrent_layers(model, "")]


def _recurrent_layers(layer: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(layer, keras.layers.RNN):
        yield path, layer
    elif isinstance(layer, keras.layers.Bidirectional):
        yield f"{path}/forward", layer.forward_layer
        yield f"{path}/backward", layer.backward_layer
    else:
        for inner in getattr(layer, "layers", None) or [getattr(layer, "layer", None)]:
            if inner is not None:
                yield from _recurrent_layers(inner, f"{path}/{inner.name}" if path else inner.name)


def _kernel(layer: Any, hardware: str) -> tuple[str, str]:
    plain = "unrolled" if layer.unroll else "loop"
    reason = _not_cudnn(layer)
    if hardware == "gpu":
        return (plain, reason) if reason else ("cuDNN", "")
    fast = getattr(layer, "slow_reason", None)
    if hardware == "cpu" and fast is not None:
        return (plain, fast()) if fast() else (f"fast {plain}", "")
    if isinstance(layer, keras.layers.LSTM) and hardware == "cpu":
        return plain, "it is Keras's LSTM (kerasdl.layers.LSTM takes its weights and is faster on a CPU)"
    return plain, "there is no GPU" if hardware == "cpu" else "there is no kernel of its own on this accelerator"


def _not_cudnn(layer: Any) -> str:
    """Return why cuDNN does not compute the layer, or nothing."""
    if not isinstance(layer, (keras.layers.LSTM, keras.layers.GRU)):
        return "cuDNN is used for LSTM and GRU only"
    if layer.use_cudnn is False:
        return 'use_cudnn is False (set it to "auto")'
    if layer.recurrent_dropout:
        return "recurrent_dropout is above 0 (use dropout between layers)"
    for argument, needed in (("activation", "tanh"), ("recurrent_activation", "sigmoid")):
        if getattr(layer, argument) is not getattr(keras.activations, needed):
            return f"{argument} is not {needed} (set it to {needed})"
    if layer.unroll:
        return "unroll is True (leave it out)"
    if not layer.use_bias:
        return "use_bias is False (leave it out)"
    return "" if getattr(layer, "reset_after", True) else "reset_after is False (leave it out)"
