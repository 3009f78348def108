"""The kinds of examples that have classes, images, texts and series: what reads each of them from every source."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from kerasdl.data.arrays import ArrayImages
from kerasdl.data.folders import FolderImages
from kerasdl.data.samples import SAMPLES
from kerasdl.data.series import ArraySeries, StreamSeries
from kerasdl.data.series_files import read_series, series_files
from kerasdl.data.splitting import Part
from kerasdl.data.streams import StreamImages
from kerasdl.data.tables import find_tables, read_table
from kerasdl.data.text_files import FolderTexts
from kerasdl.data.texts import ArrayTexts, StreamTexts
from kerasdl.errors import InputError


class Source(Protocol):
    """What every source has for a split: the shapes that occur, and a part once the common shape is known."""

    shapes: np.ndarray

    def open(self, shape: Any) -> Part:
        """Return the part, its examples brought to `shape`, () for texts; series must have it."""


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
        tables: Returns the files of a path that have inputs and labels, by split; none where there are none.
        read: Reads one of them, given the names of columns.
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
    tables: Callable[[Path], dict[str, Path]]
    read: Callable[..., tuple[Any, Any]]
    expected: str
    files: tuple[str, ...]
    mend: str

    def treating(self, missing: str) -> Kind:
        """Return this kind with what is done about values that are missing inside an example."""
        ways: dict[str, Any] = {
            name: functools.partial(getattr(self, name), missing=missing) for name in ("arrays", "stream", "read")
        }
        return dataclasses.replace(self, **ways)

    @property
    def samples(self) -> Mapping[str, Callable[[], Any]]:
        """The embedded samples of this kind, by name."""
        return SAMPLES[self.name]


def no_files(path: Path) -> dict[str, Path]:
    """Return that there are no such files."""
    return {}


def no_folder(folder: Path) -> Source:
    """Refuse a folder that has no files of series."""
    raise InputError(
        str(folder),
        received="a folder without files of series by split",
        expected="name_TRAIN.ts and name_TEST.ts, or train.csv and test.csv (.tsv), in it",
        mend="Rename them, or pass the path of the file.",
    )


KINDS = {
    "images": Kind(
        name="images",
        noun="image",
        arrays=ArrayImages,
        stream=StreamImages,
        folder=FolderImages,
        feature="Image",
        catalog="a dataset for image classification, such as mnist or cifar10",
        tables=no_files,
        read=read_table,
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
        tables=find_tables,
        read=read_table,
        expected="a sample's or TFDS name, a folder, a .csv, .tsv or .npz file, lists (texts, labels), a mapping of "
        "splits or a tf.data.Dataset",
        files=("a folder of .txt files", "a .csv, .tsv or .npz file"),
        mend="Put texts and labels into two columns of a table, or each text into a .txt file in one folder a class.",
    ),
    "series": Kind(
        name="series",
        noun="series",
        arrays=ArraySeries,
        stream=StreamSeries,
        folder=no_folder,
        feature="Tensor",
        catalog="an embedded sample, such as gun_point, or files or arrays of series",
        tables=series_files,
        read=read_series,
        expected="a sample's name, a folder, a .ts, .csv, .tsv or .npz file, arrays (x, y), a mapping of splits or a "
        "tf.data.Dataset",
        files=("a folder with name_TRAIN.ts and name_TEST.ts", "a .ts, .csv, .tsv or .npz file"),
        mend="Put each series and its label into a row of a table, or each time step with an id.",
    ),
}
"""By name."""
