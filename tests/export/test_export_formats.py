"""LiteRT, ONNX and .keras: the same answers in their own runtimes, quantized on request; what cannot be is refused.

That every recipe's model is the same in every format is in `tests/recipes/test_recipe_contract.py`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import kerasdl
from kerasdl import InputError, models
from kerasdl.export import ParityError, SeriesClassifier, export, exporting, load_exported
from kerasdl.training import precision_policy

FILES = {"litert": "model.tflite", "onnx": "model.onnx", "keras": "model.keras"}
RUNTIMES = {"keras": ("keras",), "litert": ("ai_edge_litert",), "onnx": ("onnx", "onnxruntime", "tf2onnx")}

# Loads and predicts where neither TensorFlow nor Keras nor any training code can be imported.
ALONE = """
import json, sys
blocked = ("tensorflow", "keras", "jax", "torch", "kerasdl.training", "kerasdl.models", "kerasdl.data", "recipes")
for name in (*blocked, *sys.argv[2].split()):
    sys.modules[name] = None
from kerasdl.export import load_exported
outputs = load_exported(sys.argv[1]).predict(sys.argv[3:])
print(json.dumps({name: values.tolist() for name, values in outputs.items()}))
"""


def needed(format: str) -> str:
    """Skip where a runtime of a format is not installed; return the format."""
    for runtime in RUNTIMES[format]:
        pytest.importorskip(runtime, reason=f"{runtime} is not installed (pip install 'kerasdl[formats]')")
    return format


@pytest.fixture(scope="module")
def exports(digits_result: kerasdl.Result, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return the digits classifier in a format and quantization, exported once."""
    made: dict[tuple[str, str | None], Path] = {}

    def exported(format: str, quantization: str | None = None) -> Path:
        key = (needed(format), quantization)
        if key not in made:
            folder = tmp_path_factory.mktemp(format) / "digits"
            made[key] = digits_result.export(folder, format=format, quantization=quantization)
        return made[key]

    return exported


@pytest.mark.parametrize("format", FILES)
def test_layout_and_record(exports: Any, digits_result: kerasdl.Result, format: str) -> None:
    version = exports(format)
    assert version.name == "1"
    assert {FILES[format], "kerasdl.json"} <= {entry.name for entry in version.iterdir()}
    facts = json.loads((version / "kerasdl.json").read_text("utf-8"))
    assert (facts["format"], facts["quantization"]) == (format, None)
    assert list(facts["files_sha256"]) == [FILES[format]]
    assert facts["metrics"] == digits_result.metrics
    assert facts["exported_metrics"] == pytest.approx(digits_result.metrics, abs=1e-5)
    parity = facts["parity"]
    assert 0 <= parity["max_difference"] <= parity["tolerance"] == (1e-5 if format == "keras" else 1e-4)
    # Pixels in several batches, then larger ones, then files.
    assert parity["batches"] == [f"predict:{size}" for size in (1, 7, 32, 64, 7, 7)]


@pytest.mark.parametrize("format", FILES)
def test_all_kinds_of_raw_images(
    exports: Any, digits_result: kerasdl.Result, digits_files: list[Path], format: str
) -> None:
    loaded = load_exported(exports(format).parent)
    large = np.random.default_rng(0).integers(0, 256, (31, 17), dtype=np.uint8)
    images = digits_result.dataset.test.inputs
    # PNG files give the same pixels; of JPEG files other decoders are a few steps of 255 off.
    for raw, bound in (
        (images[0], 1e-4),
        (images[:300], 1e-4),
        ([large, digits_files[0], digits_files[2].read_bytes()], 1e-4),
        (digits_files[1], 0.05),
    ):
        live, found = digits_result.predict(raw), loaded.predict(raw)
        assert found.keys() == live.keys()
        assert found["scores"].dtype == np.float32
        assert np.abs(found["scores"] - live["scores"]).max() <= bound
        assert found["label"].tolist() == live["label"].tolist()
    assert loaded.class_names == digits_result.class_names
    assert loaded.takes_files
    for bad in (b"no image", np.zeros((8, 8, 3), np.uint8), "no/such.png"):
        with pytest.raises(InputError):
            loaded.predict(bad)
    with pytest.raises(InputError, match="language model"):
        loaded.generate("a")


