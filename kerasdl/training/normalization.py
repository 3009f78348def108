"""Batch normalization as one operation of TensorFlow while a model trains on a processor.

Keras puts it together from a dozen small ones, each of which reads and writes the whole tensor, and has no name for the
fused one. What that comes to: `benchmarks/convnets.py`.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from typing import Any

import keras

from kerasdl.training.hardware import accelerators


@contextlib.contextmanager
def fused_normalization(model: keras.Model) -> Iterator[None]:
    """Let the batch normalizations of a model use TensorFlow's fused operation inside this context.

    They compute what they compute otherwise, but for rounding, and stay plain layers of Keras, also in what is saved
    meanwhile. Those that TensorFlow's operation cannot stand for go on as they are: along another axis than the last,
    with a mask, renormalizing, synchronized over devices. So does everything on other backends and on GPUs.

    Args:
        model: Any Keras model; to be traced inside.

    Example:
        >>> with fused_normalization(model):
        ...     model.fit(images, labels)
    """
    fused = _fusible(model) if keras.backend.backend() == "tensorflow" and not accelerators() else []
    for layer in fused:
        layer.call = functools.partial(_call, layer)
    try:
        yield
    finally:
        for layer in fused:
            del layer.call


def _fusible(model: keras.Model) -> list[Any]:
    return [
        layer
        for layer in model._flatten_layers()
        if type(layer) is keras.layers.BatchNormalization
        and layer.built
        and layer.axis in (-1, layer.input_spec.ndim - 1)
        and not (layer.renorm or layer.synchronized)
        and keras.backend.standardize_dtype(layer.moving_mean.dtype) == "float32"
    ]


def _call(layer: Any, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
    """Do what `layer.call` does."""
    if not (training and layer.trainable) or mask is not None:
        return type(layer).call(layer, inputs, training=training, mask=mask)
    import tensorflow as tf

    channels = inputs.shape[-1]
    ones, zeros = tf.ones(channels), tf.zeros(channels)
    # The operation knows images only; to its sums a batch of anything is a batch of pixels.
    outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=tf.reshape(inputs, (-1, 1, 1, channels)),
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
