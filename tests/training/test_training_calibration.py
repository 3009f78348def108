"""What calibration promises: the fastest candidate, within its budget, measured once, and nothing else changed."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from kerasdl.errors import InputError
from kerasdl.training import precision_policy, trials
from kerasdl.training.calibration import Choice, calibrate

pytestmark = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="the candidates are TensorFlow's")

LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
FAST = {"images_per_second": 1000.0, "compile_seconds": 10.0}


def make_model(precision: str = "float32") -> keras.Model:
    with precision_policy(precision):
        inputs = keras.Input((3,))
        x = keras.layers.Dropout(0.5)(keras.layers.Dense(6, activation="relu")(inputs))
        return keras.Model(inputs, keras.layers.Dense(2, dtype="float32")(x))


Timings = dict[tuple[Any, ...], dict[str, float]]


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> tuple[Timings, list[tuple[Any, ...]]]:
    """Timings by candidate in place of measuring, 1000 images a second unless set, and the candidates asked for."""
    timings: Timings = {}
    asked: list[tuple[Any, ...]] = []

    def measure(model: Any, batches: Any, candidate: tuple[Any, ...], compile_keywords: Any) -> dict[str, float]:
        asked.append(candidate)
        if isinstance(timings.get(candidate), Exception):
            raise timings[candidate]  # type: ignore[misc]
        return timings.get(candidate, FAST)

    monkeypatch.setattr(trials, "_measure", measure)
    return timings, asked


@pytest.fixture
def choose(points: Any, tmp_path: Path) -> Callable[..., Choice]:
    """`calibrate` on 400 points, batches of 16, for a run of any length unless told otherwise."""

    def run(build: Any = make_model, **keywords: Any) -> Choice:
        defaults: dict[str, Any] = {
            "loss": LOSS,
            "total_steps": 10**7,
            "batch_size": 16,
            "optimizer": "sgd",
            "expected_seconds": math.inf,
            "cache": tmp_path / "cache.json",
        }
        return calibrate(build, points(400), **{**defaults, **keywords})

    return run


def picked(choice: Choice) -> tuple[Any, ...]:
    return choice.precision, choice.jit_compile, choice.steps_per_execution


def test_the_fastest_is_chosen_and_more_steps_are_tried_on_it(choose: Any, measured: Any) -> None:
    timings, asked = measured
    timings["bfloat16", False, 1] = {"images_per_second": 900.0, "compile_seconds": 10.0}
    timings["float32", True, 1] = {"images_per_second": 1900.0, "compile_seconds": 30.0}
    timings["float32", True, 20] = {"images_per_second": 2500.0, "compile_seconds": 30.0}
    choice = choose()
    assert picked(choice) == ("float32", True, 20)
    assert asked == [
        ("float32", False, 1),
        ("bfloat16", False, 1),
        ("float32", True, 1),
        ("bfloat16", True, 1),
        ("float32", True, 20),
    ]
    assert [row["images_per_second"] for row in choice.measured] == [1000, 900, 1900, 1000, 2500]
    assert json.loads(json.dumps(choice.as_dict())) == choice.as_dict()
    table = str(choice).splitlines()
    assert len(table) == 7
    assert "2,500" in table[5]
    assert table[-1].startswith("Chosen: float32 with XLA, 20 steps")


def test_a_small_gain_leaves_the_default(choose: Any, measured: Any) -> None:
    timings, _ = measured
    timings["bfloat16", False, 1] = {"images_per_second": 1040.0, "compile_seconds": 10.0}
    assert picked(choose()) == ("float32", False, 1)


def test_compiling_counts_as_part_of_the_run(choose: Any, measured: Any) -> None:
    timings, _ = measured
    timings["float32", True, 1] = {"images_per_second": 2000.0, "compile_seconds": 60.0}
    # 16 examples a step: 1000 steps take 16 s, and 8 s with XLA; 10,000 take 160 s and 80 s.
    assert not choose(total_steps=1000).jit_compile
    assert choose(total_steps=10_000).jit_compile


def test_a_short_run_starts_without_any_trial(choose: Any, measured: Any) -> None:
    _, asked = measured
    choice = choose(total_steps=10, expected_seconds=None)
    assert asked == []
    assert picked(choice) == ("float32", False, 1)
    assert all(row["images_per_second"] is None and "not tried" in row["dropped"] for row in choice.measured)
    assert not choice.from_cache


def test_a_trial_that_does_not_fit_the_budget_is_dropped(choose: Any, measured: Any) -> None:
    _, asked = measured
    # 3 % are 30 s: room for what compiles as long as the first, 10 s, and not for XLA, which may take 40 s.
    choice = choose(expected_seconds=1000)
    assert [candidate[1] for candidate in asked] == [False, False, False]
    assert picked(choice) == ("float32", False, 1)
    dropped = [row for row in choice.measured if row["dropped"]]
    assert [row["jit_compile"] for row in dropped] == [True, True]
    assert "3% of a run of 1000 s" in dropped[0]["dropped"]


def test_the_budget_follows_from_the_first_measurement(choose: Any, measured: Any) -> None:
    timings, asked = measured
    timings["float32", False, 1] = {"images_per_second": 1e7, "compile_seconds": 10.0}
    choice = choose(total_steps=10**7, expected_seconds=None)
    assert asked == [("float32", False, 1)]
    assert "3% of a run of 26 s" in choice.measured[1]["dropped"]


def test_what_the_user_fixed_stays(choose: Any, measured: Any) -> None:
    timings, asked = measured
    choice = choose(precision="bfloat16", jit_compile=True, steps_per_execution=4)
    assert picked(choice) == ("bfloat16", True, 4)
    assert choice.measured == asked == []
    timings["bfloat16", True, 4] = {"images_per_second": 3000.0, "compile_seconds": 10.0}
    choice = choose(precision="bfloat16", steps_per_execution=4)
    assert asked == [("bfloat16", False, 4), ("bfloat16", True, 4)]
    assert picked(choice) == ("bfloat16", True, 4)


def test_measurements_are_kept_by_model_and_batch(choose: Any, measured: Any, tmp_path: Path) -> None:
    timings, asked = measured
    timings["bfloat16", False, 1] = {"images_per_second": 2000.0, "compile_seconds": 10.0}
    first = choose()
    assert not first.from_cache
    asked.clear()
    again = choose()
    assert (asked, again.from_cache) == ([], True)
    assert (picked(again), again.measured) == (picked(first), first.measured)
    assert [file.name for file in tmp_path.iterdir()] == ["cache.json"]
    for changed in ({"batch_size": 8}, {"optimizer": "adam"}, {"weight_decay": 0.1}):
        asked.clear()
        choose(**changed)
        assert len(asked) == 5
    assert len(json.loads((tmp_path / "cache.json").read_text())) == 4


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"key": 1}', '{"key": {"float32/True": {}}}', "\x00"])
def test_a_damaged_cache_is_ignored(choose: Any, measured: Any, tmp_path: Path, damage: str) -> None:
    _, asked = measured
    (tmp_path / "cache.json").write_text(damage)
    choose(jit_compile=False, steps_per_execution=1)
    assert len(asked) == 2
    assert choose(jit_compile=False, steps_per_execution=1).from_cache


def test_the_environment_names_the_cache(
    choose: Any, measured: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERASDL_CACHE", str(tmp_path / "mine"))
    choose(jit_compile=False, steps_per_execution=1, cache=None)
    assert (tmp_path / "mine" / "calibration.json").exists()


def test_a_candidate_that_fails_is_dropped_and_says_why(choose: Any, measured: Any) -> None:
    timings, _ = measured
    timings["float32", True, 1] = ValueError("no kernel for this\nmore")  # type: ignore[assignment]
    choice = choose()
    assert [row["dropped"] for row in choice.measured] == [None, None, "failed: no kernel for this", None, None]
    timings["float32", False, 1] = ValueError("broken")  # type: ignore[assignment]
    with pytest.raises(ValueError, match="broken"):
        choose(batch_size=8)


def test_logits_that_are_not_float32_are_no_candidate(choose: Any, measured: Any) -> None:
    def build(precision: str) -> keras.Model:
        with precision_policy(precision):
            inputs = keras.Input((3,))
            return keras.Model(inputs, keras.layers.Dense(2)(inputs))

    choice = choose(build, jit_compile=False, steps_per_execution=1)
    assert [row["dropped"] for row in choice.measured] == [None, "not tried: its outputs are bfloat16, not float32"]


def test_more_steps_than_an_epoch_has_are_not_tried(choose: Any, measured: Any) -> None:
    choice = choose(batch_size=40)
    assert choice.measured[-1]["dropped"] == "not tried: an epoch has only 10 steps"


@pytest.mark.parametrize(
    ("keywords", "what"),
    [
        ({"precision": "int8"}, "precision"),
        ({"jit_compile": "yes"}, "jit_compile"),
        ({"steps_per_execution": 0}, "steps_per_execution"),
        ({"total_steps": 0}, "total_steps"),
        ({"batch_size": 0}, "batch_size"),
    ],
)
def test_bad_keywords_are_refused(choose: Any, keywords: dict[str, Any], what: str) -> None:
    with pytest.raises(InputError, match=f"^{what}:"):
        choose(**keywords)


def test_a_training_after_calibration_is_the_one_without(
    choose: Any, train: Any, points: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trials, "SECONDS", 0.02)

    def run(calibration: Callable[[], None]) -> tuple[list[np.ndarray], dict[str, list[float]]]:
        keras.utils.set_random_seed(3)
        calibration()
        model = make_model("bfloat16")
        history = train(model, points(48), optimizer="adam", epochs=2)
        return model.get_weights(), history

    def calibration() -> None:
        number = int(keras.layers.Dense(1).name.removeprefix("dense_"))
        before = random.getstate(), np.random.get_state()[1].tolist(), keras.config.dtype_policy()
        # Not a fake this time; the optimizer is an object, of which only copies may be trained.
        optimizer = keras.optimizers.Adam(0.01)
        choice = choose(jit_compile=False, steps_per_execution=1, optimizer=optimizer)
        assert (random.getstate(), np.random.get_state()[1].tolist(), keras.config.dtype_policy()) == before
        assert keras.layers.Dense(1).name == f"dense_{number + 1}"
        keras.utils.set_random_seed(3)  # the two layers above drew from it
        assert not optimizer.built
        assert all(row["images_per_second"] > 0 for row in choice.measured)
        assert len(choice.measured) == 2

    weights, history = run(lambda: None)
    weights_after, history_after = run(calibration)
    assert history == history_after
    assert all(np.array_equal(a, b) for a, b in zip(weights, weights_after, strict=True))
