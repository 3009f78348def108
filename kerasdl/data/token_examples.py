"""Texts as a model takes them: token ids of every text, kept flat, padded a batch at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kerasdl.padding import pad


class TokenExamples:
    """Encoded texts with their targets, as :func:`kerasdl.training.fit` takes them.

    `lengths` are those of the texts, `values` the ids of all of them, one text behind the other.

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
        self.values = np.concatenate(cut) if cut else np.empty(0, np.int32)
        self._ends = np.cumsum(self.lengths)

    def __len__(self) -> int:
        return len(self.targets)

    def batch(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the padded ids, int32 (count, length), and the targets at `indices`."""
        spans = zip(self._ends[indices] - self.lengths[indices], self._ends[indices], strict=True)
        return pad([self.values[begin:end] for begin, end in spans]), self.targets[indices]
