"""The contract that every recipe keeps: it learns, repeats to the bit, exports what it trained, refuses bad data."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest
import serving

import kerasdl
from recipes import (
    fine_tuning,
    forecasting,
    image_classification,
    language_model,
    sequence_classification,
    text_classification,
)


def topics() -> tuple[list[str], list[str]]:
    """Some glosses of three topics."""
    split = kerasdl.data.load("glosses", kind="text").train
    names = kerasdl.data.load("glosses", kind="text").class_names
    chosen = [
        index
        for name in ("animal", "food", "person")
        for index in np.flatnonzero(split.targets == names.index(name))[:300]
    ]
    return [split.inputs[index] for index in chosen], [names[split.targets[index]] for index in chosen]


def prose() -> list[str]:
    """Three topics of Python's reference."""
    from pydoc_data.topics import topics as reference

    return [reference[name] for name in ("if", "while", "for", "with", "try", "class")]


def waves() -> dict[str, np.ndarray]:
    """Two series of hours, each a daily wave that grows, with noise."""
    hours = np.arange(500)
    noise = np.random.default_rng(0).normal(0, 0.1, (2, len(hours)))
    values = np.sin(hours * 2 * np.pi / 24) * np.array([[1.0], [5.0]]) + 0.01 * hours + noise
    times = np.datetime64("2024-01-01T00", "s") + hours * np.timedelta64(3600, "s")
    return {"time": np.tile(times, 2), "series": np.repeat(["a", "b"], len(hours)), "y": values.ravel()}


def some_digits() -> tuple[np.ndarray, np.ndarray]:
    """A third of the digits: a backbone takes its time for each."""
    split = kerasdl.data.load("digits").train
    return split.batch(np.arange(0, len(split), 3))


@dataclasses.dataclass(frozen=True)
class Case:
    """A recipe, its quick keywords, small data, and the bar that its test metric must reach."""

    recipe: ModuleType
    keywords: dict[str, Any]
    data: Callable[[], Any]
    kind: str
    metric: str
    bar: float
    bad: Any

    def train(self, **keywords: Any) -> kerasdl.Result:
        return self.recipe.train(self.data(), **{"verbose": 0, "seed": 3, **self.keywords, **keywords})

    def reached(self, result: kerasdl.Result) -> bool:
        value = result.metrics[self.metric]
        return value <= self.bar if self.metric in ("bits_per_byte", "mase") else value >= self.bar


RUNTIMES = {"keras": (), "litert": ("ai_edge_litert",), "onnx": ("onnx", "onnxruntime", "tf2onnx")}
NO_IMAGES = (np.zeros((4, 8, 8), np.uint8), np.zeros(3))
# The bar is the trivial baseline and a margin: a tenth of the digits and 0.6 more, a third of the glosses and 0.35
# more, 4.74 bits a byte for bytes one by one and 0.5 less, a quarter of the motions and 0.35 more, and of waves with
# noise 0.9 of the error of the seasonal naive forecast, which is 1 by definition.
CASES = {
    "image_classification": Case(
        image_classification,
        {"architecture": "mlp", "units": (32,), "epochs": 6},
        lambda: "digits",
        "images",
        "accuracy",
        0.702,
        NO_IMAGES,
    ),
    # A linear probe; tests/recipes/test_fine_tuning.py has the second phase.
    "fine_tuning": Case(
        fine_tuning,
        {"backbone": "efficientnet_lite0", "unfreeze": 0.0, "frozen_epochs": 10},
        some_digits,
        "images",
        "accuracy",
        0.702,
        NO_IMAGES,
    ),
    "text_classification": Case(
        text_classification,
        {"hidden_dim": 32, "units": 32, "epochs": 5, "learning_rate": 0.005},
        topics,
        "text",
        "accuracy",
        0.683,
        (["a", "b"], [0]),
    ),
    "language_model": Case(
        language_model,
        {
            "num_layers": 1,
            "num_heads": 2,
            "hidden_dim": 32,
            "sequence_length": 32,
            "epochs": 8,
            "batch_size": 8,
            "learning_rate": 0.01,
            "jit_compile": False,
        },
        prose,
        "language",
        "bits_per_byte",
        4.2,
        [3],
    ),
    "sequence_classification": Case(
        sequence_classification,
        {"filters": (8, 16, 8), "epochs": 12, "batch_size": 8, "learning_rate": 0.01},
        lambda: "basic_motions",
        "series",
        "accuracy",
        0.6,
        (np.zeros((4, 8, 2)), np.zeros(3)),
    ),
    "forecasting": Case(
        forecasting,
        {"horizon": 6, "epochs": 4, "scaler": "standard"},
        waves,
        "forecasting",
        "mase",
        0.9,
        {"time": [1, 2], "y": [1.0, 1.0]},
    ),
}


@pytest.fixture(scope="module", params=CASES)
def case(request):
    chosen = CASES[request.param]
    return chosen, chosen.train()


def test_it_learns(case):
    assert case[0].reached(case[1])


def test_its_configuration_repeats_it_to_the_bit(case):
    chosen, result = case
    data = {"data": chosen.data()} if result.config["data"] == "arrays" else {}
    again = chosen.recipe.train(**{**result.config, **data})
    for one, other in zip(result.model.get_weights(), again.model.get_weights(), strict=True):
        assert np.array_equal(one, other)
    assert again.config == result.config
    assert again.history == result.history
    assert again.metrics == result.metrics


def test_another_seed_gives_other_weights(case):
    chosen, result = case
    different = chosen.train(seed=4)
    # The head's: a pretrained backbone has the same weights whatever the seed.
    assert not np.array_equal(result.model.get_weights()[-2], different.model.get_weights()[-2])


