"""Vectors of words from their parts: words that are alike in spelling are alike in their vectors."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable("kerasdl")
class SubwordEmbedding(keras.layers.Layer):
    """The vectors of the character n-grams of each word, summed and divided by the root of their number.

    Added to a word's own vector they tell what rare words mean, which have been seen too seldom to say it by
    themselves. Which n-grams a word has is a table, a weight that does not train, so that the input stays ids of words.

    Args:
        vocabulary_size: Number of word ids.
        length: N-grams of a word at most.
        buckets: Number of n-gram ids; 0 is none.
        dim: Features of a vector.
        **kwargs: Name and dtype, as of any layer.

    Call arguments:
        inputs: Word ids, int32 of shape (batch, length).

    Example:
        >>> layer = SubwordEmbedding(20_000, 12, 30_000, 128)
        >>> vectors = layer(tokens)
        >>> layer.table.assign(table)

    Reference: Bojanowski et al., Enriching word vectors with subword information, arXiv:1607.04606
    """

    def __init__(self, vocabulary_size: int, length: int, buckets: int, dim: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.vocabulary_size, self.length, self.buckets, self.dim = vocabulary_size, length, buckets, dim

    def build(self, _: Any = None) -> None:
        """Make the vectors, and a table that gives no word any n-gram until it is assigned."""
        shape = (self.vocabulary_size, self.length)
        self.table = self.add_weight(shape=shape, dtype="int32", initializer="zeros", trainable=False, name="table")
        self.embeddings = self.add_weight(
            shape=(self.buckets, self.dim),
            initializer=keras.initializers.RandomNormal(stddev=0.1),
            name="embeddings",
        )

    def call(self, inputs: Any) -> Any:
        """Return vectors of shape (batch, length, dim), zeros for a word without n-grams."""
        found = ops.take(self.table, inputs, axis=0)
        vectors = ops.take(ops.convert_to_tensor(self.embeddings), found, axis=0)
        counted = ops.cast(found > 0, vectors.dtype)
        total = ops.sum(vectors * ops.expand_dims(counted, -1), axis=-2)
        return total / ops.sqrt(ops.maximum(ops.sum(counted, axis=-1, keepdims=True), 1.0))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of the inputs with the features behind."""
        return (*input_shape, self.dim)

    def compute_output_spec(self, inputs: Any) -> Any:
        """Return what comes out: numbers, not ids as what goes in."""
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the layer; the table is a weight."""
        sizes = {"vocabulary_size": self.vocabulary_size, "length": self.length}
        return {**super().get_config(), **sizes, "buckets": self.buckets, "dim": self.dim}
