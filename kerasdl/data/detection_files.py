"""Image files with annotations in other files: what COCO, Pascal VOC and YOLO folders have in common."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from kerasdl.data.detection_dataset import check_size, letterbox_image
from kerasdl.data.exif import orientation
from kerasdl.data.folders import DECODERS, read_bytes, stored_shape
from kerasdl.errors import InputError, nearest


def open_files(files: Sequence[Path], sizes: np.ndarray) -> Callable[[tuple[int, int]], Any]:
    """Return what `Annotated.open` is for image files: they are decoded when read, in several threads.

    Args:
        files: The images.
        sizes: Height and width that each must have.
    """

    def opened(image_size: tuple[int, int]) -> Callable[[np.ndarray], np.ndarray]:
        def read_one(index: int) -> np.ndarray:
            image = decode_file(files[index])
            check_size(str(files[index]), image.shape[:2], sizes[index])
            return letterbox_image(image, image_size)

        def read(indices: np.ndarray) -> np.ndarray:
            with ThreadPoolExecutor(DECODERS) as pool:
                return np.stack(list(pool.map(read_one, indices)))

        return read

    return opened


def decode_file(file: Path) -> np.ndarray:
    """Return an image file as uint8 of shape (height, width, 3), and refuse what does not decode or is turned."""
    import tensorflow as tf

    from kerasdl.data.images import decode

    content = read_bytes(file)
    _refuse_turned(file, content)
    try:
        return decode(content, 3).numpy()
    except (tf.errors.InvalidArgumentError, ValueError):
        stored_shape(file)
        raise


def file_sizes(files: Sequence[Path]) -> np.ndarray:
    """Decode image files and return their heights and widths, int64 of shape (count, 2), and refuse turned ones."""

    def measure(file: Path) -> tuple[int, ...]:
        _refuse_turned(file, read_bytes(file))
        return stored_shape(file)[:2]

    with ThreadPoolExecutor(DECODERS) as pool:
        return np.array(list(pool.map(measure, files)), np.int64).reshape(-1, 2)


def _refuse_turned(file: Path, content: bytes) -> None:
    # Whether boxes were drawn on the pixels as stored or as shown is written nowhere.
    if (found := orientation(content)) != 1:
        raise InputError(
            str(file),
            received=f"a JPEG that its EXIF says to turn or mirror (orientation {found}) before it is shown",
            expected="pixels that are stored as they were annotated",
            mend="Apply the turn to the pixels (mogrify -auto-orient); or, if the boxes are of the pixels as stored, "
            "take the tag out (exiftool -Orientation=).",
        )


def distinct(files: Mapping[str, Sequence[Path]], lists: Mapping[str, object]) -> list[str]:
    """Return the splits that there are, without those whose images are just the training images again.

    These would measure what was learned by heart; without them, as if there were none, they are drawn.

    Args:
        files: The images of each split.
        lists: Where those are listed, for messages.

    Raises:
        InputError: When splits share some of their images.
    """
    paths = {split: {os.path.realpath(file) for file in found} for split, found in files.items()}
    kept = [split for split in paths if split == "train" or paths[split] != paths["train"]]
    for number, split in enumerate(kept):
        for other in kept[:number]:
            if common := sorted(paths[split] & paths[other]):
                raise InputError(
                    str(lists[split]),
                    received=f"{len(common)} images that are in {other} ({lists[other]}) too, such as {common[0]}",
                    expected="images that no other split has",
                    mend=f"Take them out of one of the two, or leave {split} out.",
                )
    return kept


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
