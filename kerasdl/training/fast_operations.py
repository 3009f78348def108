"""Faster ways of TensorFlow to compute what Keras's layers compute, while a model trains on a processor.

Keras puts batch normalization together from a dozen operations, each of which reads and writes the whole tensor, and
has no name for the fused one; an update of Adam likewise, for each variable. TensorFlow's own gradient of a convolution
by its input is up to seven times slower than the convolution; it is itself a convolution, with the kernel turned
around, which runs as fast as any. And its gradient of a pooling goes from point to point, where a few comparisons of
whole tensors do; only where oneDNN's kernels are in use, on processors with AVX-512 or later, are both as fast as they
can be. Keras writes attention as sums over named axes, which are slower than the products of matrices that they are;
the gradient of layer normalization, put together operation by operation, goes some fifteen times over the tensor;
and the gradient of GELU computes again what its value has. What all that comes to: `benchmarks/training_speed.py`.
"""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Iterator
from typing import Any

import keras

from kerasdl.accelerators import accelerators
from kerasdl.layers import SelfAttention
from kerasdl.training.distribution import is_mirrored


@contextlib.contextmanager
def fast_operations(model: keras.Model) -> Iterator[None]:
    """Let normalizations, convolutions, poolings, attention, GELU and Adam compute faster in this context.

    They compute what they compute otherwise, but for rounding, and stay plain layers and a plain optimizer of Keras,
    also in what is saved meanwhile. Those of other kinds and with unusual arguments go on as they are. So does
    everything on other backends, on GPUs, on several devices, and under XLA, which puts operations together itself.

    Args:
        model: A Keras model; to be traced inside.

    Example:
        >>> with fast_operations(model):
        ...     model.fit(images, labels)
    """
    faster: list[tuple[Any, str, Any]] = []
    plain = keras.backend.backend() == "tensorflow" and not model.jit_compile and not is_mirrored(model)
    if plain and not accelerators():
        optimizer: Any = getattr(model, "optimizer", None)
        if type(optimizer) in (keras.optimizers.Adam, keras.optimizers.AdamW) and not optimizer.amsgrad:
            faster.append((optimizer, "update_step", _update))
        slow_gradients = not _has_onednn()
        for layer in model._flatten_layers():
            if _is_usual_normalization(layer):
                faster.append((layer, "call", _normalize))
            elif slow_gradients and _is_usual_convolution(layer):
                faster.append((layer, "convolution_op", _convolve))
            elif slow_gradients and _is_usual_pooling(layer):
                faster.append((layer, "call", _pool))
            elif _is_usual_layer_normalization(layer):
                faster.append((layer, "call", _normalize_layer))
            elif type(layer) is SelfAttention and layer.compute_dtype == "float32":
                faster.append((layer, "attend", _attend))
            elif type(layer) is keras.layers.Activation and layer.activation is keras.activations.gelu:
                faster.append((layer, "call", _gelu))
    for owner, method, function in faster:
        setattr(owner, method, functools.partial(function, owner))
    try:
        yield
    finally:
        for owner, method, _ in faster:
            delattr(owner, method)


def _has_onednn() -> bool:
    """Return whether TensorFlow takes oneDNN's kernels here: by the processor and TF_ENABLE_ONEDNN_OPTS."""
    from tensorflow.python.util import _pywrap_util_port

    return _pywrap_util_port.IsMklEnabled()


def _update(optimizer: Any, gradient: Any, variable: Any, learning_rate: Any) -> None:
    """Do what `optimizer.update_step` does."""
    import tensorflow as tf

    if variable.dtype != tf.float32 or isinstance(gradient, tf.IndexedSlices):
        type(optimizer).update_step(optimizer, gradient, variable, learning_rate)
        return
    index = optimizer._get_variable_index(variable)
    step = tf.cast(tf.convert_to_tensor(optimizer.iterations) + 1, tf.float32)
    tf.raw_ops.ResourceApplyAdam(
        var=variable.handle,
        m=optimizer._momentums[index].value.handle,
        v=optimizer._velocities[index].value.handle,
        beta1_power=optimizer.beta_1**step,
        beta2_power=optimizer.beta_2**step,
        lr=tf.cast(learning_rate, tf.float32),
        beta1=optimizer.beta_1,
        beta2=optimizer.beta_2,
        epsilon=optimizer.epsilon,
        grad=tf.cast(gradient, tf.float32),
    )


