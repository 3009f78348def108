"""Documents of any source, whole and in order: files, folders, strings, `tf.data`, the embedded sample."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kerasdl.data.dataset import IN_MEMORY, SPLITS
from kerasdl.data.folders import visible_files
from kerasdl.data.streams import is_stream
from kerasdl.data.texts import as_texts, read_text
from kerasdl.data.tfds import builder_names, read_tfds_documents
from kerasdl.errors import InputError, nearest

LONGEST_NAME = 100
"""Characters: what is longer is no name of a dataset, so that nobody has to be asked."""
KINDS = "a text file, a folder of text files, a list of strings, a mapping of splits, a tf.data.Dataset of strings, "
KINDS += "a sample's or a TFDS name"


def pydoc_topics() -> list[str]:
    """Return the language reference that comes with Python, as shown by `help("if")`: one document a topic.

    In the order of the names of the topics: some 80 documents, 470 kB. Each version of Python has its own.

    Raises:
        InputError: Where Python was installed without it.
    """
    try:
        from pydoc_data.topics import topics
    except ModuleNotFoundError:
        raise InputError(
            "data",
            received="'pydoc_topics' with a Python that has no pydoc_data",
            expected=KINDS,
            mend="Install all of Python's standard library, or pass text of your own.",
        ) from None
    return [topics[name] for name in sorted(topics)]


CORPORA: dict[str, Callable[[], list[str]]] = {"pydoc_topics": pydoc_topics}
"""From the name of an embedded sample to the function that returns its documents."""


def find_documents(data: Any, data_dir: str | Path | None) -> tuple[str, str, dict[str, list[str]]]:
    """Return the name, how to load it again, and the documents by split."""
    if isinstance(data, str) and data in CORPORA:
        return data, data, {"train": CORPORA[data]()}
    if isinstance(data, str) and not os.path.exists(os.path.expanduser(data)):
        if data in IN_MEMORY:
            raise InputError(
                "data",
                received=f"{data!r}, what the configuration of a run on data from memory says",
                expected="those data",
                mend="Pass the same strings or tf.data.Dataset again.",
            )
        word = data.removeprefix("tfds:")
        if data.startswith("tfds:") or (len(data) < LONGEST_NAME and re.split("[/:]", word)[0] in builder_names()):
            streams = read_tfds_documents(word, data_dir=data_dir, samples=CORPORA)
            return _safe(word), data, {split: _read(stream, f"{data} {split}") for split, stream in streams.items()}
    if isinstance(data, (str, Path)):
        documents = _read_path(data)
        return _safe(Path(data).expanduser().resolve().stem), str(data), {"train": documents}
    if isinstance(data, Mapping):
        unknown = [split for split in data if split not in SPLITS]
        if unknown or "train" not in data:
            raise InputError(
                "data",
                received=f"a mapping with {', '.join(map(str, data)) or 'no splits'}",
                expected="the splits train, validation and test, of which train must be there",
                mend=nearest(unknown[0], SPLITS) if unknown else "Add train.",
            )
        return "strings", "arrays", {split: _read(part, split) for split, part in data.items()}
    return "strings", "tf.data" if is_stream(data) else "arrays", {"train": _read(data, "data")}


def _read(data: Any, what: str) -> list[str]:
    if isinstance(data, (str, Path)):
        return _read_path(data)
    if is_stream(data):
        data = _elements(data, what)
    documents = as_texts(data, what=what).tolist()
    for index, text in enumerate(documents):
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise InputError(
                what,
                received=f"a half of a surrogate pair at character {error.start} of the text at index {index}",
                expected="text that can be written as UTF-8",
                mend="Decode the text from its bytes without errors='surrogateescape'.",
            ) from None
    return documents


def _read_path(given: str | Path) -> list[str]:
    path = Path(os.path.expanduser(given))
    # Unlike Path.exists, this says no to what is too long for a path: text itself, given by mistake.
    if not os.path.exists(path):
        entries = os.listdir(path.parent) if os.path.isdir(path.parent) else []
        names = [*CORPORA, *(name for name in entries if not name.startswith("."))]
        mend = f"{nearest(path.name, names)} Text itself goes into a list: data=[text]."
        raise InputError("data", received=f"{str(given)[:80]!r}, which does not exist", expected=KINDS, mend=mend)
    if path.is_file():
        return [read_text(path)]
    return [read_text(file) for file in sorted(visible_files(path))]


def _elements(stream: Any, what: str) -> list[bytes]:
    import tensorflow as tf

    spec = stream.element_spec
    if not (isinstance(spec, tf.TensorSpec) and spec.dtype == tf.string):
        raise InputError(what, received=f"elements {spec}", expected="strings", mend="Map it to the text alone.")
    if stream.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise InputError(
            what, received="an infinite stream", expected="a finite one", mend="Drop .repeat(), or use .take(n)."
        )
    return [text for element in stream.as_numpy_iterator() for text in np.ravel(np.array(element, object))]


def _safe(name: str) -> str:
    return re.sub(r"[^\w.-]+", "_", name) or "text"
