"""Texts as a model takes them: token ids of every text, kept flat, padded a batch at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

# Batches are padded to one of few lengths: each new one costs the tracing, and with XLA the compilation, of the model.
# Multiples of 16 up to 64, then two lengths in every doubling.
SHORT = (16, 32, 48, 64)


def padded_length(length: int) -> int:
    """Return the length that a batch is padded to whose longest text has `length` tokens.

    Example:
        >>> [padded_length(length) for length in (0, 17, 65, 100, 500)]
        [16, 32, 96, 128, 512]
    """
    for short in SHORT:
        if length <= short:
            return short
    power = 1 << (length - 1).bit_length()
    return power * 3 // 4 if length <= power * 3 // 4 else power


def pad(sequences: Sequence[np.ndarray]) -> np.ndarray:
    """Return sequences of ids as int32 of shape (count, padded length), zeros on the right."""
    ids = np.zeros((len(sequences), padded_length(max(map(len, sequences), default=0))), np.int32)
    for row, sequence in enumerate(sequences):
        ids[row, : len(sequence)] = sequence
    return ids


class TokenExamples:
    """Encoded texts with their targets, as :func:`kerasdl.training.fit` takes them.

    Args:
        sequences: The ids of each text.
        targets: One target a text.
        sequence_length: Tokens of a text that are kept, from its start.

    Example:
        >>> TokenExamples(vocabulary.encode(split.inputs), split.targets, sequence_length=256)
    """

    def __init__(self, sequences: Sequence[np.ndarray], targets: np.ndarray, *, sequence_length: int):
        cut = [sequence[:sequence_length] for sequence in sequences]
        self.lengths = np.array([len(sequence) for sequence in cut], np.int64)
        self.targets = targets
        self._values = np.concatenate(cut) if cut else np.empty(0, np.int32)
        self._ends = np.cumsum(self.lengths)

    def __len__(self) -> int:
        return len(self.targets)

    def batch(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the padded ids, int32 (count, length), and the targets at `indices`."""
        spans = zip(self._ends[indices] - self.lengths[indices], self._ends[indices], strict=True)
        return pad([self._values[begin:end] for begin, end in spans]), self.targets[indices]
