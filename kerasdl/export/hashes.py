"""Whether the files of an export are those that were written: hashes made at export, checked before anything is loaded.

A hash that lies beside the files says that they came whole and are no others than were proven. It does not say who
wrote them: whoever can change the files can change the hash.
"""

from __future__ import annotations

import os
import re
import stat
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kerasdl.errors import InputError
from kerasdl.safe_loading import LARGEST_FILE, sha256_of

# Written after the hashes, so that it can show them; people may edit it.
CARD_FILE = "README.md"
# What may lie in an export without a hash. The last is how TensorFlow Serving is told to warm a model up.
UNHASHED = (CARD_FILE, "kerasdl.json", "assets.extra/kerasdl.json", "assets.extra/tf_serving_warmup_requests")
PROGRAM = "A SavedModel is a program that runs with your rights: load only what you or somebody you trust exported."


def file_hashes(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file under a folder in hex, by its path with slashes, without those in `UNHASHED`.

    Raises:
        InputError: For a link that leads out of the folder, and for what is neither file nor folder.
    """
    return {name: _hash_of(folder / name) for name in sorted(_files(folder)) if name not in UNHASHED}


def _hash_of(path: Path) -> str:
    try:
        # A link inside the folder has been looked at; what it leads to is a file like others.
        return sha256_of(path.resolve(), LARGEST_FILE)
    # So large that reading it would have no end: a terabyte of zeros takes no room on a disk.
    except ValueError as error:
        raise _refusal(path.parent, str(error)) from None


def check_files(folder: Path, description: Mapping[str, Any], *, verify: bool = True) -> None:
    """Check that the files of an export are those that it was proven with; nothing of them is interpreted.

    Args:
        folder: The version's folder.
        description: What `export` wrote of it; empty where it wrote nothing, of which a warning tells.
        verify: Whether to read all files for their hashes; their names, and links, are looked at in any case.

    Raises:
        InputError: For a file that is missing, changed or not of the export, and for a link that leads out of it.
    """
    found = {name for name in _files(folder) if name not in UNHASHED}
    if not description:
        if "saved_model.pb" not in found:
            return  # without its description no other export can be used, which is said where it is read
        # Frames: this function, load_exported, its caller.
        warnings.warn(f"{folder} has no description by `export`, so nothing was checked. {PROGRAM}", stacklevel=3)
        return
    recorded = _recorded(folder, description)
    for kind, names in (("missing", recorded.keys() - found), ("not of the export", found - recorded.keys())):
        if names:
            others = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise _refusal(folder, f"{min(names)}{others} {kind}")
    for name in sorted(recorded) if verify else ():
        if _hash_of(folder / name) != recorded[name]:
            raise _refusal(folder, f"{name} with other content than was exported")


def _refusal(folder: Path, received: str) -> InputError:
    return InputError(
        str(folder),
        received=received,
        expected="the files as `export` wrote them, by the hashes in kerasdl.json",
        mend="Copy the whole folder again, or export again.",
    )


def _recorded(folder: Path, description: Mapping[str, Any]) -> dict[str, str]:
    """Return the hashes that a description records, or refuse one that is not of `export`."""
    recorded = description.get("files_sha256")
    if not isinstance(recorded, dict) or not recorded:
        raise _refusal(folder, "a description without hashes of the files")
    for name, digest in recorded.items():
        # Compared with the names that are there, a path that leads elsewhere is only missing; it is said what it is.
        if name.startswith("/") or "\\" in name or any(part in ("", ".", "..") for part in name.split("/")):
            raise _refusal(folder, f"a description that names {name!r}")
        if not isinstance(digest, str) or not re.fullmatch("[0-9a-f]{64}", digest):
            raise _refusal(folder, f"a description with no SHA-256 of {name!r}")
    return recorded


def _files(folder: Path) -> Iterator[str]:
    """Yield the paths of all files under a folder, with slashes."""
    # The version's folder may be a link itself, such as "latest".
    root = folder.resolve()
    for place, folders, names in os.walk(root):
        for name in (*folders, *names):
            path = Path(place, name)
            inside = path.relative_to(root).as_posix()
            if path.is_symlink() and (name in folders or not path.resolve().is_relative_to(root)):
                raise _refusal(folder, f"{inside}, a link that leads elsewhere")
            if name in names:
                # A pipe would be waited for without end.
                if not stat.S_ISREG(_mode(path, folder, inside)):
                    raise _refusal(folder, f"{inside}, which is no file")
                yield inside


def _mode(path: Path, folder: Path, inside: str) -> int:
    try:
        return path.stat().st_mode
    except OSError as error:
        raise _refusal(folder, f"{inside}, which cannot be read ({error.strerror})") from None
