"""Images with boxes from every source, written and read again, letterboxed, split, and moved by augmentation."""

from __future__ import annotations

import dataclasses
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from PIL import Image

from kerasdl import letterbox
from kerasdl.data import (
    DetectionDataset,
    detection_tfds,
    load,
    load_again,
    load_split,
    make_target_augmentation,
    with_validation_in_training,
    write_coco,
    write_voc,
    write_yolo,
)
from kerasdl.data.boxes import FORMATS, convert
from kerasdl.data.mosaic import mosaic
from kerasdl.data.samples import scenes
from kerasdl.errors import InputError


def arrays(count=24, seed=0, sizes=((40, 60), (64, 48))):
    generator = np.random.default_rng(seed)
    images, boxes, labels = [], [], []
    for number in range(count):
        height, width = sizes[number % len(sizes)]
        images.append(generator.integers(0, 256, (height, width, 3), np.uint8))
        many = number % 4
        corners = generator.uniform(0, 1, (many, 2, 2)) * [width - 3, height - 3]
        low = corners.min(axis=1)
        boxes.append(np.concatenate([low, corners.max(axis=1) + 2], axis=1))
        labels.append(generator.permutation(["cat", "dog", "owl"])[:many])
    return images, boxes, labels


@pytest.fixture(scope="module")
def dataset() -> DetectionDataset:
    given = load(arrays(), kind="detection", image_size=(64, 64))
    train = given.train
    crowded = train.targets.copy()
    crowded[np.nonzero(crowded[..., 4] >= 0)[0][0], 0, 5] = 1
    return dataclasses.replace(given, train=dataclasses.replace(train, targets=crowded))


def same(first, second):
    assert first.class_names == second.class_names
    for one, other in zip(first.parts, second.parts, strict=True):
        np.testing.assert_array_equal(one.inputs, other.inputs)
        np.testing.assert_array_equal(one.targets, other.targets)


def test_arrays_become_splits(dataset):
    assert isinstance(dataset, DetectionDataset)
    assert sum(dataset.counts.values()) == 24
    assert min(dataset.counts.values()) >= 2
    assert dataset.class_names == ("cat", "dog", "owl")
    assert dataset.input_shape == (64, 64, 3)
    targets = dataset.train.targets
    assert (targets.dtype, targets.shape[1:]) == (np.float32, (3, 6))
    assert (np.diff(targets[..., 4] < 0, axis=1) >= 0).all(), "padding comes last"
    assert {tuple(size) for size in dataset.train.sizes} == {(40, 60), (64, 48)}
    assert (targets[..., 4] >= 0).any(axis=1).sum() < len(targets), "images without objects are kept"
    assert "boxes" in dataset.describe()
    assert "2 sizes" in dataset.describe()


def test_same_seed_same_splits_and_fingerprint():
    one, again = (load(arrays(), kind="detection") for _ in range(2))
    assert one.fingerprint == again.fingerprint
    assert load(arrays(), kind="detection", split_seed=1).fingerprint != one.fingerprint
    images, boxes, labels = arrays()
    boxes[3] = boxes[3] + 0.25
    assert load((images, boxes, labels), kind="detection").fingerprint != one.fingerprint
    assert load_again(arrays(), kind="detection", fingerprint=one.fingerprint).counts == one.counts


def test_default_size():
    assert load(arrays(), kind="detection").image_size == (64, 64)
    assert load(arrays(sizes=((40, 60),)), kind="detection").image_size == (64, 64)
    assert load(arrays(sizes=((40, 700),)), kind="detection").image_size == (32, 320)


@pytest.mark.parametrize("write", [write_coco, write_voc, write_yolo])
def test_written_and_read_is_equal(write, dataset, tmp_path):
    folder = write(dataset, tmp_path / "made")
    assert [entry.name for entry in tmp_path.iterdir()] == ["made"]
    expected = dataset
    if write is write_yolo:
        parts = {}
        for name, part in dataset.splits.items():
            rows = [row[(row[:, 4] >= 0) & (row[:, 5] == 0)] for row in part.targets]
            padding = np.array([[0, 0, 0, 0, -1, 0]] * 3, np.float32)
            targets = np.stack([np.concatenate([row, padding])[:3] for row in rows])
            parts[name] = dataclasses.replace(part, targets=targets)
        expected = dataclasses.replace(dataset, **parts)
    same(load(folder, kind="detection"), expected)
    with pytest.raises(InputError, match="a new or an empty folder"):
        write(dataset, folder)


