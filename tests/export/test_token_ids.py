"""Texts to token ids without TensorFlow: the ids that `Vocabulary` gives, for every code point."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from kerasdl.data import Vocabulary
from kerasdl.export.text_classifier import ODD_TEXTS
from kerasdl.export.token_ids import TokenIds, vocabulary_facts


def texts() -> list[str]:
    """Odd texts, every code point between letters, and code points in random company."""
    generator = np.random.default_rng(0)
    found = [*ODD_TEXTS, "\ud800x", "ß İ Σς ǅ", "Good :) naïve", "\x00a\u200db\u0301 c"]
    for begin in range(0, sys.maxunicode + 1, 0x4000):
        found.append("".join(f"a{chr(point)}" for point in range(begin, begin + 0x4000)))
    for highest in (0x3000, sys.maxunicode):
        found += ["".join(map(chr, row)) for row in generator.integers(0, highest, (300, 20))]
    return found


@pytest.mark.parametrize("lowercase", [True, False])
def test_words(lowercase: bool) -> None:
    vocabulary = Vocabulary.make(texts(), kind="word", lowercase=lowercase)
    ids = TokenIds(json.loads(json.dumps(vocabulary_facts(vocabulary))))
    for text, expected, found in zip(texts(), vocabulary.encode(texts()), ids(texts()), strict=True):
        assert np.array_equal(expected, found), ascii(text)[:200]
    assert ids(["unheard-of"])[0].tolist()[0] == 1


@pytest.mark.parametrize("kind", ["character", "byte"])
def test_characters_and_bytes(kind: str) -> None:
    vocabulary = Vocabulary.make(texts()[:9], kind=kind)
    ids = TokenIds(vocabulary_facts(vocabulary))
    for expected, found in zip(vocabulary.encode(texts()), ids(texts()), strict=True):
        assert np.array_equal(expected, found)
