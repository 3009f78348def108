"""Blocks: functions from tensor to tensor out of which the builders in `kerasdl.models` are made.

Here belongs what two builders share. A block makes plain Keras layers and names each one after its `name`; it uses
`keras` only, so it runs on every backend, and knows nothing of data or training.
"""

from __future__ import annotations

import functools

import keras

from kerasdl.errors import check_choice

NORMALIZATIONS = ("batch", "layer", "group")
# glu halves the channels and threshold wants arguments: neither can stand where a builder puts a name.
ACTIVATIONS = tuple(
    sorted(
        name
        for name in dir(keras.activations)
        if not name.startswith("_") and name not in ("get", "serialize", "deserialize", "glu", "threshold")
    )
)
# Keras's default momentum of 0.99 needs some hundred steps to forget its start: too many for small data.
MOMENTUM = 0.9
_SATURATING = ("tanh", "sigmoid", "softsign", "hard_sigmoid", "hard_tanh", "softmax", "linear")


def initializer(activation: str | None) -> str:
    """Return the name of the kernel initializer that keeps the variance of the signal under `activation`.

    He for rectifiers and their smooth relatives (arXiv:1502.01852), LeCun for selu (arXiv:1706.02515), Glorot for
    saturating and linear activations.
    """
    if activation == "selu":
        return "lecun_normal"
    return "glorot_uniform" if activation in _SATURATING else "he_normal"


def scale_image(x: keras.KerasTensor, *, name: str = "rescaling") -> keras.KerasTensor:
    """Scale pixels from [0, 255] to [-1, 1], in float32 whatever the precision policy."""
    return keras.layers.Rescaling(1 / 127.5, offset=-1.0, dtype="float32", name=name)(x)


def suitable_momentum(steps: int) -> float:
    """Return the momentum of batch normalization that suits a training of `steps` steps.

    Its moving mean and variance remember about 1 / (1 - momentum) steps. The rule: a tenth of the training, so that
    the start is forgotten at its end (its share is then below e^-10), at least 2 steps and at most Keras's 100.

    Args:
        steps: Batches in the whole training.

    Returns:
        A momentum from 0.5 to 0.99: 0.9 for 100 steps, 0.98 for 500, 0.99 from 1000 on.

    Example:
        >>> cnn((28, 28, 1), 10, momentum=suitable_momentum(20 * 15))
    """
    return 1 - 1 / min(max(steps / 10, 2), 100)


def normalize(
    x: keras.KerasTensor,
    normalization: str | None,
    *,
    gamma_initializer: str = "ones",
    momentum: float = MOMENTUM,
    name: str,
) -> keras.KerasTensor:
    """Normalize the last axis of `x`, or return `x` as it is when `normalization` is None.

    Batch: arXiv:1502.03167; layer: arXiv:1607.06450, over the channels of each pixel; group: arXiv:1803.08494.

    Args:
        x: Tensor of shape (batch, ..., channels).
        normalization: "batch", "layer", "group" or None.
        gamma_initializer: Initial scale.
        momentum: Of the moving statistics of batch normalization, in [0, 1); see `suitable_momentum`.
        name: Name of the layer.

    Returns:
        A tensor of the shape of `x`.

    Raises:
        InputError: If `normalization` is unknown.

    Example:
        >>> normalize(x, "group", name="stage1_norm")
    """
    if normalization is None:
        return x
    return normalization_layer(
        normalization, x.shape[-1], gamma_initializer=gamma_initializer, momentum=momentum, name=name
    )(x)


