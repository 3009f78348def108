"""Multilayer perceptrons: networks of fully connected layers only."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from kerasdl import blocks
from kerasdl.models import inputs


def mlp(
    input_shape: Sequence[int],
    num_classes: int,
    *,
    hidden: Sequence[int] = (128,),
    activation: str = "relu",
    normalization: str | None = None,
    momentum: float = blocks.MOMENTUM,
    dropout: float = 0.0,
    l1: float = 0.0,
    l2: float = 0.0,
    name: str = "mlp",
) -> keras.Model:
    """Build a multilayer perceptron for vectors or images.

    With the defaults and `input_shape=(784,)` it is the guide's SimpleNet: 784 inputs, 128 hidden units with relu, 10
    logits, 101,770 parameters. Many layers with `activation="sigmoid"` show vanishing gradients; `normalization` and
    "relu" mend them.

    Args:
        input_shape: (features,) for float32 vectors, taken as they are, or (height, width, channels) for uint8
            images, scaled to [-1, 1] and flattened.
        num_classes: Number of logits, at least 2.
        hidden: Units of each hidden layer.
        activation: Name of a Keras activation, after each hidden layer.
        normalization: "batch", "layer", "group" or None, before each activation.
        momentum: Of the moving statistics of batch normalization; `kerasdl.blocks.suitable_momentum` suits it to a
            number of steps.
        dropout: Share of the units of each hidden layer set to zero in training, in [0, 1).
        l1: Weight of the sum of absolute kernel weights in the loss.
        l2: Weight of the sum of squared kernel weights in the loss.
        name: Name of the model.

    Returns:
        An uncompiled model from "features" or "image" to logits of shape (batch, num_classes), float32.

    Raises:
        InputError: If an argument is outside the ranges above.

    Example:
        >>> model = mlp((784,), 10, hidden=(256, 128), dropout=0.2)

    Reference: Rumelhart, Hinton and Williams, Learning representations by back-propagating errors, Nature 323, 1986.
    """
    num_classes = inputs.check_integer("num_classes", num_classes, minimum=2)
    hidden = inputs.check_integers("hidden", hidden)
    inputs.check_activation(activation, normalization)
    momentum = inputs.check_share("momentum", momentum, example=0.9)
    dropout = inputs.check_share("dropout", dropout)
    regularizer = inputs.penalty(l1, l2)

    raw, x = inputs.vector_input(input_shape)
    for i, units in enumerate(hidden, start=1):
        x = blocks.dense(
            x,
            units,
            activation=activation,
            normalization=normalization,
            momentum=momentum,
            dropout=dropout,
            regularizer=regularizer,
            name=f"dense{i}",
        )
    return keras.Model(raw, blocks.logits(x, num_classes, regularizer=regularizer), name=name)
