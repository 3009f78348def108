"""Folders of exports: which version is meant, and what it says of itself. Light: no runtime is needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kerasdl.errors import InputError
from kerasdl.export.formats import FILES, description_of, format_of
from kerasdl.export.versions import versions_in
from kerasdl.safe_loading import LARGEST_JSON, read_json

# What is used of a description.
_TYPES = {"class_names": list, "multi_label": bool, "inputs": str, "input_shape": list, "layout": dict, "missing": str}


def read_description(folder: Path) -> dict[str, Any]:
    """Return what an exported version says of itself, nothing where it says nothing.

    Raises:
        InputError: When its description is damaged.
    """
    description = description_of(folder)
    if not description.exists() and not description.is_symlink():
        return {}
    try:
        if description.parent.is_symlink() and description.parent != folder:
            raise ValueError(f"{description.parent.name} is a link")
        found = read_json(description, largest=LARGEST_JSON)
        for name in found.keys() & _TYPES.keys():
            if not isinstance(found[name], _TYPES[name]):
                raise TypeError(f"{name} is {type(found[name]).__name__}")
        return found
    except (OSError, ValueError, TypeError) as error:
        raise InputError(
            str(description),
            received=f"a damaged description ({type(error).__name__}: {str(error)[:100]})",
            expected="the file as `export` wrote it",
            mend="Export it again.",
        ) from error


def find_exported(path: str | Path) -> Path:
    """Return the folder of an exported version; a model's folder stands for its highest version.

    Raises:
        InputError: When nothing was exported there.
    """
    path = Path(path)
    if format_of(path) is not None:
        return path
    versions = versions_in(path)
    if not versions or format_of(path / str(versions[-1])) is None:
        raise InputError(
            str(path),
            received=f"a folder without {', '.join(FILES.values())}" if path.is_dir() else "no such folder",
            expected="a folder that `export` wrote, such as saved_models/digits or saved_models/digits/1",
            mend="Check the path, or export first.",
        )
    return path / str(versions[-1])
