"""Boxes in arrays: images, the boxes of each, and the class of each box."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from kerasdl.data.boxes import convert
from kerasdl.data.detection_dataset import Annotated, annotate, letterbox_image
from kerasdl.data.detection_files import class_index
from kerasdl.data.images import refuse_fractions, to_uint8
from kerasdl.errors import InputError


def read_arrays(
    parts: Mapping[str, Sequence[Any]], *, box_format: str, num_classes: int | None, invalid: str
) -> tuple[dict[str, Annotated], tuple[str, ...]]:
    """Read (images, boxes, labels) of each split.

    Args:
        parts: By split: images of shape (height, width, channels) with 1, 3 or 4 channels, of one size or of several,
            values in [0, 255]; for each image its boxes of shape (boxes, 4), and their labels of shape (boxes,), all
            integers or all strings. Boxes with the label -1 are padding.
        box_format: What the four numbers of a box are, one of `kerasdl.data.boxes.FORMATS`.
        num_classes: The number of classes, for labels that are integers; None for the largest of training and 1 more.
        invalid: What is done about boxes that are wrong.

    Returns:
        What is known of each split, and the class names.

    Raises:
        InputError: For other shapes, types or lengths, labels that training does not have, boxes that are wrong.
    """
    images = {split: _images(part[0], f"{split} images") for split, part in parts.items()}
    flat = {split: _flat(split, len(images[split]), *part[1:]) for split, part in parts.items()}
    class_names = _class_names(
        np.concatenate([labels for _, _, labels in flat.values()]), flat["train"][2], num_classes
    )
    index = {name: number for number, name in enumerate(class_names)}
    found = {}
    for split, (owners, boxes, labels) in flat.items():
        sizes = np.array([image.shape[:2] for image in images[split]], np.int64)
        starts = np.searchsorted(owners, np.arange(len(sizes)))

        def where(number: int, split: str = split, owners: np.ndarray = owners, starts: np.ndarray = starts) -> str:
            return f"{split} boxes[{owners[number]}][{number - starts[owners[number]]}]"

        numbers = [class_index(str(label), index, where(number)) for number, label in enumerate(labels)]
        found[split] = annotate(
            sizes,
            owners.tolist(),
            convert(boxes, sizes[owners], box_format),
            numbers,
            [False] * len(numbers),
            _opener(images[split]),
            where=where,
            invalid=invalid,
        )
    return found, class_names


def _opener(images: list[np.ndarray]) -> Callable[[tuple[int, int]], Any]:
    def opened(image_size: tuple[int, int]) -> Callable[[np.ndarray], np.ndarray]:
        return lambda indices: np.stack([letterbox_image(_colour(images[index]), image_size) for index in indices])

    return opened


def _colour(image: np.ndarray) -> np.ndarray:
    return image[..., :3] if image.shape[2] >= 3 else np.repeat(image[..., :1], 3, axis=2)


def _images(given: Any, what: str) -> list[np.ndarray]:
    expected = "images of shape (height, width, channels) with 1, 3 or 4 channels"
    try:
        images = [np.asarray(image) for image in given]
    except (TypeError, ValueError):
        images = []
    if not images:
        raise InputError(what, received=f"{given!r:.60}", expected=expected, mend="Pass an array or a list of arrays.")
    found = []
    for number, image in enumerate(images):
        image = image[..., np.newaxis] if image.ndim == 2 else image
        if image.ndim != 3 or image.shape[2] not in (1, 3, 4) or not image.size:
            raise InputError(
                what,
                received=f"shape {image.shape} at index {number}",
                expected=expected,
                mend="Put channels last.",
            )
        if image.dtype.kind == "f" and 0 < image.max() <= 1 and image.min() >= 0:
            refuse_fractions(what, float(image.min()), float(image.max()))
        found.append(to_uint8(image, what=what))
    return found


def _flat(split: str, count: int, boxes: Any, labels: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the image, the corners and the label of every box that is no padding."""
    lengths = [len(given) if hasattr(given, "__len__") else -1 for given in (boxes, labels)]
    if lengths != [count, count]:
        raise InputError(
            split,
            received=f"{count} images, boxes of {lengths[0]} and labels of {lengths[1]}",
            expected="boxes and labels for each image, of length 0 where there are none",
            mend="Pass (images, boxes, labels) of one length.",
        )
    owners, corners, names = [], [np.zeros((0, 4))], []
    for number in range(count):
        try:
            here, classes = np.asarray(boxes[number], np.float64), np.asarray(labels[number])
        except (TypeError, ValueError) as error:
            here, classes = np.full((1, 0), np.nan), np.array([str(error)])
        here = here.reshape(0, 4) if not here.size and not classes.size else here
        if (
            here.ndim != 2
            or here.shape[1] != 4
            or classes.shape != here.shape[:1]
            or classes.dtype.kind not in "iuUTSOf"
        ):
            raise InputError(
                f"{split} boxes[{number}]",
                received=f"boxes of shape {here.shape} and labels of shape {classes.shape}, {classes.dtype}",
                expected="boxes of shape (boxes, 4) and as many labels, integers or strings",
                mend="Pass np.zeros((0, 4)) and [] for an image without objects.",
            )
        there = classes != -1 if classes.dtype.kind in "iuf" else np.ones(len(classes), bool)
        owners += [number] * int(there.sum())
        corners.append(here[there])
        names += [_plain(label, f"{split} boxes[{number}]") for label in classes[there].tolist()]
    return np.array(owners, np.int64), np.concatenate(corners), np.array(names, object)


def _plain(label: Any, where: str) -> int | str:
    if isinstance(label, float) and label.is_integer():
        label = int(label)
    if isinstance(label, bytes):
        label = label.decode()
    if isinstance(label, bool) or not isinstance(label, (int, str)) or (isinstance(label, int) and label < 0):
        raise InputError(
            where,
            received=f"the label {label!r}",
            expected="class indices from 0, or names; -1 for padding",
            mend="Correct it.",
        )
    return label


def _class_names(labels: np.ndarray, training: np.ndarray, num_classes: int | None) -> tuple[str, ...]:
    kinds = {type(label) for label in labels}
    if len(kinds) > 1:
        raise InputError(
            "labels", received="integers and strings", expected="one of the two", mend="Name all classes, or none."
        )
    if kinds == {str}:
        names = tuple(sorted(set(training)))
        if num_classes is not None and num_classes != len(names):
            raise InputError(
                "num_classes",
                received=f"{num_classes} for {len(names)} names: {', '.join(names[:10])}",
                expected=str(len(names)),
                mend="Leave it out.",
            )
        return names
    largest = int(max(training, default=-1)) + 1
    return tuple(str(number) for number in range(largest if num_classes is None else num_classes))
