"""Packing: every token once, nothing padded, other windows in every epoch, the same for the same seed."""

from __future__ import annotations

import numpy as np
import pytest

from kerasdl.data.packing import PackedTokens, pack
from kerasdl.data.vocabulary import Vocabulary
from kerasdl.errors import InputError
from kerasdl.training import EvaluationBatches, TrainingBatches

BYTES = Vocabulary("byte")


def test_documents_are_joined_by_end_of_text() -> None:
    assert pack(["ab", "", "é"], BYTES).tolist() == [98, 99, 0, 0, 0xC3 + 1, 0xA9 + 1, 0]
    assert pack(["ab", "x"], Vocabulary("character", ("b",))).tolist() == [1, 2, 0, 1, 0]
    assert pack([], BYTES).dtype == np.int32


def test_windows_predict_each_token_once_from_the_one_before() -> None:
    examples = PackedTokens(["abcdefg"], BYTES, 4)
    inputs, targets = examples.batch(np.arange(len(examples)))
    assert inputs.tolist() == [[98, 99, 100, 101], [102, 103, 104, 0]]
    assert targets.tolist() == [[99, 100, 101, 102], [103, 104, 0, 98]]
    assert (examples.targets == targets).all()
    assert {inputs.dtype, targets.dtype} == {np.dtype(np.int32)}


def test_a_shift_moves_windows_around_the_ring() -> None:
    examples = PackedTokens(["abcdefg"], BYTES, 3)
    assert len(examples) == 2
    ring = examples.tokens
    for shift in range(examples.shifts):
        inputs, targets = examples.batch(np.array([0, 1]) + shift * len(examples))
        assert inputs.ravel().tolist() == np.roll(ring, -shift)[:6].tolist()
        assert targets.ravel().tolist() == np.roll(ring, -shift - 1)[:6].tolist()


def test_every_epoch_moves_the_windows_and_predicts_no_token_twice() -> None:
    examples = PackedTokens([bytes(range(127)).decode()], BYTES, 10)
    batches = TrainingBatches(examples, batch_size=3, seed=0)
    assert (len(examples), batches.steps) == (12, 4)
    beginnings = set()
    for epoch in range(8):
        targets = np.concatenate([batches[epoch * batches.steps + step][1] for step in range(batches.steps)])
        assert len(np.unique(targets)) == targets.size == 120
        # Tokens are their places in the ring plus 1, or 0 for the last.
        beginnings |= {int(first - 2) % 10 for first in targets[:, 0] if first > 10}
    assert len(beginnings) > 4


def test_the_windows_of_an_epoch_are_a_function_of_the_seed() -> None:
    examples = PackedTokens([bytes(range(127)).decode()], BYTES, 10)
    one, other = (TrainingBatches(examples, batch_size=3, seed=5) for _ in range(2))
    forward = [one[position] for position in range(12)]
    for position in (11, 0, 5):
        np.testing.assert_array_equal(other[position][0], forward[position][0])
    different = TrainingBatches(examples, batch_size=3, seed=6)
    assert any((different[position][0] != forward[position][0]).any() for position in range(4))


def test_evaluation_does_not_move_windows() -> None:
    examples = PackedTokens(["abcdefghijkl"], BYTES, 4)
    batches = EvaluationBatches(examples, batch_size=2)
    inputs = np.concatenate([batches[index][0] for index in range(batches.num_batches)])
    assert inputs.ravel().tolist() == examples.tokens[:12].tolist()


def test_text_that_does_not_fill_a_window_is_refused() -> None:
    assert len(PackedTokens(["abc"], BYTES, 3)) == 1
    with pytest.raises(InputError, match=r"sequence_length: received 4 for a text of 4 tokens.*sequence_length=1\."):
        PackedTokens(["abc"], BYTES, 4)
