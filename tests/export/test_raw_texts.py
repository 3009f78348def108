"""Texts as users pass them to `predict`: one or many, odd ones, and what is none."""

from __future__ import annotations

import numpy as np
import pytest

from kerasdl import InputError
from kerasdl.export.length_batches import BATCH_SIZE
from kerasdl.export.raw_texts import BATCH_CHARACTERS, as_texts, predict_raw_texts


def lengths(texts):
    return {"length": np.array([len(text) for text in texts])}


def test_one_text_is_one_row():
    assert predict_raw_texts("abc", on_texts=lengths)["length"].tolist() == [3]
    assert predict_raw_texts("", on_texts=lengths)["length"].tolist() == [0]
    assert predict_raw_texts("é".encode(), on_texts=lengths)["length"].tolist() == [1]


def test_rows_come_back_in_the_order_of_the_texts_whatever_the_batches():
    calls = []

    def on_texts(texts):
        calls.append([len(text) for text in texts])
        return lengths(texts)

    texts = ["x" * length for length in np.random.default_rng(0).permutation(1000)]
    texts.append("y" * BATCH_CHARACTERS)
    found = predict_raw_texts(texts, on_texts=on_texts)["length"]
    assert found.tolist() == [len(text) for text in texts]
    assert all(len(call) <= BATCH_SIZE for call in calls)
    assert all(len(call) == 1 or len(call) * max(call) <= BATCH_CHARACTERS for call in calls)
    assert predict_raw_texts(np.array(["a", "bcd"]), on_texts=lengths)["length"].tolist() == [1, 3]


@pytest.mark.parametrize(
    ("raw", "received"),
    [([], "no texts"), (3, "int"), (None, "NoneType"), (["a", 3], "int '3' at 1"), ([b"\xff"], "no UTF-8")],
)
def test_what_is_no_text_is_refused(raw, received):
    with pytest.raises(InputError, match=received):
        as_texts(raw)
