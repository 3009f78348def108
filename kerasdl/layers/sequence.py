"""Layers along a sequence: where an element stands in it, an element in front of it, padding behind it."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops


def _angles(positions: Any, size: int) -> Any:
    """Angles in radians of shape (..., length, size / 2): position times 10000^(-2 i / size), in float32."""
    frequencies = ops.exp(ops.arange(size // 2, dtype="float32") * (-2.0 * math.log(10_000.0) / size))
    return ops.expand_dims(ops.cast(positions, "float32"), -1) * frequencies


def rotate(x: Any, positions: Any) -> Any:
    """Turn the features of each head by their position, so that products of two depend on their distance only.

    Feature i turns together with feature i + size / 2, as in GPT-NeoX. The angles are float32 whatever the precision.

    Args:
        x: Queries or keys of shape (batch, length, heads, head size), the head size even.
        positions: Whole numbers of shape (length,) or (batch, length).

    Returns:
        A tensor of the shape and dtype of `x`.

    Reference: Su et al., RoFormer, arXiv:2104.09864
    """
    half = x.shape[-1] // 2
    angles = ops.expand_dims(_angles(positions, 2 * half), -2)
    cosine, sine = ops.cos(angles), ops.sin(angles)
    first, second = ops.cast(x[..., :half], "float32"), ops.cast(x[..., half:], "float32")
    turned = ops.concatenate([first * cosine - second * sine, second * cosine + first * sine], axis=-1)
    return ops.cast(turned, x.dtype)


@keras.saving.register_keras_serializable("kerasdl")
class Positions(keras.layers.Layer):
    """Add to each element of a sequence what says where it stands.

    `keras.layers.Embedding` called on a range inside a functional model is a constant that never trains, hence a layer.

    Args:
        kind: "learned", a trained vector for each position, or "sinusoidal", sines and cosines of geometric
            wavelengths (arXiv:1706.03762, section 3.5), which know any length and need an even number of features.
        maximum_length: Number of learned positions; None takes the length that the layer is built on.
        stddev: Root mean square of what is added, at the start where it is learned.
        **kwargs: Name and dtype, as of any layer.

    Call arguments:
        inputs: Tensor of shape (batch, length, features).
        positions: Whole numbers of shape (length,) or (batch, length); None for 0, 1, 2 and so on.

    Raises:
        ValueError: If a sequence is longer than the learned positions, or their number is not known.

    Example:
        >>> Positions("learned")(keras.Input((128, 64)))
    """

    def __init__(
        self, kind: str = "learned", *, maximum_length: int | None = None, stddev: float = 0.02, **kwargs: Any
    ):
        super().__init__(**kwargs)
        self.kind = kind
        self.maximum_length = maximum_length
        self.stddev = stddev

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the learned vectors."""
        if self.kind == "learned":
            length = self.maximum_length or input_shape[1]
            if length is None or (input_shape[1] or 0) > length:
                raise ValueError(
                    f"A sequence of length {input_shape[1]} needs as large a maximum_length, not {length}."
                )
            self.embeddings = self.add_weight(
                shape=(length, input_shape[-1]),
                initializer=keras.initializers.RandomNormal(stddev=self.stddev),
                name="embeddings",
            )

    def call(self, inputs: Any, positions: Any = None) -> Any:
        """Return a tensor of the shape of `inputs`."""
        length = ops.shape(inputs)[1]
        if self.kind == "learned":
            # A slice where it can be: its gradient is cheaper than that of looking rows up.
            table = ops.convert_to_tensor(self.embeddings)
            found = table[:length] if positions is None else ops.take(table, positions, axis=0)
        else:
            angles = _angles(ops.arange(length, dtype="int32") if positions is None else positions, inputs.shape[-1])
            # A sine has a root mean square of 1 / sqrt(2).
            found = ops.concatenate([ops.sin(angles), ops.cos(angles)], axis=-1) * (self.stddev * 2**0.5)
        return inputs + ops.cast(found, inputs.dtype)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of the inputs."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the layer."""
        own = {"kind": self.kind, "maximum_length": self.maximum_length, "stddev": self.stddev}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable("kerasdl")
class ClassToken(keras.layers.Layer):
    """Put one learned element in front of a sequence, the one that the class is read from (arXiv:2010.11929).

    Args:
        stddev: Of the normal distribution that it starts from.
        **kwargs: Name and dtype, as of any layer.

    Call arguments:
        inputs: Tensor of shape (batch, length, features); the output has length + 1.

    Example:
        >>> ClassToken()(keras.Input((49, 64)))
    """

    def __init__(self, *, stddev: float = 0.02, **kwargs: Any):
        super().__init__(**kwargs)
        self.stddev = stddev

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the learned element."""
        initializer = keras.initializers.RandomNormal(stddev=self.stddev)
        self.token = self.add_weight(shape=(1, 1, input_shape[-1]), initializer=initializer, name="token")

    def call(self, inputs: Any) -> Any:
        """Return a tensor of shape (batch, length + 1, features)."""
        token = ops.cast(self.token, inputs.dtype)
        return ops.concatenate([ops.repeat(token, ops.shape(inputs)[0], axis=0), inputs], axis=1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of the inputs, longer by one."""
        length = input_shape[1]
        return (input_shape[0], None if length is None else length + 1, input_shape[2])

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the layer."""
        return {**super().get_config(), "stddev": self.stddev}


@keras.saving.register_keras_serializable("kerasdl")
class PadLength(keras.layers.Layer):
    """Lengthen sequences by zeros (false for booleans) to a multiple, so that all lengths compute alike.

    Kernels handle the last rows and the last terms of a sum apart. With whole multiples there are none, and sums that
    differ in zeros at their end only are the same to the last bit.

    Args:
        multiple: The length becomes the next multiple of it.
        **kwargs: Name and dtype, as of any layer.

    Call arguments:
        inputs: Tensor of shape (batch, length, ...).

    Example:
        >>> PadLength(16)(keras.Input((20, 64)))
    """

    def __init__(self, multiple: int = 16, **kwargs: Any):
        super().__init__(**kwargs)
        self.multiple = multiple

    def call(self, inputs: Any) -> Any:
        """Return a tensor of shape (batch, length rounded up, ...)."""
        batch, length = ops.shape(inputs)[:2]
        zeros = ops.zeros((batch, -length % self.multiple, *inputs.shape[2:]), dtype=inputs.dtype)
        return ops.concatenate([inputs, zeros], axis=1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of the inputs with their length rounded up."""
        length = input_shape[1]
        return (input_shape[0], None if length is None else length + -length % self.multiple, *input_shape[2:])

    def compute_output_spec(self, inputs: Any) -> Any:
        """Return what comes out: of the type of the inputs, which may be booleans."""
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), dtype=inputs.dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the layer."""
        return {**super().get_config(), "multiple": self.multiple}
