"""Decides what `data` is and who reads it."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from kerasdl.data.arrays import ArrayImages, read_npz
from kerasdl.data.folders import find_splits
from kerasdl.data.samples import SAMPLES
from kerasdl.data.splitting import Part
from kerasdl.data.streams import StreamImages
from kerasdl.data.tfds import builder_names, read_tfds
from kerasdl.errors import InputError, nearest

SPLITS = ("train", "validation", "test")
IN_MEMORY = ("arrays", "tf.data")
KINDS = "a sample's or TFDS name, a folder, a .npz file, arrays (x, y), a mapping of splits or a tf.data.Dataset"


class Images(Protocol):
    """What every source has for a split: the shapes that occur, and a part once the common shape is known."""

    shapes: np.ndarray

    def open(self, shape: tuple[int, int, int]) -> Part:
        """Return the part, its images brought to `shape`."""


@dataclass(frozen=True)
class Found:
    """What `data` turned out to be: a name, how to load it again, its images by split, its class names if it has."""

    name: str
    source: str
    images: Mapping[str, Images]
    class_names: tuple[str, ...] | None = None


def find(data: Any, *, data_dir: str | Path | None = None) -> Found:
    """Decide what `data` is and open it, without choosing a shape or drawing splits."""
    if isinstance(data, Path):
        return _find_path(data)
    if isinstance(data, str):
        # A bare word may be a folder beside the user; the prefix tfds: and a leading ./ tell the two apart.
        there = data not in SAMPLES and os.path.exists(os.path.expanduser(data))
        return _find_path(Path(data)) if there else _find_name(data, data_dir)
    if _is_stream(data):
        return Found("arrays", "tf.data", {"train": StreamImages(data, what="tf.data")})
    if isinstance(data, Mapping):
        return _find_mapping(data)
    if isinstance(data, (tuple, list)) and len(data) == 2:
        if all(_is_pair(part) for part in data):
            return _find_mapping(dict(zip(("train", "test"), data, strict=True)))
        return Found("arrays", "arrays", {"train": ArrayImages(*data, what="arrays")})
    raise InputError(
        "data", received=f"an object of type {type(data).__name__}", expected=KINDS, mend="Pass one of these."
    )


def _find_name(name: str, data_dir: str | Path | None) -> Found:
    if name in SAMPLES:
        return Found(name, name, {"train": ArrayImages(*SAMPLES[name](), what=name)})
    if name in IN_MEMORY:
        raise InputError(
            "data",
            received=f"{name!r}, what the configuration of a run on data from memory says",
            expected="those data",
            mend="Pass the same arrays or tf.data.Dataset again.",
        )
    known = [*SAMPLES, *builder_names()]
    word = name.removeprefix("tfds:")
    if name.startswith("tfds:") or re.split("[/:]", word)[0] in known[len(SAMPLES) :]:
        images, class_names = read_tfds(word, data_dir=data_dir)
        return Found(_safe(word), name, images, class_names)
    path = Path(name)
    if len(path.parts) > 1 or path.suffix:
        return _find_path(path)
    raise InputError(
        "data",
        received=repr(name),
        expected=KINDS,
        mend=nearest(word, [*known, *_entries(Path())])
        + " TFDS names are listed at https://www.tensorflow.org/datasets/catalog/overview.",
    )


def _find_path(given: Path) -> Found:
    path = given.expanduser()
    if not path.exists():
        mend = nearest(path.name, _entries(path.parent)) if _entries(path.parent) else "Check the path."
        raise InputError("data", received=f"{path}, which does not exist", expected=KINDS, mend=mend)
    if path.is_dir():
        return Found(_safe(path.resolve().name), str(given), find_splits(path))
    if path.suffix.lower() != ".npz":
        raise InputError(
            "data",
            received=f"the file {path}",
            expected="a folder of images or a .npz file for kind='images'",
            mend="Put single images into one folder a class; text and tables are no images.",
        )
    pairs, class_names = read_npz(path)
    images = {split: ArrayImages(*pair, what=f"{path} {split}") for split, pair in pairs.items()}
    return Found(_safe(path.stem), str(given), _same_shape(images), class_names)


def _find_mapping(parts: Mapping) -> Found:
    unknown = [split for split in parts if split not in SPLITS]
    if unknown or "train" not in parts:
        raise InputError(
            "data",
            received=f"a mapping with {', '.join(map(str, parts)) or 'no splits'}",
            expected="the splits train, validation and test, of which train must be there",
            mend=nearest(unknown[0], SPLITS) if unknown else "Add train.",
        )
    images: dict[str, Images] = {}
    for split, part in parts.items():
        if _is_stream(part):
            images[split] = StreamImages(part, what=split)
        elif isinstance(part, (tuple, list)) and len(part) == 2:
            images[split] = ArrayImages(*part, what=split)
        else:
            raise InputError(
                split, received=f"a {type(part).__name__}", expected="(x, y) or a tf.data.Dataset", mend="Pass a pair."
            )
    source = "tf.data" if any(isinstance(part, StreamImages) for part in images.values()) else "arrays"
    return Found("arrays", source, _same_shape(images))


def _same_shape(images: Mapping[str, Images]) -> Mapping[str, Images]:
    """Refuse arrays whose shape differs by split: unlike photos in a folder, that is more likely a mistake."""
    shapes = {tuple(part.shapes[0].tolist()) for part in images.values() if isinstance(part, ArrayImages)}
    if len(shapes) > 1:
        raise InputError(
            "data",
            received=f"images of shape {' and '.join(map(str, sorted(shapes)))}",
            expected="one shape in all splits",
            mend="Resize or convert them with kerasdl.data.images.conform first.",
        )
    return images


def _is_stream(data: Any) -> bool:
    # An object of TensorFlow's cannot be there before TensorFlow is, so nothing is imported here to tell.
    tensorflow = sys.modules.get("tensorflow")
    return tensorflow is not None and isinstance(data, tensorflow.data.Dataset)


def _is_pair(part: Any) -> bool:
    if not (isinstance(part, (tuple, list)) and len(part) == 2):
        return False
    return all(isinstance(half, (tuple, list)) or len(getattr(half, "shape", ())) > 0 for half in part)


def _entries(folder: Path) -> list[str]:
    names = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
    return sorted(name for name in names if not name.startswith("."))


def _safe(name: str) -> str:
    return re.sub(r"[^\w.-]+", "_", name)
