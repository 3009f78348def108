"""Is a (length, length) mask of floats made where "causal" is enough? What one step of a causal model makes, by shape.

    python benchmarks/causal_masks.py                        # the backend of KERAS_BACKEND; under a minute

A causal model of two layers is traced at length 2,048 (on PyTorch it runs), and every tensor whose last two axes have
that length is listed: those of all heads are the attention itself, which only a fused kernel does without; a float one
that is smaller is a mask, and then the exit status is 1. Expected: none. TensorFlow and JAX on a CPU make the attention
and masks of booleans (JAX out of integers, which its compiler fuses away); PyTorch makes nothing of that size at all.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).parents[1]))

import keras  # noqa: E402 - TensorFlow reads the variable when it is imported
import numpy as np  # noqa: E402

from kerasdl import models  # noqa: E402

LENGTH, BATCH, HEADS = 2048, 2, 2


def tensorflow(model: keras.Model) -> list[tuple[Any, Any]]:
    """Return shape and type of every tensor in the traced graph."""
    import tensorflow as tf

    traced = tf.function(lambda tokens: model(tokens, training=True)).get_concrete_function(
        tf.TensorSpec((BATCH, LENGTH), "int32")
    )
    outputs = [tensor for operation in traced.graph.get_operations() for tensor in operation.outputs]
    return [(tensor.shape.as_list() if tensor.shape.rank else [], tensor.dtype.name) for tensor in outputs]


def jax(model: keras.Model) -> list[tuple[Any, Any]]:
    """Return shape and type of every value in the traced expression, those inside others too."""
    import jax
    from jax.extend.core import jaxprs_in_params

    weights = [[v.value for v in kind] for kind in (model.trainable_variables, model.non_trainable_variables)]
    traced = jax.make_jaxpr(lambda tokens: model.stateless_call(*weights, tokens, training=True)[0])
    found: list[tuple[Any, Any]] = []

    def walk(expression: Any) -> None:
        for equation in expression.eqns:
            found.extend((v.aval.shape, str(v.aval.dtype)) for v in equation.outvars if hasattr(v.aval, "shape"))
            for inner in jaxprs_in_params(equation.params):
                walk(inner)

    walk(traced(np.ones((BATCH, LENGTH), "int32")).jaxpr)
    return found


def torch(model: keras.Model) -> list[tuple[Any, Any]]:
    """Return shape and type of what every operation puts out, one after another."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    found: list[tuple[Any, Any]] = []

    class Record(TorchDispatchMode):
        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            outputs = function(*args, **(kwargs or {}))
            each = outputs if isinstance(outputs, (tuple, list)) else [outputs]
            found.extend((list(o.shape), str(o.dtype)) for o in each if isinstance(o, torch.Tensor))
            return outputs

    with Record():
        model(np.ones((BATCH, LENGTH), "int32"), training=True)
    return found


def main() -> int:
    """Print the list; return 1 if there is a mask of floats."""
    model = models.causal_transformer(LENGTH, 257, num_layers=2, num_heads=HEADS, hidden_dim=32, dropout=0.0)
    found = {"tensorflow": tensorflow, "jax": jax, "torch": torch}[keras.backend.backend()](model)
    square = [(tuple(shape), kind) for shape, kind in found if list(shape)[-2:] == [LENGTH, LENGTH]]
    unknown = sum(1 for shape, _ in found if list(shape).count(None) >= 2)
    print(f"{keras.backend.backend()}: {len(found)} tensors, {len(square)} of (..., {LENGTH}, {LENGTH}):")
    masks = 0
    for (shape, kind), count in Counter(square).items():
        whole = int(np.prod(shape[:-2])) == BATCH * HEADS
        is_mask = "float" in kind and not whole
        masks += is_mask
        what = ": A MASK OF FLOATS" if is_mask else ": the attention of all heads" if "float" in kind else ""
        print(f"  {count} x {shape} {kind}{what}")
    print(f"masks of floats: {masks}" + (f"; {unknown} tensors of unknown size" if unknown else ""))
    return int(masks > 0)


if __name__ == "__main__":
    sys.exit(main())
