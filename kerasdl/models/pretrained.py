"""Pretrained backbones: the classifiers of keras.applications and EfficientNet-Lite0 as parts of the kit.

Whatever a family wants, its backbone takes raw pixels in [0, 255] of any size, grey or colour. The names are in
`kerasdl.backbone_table`; how a backbone is trained on, and which layers stay frozen, is the recipe's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kerasdl import backbone_table, blocks
from kerasdl.errors import InputError, check_choice
from kerasdl.models import inputs
from kerasdl.models.backbone_weights import load_backbone_weights
from kerasdl.models.efficientnet_lite import efficientnet_lite0_features

FEATURES = "features"

_POOLING = {"avg": keras.layers.GlobalAveragePooling2D, "max": keras.layers.GlobalMaxPooling2D}
_MEAN = np.array([0.485, 0.456, 0.406])
_DEVIATION = np.array([0.229, 0.224, 0.225])
# Caffe's mean of the blue, green and red of ImageNet's pixels.
_BGR_MEAN = (103.939, 116.779, 123.68)


def features(
    backbone: str | Callable[..., keras.Model],
    input_shape: Sequence[int],
    *,
    weights: str | Path | None = None,
    pooling: str | None = "avg",
    enlarge_to: int = 1,
    name: str = FEATURES,
) -> keras.Model:
    """Build a backbone from raw images to features, one flat functional model.

    Inside, grey is repeated to three channels, an image smaller than the family's minimum is enlarged to it with its
    proportions kept, and pixels are scaled as the family's weights want them. The graph is the same whatever `weights`
    is. (In a ConvNeXt the stem and the three downsamplings are small models of two layers each, as Keras builds it:
    its weights files are laid out by them.)

    Args:
        backbone: A name out of :func:`backbones`, or the function of keras.applications itself.
        input_shape: (height, width, channels) of uint8 images in pixels, 1 or 3 channels, any size.
        weights: None for random ones; "imagenet", from Keras's folder of downloads, else downloaded (for
            efficientnet_lite0 from its package, see :func:`load_efficientnet_lite0`); or the path of a `.weights.h5`
            or `.h5` file of the same architecture without its top layers. The mobilenets take the ImageNet weights for
            224 pixels at any size.
        pooling: "avg" or "max" over the last feature map, or None for the map itself.
        enlarge_to: Pixels that the shorter side of an image is enlarged to if it is smaller.
        name: Name of the model.

    Returns:
        An uncompiled model from "image" to features, float32, the output of its layer "features": of shape (batch,
        channels), or (batch, height, width, channels) without pooling.

    Raises:
        InputError: For an unknown backbone, a shape that is no image's, or weights that cannot be loaded.

    Example:
        >>> model = features("efficientnet_lite0", (224, 224, 3), weights="imagenet")

    Reference: https://keras.io/api/applications/
    """
    row = backbone_table.backbone_row(_name(backbone))
    shape = inputs.check_integers("input_shape", input_shape)
    if len(shape) != 3 or shape[2] not in (1, 3):
        raise InputError(
            "input_shape",
            received=repr(input_shape),
            expected="(height, width, channels) with 1 or 3 channels",
            mend="Pass for example input_shape=(224, 224, 3).",
        )
    if pooling is not None:
        check_choice("pooling", pooling, _POOLING)
    enlarge_to = inputs.check_integer("enlarge_to", enlarge_to)

    image = keras.Input(shape, dtype="uint8", name="image")
    x = _scale(_as_large_rgb(image, max(row["minimum_size"], enlarge_to)), row)
    if row["function"] is None:
        x = efficientnet_lite0_features(x)
        network = keras.Model(image, x if pooling is None else _POOLING[pooling](name="pool")(x))
    else:
        function = getattr(keras.applications, row["function"])
        network = function(
            include_top=False, weights=None, input_tensor=x, input_shape=tuple(x.shape[1:]), pooling=pooling
        )
    _set_statistics(network, row)
    if weights is not None:
        load_backbone_weights(network, row, weights)
    # A layer of its own: the families name their last layer as they like, and a ConvNeXt ends with a normalization.
    return keras.Model(image, keras.layers.Identity(dtype="float32", name=FEATURES)(network.output), name=name)


def classifier(
    backbone: str | Callable[..., keras.Model],
    input_shape: Sequence[int],
    num_classes: int,
    *,
    weights: str | Path | None = None,
    enlarge_to: int = 1,
    dropout: float = 0.0,
    l1: float = 0.0,
    l2: float = 0.0,
    name: str | None = None,
) -> keras.Model:
    """Build a classifier on a backbone: its averaged features, dropout, logits.

    The head is always new, also for the 1000 classes of ImageNet.

    Args:
        backbone: As in :func:`features`.
        input_shape: As in :func:`features`.
        num_classes: Number of logits, at least 2.
        weights: Of the backbone, as in :func:`features`.
        enlarge_to: As in :func:`features`.
        dropout: Share of features set to zero in training before the logits, in [0, 1).
        l1: Weight of the sum of absolute kernel weights of the logits in the loss.
        l2: Weight of the sum of squared kernel weights of the logits in the loss.
        name: Name of the model, by default the backbone's.

    Returns:
        An uncompiled model from "image" to logits of shape (batch, num_classes), float32. Its layers are those of
        :func:`backbone_layers`, then "features", "dropout" if any, and "logits".

    Raises:
        InputError: As in :func:`features`, or if an argument is outside the ranges above.

    Example:
        >>> model = classifier("mobilenet_v2", (96, 96, 3), 10, weights="imagenet", dropout=0.2)
    """
    num_classes = inputs.check_integer("num_classes", num_classes, minimum=2)
    dropout = inputs.check_share("dropout", dropout)
    regularizer = inputs.penalty(l1, l2)
    model = features(backbone, input_shape, weights=weights, enlarge_to=enlarge_to)
    x = keras.layers.Dropout(dropout, name="dropout")(model.output) if dropout else model.output
    return keras.Model(
        model.input, blocks.logits(x, num_classes, regularizer=regularizer), name=name or _name(backbone)
    )


def backbone_layers(model: keras.Model) -> list[keras.layers.Layer]:
    """Return the layers of the backbone in `model`, from the pixels to the features: what freezing is about.

    Args:
        model: Made by :func:`classifier` or :func:`features`.

    Returns:
        All layers before "features", each after those that it stands on, without the input.

    Raises:
        InputError: If the model has no layer "features".

    Example:
        >>> for layer in backbone_layers(model):
        ...     layer.trainable = False
    """
    # An input may have the name too.
    layers = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    names = [layer.name for layer in layers]
    if FEATURES not in names:
        raise InputError(
            "model",
            received=f"{model.name}, which has no layer 'features'",
            expected="a model on a pretrained backbone",
            mend="Build it with kerasdl.models.classifier or features.",
        )
    return layers[: names.index(FEATURES)]


def _name(backbone: Any) -> Any:
    name = getattr(backbone, "__name__", None)
    if callable(backbone) and getattr(keras.applications, str(name), None) is backbone:
        return next(row["name"] for row in backbone_table.backbones() if row["function"] == name)
    return backbone


def _as_large_rgb(image: keras.KerasTensor, minimum_size: int) -> keras.KerasTensor:
    # Float32 in every layer up to the network, whatever the precision policy: pixels lose nothing on their way.
    x = keras.ops.cast(image, "float32")
    height, width, channels = x.shape[1:]
    if channels == 1:
        x = keras.layers.Concatenate(dtype="float32", name="repeat")([x, x, x])
    if min(height, width) < minimum_size:
        factor = minimum_size / min(height, width)
        x = keras.layers.Resizing(
            max(round(height * factor), minimum_size),
            max(round(width * factor), minimum_size),
            dtype="float32",
            name="enlarge",
        )(x)
    return x


def _scale(x: keras.KerasTensor, row: dict[str, Any]) -> keras.KerasTensor:
    if row["scaling"] == backbone_table.PLUS_MINUS_ONE:
        return blocks.scale_image(x, name="scaling")
    if row["scaling"] == backbone_table.MEAN_AND_DEVIATION:
        scale, offset = 1 / (255 * _DEVIATION), -_MEAN / _DEVIATION
    elif row["scaling"] == backbone_table.BGR_MINUS_MEAN:
        x = keras.ops.flip(x, axis=-1)
        scale, offset = np.ones(3), -np.array(_BGR_MEAN)
    elif row["family"] == "efficientnet":
        # The network divides by the root of what its weights file calls variance, which is the deviation. Keras mends
        # it behind that layer by another root, but only with weights="imagenet": a file would be read into another
        # graph. The same in front of the layer, always.
        scale = 1 / np.sqrt(_DEVIATION)
        offset = 255 * _MEAN * (1 - scale)
    else:
        return x
    return keras.layers.Rescaling(scale.tolist(), offset=offset.tolist(), dtype="float32", name="scaling")(x)


def _set_statistics(network: keras.Model, row: dict[str, Any]) -> None:
    if row["family"] == "efficientnet":
        # Otherwise the layer has them only from a weights file, and not when a model's weights are copied.
        layer = next(layer for layer in network.layers if isinstance(layer, keras.layers.Normalization))
        layer.set_weights([_MEAN, _DEVIATION, np.array(0)])
        layer.finalize_state()
