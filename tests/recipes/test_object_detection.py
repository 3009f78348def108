"""Object detection from data to export: learns, repeats and resumes to the bit, exports whole, reads every source.

The recipe is not in the contract of all recipes: that one compares classes and exports every format, and each of its
trainings would cost half a minute of tracing here. What it promises is tested here on one small detector.
"""

from __future__ import annotations

import dataclasses
import types

import keras
import numpy as np
import pytest
import tensorflow_datasets as tfds

import kerasdl
from kerasdl import letterbox
from kerasdl.data import write_coco, write_voc, write_yolo
from kerasdl.data.images import decode, resize
from kerasdl.detection_targets import encode, ideal_outputs
from kerasdl.export import ObjectDetector, load_exported
from kerasdl.layers import Detections
from recipes import object_detection
from recipes.__main__ import main

SIZE = (48, 48)
# One level of locations: a third of the graph, and of the time that it takes to trace it.
KEYWORDS = {"strides": (8,), "epochs": 10, "batch_size": 8, "learning_rate": 0.006, "image_size": 48, "verbose": 0}


def scenes(count: int = 48, seed: int = 1) -> tuple[list[np.ndarray], list[np.ndarray], list[list[str]]]:
    """Red and blue rectangles on grey noise, two an image, in images of two sizes; some are empty."""
    generator = np.random.default_rng(seed)
    images, boxes, labels = [], [], []
    for number in range(count):
        height, width = (48, 48) if number % 2 else (36, 54)
        image = generator.integers(60, 120, (height, width, 3), np.uint8)
        corners, names = [], []
        for half in range(2 if number % 8 != 7 else 0):
            wide, high = generator.integers(12, width // 2 - 2), generator.integers(12, height - 8)
            left = half * (width // 2) + generator.integers(0, width // 2 - wide)
            top = generator.integers(0, height - high)
            label = int(generator.integers(2))
            image[top : top + high, left : left + wide, 2 * label] = 250
            corners.append((left, top, left + wide, top + high))
            names.append(["red", "blue"][label])
        images.append(image)
        boxes.append(np.array(corners, float).reshape(-1, 4))
        labels.append(names)
    return images, boxes, labels


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    return object_detection.train(scenes(), directory=tmp_path_factory.mktemp("runs") / "scenes", **KEYWORDS)


@pytest.fixture(scope="module")
def exported(result, tmp_path_factory):
    return result.export(tmp_path_factory.mktemp("models") / "scenes")


def test_it_learns(result):
    assert result.metrics["map50"] > 0.5
    assert {"map", "map75", "map_small", "recall"} <= result.metrics.keys()
    assert len(result.history["val_map"]) == KEYWORDS["epochs"]
    assert result.history["val_map50"][-1] > result.history["val_map50"][0]
    assert all(0 <= value <= 1 for value in result.metrics.values())


def test_a_saved_run_is_the_same_result(result):
    again = kerasdl.Result.load(result.directory, data=scenes())
    assert again.evaluate() == result.metrics == again.metrics
    assert again.task.as_dict() == result.task.as_dict()
    assert again.diagnosis == result.diagnosis
    page = (result.directory / "report.html").read_text("utf-8")
    assert "Precision by recall" in page
    assert "Worst images of the validation split" in page


class Killed(Exception):
    """Stands for a kill."""


class KilledOnce(keras.callbacks.Callback):
    """Fails in the middle of the third epoch if the class is armed."""

    armed = False
    epoch = 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if KilledOnce.armed and self.epoch == 2 and batch == 2:
            KilledOnce.armed = False
            raise Killed


def test_killed_it_goes_on_as_if_it_had_never_been_killed(result, tmp_path):
    run = {"directory": tmp_path / "run", "checkpoint_every": 2, "resume": True, "callbacks": [KilledOnce()]}
    KilledOnce.armed = True
    with pytest.raises(Killed):
        object_detection.train(scenes(), **KEYWORDS, **run)
    resumed = object_detection.train(scenes(), **KEYWORDS, **run)
    for one, other in zip(result.model.get_weights(), resumed.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert resumed.history == result.history
    assert resumed.metrics == result.metrics
    assert resumed.diagnosis == result.diagnosis


def test_the_export_is_the_trained_model(result, exported):
    model = load_exported(exported)
    assert {"serving_default", "encoded"} == set(model.signatures)
    assert model.description["parity"]["max_difference"] <= 1e-5
    assert model.description["exported_metrics"] == pytest.approx(result.metrics, abs=1e-3)
    card = (exported / "README.md").read_text("utf-8")
    assert "Object detection" in card
    assert '.predict("photo.png")["boxes"]' in card
    # Of other sizes, smaller and larger, mixed.
    images = [image.repeat(2, axis=0) for image in scenes(3, seed=5)[0]] + scenes(2, seed=6)[0]
    answers, live = model.predict(images), result.predict(images)
    assert answers["boxes"].shape == (5, 100, 4)
    for place in np.ndindex(5, 3):
        assert answers["label"][place] == live["label"][place]
        np.testing.assert_allclose(answers["boxes"][place], live["boxes"][place], atol=1e-3)
        np.testing.assert_allclose(answers["scores"][place], live["scores"][place], atol=1e-5)
    np.testing.assert_array_equal(answers["count"], (answers["scores"] >= 0).sum(axis=1))
    padding = answers["scores"] < 0
    assert (answers["boxes"][padding] == -1).all()
    assert (answers["label"][padding] == "").all()
    # In the image's own pixels.
    there = answers["boxes"][0][~padding[0]]
    assert (there >= 0).all()
    assert (there.max(axis=0) <= [54, 72, 54, 72]).all()
    assert there[:, 3].max() > 48, "an image of 72 rows has boxes below the 48th"


def test_files_and_the_command_line(result, exported, tmp_path, capsys):
    image = scenes(1, seed=3)[0][0]
    predictor = result.task.predictor(result.model)
    path = tmp_path / "scene.png"
    path.write_bytes(predictor.encode(image[None])[0])
    model = load_exported(exported)
    np.testing.assert_allclose(model.predict(path)["boxes"][0, :2], result.predict(image)["boxes"][0, :2], atol=1e-3)
    assert main(["predict", str(exported), str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{path}:"
    assert any(line.split()[0] in ("red", "blue") and "right" in line for line in lines[1:])


def test_other_data_are_read_as_the_training_data_were(result):
    images, boxes, labels = scenes(16, seed=9)
    expected = result.evaluate((images, boxes, labels))
    task = kerasdl.ObjectDetection(**{k: v for k, v in result.task.as_dict().items() if k != "kind"})
    task.box_format = "xywh"
    wide = [np.concatenate([each[:, :2], each[:, 2:] - each[:, :2]], axis=1) for each in boxes]
    assert task.measure(result.model, task.load_split((images, wide, labels)), batch_size=8) == expected


def test_images_of_any_colour_are_taken(result, exported):
    image = scenes(1, seed=3)[0][0]
    opaque = np.concatenate([image, np.full((*image.shape[:2], 1), 255, np.uint8)], axis=-1)
    for predictor in (result, load_exported(exported)):
        np.testing.assert_array_equal(predictor.predict(opaque)["boxes"], predictor.predict(image)["boxes"])
        grey = predictor.predict(image[..., 0])
        np.testing.assert_array_equal(grey["scores"], predictor.predict(np.repeat(image[..., :1], 3, axis=2))["scores"])


def test_images_that_were_trained_on_are_found_in_the_validation_split(result):
    dataset = result.dataset
    leaking = dataclasses.replace(dataset, validation=dataset.train.taken(np.arange(len(dataset.validation))))
    findings = result.task.diagnose(result.model, leaking, history=result.history, config=result.config)
    assert findings[0].name == "leakage"
    assert "leakage" not in [finding.name for finding in result.diagnosis]


def test_other_formats_are_refused_by_name(result, tmp_path):
    for name in ("litert", "onnx", "keras"):
        with pytest.raises(kerasdl.InputError, match=r"format: .*litert, onnx or keras.*saved_model"):
            result.export(tmp_path / name, format=name)


@pytest.mark.parametrize("size", [(48, 48), (36, 54), (97, 41), (60, 90)])
def test_a_perfect_detector_gives_the_boxes_back_in_the_images_own_pixels(size):
    height, width = size
    true = np.array([[0.1, 0.05, 0.4, 0.9], [0.5, 0.3, 0.95, 0.8]]) * [width, height, width, height]
    targets = np.zeros((1, 2, 6), np.float32)
    targets[0, :, :4] = letterbox.apply(true, np.array(size), SIZE)
    targets[0, :, 4] = [1, 0]
    outputs = ideal_outputs(encode(targets, SIZE, strides=(2, 4, 8)), 2)
    asked = []
    stub = types.SimpleNamespace(
        input_shape=(None, *SIZE, 3), predict=lambda images, verbose: asked.append(images) or outputs
    )
    detector = ObjectDetector(
        stub,
        ("red", "blue"),
        detections=lambda **changed: Detections(SIZE, strides=(2, 4, 8), **changed),
        decode=decode,
        resize=resize,
    )
    answer = detector.predict(np.zeros((*size, 3), np.uint8))
    assert asked[0].shape == (1, *SIZE, 3)
    assert (asked[0] == letterbox.FILL).any() == (height != width)
    found = dict(zip(answer["label"][0], answer["boxes"][0], strict=True))
    np.testing.assert_allclose(found["blue"], true[0], atol=1e-3)
    np.testing.assert_allclose(found["red"], true[1], atol=1e-3)


@pytest.mark.parametrize("write", [write_coco, write_voc, write_yolo])
def test_every_format_of_files(result, write, tmp_path):
    folder = write(result.dataset, tmp_path / "made")
    dataset = object_detection.load(**object_detection.resolve(data=str(folder), image_size=48))
    # Written were the letterboxed images, so that nothing of them changes.
    for one, other in zip(result.dataset.parts, dataset.parts, strict=True):
        np.testing.assert_array_equal(one.inputs, other.inputs)
    measured = result.evaluate(folder)
    ours = result.dataset.test
    same_sizes = kerasdl.data.DetectionSplit(ours.inputs, ours.targets, np.tile(SIZE, (len(ours), 1)))
    expected = result.task.measure(result.model, same_sizes, batch_size=8)
    assert measured == pytest.approx(expected, abs=0.02)


def test_tfds_through_the_recipe():
    with tfds.testing.mock_data(num_examples=12):
        wanted = {"invalid_boxes": "drop", "image_size": 32}
        coco = object_detection.load(**object_detection.resolve(data="coco/2017", **wanted))
        trained = object_detection.train(
            "voc/2007", strides=(16,), epochs=1, batch_size=4, augmentation="none", verbose=0, **wanted
        )
    assert (coco.num_classes, coco.kind) == (80, "detection")
    assert trained.dataset.num_classes == 20
    assert trained.model.output["classes"].shape == (None, 4, 20)
    assert "map" in trained.metrics


def test_its_configuration_says_all(result):
    config = result.config
    assert config["image_size"] == [48, 48]
    resolved = object_detection.resolve(**{name: value for name, value in config.items() if name not in RECORDED})
    assert resolved["strides"] == (8,)
    assert resolved["learning_rate"] == 0.006


RECORDED = ("versions", "hardware", "data_fingerprint")


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"augmentation": "mixup"}, "mixup, for images with boxes"),
        ({"weights": "imagenet"}, "without a backbone"),
        ({"size": "huge"}, "nano"),
        ({"iou_threshold": 1.5}, "iou_threshold"),
        ({"box_formats": "xywh"}, "box_format"),
    ],
)
def test_bad_arguments_are_refused(keywords, message):
    with pytest.raises(kerasdl.InputError, match=message):
        object_detection.resolve(**keywords)


def test_images_without_boxes_are_refused():
    with pytest.raises(kerasdl.InputError, match="kind='detection'"):
        object_detection.train(kerasdl.data.load("digits"), verbose=0)
    with pytest.raises(kerasdl.InputError, match=r"strides"):
        object_detection.train(scenes(24), strides=(3,), image_size=48, verbose=0)


def test_the_finder_and_auto_know_boxes():
    trained = object_detection.train(
        scenes(24), **KEYWORDS | {"epochs": 1, "learning_rate": "auto", "augmentation": "shift"}
    )
    assert 0 < trained.config["learning_rate"] < 1


def test_defaults():
    resolved = object_detection.resolve()
    assert resolved["learning_rate"] == 0.003
    assert object_detection.resolve(optimizer="sgd")["learning_rate"] == 0.05
    assert object_detection.resolve(backbone="efficientnet_lite0", weights="imagenet")["learning_rate"] == 0.0015
