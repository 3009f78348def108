"""The result: saved and loaded it is the same, damaged it is refused, its configuration repeats the run."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from kerasdl import InputError, Result
from kerasdl.configuration import jsonable
from kerasdl.run_directory import _history_as_csv, _history_from_csv, add_export, exports
from recipes import image_classification

FILES = ["config.json", "gradients.json", "history.csv", "model.keras", "report.html", "result.json", "tensorboard"]


@pytest.fixture
def run(digits_result: Result, tmp_path: Path) -> Path:
    """A copy of the run's folder, to be damaged."""
    return Path(shutil.copytree(digits_result.directory, tmp_path / "run"))


@pytest.fixture(scope="module")
def loaded(digits_result: Result) -> Result:
    return Result.load(digits_result.directory)


@pytest.fixture(scope="module")
def from_arrays(tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, np.ndarray, np.ndarray]:
    images = np.random.default_rng(0).integers(0, 256, (60, 4, 4), dtype=np.uint8)
    labels = np.array(["cat", "dog"])[np.arange(60) % 2]
    directory = tmp_path_factory.mktemp("runs") / "arrays"
    result = image_classification.train(
        (images, labels),
        architecture="mlp",
        units=(4,),
        epochs=np.int64(1),
        learning_rate=np.float32(0.01),
        verbose=0,
        directory=directory,
    )
    return result, images, labels