def test_other_layouts_of_coco(dataset, tmp_path):
    root = write_coco(dataset, tmp_path / "made")
    files = {
        split: root / "annotations" / f"instances_{word}.json" for split, word in (("train", "train"), ("test", "test"))
    }
    pairs = {split: (file, root / split) for split, file in files.items()}
    found = load(pairs, kind="detection")
    assert found.counts["test"] == dataset.counts["test"]
    single = load((str(files["train"]), str(root / "train")), kind="detection")
    assert sum(single.counts.values()) == dataset.counts["train"]
    assert load(files["train"], kind="detection").counts == single.counts
    for word in ("train", "val", "test"):
        (root / "annotations" / f"instances_{word}.json").rename(root / word / "_annotations.coco.json")
    same(load(root, kind="detection"), dataset)


def test_other_layouts_of_yolo(dataset, tmp_path):
    root = write_yolo(dataset, tmp_path / "made")
    whole = load(root / "data.yaml", kind="detection")
    (root / "data.yaml").unlink()
    (root / "classes.txt").write_text("cat\ndog\nowl\n")
    same(load(root, kind="detection"), whole)
    outline = "1 0.25 0.25 0.5 0.25 0.5 0.75\n"
    (root / "labels" / "train" / "train_000000.txt").write_text(outline)
    assert load(root, kind="detection").train.targets[0, 0].tolist() == [16, 16, 32, 48, 1, 0]


def test_voc_counts_pixels_from_one_and_takes_difficult_for_crowds(tmp_path):
    for folder in ("Annotations", "JPEGImages"):
        (tmp_path / folder).mkdir()
    for number in range(4):
        Image.new("RGB", (32, 32)).save(tmp_path / "JPEGImages" / f"{number}.png")
        (tmp_path / "Annotations" / f"{number}.xml").write_text(
            "<annotation><object><name>cat</name><difficult>1</difficult><bndbox><xmin>1</xmin><ymin>2</ymin>"
            "<xmax>32</xmax><ymax>2</ymax></bndbox></object></annotation>"
        )
    found = load(tmp_path, kind="detection", test_fraction=0.25, validation_fraction=0.25)
    assert found.train.targets[0, 0].tolist() == [0, 1, 32, 2, 0, 1]


def test_boxes_a_pixel_beyond_are_cut_and_wrong_ones_dropped_if_asked():
    images, boxes, labels = arrays()
    boxes[3] = np.array([[-0.9, -0.5, 20, 20], [5, 5, 5, 9], [4, 4, 10, 40.8]])
    images[3] = np.zeros((40, 60, 3), np.uint8)
    with pytest.raises(InputError, match=r"train boxes\[3\]\[1\]: received a box without area"):
        load((images, boxes, labels), kind="detection")
    found = load((images, boxes, labels), kind="detection", image_size=(40, 60), invalid_boxes="drop")
    rows = np.concatenate([part.targets for part in found.parts])
    sizes = np.concatenate([part.sizes for part in found.parts])
    flat = rows[(sizes == (40, 60)).all(axis=1)].reshape(-1, 6)[:, :4].tolist()
    assert [0, 0, 20, 20] in flat
    assert [4, 4, 10, 40] in flat
    assert found.dropped == 1
    assert "(1 invalid box dropped)" in found.describe()


@pytest.mark.parametrize("name", FORMATS)
def test_formats_are_those_of_keras(name):
    boxes = np.array([[1, 2, 30, 40], [5, 6, 7, 90]], np.float64)
    size = np.array([100, 50])
    there = keras.ops.convert_to_numpy(
        keras.utils.bounding_boxes.convert_format(boxes, "xyxy", name, height=100, width=50)
    )
    np.testing.assert_allclose(convert(boxes, size, "xyxy", name), there, rtol=1e-6)
    np.testing.assert_allclose(convert(convert(boxes, size, "xyxy", name), size, name), boxes, rtol=1e-12)


def test_box_format_of_arrays(dataset):
    images, boxes, labels = arrays()
    shares = [
        convert(here, np.array(image.shape[:2]), "xyxy", "rel_xywh") for here, image in zip(boxes, images, strict=True)
    ]
    found = load((images, shares, labels), kind="detection", image_size=(64, 64), box_format="rel_xywh")
    np.testing.assert_allclose(found.test.targets, dataset.test.targets, atol=1e-4)