def _is_usual_normalization(layer: Any) -> bool:
    return (
        type(layer) is keras.layers.BatchNormalization
        and layer.built
        and layer.axis in (-1, layer.input_spec.ndim - 1)
        and not layer.renorm
        and keras.backend.standardize_dtype(layer.moving_mean.dtype) == "float32"
    )


def _is_usual_layer_normalization(layer: Any) -> bool:
    return (
        type(layer) is keras.layers.LayerNormalization
        and layer.built
        and list(layer.axis) == [-1]
        and layer.scale
        and layer.center
        and not layer.rms_scaling
        and layer.variable_dtype == "float32"
    )


def _is_usual_convolution(layer: Any) -> bool:
    return (
        type(layer) is keras.layers.Conv2D
        and all(side % 2 for side in layer.kernel_size)
        and layer.strides == layer.dilation_rate == (1, 1)
        and layer.groups == 1
        and layer.padding == "same"
        and layer.data_format == "channels_last"
    )


def _is_usual_pooling(layer: Any) -> bool:
    return (
        type(layer) is keras.layers.MaxPooling2D
        and layer.pool_size == layer.strides == (2, 2)
        and layer.data_format == "channels_last"
    )


def _normalize(layer: Any, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
    """Do what `layer.call` does."""
    if not (training and layer.trainable) or mask is not None:
        return type(layer).call(layer, inputs, training=training, mask=mask)
    import tensorflow as tf

    channels = inputs.shape[-1]
    ones, zeros = tf.ones(channels), tf.zeros(channels)
    # The operation knows images only; to its sums a batch of anything is a row of pixels.
    outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=inputs if len(inputs.shape) == 4 else tf.reshape(inputs, (1, 1, -1, channels)),
        scale=ones if layer.gamma is None else tf.convert_to_tensor(layer.gamma),
        offset=zeros if layer.beta is None else tf.convert_to_tensor(layer.beta),
        mean=[],
        variance=[],
        epsilon=layer.epsilon,
    )
    # It estimates the variance with one degree of freedom less, Keras without.
    count = tf.cast(tf.size(inputs) // channels, tf.float32)
    variance *= tf.maximum(count - 1, 1) / count
    for moving, now in ((layer.moving_mean, mean), (layer.moving_variance, variance)):
        moving.assign(moving * layer.momentum + now * (1 - layer.momentum))
    return tf.reshape(outputs, tf.shape(inputs))


def _normalize_layer(layer: Any, inputs: Any) -> Any:
    """Do what `layer.call` does."""
    import tensorflow as tf

    features = inputs.shape[-1]

    @tf.custom_gradient
    def normalize(x: Any, gamma: Any, beta: Any) -> tuple[Any, Any]:
        centred = x - tf.reduce_mean(x, -1, keepdims=True)
        scale = tf.math.rsqrt(tf.reduce_mean(centred * centred, -1, keepdims=True) + layer.epsilon)
        normal = centred * scale

        def gradients(upstream: Any) -> tuple[Any, Any, Any]:
            by_gamma = upstream * normal
            # Means over the features of what comes back times gamma, as products with a column.
            column = tf.reshape(gamma / features, (features, 1))
            mean, slope = tf.matmul(upstream, column), tf.matmul(by_gamma, column)
            by_x = (upstream * gamma - (normal * slope + mean)) * scale
            # The gradient of a bias is the sum over all but the features, and there is an operation for that.
            return by_x, *(tf.raw_ops.BiasAddGrad(out_backprop=each) for each in (by_gamma, upstream))

        return tf.nn.bias_add(normal * gamma, beta), gradients

    rows = tf.reshape(tf.cast(inputs, tf.float32), (-1, features))
    outputs = normalize(rows, tf.convert_to_tensor(layer.gamma), tf.convert_to_tensor(layer.beta))
    return tf.cast(tf.reshape(outputs, tf.shape(inputs)), layer.compute_dtype)


def _convolve(layer: Any, inputs: Any, kernel: Any) -> Any:
    """Do what `layer.convolution_op` does."""
    import tensorflow as tf

    kernel = tf.convert_to_tensor(kernel)
    if inputs.dtype != kernel.dtype:
        return type(layer).convolution_op(layer, inputs, kernel)

    @tf.custom_gradient
    def convolve(x: Any, kernel: Any) -> tuple[Any, Any]:
        def gradients(upstream: Any) -> tuple[Any, Any]:
            turned = tf.transpose(tf.reverse(kernel, (0, 1)), (0, 1, 3, 2))
            by_kernel = tf.raw_ops.Conv2DBackpropFilter(
                input=x, filter_sizes=kernel.shape, out_backprop=upstream, strides=[1, 1, 1, 1], padding="SAME"
            )
            return tf.nn.conv2d(upstream, turned, 1, "SAME"), by_kernel

        return tf.nn.conv2d(x, kernel, 1, "SAME"), gradients

    return convolve(inputs, kernel)


def _pool(layer: Any, inputs: Any) -> Any:
    """Do what `layer.call` does."""
    height, width, channels = inputs.shape[1:]
    if height is None or width is None or height % 2 or width % 2:
        return type(layer).call(layer, inputs)
    import tensorflow as tf

    @tf.custom_gradient
    def pool(x: Any) -> tuple[Any, Any]:
        largest = tf.nn.max_pool2d(x, 2, 2, "VALID")

        def gradient(upstream: Any) -> Any:
            # The first of the largest gets all, as in TensorFlow.
            windows = tf.reshape(x, (-1, height // 2, 2, width // 2, 2, channels))
            free, rows = tf.ones_like(largest, tf.bool), []
            for row in range(2):
                halves = []
                for column in range(2):
                    found = tf.equal(windows[:, :, row, :, column], largest)
                    halves.append(tf.where(found & free, upstream, tf.zeros_like(upstream)))
                    free &= ~found
                rows.append(tf.reshape(tf.concat(halves, -1), (-1, height // 2, width * channels)))
            return tf.reshape(tf.concat(rows, -1), tf.shape(x))

        return largest, gradient

    return pool(inputs)


def _attend(layer: Any, query: Any, key: Any, value: Any, *, mask: Any = None, causal: bool = False) -> Any:
    """Do what `layer.attend` does: sums over named axes as products of matrices."""
    import tensorflow as tf

    query, key, value = (tf.transpose(each, (0, 2, 1, 3)) for each in (query, key, value))
    agreement = tf.matmul(query * layer.head_dim**-0.5, key, transpose_b=True)
    if causal:
        seen = tf.linalg.band_part(tf.ones(tf.shape(agreement)[-2:], tf.bool), -1, 0)
        mask = seen if mask is None else mask & seen
    if mask is not None:
        agreement = tf.where(mask, agreement, -0.5 * tf.float32.max)
    found = tf.matmul(tf.nn.softmax(agreement), value)
    return layer._output(tf.transpose(found, (0, 2, 1, 3)))


def _gelu(_: Any, inputs: Any) -> Any:
    """Do what an activation layer of GELU does."""
    import tensorflow as tf

    @tf.custom_gradient
    def gelu(x: Any) -> tuple[Any, Any]:
        below = 0.5 * tf.math.erfc(x * -(0.5**0.5))  # the normal distribution up to x

        def gradient(upstream: Any) -> Any:
            return upstream * (below + x * tf.exp(-0.5 * x * x) * (2 * math.pi) ** -0.5)

        return x * below, gradient

    return gelu(tf.convert_to_tensor(inputs))
