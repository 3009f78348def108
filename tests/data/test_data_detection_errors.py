"""Every wrong annotation is refused with an InputError that names file and line, or the entry."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from kerasdl import keywords
from kerasdl.data import load, make_augmentation
from kerasdl.errors import InputError

BOXES = {
    "inverted": ([20, 4, 10, 12], "an inverted box"),
    "empty": ([10, 4, 10, 12], "a box without area"),
    "not finite": ([float("nan"), 4, 10, 12], "coordinates that are not finite"),
    "infinite": ([1, 4, float("inf"), 12], "coordinates that are not finite"),
    "outside": ([1, 4, 41.5, 12], "a box that reaches outside its image of 40 x 30 pixels"),
    "outside to the left": ([-1.5, 4, 10, 12], "a box that reaches outside"),
}


def pictures(folder: Path, count: int = 3) -> None:
    folder.mkdir(parents=True)
    for number in range(count):
        Image.new("RGB", (40, 30), (number, 0, 0)).save(folder / f"{number}.png")


def coco(root: Path, change: Callable[[dict[str, Any]], Any]) -> Path:
    pictures(root / "images")
    content: dict[str, Any] = {
        "images": [{"id": n, "file_name": f"{n}.png", "width": 40, "height": 30} for n in range(3)],
        "annotations": [{"id": 7 + n, "image_id": n, "category_id": 5, "bbox": [1, 2, 9, 8]} for n in range(3)],
        "categories": [{"id": 5, "name": "cat"}],
    }
    change(content)
    (root / "all.json").write_text(json.dumps(content))
    return root


def voc(root: Path, box: str, name: str = "cat", classes: str = "cat\n") -> Path:
    pictures(root / "JPEGImages")
    (root / "Annotations").mkdir()
    (root / "classes.txt").write_text(classes)
    for number in range(3):
        corners = "<xmin>2</xmin><ymin>3</ymin><xmax>9</xmax><ymax>9</ymax>" if number != 1 else box
        text = (
            f"<annotation>\n<object>\n<name>{name if number == 1 else 'cat'}</name>\n<bndbox>{corners}</bndbox>\n"
            "</object></annotation>"
        )
        (root / "Annotations" / f"{number}.xml").write_text(text)
    return root


def yolo(root: Path, line: str) -> Path:
    pictures(root / "images")
    (root / "labels").mkdir()
    (root / "classes.txt").write_text("cat\ndog\n")
    for number in range(3):
        extra = f"\n{line}\n" if number == 1 else ""
        (root / "labels" / f"{number}.txt").write_text(f"0 0.5 0.5 0.2 0.2\n{extra}")
    return root


def refused(data: object, *words: str, **arguments: Any) -> str:
    with pytest.raises(InputError) as caught:
        load(data, kind="detection", **arguments)
    message = str(caught.value)
    assert "\n" not in message
    for word in (*words, "received", "expected"):
        assert word in message, message
    return message


@pytest.mark.parametrize("fault", BOXES)
def test_wrong_boxes_in_every_format(fault, tmp_path):
    (left, top, right, bottom), words = BOXES[fault]
    wide, high = right - left, bottom - top

    def change(content: dict[str, Any]) -> None:
        content["annotations"][1]["bbox"] = [left, top, wide, high]

    refused(coco(tmp_path / "coco", change), f"all.json annotations[1] (id 8): received {words}"[:-1])
    corners = f"<xmin>{left + 1}</xmin><ymin>{top + 1}</ymin><xmax>{right}</xmax><ymax>{bottom}</ymax>"
    refused(voc(tmp_path / "voc", corners), f"1.xml line 4: received {words}"[:-1])
    numbers = f"{(left + right) / 80} {(top + bottom) / 60} {wide / 40} {high / 30}"
    refused(yolo(tmp_path / "yolo", f"0 {numbers}"), f"1.txt line 3: received {words}"[:-1], "invalid_boxes='drop'")
    images = np.zeros((3, 30, 40, 3), np.uint8)
    given = [[[1, 2, 9, 8]], [[1, 2, 9, 8], [left, top, right, bottom]], [[1, 2, 9, 8]]]
    refused((images, given, [[0], [0, 0], [0]]), f"train boxes[1][1]: received {words}"[:-1])


COCO = {
    "unknown category": (lambda c: c["annotations"][1].update(category_id=6), "annotations[1] (id 8)", "category_id 6"),
    "unknown image": (lambda c: c["annotations"][1].update(image_id=9), "annotations[1] (id 8)", "image_id 9"),
    "no bbox": (lambda c: c["annotations"][1].pop("bbox"), "annotations[1]", "an entry without bbox"),
    "short bbox": (lambda c: c["annotations"][1].update(bbox=[1, 2, 3]), "annotations[1] (id 8)", "bbox [1, 2, 3]"),
    "huge bbox": (lambda c: c["annotations"][1].update(bbox=[1, 2, 3, 10**400]), "annotations[1] (id 8)", "bbox"),
    "words in bbox": (lambda c: c["annotations"][1].update(bbox=["a", 2, 3, 4]), "annotations[1] (id 8)", "'a'"),
    "missing image": (lambda c: c["images"][1].update(file_name="x.png"), "images[1] (id 1)", "x.png"),
    "first image missing": (lambda c: c["images"][0].update(file_name="x.png"), "images[0] (id 0)", "(file, folder)"),
    "other size": (lambda c: c["images"][1].update(width=41), "1.png", "40 x 30", "41 x 30"),
    "no size": (lambda c: c["images"][1].pop("width"), "images[1]", "an entry without width"),
    "zero size": (lambda c: c["images"][1].update(width=0), "images[1] (id 1)", "below 1"),
    "image twice": (lambda c: c["images"][1].update(id=0), "images[0]", "occurs again"),
    "category twice": (lambda c: c["categories"].append({"id": 5, "name": "b"}), "categories[1]", "there before"),
    "no categories": (lambda c: c.pop("categories"), "all.json", "JSON of images, annotations"),
    "no objects": (lambda c: c["annotations"].clear(), "3 images without a single object"),
    "one image": (lambda c: c["annotations"].__delitem__(slice(1, None)), "which leaves none with objects"),
}


@pytest.mark.parametrize("fault", COCO)
def test_wrong_coco(fault, tmp_path):
    change, *words = COCO[fault]
    refused(coco(tmp_path / "coco", change), *words)


@pytest.mark.parametrize(
    ("text", "words"),
    [("{", "broken JSON"), ("[" * 100_000, "nested too deep"), ("[]", "JSON of list"), ("\xff", "categories")],
)
def test_broken_json(text, words, tmp_path):
    root = coco(tmp_path / "coco", lambda content: None)
    (root / "all.json").write_bytes(text.encode("latin-1"))
    message = refused(root, "all.json")
    assert words in message or "no text in UTF-8" in message


VOC = {
    "unknown class": (dict(name="cow"), "1.xml line 4", "the unknown class 'cow'"),
    "no corner": (dict(box="<xmin>2</xmin>"), "1.xml line 4", "a bndbox without ymin"),
    "a word": (dict(box="<xmin>x</xmin><ymin>3</ymin><xmax>9</xmax><ymax>9</ymax>"), "1.xml line 4", "xmin 'x'"),
}


@pytest.mark.parametrize("fault", VOC)
def test_wrong_voc(fault, tmp_path):
    change, *words = VOC[fault]
    given = {"box": "<xmin>2</xmin><ymin>3</ymin><xmax>9</xmax><ymax>9</ymax>"} | change
    refused(voc(tmp_path / "voc", **given), *words)


LAUGHS = (
    '<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><annotation><object><name>&b;</name></object></annotation>'
)
FILES = {
    "laughs": (LAUGHS, "1.xml line 1", "a document type"),
    "broken": ("<annotation>\n<object>\n</annotation>", "1.xml line 3", "broken XML (mismatched tag)"),
    "empty": ("", "1.xml", "broken XML (no element found)"),
    "no name": ("<annotation>\n<object>\n</object></annotation>", "1.xml line 2", "an object without name"),
    "no box": ("<annotation>\n<object><name>cat</name></object></annotation>", "1.xml line 2", "without bndbox"),
}


@pytest.mark.parametrize("fault", FILES)
def test_wrong_xml(fault, tmp_path):
    root = voc(tmp_path / "voc", "<xmin>2</xmin><ymin>3</ymin><xmax>9</xmax><ymax>9</ymax>")
    text, *words = FILES[fault]
    (root / "Annotations" / "1.xml").write_text(text)
    refused(root, *words)


def test_missing_files_of_voc(tmp_path):
    root = voc(tmp_path / "voc", "<xmin>2</xmin><ymin>3</ymin><xmax>9</xmax><ymax>9</ymax>")
    sets = root / "ImageSets" / "Main"
    sets.mkdir(parents=True)
    (sets / "train.txt").write_text("0\n1\n\n2 1\n8\n")
    refused(root, "train.txt line 5", "no annotation")
    (sets / "train.txt").rename(sets / "test.txt")
    refused(root, "the files test.txt", "train.txt")
    (sets / "test.txt").unlink()
    (root / "JPEGImages" / "1.png").unlink()
    refused(root, "1.xml", "1.jpg, which does not exist")


YOLO = {
    "unknown class": ("2 0.5 0.5 0.2 0.2", "1.txt line 3", "the unknown class 2"),
    "negative class": ("-1 0.5 0.5 0.2 0.2", "1.txt line 3", "the unknown class -1"),
    "fraction": ("0.5 0.5 0.5 0.2 0.2", "1.txt line 3", "the unknown class 0.5"),
    "four numbers": ("0 0.5 0.5 0.2", "1.txt line 3", "five numbers"),
    "words": ("cat 0.5 0.5 0.2 0.2", "1.txt line 3", "five numbers"),
    "pixels": ("0 20 10 5 5", "1.txt line 3", "Divide pixels"),
}


@pytest.mark.parametrize("fault", YOLO)
def test_wrong_yolo(fault, tmp_path):
    line, *words = YOLO[fault]
    refused(yolo(tmp_path / "yolo", line), *words)


YAML = {
    "broken": ("names: [a\ntrain: images\n", "data.yaml line", "broken YAML"),
    "no names": ("train: images\n", "data.yaml", "names: None"),
    "names twice": ("names: [a, a]\ntrain: images\n", "data.yaml", "each once"),
    "gaps in names": ("names: {0: a, 2: b}\ntrain: images\n", "data.yaml", "0, 1, ..."),
    "no train": ("names: [a, b]\nval: images\n", "data.yaml", "the entries names, val"),
    "no folder": ("names: [a, b]\ntrain: pictures\n", "data.yaml", "train: pictures"),
    "no images": ("names: [a, b]\ntrain: labels\n", "data.yaml", "without images"),
    "list of missing": ("names: [a, b]\ntrain: train.txt\n", "train.txt line 2", "which does not exist"),
    "code": ("names: !!python/object/apply:os.getcwd []\n", "data.yaml line 1", "broken YAML"),
}


@pytest.mark.parametrize("fault", YAML)
def test_wrong_yaml(fault, tmp_path):
    root = yolo(tmp_path / "yolo", "")
    text, *words = YAML[fault]
    (root / "data.yaml").write_text(text)
    (root / "train.txt").write_text("images/0.png\nimages/9.png\n")
    refused(root, *words)


def test_yolo_without_class_names(tmp_path):
    root = yolo(tmp_path / "yolo", "")
    (root / "classes.txt").unlink()
    refused(root, "without the names of the classes", "classes.txt")


IMAGES = np.zeros((4, 30, 40, 3), np.uint8)
ONE = [[[1, 2, 9, 8]]] * 4
ARRAYS = {
    "lengths": ((IMAGES, ONE[:3], [[0]] * 4), {}, "4 images, boxes of 3 and labels of 4"),
    "labels": ((IMAGES, ONE, [[0, 1], [0], [0], [0]]), {}, "train boxes[0]"),
    "shape of boxes": ((IMAGES, [[[1, 2, 3]]] * 4, [[0]] * 4), {}, "boxes of shape (1, 3)"),
    "unknown integer": ((IMAGES, ONE, [[0], [5], [0], [0]]), {"num_classes": 3}, "train boxes[1][0]", "class '5'"),
    "mixed": ((IMAGES, ONE, [[0], ["a"], [0], [0]]), {}, "integers and strings"),
    "negative": ((IMAGES, ONE, [[0], [-2], [0], [0]]), {}, "the label -2"),
    "fractions": ((IMAGES + 0.5, ONE, [[0]] * 4), {}, "floating-point values"),
    "two channels": ((IMAGES[..., :2], ONE, [[0]] * 4), {}, "shape (30, 40, 2)"),
    "format": ((IMAGES, ONE, [[0]] * 4), {"box_format": "xywh2"}, "box_format", "'xywh'"),
    "invalid": ((IMAGES, ONE, [[0]] * 4), {"invalid_boxes": "ignore"}, "invalid_boxes"),
    "splits": ({"training": (IMAGES, ONE, [[0]] * 4)}, {}, "'train'"),
    "type": (3, {}, "an object of type int"),
    "name": ("digit_scene", {}, "'digit_scenes'"),
    "format of a name": ("digit_scenes", {"box_format": "xyxy"}, "no arrays"),
    "other kind": (("x",), {"text_column": "a"}, "text_column"),
}


@pytest.mark.parametrize("fault", ARRAYS)
def test_wrong_arrays_and_arguments(fault):
    data, arguments, *words = ARRAYS[fault]
    refused(data, *words, **arguments)


def test_arguments_of_detection_are_refused_elsewhere():
    with pytest.raises(InputError, match="it is for kind='detection'"):
        load("digits", box_format="xyxy")
    with pytest.raises(InputError, match="a sample of kind 'detection'"):
        load("digit_scenes")
    with pytest.raises(InputError, match=re.escape("mosaic, for images with one target each")):
        make_augmentation("mosaic", num_classes=3)


def test_a_folder_of_nothing_known(tmp_path):
    pictures(tmp_path / "cats")
    refused(tmp_path, "nothing of a known format")


def test_deduplicate_is_refused_by_name():
    refused((IMAGES, ONE, [[0]] * 4), "deduplicate: received True", "kind='detection'", deduplicate=True)
    many = np.random.default_rng(0).integers(0, 256, (20, 30, 40, 3), np.uint8)
    dataset = load((many, ONE * 5, [[0]] * 20), kind="detection")
    refused(dataset, "deduplicate: received True", "kind 'detection'", deduplicate=True)


def test_one_class_is_enough():
    keywords.check({"num_classes": 1})
    many = np.random.default_rng(0).integers(0, 256, (20, 30, 40, 3), np.uint8)
    assert load((many, ONE * 5, [[0]] * 20), kind="detection", num_classes=1).num_classes == 1
    refused((IMAGES, ONE, [[0]] * 4), "num_classes: received 0", num_classes=0)
    with pytest.raises(InputError, match="Leave num_classes out"):
        load("digits", num_classes=1)


def test_a_class_that_only_the_test_split_has(tmp_path):
    parts = {"train": (IMAGES, ONE, [["a"]] * 4), "test": (IMAGES, ONE, [["b"]] * 4)}
    refused(parts, "test boxes[0][0]", "the unknown class 'b'")
