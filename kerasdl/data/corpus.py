"""Text to learn a language from: documents of any source, split by their position.

Neighbouring passages repeat each other, so what is held out is the end of the text, not windows from all over it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kerasdl.data.dataset import SPLITS, Dataset, Split
from kerasdl.data.documents import find_documents
from kerasdl.errors import InputError

SMALLEST = 100
"""UTF-8 bytes that each split must have."""


def load_corpus(
    data: Any,
    *,
    validation_fraction: float = 0.1,
    test_fraction: float = 0.1,
    data_dir: str | Path | None = None,
) -> Dataset:
    """Load documents and split them by position: first the training text, then validation, last the test.

    Text is kept as it is, byte for byte, but for a byte order mark. Documents without a byte are left out. A cut may go
    through a document, between two characters.

    Args:
        data: "pydoc_topics"; a text file, which is one document; a folder with one document a file, in order of their
            paths; strings; a `tf.data.Dataset` of strings; a TFDS name with a Text feature; or a mapping from "train",
            "validation" and "test" to any of these.
        validation_fraction: Of the bytes left before the test split, in (0, 1).
        test_fraction: Of all bytes, in (0, 1).
        data_dir: Where TFDS keeps its data.

    Returns:
        The dataset, of kind "language": inputs are documents (count,), str, targets their lengths in bytes (count,).

    Raises:
        InputError: For files that are missing or not UTF-8, for what is no text, and for too little of it.

    Example:
        >>> load_corpus("pydoc_topics").counts
        {'train': 69, 'validation': 4, 'test': 8}
    """
    name, source, parts = find_documents(data, data_dir)
    parts = {split: [text for text in documents if text] for split, documents in parts.items()}
    total = sum(map(count_bytes, parts.values()))
    for split, fraction in (("test", test_fraction), ("validation", validation_fraction)):
        if split not in parts:
            size = count_bytes(parts["train"])
            parts["train"], parts[split] = cut(parts["train"], size - round(fraction * size))
    shares = {"test": test_fraction, "validation": (1 - test_fraction) * validation_fraction}
    least = math.ceil(SMALLEST / min(*shares.values(), 1 - sum(shares.values())))
    for split in SPLITS:
        found = count_bytes(parts[split])
        if found < SMALLEST:
            raise InputError(
                name,
                received=f"{total} bytes of text, {found} of them in the {split} split",
                expected=f"at least {SMALLEST} bytes in each split",
                mend=f"Bring more text: {least} bytes in all are enough where no split is given.",
            )
    splits = {split: _split(parts[split]) for split in SPLITS}
    return Dataset(name=name, kind="language", class_names=(), source=source, **splits)


def load_documents(data: Any) -> Split:
    """Load text to measure a model on: the test split if the data bring one, else all of it.

    Args:
        data: As for :func:`load_corpus`.

    Raises:
        InputError: As `load_corpus` does, and for no text.
    """
    name, _, parts = find_documents(data, None)
    chosen = [parts["test"]] if "test" in parts else parts.values()
    documents = [text for part in chosen for text in part if text]
    if not documents:
        raise InputError(name, received="no text", expected="at least one byte", mend="Check where it comes from.")
    return _split(documents)


def count_bytes(documents: Sequence[str]) -> int:
    """Return the number of UTF-8 bytes of all documents."""
    return sum(len(text.encode()) for text in documents)


def cut(documents: Sequence[str], position: int) -> tuple[list[str], list[str]]:
    """Return the documents before a byte and those after it; one that lies on both sides is cut in two.

    Args:
        documents: The texts.
        position: Of the first byte after the cut; moved back to the start of its character.
    """
    before: list[str] = []
    for index, text in enumerate(documents):
        encoded = text.encode()
        if position < len(encoded):
            # Bytes 10xxxxxx go on with a character.
            while encoded[position] >> 6 == 0b10:
                position -= 1
            first, second = encoded[:position].decode(), encoded[position:].decode()
            return [*before, *([first] if first else [])], [second, *documents[index + 1 :]]
        before.append(text)
        position -= len(encoded)
    return before, []


def _split(documents: list[str]) -> Split:
    inputs = np.empty(len(documents), object)
    inputs[:] = documents
    return Split(inputs, np.array([len(text.encode()) for text in documents], np.int64))
