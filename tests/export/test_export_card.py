"""The model card: it says what the facts say, for every kind of model, and nothing where they say nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kerasdl import InputError, Result, licences
from kerasdl.export import load_exported
from kerasdl.export.card import cell, code, model_card, number
from kerasdl.export.card_usage import requests

LAYOUT = {
    "columns": {"target": ["close"], "time": "date", "series": "ticker", "past": ["volume"], "known": ["holiday"]},
    "series": ["AAPL", "IBM"],
    "frequency": "D",
    "step": 86400.0,
    "timezone": None,
    "sequence_length": 3,
    "horizon": 2,
    "season": 1,
    "transform": "log_returns",
    "calendar": [604800],
    "numbered": True,
}
FORECAST = {
    "inputs": "forecast",
    "layout": LAYOUT,
    "quantiles": [0.1, 0.5, 0.9],
    "signatures": {
        "serving_default": {
            "inputs": {
                "values": {"dtype": "float32", "shape": [None, None, 3]},
                "known": {"dtype": "float32", "shape": [None, 2, 1]},
                "time": {"dtype": "int64", "shape": [None]},
                "series": {"dtype": "string", "shape": [None]},
            },
            "outputs": {"forecast": {"dtype": "float32", "shape": [None, 2]}},
        }
    },
}


def test_the_card_of_an_export(exported: Path, digits_result: Result) -> None:
    card = (exported / "README.md").read_text("utf-8")
    facts = json.loads((exported / "assets.extra" / "kerasdl.json").read_text("utf-8"))
    assert card == model_card(facts, name="digits")
    assert card.startswith("# digits\n\nImage classification, trained by `recipes.image_classification`")
    assert f"| `accuracy` | {digits_result.metrics['accuracy']:.4f} |" in card
    for finding in digits_result.diagnosis:
        assert f"- **{finding.name}**: " in card
    assert "| Splits | train 1293, validation 144, test 360 |" in card
    assert "| Licence | CC BY 4.0" in card
    assert "trained from scratch" in card
    assert (
        "| in | `image` | uint8 | (any, any, any, 1) | pixels from 0 to 255, grey; any size, brought to 8 x 8" in card
    )
    assert "README.md" not in facts["files_sha256"]


def test_its_example_call_works(exported: Path, digits_files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    card = (exported / "README.md").read_text("utf-8")
    lines = card.partition("```python\n")[2].partition("\n```")[0].splitlines()
    monkeypatch.chdir(exported.parents[1])
    names: dict[str, Any] = {}
    exec("\n".join([*lines[:-1], "answer = " + lines[-1].replace("photo.png", str(digits_files[0]))]), names)
    assert names["answer"].shape == (1,)


def test_what_the_facts_lack_is_left_out() -> None:
    card = model_card({"inputs": "text"}, name="x")
    assert "## How to use it" in card
    for section in ("Data", "Metrics", "Diagnosis", "Classes", "Inputs and", "Training", "Proof", "Files"):
        assert f"## {section}" not in card


def test_exported_metrics_are_shown_with_their_change() -> None:
    facts = {"inputs": "images", "input_shape": [8, 8, 4], "metrics": {"accuracy": 0.9, "log_loss": 0.00012345}}
    card = model_card({**facts, "exported_metrics": {"accuracy": 0.875, "log_loss": 0.2}, "format": "litert"}, name="x")
    assert "| `accuracy` | 0.9000 | 0.8750 | -0.025 |" in card
    assert "0.000123" in card
    # Neither is true of another format.
    assert "is a program" not in card
    assert "docker" not in card


def test_a_forecaster_says_what_each_input_is() -> None:
    card = model_card(FORECAST, name="stocks")
    assert (
        "the latest steps, D apart, at least 4, in the units of the training data; columns: `close`, `volume`" in card
    )
    assert "log returns of `close`, the next 2 steps: the quantile at 0.5" in card
    assert "what is known of the next 2 steps: `holiday`" in card
    assert "which series of the training it is: `AAPL`, `IBM`" in card
    (body,) = requests(FORECAST, "forecast")
    (row,) = body["instances"]
    assert np.shape(row["values"]) == (4, 3)
    assert np.shape(row["known"]) == (2, 1)
    assert set(row) == {"values", "known", "time", "series"}


def test_nothing_in_a_name_is_markup() -> None:
    facts = {"inputs": "text", "class_names": ["a|b", "*c*\n# d", "<script>", "[x](y)"]}
    card = model_card(facts, name="x_y")
    assert r"a\|b, \*c\* # d, \<script\>, \[x\](y)." in card
    assert "\n# d" not in card
    assert cell("a  b\nc") == "a b c"
    assert code("a|b") == r"`'a\|b'`"
    assert number(0.0) == "0.0000"


def test_many_classes_are_counted() -> None:
    card = model_card({"inputs": "text", "class_names": [f"c{index}" for index in range(1000)]}, name="x")
    assert "1000, in the order of the scores: c0, c1," in card
    assert "c49 and 950 more." in card


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("stocks", "public domain"),
        ("tfds:voc/2007", "unknown: check its source, https://www.tensorflow.org/datasets/catalog/voc"),
        ("mnist:3.0.1", "catalog/mnist"),
        ("arrays", "unknown: check its source"),
        ("tf.data", "unknown: check its source"),
        ("photos/cats", "unknown: check its source"),
        ("table.csv", "unknown: check its source"),
    ],
)
def test_the_licence_of_data(source: str, words: str) -> None:
    assert licences.data_licence(source).endswith(words) or words in licences.data_licence(source)
    assert ("catalog" in licences.data_licence(source)) == ("catalog" in words)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({}, "trained from scratch"),
        ({"backbone": "resnet50", "weights": None}, "trained from scratch"),
        ({"backbone": "efficientnet_lite0", "weights": "imagenet"}, "Apache-2.0"),
        ({"backbone": "resnet50", "weights": "imagenet"}, "resnet50 in keras.applications"),
        ({"backbone": "resnet50", "weights": "my.h5"}, "my.h5: unknown"),
    ],
)
def test_the_licence_of_weights(config: dict[str, Any], words: str) -> None:
    assert words in licences.weights_licence(config)


def test_a_signature_refuses_other_names_and_shapes(exported: Path) -> None:
    loaded = load_exported(exported)
    for batch in (np.zeros((2, 8, 8), np.uint8), np.zeros((2, 8, 8, 3), np.uint8), {"pixels": np.zeros((1, 8, 8, 1))}):
        with pytest.raises(InputError, match="signature 'serving_default': received"):
            loaded.run("serving_default", batch)
