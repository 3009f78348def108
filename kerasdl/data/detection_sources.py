"""Where images with boxes come from: names, folders, files and arrays, told apart and read."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kerasdl.data.boxes import FORMATS
from kerasdl.data.dataset import IN_MEMORY, SPLITS
from kerasdl.data.detection_arrays import read_arrays
from kerasdl.data.detection_coco import find_coco, read_coco
from kerasdl.data.detection_dataset import Annotated
from kerasdl.data.detection_tfds import read_tfds_boxes
from kerasdl.data.detection_voc import find_voc, read_voc
from kerasdl.data.detection_yolo import find_yolo, read_yolo
from kerasdl.data.samples import SAMPLES
from kerasdl.data.sources import safe_name
from kerasdl.data.tfds import builder_names
from kerasdl.errors import InputError, check_choice, nearest

EXPECTED = (
    "a sample's or TFDS name, a folder or file of COCO (.json), Pascal VOC or YOLO (data.yaml), a mapping from split "
    "to (file, folder), arrays (images, boxes, labels) or a mapping from split to those"
)


@dataclass(frozen=True)
class FoundBoxes:
    """What data were found to be: their name, how to load them again, their splits and the names of the classes."""

    name: str
    source: str
    parts: dict[str, Annotated]
    class_names: tuple[str, ...]


def find_boxes(
    data: Any, *, num_classes: int | None, box_format: str | None, invalid: str, data_dir: str | Path | None
) -> FoundBoxes:
    """Find and read data; arguments as of :func:`kerasdl.data.detection.load_detection`.

    Raises:
        InputError: For anything that is not as described there.
    """
    arrays = array_parts(data)
    for what, value in (("box_format", box_format), ("num_classes", num_classes)):
        if value is not None and arrays is None:
            raise InputError(
                what,
                received=f"{value!r} for data that are no arrays",
                expected="None: files and names say it themselves",
                mend="Leave it out.",
            )
    if arrays is not None:
        form = box_format or "xyxy"
        check_choice("box_format", form, FORMATS)
        return FoundBoxes(
            "arrays", "arrays", *read_arrays(arrays, box_format=form, num_classes=num_classes, invalid=invalid)
        )
    if pairs := _file_parts(data):
        file = Path(pairs["train"][0])
        return FoundBoxes(safe_name(file.stem), "arrays", *read_coco(pairs, invalid=invalid))
    if isinstance(data, Path) or (isinstance(data, str) and _is_path(data)):
        return _find_path(Path(data), invalid)
    if isinstance(data, str):
        return _find_name(data, invalid, data_dir)
    raise InputError(
        "data", received=f"an object of type {type(data).__name__}", expected=EXPECTED, mend="Pass one of these."
    )


def array_parts(data: Any) -> dict[str, Sequence[Any]] | None:
    """Return (images, boxes, labels) of each split, or None when the data are no arrays."""
    given = data if isinstance(data, Mapping) else {"train": data}
    if not given or not all(isinstance(part, (tuple, list)) and len(part) == 3 for part in given.values()):
        return None
    return _check_splits(given)


def _file_parts(data: Any) -> dict[str, tuple[Path, Path | None]] | None:
    given = data if isinstance(data, Mapping) else {"train": data}
    pairs = {}
    for split, part in given.items():
        if not isinstance(part, (tuple, list)) or len(part) != 2 or not all(isinstance(p, (str, Path)) for p in part):
            return None
        pairs[split] = (Path(part[0]).expanduser(), Path(part[1]).expanduser())
    return _check_splits(pairs) if pairs else None


def _check_splits(given: Mapping[str, Any]) -> dict[str, Any]:
    unknown = [split for split in given if split not in SPLITS]
    if unknown or "train" not in given:
        raise InputError(
            "data",
            received=f"a mapping with {', '.join(map(str, given))}",
            expected="the splits train, validation and test, of which train must be there",
            mend=nearest(unknown[0], SPLITS) if unknown else "Add train.",
        )
    return dict(given)


def _is_path(data: str) -> bool:
    return data not in SAMPLES["detection"] and os.path.exists(os.path.expanduser(data))


def _find_path(given: Path, invalid: str) -> FoundBoxes:
    path = given.expanduser()
    if not os.path.exists(path):
        raise InputError("data", received=f"{path}, which does not exist", expected=EXPECTED, mend="Check the path.")
    name = path.resolve().name if path.is_dir() else path.resolve().parent.name
    if root := find_voc(path):
        parts, class_names = read_voc(root, invalid=invalid)
    elif found := find_yolo(path):
        parts, class_names = read_yolo(found, invalid=invalid)
    elif pairs := find_coco(path):
        parts, class_names = read_coco(pairs, invalid=invalid)
    else:
        raise InputError(
            "data",
            received=f"{path}, in which nothing of a known format was found",
            expected="annotations/*.json and images (COCO), Annotations/*.xml and JPEGImages/ (Pascal VOC), data.yaml "
            "or images/, labels/ and classes.txt (YOLO)",
            mend="Pass the folder right above these, or the .json or .yaml file.",
        )
    return FoundBoxes(safe_name(name), str(given), parts, class_names)


def _find_name(name: str, invalid: str, data_dir: str | Path | None) -> FoundBoxes:
    samples = SAMPLES["detection"]
    if name in samples:
        make: Callable[..., Any] = samples[name]
        made = make(data_dir=data_dir)
        parts, class_names = read_arrays(made, box_format="xyxy", num_classes=None, invalid=invalid)
        return FoundBoxes(name, name, parts, class_names)
    if name in IN_MEMORY:
        raise InputError(
            "data",
            received=f"{name!r}, what the configuration of a run on data from memory says",
            expected="those data",
            mend="Pass the same arrays again.",
        )
    builders = builder_names()
    word = name.removeprefix("tfds:")
    if name.startswith("tfds:") or re.split("[/:]", word)[0] in builders:
        parts, class_names = read_tfds_boxes(word, data_dir=data_dir, samples=samples, invalid=invalid)
        return FoundBoxes(safe_name(word), name, parts, class_names)
    raise InputError(
        "data", received=repr(name), expected=EXPECTED, mend=nearest(word, [*samples, *builders, *os.listdir()])
    )
