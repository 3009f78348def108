"""Boxes in COCO's JSON: a file of instances and a folder of images for each split.

A box is [left, top, width, height] in pixels, the first pixel from 0 to 1. Crowds are marked by `iscrowd`. Of what a
file has beside, such as segmentations, nothing is read.

https://cocodataset.org/#format-data
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kerasdl.data.boxes import convert
from kerasdl.data.detection_dataset import Annotated, annotate
from kerasdl.data.detection_files import class_index, distinct, existing, open_files, read_text
from kerasdl.data.folders import SPLIT_NAMES
from kerasdl.errors import InputError

SPLIT_WORD = re.compile(r"(?:^|[^a-z])(train|validation|valid|val|test)(?:[^a-z]|$)", re.IGNORECASE)
Pair = tuple[Path, "Path | None"]


@dataclass(frozen=True)
class Listed:
    """The images of a file: where they are, height and width as it says, and the number of each by its id."""

    files: list[Path]
    sizes: np.ndarray
    place: dict[int, int]


def find_coco(path: Path) -> dict[str, Pair]:
    """Return the file and the folder of images of each split, None where it is yet to be found.

    Args:
        path: A `.json` file; or a folder with `annotations/instances_train2017.json` and the like; or with `train/`,
            `val/` or `valid/`, `test/` and a `.json` file in each; or with one.

    Returns:
        Nothing when there are no such files.
    """
    if path.suffix.lower() == ".json" and path.is_file():
        return {"train": (path, None)}
    if not path.is_dir():
        return {}
    named = [entry for entry in sorted(path.iterdir()) if entry.name.lower() == "annotations"]
    files = [file for folder in named for file in _json_files(folder)] or _json_files(path)
    if files:
        if len(files) == 1:
            return {"train": (files[0], None)}
        return _once([(_split_of(file), (file, None)) for file in files], path)
    folders = [entry for entry in sorted(path.iterdir()) if entry.name.lower() in SPLIT_NAMES and entry.is_dir()]
    pairs: list[tuple[str | None, Pair]] = []
    for folder in folders:
        found = _json_files(folder)
        pairs += [(SPLIT_NAMES[folder.name.lower()], (file, None)) for file in found]
    return _once(pairs, path) if pairs else {}


def _json_files(folder: Path) -> list[Path]:
    files = sorted(file for file in folder.glob("*.json") if not file.name.startswith("."))
    # Beside captions and key points, those with boxes are named so.
    return [file for file in files if file.name.startswith("instances")] or files


def _split_of(file: Path) -> str | None:
    found = SPLIT_WORD.search(file.stem)
    return SPLIT_NAMES[found[1].lower()] if found else None


def _once(pairs: list[tuple[str | None, Pair]], path: Path) -> dict[str, Pair]:
    splits = [split for split, _ in pairs]
    if None in splits or len(set(splits)) < len(splits) or "train" not in splits:
        raise InputError(
            str(path),
            received=f"the files {', '.join(pair[0].name for _, pair in pairs)}",
            expected="one .json file each for train, validation and test, of which train must be there",
            mend="Name them instances_train.json and so on, or pass a mapping from split to (file, folder of images).",
        )
    return {split: pair for split, pair in pairs if split}


def read_coco(pairs: Mapping[str, Pair], *, invalid: str) -> tuple[dict[str, Annotated], tuple[str, ...]]:
    """Read files of instances.

    Args:
        pairs: By split, a file and its folder of images, or None for one of the usual places.
        invalid: What is done about boxes that are wrong.

    Returns:
        What is known of each split, and the class names in the order of the training file's category ids.

    Raises:
        InputError: For broken JSON, missing entries or images, unknown categories, boxes that are wrong.
    """
    contents = {split: _parse(file) for split, (file, _) in pairs.items()}
    categories = {split: _categories(contents[split], pairs[split][0]) for split in pairs}
    class_names = tuple(categories["train"][key] for key in sorted(categories["train"]))
    names = {name: index for index, name in enumerate(class_names)}
    listed = {split: _listed(contents[split], *pairs[split]) for split in pairs}
    kept = distinct(
        {split: found.files for split, found in listed.items()}, {split: file for split, (file, _) in pairs.items()}
    )
    parts = {
        split: _read_one(contents[split], pairs[split][0], listed[split], categories[split], names, invalid)
        for split in kept
    }
    return parts, class_names


def _parse(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(read_text(file))
    except (json.JSONDecodeError, RecursionError) as error:
        problem = (
            f"broken JSON ({error})" if isinstance(error, json.JSONDecodeError) else "JSON that is nested too deep"
        )
        raise InputError(
            str(file), received=problem, expected="a JSON file as COCO has them", mend="Export or download it again."
        ) from None
    lists = ("images", "annotations", "categories")
    if not isinstance(content, dict) or not all(isinstance(content.get(key), list) for key in lists):
        keys = ", ".join(list(content)[:10]) if isinstance(content, dict) else type(content).__name__
        raise InputError(
            str(file),
            received=f"JSON of {keys or 'nothing'}",
            expected="an object with the lists images, annotations and categories",
            mend="Pass a file of instances as COCO has them.",
        )
    return content


def _entry(entry: Any, where: str, kinds: Mapping[str, Any]) -> dict[str, Any]:
    for key, kind in kinds.items():
        value = entry.get(key) if isinstance(entry, dict) else None
        if not isinstance(value, kind) or isinstance(value, bool):
            raise InputError(
                where,
                received=f"{key}: {value!r:.60}" if value is not None else f"an entry without {key}",
                expected=f"an object with {', '.join(kinds)}",
                mend="Correct it there, or export the file again.",
            )
    return entry


def _categories(content: dict[str, Any], file: Path) -> dict[int, str]:
    found: dict[int, str] = {}
    for number, entry in enumerate(content["categories"]):
        where = f"{file} categories[{number}]"
        known = _entry(entry, where, {"id": int, "name": str})
        if known["id"] in found or known["name"] in found.values():
            raise InputError(
                where,
                received=f"id {known['id']} and name {known['name']!r}, of which one was there before",
                expected="ids and names that occur once",
                mend="Rename it or take it out.",
            )
        found[known["id"]] = known["name"]
    return found


def _listed(content: dict[str, Any], file: Path, folder: Path | None) -> Listed:
    kinds = {"id": int, "file_name": str, "width": int, "height": int}
    images = [_entry(entry, f"{file} images[{number}]", kinds) for number, entry in enumerate(content["images"])]
    by_id = {entry["id"]: number for number, entry in enumerate(images)}
    if len(by_id) < len(images):
        number = next(number for number, entry in enumerate(images) if by_id[entry["id"]] != number)
        raise InputError(
            f"{file} images[{number}]",
            received=f"id {images[number]['id']}, which occurs again",
            expected="ids that occur once",
            mend="Give each image an id of its own.",
        )
    place = {key: number for number, key in enumerate(sorted(by_id))}
    root = folder or _image_folder(file, images)
    files = [
        existing(root / images[by_id[key]]["file_name"], f"{file} images[{by_id[key]}] (id {key})") for key in place
    ]
    sizes = np.array([[images[by_id[key]][side] for side in ("height", "width")] for key in place], np.int64)
    if (sizes < 1).any():
        key = list(place)[int(np.argmax((sizes < 1).any(axis=1)))]
        raise InputError(
            f"{file} images[{by_id[key]}] (id {key})",
            received="a width or height below 1",
            expected="the image's own, in pixels",
            mend="Correct it there.",
        )
    return Listed(files, sizes, place)


def _read_one(
    content: dict[str, Any],
    file: Path,
    listed: Listed,
    categories: dict[int, str],
    names: dict[str, int],
    invalid: str,
) -> Annotated:
    place, sizes = listed.place, listed.sizes
    image, boxes, labels, crowd = [], [], [], []

    def where(number: int) -> str:
        entry = content["annotations"][number]
        return f"{file} annotations[{number}]" + (f" (id {entry['id']})" if "id" in entry else "")

    for number, entry in enumerate(content["annotations"]):
        known = _entry(entry, f"{file} annotations[{number}]", {"image_id": int, "category_id": int, "bbox": list})
        if known["image_id"] not in place or known["category_id"] not in categories:
            key = "image_id" if known["image_id"] not in place else "category_id"
            raise InputError(
                where(number),
                received=f"{key} {known[key]}, which is unknown",
                expected=f"the id of one of the {'images' if key == 'image_id' else 'categories'} of the file",
                mend="Correct it, or take the annotation out.",
            )
        image.append(place[known["image_id"]])
        labels.append(class_index(categories[known["category_id"]], names, where(number)))
        crowd.append(bool(known.get("iscrowd", 0)))
        boxes.append(_box(known["bbox"], where(number)))
    corners = convert(np.array(boxes).reshape(-1, 4), sizes[image].reshape(-1, 2), "xywh")
    return annotate(sizes, image, corners, labels, crowd, open_files(listed.files, sizes), where=where, invalid=invalid)


def _box(box: list[Any], where: str) -> list[float]:
    try:
        if len(box) == 4 and all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in box):
            return [float(value) for value in box]
    except OverflowError:
        pass
    raise InputError(
        where, received=f"bbox {box!r:.60}", expected="[left, top, width, height] in pixels", mend="Correct it there."
    )


def _image_folder(file: Path, images: list[dict[str, Any]]) -> Path:
    """Return the first of the usual places that has the first image."""
    word = file.stem.removeprefix("instances_")
    near, above = file.parent, file.parent.parent
    places = [above / word, above / "images" / word, near / word, near / "images", above / "images", near, above]
    if not images:
        return near
    first = images[0]["file_name"]
    for place in places:
        if (place / first).is_file():
            return place
    raise InputError(
        f"{file} images[0] (id {images[0]['id']})",
        received=f"the image {first!r}, which is in none of {', '.join(str(place) for place in places)}",
        expected="a folder with the images",
        mend="Pass it: data=(file, folder), or a mapping from split to such pairs.",
    )
