"""Attention of the next tokens to keys and values that are kept from earlier ones."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable("kerasdl")
class CachedAttention(keras.layers.Wrapper):
    """A `SelfAttention` for the next tokens only: the keys and values of earlier ones come in, and go out again.

    The wrapped layer's projections are used as they are. Which of the kept places hold something to be looked at, in
    which order and up to where, is told by the mask alone.

    Args:
        layer: The `SelfAttention`.
        **kwargs: Name and dtype, as of any layer.

    Call arguments:
        inputs: Tensor of shape (batch, length, features), the next tokens.
        positions: Whole numbers of shape (batch, length), where they stand in their sequence.
        mask: Booleans of shape (batch, length, places), true where a token may look.
        index: A whole number, the place of the first of them; the others come behind it.
        key: Tensor of shape (batch, places, heads, head size).
        value: Tensor of the shape of `key`.

    Example:
        >>> CachedAttention(model.get_layer("block1_attention"))(x, positions, mask, index, key, value)
    """

    def build(self, input_shape: tuple[int | None, ...], *_: Any) -> None:
        """Build the wrapped layer where it is not yet."""
        super().build(input_shape)

    def call(self, inputs: Any, positions: Any, mask: Any, index: Any, key: Any, value: Any) -> tuple[Any, Any, Any]:
        """Return a tensor of the shape of `inputs`, and keys and values with those of `inputs` in their places."""
        query, new_key, new_value = self.layer.project(inputs, positions=positions)
        key = ops.slice_update(key, (0, index, 0, 0), new_key)
        value = ops.slice_update(value, (0, index, 0, 0), new_value)
        return self.layer.attend(query, key, value, mask=ops.expand_dims(mask, 1)), key, value
