"""Logits that are divided by a temperature, in the weights of the layers that make them."""

from __future__ import annotations

from typing import Any

import keras

from kerasdl.errors import InputError


def divide_logits(model: keras.Model, temperature: float) -> None:
    """Divide the logits of a classifier by a temperature, for good: in the kernels and biases that they are made by.

    So the model needs no further layer, and whatever saves, exports or converts it has the temperature in it.

    Args:
        model: Its output is that of a Dense layer without an activation, or the sum of several.
        temperature: Above 0.

    Raises:
        InputError: For a model that ends in another layer.

    Reference: Guo et al., On calibration of modern neural networks, arXiv:1706.04599.
    """
    last = _maker(model.outputs[0])
    makers = [_maker(tensor) for tensor in last.input] if isinstance(last, keras.layers.Add) else [last]
    for layer in makers:
        if not isinstance(layer, keras.layers.Dense) or layer.activation is not keras.activations.linear:
            raise InputError(
                "calibrate",
                received=f"a model that ends in {type(layer).__name__}",
                expected="a model that ends in logits: a Dense layer without an activation, or a sum of such",
                mend="Leave calibrate out.",
            )
    for layer in makers:
        for variable in layer.weights:
            variable.assign(variable / temperature)


def _maker(tensor: keras.KerasTensor) -> Any:
    return getattr(tensor, "_keras_history", (None,))[0]
