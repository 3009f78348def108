"""The log of a search: one line an event, synced to disk before anything follows from it; read back after a kill."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from kerasdl.configuration import differences, jsonable, write_json
from kerasdl.errors import InputError

SETTINGS_FILE, LOG_FILE = "search.json", "events.jsonl"


class EventLog:
    """Events in a file; a line that a kill cut short counts as not written.

    Args:
        directory: The search's folder.
    """

    def __init__(self, directory: Path):
        self._path = directory / LOG_FILE
        self.before = self._read()
        """The events of the calls before this one."""
        self._file = open(self._path, "ab")  # noqa: SIM115 - open as long as the search

    def _read(self) -> list[dict[str, Any]]:
        if not self._path.exists():
            return []
        content = self._path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            with open(self._path, "r+b") as file:
                file.truncate(len(whole))
                os.fsync(file.fileno())
        events = []
        for number, line in enumerate(whole.splitlines(), start=1):
            try:
                events.append(json.loads(line))
            except ValueError as error:
                raise InputError(
                    str(self._path),
                    received=f"line {number}, which is damaged ({error})",
                    expected="the events as they were written",
                    mend="Restore the file from a copy, or search in another directory.",
                ) from error
        return events

    def write(self, **event: Any) -> None:
        """Add an event; it is on the disk when this returns."""
        self._file.write(json.dumps(jsonable(event)).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def begin(directory: Path, settings: dict[str, Any]) -> None:
    """Make the folder of a search, or check that it is the same search.

    Args:
        directory: The folder.
        settings: What the trials and their order depend on, JSON-able.

    Raises:
        InputError: When the folder holds another search, or other files.
    """
    path = directory / SETTINGS_FILE
    if path.exists():
        try:
            before = json.loads(path.read_text("utf-8"))
        except ValueError as error:
            raise InputError(
                str(path),
                received=f"a damaged file ({error})",
                expected="the settings as they were written",
                mend="Restore it from a copy, or search in another directory.",
            ) from error
        found = [
            (f"{group}: {name}" if name else group, old, new)
            for group in settings
            for name, old, new in _changed(before.get(group), jsonable(settings[group]))
        ]
        if found:
            raise InputError(
                "directory",
                received="; ".join(f"{name} was {old!r} there and is {new!r} now" for name, old, new in found),
                expected=f"the search in {directory}",
                mend="Repeat the call as it was, or choose another directory.",
            )
        return
    if directory.is_dir() and any(not entry.name.startswith(".") for entry in directory.iterdir()):
        raise InputError(
            "directory",
            received=f"{str(directory)!r}, which holds files and no search",
            expected="the folder of the search to go on with, or a new or an empty one",
            mend="Choose another: a search keeps and removes files of its own there.",
        )
    directory.mkdir(parents=True, exist_ok=True)
    write_json(path, settings)


def _changed(before: Any, now: Any) -> list[tuple[str, Any, Any]]:
    if isinstance(before, dict) and isinstance(now, dict):
        return differences(before, now)
    return [] if before == now else [("", before, now)]
