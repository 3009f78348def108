"""Texts as token ids in batches: padded to few lengths, cut, with their own targets."""

from __future__ import annotations

import numpy as np

from kerasdl.data.token_examples import TokenExamples
from kerasdl.padding import pad, padded_length
from kerasdl.training import TrainingBatches

SEQUENCES = [np.arange(1, length + 1, dtype=np.int32) for length in (3, 0, 20, 70, 1)]


def test_few_lengths_and_never_too_short():
    lengths = [padded_length(length) for length in range(5000)]
    assert all(padded >= length for length, padded in enumerate(lengths))
    assert all(padded % 16 == 0 for padded in lengths)
    assert len(set(lengths)) <= 20
    assert all(padded <= 1.5 * length for length, padded in enumerate(lengths) if length > 32)


def test_padding_is_on_the_right():
    ids = pad(SEQUENCES[:2])
    assert ids.dtype == np.int32
    assert ids.tolist() == [[1, 2, 3] + [0] * 13, [0] * 16]
    assert pad([]).shape == (0, 16)


def test_each_text_keeps_its_target_and_its_start():
    examples = TokenExamples(SEQUENCES, np.arange(5), sequence_length=18)
    assert len(examples) == 5
    assert examples.lengths.tolist() == [3, 0, 18, 18, 1]
    ids, targets = examples.batch(np.array([3, 1, 4]))
    assert targets.tolist() == [3, 1, 4]
    assert ids.shape == (3, 32)
    assert ids[0].tolist() == [*range(1, 19), *[0] * 14]
    assert not ids[1].any()


def test_batches_hold_texts_of_similar_length():
    generator = np.random.default_rng(0)
    sequences = [np.ones(length, np.int32) for length in generator.integers(1, 200, 1000)]
    examples = TokenExamples(sequences, np.arange(1000), sequence_length=500)
    batches = TrainingBatches(examples, batch_size=10, seed=1)
    first = [batches[position] for position in range(batches.steps)]
    seen = np.concatenate([targets for _, targets in first])
    assert sorted(seen) == list(range(1000))
    spread = [np.ptp(examples.lengths[targets]) for _, targets in first]
    assert np.mean(spread) < 15
    # The batches themselves come in random order, another one each epoch; asked again, the same.
    longest = [examples.lengths[targets].max() for _, targets in first]
    assert abs(np.corrcoef(longest, np.arange(len(longest)))[0, 1]) < 0.3
    assert batches[0][1].tolist() == first[0][1].tolist()
    assert batches.order(1).tolist() != batches.order(0).tolist()
    again = TrainingBatches(examples, batch_size=10, seed=1)
    assert again.order(1).tolist() == batches.order(1).tolist()


def test_what_fills_no_batch_is_left_out_at_random():
    examples = TokenExamples(SEQUENCES, np.arange(5), sequence_length=500)
    batches = TrainingBatches(examples, batch_size=2, seed=0)
    assert batches.steps == 2
    seen = {index for epoch in range(20) for index in batches.order(epoch)}
    assert seen == {0, 1, 2, 3, 4}
