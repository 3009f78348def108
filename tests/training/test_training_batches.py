"""The order of batches: a function of the seed and the position, and exactly what `fit` feeds."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from kerasdl.training import EvaluationBatches, TrainingBatches


class Numbered:
    """Examples that are their own indices."""

    def __init__(self, count: int):
        self.targets = np.arange(count)

    def __len__(self) -> int:
        return len(self.targets)

    def batch(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return indices[:, None].astype("float32"), self.targets[indices]


class Spy(keras.layers.Layer):
    """Passes its input on and writes down every example that it saw."""

    def build(self, shape: Any) -> None:
        self.seen = self.add_weight(shape=(64,), initializer="zeros", trainable=False, name="seen")
        self.weight = self.add_weight(shape=(1,), initializer="zeros", name="weight")

    def call(self, x: Any, training: bool = False) -> Any:
        if training:
            batch = keras.ops.shape(x)[0]
            self.seen.assign(keras.ops.concatenate([self.seen[batch:], x[:, 0]]))
        return x * self.weight


def epochs_of(batches: TrainingBatches, count: int) -> list[list[int]]:
    steps = range(batches.steps)
    return [[int(i) for step in steps for i in batches[epoch * batches.steps + step][1]] for epoch in range(count)]


def test_every_epoch_has_its_own_permutation() -> None:
    epochs = epochs_of(TrainingBatches(Numbered(12), batch_size=4, seed=0), 5)
    assert all(sorted(epoch) == list(range(12)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 5


def test_each_example_at_most_once_an_epoch_and_all_in_the_end() -> None:
    batches = TrainingBatches(Numbered(11), batch_size=4, seed=0)
    epochs = epochs_of(batches, 12)
    assert batches.steps == 2
    assert all(len(epoch) == len(set(epoch)) == 8 for epoch in epochs)
    assert set().union(*epochs) == set(range(11))


def test_a_batch_is_a_function_of_seed_and_position() -> None:
    one, other = (TrainingBatches(Numbered(20), batch_size=4, seed=3) for _ in range(2))
    forward = {position: one[position] for position in range(12)}
    for position in (11, 0, 7, 7, 3):  # whoever asks, in whatever order, however often
        for expected, received in zip(forward[position], other[position], strict=True):
            np.testing.assert_array_equal(received, expected)
    different = TrainingBatches(Numbered(20), batch_size=4, seed=4)
    assert epochs_of(different, 1) != epochs_of(one, 1)


@pytest.mark.parametrize("start", [1, 5, 13])
def test_a_stream_goes_on_where_a_run_was_cut(start: int) -> None:
    batches = TrainingBatches(Numbered(20), batch_size=4, seed=3)
    for position, batch in zip(range(start, start + 8), batches.stream(start), strict=False):
        np.testing.assert_array_equal(batch[1], batches[position][1])


def test_augmentation_is_a_function_of_seed_and_position() -> None:
    def noise(generator: np.random.Generator, inputs: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return inputs + generator.random(inputs.shape), targets

    one, other = (TrainingBatches(Numbered(20), batch_size=4, seed=3, augment=noise) for _ in range(2))
    np.testing.assert_array_equal(one[7][0], other[7][0])
    assert not np.array_equal(one[7][0] - one[7][0].round(), one[8][0] - one[8][0].round())


def test_class_weights_follow_the_targets_also_soft_ones() -> None:
    weights = {0: 1.0, 1: 3.0}
    hard = TrainingBatches(Numbered(2), batch_size=2, seed=0, class_weight=weights)[0]
    np.testing.assert_allclose(hard[2], [1.0, 3.0])
    soft = TrainingBatches(
        Numbered(2), batch_size=2, seed=0, class_weight=weights, encode_targets=lambda y: np.array([[0.5, 0.5], [0, 1]])
    )[0]
    np.testing.assert_allclose(soft[2], [2.0, 3.0])


def test_a_batch_larger_than_the_split_is_the_split() -> None:
    batches = TrainingBatches(Numbered(5), batch_size=64, seed=0)
    assert batches.steps == 1
    assert sorted(batches[0][1]) == [0, 1, 2, 3, 4]


def test_targets_are_encoded() -> None:
    def encode(targets: np.ndarray) -> np.ndarray:
        return -targets

    inputs, targets = TrainingBatches(Numbered(8), batch_size=4, seed=0, encode_targets=encode)[0]
    np.testing.assert_array_equal(targets, -inputs[:, 0])
    inputs, targets = EvaluationBatches(Numbered(8), batch_size=4, encode_targets=encode)[1]
    np.testing.assert_array_equal(targets, [-4, -5, -6, -7])


@pytest.mark.parametrize(("count", "sizes"), [(9, [4, 4, 1]), (8, [4, 4]), (3, [3])])
def test_evaluation_sees_every_example_once_in_order(count: int, sizes: list[int]) -> None:
    batches = EvaluationBatches(Numbered(count), batch_size=4)
    found = [batches[index][1] for index in range(batches.num_batches)]
    assert [len(batch) for batch in found] == sizes
    np.testing.assert_array_equal(np.concatenate(found), np.arange(count))


def test_fit_feeds_exactly_this_order(train: Any) -> None:
    examples = Numbered(18)
    inputs = keras.Input((1,))
    spy = Spy()
    model = keras.Model(inputs, spy(inputs))
    epochs: list[np.ndarray] = []

    class Record(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            epochs.append(keras.ops.convert_to_numpy(spy.seen)[-16:].astype(int))

    train(model, examples, Numbered(4), loss="mse", epochs=3, batch_size=4, seed=7, callbacks=[Record()])
    expected = epochs_of(TrainingBatches(examples, batch_size=4, seed=7), 3)
    assert [epoch.tolist() for epoch in epochs] == expected


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="of TensorFlow's input pipeline")
def test_tensorflow_tunes_nothing_that_the_end_of_a_training_would_wait_for() -> None:
    split = Numbered(8)
    sources = TrainingBatches(split, batch_size=4, seed=0).source(), EvaluationBatches(split, batch_size=4).source()
    assert [each.options().autotune.enabled for each in sources] == [False, False]
