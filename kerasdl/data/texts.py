"""Texts in lists and arrays, and in a `tf.data.Dataset` of (text, label)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasdl.data.splitting import Part
from kerasdl.data.streams import check_stream
from kerasdl.errors import InputError

if TYPE_CHECKING:
    import tensorflow as tf

SHAPES = np.zeros((1, 0), np.int64)
"""The shapes of texts: the one that they all have, ()."""


class ArrayTexts:
    """Texts and their labels, checked.

    Args:
        inputs: Strings, or bytes of UTF-8: a list, a tuple, or an array of shape (count,).
        targets: Labels of shape (count,) or (count, 1), or rows of 0 and 1 of shape (count, classes).
        what: How messages name the pair.

    Raises:
        InputError: For what is no text, no texts, lengths that differ.
    """

    def __init__(self, inputs: Any, targets: Any, *, what: str):
        self._texts = as_texts(inputs, what=f"{what} texts")
        if isinstance(targets, (str, bytes)) or not hasattr(targets, "__len__"):
            raise InputError(
                f"{what} labels",
                received=repr(targets)[:80],
                expected="a list with one label per text",
                mend="Pass the pair (texts, labels).",
            )
        if len(self._texts) != len(targets):
            raise InputError(
                what,
                received=f"{len(self._texts)} texts and {len(targets)} labels",
                expected="one label per text",
                mend="Check that both come from the same examples.",
            )
        self._labels = targets
        self.shapes = SHAPES

    def open(self, shape: tuple[()]) -> Part:
        """Return the part."""
        return Part(self._labels, lambda indices: self._texts[indices])


def as_texts(inputs: Any, *, what: str) -> np.ndarray:
    """Return texts as an object array of str of shape (count,).

    Args:
        inputs: As for :class:`ArrayTexts`.
        what: How messages name them.

    Raises:
        InputError: For no texts, for what is no text, and for bytes that are no UTF-8.
    """
    mend = "Pass a list of strings; texts that are split into words or numbers go back into one string each."
    shape = getattr(inputs, "shape", None)
    listed = isinstance(inputs, Iterable) and not isinstance(inputs, (str, bytes, Mapping, Set))
    if not listed or (shape is not None and len(shape) != 1):
        received = repr(inputs)[:80] if shape is None else f"an array of shape {tuple(shape)}"
        raise InputError(what, received=received, expected="texts of shape (count,)", mend=mend)
    # NumPy's own strings take the room of the longest for each of them, and lose NUL characters that end them.
    values = inputs.tolist() if isinstance(inputs, np.ndarray) else list(inputs)
    if not values:
        raise InputError(what, received="no texts", expected="at least one", mend="Check how they are made.")
    for index, value in enumerate(values):
        if isinstance(value, bytes):
            values[index] = decode(value, what=f"{what}, index {index}")
        elif not isinstance(value, str):
            missing = value is None or (isinstance(value, float) and value != value)
            raise InputError(
                what,
                received=f"{value!r}"[:80] + f" at index {index}",
                expected="strings",
                mend="Drop the examples without a text." if missing else mend,
            )
    texts = np.empty(len(values), object)
    texts[:] = values
    return texts


def decode(content: bytes, *, what: str) -> str:
    """Return UTF-8 as text; `what` is how messages name it.

    Raises:
        InputError: For other encodings and damage, with the place.
    """
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            what,
            received=f"the byte 0x{content[error.start]:02x} at offset {error.start}",
            expected="UTF-8 text",
            mend="Decode it with the encoding that it was written in, or repair it.",
        ) from None


def read_text(path: Path) -> str:
    """Return the text of a file, without a byte order mark.

    Raises:
        InputError: For a file that cannot be read or is not UTF-8.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(
            str(path), received=error.strerror, expected="a readable text file", mend="Check the path and permissions."
        ) from None
    return decode(content, what=str(path)).removeprefix("\ufeff")


class StreamTexts:
    """A `tf.data.Dataset` of (text, label), batched or not; iterated when opened.

    Args:
        stream: Scalar strings or a batch of them; labels as arrays have them.
        what: How messages name it.

    Raises:
        InputError: For an infinite or empty stream, elements that are no pair of a text and a label.
    """

    def __init__(self, stream: tf.data.Dataset, *, what: str):
        self._what = what
        text, label = check_stream(stream, what=what, pair="(text, label)")
        rank, labels = text.shape.rank, label.shape.rank
        if text.dtype.name != "string" or rank > 1 or labels < rank:
            raise InputError(
                what,
                received=f"texts of type {text.dtype.name} and shape {tuple(text.shape)}, labels of shape "
                f"{tuple(label.shape)}",
                expected="strings of shape (), or a batch of them, and their labels",
                mend="Map the stream to pairs of one string and one label.",
            )
        self._stream, self._batched = stream, rank == 1
        self.shapes = SHAPES

    def open(self, shape: tuple[()]) -> Part:
        """Iterate the stream once and return the part."""
        texts: list[bytes] = []
        all_labels = []
        for text, label in self._stream.as_numpy_iterator():
            texts += text.tolist() if self._batched else [text]
            all_labels.append(np.asarray(label) if self._batched else np.asarray(label)[np.newaxis])
        found = as_texts(texts, what=f"{self._what} texts")
        return Part(np.concatenate(all_labels), lambda indices: found[indices])
