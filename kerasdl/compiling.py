"""Compile a function on tensors for the backend in use: the one place that knows how each of them does it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras


def compiled(
    function: Callable[..., Any], variables: Sequence[keras.Variable], *, jit_compile: bool = False
) -> Callable[..., Any]:
    """Return `function` as a compiled program, traced once for each shape of its arguments.

    Keras compiles models only, each call from host memory to host memory; this keeps tensors on the device. On
    PyTorch, which runs eagerly, it only leaves out gradients.

    Args:
        function: From (nested) tensors to tensors, with `keras.ops`.
        variables: All variables that it reads. Their values are looked up at each call, so that they may change.
        jit_compile: Whether XLA compiles it on TensorFlow too, which takes longer, needs sizes that are known from the
            arguments' shapes, and makes loops of many small operations several times faster. JAX always does it.

    Returns:
        A function of the same arguments, which have to be tensors.

    Example:
        >>> compiled(lambda x: model(x, training=False), model.variables)(x)
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return tf.function(function, autograph=False, jit_compile=jit_compile)
    if backend == "jax":
        import jax

        # A variable that is only closed over would be a constant of the program, and stay as it was.
        def stateless(values: list[Any], *args: Any) -> Any:
            with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
                return function(*args)

        program = jax.jit(stateless)
        return lambda *args: program([variable.value for variable in variables], *args)
    if backend == "torch":
        import torch

        return torch.no_grad()(function)
    return function
