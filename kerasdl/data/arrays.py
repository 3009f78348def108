"""Images in arrays: pairs of arrays, and `.npz` files of them."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from kerasdl.data.images import conform, refuse_fractions, to_uint8
from kerasdl.data.splitting import Part
from kerasdl.errors import InputError

SPLIT_KEYS = {"train": ("train",), "validation": ("validation", "val"), "test": ("test",)}
"""The endings of `x_` and `y_` in a `.npz` file, by split."""
DAMAGE = (OSError, EOFError, ValueError, TypeError, KeyError, AttributeError, zipfile.BadZipFile, zlib.error)
"""What NumPy raises for files that are cut short, altered or of another type."""


class ArrayImages:
    """A pair of arrays, checked.

    Args:
        inputs: Images of shape (count, height, width) or (count, height, width, channels); whole numbers in [0, 255].
        targets: Labels of shape (count,) or (count, 1), or one-hot rows of shape (count, classes).
        what: How messages name the pair.

    Raises:
        InputError: For a wrong rank or type, no images, values that are no pixels, lengths that differ.
    """

    def __init__(self, inputs: object, targets: object, *, what: str):
        images = _as_images(inputs, f"{what} images")
        labels = _length(targets, what)
        if len(images) != labels:
            raise InputError(
                what,
                received=f"{len(images)} images and {labels} labels",
                expected="one label per image",
                mend="Check that both come from the same examples.",
            )
        self._images = images
        self._labels = targets
        self.shapes = np.array([images.shape[1:]])

    def open(self, shape: tuple[int, int, int]) -> Part:
        """Return the part, its images brought to `shape`."""
        return Part(self._labels, lambda indices: conform(self._images[indices], shape))


def _length(targets: Any, what: str) -> int:
    try:
        return len(targets)
    except TypeError:
        raise InputError(
            f"{what} labels",
            received=repr(targets)[:80],
            expected="an array with one label per image",
            mend="Pass the pair (images, labels).",
        ) from None


def _as_images(inputs: object, what: str) -> np.ndarray:
    mend = "Pass one uint8 array of shape (count, height, width, channels)."
    try:
        images = np.asarray(inputs)
    except ValueError:
        raise InputError(
            what, received="images of different shapes", expected="one array", mend=f"Resize them first. {mend}"
        ) from None
    if images.dtype.kind == "O":
        raise InputError(what, received="an object array", expected="an array of numbers", mend=mend)
    if images.ndim not in (3, 4):
        expected = "shape (count, height, width) or (count, height, width, channels)"
        raise InputError(what, received=f"shape {images.shape}", expected=expected, mend=mend)
    images = images if images.ndim == 4 else images[..., np.newaxis]
    if not images.size:
        raise InputError(
            what, received=f"shape {images.shape}", expected="at least one image of at least one pixel", mend=mend
        )
    if images.shape[1] in (1, 3) and images.shape[3] > 4:
        raise InputError(
            what,
            received=f"shape {images.shape}, channels first",
            expected="channels last",
            mend="Pass np.moveaxis(x, 1, -1).",
        )
    if images.dtype.kind == "f" and 0 < images.max() <= 1 and images.min() >= 0:
        refuse_fractions(what, float(images.min()), float(images.max()))
    return to_uint8(images, what=what)


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Return all arrays of a `.npz` file by name.

    Raises:
        InputError: For a damaged file and pickled objects.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            return {key: file[key] for key in file.files}
    except DAMAGE as error:
        # NumPy takes any other file for a pickle.
        archive = zipfile.is_zipfile(path)
        pickled = archive and "pickle" in str(error).lower()
        raise InputError(
            str(path),
            received="pickled objects" if pickled else f"a damaged file ({error if archive else 'no zip archive'})",
            expected="a .npz file of plain arrays",
            mend="Write it with np.savez(path, x_train=..., y_train=...), from arrays that are not of type object.",
        ) from None


def read_npz(path: Path) -> tuple[dict[str, tuple[np.ndarray, np.ndarray]], tuple[str, ...] | None]:
    """Read the arrays of a `.npz` file.

    Args:
        path: A file with `x_train, y_train` and, if it has them, `x_validation` (or `x_val`) and `x_test` with their
            labels; or with `x, y`. `class_names` may name the classes.

    Returns:
        The pairs by split, and the class names or None.

    Raises:
        InputError: For a damaged file, pickled objects, missing arrays.
    """
    arrays = read_arrays(path)
    names = arrays.get("class_names")
    pairs = {}
    for split, endings in SPLIT_KEYS.items():
        for ending in (f"_{ending}" for ending in endings):
            if f"x{ending}" in arrays or f"y{ending}" in arrays:
                pairs[split] = (_key(arrays, f"x{ending}", path), _key(arrays, f"y{ending}", path))
    if "train" not in pairs:
        start = "_train" if pairs or "x" not in arrays and "y" not in arrays else ""
        pairs["train"] = (_key(arrays, f"x{start}", path), _key(arrays, f"y{start}", path))
    return pairs, None if names is None else tuple(str(name) for name in names.tolist())


def _key(arrays: dict[str, np.ndarray], key: str, path: Path) -> np.ndarray:
    if key not in arrays:
        raise InputError(
            str(path),
            received=f"the arrays {', '.join(arrays) or '(none)'}",
            expected=f"also {key}",
            mend="Write x_train, y_train, x_test, y_test, or x and y.",
        )
    return arrays[key]
