"""Cuts strings into tokens and finds their ids, with TensorFlow operations that need no state, or NumPy.

What a word is, is said in :class:`kerasdl.data.vocabulary.Vocabulary`.
"""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from kerasdl.errors import InputError

if TYPE_CHECKING:
    import tensorflow as tf

SIMPLE = r"[ -~\s]*"
"""Texts of printable ASCII, which need nothing but their case folded."""
INVISIBLE = r"\p{Cf}+"
"""Joiners, soft hyphens, marks of direction and of byte order."""
BLANK = r"[\p{Z}\p{Cc}]+"
SINGLE = r"([^\p{L}\p{N}\p{M}\s]\p{M}*)"
"""A character that is a word by itself, with its marks."""
LARGEST_HASH = 2**63 - 1

SURROGATES = re.compile("[\ud800-\udfff]")
CHUNK = 2048
"""Texts that are cut at a time: bounds the memory used beside the result."""

Points = tuple[np.ndarray, np.ndarray]
"""Sorted code points and their ids, int32."""
Hashes = tuple[np.ndarray, np.ndarray, np.ndarray]
"""The sorted hashes of words, int64; the words in that order, bytes; their ids, int32."""


def chunks(texts: Iterable[str]) -> Iterator[list[str]]:
    """Yield the texts in lists of some, made valid Unicode."""
    if isinstance(texts, (str, bytes)):
        raise InputError("texts", received="one string", expected="a list of strings", mend="Pass [text].")
    chunk: list[str] = []
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            raise InputError(
                "texts",
                received=f"{text!r} at index {index}"[:80],
                expected="strings",
                mend="Decode bytes, and drop what is no text.",
            )
        chunk.append(SURROGATES.sub("\ufffd", text))
        if len(chunk) == CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def sort_points(characters: Sequence[str]) -> Points:
    """Prepare `characters`, the first of which has the id 2, for :func:`point_ids`."""
    points = np.array([ord(character) for character in characters], np.int32)
    order = np.argsort(points)
    return points[order], (order + 2).astype(np.int32)


def point_ids(points: np.ndarray, known: Points) -> np.ndarray:
    """Return the id of each code point, int32, 1 where it is not among the known."""
    if not len(known[0]):
        return np.ones(len(points), np.int32)
    place = np.minimum(np.searchsorted(known[0], points), len(known[0]) - 1)
    return np.where(known[0][place] == points, known[1][place], np.int32(1))


def character_ids(strings: tf.Tensor, known: Points) -> tf.RaggedTensor:
    """Return the ids of the characters of each string, as :func:`point_ids` does."""
    import tensorflow as tf

    found = tf.strings.unicode_decode(strings, "UTF-8")
    if not len(known[0]):
        return tf.ones_like(found)
    place = tf.minimum(tf.searchsorted(tf.constant(known[0]), found.values), len(known[0]) - 1)
    matches = tf.equal(tf.gather(known[0], place), found.values)
    return found.with_values(tf.where(matches, tf.gather(known[1], place), 1))


def byte_ids(strings: tf.Tensor) -> tf.RaggedTensor:
    """Return each byte of each string plus 1, int32."""
    import tensorflow as tf

    found = tf.strings.bytes_split(strings)
    values = tf.reshape(tf.io.decode_raw(found.values, tf.uint8), [-1])
    return found.with_values(tf.cast(values, tf.int32) + 1)


def cut_tensor(strings: tf.Tensor, lowercase: bool) -> tf.RaggedTensor:
    """Return the words of each string.

    Args:
        strings: Of shape (count,); bytes that are no UTF-8 become U+FFFD.
        lowercase: Whether letters are folded to lower case, one code point to one.

    Returns:
        Strings of shape (count, None).

    https://github.com/google/re2/wiki/Syntax
    """
    import tensorflow as tf

    simple = tf.strings.regex_full_match(strings, SIMPLE)
    points = tf.strings.unicode_decode(tf.where(simple, "", strings), "UTF-8")
    if lowercase:
        upper, lower = folding()
        place = tf.minimum(tf.searchsorted(tf.constant(upper), points.values), len(upper) - 1)
        folds = tf.equal(tf.gather(upper, place), points.values)
        points = points.with_values(tf.where(folds, tf.gather(lower, place), points.values))
        # Of bytes it knows the case of ASCII only, in every locale.
        strings = tf.strings.lower(strings)
    others = tf.strings.regex_replace(tf.strings.unicode_encode(points, "UTF-8"), INVISIBLE, "")
    others = tf.strings.regex_replace(others, BLANK, " ")
    return tf.strings.split(tf.strings.regex_replace(tf.where(simple, strings, others), SINGLE, r" \1 "))


@functools.cache
def folding() -> tuple[np.ndarray, np.ndarray]:
    """Return the code points that have a lower case, sorted, and that lower case.

    With an encoding, `tf.strings.lower` follows the locale of the process, so that "I" would be
    another letter on a Turkish server.
    """
    points = [point for point in range(sys.maxunicode + 1) if chr(point).lower() != chr(point)]
    pairs = {point: ord(chr(point).lower()[0]) for point in points} | {ord("ς"): ord("σ")}
    return np.array(sorted(pairs), np.int32), np.array([pairs[point] for point in sorted(pairs)], np.int32)


def cut(texts: Sequence[str], lowercase: bool) -> list[str]:
    """Return the words of all texts, in a row."""
    return [word.decode() for word in cut_tensor(constant(texts), lowercase).values.numpy().tolist()]


def constant(texts: Sequence[str]) -> tf.Tensor:
    """Return texts of valid Unicode as a tensor of shape (count,)."""
    import tensorflow as tf

    # As bytes, since NumPy's own strings would lose the NUL characters that end a text.
    return tf.constant([text.encode() for text in texts], tf.string)


def hash_words(words: Sequence[str]) -> Hashes:
    """Prepare `words`, the first of which has the id 2, for :func:`look_up`."""
    import tensorflow as tf

    encoded = [word.encode() for word in words]
    with tf.init_scope():  # also while a graph is traced, these are numbers
        hashes = tf.strings.to_hash_bucket_fast(tf.constant(encoded, tf.string), LARGEST_HASH).numpy()
    order = np.argsort(hashes)
    return hashes[order], np.array(encoded, object)[order], (order + 2).astype(np.int32)


def look_up(words: tf.Tensor, hashes: Hashes) -> tf.Tensor:
    """Return the id of each word, int32, 1 where it is not among those of `hashes`.

    A `tf.lookup` table would be a resource that every exported model must track; sorted hashes are constants. That two
    of a million words have the same hash of 63 bits, so that one of them is never found, has a chance of 1 in 10^7.
    """
    import tensorflow as tf

    keys, known, ids = hashes
    if not len(keys):
        return tf.ones_like(words, tf.int32)
    place = tf.searchsorted(tf.constant(keys), tf.strings.to_hash_bucket_fast(words, LARGEST_HASH))
    place = tf.minimum(place, len(keys) - 1)
    matches = tf.equal(tf.gather(tf.constant(known, tf.string), place), words)
    return tf.where(matches, tf.gather(ids, place), 1)
