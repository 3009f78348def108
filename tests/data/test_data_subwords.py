"""The parts of words as a table: shared by words of like spelling, none for what is no word."""

from __future__ import annotations

import numpy as np
import pytest

from kerasdl import InputError
from kerasdl.data import Vocabulary, subword_table

WORDS = Vocabulary("word", ("cats", "cat", "extraordinarily", "a"))


def test_words_of_like_spelling_share_parts():
    table = subword_table(WORDS, buckets=10_000, length=12)
    assert table.shape == (6, 12)
    assert table.dtype == np.int32
    assert table.min() >= 0
    assert table.max() < 10_000
    cats, cat, long, a = (set(row[row > 0]) for row in table[2:])
    # <ca, cat, <cat
    assert len(cats & cat) == 3
    assert not cats & long
    # <a> is the only n-gram of a.
    assert len(a) == 1
    assert (table[4] > 0).all()


def test_padding_and_unknown_words_have_none():
    assert not subword_table(WORDS)[:2].any()


def test_the_ids_are_the_same_for_ever():
    assert subword_table(WORDS, buckets=1000, length=3)[3].tolist() == [950, 664, 556]


def test_only_words_have_parts():
    with pytest.raises(InputError, match="byte"):
        subword_table(Vocabulary("byte"))