def test_a_step_that_litert_cannot_compute_is_told(exports: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = load_exported(exports("litert"))

    def invoke(self: Any) -> None:
        raise RuntimeError("div.cc:262 data[i] != zero_point was not true.Node number 103 (DIV) failed to invoke.")

    monkeypatch.setattr("ai_edge_litert.interpreter.Interpreter.invoke", invoke)
    with pytest.raises(InputError, match=r"cannot compute .*DIV.*dynamic"):
        loaded.predict(np.zeros((8, 8, 1), np.uint8))


@pytest.mark.parametrize(
    ("format", "others"), [("litert", "onnxruntime onnx"), ("onnx", "onnx tf2onnx ai_edge_litert")]
)
def test_it_needs_its_runtime_alone(
    exports: Any, digits_result: kerasdl.Result, digits_files: list[Path], format: str, others: str
) -> None:
    files = [str(digits_files[0]), str(digits_files[2])]
    done = subprocess.run(
        [sys.executable, "-c", ALONE, str(exports(format)), others, *files],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(kerasdl.__file__).parents[1],
        env={**os.environ},
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    outputs, live = json.loads(done.stdout), digits_result.predict(files)
    np.testing.assert_allclose(outputs["scores"], live["scores"], rtol=0, atol=1e-4)
    assert outputs["label"] == live["label"].tolist()


@pytest.mark.parametrize("format", ["litert", "onnx"])
@pytest.mark.parametrize("quantization", ["dynamic", "int8"])
def test_quantized(exports: Any, digits_result: kerasdl.Result, format: str, quantization: str) -> None:
    version, plain = exports(format, quantization), exports(format)
    facts = json.loads((version / "kerasdl.json").read_text("utf-8"))
    assert facts["quantization"] == quantization
    assert facts["parity"]["tolerance"] is None
    # It answers otherwise, which is recorded, and nearly as well.
    assert 1e-4 < facts["parity"]["max_difference"] < 0.3
    drop = facts["metrics"]["accuracy"] - facts["exported_metrics"]["accuracy"]
    assert abs(drop) < 0.1
    scores = load_exported(version).predict(digits_result.dataset.test.inputs)
    right = scores["label"] == np.array(digits_result.class_names)[digits_result.dataset.test.targets]
    assert facts["exported_metrics"]["accuracy"] == pytest.approx(right.mean())
    sizes = [(folder / FILES[format]).stat().st_size for folder in (version, plain)]
    # Of a model of 11 kB, the scales and zeros of int8 in ONNX outweigh what its weights save.
    assert sizes[0] < (1.2 if (format, quantization) == ("onnx", "int8") else 0.8) * sizes[1]


def test_ranges_come_from_the_training_split(digits_result: kerasdl.Result, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}

    def keep(predictor: Any, path: Any, **keywords: Any) -> Path:
        seen.update(keywords)
        return Path(path)

    monkeypatch.setattr(kerasdl.export, "export", keep, raising=False)
    digits_result.export("x", format="litert", quantization="int8")
    train = {image.tobytes() for image in digits_result.dataset.train.inputs}
    assert len(seen["calibration"]) == 200
    assert all(image.tobytes() in train for image in seen["calibration"])
    facts = {"inputs": "images", "input_shape": [8, 8, 1], "class_names": digits_result.class_names}
    predictor = digits_result.task.predictor(digits_result.model)
    given = exporting.network_inputs(predictor, facts | {"multi_label": False}, seen["calibration"])
    assert [each["image"].tolist() for each in given] == seen["calibration"][:, None].tolist()


def test_one_folder_holds_one_format(exports: Any, exported: Path, digits_result: kerasdl.Result) -> None:
    folder = exports("keras").parent
    with pytest.raises(InputError, match="keras exports for one of saved_model"):
        digits_result.export(folder)
    with pytest.raises(InputError, match="saved_model exports for one of keras"):
        digits_result.export(exported.parent, format="keras")
    assert [entry.name for entry in folder.iterdir()] == ["1"]


@pytest.mark.parametrize(
    ("keywords", "words"),
    [
        ({"format": "tflite"}, "format: received 'tflite'; expected one of saved_model, litert, onnx, keras"),
        ({"format": "litert", "quantization": "int4"}, "quantization: received 'int4'"),
        ({"quantization": "int8"}, "TensorFlow runs a SavedModel"),
        ({"format": "keras", "quantization": "dynamic"}, "Keras runs a .keras"),
    ],
)
def test_what_cannot_be_is_refused(
    digits_result: kerasdl.Result, tmp_path: Path, keywords: dict[str, str], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        digits_result.export(tmp_path / "x", **keywords)
    assert list(tmp_path.iterdir()) == []


def test_int8_needs_examples(make_classifier: Any, pictures: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="calibration: received none"):
        export(make_classifier(), tmp_path / "x", examples=pictures, format="litert", quantization="int8")


@pytest.mark.parametrize(
    ("format", "module", "package"),
    [
        ("litert", "ai_edge_litert.interpreter", "ai-edge-litert"),
        ("onnx", "onnxruntime", "onnxruntime"),
        ("onnx", "tf2onnx", "tf2onnx"),
    ],
)
def test_a_missing_runtime_is_named(
    digits_result: kerasdl.Result,
    exports: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    format: str,
    module: str,
    package: str,
) -> None:
    version = exports(format)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(InputError, match=f"pip install {package}"):
        digits_result.export(tmp_path / "x", format=format)
    assert list(tmp_path.iterdir()) == []
    if module != "tf2onnx":
        with pytest.raises(InputError, match=f"pip install {package}"):
            load_exported(version)


@pytest.mark.parametrize("format", FILES)
def test_other_answers_are_not_exported(
    make_classifier: Any, pictures: np.ndarray, tmp_path: Path, format: str
) -> None:
    needed(format)
    classifier = make_classifier()
    predict = classifier.predict
    classifier.predict = lambda raw: {**predict(raw), "scores": predict(raw)["scores"] + np.float32(0.001)}
    with pytest.raises(ParityError, match="predict, batch of 1: scores differ by 0.001"):
        export(classifier, tmp_path / "new" / "x", examples=pictures, format=format)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("format", FILES)
def test_random_layers_are_off_and_several_classes_may_be_true(
    make_classifier: Any, pictures: np.ndarray, tmp_path: Path, format: str
) -> None:
    needed(format)
    classifier = make_classifier(keras.layers.GaussianNoise(0.5), keras.layers.Dropout(0.5), multi_label=True)
    loaded = load_exported(export(classifier, tmp_path, examples=pictures, format=format))
    first, second, live = loaded.predict(pictures), loaded.predict(pictures), classifier.predict(pictures)
    np.testing.assert_array_equal(first["scores"], second["scores"])
    np.testing.assert_allclose(first["scores"], live["scores"], rtol=0, atol=1e-4)
    np.testing.assert_array_equal(first["present"], live["present"])


def lstm(length: int | None) -> SeriesClassifier:
    """A classifier of series of two channels by an LSTM that reads in both directions."""
    keras.utils.set_random_seed(0)
    model = models.lstm_classifier((length, 2), 3, units=(3,), bidirectional=True)
    return SeriesClassifier(model, ["a", "b", "c"], input_shape=(length, 2))


@pytest.mark.parametrize("format", ["litert", "onnx"])
def test_an_lstm_of_one_length(tmp_path: Path, format: str) -> None:
    needed(format)
    classifier, series = lstm(5), np.random.default_rng(0).normal(size=(9, 5, 2)).astype("float32")
    layer = classifier.model.get_layer("lstm1").forward_layer
    loaded = load_exported(export(classifier, tmp_path, examples=series, format=format))
    np.testing.assert_allclose(loaded.predict(series)["scores"], classifier.predict(series)["scores"], atol=1e-5)
    # The live model is as it was.
    assert layer.unroll is False
    assert "slow_reason" not in vars(layer)


def test_an_lstm_of_any_length(tmp_path: Path) -> None:
    classifier, series = lstm(None), np.random.default_rng(0).normal(size=(9, 5, 2)).astype("float32")
    with pytest.raises(InputError, match=r"layer 'lstm1' \(Bidirectional\) reads sequences of any length"):
        export(classifier, tmp_path / "x", examples=series, format="litert")
    assert list(tmp_path.iterdir()) == []
    needed("onnx")
    loaded = load_exported(export(classifier, tmp_path / "y", examples=series, format="onnx"))
    raw = [series[0], series[1, :2], np.concatenate([series[2]] * 4)]
    np.testing.assert_allclose(loaded.predict(raw)["scores"], classifier.predict(raw)["scores"], atol=1e-5)


@keras.saving.register_keras_serializable("tests")
class Unusual(keras.layers.Layer):
    """A layer with an operation that neither LiteRT nor ONNX has."""

    def call(self, x: Any) -> Any:
        """Return the inverse of the error function."""
        return keras.ops.erfinv(0.5 * x)

    def compute_output_shape(self, shape: Any) -> Any:
        """Return the shape of the inputs."""
        return shape


@pytest.mark.parametrize("format", ["litert", "onnx"])
def test_the_layer_that_cannot_be_converted_is_named(
    make_classifier: Any, pictures: np.ndarray, tmp_path: Path, format: str
) -> None:
    needed(format)
    with pytest.raises(InputError, match=r"layer 'unusual_one' cannot be converted \(operation Erfinv\)"):
        export(make_classifier(Unusual(name="unusual_one")), tmp_path / "x", examples=pictures, format=format)
    assert list(tmp_path.iterdir()) == []


def test_mixed_precision_is_refused(make_classifier: Any, pictures: np.ndarray, tmp_path: Path) -> None:
    with precision_policy("bfloat16"):
        classifier = make_classifier(keras.layers.Conv2D(4, 3, name="convolution"))
    for format in ("litert", "onnx"):
        needed(format)
        with pytest.raises(InputError, match="layer 'convolution' computes in bfloat16"):
            export(classifier, tmp_path / "x", examples=pictures, format=format)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("format", FILES)
def test_a_damaged_export_is_refused(exports: Any, tmp_path: Path, format: str) -> None:
    content = {entry.name: entry.read_bytes() for entry in exports(format).iterdir()}
    for cut in content.keys() - {"README.md"}:
        folder = tmp_path / cut
        folder.mkdir()
        for name, whole in content.items():
            (folder / name).write_bytes(whole[: len(whole) // 2] if name == cut else whole)
        with pytest.raises(InputError, match="other content than was exported|damaged"):
            load_exported(folder)
    (tmp_path / "kerasdl.json" / "kerasdl.json").unlink()
    with pytest.raises(InputError, match="a description that is missing"):
        load_exported(tmp_path / "kerasdl.json")
