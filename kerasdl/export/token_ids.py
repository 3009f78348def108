"""From texts to token ids without TensorFlow, as `kerasdl.data.Vocabulary` does it. Needs NumPy only.

What a letter or a blank is, Python and TensorFlow do not agree on where their versions of Unicode differ. So an export
carries what TensorFlow says of every code point, as runs of code points of one class.
"""

from __future__ import annotations

import functools
import itertools
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

SURROGATES = re.compile("[\ud800-\udfff]")
# Of each class a letter, and what code points it has, as TensorFlow writes it; "o" is everything else.
CLASSES = {"w": r"[\p{L}\p{N}]", "m": r"\p{M}", "b": r"[\p{Z}\p{Cc}]", "i": r"\p{Cf}"}
# A word is a run of letters, digits and marks; another character is one by itself, with its marks.
WORD = re.compile("om*|[wm]+")


def character_facts(folding: tuple[np.ndarray, np.ndarray] | None) -> dict[str, Any]:
    """Return what TensorFlow says of code points, fit for JSON; for a vocabulary of words.

    Args:
        folding: Code points that have a lower case, and this; None where case is kept.

    Returns:
        "starts" and "classes": where each run of one class begins, and its letters in a row; "folding": pairs of code
        points.
    """
    import tensorflow as tf

    points = np.concatenate([np.arange(0xD800), np.arange(0xE000, sys.maxunicode + 1)]).astype(np.int32)
    characters = tf.strings.unicode_encode(points[:, None], "UTF-8")
    found = np.full(len(points), "o")
    for letter, pattern in CLASSES.items():
        found[tf.strings.regex_full_match(characters, pattern).numpy()] = letter
    begins = np.flatnonzero(np.append(True, found[1:] != found[:-1]))
    pairs = [] if folding is None else np.stack(folding, axis=1).tolist()
    return {"starts": points[begins].tolist(), "classes": "".join(found[begins]), "folding": pairs}


def vocabulary_facts(vocabulary: Any) -> dict[str, Any]:
    """Return what :class:`TokenIds` takes of a `kerasdl.data.Vocabulary`."""
    facts = vocabulary.as_dict()
    return facts | {"characters": character_facts(vocabulary.folding())} if facts["kind"] == "word" else facts


class TokenIds:
    """Texts to ids.

    Args:
        vocabulary: What `Vocabulary.as_dict` gives; of words with "characters", see :func:`character_facts`.

    Example:
        >>> TokenIds({"kind": "byte", "entries": [], "lowercase": False})(["ab"])
        [array([98, 99], dtype=int32)]
    """

    def __init__(self, vocabulary: Mapping[str, Any]):
        self._kind = vocabulary["kind"]
        self._ids = {entry: index for index, entry in enumerate(vocabulary["entries"], start=2)}
        self._characters = vocabulary.get("characters", {})

    def __call__(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Return the ids of each text, int32 (length,)."""
        valid = (SURROGATES.sub("\ufffd", text) for text in texts)
        if self._kind == "byte":
            return [np.frombuffer(text.encode(), np.uint8).astype(np.int32) + 1 for text in valid]
        cut = self._words if self._kind == "word" else iter
        return [np.array([self._ids.get(token, 1) for token in cut(text)], np.int32) for text in valid]

    def _words(self, text: str) -> list[str]:
        starts, classes, folding = self._tables
        text = text.translate(folding)
        points = np.frombuffer(text.encode("utf-32-le"), "<u4")
        found = classes[np.searchsorted(starts, points, side="right") - 1]
        seen = found != "i"
        if not seen.all():
            text, found = "".join(itertools.compress(text, seen)), found[seen]
        return [text[word.start() : word.end()] for word in WORD.finditer("".join(found))]

    @functools.cached_property
    def _tables(self) -> tuple[np.ndarray, np.ndarray, dict[int, int]]:
        facts = self._characters
        return np.array(facts["starts"]), np.array(list(facts["classes"])), {a: b for a, b in facts["folding"]}

    def text(self, ids: np.ndarray) -> str:
        """Return the text of some ids, of bytes or characters; 0 is left out."""
        ids = np.asarray(ids)[np.asarray(ids) > 0]
        if self._kind == "byte":
            return (ids - 1).astype(np.uint8).tobytes().decode("utf-8", errors="replace")
        names = ("", "\ufffd", *self._ids)
        return "".join(names[index] for index in ids.tolist())
