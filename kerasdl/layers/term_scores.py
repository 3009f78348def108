"""What each word of a text, and each pair of neighbours, says by itself for each class: a linear model as a layer."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

LARGEST = math.isqrt(2**31 - 1)
"""Ids below this are known in pairs: the code of a pair is a whole number of 32 bits."""


@keras.saving.register_keras_serializable("kerasdl")
class TermScores(keras.layers.Layer):
    """For each token what it, and it with the one before it, adds to the logit of each class.

    Their sum over a text is a linear model on TF-IDF of its words and pairs of words, the whole of length 1. The
    weights do not train by gradients: they are zeros until they are assigned, and in training zeros come out, so that
    a network beside learns as if it were alone.

    Args:
        vocabulary_size: Number of token ids; 0 is padding.
        pairs: Number of pairs that are known.
        num_classes: Number of logits.
        **kwargs: Name and dtype, as of any layer; float32 whatever the policy.

    Call arguments:
        inputs: Token ids, int32 of shape (batch, length).
        training: Whether zeros come out.

    Weights, by name; the first row of those of pairs is that of a pair that is not known:
        words: Scores (vocabulary_size, num_classes), zeros at padding; pairs: scores (1 + pairs, num_classes), zeros in
            the first row. Both hold the inverse document frequency.
        word_squares, pair_squares: Squares of the inverse document frequencies, 0 or at least 1; the root of their sum
            is the length.
        codes: Of pairs, int32 in ascending order: the first id times the smaller of `vocabulary_size` and LARGEST, plus
            the second id; -1 in the first row.

    Example:
        >>> layer = TermScores(20_000, 50_000, 4)
        >>> scores = ops.sum(layer(tokens), axis=1)

    Reference: Wang and Manning, Baselines and bigrams, ACL 2012, https://aclanthology.org/P12-2018
    """

    def __init__(self, vocabulary_size: int, pairs: int, num_classes: int, **kwargs: Any):
        super().__init__(**{"dtype": "float32", **kwargs})
        self.vocabulary_size, self.num_pairs, self.num_classes = vocabulary_size, pairs, num_classes

    def build(self, _: Any = None) -> None:
        """Make the weights, by which no word and no pair says anything until they are assigned."""
        rows = 1 + self.num_pairs
        shapes = {
            "words": (self.vocabulary_size, self.num_classes),
            "pairs": (rows, self.num_classes),
            "word_squares": (self.vocabulary_size,),
            "pair_squares": (rows,),
        }
        for name, shape in shapes.items():
            setattr(self, name, self.add_weight(shape=shape, initializer="zeros", trainable=False, name=name))
        self.codes = self.add_weight(shape=(rows,), dtype="int32", initializer=_no_pair, trainable=False, name="codes")

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Return scores of shape (batch, length, num_classes)."""
        if training:
            return ops.zeros((*ops.shape(inputs), self.num_classes), dtype=self.compute_dtype)
        pairs = self._known_pairs(inputs)
        squares = ops.take(self.word_squares, inputs, axis=0) + ops.take(self.pair_squares, pairs, axis=0)
        # No known term has less than 1. Nothing must be divided by zero, which 8 bits make of numbers that are small.
        length = ops.maximum(ops.sqrt(ops.sum(squares, axis=1)), 1.0)
        scores = ops.take(self.words, inputs, axis=0) + ops.take(self.pairs, pairs, axis=0)
        return scores / length[:, None, None]

    def _known_pairs(self, inputs: Any) -> Any:
        """The row of the pair that each token ends, 0 where there is none: a binary search."""
        before = ops.concatenate([ops.zeros_like(inputs[:, :1]), inputs[:, :-1]], axis=1)
        size = min(self.vocabulary_size, LARGEST)
        codes = before * size + inputs
        if self.vocabulary_size > LARGEST:
            codes = ops.where(ops.logical_and(before < size, inputs < size), codes, -1)
        rows = ops.zeros_like(inputs)
        for bit in reversed(range(self.num_pairs.bit_length())):
            further = rows + (1 << bit)
            inside = ops.minimum(further, self.num_pairs)
            reached = ops.logical_and(further <= self.num_pairs, ops.take(self.codes, inside, axis=0) <= codes)
            rows = ops.where(reached, further, rows)
        return ops.where(ops.take(self.codes, rows, axis=0) == codes, rows, 0)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of the inputs with the classes behind."""
        return (*input_shape, self.num_classes)

    def compute_output_spec(self, inputs: Any, training: bool | None = None) -> Any:
        """Return what comes out: numbers, not ids as what goes in."""
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the layer; what it says is in its weights."""
        sizes = {"vocabulary_size": self.vocabulary_size, "pairs": self.num_pairs, "num_classes": self.num_classes}
        return {**super().get_config(), **sizes}


def _no_pair(shape: Any, dtype: Any = None) -> Any:
    return ops.full(shape, -1, dtype=dtype)