def normalization_layer(
    normalization: str, channels: int, *, gamma_initializer: str = "ones", momentum: float = MOMENTUM, name: str
) -> keras.layers.Layer:
    """Return the layer of `normalize` for tensors of `channels` channels, to be called on more than one of them."""
    check_choice("normalization", normalization, NORMALIZATIONS)
    if normalization == "batch":
        return keras.layers.BatchNormalization(momentum=momentum, gamma_initializer=gamma_initializer, name=name)
    if normalization == "layer":
        return keras.layers.LayerNormalization(gamma_initializer=gamma_initializer, name=name)
    # A group of one channel on a single pixel has no variance and would erase the signal, so groups stay wide.
    groups = max(g for g in range(1, 33) if channels % g == 0 and (g == 1 or channels // g >= 8))
    return keras.layers.GroupNormalization(groups, gamma_initializer=gamma_initializer, name=name)


def convolution(
    x: keras.KerasTensor,
    filters: int,
    kernel_size: int = 3,
    *,
    strides: int = 1,
    activation: str | None = "relu",
    normalization: str | None = "batch",
    momentum: float = MOMENTUM,
    regularizer: keras.regularizers.Regularizer | None = None,
    zero: bool = False,
    pool: bool = False,
    name: str,
) -> keras.KerasTensor:
    """Convolution, perhaps pooling, normalization, activation.

    The convolution has a bias only without normalization, whose offset would cancel it.

    Args:
        x: Tensor of shape (batch, height, width, channels).
        filters: Number of output channels.
        kernel_size: Side of the kernel in pixels.
        strides: Step of the kernel in pixels; the padding is "same".
        activation: Name of a Keras activation, or None for none.
        normalization: As in `normalize`.
        momentum: As in `normalize`.
        regularizer: Of the kernel.
        zero: Start with an output of zero (zero scale, or zero kernel without normalization), for the end of a
            residual branch: the block starts as the identity (arXiv:1706.02677, section 5.1).
        pool: Whether max pooling, which halves height and width, comes before the normalization, which then has a
            quarter of the work.
        name: Name of the convolution and first part of the names of the layers after it.

    Returns:
        Tensor of shape (batch, ceil(height / strides), ceil(width / strides), filters), its sides halved by `pool`.

    Raises:
        InputError: If `normalization` is unknown.

    Example:
        >>> convolution(x, 64, strides=2, name="stage1_conv1")
    """
    x = keras.layers.Conv2D(
        filters,
        kernel_size,
        strides=strides,
        padding="same",
        use_bias=normalization is None,
        kernel_initializer="zeros" if zero and normalization is None else initializer(activation),
        kernel_regularizer=regularizer,
        name=name,
    )(x)
    if pool:
        x = keras.layers.MaxPooling2D(2, padding="same", name=f"{name}_pool")(x)
    gamma = "zeros" if zero else "ones"
    x = normalize(x, normalization, gamma_initializer=gamma, momentum=momentum, name=f"{name}_norm")
    return x if activation is None else keras.layers.Activation(activation, name=f"{name}_activation")(x)


def dense(
    x: keras.KerasTensor,
    units: int,
    *,
    activation: str = "relu",
    normalization: str | None = None,
    momentum: float = MOMENTUM,
    dropout: float = 0.0,
    regularizer: keras.regularizers.Regularizer | None = None,
    name: str,
) -> keras.KerasTensor:
    """Fully connected layer, normalization, activation, dropout.

    Args:
        x: Tensor of shape (batch, features).
        units: Number of output features.
        activation: Name of a Keras activation.
        normalization: As in `normalize`.
        momentum: As in `normalize`.
        dropout: Share of the output features set to zero in training.
        regularizer: Of the kernel.
        name: Name of the dense layer and first part of the names of the layers after it.

    Returns:
        Tensor of shape (batch, units).

    Raises:
        InputError: If `normalization` is unknown.

    Example:
        >>> dense(x, 128, dropout=0.5, name="dense1")
    """
    x = keras.layers.Dense(
        units,
        use_bias=normalization is None,
        kernel_initializer=initializer(activation),
        kernel_regularizer=regularizer,
        name=name,
    )(x)
    x = normalize(x, normalization, momentum=momentum, name=f"{name}_norm")
    x = keras.layers.Activation(activation, name=f"{name}_activation")(x)
    return keras.layers.Dropout(dropout, name=f"{name}_dropout")(x) if dropout else x


def logits(
    x: keras.KerasTensor, num_classes: int, *, regularizer: keras.regularizers.Regularizer | None = None
) -> keras.KerasTensor:
    """Map features (batch, features) to logits (batch, num_classes), in float32 whatever the precision policy."""
    return keras.layers.Dense(num_classes, kernel_regularizer=regularizer, dtype="float32", name="logits")(x)


def residual(
    x: keras.KerasTensor,
    filters: int,
    *,
    strides: int = 1,
    bottleneck: bool = False,
    activation: str = "relu",
    normalization: str | None = "batch",
    momentum: float = MOMENTUM,
    regularizer: keras.regularizers.Regularizer | None = None,
    stochastic_depth: float = 0.0,
    name: str,
) -> keras.KerasTensor:
    """Residual block of a ResNet (arXiv:1512.03385): activation(shortcut + branch).

    The branch is two 3x3 convolutions, or, as a bottleneck, 1x1, 3x3 and 1x1 with four times the filters at its end.
    The stride of a bottleneck is on the 3x3 (version 1.5, as in torchvision: the 1x1 would skip pixels). The shortcut
    is the identity, or a 1x1 convolution where the shape changes.

    Args:
        x: Tensor of shape (batch, height, width, channels).
        filters: Channels of the branch.
        strides: Step in pixels.
        bottleneck: Which of the two branches.
        activation: Name of a Keras activation.
        normalization: As in `normalize`.
        momentum: As in `normalize`.
        regularizer: Of the kernels.
        stochastic_depth: Share of the examples whose branch is left out in training (arXiv:1603.09382), in [0, 1).
        name: First part of the names of all layers.

    Returns:
        Tensor of shape (batch, ceil(height / strides), ceil(width / strides), filters, or 4 filters as a bottleneck).

    Raises:
        InputError: If `normalization` is unknown.

    Example:
        >>> residual(x, 128, strides=2, name="stage2_block1")
    """
    conv = functools.partial(convolution, normalization=normalization, momentum=momentum, regularizer=regularizer)
    channels = 4 * filters if bottleneck else filters
    if bottleneck:
        y = conv(x, filters, 1, activation=activation, name=f"{name}_conv1")
        y = conv(y, filters, 3, strides=strides, activation=activation, name=f"{name}_conv2")
        y = conv(y, channels, 1, activation=None, zero=True, name=f"{name}_conv3")
    else:
        y = conv(x, filters, 3, strides=strides, activation=activation, name=f"{name}_conv1")
        y = conv(y, channels, 3, activation=None, zero=True, name=f"{name}_conv2")
    if strides != 1 or x.shape[-1] != channels:
        x = conv(x, channels, 1, strides=strides, activation=None, name=f"{name}_shortcut")
    if stochastic_depth:
        # One draw an example; the branches that stay grow by 1 / (1 - rate), so that inference needs no factor.
        y = keras.layers.Dropout(stochastic_depth, noise_shape=(None, 1, 1, 1), name=f"{name}_stochastic_depth")(y)
    x = keras.layers.Add(name=f"{name}_add")([x, y])
    return keras.layers.Activation(activation, name=f"{name}_activation")(x)
