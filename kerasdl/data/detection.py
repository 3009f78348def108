"""Images with boxes, of any source: found, checked, split, letterboxed to one size."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kerasdl.data.boxes import FORMATS, INVALID
from kerasdl.data.dataset import IN_MEMORY, SPLITS
from kerasdl.data.detection_arrays import read_arrays
from kerasdl.data.detection_coco import find_coco, read_coco
from kerasdl.data.detection_dataset import Annotated, DetectionDataset, DetectionSplit
from kerasdl.data.detection_tfds import read_tfds_boxes
from kerasdl.data.detection_voc import find_voc, read_voc
from kerasdl.data.detection_yolo import find_yolo, read_yolo
from kerasdl.data.samples import SAMPLES
from kerasdl.data.sources import safe_name
from kerasdl.data.splitting import draw_rows
from kerasdl.data.tfds import builder_names
from kerasdl.errors import InputError, check_choice, nearest

LARGEST_DEFAULT = 320
"""Pixels of the longer side at most when the user names no size: what a small detector can train on without a GPU."""
MULTIPLE = 32
"""Sides are a multiple of it by default: the coarsest grid of detectors."""
EXPECTED = (
    "a sample's or TFDS name, a folder or file of COCO (.json), Pascal VOC or YOLO (data.yaml), a mapping from split "
    "to (file, folder), arrays (images, boxes, labels) or a mapping from split to those"
)


@dataclass(frozen=True)
class _Found:
    name: str
    source: str
    parts: dict[str, Annotated]
    class_names: tuple[str, ...]


def load_detection(
    data: Any,
    *,
    image_size: tuple[int, int] | None = None,
    num_classes: int | None = None,
    box_format: str | None = None,
    invalid_boxes: str | None = None,
    validation_fraction: float = 0.1,
    test_fraction: float = 0.2,
    split_seed: int = 0,
    data_dir: str | Path | None = None,
) -> DetectionDataset:
    """Load images with boxes; :func:`kerasdl.data.load` with `kind="detection"` calls this.

    Args:
        data: "digit_scenes" or "garment_scenes"; a TFDS name ("voc/2007", "coco/2017"); a folder of COCO, Pascal VOC or
            YOLO, or the `.json` or `.yaml` file in it: see :func:`find_coco`, :func:`read_voc` and :func:`read_yolo`;
            (`.json` file, folder of images), or a mapping from split to such pairs; (images, boxes, labels), see
            :func:`kerasdl.data.detection_arrays.read_arrays`, or a mapping from split to such triples.
        image_size: Height and width that all images are letterboxed to; None for that of the images if they have one,
            else for a square of the median of their longer sides, either at most `LARGEST_DEFAULT` and up to the next
            multiple of `MULTIPLE`.
        num_classes: The number of classes, for labels that are integers in arrays.
        box_format: What the four numbers of a box are, for arrays; None for "xyxy". The names are those of
            `keras.utils.bounding_boxes`.
        invalid_boxes: "refuse" (as None) or "drop": what is done about boxes that are inverted, empty, not finite or
            outside. Up to a pixel beyond the border is always cut off.
        validation_fraction: Of the training images left after the test split.
        test_fraction: Of the training images.
        split_seed: Fixes which images are drawn for splits that the source does not have.
        data_dir: Where TFDS keeps its data.

    Returns:
        The dataset.

    Raises:
        InputError: For anything that is not as described, with file and line.

    Example:
        >>> dataset = kerasdl.data.load("digit_scenes", kind="detection")
        >>> images, targets = dataset.train.batch(np.arange(8))
    """
    if isinstance(data, DetectionDataset):
        return data
    invalid = "refuse" if invalid_boxes is None else invalid_boxes
    check_choice("invalid_boxes", invalid, INVALID)
    found = _find(data, num_classes=num_classes, box_format=box_format, invalid=invalid, data_dir=data_dir)
    for split, part in found.parts.items():
        if not len(part) or not len(part.image):
            raise InputError(
                f"{found.name} {split}",
                received=f"{len(part)} images without a single object",
                expected="images with objects",
                mend=f"Add boxes, or leave the {split} split out." if split != "train" else "Add boxes.",
            )
    chosen = {split: (split, np.arange(len(part))) for split, part in found.parts.items()}
    rows = found.parts["train"].presence(len(found.class_names))
    for split, fraction in (("test", test_fraction), ("validation", validation_fraction)):
        if split not in found.parts:
            indices = chosen["train"][1]
            taken = draw_rows(rows[indices], fraction, np.random.default_rng(split_seed))
            _refuse_empty(rows[indices], taken, split)
            chosen["train"], chosen[split] = ("train", indices[~taken]), ("train", indices[taken])
    sizes = np.concatenate([part.sizes for part in found.parts.values()])
    size = choose_size(sizes) if image_size is None else image_size
    most = max(part.most for part in found.parts.values())
    splits = {split: found.parts[part].split(indices, size, most) for split, (part, indices) in chosen.items()}
    return DetectionDataset(found.name, "detection", **splits, class_names=found.class_names, source=found.source)


def load_detection_split(
    data: Any, *, class_names: Sequence[str], image_size: tuple[int, int], invalid_boxes: str | None = None
) -> DetectionSplit:
    """Load images with boxes to measure a model on: the source's test split if it has one, else all of it.

    Args:
        data: As :func:`load_detection` takes it.
        class_names: The model's classes.
        image_size: What images are letterboxed to.
        invalid_boxes: As :func:`load_detection` takes it.

    Raises:
        InputError: As :func:`load_detection` does, and for objects of a class that the model does not have.
    """
    if isinstance(data, DetectionDataset):
        part: Any = data.parts[2]
        return _renamed(part, data.class_names, class_names)
    found = _find(data, num_classes=None, box_format=None, invalid=invalid_boxes or "refuse", data_dir=None)
    chosen = found.parts.get("test", found.parts["train"])
    split = chosen.split(np.arange(len(chosen)), image_size, max(chosen.most, 1))
    return _renamed(split, found.class_names, class_names)


def _renamed(split: DetectionSplit, names: Sequence[str], class_names: Sequence[str]) -> DetectionSplit:
    if tuple(names) == tuple(class_names):
        return split
    labels = split.targets[..., 4].astype(np.int64)
    known = {name: index for index, name in enumerate(class_names)}
    used = np.unique(labels[labels >= 0])
    if unknown := [names[label] for label in used if names[label] not in known]:
        raise InputError(
            "data",
            received=f"objects of the class {unknown[0]!r}",
            expected=f"classes of the model: {', '.join(list(class_names)[:10])}",
            mend=nearest(unknown[0], class_names),
        )
    # The last entry is for padding, which has the label -1.
    table = np.array([known.get(name, -1) for name in names] + [-1])
    targets = split.targets.copy()
    targets[..., 4] = table[labels]
    return DetectionSplit(split.inputs, targets, split.sizes)


def choose_size(sizes: np.ndarray) -> tuple[int, int]:
    """Return the height and width that images of these sizes, shape (count, 2), are letterboxed to by default."""
    one = (sizes == sizes[0]).all()
    wanted = sizes[0].astype(float) if one else np.full(2, np.median(sizes.max(axis=1)))
    wanted *= min(1.0, LARGEST_DEFAULT / wanted.max())
    height, width = (int(side) for side in np.ceil(wanted / MULTIPLE) * MULTIPLE)
    return height, width


def _refuse_empty(rows: np.ndarray, taken: np.ndarray, split: str) -> None:
    for where, name in ((taken, split), (~taken, "training")):
        if not (rows[where, -1] == 0).any():
            raise InputError(
                f"{split} split",
                received=f"{len(rows)} images to draw it from, which leaves none with objects for {name}",
                expected="enough images with objects for training, validation and test",
                mend=f"Add images, or bring a {split} split of your own.",
            )


def _find(
    data: Any, *, num_classes: int | None, box_format: str | None, invalid: str, data_dir: str | Path | None
) -> _Found:
    arrays = _array_parts(data)
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
        return _Found(
            "arrays", "arrays", *read_arrays(arrays, box_format=form, num_classes=num_classes, invalid=invalid)
        )
    if pairs := _file_parts(data):
        file = Path(pairs["train"][0])
        return _Found(safe_name(file.stem), "arrays", *read_coco(pairs, invalid=invalid))
    if isinstance(data, Path) or (isinstance(data, str) and _is_path(data)):
        return _find_path(Path(data), invalid)
    if isinstance(data, str):
        return _find_name(data, invalid, data_dir)
    raise InputError(
        "data", received=f"an object of type {type(data).__name__}", expected=EXPECTED, mend="Pass one of these."
    )


def _array_parts(data: Any) -> dict[str, Sequence[Any]] | None:
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


def _find_path(given: Path, invalid: str) -> _Found:
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
    return _Found(safe_name(name), str(given), parts, class_names)


def _find_name(name: str, invalid: str, data_dir: str | Path | None) -> _Found:
    samples = SAMPLES["detection"]
    if name in samples:
        make: Callable[..., Any] = samples[name]
        made = make(data_dir=data_dir)
        parts, class_names = read_arrays(made, box_format="xyxy", num_classes=None, invalid=invalid)
        return _Found(name, name, parts, class_names)
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
        return _Found(safe_name(word), name, parts, class_names)
    raise InputError(
        "data", received=repr(name), expected=EXPECTED, mend=nearest(word, [*samples, *builders, *os.listdir()])
    )
