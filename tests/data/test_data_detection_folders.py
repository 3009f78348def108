"""Folders of COCO, Pascal VOC and YOLO: which images there are, in which split, and whether boxes can be of them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kerasdl.data import load
from kerasdl.data.exif import orientation
from kerasdl.errors import InputError

SIZE = "<size><width>40</width><height>30</height><depth>3</depth></size>"


def picture(file: Path, turned: int | None = None) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    if turned is not None:
        exif[0x0112] = turned
    Image.new("RGB", (40, 30)).save(file, exif=exif)


def coco(file: Path, names: list[str]) -> None:
    content = {
        "images": [{"id": n, "file_name": name, "width": 40, "height": 30} for n, name in enumerate(names)],
        "annotations": [{"image_id": n, "category_id": 5, "bbox": [1, 2, 9, 8]} for n in range(len(names))],
        "categories": [{"id": 5, "name": "cat"}],
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content))


def voc(root: Path, names: list[str], size: str = "", suffix: str = "png") -> None:
    for name in names:
        picture(root / "JPEGImages" / f"{name}.{suffix}")
        (root / "Annotations").mkdir(exist_ok=True)
        (root / "Annotations" / f"{name}.xml").write_text(
            f"<annotation>\n{size}\n<object><name>cat</name><bndbox><xmin>2</xmin><ymin>3</ymin><xmax>9</xmax>"
            "<ymax>9</ymax></bndbox></object></annotation>"
        )


def listed(root: Path, **lists: str) -> None:
    (root / "ImageSets" / "Main").mkdir(parents=True, exist_ok=True)
    for word, text in lists.items():
        (root / "ImageSets" / "Main" / f"{word}.txt").write_text(text)


def yolo(root: Path, names: list[str], yaml: str = "", suffix: str = "png") -> None:
    for name in names:
        picture(root / "images" / f"{name}.{suffix}")
        label = root / "labels" / f"{name}.txt"
        label.parent.mkdir(parents=True, exist_ok=True)
        label.write_text("0 0.5 0.5 0.2 0.2\n")
    (root / ("data.yaml" if yaml else "classes.txt")).write_text(f"names: [cat]\n{yaml}" if yaml else "cat\n")


def counts(root: Path) -> dict[str, int]:
    return load(root, kind="detection").counts


def refused(root: Path, *words: str) -> None:
    with pytest.raises(InputError) as caught:
        load(root, kind="detection")
    for word in words:
        assert word in str(caught.value)


NAMES = [str(number) for number in range(10)]


def test_a_split_that_is_the_training_images_again_is_drawn(tmp_path):
    yolo(tmp_path / "yolo", NAMES, "train: images\nval: images\n")
    voc(tmp_path / "voc", NAMES)
    listed(tmp_path / "voc", train="\n".join(NAMES), val="\n".join(reversed(NAMES)))
    for name in NAMES:
        picture(tmp_path / "coco" / "images" / f"{name}.png")
    for word in ("train", "val"):
        coco(tmp_path / "coco" / "annotations" / f"instances_{word}.json", [f"{name}.png" for name in NAMES])
    for root in ("yolo", "voc", "coco"):
        assert counts(tmp_path / root) == {"train": 7, "validation": 1, "test": 2}


def test_an_image_in_two_splits_is_refused(tmp_path):
    yolo(tmp_path / "yolo", [f"all/{name}" for name in NAMES], "train: images\nval: val.txt\n")
    (tmp_path / "yolo" / "val.txt").write_text("images/all/3.png\nimages/all/../all/4.png\n")
    refused(tmp_path / "yolo", "val: val.txt", "train: images", "2 images", "all/3.png")
    voc(tmp_path / "voc", NAMES)
    listed(tmp_path / "voc", train="\n".join(NAMES[:8]), val="8\n9\n", test="9\n7\n")
    refused(tmp_path / "voc", "test.txt", "train.txt", "7.png")
    for name in NAMES:
        picture(tmp_path / "coco" / "images" / f"{name}.png")
    for word, some in (("train", NAMES[:8]), ("test", NAMES[7:])):
        coco(tmp_path / "coco" / f"instances_{word}.json", [f"{name}.png" for name in some])
    refused(tmp_path / "coco", "instances_test.json", "instances_train.json", "7.png")


@pytest.mark.parametrize("turned", [3, 6])
def test_photographs_that_are_shown_turned_are_refused(turned, tmp_path):
    voc(tmp_path / "voc", NAMES[:4], suffix="jpg")
    yolo(tmp_path / "yolo", NAMES[:4], suffix="jpg")
    picture(tmp_path / "voc" / "JPEGImages" / "1.jpg", 1)
    assert sum(counts(tmp_path / "voc").values()) == 4
    picture(tmp_path / "voc" / "JPEGImages" / "1.jpg", turned)
    picture(tmp_path / "yolo" / "images" / "1.jpg", turned)
    for root in ("voc", "yolo"):
        refused(tmp_path / root, "1.jpg", f"orientation {turned}", "mogrify -auto-orient")


def test_the_true_cause_of_a_turned_size_of_coco(tmp_path):
    for name in NAMES[:4]:
        picture(tmp_path / "images" / f"{name}.jpg", 8)
    coco(tmp_path / "all.json", [f"{name}.jpg" for name in NAMES[:4]])
    # As it is shown, which is what an annotation tool saw.
    text = (tmp_path / "all.json").read_text().replace('"width": 40, "height": 30', '"width": 30, "height": 40')
    (tmp_path / "all.json").write_text(text)
    refused(tmp_path, ".jpg", "orientation 8", "mogrify -auto-orient")


def test_orientation_of_any_bytes():
    tiff = {
        "little": b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0",
        "big": b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0",
    }
    for content in tiff.values():
        segment = b"Exif\0\0" + content
        header = b"\xff\xd8\xff\xe0\0\x04ab\xff\xff\xe1" + (len(segment) + 2).to_bytes(2, "big")
        assert orientation(header + segment + b"\xff\xda") == 6
        for end in range(len(header + segment)):
            assert orientation((header + segment)[:end]) in (1, 6)
    generator = np.random.default_rng(0)
    for _ in range(200):
        assert 1 <= orientation(b"\xff\xd8\xff\xe1\0\x40Exif\0\0II" + generator.bytes(60)) <= 8
    assert orientation(b"\xff\xd8\xff\xe0\0\0") == orientation(b"") == orientation(b"\x89PNG") == 1


def test_sizes_that_voc_says(tmp_path):
    voc(tmp_path, NAMES, SIZE)
    assert sum(counts(tmp_path).values()) == 10
    voc(tmp_path, ["3"], "<size><width>0</width><height>0</height></size>")
    voc(tmp_path, ["4"], "<size><width>40</width></size>")
    assert sum(counts(tmp_path).values()) == 10
    voc(tmp_path, ["5"], "<size><width>30</width><height>40</height></size>")
    refused(tmp_path, "5.xml line 2", "40 x 30 pixels", "expected 30 x 40, as its annotation says")


def test_images_of_yolo_may_lie_deeper_and_none_is_passed_over(tmp_path):
    deep = [f"{'ab'[number % 2]}/{number}" for number in range(10)]
    yolo(tmp_path / "one", deep)
    yolo(tmp_path / "two", deep, "train: images\n")
    for root in ("one", "two"):
        found = load(tmp_path / root, kind="detection")
        assert sum(part.objects for part in found.parts) == sum(found.counts.values()) == 10
        (tmp_path / root / "images" / "a" / "x.webp").write_bytes(b"RIFF")
        refused(tmp_path / root, "x.webp", "Convert them")
    yolo(tmp_path / "three", ["train/0", "train/1", "val/2", "more/3"])
    refused(tmp_path / "three", "the folders more, train, val")


def test_annotations_by_their_content_where_names_differ_by_case_alone(tmp_path):
    for name in NAMES:
        picture(tmp_path / "images" / f"{name}.png")
    coco(tmp_path / "Annotations" / "instances_train.json", [f"{name}.png" for name in NAMES])
    assert sum(counts(tmp_path).values()) == 10


def test_names_of_voc_with_spaces(tmp_path):
    names = ["my cat", "my cat 1", "old dog", *NAMES]
    voc(tmp_path, names)
    listed(tmp_path, train="my cat\nmy cat 1\nold dog  -1\n" + "".join(f"{name} 1\n" for name in NAMES))
    assert sum(counts(tmp_path).values()) == 13
    (tmp_path / "Annotations" / "my cat.xml").unlink()
    refused(tmp_path, "train.txt line 1", "my cat.xml")


def test_a_stray_yaml_makes_no_yolo(tmp_path):
    for name in NAMES:
        picture(tmp_path / "images" / f"{name}.png")
    coco(tmp_path / "all.json", [f"{name}.png" for name in NAMES])
    (tmp_path / "environment.yaml").write_text("name: train\ndependencies: [python]\n")
    assert sum(counts(tmp_path).values()) == 10
    yolo(tmp_path / "yolo", NAMES)
    (tmp_path / "yolo" / "cats.yaml").write_text("names: [cat\ntrain: images\n")
    with pytest.raises(InputError, match=re.escape("cats.yaml line")):
        load(tmp_path / "yolo", kind="detection")
