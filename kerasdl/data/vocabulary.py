"""From texts to token ids and back, the same in Python and inside a TensorFlow graph: :class:`Vocabulary`.

Characters and bytes need NumPy only. Words are cut by TensorFlow in both places, so that one definition serves training
and the exported model: Python and TensorFlow know different versions of Unicode.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasdl.checks import integer
from kerasdl.data import tokens
from kerasdl.errors import InputError, check_choice

if TYPE_CHECKING:
    import tensorflow as tf

KINDS = ("word", "character", "byte")
UNKNOWN = {"word": "[UNK]", "character": "\ufffd"}
"""What the id 1 is decoded as. No word is written like this: brackets are words of their own."""


@dataclass(frozen=True)
class Vocabulary:
    """The tokens of a model and their ids, int32.

    The id 0 is no token: padding in a classifier, the end of a text in a language model. Of words and characters, 1 is
    every one that is not in the vocabulary, and `entries[i]` has the id `i + 2`. The byte `b` has the id `b + 1`.

    A word is a run of letters, digits and their marks; every other character that is not blank is a word by itself, so
    that "good :)" keeps its smiley. Control characters are blanks, invisible format characters such as joiners are left
    out. A character is a Unicode code point; what is no valid Unicode becomes U+FFFD, as a lone surrogate does.

    Args:
        kind: "word", "character" or "byte".
        entries: The words or characters that have an id of their own, most frequent first; none for bytes.
        lowercase: Whether words are told apart by case no more; None for True with words. Characters and bytes keep
            theirs.

    Raises:
        InputError: For an unknown kind, entries that are no words or characters or come twice, `lowercase` with
            characters or bytes.

    Example:
        >>> vocabulary = Vocabulary("byte")
        >>> vocabulary.decode(vocabulary.encode(["naïve 🙂"])[0])
        'naïve 🙂'
    """

    kind: str
    entries: tuple[str, ...] = ()
    lowercase: bool | None = None

    def __post_init__(self) -> None:
        check_choice("kind", self.kind, KINDS)
        object.__setattr__(self, "entries", tuple(self.entries))
        object.__setattr__(self, "lowercase", self.kind == "word" if self.lowercase is None else self.lowercase)
        if self.lowercase not in (False, self.kind == "word"):
            raise InputError(
                "lowercase",
                received=repr(self.lowercase),
                expected="False for characters and bytes, True or False for words",
                mend="Leave lowercase out.",
            )
        wrong = [entry for entry in self.entries if not self._is_entry(entry)]
        wrong += [entry for entry, count in Counter(self.entries).items() if count > 1] if not wrong else []
        if wrong:
            raise InputError(
                "entries",
                received=f"{wrong[0]!r}"[:80],
                expected="none for bytes, else strings, each once: words, or single characters",
                mend="Make vocabularies with Vocabulary.make(texts).",
            )

    def _is_entry(self, entry: object) -> bool:
        whole = isinstance(entry, str) and entry and not tokens.SURROGATES.search(entry)
        return bool(whole) and (self.kind == "word" or (self.kind == "character" and len(str(entry)) == 1))

    @classmethod
    def make(
        cls,
        texts: Iterable[str],
        *,
        kind: str = "word",
        size: int | None = None,
        minimum_count: int = 1,
        lowercase: bool | None = None,
    ) -> Vocabulary:
        """Make the vocabulary of the most frequent tokens of some texts, which should be the training texts only.

        Args:
            texts: Strings.
            kind: "word", "character" or "byte".
            size: Ids at most, 0 and the unknown included, so at least 3; None for all. Among tokens of one count, those
                that come first in the order of code points are kept. Bytes are always 257.
            minimum_count: How often a token must occur.
            lowercase: As for the class.

        Raises:
            InputError: For texts that are no strings, and for arguments that are not as described.

        Example:
            >>> Vocabulary.make(["good :)", "Good!"], size=4).entries
            ('good', '!')
        """
        empty = cls(kind, lowercase=lowercase)
        integer(1)("minimum_count", minimum_count)
        if size is not None:
            integer(3)("size", size)
        counts: Counter[str] = Counter()
        if kind != "byte":
            for chunk in tokens.chunks(texts):
                counts.update(tokens.cut(chunk, bool(empty.lowercase)) if kind == "word" else "".join(chunk))
        found = sorted((e for e in counts if counts[e] >= minimum_count), key=lambda e: (-counts[e], e))
        return cls(kind, tuple(found[: None if size is None else size - 2]), empty.lowercase)

    @property
    def size(self) -> int:
        """The number of ids: 0 and the unknown are among them."""
        return 257 if self.kind == "byte" else len(self.entries) + 2

    def encode(self, texts: Iterable[str]) -> list[np.ndarray]:
        """Return the ids of each text, int32 (length,).

        Raises:
            InputError: For texts that are no strings, or a string in place of a list of them.

        Example:
            >>> Vocabulary("character", ("a", "b")).encode(["abc", ""])
            [array([2, 3, 1], dtype=int32), array([], dtype=int32)]
        """
        values, row_splits = self.encode_flat(texts)
        return [values[start:end] for start, end in zip(row_splits[:-1], row_splits[1:], strict=True)]

    def encode_flat(self, texts: Iterable[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return the ids of all texts in a row and where each begins.

        Returns:
            The ids, int32 (total,), and the row splits, int64 (count + 1,): text `i` is `values[splits[i] :
            splits[i + 1]]`, as in `tf.RaggedTensor.from_row_splits`.
        """
        values, lengths = [np.zeros(0, np.int32)], [np.zeros(1, np.int64)]
        for chunk in tokens.chunks(texts):
            if self.kind == "word":
                ragged = self.encode_tensor(tokens.constant(chunk))
                values.append(ragged.values.numpy())
                lengths.append(ragged.row_lengths().numpy())
                continue
            codec, width, ids = ("utf-8", 1, np.uint8) if self.kind == "byte" else ("utf-32-le", 4, np.dtype("<u4"))
            encoded = [text.encode(codec) for text in chunk]
            found = np.frombuffer(b"".join(encoded), ids)
            values.append(found.astype(np.int32) + 1 if self.kind == "byte" else tokens.point_ids(found, self._points))
            lengths.append(np.array([len(text) // width for text in encoded]))
        return np.concatenate(values), np.cumsum(np.concatenate(lengths))

    @functools.cached_property
    def _points(self) -> tokens.Points:
        return tokens.sort_points(self.entries)

    def decode(self, ids: Sequence[int] | np.ndarray) -> str:
        """Return the text of some ids; words are joined by blanks, 0 is left out.

        Args:
            ids: Integers of shape (length,).

        Raises:
            InputError: For ids that the vocabulary does not have.
        """
        ids = np.asarray(ids) if len(ids) else np.zeros(0, np.int32)
        if ids.ndim != 1 or ids.dtype.kind not in "iu" or (ids < 0).any() or (ids >= self.size).any():
            raise InputError(
                "ids",
                received=f"{ids.dtype} of shape {ids.shape}, from {ids.min(initial=0)} to {ids.max(initial=0)}",
                expected=f"integers from 0 to {self.size - 1} of shape (length,)",
                mend="Decode one text at a time, with the vocabulary that encoded it.",
            )
        ids = ids[ids > 0]
        if self.kind == "byte":
            return (ids - 1).astype(np.uint8).tobytes().decode("utf-8", errors="replace")
        return (" " if self.kind == "word" else "").join(self._names[index] for index in ids.tolist())

    @functools.cached_property
    def _names(self) -> tuple[str, ...]:
        return "", UNKNOWN[self.kind], *self.entries

    def encode_tensor(self, strings: tf.Tensor) -> tf.RaggedTensor:
        """Return the ids of each string, as :meth:`encode` does; for use inside a graph.

        It needs no variable and no table, so that a SavedModel has nothing to keep track of.

        Args:
            strings: Of shape (count,). Bytes that are no UTF-8 become U+FFFD, except for byte vocabularies.

        Returns:
            int32 ids of shape (count, None).
        """
        if self.kind == "byte":
            return tokens.byte_ids(strings)
        if self.kind == "character":
            return tokens.character_ids(strings, self._points)
        words = tokens.cut_tensor(strings, bool(self.lowercase))
        return words.with_values(tokens.look_up(words.values, self._hashes))

    @functools.cached_property
    def _hashes(self) -> tokens.Hashes:
        return tokens.hash_words(self.entries)

    def decode_tensor(self, ids: tf.RaggedTensor | tf.Tensor) -> tf.Tensor:
        """Return the text of each row of ids, as :meth:`decode` does; for use inside a graph.

        Args:
            ids: Of shape (count, None), ragged or padded with 0.

        Returns:
            Strings of shape (count,), valid UTF-8.
        """
        import tensorflow as tf

        ids = tf.ragged.boolean_mask(ids, ids > 0)
        one_byte = [b"", *(bytes([value]) for value in range(256))]
        names = one_byte if self.kind == "byte" else [name.encode() for name in self._names]
        pieces = ids.with_values(tf.gather(tf.constant(names), ids.values))
        joined = tf.strings.reduce_join(pieces, axis=-1, separator=" " if self.kind == "word" else "")
        return tf.strings.unicode_transcode(joined, "UTF-8", "UTF-8") if self.kind == "byte" else joined

    def folding(self) -> tokens.Points | None:
        """Return the code points that are folded, sorted, and what to; None where case is kept."""
        return tokens.folding() if self.lowercase else None

    def as_dict(self) -> dict[str, Any]:
        """Return what :meth:`from_dict` makes it from again, fit for JSON."""
        return {"kind": self.kind, "entries": list(self.entries), "lowercase": self.lowercase}

    @classmethod
    def from_dict(cls, config: Mapping[str, Any]) -> Vocabulary:
        """Make a vocabulary from what :meth:`as_dict` returned.

        Raises:
            InputError: For anything else.
        """
        if not isinstance(config, Mapping) or set(config) != {"kind", "entries", "lowercase"}:
            raise InputError(
                "vocabulary",
                received=f"{config!r}"[:80],
                expected="a mapping with kind, entries and lowercase",
                mend="Pass what Vocabulary.as_dict returned.",
            )
        return cls(**config)
