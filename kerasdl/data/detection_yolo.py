"""Boxes in YOLO's text files: one beside each image's, a line an object: class, centre x and y, width, height.

Numbers are shares of the image's sides. A line may have the corners of an outline instead of a box, as for
segmentation: the box around them is taken. An image without a file has no objects. Crowds cannot be marked.

https://docs.ultralytics.com/datasets/detect/
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kerasdl.data.boxes import convert
from kerasdl.data.detection_dataset import Annotated, annotate
from kerasdl.data.detection_files import distinct, existing, file_sizes, open_files, read_text
from kerasdl.data.folders import SPLIT_NAMES, image_files, split_folders
from kerasdl.errors import InputError

CLASS_FILES = ("classes.txt", "labels/classes.txt", "obj.names")


def find_yolo(path: Path) -> Path | None:
    """Return the `.yaml` file of a folder, the file itself, or the folder when it has `images/` and `labels/`."""
    if path.suffix.lower() in (".yaml", ".yml") and path.is_file():
        return path
    if path.is_dir():
        found = sorted([*path.glob("*.yaml"), *path.glob("*.yml")])
        named = [file for file in found if file.stem == "data"] or [file for file in found if _describes(file)]
        if len(named) == 1:
            return named[0]
        if (path / "images").is_dir() and (path / "labels").is_dir():
            return path
    return None


def _describes(file: Path) -> bool:
    """Return whether a file of any name has the entries names and train; it may be broken elsewhere."""
    try:
        text = file.read_bytes()
    except OSError:
        return False
    return all(re.search(rb"^[\"']?%s[\"']?\s*:" % key, text, re.MULTILINE) for key in (b"names", b"train"))


def read_yolo(path: Path, *, invalid: str) -> tuple[dict[str, Annotated], tuple[str, ...]]:
    """Read folders of images and labels.

    Args:
        path: A `.yaml` file with `names`, `train` and, if it has them, `val` and `test`: folders, in which
            images may lie deeper, or `.txt` lists of images, from `path` on, or from the file's own folder. Or a folder
            with `images/`, `labels/` and `classes.txt`, in which `images/train` and so on are splits.
        invalid: What is done about boxes that are wrong.

    Returns:
        What is known of each split, and the class names.

    Raises:
        InputError: For a broken file, missing images, unknown classes, boxes that are wrong.
    """
    images, class_names, lists = _from_yaml(path) if path.is_file() else _from_folder(path)
    parts = {split: _read_one(images[split], len(class_names), invalid) for split in distinct(images, lists)}
    return parts, class_names


def _from_yaml(file: Path) -> tuple[dict[str, list[Path]], tuple[str, ...], dict[str, str]]:
    """Return the images of each split, the class names, and where messages say that those images are listed."""
    import yaml

    try:
        content = yaml.safe_load(read_text(file))
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        if isinstance(error, InputError):
            raise
        raise InputError(
            str(file) if mark is None else f"{file} line {mark.line + 1}",
            received=f"broken YAML ({getattr(error, 'problem', None) or type(error).__name__})",
            expected="a file with names, train, val and test",
            mend="Correct it there.",
        ) from None
    content = content if isinstance(content, dict) else {}
    class_names = _names(content.get("names"), file)
    root = file.parent / str(content.get("path") or ".")
    # A path is often one on the machine that the file was made on.
    root = root if root.is_dir() else file.parent
    keys = [key for key in SPLIT_NAMES if content.get(key)]
    images = {SPLIT_NAMES[key]: _images(content[key], root, file, key) for key in keys}
    if "train" not in images:
        raise InputError(
            str(file),
            received=f"the entries {', '.join(map(str, content)) or '(none)'}",
            expected="names and train, and val and test if there are",
            mend="Add train: images/train, say.",
        )
    return images, class_names, {SPLIT_NAMES[key]: f"{file} {key}: {content[key]!s:.80}" for key in keys}


def _names(names: Any, file: Path) -> tuple[str, ...]:
    if isinstance(names, Mapping) and sorted(names, key=str) == sorted(range(len(names)), key=str):
        names = [names[index] for index in range(len(names))]
    texts = [str(name) for name in names] if isinstance(names, list) else []
    if not texts or len(set(texts)) < len(texts):
        raise InputError(
            str(file),
            received=f"names: {names!r:.80}",
            expected="a list of class names, or a mapping from 0, 1, ... to them, each once",
            mend="Write names: [cat, dog], say.",
        )
    return tuple(texts)


def _images(entry: Any, root: Path, file: Path, key: str) -> list[Path]:
    found: list[Path] = []
    for place in entry if isinstance(entry, list) else [entry]:
        path = root / str(place)
        if not path.exists() and str(place).startswith("../"):
            # As some exporters write it, for a program that runs elsewhere.
            path = root / str(place).removeprefix("../")
        if path.is_dir():
            found += image_files(path)
        elif path.is_file() and path.suffix == ".txt":
            lines = [(number, line.strip()) for number, line in enumerate(read_text(path).splitlines(), 1)]
            found += [existing(root / line, f"{path} line {number}") for number, line in lines if line]
        else:
            raise InputError(
                str(file),
                received=f"{key}: {place}, which is no folder and no .txt file at {path}",
                expected="folders of images, or .txt files that list them",
                mend="Correct it; paths are from the entry path on, or from the file's own folder.",
            )
    if not found:
        raise InputError(
            str(file), received=f"{key}: {entry!r:.80}, without images", expected="images", mend="Correct the path."
        )
    # An image that is listed twice is still one.
    return sorted(set(found))


def _from_folder(folder: Path) -> tuple[dict[str, list[Path]], tuple[str, ...], dict[str, Path]]:
    listed = next((folder / name for name in CLASS_FILES if (folder / name).is_file()), None)
    if listed is None:
        raise InputError(
            str(folder),
            received="images/ and labels/ without the names of the classes",
            expected="data.yaml or classes.txt beside them",
            mend="Write classes.txt with the name of a class on each line.",
        )
    class_names = _names([line.strip() for line in read_text(listed).splitlines() if line.strip()], listed)
    folders = split_folders(folder / "images")
    images = {split: image_files(found) for split, found in folders.items()}
    if empty := [split for split, files in images.items() if not files]:
        raise InputError(
            str(folder / "images"), received=f"no images for {empty[0]}", expected="images", mend="Add some there."
        )
    return images, class_names, folders


def label_file(image: Path) -> Path:
    """Return where the labels of an image are: beside it, but below the last folder `labels` in place of `images`."""
    parts = list(image.parent.parts)
    for number in reversed(range(len(parts))):
        if parts[number] == "images":
            parts[number] = "labels"
            break
    return Path(*parts) / f"{image.stem}.txt"


def _read_one(files: list[Path], classes: int, invalid: str) -> Annotated:
    sizes = file_sizes(files)
    rows = [(number, *row) for number, file in enumerate(files) for row in _rows(label_file(file), classes)]
    image = np.array([row[0] for row in rows], np.int64)
    shares = np.array([row[2] for row in rows], np.float64).reshape(-1, 4)
    return annotate(
        sizes,
        image.tolist(),
        convert(shares, sizes[image], "rel_center_xywh"),
        [row[1] for row in rows],
        [False] * len(rows),
        open_files(files, sizes),
        where=lambda number: rows[number][3],
        invalid=invalid,
    )


def _rows(file: Path, classes: int) -> list[tuple[int, list[float], str]]:
    rows = []
    for number, line in enumerate(read_text(file).splitlines(), 1) if file.is_file() else ():
        words, where = line.split(), f"{file} line {number}"
        if not words:
            continue
        values = _numbers(words)
        if len(values) != 5 and (len(values) < 7 or len(values) % 2 == 0):
            raise InputError(
                where,
                received=f"{line.strip()!r:.80}",
                expected="five numbers: class, centre x, centre y, width, height; or a class and three points or more",
                mend="Correct the line.",
            )
        label, box = values[0], values[1:]
        if not (label.is_integer() and 0 <= label < classes):
            raise InputError(
                where,
                received=f"the unknown class {words[0]}",
                expected=f"a whole number from 0 to {classes - 1}",
                mend="Correct the line, or name all classes in data.yaml or classes.txt.",
            )
        if len(box) > 4:
            left, top, right, bottom = min(box[::2]), min(box[1::2]), max(box[::2]), max(box[1::2])
            box = [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top]
        if all(map(math.isfinite, box)) and max(map(abs, box)) > 2:
            raise InputError(
                where,
                received=f"{line.strip()!r:.80}",
                expected="shares of the image's sides, from 0 to 1",
                mend="Divide pixels by the width and height of the image.",
            )
        rows.append((int(label), box, where))
    return rows


def _numbers(words: list[str]) -> list[float]:
    try:
        return [float(word) for word in words]
    except ValueError:
        return []
