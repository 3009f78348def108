"""What a loader did besides loading: files it touched, programs it started, memory it took; see `fuzz_loading.py`."""

from __future__ import annotations

import ctypes
import os
import re
import sys
from pathlib import Path
from typing import Any

# Whatever these report happened in Python; what C code does shows in the folders and at the canary.
EVENTS = (
    *("os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty", "subprocess.Popen", "pty.spawn"),
    *("socket.connect", "socket.bind", "socket.getaddrinfo", "socket.gethostbyname", "urllib.Request"),
    *("pickle.find_class", "code.__new__", "function.__new__", "ctypes.dlopen", "shutil.copyfile", "shutil.move"),
    *("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.symlink", "os.link", "os.chmod", "shutil.rmtree"),
)
# Of inotify: read, written, attributes, closed, opened, moved, made, deleted.
_ALL_EVENTS = 0xFFF


class Watch:
    """Watch this process: `begin()` before each file, `end()` after it.

    Args:
        work: Where the loader works: its files, its home, its temporary folder.
        canary: What nothing may touch.
        own: How the paths begin that may be written; what is in the first is gone in the end.
    """

    def __init__(self, work: Path, canary: Path, own: tuple[Path, ...]):
        self.work, self.canary, self.own = work, canary, tuple(map(str, own))
        self.temporary = own[0]
        self._events: list[str] = []
        self._on = False
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._inotify = self._libc.inotify_init1(os.O_NONBLOCK)
        self._libc.inotify_add_watch(self._inotify, str(canary).encode(), _ALL_EVENTS)
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._on:
            return
        if event == "open":
            path, mode, flags = arguments
            writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC)
            if writes and isinstance(path, (str, bytes)) and not self._is_own(os.fsdecode(path)):
                self._events.append(f"open for writing: {os.fsdecode(path)}")
        elif event in EVENTS and not (event == "os.mkdir" and os.path.isdir(arguments[0])):
            path = next((str(item) for item in arguments if isinstance(item, (str, os.PathLike))), "")
            if not (event.startswith(("os.r", "os.mkdir", "shutil.rmtree", "os.chmod")) and self._is_own(path)):
                self._events.append(f"{event} {path}")

    def _is_own(self, path: str) -> bool:
        # Python's removal of folders names what is in them without their path.
        return path == os.devnull or "/" not in path or os.path.abspath(path).startswith(self.own)

    def _listing(self) -> set[str]:
        return {str(path) for path in [*self.work.iterdir(), *self.work.glob("home/*"), *self.temporary.iterdir()]}

    def begin(self) -> None:
        """Begin with a file."""
        self._events.clear()
        self._there = self._listing()
        Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
        self._resident = _memory("VmRSS")
        self._on = True

    def end(self) -> tuple[list[str], int]:
        """Return what happened that should not have, and the bytes that were taken at most."""
        self._on = False
        found = [*self._events]
        for path in self._listing() - self._there:
            found.append(f"left behind: {path}")
            if os.path.isfile(path):
                os.unlink(path)
        try:
            os.read(self._inotify, 1 << 16)
            found.append("the canary was touched")
        except BlockingIOError:
            pass
        return found, _memory("VmHWM") - self._resident


def _memory(name: str) -> int:
    found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) * 1024 if found else 0
