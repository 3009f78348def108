"""The pool of processes that train trials, as a search sees it: start, poll, kill; a server that dies is replaced."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

STARTS = 5
"""Times in a row that a server may die before it is ready."""


class Crew(Protocol):
    """Who trains trials: processes of this machine, or workers on others."""

    @property
    def places(self) -> int:
        """Trials that can run at the same time."""

    @property
    def waiting(self) -> set[str]:
        """Names of what has been started here and not by anyone yet."""

    def start(self, request: Mapping[str, Any]) -> None:
        """Start a trial."""

    def kill(self, name: str) -> None:
        """Stop a trial; its end is reported as any other's."""

    def poll(self, seconds: float) -> list[tuple[str, int | None]]:
        """Wait for ends of trials, `seconds` at most, and return names and exit codes; None for one that was lost.

        A lost one has not ended by itself: who trained it is gone.
        """

    def close(self) -> None:
        """End all of it."""


class Pool:
    """Children that train one trial each, forked by a server process that has imported Keras and mapped the data.

    Args:
        command: The server's program and arguments.
        environment: Variables of the server and its children, beside this process's own.
        log: A file for what the server prints.
        slots: The environment of each place where a child can run.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        log: Path,
        slots: Sequence[Mapping[str, str]] = ({},),
    ):
        self._command = list(command)
        self._environment = dict(environment)
        self._log = log
        self._server: subprocess.Popen[bytes] | None = None
        self._waiting = b""
        self._failures = 0
        self.running: set[str] = set()
        """Names of what has been started and has not ended."""
        self._slots = slots
        self._slot_of: dict[str, int] = {}

    @property
    def places(self) -> int:
        """Children that can run at the same time."""
        return len(self._slots)

    @property
    def waiting(self) -> set[str]:
        """Nothing: a child is forked at once."""
        return set()

    def start(self, request: Mapping[str, Any]) -> None:
        """Start a child; `request["name"]` is how it is spoken of."""
        if self._server is None:
            self._begin()
        used = [self._slot_of[name] for name in self.running]
        slot = next(index for index in range(len(self._slots)) if index not in used)
        self.running.add(request["name"])
        self._slot_of[request["name"]] = slot
        self._send({**request, "environment": self._slots[slot]})

    def kill(self, name: str) -> None:
        """Kill a child; its end is reported as any other's."""
        self._send({"kill": name})

    def poll(self, seconds: float) -> list[tuple[str, int | None]]:
        """Wait for ends of children, `seconds` at most, and return names and exit codes; -9 for SIGKILL.

        All children of a server that died have died with it: None.
        """
        if self._server is None:
            time.sleep(seconds)
            return []
        stdout = self._server.stdout
        if stdout is None:
            return []
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            if not selector.select(seconds):
                return []
        content = os.read(stdout.fileno(), 65536)
        if not content:
            return self._died()
        *lines, self._waiting = (self._waiting + content).split(b"\n")
        ends: list[tuple[str, int | None]] = []
        for line in lines:
            message = json.loads(line)
            if "ready" in message:
                self._failures = 0
            if "ended" in message:
                self.running.discard(message["ended"])
                ends.append((message["ended"], message["code"]))
        return ends

    def close(self) -> None:
        """End the server and with it every child; nothing stays behind."""
        if self._server is None:
            return
        with contextlib.suppress(OSError):
            if self._server.stdin is not None:
                self._server.stdin.close()
        try:
            self._server.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()
        if self._server.stdout is not None:
            self._server.stdout.close()
        self._server = None

    def _begin(self) -> None:
        with open(self._log, "ab") as log:
            self._server = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, **self._environment},
            )
        self._waiting = b""

    def _send(self, message: Mapping[str, Any]) -> None:
        if self._server is None or self._server.stdin is None:
            return
        with contextlib.suppress(BrokenPipeError):  # it has died: poll() will say so
            self._server.stdin.write(json.dumps(message).encode() + b"\n")
            self._server.stdin.flush()

    def _died(self) -> list[tuple[str, int | None]]:
        self._failures += 1
        code = self._server.wait() if self._server is not None else 0
        self.close()
        if self._failures >= STARTS:
            said = self._log.read_text("utf-8", "replace").strip().splitlines()[-3:]
            raise RuntimeError(
                f"The process that starts trials ended {self._failures} times in a row (exit code {code}): "
                + " ".join(said)
                + f" See {self._log}."
            )
        ends: list[tuple[str, int | None]] = [(name, None) for name in self.running]
        self.running.clear()
        return ends


def python(module: str, *words: str) -> list[str]:
    """Return the command that runs a module with this interpreter."""
    return [sys.executable, "-m", module, *words]


def slots(workers: int | None) -> list[dict[str, str]]:
    """Return the environment of each place where a trial can run: one a GPU; on processors `workers` share the cores.

    Args:
        workers: Trials at the same time; None for one a GPU, and one where there is none.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        gpus = [name for name in visible.split(",") if name.strip() not in ("", "-1")]
    else:
        gpus = [str(number) for number in range(len(list(Path("/dev").glob("nvidia[0-9]*"))))]
    growth = {"TF_FORCE_GPU_ALLOW_GROWTH": "true", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    if gpus:
        count = len(gpus) if workers is None else workers
        return [{"CUDA_VISIBLE_DEVICES": gpus[index % len(gpus)], **growth} for index in range(count)]
    count = 1 if workers is None else workers
    threads = str(max(len(os.sched_getaffinity(0)) // count, 1))
    limits = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    return [dict.fromkeys(limits, threads) for _ in range(count)] if count > 1 else [{}]
