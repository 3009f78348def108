"""Images in folders: one sub-folder a class, or `train/`, `validation/` and `test/` with a sub-folder a class each."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from kerasdl.data.images import decode, decode_as_stored, resize
from kerasdl.data.splitting import Part
from kerasdl.errors import InputError

SUFFIXES = {".png", ".jpg", ".jpeg", ".gif", ".bmp"}
UNSUPPORTED = {".tif", ".tiff", ".webp", ".heic", ".avif", ".svg", ".jp2", ".ppm", ".pgm"}
SPLIT_NAMES = {"train": "train", "val": "validation", "valid": "validation", "validation": "validation", "test": "test"}
DECODERS = 8
"""Threads that read and decode files; TensorFlow decodes outside Python's lock."""


class FolderImages:
    """The images below the class folders of one folder, all decoded once to learn their shapes and find damage.

    Args:
        folder: Has one sub-folder for each class; images may lie deeper. Hidden files are ignored.

    Raises:
        InputError: For missing or empty class folders, and for a file that is empty, unreadable, damaged or of a type
            that TensorFlow does not decode.
    """

    def __init__(self, folder: Path):
        found = class_files(folder, image_files, noun="image", types=", ".join(sorted(SUFFIXES)))
        self._labels = np.array([name for name, files in found.items() for _ in files])
        self._files = [file for files in found.values() for file in files]
        with ThreadPoolExecutor(DECODERS) as pool:
            self.shapes = np.array(list(pool.map(stored_shape, self._files)))

    def open(self, shape: tuple[int, int, int]) -> Part:
        """Return the part, its images decoded and resized to `shape` when read."""

        def read_one(index: int) -> np.ndarray:
            return resize(decode(read_bytes(self._files[index]), shape[2]), shape[:2]).numpy()

        def read(indices: np.ndarray) -> np.ndarray:
            with ThreadPoolExecutor(DECODERS) as pool:
                return np.stack(list(pool.map(read_one, indices)))

        return Part(self._labels, read)


def class_files(
    folder: Path,
    find: Callable[[Path], list[Path]],
    *,
    noun: str,
    types: str,
    ignored: Collection[str] = (),
) -> dict[str, list[Path]]:
    """Return the files of each class by its name.

    Args:
        folder: Has one sub-folder for each class.
        find: From the folder of a class to its files.
        noun: What messages call one example.
        types: The suffixes that files may have, for messages.
        ignored: Names of sub-folders that are no classes.

    Raises:
        InputError: For fewer than two classes, and for a class without files.
    """
    classes = [entry for entry in subfolders(folder) if entry.name not in ignored]
    if len(classes) < 2:
        received = f"one class folder ({classes[0].name})" if classes else "no class folders"
        raise InputError(
            str(folder),
            received=f"{received}; it holds {_listing(folder)}",
            expected=f"at least two sub-folders, one for each class, with {noun}s in them",
            mend=f"Move the {noun}s of each class into a folder with the name of the class.",
        )
    found = {entry.name: find(entry) for entry in classes}
    empty = [name for name, files in found.items() if not files]
    if empty:
        none = len(empty) == len(found)
        raise InputError(
            str(folder),
            received=f"no {noun}s" if none else f"class folders without {noun}s: {', '.join(empty[:10])}",
            expected=f"{noun}s ({types}) in each class folder",
            mend=f"Add {noun}s there or remove the folders.",
        )
    return found


def split_folders(folder: Path) -> dict[str, Path]:
    """Return the folder of each split: the folder itself as "train" unless it is divided.

    Args:
        folder: Class folders; or `train` and, if it has them, `validation` (`val`, `valid`) and `test`, with class
            folders in each.

    Raises:
        InputError: For folders beside `train` that name no split.
    """
    entries = {entry.name.lower(): entry for entry in subfolders(folder)}
    splits = {name: entry for name, entry in entries.items() if name in SPLIT_NAMES}
    if "train" not in splits or not (len(splits) > 1 or subfolders(splits["train"])):
        return {"train": folder}
    found = {SPLIT_NAMES[name]: entry for name, entry in splits.items()}
    if len(entries) > len(found):
        raise InputError(
            str(folder),
            received=f"the folders {', '.join(sorted(entries))}",
            expected="train, validation and test, each once, and no other beside them",
            mend="Rename or move the others away.",
        )
    return found


def subfolders(folder: Path) -> list[Path]:
    """Return the sub-folders that are not hidden, by name."""
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise InputError(
            str(folder), received=error.strerror, expected="a folder to read", mend="Check its permissions."
        ) from None
    return [entry for entry in entries if entry.is_dir() and not entry.name.startswith(".")]


def _listing(folder: Path) -> str:
    names = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))
    return f"{len(names)} entries ({', '.join(names[:5])}{', ...' if len(names) > 5 else ''})" if names else "nothing"


def visible_files(folder: Path) -> list[Path]:
    """Return all files below a folder that are not hidden nor in a hidden folder."""
    files = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        files += [Path(parent, name) for name in names if not name.startswith(".")]
    return files


def image_files(folder: Path) -> list[Path]:
    """Return all images below a folder that are not hidden, sorted, and refuse types that are not decoded."""
    files = visible_files(folder)
    wrong = sorted(file for file in files if file.suffix.lower() in UNSUPPORTED)
    if wrong:
        raise InputError(
            str(wrong[0]),
            received=f"{len(wrong)} files of a type that TensorFlow does not decode",
            expected=", ".join(sorted(SUFFIXES)),
            mend="Convert them, for instance to PNG.",
        )
    return sorted(file for file in files if file.suffix.lower() in SUFFIXES)


def read_bytes(file: Path) -> bytes:
    """Return the content of a file, and refuse one that is empty or cannot be read."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise InputError(
            str(file), received=error.strerror, expected="a readable file", mend="Check its permissions or remove it."
        ) from None
    if not content:
        raise InputError(str(file), received="an empty file", expected="an image", mend="Replace or remove it.")
    return content


def stored_shape(file: Path) -> tuple[int, int, int]:
    """Decode an image and return its height, width and channels without alpha, and refuse what does not decode."""
    import tensorflow as tf

    try:
        height, width, channels = decode_as_stored(read_bytes(file)).shape
    except (tf.errors.InvalidArgumentError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            str(file),
            received="a file that does not decode",
            expected="a whole PNG, JPEG, GIF or BMP image",
            mend="It is damaged, cut short or of another type: replace or remove it.",
        ) from None
    # Alpha is dropped on decoding, so it does not count.
    return height, width, channels - 1 if channels in (2, 4) else channels