@pytest.mark.parametrize("size", [(40, 60), (64, 48), (7, 300), (128, 128), (1, 1), (333, 2)])
def test_letterbox_is_undone(size):
    inner, offset = letterbox.fit(np.array(size), (128, 96))
    assert (inner >= 1).all()
    assert (offset >= 0).all()
    assert (offset + inner <= (128, 96)).all()
    assert (inner == (128, 96)).any()
    boxes = np.random.default_rng(0).uniform(0, 1, (5, 4)) * np.array(size)[[1, 0, 1, 0]]
    there = letterbox.apply(boxes, np.array(size), (128, 96))
    np.testing.assert_allclose(letterbox.undo(there, np.array(size), (128, 96)), boxes, atol=1e-9)
    np.testing.assert_allclose(letterbox.undo(there + 1000, np.array(size), (128, 96))[:, 2], size[1])


def test_letterboxed_pixels_are_where_their_boxes_are():
    image = np.zeros((20, 50, 3), np.uint8)
    image[5:15, 10:30] = 255
    given = [image] * 8, [[[10, 5, 30, 15]]] * 8, [[0]] * 8
    given[0][0] = np.full_like(image, 9)
    found = load(given, kind="detection", image_size=(100, 100))
    left, top, right, bottom = found.train.targets[-1, 0, :4].astype(int)
    bright = found.train.inputs[-1, ..., 0] > 200
    rows, columns = np.flatnonzero(bright.any(axis=1)), np.flatnonzero(bright.any(axis=0))
    np.testing.assert_allclose([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], [left, top, right, bottom], atol=1)
    assert (found.train.inputs[-1, 0] == letterbox.FILL).all()


def test_mosaic_moves_boxes_with_pixels():
    images = np.zeros((32, 64, 64, 3), np.uint8)
    images[:, 20:44, 8:28] = 255
    boxes = np.tile(np.array([[8, 20, 28, 44], [0, 0, 0, 0]], np.float32), (32, 1, 1))
    labels = np.tile([3, -1], (32, 1))
    made, moved, kept = mosaic(np.random.default_rng(0), images, boxes, labels, fill=0)
    assert moved.shape[1] > 2
    assert (kept >= 0).sum(axis=1).max() == 4
    changed = (made != images).any(axis=(1, 2, 3))
    assert 4 < changed.sum() < 28
    np.testing.assert_array_equal(moved[~changed, :2], boxes[~changed])
    for image, found, names in zip(made, moved, kept, strict=True):
        left_over = image[..., 0] > 127
        for left, top, right, bottom in found[names >= 0]:
            inside = image[round(float(top)) : round(float(bottom)), round(float(left)) : round(float(right)), 0]
            assert (inside > 127).mean() > 0.85
            left_over[int(top) : int(np.ceil(bottom)) + 1, int(left) : int(np.ceil(right)) + 1] = False
        # What is left are slivers, of which boxes were dropped.
        assert left_over.sum() < 0.02 * 64 * 64 * 4
    assert not moved[kept < 0].any()


def test_augmented_targets_keep_class_and_crowd(dataset):
    images, targets = dataset.train.batch(np.arange(12))
    same_images, kept = make_target_augmentation("none")(np.random.default_rng(0), images, targets)
    np.testing.assert_array_equal(kept, targets)
    before = targets.copy()
    augment = make_target_augmentation(("standard", "mosaic"))
    one, other = (augment(np.random.default_rng(5), images, targets) for _ in range(2))
    np.testing.assert_array_equal(one[1], other[1])
    np.testing.assert_array_equal(targets, before)
    assert set(np.unique(one[1][..., 4])) <= {-1, 0, 1, 2}
    assert (one[1][..., 5] == 1).any()
    assert not one[1][one[1][..., 4] < 0][:, :4].any()


