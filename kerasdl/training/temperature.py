"""Logits that are divided by a temperature, in the weights of the layer that makes them."""

from __future__ import annotations

import keras

from kerasdl.errors import InputError


def divide_logits(model: keras.Model, temperature: float) -> None:
    """Divide the logits of a classifier by a temperature, for good: kernel and bias of its last layer are divided.

    So the model needs no further layer, and whatever saves, exports or converts it has the temperature in it.

    Args:
        model: Its output is that of a Dense layer without an activation.
        temperature: Above 0.

    Raises:
        InputError: For a model that ends in another layer.

    Reference: Guo et al., On calibration of modern neural networks, arXiv:1706.04599.
    """
    layer = getattr(model.outputs[0], "_keras_history", (None,))[0]
    if not isinstance(layer, keras.layers.Dense) or layer.activation is not keras.activations.linear:
        raise InputError(
            "calibrate",
            received=f"a model that ends in {type(layer).__name__}",
            expected="a model that ends in a Dense layer without an activation, its logits",
            mend="Leave calibrate out.",
        )
    for variable in layer.weights:
        variable.assign(variable / temperature)
