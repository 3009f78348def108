"""Writing images with boxes in COCO's, Pascal VOC's and YOLO's formats, so that they read back as they were.

What is written are the letterboxed images of a dataset, as PNG, and numbers with all their digits. A folder is written
beside its place and renamed, so it is whole or not there.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np

from kerasdl import checks
from kerasdl.data.boxes import convert
from kerasdl.data.detection_dataset import DetectionDataset, DetectionSplit

SPLIT_WORDS = {"train": "train", "validation": "val", "test": "test"}


def write_coco(dataset: DetectionDataset, folder: str | Path) -> Path:
    """Write a dataset as COCO has them: `annotations/instances_train.json` and so on, images in `train/` and so on.

    Args:
        dataset: Images with boxes.
        folder: A new or an empty one.

    Returns:
        The folder.

    Raises:
        InputError: When there is something in the folder.

    Example:
        >>> write_coco(kerasdl.data.load("digit_scenes", kind="detection"), "scenes")

    https://cocodataset.org/#format-data
    """

    def write(root: Path) -> None:
        (root / "annotations").mkdir()
        categories = [{"id": number, "name": name} for number, name in enumerate(dataset.class_names, 1)]
        for word, split in _parts(dataset):
            names = _write_images(split, root / word, word)
            height, width = split.inputs.shape[1:3]
            images = [
                {"id": number, "file_name": name, "width": width, "height": height}
                for number, name in enumerate(names, 1)
            ]
            annotations = [
                {
                    "id": number,
                    "image_id": image + 1,
                    "category_id": int(row[4]) + 1,
                    "bbox": _numbers(row, split, "xywh"),
                    "area": float((row[2] - row[0]) * (row[3] - row[1])),
                    "iscrowd": int(row[5]),
                }
                for number, (image, row) in enumerate(_rows(split), 1)
            ]
            content = {"images": images, "annotations": annotations, "categories": categories}
            (root / "annotations" / f"instances_{word}.json").write_text(json.dumps(content), "utf-8")

    return _beside(Path(folder), write)


def write_voc(dataset: DetectionDataset, folder: str | Path) -> Path:
    """Write a dataset as Pascal VOC has them, with `classes.txt` beside; arguments as of :func:`write_coco`.

    http://host.robots.ox.ac.uk/pascal/VOC/voc2012/htmldoc/devkit_doc.html
    """

    def write(root: Path) -> None:
        for name in ("Annotations", "ImageSets/Main"):
            (root / name).mkdir(parents=True)
        (root / "classes.txt").write_text("".join(f"{name}\n" for name in dataset.class_names), "utf-8")
        for word, split in _parts(dataset):
            names = _write_images(split, root / "JPEGImages", word)
            stems = [Path(name).stem for name in names]
            (root / "ImageSets" / "Main" / f"{word}.txt").write_text("".join(f"{stem}\n" for stem in stems), "utf-8")
            objects: list[list[str]] = [[] for _ in names]
            for image, row in _rows(split):
                objects[image].append(_object(row, dataset.class_names))
            height, width = split.inputs.shape[1:3]
            size = f"  <size><width>{width}</width><height>{height}</height><depth>3</depth></size>\n"
            for name, stem, found in zip(names, stems, objects, strict=True):
                text = f"<annotation>\n  <filename>{name}</filename>\n{size}{''.join(found)}</annotation>\n"
                (root / "Annotations" / f"{stem}.xml").write_text(text, "utf-8")

    return _beside(Path(folder), write)


def write_yolo(dataset: DetectionDataset, folder: str | Path) -> Path:
    """Write a dataset as YOLO has them: `data.yaml`, `images/train/` and `labels/train/` and so on.

    The format has no mark for crowds: boxes around them are left out. Arguments as of :func:`write_coco`.

    https://docs.ultralytics.com/datasets/detect/
    """
    import yaml

    def write(root: Path) -> None:
        content: dict[str, object] = {word: f"images/{word}" for word, _ in _parts(dataset)}
        content["names"] = dict(enumerate(dataset.class_names))
        (root / "data.yaml").write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), "utf-8")
        for word, split in _parts(dataset):
            names = _write_images(split, root / "images" / word, word)
            (root / "labels" / word).mkdir(parents=True)
            lines: list[list[str]] = [[] for _ in names]
            for image, row in _rows(split):
                if not row[5]:
                    numbers = " ".join(map(repr, _numbers(row, split, "rel_center_xywh")))
                    lines[image].append(f"{int(row[4])} {numbers}\n")
            for name, found in zip(names, lines, strict=True):
                (root / "labels" / word / f"{Path(name).stem}.txt").write_text("".join(found), "utf-8")

    return _beside(Path(folder), write)


def _parts(dataset: DetectionDataset) -> list[tuple[str, DetectionSplit]]:
    return list(zip(SPLIT_WORDS.values(), dataset.parts, strict=True))


def _rows(split: DetectionSplit) -> list[tuple[int, np.ndarray]]:
    """Return the number of the image and the row of targets of every box."""
    images, places = np.nonzero(split.targets[..., 4] >= 0)
    return [(int(image), split.targets[image, place]) for image, place in zip(images, places, strict=True)]


def _numbers(row: np.ndarray, split: DetectionSplit, box_format: str) -> list[float]:
    return convert(row[:4], np.array(split.inputs.shape[1:3]), "xyxy", box_format).tolist()


def _object(row: np.ndarray, class_names: tuple[str, ...]) -> str:
    left, top, right, bottom = (float(value) for value in row[:4])
    # The first and last pixel inside, counted from 1; fractions stay.
    corners = {"xmin": left + 1, "ymin": top + 1, "xmax": right, "ymax": bottom}
    box = "".join(f"<{name}>{value:.17g}</{name}>" for name, value in corners.items())
    name = escape(class_names[int(row[4])])
    return f"  <object><name>{name}</name><difficult>{int(row[5])}</difficult><bndbox>{box}</bndbox></object>\n"


def _write_images(split: DetectionSplit, folder: Path, word: str) -> list[str]:
    """Write the images of a split as PNG, and return their names, which sort as the images do."""
    import tensorflow as tf

    folder.mkdir(parents=True, exist_ok=True)
    names = [f"{word}_{number:06d}.png" for number in range(len(split))]
    for number, name in enumerate(names):
        (folder / name).write_bytes(tf.io.encode_png(split.inputs[number]).numpy())
    return names


def _beside(folder: Path, write: Callable[[Path], None]) -> Path:
    folder = folder.expanduser()
    checks.new_directory("folder", folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as temporary:
        made = Path(temporary, "made")
        made.mkdir()
        write(made)
        if folder.is_dir():
            folder.rmdir()
        os.replace(made, folder)
    return folder
