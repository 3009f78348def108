"""Units that no longer do anything: rectifiers that never fire, squashing activations that are always at their ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

# Activations that are flat at zero, and those that are flat towards both ends, with their ends.
RECTIFIERS = ("relu", "relu6")
SQUASHING = {"tanh": (-1.0, 1.0), "hard_tanh": (-1.0, 1.0), "sigmoid": (0.0, 1.0), "hard_sigmoid": (0.0, 1.0)}
# Share of the half range at each end that counts as flat: |tanh| > 0.97, where its slope is below 0.06.
FLAT = 0.03
# Share of the examples for which a unit has to be there, to be called saturated.
ALWAYS = 0.95


@dataclass(frozen=True)
class Activity:
    """What the units of one layer do on some examples.

    Args:
        layer: Name of the layer.
        activation: Name of its activation.
        units: Features of its output.
        dead: Share of units that are never above zero; None for activations that are not flat there.
        saturated: Share of units that are at an end of their range for at least 95 % of the values; None for
            activations that have no ends.
    """

    layer: str
    activation: str
    units: int
    dead: float | None
    saturated: float | None


def activity(model: keras.Model, inputs: Any) -> list[Activity]:
    """Return what the units of each layer with such an activation do, in inference mode.

    Args:
        model: A functional model; layers inside of other layers are not looked into.
        inputs: One batch, as the model takes it.

    Returns:
        A record for each layer, from the input to the output.

    Example:
        >>> activity(model, images)[0]
        Activity(layer='dense1_activation', activation='relu', units=128, dead=0.02, saturated=None)

    Reference: Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks, AISTATS
    2010 (saturation); Lu et al., Dying ReLU and initialization, arXiv:1903.06733.
    """
    calls = [
        (node.operation, node.output_tensors[0])
        for depth in sorted(model._nodes_by_depth, reverse=True)
        for node in model._nodes_by_depth[depth]
        if not node.is_input and activation_name(node.operation) in (*RECTIFIERS, *SQUASHING)
    ]
    if not calls:
        return []
    probe = keras.Model(single(model.inputs), [output for _, output in calls], name=model.name)
    outputs = probe(as_list(model, inputs), training=False)
    found = []
    for (layer, _), output in zip(calls, keras.tree.flatten(outputs), strict=True):
        values = np.asarray(keras.ops.convert_to_numpy(keras.ops.cast(output, "float32")))
        values = values.reshape(-1, values.shape[-1])
        name = activation_name(layer)
        dead = saturated = None
        if name in RECTIFIERS:
            dead = float(np.mean(values.max(axis=0) <= 0))
        else:
            low, high = SQUASHING[name]
            margin = FLAT * (high - low) / (2 if low < 0 else 1)
            flat = (values < low + margin) | (values > high - margin)
            saturated = float(np.mean(flat.mean(axis=0) >= ALWAYS))
        found.append(Activity(layer.name, name, values.shape[1], dead, saturated))
    return found


def activation_name(layer: Any) -> str:
    """Return the name of a layer's activation; empty where it has none, or where its output is not that alone."""
    if isinstance(layer, keras.layers.ReLU):
        return "relu" if not layer.negative_slope and not layer.threshold else ""
    if isinstance(layer, keras.layers.RNN):  # gates come after it
        return ""
    return getattr(getattr(layer, "activation", None), "__name__", "")


def single(tensors: list[Any]) -> Any:
    """Return the only tensor of a list, or the list: Keras wants to be called as it was told."""
    return tensors[0] if len(tensors) == 1 else tensors


def as_list(model: keras.Model, inputs: Any) -> Any:
    """Return inputs by name in the order of the model's, and others as they are."""
    return single([inputs[tensor.name] for tensor in model.inputs]) if isinstance(inputs, dict) else inputs
