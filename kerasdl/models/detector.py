"""Anchor-free object detectors: a backbone, a feature pyramid and one head for all its levels."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras

from kerasdl import blocks
from kerasdl.errors import InputError, check_choice
from kerasdl.locations import STRIDES
from kerasdl.models import detector_parts as parts
from kerasdl.models import inputs
from kerasdl.models.pretrained import features

# Filters of the stages at strides 4, 8, 16 and 32, residual blocks in each, filters of the pyramid and of the head, and
# convolutions of each branch of the head.
SIZES: dict[str, tuple[tuple[int, ...], tuple[int, ...], int, int]] = {
    "nano": ((16, 32, 64, 96), (1, 1, 1, 1), 48, 1),
    "small": ((32, 64, 128, 192), (1, 2, 2, 1), 96, 2),
    "base": ((64, 128, 256, 512), (2, 2, 2, 2), 128, 3),
}
# The share of locations that a fresh detector calls an object of a class: rare, so that the first steps are not spent
# on unlearning objects everywhere (arXiv:1708.02002, section 4.1).
PRIOR = 0.01


def detector(
    input_shape: Sequence[int],
    num_classes: int,
    *,
    size: str = "nano",
    backbone: str | Callable[..., keras.Model] | None = None,
    weights: str | Path | None = None,
    strides: Sequence[int] = STRIDES,
    activation: str = "relu",
    normalization: str | None = "batch",
    momentum: float = blocks.MOMENTUM,
    dropout: float = 0.0,
    l1: float = 0.0,
    l2: float = 0.0,
    name: str = "detector",
) -> keras.Model:
    """Build an anchor-free object detector (FCOS): what stands at each location, and how far its box reaches.

    Feature maps of a backbone at several strides, a pyramid that brings what the coarse ones know to the fine ones, and
    a head of two branches, one for the classes, one for the box and how central the location is in it. The head's
    convolutions are shared by all levels. With batch normalization each level has statistics of its own (as in
    arXiv:1911.09070), since they differ; other normalizations are shared too.

    Args:
        input_shape: (height, width, channels) of uint8 images in pixels. Any size; grey or colour.
        num_classes: Number of classes, at least 1.
        size: "nano", "small" or "base": widths and depths of all parts; with a `backbone`, of pyramid and head.
        backbone: None for a small residual network, else as in :func:`kerasdl.models.features`.
        weights: Of the backbone, as in :func:`kerasdl.models.features`.
        strides: Pixels between the locations of each level, each number twice the one before; those above 32 stand on
            the level before them.
        activation: Name of a Keras activation, of our own backbone and the head.
        normalization: "batch", "layer", "group" or None, of our own backbone, pyramid and head.
        momentum: Of the moving statistics of batch normalization, as in :func:`resnet`.
        dropout: Share of features set to zero in training before the outputs, in [0, 1).
        l1: Weight of the sum of absolute kernel weights of pyramid and head (and our own backbone) in the loss.
        l2: Weight of the sum of their squares.
        name: Name of the model.

    Returns:
        An uncompiled model from "image" to a dict, float32, with the locations of
        :func:`kerasdl.locations.locations`: "classes", logits of shape (batch, locations, num_classes); "boxes",
        distances from the location to the left, top, right and bottom of its box in pixels, at least 0, (batch,
        locations, 4); "centerness", logits, (batch, locations, 1).

    Raises:
        InputError: If an argument is outside the ranges above, or the backbone has no feature map at a stride.

    Example:
        >>> model = detector((128, 128, 3), 10)
        >>> model = detector((320, 320, 3), 80, size="small", backbone="efficientnet_lite0", weights="imagenet")

    Reference: Tian et al., FCOS, arXiv:1904.01355 and arXiv:2006.09214; Lin et al., Feature pyramid networks,
    arXiv:1612.03144
    """
    num_classes = inputs.check_integer("num_classes", num_classes)
    check_choice("size", size, SIZES)
    strides = _check_strides(strides)
    inputs.check_activation(activation, normalization)
    momentum = inputs.check_share("momentum", momentum, example=0.9)
    dropout = inputs.check_share("dropout", dropout)
    filters, num_layers, width, depth = SIZES[size]
    options: dict[str, Any] = {
        "activation": activation,
        "normalization": normalization,
        "momentum": momentum,
        "regularizer": inputs.penalty(l1, l2),
    }

    own = [stride for stride in strides if stride <= 32]
    if backbone is None:
        image, x = inputs.image_input(input_shape)
        stages = len(range(2, int(math.log2(own[-1])) + 1))
        maps = parts.residual_maps(x, filters[:stages], num_layers[:stages], **options)
    else:
        network = features(backbone, input_shape, weights=weights, pooling=None)
        image, maps = network.input, parts.maps_of(network, own)
    levels = parts.pyramid(maps, strides, width, **options)
    branch = functools.partial(parts.branch, levels, width, depth, dropout=dropout, **options)
    output = functools.partial(parts.output, regularizer=options["regularizer"])
    classes, boxes = branch(name="head_classes"), branch(name="head_boxes")
    # A sigmoid of this is the prior.
    rare = keras.initializers.Constant(-math.log((1 - PRIOR) / PRIOR))
    outputs = {
        "classes": output(classes, num_classes, bias=rare, name="classes"),
        # One at the start: about a stride to each side.
        "boxes": output(boxes, 4, bias="ones", strides=strides, name="boxes"),
        "centerness": output(boxes, 1, bias="zeros", name="centerness"),
    }
    return keras.Model(image, outputs, name=name)


def _check_strides(strides: Sequence[int]) -> tuple[int, ...]:
    found = inputs.check_integers("strides", strides)
    if found[0] not in (4, 8, 16, 32) or any(b != 2 * a for a, b in zip(found, found[1:], strict=False)):
        raise InputError(
            "strides",
            received=repr(strides),
            expected="powers of two, each twice the one before, the first from 4 to 32",
            mend="Pass strides=(8, 16, 32), or (4, 8, 16, 32) for smaller boxes.",
        )
    return found
