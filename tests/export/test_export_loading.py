"""Using an export: it answers as the trained model for raw images of every kind, without Keras; the rest is refused."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kerasdl
from kerasdl import InputError
from kerasdl.export import Exported, find_exported, load_exported

# Loads and predicts where neither Keras nor any training code can be imported.
ALONE = """
import json, sys
for name in ("keras", "kerasdl.training", "kerasdl.models", "kerasdl.data", "kerasdl.result", "recipes"):
    sys.modules[name] = None
from kerasdl.export import load_exported
outputs = load_exported(sys.argv[1]).predict(sys.argv[2:])
print(json.dumps({name: values.tolist() for name, values in outputs.items()}))
"""


@pytest.fixture(scope="module")
def loaded(exported: Path) -> Exported:
    return load_exported(exported.parent)


def raw_kinds(result: kerasdl.Result, files: list[Path]) -> dict[str, Any]:
    images = result.dataset.test.inputs
    large = np.random.default_rng(0).integers(0, 256, (31, 17), dtype=np.uint8)
    return {
        "one (h, w)": images[0, :, :, 0],
        "one (h, w, c)": images[0],
        "many (n, h, w)": images[:5, :, :, 0],
        "many (n, h, w, c)": images[:300],
        "another size": large,
        "one path": str(files[0]),
        "bytes": files[1].read_bytes(),
        "mixed": [images[:2], large, *files, files[2].read_bytes()],
    }


@pytest.mark.parametrize(
    ("kind", "count"),
    [
        ("one (h, w)", 1),
        ("one (h, w, c)", 1),
        ("many (n, h, w)", 5),
        ("many (n, h, w, c)", 300),
        ("another size", 1),
        ("one path", 1),
        ("bytes", 1),
        ("mixed", 7),
    ],
)
def test_the_export_is_the_trained_model(
    loaded: Exported, digits_result: kerasdl.Result, digits_files: list[Path], kind: str, count: int
) -> None:
    raw = raw_kinds(digits_result, digits_files)[kind]
    live, exported = digits_result.predict(raw), loaded.predict(raw)
    for outputs in (live, exported):
        assert outputs["scores"].shape == (count, 10)
        assert outputs["scores"].dtype == np.float32
        assert outputs["label"].shape == (count,)
        np.testing.assert_allclose(outputs["scores"].sum(axis=-1), 1, atol=1e-5)
    np.testing.assert_allclose(exported["scores"], live["scores"], rtol=0, atol=1e-5)
    assert exported["label"].tolist() == live["label"].tolist()
    assert live["label"].tolist() == [digits_result.class_names[best] for best in live["scores"].argmax(axis=-1)]
    assert isinstance(exported["label"][0], str)


def test_a_file_is_its_pixels(loaded: Exported, digits_result: kerasdl.Result, digits_files: list[Path]) -> None:
    pixels = loaded.predict(digits_result.dataset.test.inputs[0])
    np.testing.assert_allclose(loaded.predict(digits_files[0])["scores"], pixels["scores"], atol=1e-6)


def test_signatures(loaded: Exported) -> None:
    inputs = {name: function.structured_input_signature[1] for name, function in loaded.signatures.items()}
    assert {name: list(signature) for name, signature in inputs.items()} == {
        "serving_default": ["image"],
        "encoded": ["image_bytes"],
    }
    pixels, encoded = inputs["serving_default"]["image"], inputs["encoded"]["image_bytes"]
    assert (pixels.dtype.name, pixels.shape.as_list()) == ("uint8", [None, None, None, 1])
    assert (encoded.dtype.name, encoded.shape.as_list()) == ("string", [None])
    for function in loaded.signatures.values():
        outputs = function.structured_outputs
        assert {name: output.dtype.name for name, output in outputs.items()} == {"scores": "float32", "label": "string"}


def test_no_images_give_no_answers(loaded: Exported) -> None:
    for signature, batch in (
        ("serving_default", np.zeros((0, 8, 8, 1), np.uint8)),
        ("encoded", np.array([], dtype=object)),
    ):
        outputs = loaded.run(signature, batch)
        assert outputs["scores"].shape == (0, 10)
        assert outputs["label"].shape == (0,)


def test_facts(loaded: Exported, exported: Path, digits_result: kerasdl.Result) -> None:
    assert loaded.directory == exported
    assert loaded.class_names == digits_result.class_names
    assert loaded.description["metrics"] == digits_result.metrics


def test_it_needs_neither_keras_nor_the_training_code(
    exported: Path, digits_result: kerasdl.Result, digits_files: list[Path]
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ALONE, str(exported), *map(str, digits_files)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(kerasdl.__file__).parents[1],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    assert done.returncode == 0, done.stderr
    outputs = json.loads(done.stdout)
    live = digits_result.predict(digits_files)
    np.testing.assert_allclose(outputs["scores"], live["scores"], rtol=0, atol=1e-5)
    assert outputs["label"] == live["label"].tolist()


BAD_RAW = {
    "floats": (np.zeros((8, 8, 1)), "float64"),
    "integers": (np.zeros((8, 8, 1), np.int64), "int64"),
    "no images": ([], "no images"),
    "an empty batch": (np.zeros((0, 8, 8, 1), np.uint8), "no side empty"),
    "an empty side": (np.zeros((8, 0, 1), np.uint8), "no side empty"),
    "a colour image": (np.zeros((8, 8, 3), np.uint8), r"\(8, 8, 3\)"),
    "colour images": (np.zeros((2, 8, 8, 3), np.uint8), "1 channel"),
    "one row": (np.zeros(8, np.uint8), r"\(8,\)"),
    "lists of lists": ([[[1, 2], [3]]], "unequal lengths"),
    "None": (None, "object"),
    "empty bytes": (b"", "0 bytes"),
    "text as bytes": (b"no image", "8 bytes"),
    "no such file": ("no/such.png", "no/such.png"),
    "a folder": (".", "directory"),
    "one bad of two": ([np.zeros((8, 8), np.uint8), "no/such.png"], "no/such.png"),
}


@pytest.mark.parametrize("kind", BAD_RAW)
def test_bad_images_are_refused(loaded: Exported, digits_result: kerasdl.Result, kind: str) -> None:
    raw, words = BAD_RAW[kind]
    for either in (loaded, digits_result):
        with pytest.raises(InputError, match=words):
            either.predict(raw)


def test_a_cut_file_is_refused(loaded: Exported, digits_files: list[Path], tmp_path: Path) -> None:
    cut = tmp_path / "cut.png"
    cut.write_bytes(digits_files[0].read_bytes()[:40])
    with pytest.raises(InputError, match=r"cut\.png"):
        loaded.predict(cut)


def test_find_exported(exported: Path, tmp_path: Path) -> None:
    assert find_exported(exported) == find_exported(str(exported.parent)) == exported
    (tmp_path / "empty" / "1").mkdir(parents=True)
    for name in ("missing", "empty"):
        with pytest.raises(InputError, match=name):
            find_exported(tmp_path / name)


@pytest.mark.parametrize(
    "file", ["saved_model.pb", "variables/variables.data-00000-of-00001", "assets.extra/kerasdl.json"]
)
def test_a_damaged_export_is_refused(exported: Path, tmp_path: Path, file: str) -> None:
    copy = tmp_path / "1"
    shutil.copytree(exported, copy)
    content = (copy / file).read_bytes()
    (copy / file).write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match="other content|damaged description"):
        load_exported(copy)


def test_a_flipped_bit_in_the_weights_is_refused(exported: Path, tmp_path: Path) -> None:
    copy = tmp_path / "1"
    shutil.copytree(exported, copy)
    file = copy / "variables" / "variables.data-00000-of-00001"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(InputError, match="variables.data-00000-of-00001 with other content"):
        load_exported(copy)


@pytest.mark.parametrize("file", ["saved_model.pb", "variables/variables.data-00000-of-00001"])
def test_what_tensorflow_cannot_load_is_refused(exported: Path, tmp_path: Path, file: str) -> None:
    copy = tmp_path / "1"
    shutil.copytree(exported, copy)
    content = (copy / file).read_bytes()
    (copy / file).write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match="cannot load"):
        load_exported(copy, verify=False)
