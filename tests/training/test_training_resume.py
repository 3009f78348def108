"""A training that was stopped anywhere goes on to the bit as if it had never been stopped."""

from __future__ import annotations

import os
import signal
import warnings
from typing import Any

import keras
import numpy as np
import pytest

from kerasdl.training import TrainingInterrupted, fit
from kerasdl.training.checkpoint import checkpoints_in, read_newest, write_checkpoint


class Examples:
    """Three noisy classes in four dimensions."""

    def __init__(self, count: int):
        generator = np.random.default_rng(0)
        self.targets = generator.integers(3, size=count)
        self.inputs = (generator.normal(size=(count, 4)) + self.targets[:, None]).astype("float32")

    def __len__(self) -> int:
        return len(self.targets)

    def batch(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self.inputs[indices], self.targets[indices]


class StopAfter(keras.callbacks.Callback):
    """Sends the signal that a user or a scheduler would, during one batch; keeps a count as user callbacks do."""

    def __init__(self, batches: int):
        super().__init__()
        self.batches = {batches}  # no plain value: when to stop is not what a checkpoint should bring back
        self.seen = 0

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self.seen += 1
        if self.seen in self.batches:
            os.kill(os.getpid(), signal.SIGTERM)


def noise(generator: np.random.Generator, inputs: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return inputs + generator.normal(size=inputs.shape).astype("float32"), targets


def train(folder: Any, *, stop: int = 0, resume: bool = False, **keywords: Any) -> tuple[list[np.ndarray], Any, int]:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4,))
    x = keras.layers.Dropout(0.3)(keras.layers.Dense(8, activation="relu")(inputs))
    model = keras.Model(inputs, keras.layers.Dense(3)(keras.layers.BatchNormalization()(x)))
    counter = StopAfter(stop)
    history = fit(
        model,
        Examples(96),
        Examples(32),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        epochs=4,
        batch_size=16,
        augment=noise,
        checkpoint_directory=folder,
        resume=resume,
        callbacks=[counter],
        verbose=0,
        **keywords,
    )
    state = [keras.ops.convert_to_numpy(variable) for variable in (*model.variables, *model.optimizer.variables)]
    return state, history, counter.seen


@pytest.mark.parametrize(
    "keywords",
    [
        {"schedule": "plateau", "ema": 0.9, "gradient_accumulation": 2, "early_stopping": 2},
        {"schedule": "one_cycle", "checkpoint_every": 4, "proximal_l1": 1e-3, "keep": "last"},
    ],
    ids=["plateau, average, accumulation, early stopping", "one cycle, every 4 batches, proximal, the last epoch"],
)
def test_stopped_by_a_signal_it_goes_on_to_the_bit(tmp_path, keywords):
    weights, history, seen = train(tmp_path / "whole", **keywords)
    for stop in (2, 6, 15):  # in the midst of an epoch, at its very end, in the midst of a later one
        folder = tmp_path / f"stopped-{stop}"
        with pytest.raises(TrainingInterrupted, match=r"everything is saved.*resume=True"):
            train(folder, stop=stop, **keywords)
        again, again_history, again_seen = train(folder, resume=True, **keywords)
        assert again_history == history
        assert again_seen == seen, "the state of a user's callback belongs to the training"
        for one, other in zip(weights, again, strict=True):
            np.testing.assert_array_equal(one, other)


def test_a_training_that_ended_trains_no_more(tmp_path):
    weights, history, _ = train(tmp_path)
    again, again_history, _ = train(tmp_path, resume=True)
    assert again_history == history
    for one, other in zip(weights, again, strict=True):
        np.testing.assert_array_equal(one, other)


def test_signals_are_given_back(tmp_path):
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with pytest.raises(TrainingInterrupted):
        train(tmp_path, stop=3)
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


def test_a_damaged_newest_checkpoint_falls_back_to_the_one_before(tmp_path):
    weights, history, _ = train(tmp_path / "whole")
    with pytest.raises(TrainingInterrupted):
        train(tmp_path / "cut", stop=15)
    before, newest = checkpoints_in(tmp_path / "cut")
    newest.write_bytes(newest.read_bytes()[: newest.stat().st_size // 2])
    with pytest.warns(UserWarning, match=rf"{newest.name} is damaged.*the one before"):
        again, again_history, _ = train(tmp_path / "cut", resume=True)
    assert again_history == history
    for one, other in zip(weights, again, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("position", range(100, 4000, 700))
def test_a_flipped_byte_is_damage(tmp_path, position):
    path = write_checkpoint(tmp_path, 7, {"model/0": np.arange(1000.0)}, {"position": 7})
    content = bytearray(path.read_bytes())
    content[position] ^= 255
    path.write_bytes(bytes(content))
    with pytest.warns(UserWarning, match="damaged"):
        assert read_newest(tmp_path) is None


def test_only_the_last_two_checkpoints_are_kept_and_whole_files_alone_count(tmp_path):
    for position in (5, 10, 15):
        write_checkpoint(tmp_path, position, {"model/0": np.ones(3)}, {"position": position})
    (tmp_path / ".checkpoint-000000000020.npz.77").write_bytes(b"half")
    assert [path.name for path in checkpoints_in(tmp_path)] == [
        "checkpoint-000000000010.npz",
        "checkpoint-000000000015.npz",
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        arrays, facts = read_newest(tmp_path)
    assert facts == {"position": 15}
    np.testing.assert_array_equal(arrays["model/0"], np.ones(3))
