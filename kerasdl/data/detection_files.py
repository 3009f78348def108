"""Image files with annotations in other files: what COCO, Pascal VOC and YOLO folders have in common."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from kerasdl.data.detection_dataset import check_size, letterbox_image
from kerasdl.data.folders import DECODERS, SUFFIXES, read_bytes, stored_shape
from kerasdl.errors import InputError, nearest


def open_files(files: Sequence[Path], sizes: np.ndarray) -> Callable[[tuple[int, int]], Any]:
    """Return what `Annotated.open` is for image files: they are decoded when read, in several threads.

    Args:
        files: The images.
        sizes: Height and width that each must have.
    """

    def opened(image_size: tuple[int, int]) -> Callable[[np.ndarray], np.ndarray]:
        def read_one(index: int) -> np.ndarray:
            return letterbox_image(check_size(str(files[index]), decode_file(files[index]), sizes[index]), image_size)

        def read(indices: np.ndarray) -> np.ndarray:
            with ThreadPoolExecutor(DECODERS) as pool:
                return np.stack(list(pool.map(read_one, indices)))

        return read

    return opened


def decode_file(file: Path) -> np.ndarray:
    """Return an image file as uint8 of shape (height, width, 3), and refuse what does not decode."""
    import tensorflow as tf

    from kerasdl.data.images import decode

    content = read_bytes(file)
    try:
        return decode(content, 3).numpy()
    except (tf.errors.InvalidArgumentError, ValueError):
        stored_shape(file)
        raise


def file_sizes(files: Sequence[Path]) -> np.ndarray:
    """Decode image files and return their heights and widths, int64 of shape (count, 2)."""
    with ThreadPoolExecutor(DECODERS) as pool:
        return np.array([shape[:2] for shape in pool.map(stored_shape, files)], np.int64).reshape(-1, 2)


def image_files(folder: Path) -> list[Path]:
    """Return the image files right in a folder, by name."""
    files = [file for file in folder.iterdir() if not file.name.startswith(".")] if folder.is_dir() else []
    return sorted(file for file in files if file.suffix.lower() in SUFFIXES)


def existing(file: Path, where: str) -> Path:
    """Return the path of an image that an annotation is about, and refuse it when it is not there."""
    if not os.path.isfile(file):
        raise InputError(
            where,
            received=f"the image {file}, which does not exist",
            expected="an image file",
            mend="Put it there, or take its annotation out.",
        )
    return file


def read_text(file: Path) -> str:
    """Return the text of an annotation file, and refuse it when it cannot be read."""
    try:
        return file.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        problem = error.strerror if isinstance(error, OSError) else "a file that is no text in UTF-8"
        raise InputError(
            str(file), received=problem, expected="a readable text file", mend="Check the path, or save it as UTF-8."
        ) from None


def class_index(name: str, names: dict[str, int], where: str) -> int:
    """Return the index of a class, and refuse one that is not known."""
    if name not in names:
        raise InputError(
            where,
            received=f"the unknown class {name!r}",
            expected=f"one of {', '.join(list(names)[:10])}{', ...' if len(names) > 10 else ''}",
            mend=nearest(name, names),
        )
    return names[name]
