"""The parts of words: character n-grams, hashed to ids, one row for each word of a vocabulary."""

from __future__ import annotations

import zlib

import numpy as np

from kerasdl.data.vocabulary import Vocabulary
from kerasdl.errors import InputError

SIZES = (3, 4, 5)
"""Characters of an n-gram; a word stands between < and >, so that its ends are told from its middle."""


def subword_table(vocabulary: Vocabulary, *, buckets: int = 30_000, length: int = 12) -> np.ndarray:
    """Return the ids of the character n-grams of each word, for `models.text_cnn` and `models.text_lstm`.

    Of a word with more n-grams than `length`, as many are taken, evenly spread. Two n-grams may share an id.

    Args:
        vocabulary: Of words.
        buckets: Ids at most, 0 (none) among them.
        length: N-grams of a word at most.

    Returns:
        int32 of shape (vocabulary.size, length), zeros behind the last n-gram, and for padding and unknown words.

    Raises:
        InputError: For a vocabulary of something else than words.

    Example:
        >>> subword_table(vocabulary)[vocabulary.encode(["cats"])[0]]

    Reference: Bojanowski et al., Enriching word vectors with subword information, arXiv:1607.04606
    """
    if vocabulary.kind != "word":
        raise InputError(
            "vocabulary",
            received=f"one of kind {vocabulary.kind!r}",
            expected="a vocabulary of words, which have parts",
            mend='Make it with kind="word", or leave subwords out.',
        )
    table = np.zeros((vocabulary.size, length), np.int32)
    for index, word in enumerate(vocabulary.entries, start=vocabulary.size - len(vocabulary.entries)):
        whole = f"<{word}>"
        grams = [whole[start : start + size] for size in SIZES for start in range(len(whole) - size + 1)]
        if len(grams) > length:
            grams = [grams[place] for place in np.linspace(0, len(grams) - 1, length).astype(int)]
        # CRC-32 is the same everywhere and for ever; Python's own hash of strings is not.
        table[index, : len(grams)] = [1 + zlib.crc32(gram.encode()) % (buckets - 1) for gram in grams]
    return table
