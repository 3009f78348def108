"""Images with boxes, of any source: found, checked, split, letterboxed to one size."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kerasdl.data.boxes import INVALID
from kerasdl.data.cache import ImageWriter
from kerasdl.data.dataset import CHUNK
from kerasdl.data.detection_dataset import DetectionDataset, DetectionSplit
from kerasdl.data.detection_sources import array_parts, find_boxes
from kerasdl.data.splitting import draw_rows
from kerasdl.errors import InputError, check_choice, nearest

LARGEST_DEFAULT = 320
"""Pixels of the longer side at most when the user names no size: what a small detector can train on without a GPU."""
MULTIPLE = 32
"""Sides are a multiple of it by default: the coarsest grid of detectors."""


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

    A split in files that lists the training images again, as of some small examples, is drawn as a missing one is.

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
    found = find_boxes(data, num_classes=num_classes, box_format=box_format, invalid=invalid, data_dir=data_dir)
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
    return DetectionDataset(
        found.name,
        "detection",
        **splits,
        class_names=found.class_names,
        source=found.source,
        dropped=sum(part.dropped for part in found.parts.values()),
    )


def load_detection_split(
    data: Any,
    *,
    class_names: Sequence[str],
    image_size: tuple[int, int],
    box_format: str | None = None,
    invalid_boxes: str | None = None,
) -> DetectionSplit:
    """Load images with boxes to measure a model on: the source's test split if it has one, else all of it.

    Args:
        data: As :func:`load_detection` takes it.
        class_names: The model's classes. Integers in arrays that name none of them are their indices.
        image_size: What images are letterboxed to.
        box_format: As :func:`load_detection` takes it; what is no arrays says itself what its boxes are.
        invalid_boxes: As :func:`load_detection` takes it.

    Raises:
        InputError: As :func:`load_detection` does, and for objects of a class that the model does not have.
    """
    if isinstance(data, DetectionDataset):
        part: Any = data.parts[2]
        return _renamed(part, data.class_names, class_names, source=data.source)
    invalid = "refuse" if invalid_boxes is None else invalid_boxes
    check_choice("invalid_boxes", invalid, INVALID)
    form = None if array_parts(data) is None else box_format
    found = find_boxes(data, num_classes=None, box_format=form, invalid=invalid, data_dir=None)
    chosen = [found.parts["test"]] if "test" in found.parts else list(found.parts.values())
    most = max(1, *(part.most for part in chosen))
    splits = [part.split(np.arange(len(part)), image_size, most) for part in chosen]
    return _renamed(_joined(splits), found.class_names, class_names, source=found.source)


def _joined(splits: Sequence[DetectionSplit]) -> DetectionSplit:
    if len(splits) == 1:
        return splits[0]
    # Chunk by chunk, as images may be in memory maps because they do not fit into memory.
    writer = ImageWriter()
    for split in splits:
        for start in range(0, len(split), CHUNK):
            writer.append(split.inputs[start : start + CHUNK])
    targets, sizes = (np.concatenate([getattr(split, name) for split in splits]) for name in ("targets", "sizes"))
    return DetectionSplit(writer.finish(), targets, sizes)


def _renamed(split: DetectionSplit, names: Sequence[str], class_names: Sequence[str], *, source: str) -> DetectionSplit:
    if tuple(names) == tuple(class_names):
        return split
    labels = split.targets[..., 4].astype(np.int64)
    known = {name: index for index, name in enumerate(class_names)}
    used = [names[label] for label in np.unique(labels[labels >= 0])]
    numbered = source == "arrays" and list(names) == [str(index) for index in range(len(names))]
    if numbered and not all(name in known for name in used):
        # Integers had no names, so they are the places of the model's own.
        known = {str(index): index for index in range(len(class_names))}
    if unknown := [name for name in used if name not in known]:
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
