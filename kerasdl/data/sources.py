"""Decides what `data` is and who reads it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kerasdl.data.arrays import ArrayImages, read_npz
from kerasdl.data.dataset import IN_MEMORY, SPLITS
from kerasdl.data.folders import split_folders
from kerasdl.data.kinds import KINDS, Kind, Source
from kerasdl.data.samples import SAMPLES
from kerasdl.data.streams import is_stream
from kerasdl.data.tfds import builder_names, read_tfds
from kerasdl.errors import InputError, nearest


@dataclass(frozen=True)
class Found:
    """What `data` turned out to be: a name, how to load it again, its examples by split, its class names if it has."""

    name: str
    source: str
    parts: Mapping[str, Source]
    class_names: tuple[str, ...] | None = None


def find(
    data: Any,
    *,
    kind: str = "images",
    data_dir: str | Path | None = None,
    missing: str | None = None,
    **columns: str | None,
) -> Found:
    """Decide what `data` is and open it, without choosing a shape or drawing splits.

    Args:
        data: As for :func:`kerasdl.data.load`, as are the others.
        kind: What the inputs are.
        data_dir: Where TFDS keeps its data.
        missing: What is done with values that are missing inside a series.
        **columns: The names of columns of a table.
    """
    chosen = KINDS[kind] if missing is None else KINDS[kind].treating(missing)
    for name, column in columns.items():
        if column is not None and not (isinstance(data, (str, Path)) and chosen.tables(Path(data).expanduser())):
            raise InputError(
                name,
                received=f"{column!r} for data that are no table",
                expected="None, except for .csv and .tsv files",
                mend=f"Leave {name} out.",
            )
    if isinstance(data, Path):
        return _find_path(data, chosen, columns)
    if isinstance(data, str):
        # A bare word may be a folder beside the user; the prefix tfds: and a leading ./ tell the two apart.
        there = data not in chosen.samples and os.path.exists(os.path.expanduser(data))
        return _find_path(Path(data), chosen, columns) if there else _find_name(data, chosen, data_dir)
    if is_stream(data):
        return Found("arrays", "tf.data", {"train": chosen.stream(data, what="tf.data")})
    if isinstance(data, Mapping):
        return _find_mapping(data, chosen)
    if isinstance(data, (tuple, list)) and len(data) == 2:
        if all(_is_pair(part) for part in data):
            return _find_mapping(dict(zip(("train", "test"), data, strict=True)), chosen)
        return Found("arrays", "arrays", {"train": chosen.arrays(*data, what="arrays")})
    raise InputError(
        "data", received=f"an object of type {type(data).__name__}", expected=chosen.expected, mend="Pass one of these."
    )


def _find_name(name: str, kind: Kind, data_dir: str | Path | None) -> Found:
    if name in kind.samples:
        found = kind.samples[name]()
        pairs = found if isinstance(found, Mapping) else {"train": found}
        return Found(name, name, {split: kind.arrays(*pair, what=name) for split, pair in pairs.items()})
    if name in IN_MEMORY:
        raise InputError(
            "data",
            received=f"{name!r}, what the configuration of a run on data from memory says",
            expected="those data",
            mend="Pass the same arrays or tf.data.Dataset again.",
        )
    if other := _samples().get(name):
        raise InputError(
            "data",
            received=f"{name!r}, a sample of kind {other!r}",
            expected=f"data of kind {kind.name!r}",
            mend=f"Samples of that kind: {', '.join(kind.samples)}.",
        )
    builders = builder_names()
    known = [*kind.samples, *builders]
    word = name.removeprefix("tfds:")
    if name.startswith("tfds:") or re.split("[/:]", word)[0] in builders:
        parts, class_names = read_tfds(word, kind=kind, data_dir=data_dir)
        return Found(safe_name(word), name, parts, class_names)
    path = Path(name)
    if len(path.parts) > 1 or path.suffix:
        return _find_path(path, kind, {})
    raise InputError(
        "data",
        received=repr(name),
        expected=kind.expected,
        mend=nearest(word, [*known, *_entries(Path())])
        + " TFDS names are listed at https://www.tensorflow.org/datasets/catalog/overview.",
    )


def _find_path(given: Path, kind: Kind, columns: Mapping[str, str | None]) -> Found:
    path = given.expanduser()
    # Unlike Path.exists, this says no to what is too long for a path: a text, given by mistake.
    if not os.path.exists(path):
        mend = nearest(path.name, _entries(path.parent)) if _entries(path.parent) else "Check the path."
        raise InputError("data", received=f"{path}, which does not exist", expected=kind.expected, mend=mend)
    parts, class_names = _open_path(path, kind, columns)
    name = path.resolve().name if path.is_dir() else path.stem
    if len(parts) > 1:
        name = re.sub("_(train|test)$", "", name, flags=re.IGNORECASE)
    return Found(safe_name(name), str(given), _same_shape(parts), class_names)


def _open_path(
    path: Path, kind: Kind, columns: Mapping[str, str | None]
) -> tuple[Mapping[str, Source], tuple[str, ...] | None]:
    tables, class_names = kind.tables(path), None
    if tables:
        pairs: Mapping[str, tuple[Any, Any]] = {split: kind.read(file, **columns) for split, file in tables.items()}
    elif path.is_dir():
        return {split: kind.folder(folder) for split, folder in split_folders(path).items()}, None
    elif path.suffix.lower() == ".npz":
        pairs, class_names = read_npz(path)
    else:
        raise InputError(
            "data",
            received=f"the file {path}",
            expected=f"{' or '.join(kind.files)} for kind={kind.name!r}",
            mend=kind.mend,
        )
    return {split: kind.arrays(*pair, what=f"{path} {split}") for split, pair in pairs.items()}, class_names


def _find_mapping(given: Mapping, kind: Kind) -> Found:
    unknown = [split for split in given if split not in SPLITS]
    if unknown or "train" not in given:
        raise InputError(
            "data",
            received=f"a mapping with {', '.join(map(str, given)) or 'no splits'}",
            expected="the splits train, validation and test, of which train must be there",
            mend=nearest(unknown[0], SPLITS) if unknown else "Add train.",
        )
    parts: dict[str, Source] = {}
    for split, part in given.items():
        if is_stream(part):
            parts[split] = kind.stream(part, what=split)
        elif isinstance(part, (tuple, list)) and len(part) == 2:
            parts[split] = kind.arrays(*part, what=split)
        else:
            raise InputError(
                split, received=f"a {type(part).__name__}", expected="(x, y) or a tf.data.Dataset", mend="Pass a pair."
            )
    source = "tf.data" if any(is_stream(part) for part in given.values()) else "arrays"
    return Found("arrays", source, _same_shape(parts))


def _same_shape(parts: Mapping[str, Source]) -> Mapping[str, Source]:
    """Refuse arrays whose shape differs by split: unlike photos in a folder, that is more likely a mistake."""
    shapes = {tuple(part.shapes[0].tolist()) for part in parts.values() if isinstance(part, ArrayImages)}
    if len(shapes) > 1:
        raise InputError(
            "data",
            received=f"images of shape {' and '.join(map(str, sorted(shapes)))}",
            expected="one shape in all splits",
            mend="Resize or convert them with kerasdl.data.images.conform first.",
        )
    return parts


def _samples() -> dict[str, str]:
    """Return the kind of each embedded sample."""
    return {name: kind for kind, samples in SAMPLES.items() for name in samples}


def _is_pair(part: Any) -> bool:
    if not (isinstance(part, (tuple, list)) and len(part) == 2):
        return False
    return all(isinstance(half, (tuple, list)) or len(getattr(half, "shape", ())) > 0 for half in part)


def _entries(folder: Path) -> list[str]:
    names = [entry.name for entry in folder.iterdir()] if os.path.isdir(folder) else []
    return sorted(name for name in names if not name.startswith("."))


def safe_name(name: str) -> str:
    """Return a name that can be one of a folder."""
    return re.sub(r"[^\w.-]+", "_", name)
