"""What Keras's layers do with channels, for pruning: which read them, which let them through, what constants become.

A layer that is not known here is "other", and nothing that it touches is pruned.
"""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np

_POOLING = (keras.layers.MaxPooling2D, keras.layers.AveragePooling2D)
_GLOBAL_POOLING = (keras.layers.GlobalAveragePooling2D, keras.layers.GlobalMaxPooling2D)
# In inference these give back what they get.
_IDENTITIES = (keras.layers.Dropout, keras.layers.SpatialDropout2D, keras.layers.GaussianNoise)
# Activations of a channel that look at the other channels too.
_MIXING = ("softmax", "log_softmax", "sparsemax", "glu")


def kind_of(layer: keras.layers.Layer) -> str:
    """Return what `layer` does with channels: it "reads" them into new ones, lets them "through", or does "other"."""
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        return "other"
    if isinstance(layer, keras.layers.InputLayer):
        return "other"
    if type(layer) is keras.layers.Dense or (type(layer) is keras.layers.Conv2D and layer.groups == 1):
        return "reads"
    if type(layer) is keras.layers.BatchNormalization:
        return "through" if layer.axis in (-1, layer.input_spec.ndim - 1) else "other"
    if type(layer) is keras.layers.Activation:
        return "other" if mixes(layer) else "through"
    through = (*_IDENTITIES, *_POOLING, *_GLOBAL_POOLING, keras.layers.ReLU, keras.layers.LeakyReLU, keras.layers.ELU)
    if type(layer) is keras.layers.Rescaling:
        return "through" if np.ndim(layer.scale) == np.ndim(layer.offset) == 0 else "other"
    return "through" if type(layer) in (*through, keras.layers.Flatten, keras.layers.Add) else "other"


def constants_through(
    layer: keras.layers.Layer, inputs: list[Any], weights: dict[str, np.ndarray], shape: tuple[int | None, ...]
) -> np.ndarray | None:
    """Return what constant channels become in a layer of kind "through"; NaN stays NaN."""
    values = sum(inputs) if isinstance(layer, keras.layers.Add) else inputs[0]
    known = np.isfinite(values)
    if isinstance(layer, keras.layers.BatchNormalization):
        scale = weights.get("gamma", 1.0) / np.sqrt(weights["moving_variance"] + layer.epsilon)
        values = (values - weights["moving_mean"]) * scale + weights.get("beta", 0.0)
    elif isinstance(layer, keras.layers.Flatten):
        return None if None in shape[1:] else np.tile(values, math.prod(size for size in shape[1:-1] if size))
    elif isinstance(layer, keras.layers.AveragePooling2D) and layer.padding == "same":
        # Backends count the padding differently.
        known &= values == 0
    elif isinstance(layer, (keras.layers.Activation, keras.layers.ReLU, keras.layers.LeakyReLU, keras.layers.ELU)):
        values = apply(layer, np.where(known, values, 0.0))
    elif isinstance(layer, keras.layers.Rescaling):
        values = values * layer.scale + layer.offset
    return np.where(known, values, np.nan)


def mixes(layer: keras.layers.Layer) -> bool:
    """Whether the layer's activation makes a channel depend on the others."""
    return getattr(layer.activation, "__name__", "") in _MIXING


def apply(function: Any, values: np.ndarray) -> np.ndarray:
    """Return what `function`, of tensors, gives for `values`."""
    return keras.ops.convert_to_numpy(function(keras.ops.convert_to_tensor(values.astype("float32")))).astype("float64")


def folds(layer: keras.layers.Layer) -> bool:
    """Whether a constant input gives the same at each place of the output, so that it can move into the bias."""
    return isinstance(layer, keras.layers.Dense) or layer.padding == "valid" or set(layer.kernel_size) == {1}


def matrix(kernel: np.ndarray) -> np.ndarray:
    """Return a kernel as (positions, inputs, outputs)."""
    return kernel.reshape(-1, *kernel.shape[-2:]).astype("float64")
