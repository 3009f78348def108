"""Reading JSON that anybody may have written: bounded in size and depth, no key twice."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import math
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

LARGEST, DEEPEST = 1 << 23, 100


@contextlib.contextmanager
def open_regular(path: str | os.PathLike[str], largest: int) -> Iterator[io.BufferedReader]:
    """Open a file that is one: no link, no pipe that blocks for ever, no device without end.

    Args:
        path: Of the file.
        largest: Bytes that it may have; a terabyte of zeros takes no room on a disk.

    Raises:
        OSError: When it cannot be read.
        ValueError: When it is something else than a file, or larger.
    """
    if Path(path).is_symlink():
        raise ValueError(f"{Path(path).name} is a link")
    # All three are missing somewhere: the first two on Windows, which has no such pipes, the last elsewhere.
    flags = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    with open(os.open(path, os.O_RDONLY | flags), "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise ValueError(f"{Path(path).name} is no regular file")
        if found.st_size > largest:
            raise ValueError(f"{Path(path).name} has {found.st_size} bytes, more than {largest}")
        yield file


def read_regular(path: str | os.PathLike[str], largest: int) -> bytes:
    """Return the content of a regular file, see :func:`open_regular`.

    Args:
        path: Of the file.
        largest: Bytes that it may have.

    Raises:
        OSError: When it cannot be read.
        ValueError: When it is something else than a file, or larger.
    """
    with open_regular(path, largest) as file:
        # A file that grows meanwhile is read as far as it may.
        return file.read(largest)


def sha256_of(path: str | os.PathLike[str], largest: int) -> str:
    """Return the SHA-256 of a regular file in hex, read piece by piece, see :func:`open_regular`.

    Args:
        path: Of the file.
        largest: Bytes that it may have.

    Raises:
        OSError: When it cannot be read.
        ValueError: When it is something else than a file, or larger.
    """
    with open_regular(path, largest) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_json(path: str | os.PathLike[str], *, largest: int = LARGEST) -> dict[str, Any]:
    """Return the object in a JSON file, read by :func:`parse_json`.

    Args:
        path: Of the file.
        largest: Bytes that it may have.

    Raises:
        OSError: When the file cannot be read.
        ValueError: When it is not as it may be.
    """
    return parse_json(read_regular(path, largest), numbers="any", largest=largest)


def parse_json(content: bytes, *, numbers: str = "finite", largest: int = LARGEST) -> dict[str, Any]:
    """Return the object that JSON holds.

    Args:
        content: The JSON, in UTF-8.
        numbers: "finite", or "any" for NaN and infinity as well, which Python writes.
        largest: Bytes that it may have.

    Returns:
        The object, at most 100 levels deep.

    Raises:
        ValueError: When it is no such JSON; Python's reader takes the last of two values under one key.
    """
    if len(content) > largest:
        raise ValueError(f"{len(content)} bytes of JSON, more than {largest}")

    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"{constant} in JSON")

    try:
        found = json.loads(
            content.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_constant=None if numbers == "any" else refuse,
            parse_float=float if numbers == "any" else _finite,
        )
    except RecursionError:
        raise ValueError("JSON that is nested too deep") from None
    if not isinstance(found, dict):
        raise ValueError("JSON that is no object")
    _check_depth(found)
    return found


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key twice in JSON")
    return found


def _finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError(f"a number that is too large in JSON: {text[:20]}")
    return number


def _check_depth(found: Any) -> None:
    level = [found]
    for _ in range(DEEPEST):
        level = [
            inner
            for value in level
            for inner in (value.values() if isinstance(value, dict) else value)
            if isinstance(inner, (dict, list))
        ]
        if not level:
            return
    raise ValueError(f"JSON of more than {DEEPEST} levels")
