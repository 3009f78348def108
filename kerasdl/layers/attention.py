"""Self-attention over a sequence, with rotary positions, exact masks, and parts that can be called one by one."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from kerasdl.layers.sequence import rotate


def _over_keys(padding_mask: Any) -> Any:
    """A mask of shape (batch, length) as one of (batch, 1, 1, keys), the same for all heads and queries."""
    return None if padding_mask is None else ops.expand_dims(ops.cast(padding_mask, "bool"), (1, 2))


@keras.saving.register_keras_serializable("kerasdl")
class SelfAttention(keras.layers.Layer):
    """Multi-head self-attention: each position takes from all others, weighted by how well query and key agree.

    Without dropout it runs in the backend's own kernel (flash or fused where there is one). A causal mask is left to
    that kernel, and padding is a mask of one row for each example, so that no (length, length) mask of floats is made
    here. What is masked has a weight of exactly zero.

    `keras.layers.MultiHeadAttention` has neither rotary positions nor parts to call: here `project` gives queries,
    keys and values of any positions, and `attend` works on keys and values from anywhere, such as a cache;
    `query_dense`, `key_dense`, `value_dense` and `output_dense` hold the weights.

    Args:
        num_heads: Number of heads; divides the number of features.
        causal: Whether a position sees itself and earlier ones only.
        rotary: Whether queries and keys are turned by their position (arXiv:2104.09864); needs an even head size.
        dropout: Share of the attention weights set to zero in training, in [0, 1); above 0 training makes all weights
            of shape (batch, heads, length, length) outside the fused kernel.
        stddev: Of the normal distribution that the kernels of query, key and value start from.
        output_stddev: The same for the output; `stddev` when None.
        kernel_regularizer: Of the four kernels.
        **kwargs: Name and dtype, as of any layer.

    Call arguments:
        inputs: Tensor of shape (batch, length, features).
        padding_mask: Booleans of shape (batch, length), false where the input is padding; None for none.

    Raises:
        ValueError: If the features do not divide into heads, or with `rotary` into heads of even size.

    Example:
        >>> SelfAttention(4, causal=True, rotary=True)(keras.Input((128, 64)))

    Reference: Vaswani et al., Attention is all you need, arXiv:1706.03762
    """

    def __init__(
        self,
        num_heads: int,
        *,
        causal: bool = False,
        rotary: bool = False,
        dropout: float = 0.0,
        stddev: float = 0.02,
        output_stddev: float | None = None,
        kernel_regularizer: Any = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.num_heads = num_heads
        self.causal = causal
        self.rotary = rotary
        self.dropout = dropout
        self.stddev = stddev
        self.output_stddev = stddev if output_stddev is None else output_stddev
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.dropout_layer = keras.layers.Dropout(dropout, dtype=self.dtype_policy, name="dropout") if dropout else None

    def build(self, input_shape: tuple[int | None, ...], *_: Any) -> None:
        """Make the four projections."""
        features = input_shape[-1]
        if features is None or features % self.num_heads or (self.rotary and features // self.num_heads % 2):
            kind = "an even number" if self.rotary else "a whole number"
            raise ValueError(f"{features} features do not give {self.num_heads} heads of {kind} of features each.")
        self.head_dim = features // self.num_heads
        for name in ("query", "key", "value", "output"):
            stddev = self.output_stddev if name == "output" else self.stddev
            # an initializer of its own for each: one that is shared gives the same values again
            dense = keras.layers.Dense(
                features,
                kernel_initializer=keras.initializers.RandomNormal(stddev=stddev),
                kernel_regularizer=self.kernel_regularizer,
                dtype=self.dtype_policy,
                name=name,
            )
            dense.build(input_shape)
            setattr(self, f"{name}_dense", dense)

    def project(self, inputs: Any, *, positions: Any = None) -> tuple[Any, Any, Any]:
        """Return queries, keys and values, each of shape (batch, length, heads, head size).

        Args:
            inputs: Tensor of shape (batch, length, features).
            positions: Whole numbers of shape (length,) or (batch, length), where the inputs stand in their sequence;
                None for 0, 1, 2 and so on. Only rotary attention uses them.
        """
        dense = (self.query_dense, self.key_dense, self.value_dense)
        shape = (-1, ops.shape(inputs)[1], self.num_heads, self.head_dim)
        query, key, value = (ops.reshape(layer(inputs), shape) for layer in dense)
        if self.rotary:
            if positions is None:
                positions = ops.arange(ops.shape(inputs)[1], dtype="int32")
            query, key = rotate(query, positions), rotate(key, positions)
        return query, key, value

    def attend(self, query: Any, key: Any, value: Any, *, mask: Any = None, causal: bool = False) -> Any:
        """Return what the queries take from the values, through the output projection, in the fused kernel.

        Args:
            query: Of shape (batch, queries, heads, head size), as from `project`.
            key: Of shape (batch, keys, heads, head size).
            value: Of the shape of `key`.
            mask: Booleans that broadcast to (batch, heads, queries, keys), true where a query may look.
            causal: Whether query i sees keys 0 to i only; there must be as many keys as queries.

        Returns:
            Tensor of shape (batch, queries, features).
        """
        # With a mask the kernels of cuDNN refuse; asking for them would only log an error before the next is taken.
        flash = None if mask is None else False
        found = ops.dot_product_attention(query, key, value, mask=mask, is_causal=causal, flash_attention=flash)
        return self._output(found)

    def scores(self, query: Any, key: Any, *, mask: Any = None, causal: bool = False) -> Any:
        """Return the attention weights of shape (batch, heads, queries, keys), float32; arguments as in `attend`."""
        agreement = ops.cast(ops.einsum("bqhd,bkhd->bhqk", query, key), "float32") / math.sqrt(self.head_dim)
        if causal:
            steps = ops.arange(ops.shape(query)[1], dtype="int32")
            seen = ops.expand_dims(steps, 1) >= ops.expand_dims(steps, 0)
            mask = seen if mask is None else ops.logical_and(mask, seen)
        if mask is not None:
            # finite, so that a row with nothing to look at has no NaN
            agreement = ops.where(mask, agreement, -1e30)
        return ops.softmax(agreement, axis=-1)

    def call(self, inputs: Any, padding_mask: Any = None, *, training: bool | None = None) -> Any:
        """Return a tensor of the shape of `inputs`."""
        query, key, value = self.project(inputs)
        mask = _over_keys(padding_mask)
        if self.dropout_layer is None or not training:
            return self.attend(query, key, value, mask=mask, causal=self.causal)
        weights = self.dropout_layer(self.scores(query, key, mask=mask, causal=self.causal), training=training)
        return self._output(ops.einsum("bhqk,bkhd->bqhd", ops.cast(weights, value.dtype), value))

    def _output(self, found: Any) -> Any:
        features = self.num_heads * self.head_dim
        return self.output_dense(ops.reshape(found, (-1, ops.shape(found)[1], features)))

    def compute_output_shape(self, input_shape: tuple[int | None, ...], *_: Any) -> tuple[int | None, ...]:
        """Return the shape of the inputs."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the layer."""
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "causal": self.causal,
            "rotary": self.rotary,
            "dropout": self.dropout,
            "stddev": self.stddev,
            "output_stddev": self.output_stddev,
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
        }


@keras.saving.register_keras_serializable("kerasdl")
class AttentionWeights(keras.layers.Wrapper):
    """The weights that a `SelfAttention` gives to what it looks at, as a layer that shares its projections.

    Args:
        layer: The `SelfAttention`.
        **kwargs: Name and dtype, as of any layer.

    Call arguments:
        inputs: As of the wrapped layer.
        padding_mask: As of the wrapped layer.
        unpadded: Tensor of shape (batch, length, ...): the weights are cut to its length; None to leave them.

    Example:
        >>> AttentionWeights(model.get_layer("block1_attention"))(x)
    """

    def build(self, input_shape: tuple[int | None, ...], *_: Any) -> None:
        """Build the wrapped layer where it is not yet."""
        super().build(input_shape)

    def call(self, inputs: Any, padding_mask: Any = None, unpadded: Any = None) -> Any:
        """Return weights of shape (batch, heads, queries, keys), float32."""
        query, key, _ = self.layer.project(inputs)
        weights = self.layer.scores(query, key, mask=_over_keys(padding_mask), causal=self.layer.causal)
        length = ops.shape(inputs if unpadded is None else unpadded)[1]
        return weights[:, :, :length, :length]
