"""How sparse a model is: the share of its kernel weights that are exactly zero, layer by layer."""

from __future__ import annotations

import keras
import numpy as np


def sparsity(model: keras.Model) -> dict[str, float]:
    """Return the share of exact zeros among the kernel weights of each layer, and of all together as "total".

    Biases and the parameters of normalization do not count; a layer with two kernels, such as an LSTM, counts once.

    Args:
        model: A model that has been built.

    Returns:
        Shares in [0, 1] by the path of the layer, in the order of the layers, "total" last (0.0 without any kernel).

    Example:
        >>> sparsity(model)
        {'dense1': 0.78, 'logits': 0.31, 'total': 0.74}
    """
    zeros, sizes = _count(model)
    shares = {layer: zeros[layer] / sizes[layer] for layer in sizes}
    return {**shares, "total": sum(zeros.values()) / max(1, sum(sizes.values()))}


def sparsity_table(model: keras.Model) -> str:
    """Return :func:`sparsity` as lines to print: layer, kernel weights, how many are not zero, share of zeros."""
    zeros, sizes = _count(model)
    zeros, sizes = {**zeros, "total": sum(zeros.values())}, {**sizes, "total": sum(sizes.values())}
    width = max(map(len, ("layer", *sizes)))
    lines = [f"{'layer':<{width}}  {'weights':>12}  {'not zero':>12}  {'zeros':>7}"]
    for layer, size in sizes.items():
        share = zeros[layer] / max(1, size)
        lines.append(f"{layer:<{width}}  {size:>12,}  {size - zeros[layer]:>12,}  {share:>7.1%}")
    return "\n".join(lines)


def _count(model: keras.Model) -> tuple[dict[str, int], dict[str, int]]:
    zeros: dict[str, int] = {}
    sizes: dict[str, int] = {}
    for variable in model.weights:
        if variable.name.endswith("kernel"):
            layer = variable.path.rpartition("/")[0]
            values = keras.ops.convert_to_numpy(variable)
            zeros[layer] = zeros.get(layer, 0) + int(values.size - np.count_nonzero(values))
            sizes[layer] = sizes.get(layer, 0) + int(values.size)
    return zeros, sizes
