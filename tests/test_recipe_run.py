"""What all recipes share: a run that memory was too small for begins again with a smaller batch, and says so."""

import json

import keras
import numpy as np
import pytest

import kerasdl
from kerasdl.training import is_out_of_memory, smaller_batch
from recipes import image_classification

QUICK = {"architecture": "mlp", "units": (16,), "epochs": 2, "verbose": 0}


class TooLarge(keras.callbacks.Callback):
    """Runs out of memory, in the words of a backend, in the fourth batch unless batches are small enough."""

    def __init__(self, largest):
        super().__init__()
        self.largest = largest

    def on_train_batch_end(self, batch, logs=None):
        if batch == 3 and self.params["steps"] < 1293 // self.largest:
            raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 64 bytes")


def test_the_batch_is_halved_and_updates_see_as_many_examples(tmp_path):
    with (
        pytest.warns(UserWarning, match="OUT OF MEMORY with batch_size=64, .* again with batch_size=32,"),
        pytest.warns(UserWarning, match="OUT OF MEMORY with batch_size=32, .* again with batch_size=16,"),
    ):
        result = image_classification.train(
            "digits", batch_size=64, directory=tmp_path / "run", callbacks=[TooLarge(16)], **QUICK
        )
    assert (result.config["batch_size"], result.config["gradient_accumulation"]) == (16, 4)
    written = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (written["batch_size"], written["gradient_accumulation"]) == (16, 4)
    direct = image_classification.train("digits", batch_size=16, gradient_accumulation=4, **QUICK)
    # One setting is resolved before the batch is known to be too large.
    assert direct.config["normalization_momentum"] != result.config["normalization_momentum"]
    again = image_classification.train(**result.config)
    for one, other in zip(result.model.get_weights(), again.model.get_weights(), strict=True):
        assert np.array_equal(one, other)


class Killed(Exception):
    """Stands for a kill."""


class KilledOnce(keras.callbacks.Callback):
    """Fails in the second epoch, unless it is told not to."""

    armed = True

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1 and KilledOnce.armed:
            KilledOnce.armed = False
            raise Killed


def test_the_same_call_goes_on_with_the_batch_that_fitted(tmp_path):
    call = {"batch_size": 64, "directory": tmp_path / "run", **QUICK}
    with pytest.warns(UserWarning, match="OUT OF MEMORY"), pytest.raises(Killed):
        image_classification.train("digits", callbacks=[TooLarge(32), KilledOnce()], **call)
    with pytest.raises(kerasdl.InputError, match="callbacks: received .* expected .*KilledOnce"):
        image_classification.train("digits", resume=True, **call)
    result = image_classification.train("digits", resume=True, callbacks=[TooLarge(32), KilledOnce()], **call)
    assert result.config["batch_size"] == 32
    with pytest.warns(UserWarning, match="OUT OF MEMORY"):
        whole = image_classification.train("digits", callbacks=[TooLarge(32)], **call | {"directory": None})
    for one, other in zip(result.model.get_weights(), whole.model.get_weights(), strict=True):
        assert np.array_equal(one, other)
    with pytest.raises(kerasdl.InputError, match="batch_size: 32 there, 8 now"):
        image_classification.train("digits", resume=True, **call | {"batch_size": 8})


def test_other_errors_are_not_taken_for_it():
    class Broken(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            raise RuntimeError("no space left on device")

    with pytest.raises(RuntimeError, match="no space"):
        image_classification.train("digits", callbacks=[Broken()], **QUICK)


def test_an_optimizer_object_is_not_changed():
    with pytest.raises(MemoryError, match="gradient_accumulation_steps=2"):
        image_classification.train("digits", callbacks=[TooLarge(32)], optimizer=keras.optimizers.SGD(0.1), **QUICK)


def test_a_batch_of_one_cannot_be_smaller():
    assert smaller_batch(1, 64) is None
    assert smaller_batch(61, 1) == (1, 61)


@pytest.mark.parametrize("error", [MemoryError(), np._core._exceptions._ArrayMemoryError((1,), np.dtype("f4"))])
def test_out_of_memory_is_recognised_behind_another_error(error):
    outer = ValueError("a layer failed")
    outer.__cause__ = error
    assert is_out_of_memory(error)
    assert is_out_of_memory(outer)
    assert not is_out_of_memory(ValueError("no"))


def test_what_the_optimizer_refuses_leaves_no_folder(tmp_path):
    with pytest.raises(kerasdl.InputError, match="ema"):
        image_classification.train(
            "digits", optimizer=keras.optimizers.Adam(1e-3), ema=0.9, directory=tmp_path / "run", **QUICK
        )
    assert not (tmp_path / "run").exists()


def test_resuming_never_takes_over_a_folder_of_other_files(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(kerasdl.InputError, match="files and no run"):
        image_classification.train("digits", directory=tmp_path, resume=True, **QUICK)
    assert (tmp_path / "checkpoints").is_dir()
