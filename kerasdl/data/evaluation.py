"""What training and measuring need of data beside its splits: class weights, and data to measure a model on."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kerasdl.data.corpus import load_documents
from kerasdl.data.dataset import Dataset, Split
from kerasdl.data.detection import load_detection_split
from kerasdl.data.kinds import KINDS
from kerasdl.data.labels import EXPECTED, as_rows, read_labels
from kerasdl.data.sources import find
from kerasdl.data.splitting import Part, materialise
from kerasdl.errors import InputError, nearest, plural


def load_split(
    data: Any,
    *,
    kind: str = "images",
    class_names: Sequence[str] = (),
    input_shape: tuple[Any, ...] = (),
    multi_label: bool = False,
    missing: str | None = None,
    box_format: str | None = None,
    invalid_boxes: str | None = None,
) -> Split:
    """Load data to measure a model on: the source's test split if it has one, else all of it.

    Args:
        data: Data of any kind that :func:`kerasdl.data.load` takes.
        kind: What the inputs are: "images", "text", "series", "language" or "detection".
        class_names: The model's classes; none for a language. Labels are their names; integers without names are their
            indices, columns without names are in their order.
        input_shape: Height, width and channels that all images are converted or letterboxed to; () for texts;
            length, None for any, and channels that series must have.
        multi_label: Whether the model says of each class by itself whether it is there.
        missing: What is done with values that are missing inside a series.
        box_format: What the four numbers of a box are, for arrays of images with boxes.
        invalid_boxes: What is done about boxes that are wrong: "refuse" (as None) or "drop".

    Raises:
        InputError: When the data cannot be read or have labels that the model does not know.
    """
    if isinstance(data, Dataset) and data.kind != kind:
        raise InputError(
            "data",
            received=f"a Dataset of kind {data.kind!r}",
            expected=f"one of kind {kind!r}",
            mend=f"Load it with kerasdl.data.load(..., kind={kind!r}).",
        )
    if kind == "language":
        return data.test if isinstance(data, Dataset) else load_documents(data)
    if kind == "detection":
        return load_detection_split(
            data,
            class_names=class_names,
            image_size=input_shape[:2],
            box_format=box_format,
            invalid_boxes=invalid_boxes,
        )
    noun = KINDS[kind].noun
    if isinstance(data, Dataset):
        width: int | None = data.num_classes
        names: tuple[str, ...] | None = data.class_names
        inputs, labels = data.test.inputs, data.test.targets
    else:
        found = find(data, kind=kind, missing=missing)
        chosen = [found.parts["test"]] if "test" in found.parts else list(found.parts.values())
        inputs, labels, width = _read([part.open(input_shape) for part in chosen], noun)
        names = found.class_names
    if multi_label:
        if width is None:
            raise InputError(
                "labels",
                received=f"one label per {noun}",
                expected=f"rows of 0 and 1 of shape (count, {len(class_names)}): the model is multi-label",
                mend="Encode them with keras.utils.to_categorical.",
            )
        return Split(inputs, _in_order(as_rows(labels, width), names, class_names))
    if labels.ndim == 2:
        raise InputError(
            "labels",
            received="rows with several classes, or none",
            expected=f"one label per {noun}, which is all that the model knows: {EXPECTED}",
            mend=f"Measure it on {plural(noun)} of one class each.",
        )
    if names is not None and labels.dtype.kind == "i":
        labels = np.array(names)[labels]
    return Split(inputs, _to_indices(labels, class_names))


def _read(parts: Sequence[Part], noun: str) -> tuple[np.ndarray, np.ndarray, int | None]:
    """Return the inputs of all parts, and their labels and the number of columns as `read_labels` does."""
    read = [read_labels(part.labels, what="labels", noun=noun) for part in parts]
    counts = [len(labels) for labels, _ in read]
    if len({width for _, width in read}) > 1:
        raise InputError(
            "labels",
            received=" and ".join(f"{width or 'no'} columns" for _, width in read),
            expected="the same in all splits",
            mend="Bring labels of one kind.",
        )
    if len(parts) > 1:
        # Rows again, as those of one split may have one class each by chance.
        rows = [labels if width is None else as_rows(labels, width) for labels, width in read]
        read = [read_labels(np.concatenate(rows), what="labels", noun=noun)]
    starts = np.cumsum([0, *counts])

    def inputs(indices: np.ndarray) -> np.ndarray:
        here = [indices[(start <= indices) & (indices < end)] - start for start, end in itertools.pairwise(starts)]
        return np.concatenate([part.read(some) for part, some in zip(parts, here, strict=True) if len(some)])

    labels, width = read[0]
    return materialise(Part(labels, inputs), np.arange(len(labels))), labels, width


def _in_order(rows: np.ndarray, names: Sequence[str] | None, class_names: Sequence[str]) -> np.ndarray:
    numbers = tuple(str(index) for index in range(rows.shape[1]))
    if names is not None and sorted(names) == sorted(class_names):
        return rows[:, [list(names).index(name) for name in class_names]]
    if rows.shape[1] != len(class_names) or (names is not None and tuple(names) != numbers):
        raise InputError(
            "labels",
            received=f"{rows.shape[1]} columns{'' if names is None else ': ' + ', '.join(names[:10])}",
            expected=f"the model's {len(class_names)} classes: {', '.join(class_names[:10])}",
            mend="Give one column for each of them.",
        )
    return rows


def _to_indices(labels: np.ndarray, class_names: Sequence[str]) -> np.ndarray:
    names = {name: index for index, name in enumerate(class_names)}
    if labels.dtype.kind == "i" and not all(str(label) in names for label in np.unique(labels)):
        names = {str(index): index for index in range(len(class_names))}
    unknown = [label for label in np.unique(labels) if str(label) not in names]
    if unknown:
        raise InputError(
            "labels",
            received=f"the class {str(unknown[0])!r}",
            expected=f"classes of the model: {', '.join(class_names[:10])}",
            mend=nearest(str(unknown[0]), class_names),
        )
    return np.array([names[str(label)] for label in labels], dtype=np.int64)


def class_weights(dataset: Dataset, weights: str | Mapping[str, float] | None) -> dict[int, float] | None:
    """Return the weight of each class index in the loss.

    Args:
        dataset: Its training targets are counted.
        weights: "balanced" for weights inverse to the classes' frequencies, 1 on average over the examples; or the
            weight of classes by name, 1 for those not named; or None.

    Raises:
        InputError: For a class that the dataset does not have, or when several classes may be true at once.
    """
    if weights is None:
        return None
    if dataset.multi_label:
        noun = KINDS[dataset.kind].noun
        raise InputError(
            "class_weight",
            received=repr(weights),
            expected=f"none: {plural(noun)} of {dataset.name} may have several classes, and a weight is given to a "
            f"whole {noun}",
            mend="Leave class_weight out.",
        )
    if isinstance(weights, str):
        counts = np.bincount(dataset.train.targets, minlength=dataset.num_classes)
        present = counts > 0
        balanced = len(dataset.train) / (present.sum() * np.maximum(counts, 1))
        return {index: float(weight) for index, weight in enumerate(np.where(present, balanced, 1.0))}
    named = {str(name): float(weight) for name, weight in weights.items()}
    for name in named:
        if name not in dataset.class_names:
            raise InputError(
                "class_weight",
                received=f"the class {name!r}",
                expected=f"classes of {dataset.name}: {', '.join(dataset.class_names[:10])}",
                mend=nearest(name, dataset.class_names),
            )
    return {index: named.get(name, 1.0) for index, name in enumerate(dataset.class_names)}
