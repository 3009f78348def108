"""The kinds of examples that have classes, images and texts: what reads each of them from every source."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from kerasdl.data.arrays import ArrayImages
from kerasdl.data.folders import FolderImages
from kerasdl.data.samples import SAMPLES
from kerasdl.data.splitting import Part
from kerasdl.data.streams import StreamImages
from kerasdl.data.text_files import FolderTexts
from kerasdl.data.texts import ArrayTexts, StreamTexts


class Source(Protocol):
    """What every source has for a split: the shapes that occur, and a part once the common shape is known."""

    shapes: np.ndarray

    def open(self, shape: Any) -> Part:
        """Return the part, its examples brought to `shape`: () for texts."""


@dataclass(frozen=True)
class Kind:
    """One kind of examples.

    Args:
        name: As users give it.
        noun: What messages call one example.
        arrays: Reads a pair of inputs and labels.
        stream: Reads a `tf.data.Dataset` of such pairs.
        folder: Reads a folder with one sub-folder a class.
        feature: The class of TFDS's features that the inputs are.
        catalog: What messages say of TFDS datasets that fit.
        tables: Whether `.csv` and `.tsv` files are read.
        expected: What messages say `data` may be.
        files: What messages say a path may lead to.
        mend: What messages advise where a path is something else.
    """

    name: str
    noun: str
    arrays: Callable[..., Source]
    stream: Callable[..., Source]
    folder: Callable[[Path], Source]
    feature: str
    catalog: str
    tables: bool
    expected: str
    files: tuple[str, ...]
    mend: str

    @property
    def samples(self) -> Mapping[str, Callable[[], tuple[np.ndarray, np.ndarray]]]:
        """The embedded samples of this kind, by name."""
        return SAMPLES[self.name]


KINDS = {
    "images": Kind(
        name="images",
        noun="image",
        arrays=ArrayImages,
        stream=StreamImages,
        folder=FolderImages,
        feature="Image",
        catalog="a dataset for image classification, such as mnist or cifar10",
        tables=False,
        expected="a sample's or TFDS name, a folder, a .npz file, arrays (x, y), a mapping of splits or a "
        "tf.data.Dataset",
        files=("a folder of images", "a .npz file"),
        mend="Put single images into one folder a class; text and tables are no images.",
    ),
    "text": Kind(
        name="text",
        noun="text",
        arrays=ArrayTexts,
        stream=StreamTexts,
        folder=FolderTexts,
        feature="Text",
        catalog="a dataset for text classification, such as imdb_reviews or ag_news_subset",
        tables=True,
        expected="a sample's or TFDS name, a folder, a .csv, .tsv or .npz file, lists (texts, labels), a mapping of "
        "splits or a tf.data.Dataset",
        files=("a folder of .txt files", "a .csv, .tsv or .npz file"),
        mend="Put texts and labels into two columns of a table, or each text into a .txt file in one folder a class.",
    ),
}
"""By name."""
