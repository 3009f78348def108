"""`load`: checks every argument, and turns what `sources` found into a :class:`Dataset`."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kerasdl.data.dataset import Dataset
from kerasdl.data.images import choose_shape
from kerasdl.data.sources import find
from kerasdl.data.splitting import build_dataset
from kerasdl.errors import InputError, check_choice


def load(
    data: Any,
    *,
    kind: str = "images",
    image_size: int | Sequence[int] | None = None,
    input_shape: Sequence[int] | None = None,
    num_classes: int | None = None,
    validation_fraction: float = 0.1,
    test_fraction: float = 0.2,
    split_seed: int = 0,
    data_dir: str | Path | None = None,
) -> Dataset:
    """Load data of any source as training, validation and test splits.

    Every image is read once and kept as uint8, in memory or, above 1 GiB, in a memory-mapped temporary file. Splits
    that the source has are kept; a missing test split, then a missing validation split, is drawn from the training
    part, stratified by class. The same data and `split_seed` give the same splits.

    Args:
        data: The name of an embedded sample ("digits"); a TFDS name ("fashion_mnist", "tfds:mnist/3.0.1"); a folder
            with one sub-folder a class, or `train/`, `validation/` and `test/` with those; a `.npz` file; arrays
            (x, y) or ((x_train, y_train), (x_test, y_test)); a `tf.data.Dataset` of (image, label); a mapping from
            "train", "validation" and "test" to any of the last two. A `Dataset` is returned as is. Labels are integers
            or strings, one an image, or rows of 0 and 1, one column a class; unless every row has a single 1, several
            classes may be true at once: the data are multi-label.
        kind: What the inputs are; "images".
        image_size: Height and width in pixels, or one number for both, that all images are resized to.
        input_shape: Height, width and channels that all images are resized and converted to.
        num_classes: Number of classes; integer labels then lie in [0, num_classes).
        validation_fraction: Of the training examples left after the test split, in (0, 1).
        test_fraction: Of the training examples, in (0, 1).
        split_seed: Fixes which examples are drawn.
        data_dir: Where TFDS keeps its data; None for `TFDS_DATA_DIR` or `~/tensorflow_datasets`.

    Returns:
        The dataset.

    Raises:
        InputError: For anything that is not as described, before any training.

    Example:
        >>> print(load("digits").describe())
        digits: 1797 images of 8 x 8 x 1; 10 classes: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9
        train 1293, validation 144, test 360
    """
    if isinstance(data, Dataset):
        return data
    check_choice("kind", kind, ["images"])
    size: Any = _check_size("image_size", image_size, 2)
    shape: Any = _check_size("input_shape", input_shape, 3)
    if size and shape and shape[:2] != size:
        raise InputError(
            "image_size",
            received=f"{size} with input_shape={shape}",
            expected="one and the same height and width",
            mend="Pass only one of the two.",
        )
    for what, fraction in (("validation_fraction", validation_fraction), ("test_fraction", test_fraction)):
        if isinstance(fraction, bool) or not isinstance(fraction, numbers.Real) or not 0 < fraction < 1:
            raise InputError(what, received=repr(fraction), expected="a number in (0, 1)", mend="Pass 0.1, say.")
    _check_integer("split_seed", split_seed, 0, 2**32 - 1)
    if num_classes is not None:
        _check_integer("num_classes", num_classes, 2, 2**31 - 1)
    found = find(data, data_dir=data_dir)
    shapes = np.concatenate([images.shapes for images in found.images.values()])
    shape = choose_shape(shapes, image_size=size, input_shape=shape, what=found.name)
    return build_dataset(
        {split: images.open(shape) for split, images in found.images.items()},
        name=found.name,
        source=found.source,
        class_names=found.class_names,
        num_classes=num_classes,
        validation_fraction=validation_fraction,
        test_fraction=test_fraction,
        split_seed=split_seed,
    )


def load_again(data: Any, *, fingerprint: str, **arguments: Any) -> Dataset:
    """Load the data of a run again.

    Args:
        data: As for :func:`load`.
        fingerprint: The one that the dataset had.
        **arguments: As for :func:`load`.

    Raises:
        InputError: As `load` does, and when the data are others.
    """
    dataset = load(data, **arguments)
    if dataset.fingerprint != fingerprint:
        raise InputError(
            "data",
            received=f"data with fingerprint {dataset.fingerprint[:12]}",
            expected=f"the run's own, {fingerprint[:12]}",
            mend="Pass the data of the run: Result.load(directory, data=...).",
        )
    return dataset


def _check_size(what: str, size: Any, length: int) -> tuple[int, ...] | None:
    if size is None:
        return None
    values = (size,) * length if length == 2 and isinstance(size, numbers.Integral) else size
    valid = isinstance(values, (tuple, list)) and len(values) == length
    if not valid or any(isinstance(v, bool) or not isinstance(v, numbers.Integral) or v < 1 for v in values):
        expected = "(height, width, channels)" if length == 3 else "an integer or (height, width)"
        raise InputError(
            what, received=repr(size), expected=f"{expected} of positive integers", mend="Give sizes in pixels."
        )
    return tuple(int(value) for value in values)


def _check_integer(what: str, value: Any, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not low <= value <= high:
        raise InputError(what, received=repr(value), expected=f"an integer from {low} to {high}", mend="Correct it.")
