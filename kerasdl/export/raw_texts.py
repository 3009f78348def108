"""What a user may hand to `predict` as texts, in batches of similar length. Needs NumPy only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from kerasdl.errors import InputError
from kerasdl.export.length_batches import run_by_length
from kerasdl.export.outputs import Outputs

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
    return run_by_length(
        [len(text) for text in texts], most=BATCH_CHARACTERS, on_batch=lambda batch: on_texts(texts[batch])
    )


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
