"""Writing: the layout, the proof, the numbers of versions, and that a failed export leaves nothing behind."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import kerasdl
from kerasdl import InputError
from kerasdl.export import Exported, ParityError, export, exporting, load_exported, versions
from kerasdl.training import precision_policy


def files_in(folder: Path) -> list[str]:
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


def test_layout_is_that_of_tensorflow_serving(exported: Path) -> None:
    assert exported.parts[-3:] == ("saved_models", "digits", "1")
    assert [entry.name for entry in exported.parent.iterdir()] == ["1"]
    files = files_in(exported)
    assert {"saved_model.pb", "variables/variables.index", "assets.extra/kerasdl.json"} <= set(files)


def test_description_travels_with_the_export(exported: Path, digits_result: kerasdl.Result) -> None:
    facts = json.loads((exported / "assets.extra" / "kerasdl.json").read_text("utf-8"))
    assert facts["recipe"] == "image_classification"
    assert facts["class_names"] == list(digits_result.class_names)
    assert facts["input_shape"] == [8, 8, 1]
    assert facts["multi_label"] is False
    assert facts["metrics"] == digits_result.metrics
    assert facts["exported_metrics"] == pytest.approx(digits_result.metrics, abs=1e-5)
    assert (facts["format"], facts["quantization"]) == ("saved_model", None)
    assert facts["config"] == digits_result.config
    assert facts["data_fingerprint"] == digits_result.dataset.fingerprint
    parity = facts["parity"]
    assert 0 <= parity["max_difference"] <= parity["tolerance"] == 1e-5
    assert parity["examples"] == 64
    assert parity["batches"] == [*(f"serving_default:{size}" for size in (1, 7, 32, 64)), "encoded:32"]
    assert facts["files_sha256"] == {
        name: hashlib.sha256((exported / name).read_bytes()).hexdigest()
        for name in files_in(exported)
        if not name.startswith("assets.extra") and name != "README.md"
    }


def test_versions_count_up(make_classifier: Any, pictures: np.ndarray, tmp_path: Path) -> None:
    (tmp_path / "x" / "7").mkdir(parents=True)
    (tmp_path / "x" / "notes").mkdir()
    assert export(make_classifier(), tmp_path / "x", examples=pictures) == tmp_path / "x" / "8"
    assert export(make_classifier(), str(tmp_path / "x"), examples=pictures[:2]) == tmp_path / "x" / "9"
    assert load_exported(tmp_path / "x").directory == tmp_path / "x" / "9"


def test_a_number_taken_in_between(
    make_classifier: Any, pictures: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = os.rename

    def rename_after_another(source: Path, target: Path) -> None:
        if Path(target).name == "1":
            (Path(target) / "variables").mkdir(parents=True)
        rename(source, target)

    monkeypatch.setattr(versions.os, "rename", rename_after_another)
    assert export(make_classifier(), tmp_path, examples=pictures[:1]) == tmp_path / "2"
    assert files_in(tmp_path / "1") == []
    assert sorted(os.listdir(tmp_path)) == ["1", "2"]


def test_other_answers_are_not_exported(make_classifier: Any, pictures: np.ndarray, tmp_path: Path) -> None:
    import tensorflow as tf

    def resize(images: Any, size: tuple[int, int]) -> Any:
        images = tf.image.resize(images, size, method="nearest")
        return images if tf.executing_eagerly() else images // 2

    with pytest.raises(ParityError, match="serving_default, batch of 1: scores differ by 0"):
        export(make_classifier(resize=resize), tmp_path / "new" / "x", examples=pictures)
    assert list(tmp_path.iterdir()) == []


def test_what_is_present_is_proven_too(make_classifier: Any, pictures: np.ndarray, tmp_path: Path) -> None:
    classifier = make_classifier(multi_label=True)
    predict = classifier.predict
    loaded = load_exported(export(classifier, tmp_path / "x", examples=pictures))
    assert loaded.multi_label
    np.testing.assert_array_equal(loaded.predict(pictures)["present"], predict(pictures)["present"])
    classifier.predict = lambda raw: {**predict(raw), "present": ~predict(raw)["present"]}
    with pytest.raises(ParityError, match="present differs"):
        export(classifier, tmp_path / "y", examples=pictures)
    assert not (tmp_path / "y").exists()


def test_tolerance_bounds_the_difference(make_classifier: Any, pictures: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(ParityError, match="allowed -1"):
        export(make_classifier(), tmp_path / "x", examples=pictures[:1], tolerance=-1.0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
@pytest.mark.parametrize("stage", ["write", "file_hashes", "publish"])
def test_an_interrupted_export_leaves_nothing(
    make_classifier: Any,
    pictures: np.ndarray,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stage: str,
    error: type[BaseException],
) -> None:
    def write(model: Any, signatures: Any, folder: Path) -> None:
        folder.mkdir()
        (folder / "saved_model.pb").write_bytes(b"half")
        if stage == "write":
            raise error

    def interrupt(*arguments: Any) -> Any:
        raise error

    monkeypatch.setattr(exporting, "write_saved_model", write)
    monkeypatch.setattr(exporting, "load_version", Exported)
    monkeypatch.setattr(exporting, "prove", lambda *arguments, **keywords: {})
    if stage != "write":
        monkeypatch.setattr(exporting if stage == "file_hashes" else versions, stage, interrupt)
    (tmp_path / "kept").mkdir()
    for path in (tmp_path / "new" / "x", tmp_path / "kept"):
        with pytest.raises(error):
            export(make_classifier(), path, examples=pictures)
    assert [entry.name for entry in tmp_path.rglob("*")] == ["kept"]


def test_random_layers_are_off(make_classifier: Any, pictures: np.ndarray, tmp_path: Path) -> None:
    classifier = make_classifier(keras.layers.RandomFlip(seed=0), keras.layers.Dropout(0.5))
    plain = make_classifier()
    loaded = load_exported(export(classifier, tmp_path, examples=pictures))
    scores = [loaded.predict(pictures)["scores"] for _ in range(3)]
    np.testing.assert_array_equal(scores[0], scores[1])
    np.testing.assert_array_equal(scores[0], scores[2])
    np.testing.assert_allclose(scores[0], plain.predict(pictures)["scores"], atol=1e-5)


def test_mixed_precision_is_exported_as_it_predicts(make_classifier: Any, pictures: np.ndarray, tmp_path: Path) -> None:
    with precision_policy("bfloat16"):
        classifier = make_classifier(keras.layers.Conv2D(4, 3))
    loaded = load_exported(export(classifier, tmp_path, examples=pictures))
    np.testing.assert_allclose(
        loaded.predict(pictures)["scores"], classifier.predict(pictures)["scores"], rtol=0, atol=1e-5
    )


def test_four_channels_have_no_files(make_classifier: Any, tmp_path: Path) -> None:
    pictures = np.zeros((2, 6, 5, 4), np.uint8)
    classifier = make_classifier(channels=4)
    loaded = load_exported(export(classifier, tmp_path, examples=pictures))
    assert list(loaded.signatures) == ["serving_default"]
    assert loaded.predict(pictures[0])["scores"].shape == (1, 2)
    for either in (loaded, classifier):
        with pytest.raises(InputError, match="no file is decoded to 4 channels"):
            either.predict(b"any")


def test_bad_inputs(make_classifier: Any, pictures: np.ndarray, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="export: received"):
        export(make_classifier(), tmp_path / "file", examples=pictures)
    with pytest.raises(InputError, match="examples: received none"):
        export(make_classifier(), tmp_path / "x", examples=pictures[:0])
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