def test_a_saved_run_is_the_same_result(case, tmp_path):
    chosen, result = case
    result.save(tmp_path / "run")
    again = kerasdl.Result.load(tmp_path / "run", data=chosen.data())
    assert again.evaluate() == result.metrics == again.metrics
    assert again.baselines == result.baselines
    assert again.task.as_dict() == result.task.as_dict()
    assert ">Test split</h2>" in (tmp_path / "run" / "report.html").read_text("utf-8")


class Killed(Exception):
    """Stands for a kill."""


class KilledOnce(keras.callbacks.Callback):
    """Fails in the middle of the third epoch if the class is armed: fields of an object are restored with a run."""

    armed = False
    epoch = 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if KilledOnce.armed and self.epoch == 2 and batch == 2:
            KilledOnce.armed = False
            raise Killed


def test_killed_it_goes_on_as_if_it_had_never_been_killed(case, tmp_path):
    chosen, result = case
    run = {"directory": tmp_path / "run", "checkpoint_every": 4, "resume": True, "callbacks": [KilledOnce()]}
    KilledOnce.armed = True
    with pytest.raises(Killed):
        chosen.train(**run)
    resumed = chosen.train(**run)
    for one, other in zip(result.model.get_weights(), resumed.model.get_weights(), strict=True):
        assert np.array_equal(one, other)
    assert resumed.history == result.history
    assert resumed.metrics == result.metrics


def test_the_test_split_is_never_touched_in_training(case):
    chosen, result = case
    dataset = result.dataset
    test = dataset.test
    if chosen.kind == "images":
        inputs = 255 - test.inputs
    elif chosen.kind == "series":
        inputs = -test.inputs
    elif chosen.kind != "forecasting":
        inputs = np.array([text[::-1] for text in test.inputs], dtype=object)
    if chosen.kind == "forecasting":
        values = [
            np.where(np.arange(len(each))[:, None] >= test.origin.min(), -each.values, each.values)
            for each in dataset.series
        ]
        series = [dataclasses.replace(each, values=new) for each, new in zip(dataset.series, values, strict=True)]
        other_test = kerasdl.data.windows.Windows(series, dataset.layout, test.ranges, scales=test.scales)
        scrambled = dataclasses.replace(dataset, test=other_test)
    else:
        split = kerasdl.data.Split(inputs, test.targets[::-1].copy())
        scrambled = dataclasses.replace(dataset, test=split)
    other = chosen.recipe.train(scrambled, **{"verbose": 0, "seed": 3, **chosen.keywords})
    for one, two in zip(result.model.get_weights(), other.model.get_weights(), strict=True):
        assert np.array_equal(one, two)
    assert other.metrics != result.metrics


def test_the_export_is_the_trained_model(case, tmp_path):
    chosen, result = case
    version = result.export(tmp_path / "model")
    exported = kerasdl.export.load_exported(version)
    serving.check(version)
    if chosen.kind == "forecasting":
        raw = chosen.data()
    elif chosen.kind == "language":
        raw = [text[:20] for text in result.dataset.test.inputs[:50]]
    else:
        raw = list(result.dataset.test.inputs[:50])
    live, served = result.predict(raw), exported.predict(raw)
    assert live.keys() == served.keys()
    for name, values in live.items():
        if values.dtype.kind == "f":
            assert np.abs(values - served[name]).max() <= 1e-5
        else:
            assert values.tolist() == served[name].tolist()


@pytest.mark.parametrize("format", ["keras", "litert", "onnx"])
def test_other_formats_are_the_trained_model(case, format, tmp_path):
    chosen, result = case
    for runtime in RUNTIMES[format]:
        pytest.importorskip(runtime, reason=f"{runtime} is not installed (pip install 'kerasdl[formats]')")
    if (chosen.kind, format) == ("language", "litert"):
        with pytest.raises(kerasdl.InputError, match="layer 'block1_attention' cannot be converted"):
            result.export(tmp_path / "model", format=format)
        assert not (tmp_path / "model").exists()
        return
    exported = kerasdl.export.load_exported(result.export(tmp_path / "model", format=format))
    raw = chosen.data() if chosen.kind == "forecasting" else list(result.dataset.test.inputs[:5])
    if chosen.kind == "language":
        raw = [text[:20] for text in raw]
        options = {"max_new_tokens": 40, "temperature": 0.7, "top_k": 9, "top_p": 0.9, "seed": 5}
        assert exported.generate(raw, **options) == result.generate(raw, **options)
        assert exported.generate("", temperature=0) == result.generate("", temperature=0)
    live, served = result.predict(raw), exported.predict(raw)
    assert live.keys() == served.keys()
    for name, values in live.items():
        if values.dtype.kind == "f":
            assert np.abs(values - served[name]).max() <= 1e-4
        else:
            assert values.tolist() == served[name].tolist()
    assert exported.description["exported_metrics"] == pytest.approx(result.metrics, abs=1e-4)


def test_bad_data_is_refused(case):
    chosen = case[0]
    with pytest.raises(kerasdl.InputError, match="received .*expected"):
        chosen.recipe.train(chosen.bad, **chosen.keywords)


def test_every_keyword_is_documented(case):
    train = case[0].recipe.train
    for name in inspect.signature(train).parameters:
        assert f"        {name}: " in train.__doc__, name


def test_the_space_names_keywords_of_train(case):
    recipe = case[0].recipe
    chosen = recipe.space(keras_tuner.HyperParameters())
    assert chosen
    recipe.resolve(**chosen)
