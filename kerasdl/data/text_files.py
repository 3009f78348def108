"""Texts in folders: one sub-folder a class with a `.txt` file a text."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kerasdl.data.folders import class_files, visible_files
from kerasdl.data.splitting import Part
from kerasdl.data.texts import SHAPES, read_text
from kerasdl.errors import InputError

SUFFIX = ".txt"
UNLABELLED = "unsup"
"""The folder beside `pos` and `neg` whose reviews have no class: https://ai.stanford.edu/~amaas/data/sentiment/."""


class FolderTexts:
    """The texts below the class folders of one folder.

    Args:
        folder: Has one sub-folder for each class; files may lie deeper. Hidden files and files of other types are
            ignored, and so is `unsup` beside `pos` and `neg`.

    Raises:
        InputError: For missing or empty class folders, and for a file that is empty, unreadable or not UTF-8.
    """

    def __init__(self, folder: Path):
        found = class_files(folder, _texts, noun="text", types=SUFFIX, ignored=_unlabelled(folder))
        self._labels = np.array([name for name, files in found.items() for _ in files])
        files = [file for files in found.values() for file in files]
        self._texts = np.empty(len(files), object)
        for index, file in enumerate(files):
            self._texts[index] = read_text(file)
            if not self._texts[index].strip():
                raise InputError(
                    str(file), received="a file without a text", expected="a text", mend="Fill or remove it."
                )
        self.shapes = SHAPES

    def open(self, shape: tuple[()]) -> Part:
        """Return the part."""
        return Part(self._labels, lambda indices: self._texts[indices])


def _texts(folder: Path) -> list[Path]:
    return sorted(file for file in visible_files(folder) if file.suffix.lower() == SUFFIX)


def _unlabelled(folder: Path) -> set[str]:
    return {UNLABELLED} if (folder / "pos").is_dir() and (folder / "neg").is_dir() else set()
