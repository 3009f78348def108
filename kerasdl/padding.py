"""Sequences of ids in one array. Needs NumPy only.

Training and an export without TensorFlow must pad alike, so this stands beside both.
"""

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
