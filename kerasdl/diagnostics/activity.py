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


def activity(model: keras.Model, inputs: Any, *, batch_size: int = 32) -> list[Activity]:
    """Return what the units of each layer with such an activation do, in inference mode.

    Args:
        model: A functional model; layers inside of other layers are not looked into.
        inputs: Examples as the model takes them.
        batch_size: Examples at a time: what all layers put out for them is in memory at once.

    Returns:
        A record for each layer, from the input to the output.

    Example:
        >>> activity(model, images)[0]
        Activity(layer='dense1_activation', activation='relu', units=128, dead=0.02, saturated=None)

    Reference: Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks, AISTATS
    2010 (saturation); Lu et al., Dying ReLU and initialization, arXiv:1903.06733.
    """
    calls = [
        (node.operation.name, activation_name(node.operation), node.output_tensors[0])
        for depth in sorted(model._nodes_by_depth, reverse=True)
        for node in model._nodes_by_depth[depth]
        if not node.is_input and activation_name(node.operation) in (*RECTIFIERS, *SQUASHING)
    ]
    if not calls:
        return []
    probe = keras.Model(single(model.inputs), [output for _, _, output in calls], name=model.name)
    inputs = as_list(model, inputs)
    # Of each layer how many values a unit has, and how many of them are flat.
    sizes: list[int] = [0] * len(calls)
    flat: list[Any] = [0] * len(calls)
    for begin in range(0, len(keras.tree.flatten(inputs)[0]), batch_size):
        batch = keras.tree.map_structure(lambda each, begin=begin: each[begin : begin + batch_size], inputs)
        for place, output in enumerate(keras.tree.flatten(probe(batch, training=False))):
            values = np.asarray(keras.ops.convert_to_numpy(keras.ops.cast(output, "float32")))
            values = values.reshape(-1, values.shape[-1])
            sizes[place] += len(values)
            flat[place] += _is_flat(values, calls[place][1]).sum(axis=0)
    found = []
    for (layer, name, _), size, count in zip(calls, sizes, flat, strict=True):
        dead = float(np.mean(count == size)) if name in RECTIFIERS else None
        saturated = float(np.mean(count / size >= ALWAYS)) if name in SQUASHING else None
        found.append(Activity(layer, name, len(count), dead, saturated))
    return found


def _is_flat(values: np.ndarray, name: str) -> np.ndarray:
    """Say which values lie where the activation is flat; what is no number does not."""
    if name in RECTIFIERS:
        return values <= 0
    low, high = SQUASHING[name]
    margin = FLAT * (high - low) / (2 if low < 0 else 1)
    return (values < low + margin) | (values > high - margin)


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
