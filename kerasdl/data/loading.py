"""`load`: checks every argument, and turns what `sources` found into a :class:`Dataset`."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kerasdl.data.corpus import load_corpus
from kerasdl.data.dataset import Dataset
from kerasdl.data.deduplication import deduplicate as without_duplicates
from kerasdl.data.detection import load_detection
from kerasdl.data.forecasting import load_forecasting
from kerasdl.data.images import choose_shape
from kerasdl.data.kinds import KINDS
from kerasdl.data.series import series_shape
from kerasdl.data.sources import find
from kerasdl.data.splitting import build_dataset
from kerasdl.errors import InputError, check_choice
from kerasdl.series_values import MISSING

TEST_FRACTIONS = {"images": 0.2, "text": 0.2, "language": 0.1, "series": 0.2, "detection": 0.2}
BELONGS_TO = {
    "image_size": ("images", "detection"),
    "input_shape": ("images",),
    "text_column": ("text",),
    "label_column": ("text", "series"),
    "id_column": ("series",),
    "time_column": ("series",),
    "missing": ("series",),
    "deduplicate": ("images", "text", "series"),
    "box_format": ("detection",),
    "invalid_boxes": ("detection",),
}
"""The kinds of data that an argument is for."""


def load(
    data: Any,
    *,
    kind: str = "images",
    image_size: int | Sequence[int] | None = None,
    input_shape: Sequence[int] | None = None,
    num_classes: int | None = None,
    validation_fraction: float = 0.1,
    test_fraction: float | None = None,
    split_seed: int = 0,
    data_dir: str | Path | None = None,
    text_column: str | None = None,
    label_column: str | None = None,
    id_column: str | None = None,
    time_column: str | None = None,
    missing: str | None = None,
    deduplicate: bool = False,
    box_format: str | None = None,
    invalid_boxes: str | None = None,
) -> Dataset:
    """Load data of any source as training, validation and test splits.

    Every image is read once and kept as uint8, in memory or, above 1 GiB, in a memory-mapped temporary file; texts and
    series are kept likewise. Splits that the source has are kept; a missing test split, then a missing validation
    split, is drawn from the training part, stratified by class. The same data and `split_seed` give the same splits.

    Args:
        data: The name of an embedded sample ("digits", "glosses"); a TFDS name ("fashion_mnist",
            "tfds:mnist/3.0.1", "imdb_reviews"); a folder with one sub-folder a class, or `train/`, `validation/` and
            `test/` with those; a `.npz` file; arrays (x, y) or ((x_train, y_train), (x_test, y_test)); a
            `tf.data.Dataset` of (image, label) or (text, label); a mapping from "train", "validation" and "test" to
            any of the last two. Of texts, also a `.csv` or `.tsv` file with a header, or a folder with `train.csv`,
            `validation.csv` and `test.csv`; folders have a `.txt` file a text. Of
            series, also a `.ts` file, and of `name_TRAIN.ts` and `name_TEST.ts` the folder or one of the two; a list of
            arrays of different lengths; and tables of them. A `Dataset` is returned as is. Labels
            are integers or strings, one an example, or rows of 0 and 1, one column a class; unless every row has a
            single 1, several classes may be true at once: the data are multi-label.
        kind: What the inputs are: "images", "text" or "series", each with its class; "language", documents that are
            split by their position, see :func:`kerasdl.data.corpus.load_corpus`; "detection", images with boxes.
        image_size: Height and width in pixels, or one number for both, that all images are resized to.
        input_shape: Height, width and channels that all images are resized and converted to.
        num_classes: Number of classes; integer labels then lie in [0, num_classes).
        validation_fraction: Of the training examples left after the test split, in (0, 1).
        test_fraction: Of the training examples, in (0, 1); None for 0.2, of a language 0.1.
        split_seed: Fixes which examples are drawn.
        data_dir: Where TFDS keeps its data; None for `TFDS_DATA_DIR` or `~/tensorflow_datasets`.
        text_column: The column of a table that has the texts; None for one with a usual name, see
            :func:`kerasdl.data.tables.read_table`.
        label_column: The column of a table that has the labels.
        id_column: The column of a table that says which series a row belongs to; see
            :func:`kerasdl.data.series_tables.read_series_table`, also for the next.
        time_column: The column of a table that has the time.
        missing: What is done with values that are missing inside a series: "refuse" (as None) or "interpolate".
        deduplicate: Whether training examples that are also in the validation or test split are dropped, see
            :func:`kerasdl.data.deduplication.deduplicate`. For images, texts and series.
        box_format: What the four numbers of a box are, see :func:`kerasdl.data.detection.load_detection`, also for the
            next and for what `data` may be.
        invalid_boxes: What is done about boxes that are wrong: "refuse" (as None) or "drop".

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
        return without_duplicates(data) if deduplicate else data
    check_choice("kind", kind, TEST_FRACTIONS)
    test_fraction = TEST_FRACTIONS[kind] if test_fraction is None else test_fraction
    given = {
        "image_size": image_size,
        "input_shape": input_shape,
        "text_column": text_column,
        "label_column": label_column,
        "id_column": id_column,
        "time_column": time_column,
        "missing": missing,
        "deduplicate": deduplicate or None,
        "box_format": box_format,
        "invalid_boxes": invalid_boxes,
    }
    for what, value in given.items():
        if value is not None and kind not in BELONGS_TO[what]:
            raise InputError(
                what,
                received=repr(value),
                expected=f"None for kind={kind!r}",
                mend=f"Leave it out: it is for kind={' and '.join(map(repr, BELONGS_TO[what]))}.",
            )
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
        least = 1 if kind == "detection" else 2
        mend = "Leave num_classes out: the classes in the data are counted."
        _check_integer("num_classes", num_classes, least, 2**31 - 1, mend=mend)
    if kind == "language":
        return load_corpus(
            data, validation_fraction=validation_fraction, test_fraction=test_fraction, data_dir=data_dir
        )
    if kind == "detection":
        return load_detection(
            data,
            image_size=size,
            num_classes=num_classes,
            box_format=box_format,
            invalid_boxes=invalid_boxes,
            validation_fraction=validation_fraction,
            test_fraction=test_fraction,
            split_seed=split_seed,
            data_dir=data_dir,
        )
    if missing is not None:
        check_choice("missing", missing, MISSING)
    columns: Any = {what: given[what] for what in given if what.endswith("_column") and kind in BELONGS_TO[what]}
    found = find(data, kind=kind, data_dir=data_dir, missing=missing, **columns)
    if kind == "images":
        shapes = np.concatenate([part.shapes for part in found.parts.values()])
        shape = choose_shape(shapes, image_size=size, input_shape=shape, what=found.name)
    elif kind == "series":
        shape = series_shape(found.parts)
    dataset = build_dataset(
        {split: part.open(shape) for split, part in found.parts.items()},
        name=found.name,
        source=found.source,
        kind=kind,
        noun=KINDS[kind].noun,
        class_names=found.class_names,
        num_classes=num_classes,
        validation_fraction=validation_fraction,
        test_fraction=test_fraction,
        split_seed=split_seed,
    )
    return without_duplicates(dataset) if deduplicate else dataset


def load_again(data: Any, *, fingerprint: str, kind: str = "images", **arguments: Any) -> Dataset:
    """Load the data of a run again.

    Args:
        data: As for :func:`load`.
        fingerprint: The one that the dataset had.
        kind: As for :func:`load`, or "forecasting".
        **arguments: As for :func:`load`, or :func:`kerasdl.data.load_forecasting`.

    Raises:
        InputError: As `load` does, and when the data are others.
    """
    dataset = load_forecasting(data, **arguments) if kind == "forecasting" else load(data, kind=kind, **arguments)
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


def _check_integer(what: str, value: Any, low: int, high: int, *, mend: str = "Correct it.") -> None:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not low <= value <= high:
        raise InputError(what, received=repr(value), expected=f"an integer from {low} to {high}", mend=mend)
