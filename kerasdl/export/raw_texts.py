"""What a user may hand to `predict` as texts, in batches of similar length. Needs NumPy only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from kerasdl.errors import InputError
from kerasdl.export.outputs import Outputs

BATCH_SIZE = 256
# Characters of a batch, padding counted: one text of any length is a batch by itself.
BATCH_CHARACTERS = 400_000


def predict_raw_texts(raw: Any, *, on_texts: Callable[[np.ndarray], Outputs]) -> Outputs:
    """Run a model on raw texts and return one row a text.

    Args:
        raw: A string, or a list or array of strings; any may be empty.
        on_texts: Outputs for an object array of strings (count,).

    Returns:
        Every output with a first axis over the texts, also for a single one.

    Raises:
        InputError: For anything that is no text.
    """
    texts = as_texts(raw)
    # Together with others of its length a text needs little padding, and a long one makes none slow.
    order = np.argsort([len(text) for text in texts], kind="stable")
    rows: dict[str, list[np.ndarray]] = {}
    for batch in _batches(texts, order):
        for name, values in on_texts(texts[batch]).items():
            rows.setdefault(name, []).append(values)
    back = np.argsort(order)
    return {name: np.concatenate(values)[back] for name, values in rows.items()}


def _batches(texts: np.ndarray, order: np.ndarray) -> list[np.ndarray]:
    batches: list[list[int]] = []
    for index in order:
        # In order of length, this one is the longest so far.
        fits = batches and len(batches[-1]) < BATCH_SIZE
        if fits and (len(batches[-1]) + 1) * len(texts[index]) <= BATCH_CHARACTERS:
            batches[-1].append(index)
        else:
            batches.append([index])
    return [np.array(batch) for batch in batches]


def as_texts(raw: Any) -> np.ndarray:
    """Return one text or many as an object array (count,), or refuse what is none."""
    many = isinstance(raw, (list, tuple, np.ndarray))
    items = [raw] if isinstance(raw, (str, bytes)) else list(raw) if many else None
    if not items:
        raise InputError(
            "raw",
            received="no texts" if items == [] else f"a {type(raw).__name__}",
            expected="a string or a list of strings",
            mend="Pass at least one.",
        )
    texts = np.empty(len(items), dtype=object)
    for index, item in enumerate(items):
        if isinstance(item, bytes):
            try:
                item = item.decode("utf-8")
            except UnicodeDecodeError as error:
                raise InputError(
                    "raw", received=f"bytes at {index} that are no UTF-8 ({error})", expected="text", mend="Decode it."
                ) from None
        if not isinstance(item, str):
            raise InputError(
                "raw",
                received=f"{type(item).__name__} {str(item)[:40]!r} at {index}",
                expected="a string or a list of strings",
                mend="Convert it with str() if it is a text.",
            )
        texts[index] = str(item)
    return texts
