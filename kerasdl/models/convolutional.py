"""Plain convolutional networks: stages of convolutions and pooling, then fully connected layers.

Networks with shortcuts are in `residual`.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras

from kerasdl import blocks
from kerasdl.errors import check_choice
from kerasdl.models import inputs

_POOLING = {"max": keras.layers.MaxPooling2D, "average": keras.layers.AveragePooling2D}


def cnn(
    input_shape: Sequence[int],
    num_classes: int,
    *,
    filters: Sequence[int] = (32, 64, 128),
    num_layers: int = 1,
    kernel_size: int = 3,
    pooling: str = "max",
    units: Sequence[int] = (128,),
    activation: str = "relu",
    normalization: str | None = "batch",
    momentum: float = blocks.MOMENTUM,
    dropout: float = 0.25,
    spatial_dropout: float = 0.0,
    l1: float = 0.0,
    l2: float = 0.0,
    name: str = "cnn",
) -> keras.Model:
    """Build a convolutional network for images: convolutions, pooling, fully connected layers.

    Each stage is `num_layers` convolutions, which extract features, and a pooling that halves height and width; the
    features that are left are flattened and mapped to the classes by fully connected layers.

    Args:
        input_shape: (height, width, channels) of uint8 images in pixels, scaled to [-1, 1] inside. Any size from 1
            pixel: a side that has come down to one pixel is no longer pooled.
        num_classes: Number of logits, at least 2.
        filters: Channels of each stage.
        num_layers: Convolutions in each stage.
        kernel_size: Side of the kernels in pixels.
        pooling: "max" or "average".
        units: Units of each fully connected layer before the logits; () for none.
        activation: Name of a Keras activation, after each convolution and fully connected layer.
        normalization: "batch", "layer", "group" or None, before each activation.
        momentum: Of the moving statistics of batch normalization; `kerasdl.blocks.suitable_momentum` suits it to a
            number of steps.
        dropout: Share of features set to zero in training before every fully connected layer, in [0, 1).
        spatial_dropout: Share of whole channels set to zero in training between stages (arXiv:1411.4280), in [0, 1).
        l1: Weight of the sum of absolute kernel weights in the loss.
        l2: Weight of the sum of squared kernel weights in the loss.
        name: Name of the model.

    Returns:
        An uncompiled model from "image" to logits of shape (batch, num_classes), float32.

    Raises:
        InputError: If an argument is outside the ranges above.

    Example:
        >>> model = cnn((32, 32, 3), 10, filters=(32, 64, 128), num_layers=2)

    Reference: LeCun et al., Gradient-based learning applied to document recognition, 1998; the stages of several
    small convolutions: Simonyan and Zisserman, arXiv:1409.1556.
    """
    num_classes = inputs.check_integer("num_classes", num_classes, minimum=2)
    filters = inputs.check_integers("filters", filters)
    num_layers = inputs.check_integer("num_layers", num_layers)
    kernel_size = inputs.check_integer("kernel_size", kernel_size)
    units = inputs.check_integers("units", units, empty=True)
    check_choice("pooling", pooling, _POOLING)
    inputs.check_activation(activation, normalization)
    momentum = inputs.check_share("momentum", momentum, example=0.9)
    dropout = inputs.check_share("dropout", dropout)
    spatial_dropout = inputs.check_share("spatial_dropout", spatial_dropout)
    regularizer = inputs.penalty(l1, l2)

    image, x = inputs.image_input(input_shape)
    for stage, channels in enumerate(filters, start=1):
        for layer in range(1, num_layers + 1):
            x = blocks.convolution(
                x,
                channels,
                kernel_size,
                activation=activation,
                normalization=normalization,
                momentum=momentum,
                regularizer=regularizer,
                name=f"stage{stage}_conv{layer}",
            )
        # Valid pooling with the window cut to the image: backends count the padding of "same" averages differently.
        window = (min(2, x.shape[1]), min(2, x.shape[2]))
        x = _POOLING[pooling](window, name=f"stage{stage}_pool")(x)
        if spatial_dropout and stage < len(filters):
            x = keras.layers.SpatialDropout2D(spatial_dropout, name=f"stage{stage}_spatial_dropout")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    if dropout:
        x = keras.layers.Dropout(dropout, name="flatten_dropout")(x)
    for i, width in enumerate(units, start=1):
        x = blocks.dense(
            x,
            width,
            activation=activation,
            normalization=normalization,
            momentum=momentum,
            dropout=dropout,
            regularizer=regularizer,
            name=f"dense{i}",
        )
    return keras.Model(image, blocks.logits(x, num_classes, regularizer=regularizer), name=name)
