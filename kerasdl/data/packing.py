"""Texts as training examples of a language model: one long row of tokens, and the windows that it is cut into."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from kerasdl.errors import InputError

if TYPE_CHECKING:
    from kerasdl.data.vocabulary import Vocabulary

END_OF_TEXT = 0
"""The token between documents."""


def pack(documents: Iterable[str], vocabulary: Vocabulary) -> np.ndarray:
    """Return the tokens of all documents in one row, int32 (count,), each document followed by end-of-text.

    Args:
        documents: The texts.
        vocabulary: Of bytes or characters.
    """
    tokens, row_splits = vocabulary.encode_flat(documents)
    return np.insert(tokens, row_splits[1:], END_OF_TEXT)


class PackedTokens:
    """Windows of `length` tokens, each with the tokens that follow as its targets; nothing is padded.

    The texts form a ring of tokens, documents joined by end-of-text. Window i begins at token i * length, so that all
    windows together predict each token once, but for a rest shorter than a window. Index i + shift * len(self) is the
    same window moved on by `shift` tokens: every epoch of `kerasdl.training.fit` moves all windows by a number of its
    own, a function of the seed and the epoch, so that no place in the text is always at the border of a window.

    Args:
        documents: The texts.
        vocabulary: Of bytes or characters.
        length: Tokens in a window; the texts must have more.

    Raises:
        InputError: For texts that do not fill a window.

    Example:
        >>> examples = PackedTokens(dataset.train.inputs, vocabulary, 256)
        >>> inputs, targets = examples.batch(np.arange(32))  # both int32 (32, 256)
    """

    def __init__(self, documents: Iterable[str], vocabulary: Vocabulary, length: int):
        self.tokens = pack(documents, vocabulary)
        self.length = length
        if len(self.tokens) <= length:
            raise InputError(
                "sequence_length",
                received=f"{length} for a text of {len(self.tokens)} tokens",
                expected="fewer tokens than each split has",
                mend=f"Bring more text, or try sequence_length={max(1, (len(self.tokens) - 1) // 2)}.",
            )
        self.shifts = length
        """By how many tokens windows can be moved: 0 to shifts - 1."""

    def __len__(self) -> int:
        return len(self.tokens) // self.length

    @property
    def targets(self) -> np.ndarray:
        """The targets of all windows, int32 (count, length)."""
        return self.batch(np.arange(len(self)))[1]

    def batch(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return inputs and targets of the windows at `indices`, both int32 (len(indices), length)."""
        shift, window = np.divmod(indices, len(self))
        starts = window * self.length + shift
        found = self.tokens[(starts[:, None] + np.arange(self.length + 1)) % len(self.tokens)]
        return found[:, :-1], found[:, 1:]