def same_weights(one: Result, other: Result) -> bool:
    pairs = zip(one.model.get_weights(), other.model.get_weights(), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


def test_what_train_returns(digits_result: Result) -> None:
    assert set(digits_result.history) == {"loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"}
    assert {len(values) for values in digits_result.history.values()} == {3}
    assert digits_result.best_epoch == 1 + int(np.argmin(digits_result.history["val_loss"]))
    assert digits_result.metrics["accuracy"] > 0.85
    assert digits_result.dataset.counts == {"train": 1293, "validation": 144, "test": 360}
    # Other tests may have exported it already.
    assert sorted({entry.name for entry in digits_result.directory.iterdir()} - {"exports.json"}) == FILES
    summary = digits_result.summary()
    assert f"Best epoch: {digits_result.best_epoch} of 3" in summary
    assert "image_classification" in repr(digits_result)


def test_a_loaded_result_is_the_same(loaded: Result, digits_result: Result) -> None:
    assert same_weights(loaded, digits_result)
    assert loaded.history == digits_result.history
    assert loaded.metrics == digits_result.metrics
    assert loaded.diagnosis == digits_result.diagnosis
    assert loaded.config == digits_result.config
    assert loaded.class_names == digits_result.class_names
    assert loaded.directory == digits_result.directory
    assert loaded.recipe == digits_result.recipe
    assert loaded.best_epoch == digits_result.best_epoch
    # The dataset is read again by its name.
    assert loaded.dataset.fingerprint == digits_result.dataset.fingerprint
    assert loaded.evaluate() == digits_result.metrics
    images = digits_result.dataset.test.inputs[:9]
    np.testing.assert_array_equal(loaded.predict(images)["scores"], digits_result.predict(images)["scores"])


def test_a_loaded_result_can_be_saved_again(loaded: Result, digits_result: Result, tmp_path: Path) -> None:
    copy = Result(
        recipe=loaded.recipe,
        model=loaded.model,
        history=loaded.history,
        config=loaded.config,
        dataset=loaded.dataset,
        task=loaded.task,
        metrics=loaded.metrics,
        diagnosis=loaded.diagnosis,
    )
    copy.save(tmp_path / "again")
    again = Result.load(tmp_path / "again")
    assert same_weights(again, digits_result)
    assert (again.history, again.metrics, again.config) == (loaded.history, loaded.metrics, loaded.config)


def test_history_keeps_every_bit() -> None:
    values = [0.1, 1 / 3, 5e-324, -0.0, 1e308, math.inf, -math.inf, math.nan]
    history = _history_from_csv(_history_as_csv({"loss": values, "learning_rate": values[::-1]}))
    assert np.array(history["loss"]).tobytes() == np.array(values).tobytes()
    assert np.array(history["learning_rate"]).tobytes() == np.array(values[::-1]).tobytes()


def test_the_configuration_repeats_the_run(digits_result: Result) -> None:
    config = json.loads(json.dumps(digits_result.config))
    assert config == digits_result.config
    again = image_classification.train(**{**config, "verbose": 0})
    assert same_weights(again, digits_result)
    assert again.history == digits_result.history
    assert again.metrics == digits_result.metrics


def test_the_configuration_is_resolved(digits_result: Result) -> None:
    config = digits_result.config
    assert config["data"] == "digits"
    assert config["optimizer"] == "adamw"
    assert config["schedule"] == "one_cycle"
    assert config["weight_decay"] == 0.05
    assert config["units"] == [32]
    assert config["input_shape"] == [8, 8, 1]
    assert {"python", "keras", "numpy", "tensorflow"} <= set(config["versions"])
    assert config["hardware"]["cores"] >= 1


def test_numpy_scalars_are_plain_numbers(from_arrays: Any) -> None:
    config = from_arrays[0].config
    assert type(config["epochs"]) is int
    assert type(config["learning_rate"]) is float
    assert jsonable({"a": (np.float64(0.5), True, None, Path("x"))}) == {"a": [0.5, True, None, "x"]}
    assert jsonable(True) is True


def test_arrays_must_be_passed_again(from_arrays: tuple[Result, np.ndarray, np.ndarray]) -> None:
    result, images, labels = from_arrays
    loaded = Result.load(result.directory)
    assert same_weights(loaded, result)
    with pytest.raises(InputError):
        _ = loaded.dataset
    other = images.copy()
    other[17, 2, 3] ^= 1
    with pytest.raises(InputError, match="fingerprint"):
        _ = Result.load(result.directory, data=(other, labels)).dataset
    again = Result.load(result.directory, data=(images, labels))
    assert again.dataset.fingerprint == result.dataset.fingerprint
    assert again.evaluate() == result.metrics


def cut(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: 2 * len(content) // 3])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def rewrite(path: Path) -> None:
    path.write_text("{}")


@pytest.mark.parametrize("file", ["model.keras", "config.json", "history.csv", "result.json"])
@pytest.mark.parametrize("damage", [Path.unlink, cut, rewrite])
def test_a_damaged_run_is_refused(run: Path, file: str, damage: Callable[[Path], Any]) -> None:
    damage(run / file)
    with pytest.raises(InputError, match="run") as caught:
        Result.load(run)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("file", ["model.keras", "config.json", "history.csv"])
def test_a_flipped_bit_is_found(run: Path, file: str) -> None:
    flip(run / file)
    with pytest.raises(InputError, match=rf"{file} has changed"):
        Result.load(run)


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    for name in ("", "missing"):
        with pytest.raises(InputError, match=r"result\.json"):
            Result.load(tmp_path / name)


def test_evaluate_on_data_of_other_kinds(digits_result: Result, loaded: Result) -> None:
    test = digits_result.dataset.test
    names = np.array(digits_result.class_names)
    expected = pytest.approx(digits_result.metrics, abs=1e-6)
    assert digits_result.evaluate((test.inputs, test.targets)) == expected
    assert digits_result.evaluate((test.inputs, names[test.targets])) == expected
    assert digits_result.evaluate(loaded.dataset) == expected
    order = np.random.default_rng(0).permutation(len(test))
    assert digits_result.evaluate((test.inputs[order], test.targets[order])) == expected


def test_metrics_are_scikit_learns(digits_result: Result) -> None:
    test = digits_result.dataset.test
    outputs = digits_result.predict(test.inputs)
    right = outputs["label"] == np.array(digits_result.class_names)[test.targets]
    truth = outputs["scores"][np.arange(len(test)), test.targets]
    assert digits_result.metrics["accuracy"] == pytest.approx(right.mean())
    assert digits_result.metrics["log_loss"] == pytest.approx(-np.log(truth).mean(), rel=1e-4)
    assert 0 < digits_result.metrics["macro_f1"] <= 1


def test_evaluate_on_some_classes_and_on_unknown_ones(digits_result: Result) -> None:
    test = digits_result.dataset.test
    some = test.targets < 2
    metrics = digits_result.evaluate((test.inputs[some], test.targets[some]))
    assert set(metrics) == set(digits_result.metrics)
    one = digits_result.evaluate((test.inputs[:1], test.targets[:1]))
    assert one["accuracy"] in (0.0, 1.0)
    with pytest.raises(InputError, match="'eleven'"):
        digits_result.evaluate((test.inputs[:2], np.array(["1", "eleven"])))
    with pytest.raises(InputError, match="'11'"):
        digits_result.evaluate((test.inputs[:2], np.array([1, 11])))
    with pytest.raises(InputError):
        digits_result.evaluate("no/such/folder")


def test_a_diverged_run_is_kept_and_diagnosed(tmp_path: Path, digits_result: Result) -> None:
    class Poison(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            if epoch == 1:
                weight = self.model.trainable_weights[-1]
                weight.assign(np.full(weight.shape, np.nan))

    with pytest.warns(UserWarning, match="training stopped"):
        result = image_classification.train(
            digits_result.dataset,
            architecture="mlp",
            units=(8,),
            epochs=3,
            verbose=0,
            callbacks=[Poison()],
            directory=tmp_path / "run",
        )
    assert result.best_epoch == 1
    assert len(result.history["loss"]) == 2
    assert "diverged" in {finding.name for finding in result.diagnosis}
    assert np.isfinite(result.metrics["log_loss"])
    loaded = Result.load(tmp_path / "run", data=digits_result.dataset)
    np.testing.assert_array_equal(loaded.history["loss"], result.history["loss"])
    assert same_weights(loaded, result)
    assert str(loaded.diagnosis) == str(result.diagnosis)


def test_what_is_known_of_exports_is_kept_in_the_folder(tmp_path: Path) -> None:
    description = {"format": "onnx", "parity": {"examples": 2, "max_difference": 0.1, "tolerance": None}, "other": 1}
    assert exports(tmp_path) == []
    first = add_export(tmp_path, [], Path("saved/1"), description)
    both = add_export(tmp_path, first, Path("saved/2"), {})
    assert exports(tmp_path) == both
    assert [each["path"] for each in both] == ["saved/1", "saved/2"]
    assert "other" not in both[0]
    assert add_export(None, [], Path("saved/1"), description) == first
    (tmp_path / "exports.json").write_text('{"exports": [{"parity": {"max_difference": "<b>"}}]}')
    with pytest.raises(TypeError, match="numbers"):
        exports(tmp_path)
