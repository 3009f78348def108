"""Numbered versions of a model in a folder: written beside their place, and given their number when they are whole."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from kerasdl.errors import InputError
from kerasdl.export.formats import format_of


def versions_in(path: Path) -> list[int]:
    """Return the numbers of the versions under a model's folder, in order."""
    if not path.is_dir():
        return []
    return sorted(int(entry.name) for entry in path.iterdir() if entry.is_dir() and entry.name.isdecimal())


def check_one_format(path: Path, format: str) -> None:
    """Refuse a folder that holds versions of another format: TensorFlow Serving loads whatever number is there.

    Raises:
        InputError: If some version there is of another format.
    """
    for version in versions_in(path):
        found = format_of(path / str(version))
        if found not in (None, format):
            raise InputError(
                str(path),
                received=f"a folder of {found} exports for one of {format}",
                expected="one format in a model's folder, since its highest number stands for the model",
                mend=f"Export to another folder, such as {path}_{format}.",
            )


@contextlib.contextmanager
def staged(path: Path) -> Iterator[Path]:
    """Make the folder of a model, with a place in it to write a version; what is left there is removed in the end.

    On any error the folders that were made are removed too.

    Yields:
        A path that does not exist yet, on the file system of `path`.
    """
    made = [parent for parent in (path, *path.absolute().parents) if not parent.exists()]
    path.mkdir(parents=True, exist_ok=True)
    _remove_left_over(path)
    staging = Path(tempfile.mkdtemp(prefix=f"{_staging_of_this_machine()}{os.getpid()}-", dir=path))
    try:
        yield staging / "model"
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        for folder in made:
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
        raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def publish(saved: Path, path: Path) -> Path:
    """Rename a whole version to the next number under `path`, and return its folder."""
    while True:
        version = path / str(max(versions_in(path), default=0) + 1)
        try:
            os.rename(saved, version)
        except OSError:
            if not version.exists():
                raise
            continue  # another export took the number in between
        return version


def _staging_of_this_machine() -> str:
    return f".staging-{platform.node()}-"


def _remove_left_over(path: Path) -> None:
    """Remove what exports on this machine left that were killed; those that still run keep theirs."""
    for staging in path.glob(f"{_staging_of_this_machine()}*"):
        number = staging.name.removeprefix(_staging_of_this_machine()).split("-")[0]
        try:
            os.kill(int(number), 0)
        except ProcessLookupError:
            shutil.rmtree(staging, ignore_errors=True)
        except (ValueError, PermissionError):
            continue