def test_scenes_are_the_same_every_time_and_boxes_are_tight(monkeypatch):
    monkeypatch.setattr(scenes, "COUNTS", {"train": 12, "validation": 10, "test": 10})
    one, again = (load("digit_scenes", kind="detection") for _ in range(2))
    assert one.fingerprint == again.fingerprint
    assert one.counts == {"train": 12, "validation": 10, "test": 10}
    assert (one.name, one.source, one.num_classes) == ("digit_scenes", "digit_scenes", 10)
    blank = np.zeros((1, 10, 10))
    blank[0, 2:9, 3:7] = 1
    monkeypatch.setattr(scenes, "_ground", lambda generator: np.zeros((128, 128, 3)))
    images, boxes, _ = scenes.make_scenes(blank, np.array([0]), 20, seed=0)
    for image, there in zip(images, boxes, strict=True):
        if len(there) == 1:
            bright = image.max(axis=2) > 0.5 * image.max()
            rows, columns = np.flatnonzero(bright.any(axis=1)), np.flatnonzero(bright.any(axis=0))
            around = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
            np.testing.assert_allclose(around, there[0], atol=2)


def test_digits_of_a_split_are_in_no_other():
    from sklearn.datasets import load_digits

    parts = scenes._divide(load_digits().target, {"validation": 0.1, "test": 0.2})
    assert sorted(np.concatenate(list(parts.values()))) == list(range(1797))


def test_a_split_to_measure_on_has_the_models_classes(dataset, tmp_path):
    names = ("owl", "cat", "dog", "cow")
    part = load_split(dataset, kind="detection", class_names=names, input_shape=(64, 64, 3))
    table = {-1: -1, 0: 1, 1: 2, 2: 0}
    labels = dataset.test.targets[..., 4].astype(int)
    np.testing.assert_array_equal(part.targets[..., 4], np.vectorize(table.get)(labels))
    folder = write_coco(dataset, tmp_path / "made")
    read = load_split(folder, kind="detection", class_names=names, input_shape=(64, 64, 3))
    # Written, the test split has no more columns than its images need.
    np.testing.assert_array_equal(read.targets, part.targets[:, : read.targets.shape[1]])
    with pytest.raises(InputError, match="of the class"):
        load_split(folder, kind="detection", class_names=("cat", "cow"), input_shape=(64, 64, 3))


def test_validation_joins_training(dataset):
    joined = with_validation_in_training(dataset)
    assert joined.counts["train"] == dataset.counts["train"] + dataset.counts["validation"]
    assert len(joined.train.sizes) == joined.counts["train"]


@pytest.mark.parametrize(("name", "classes"), [("voc/2007", 20), ("coco/2017", 80)])
def test_tfds_mocked(name, classes):
    # Made-up boxes are random numbers, so most are inverted; and there are other numbers of labels than of boxes.
    with tfds.testing.mock_data(num_examples=12):
        found = load(name, kind="detection", invalid_boxes="drop", image_size=64)
        with pytest.raises(InputError, match=rf"{name} train example 0: received \d+ boxes"):
            load(f"tfds:{name}", kind="detection")
    assert found.num_classes == classes
    assert found.input_shape == (64, 64, 3)
    assert found.source == name
    targets = found.train.targets
    there = targets[targets[..., 4] >= 0]
    assert len(there) > 5
    assert (there[:, 2:4] > there[:, :2]).all()
    assert set(np.unique(there[:, 5])) <= {0, 1}


def test_the_parts_of_a_tfds_split_share_its_images(monkeypatch):
    calls = []
    monkeypatch.setattr(detection_tfds, "letterbox_image", lambda image, size: calls.append(size) or image)
    opened = detection_tfds._opener(tf.data.Dataset.from_tensor_slices(np.zeros((3, 8, 8, 3), np.uint8)).batch(1))
    for size in ((8, 8), (8, 8), (9, 9)):
        assert len(opened(size)(np.array([0, 2]))) == 2
    assert calls == [(8, 8)] * 3 + [(9, 9)] * 3


def test_a_full_folder_of_home_is_refused(dataset, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "file").touch()
    with pytest.raises(InputError, match="a new or an empty folder"):
        write_coco(dataset, "~/made")


def test_what_json_has_beside_is_passed_over(dataset, tmp_path):
    root = write_coco(dataset, tmp_path / "made")
    file = root / "annotations" / "instances_train.json"
    content = json.loads(file.read_text())
    content["info"] = {"year": 2026}
    content["annotations"] *= 3
    file.write_text(json.dumps(content))
    assert load(root, kind="detection").train.objects == 3 * dataset.train.objects
