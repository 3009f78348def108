"""A search's worker: trains the trials that a chief hands out, until the chief's search is over.

It trains in processes of its own, one at a time on each GPU, and says every few seconds that it lives. What it writes
lies in the search's folder, which all machines share: another worker goes on from there.
"""

from __future__ import annotations

import json
import os
import re
import socket
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kerasdl.search_trial import END_FILE
from kerasdl.tuning import wire
from kerasdl.tuning.pool import Crew

POLL_SECONDS, IDLE_SECONDS, BEAT_SECONDS = 0.25, 1.0, 2.0
LONGEST_PAUSE = 4.0
"""Seconds between two attempts to reach the chief, at most."""
PATIENCE = 10
"""A worker gives up when its chief was away for so many times `worker_seconds`."""
LOST = {"code": None, "end": None}
"""How a trial has ended that was not trained to an end of its own here."""


@dataclass
class Place:
    """Where one trial can run.

    Args:
        tuner_id: How it is called in the service.
        token: Of the trial that it has; empty for none.
        request: What is to be trained.
        worker_seconds: Silence after which the chief gives the trial to another.
        heard: When the chief was asked what it has answered last.
        due: When to call the chief next.
        started: Whether the training has been started.
        killed: Whether the training has been stopped.
        end: How it has ended, for the chief.
    """

    tuner_id: str
    token: str = ""
    request: dict[str, Any] | None = None
    worker_seconds: float = 0.0
    heard: float = 0.0
    due: float = 0.0
    started: bool = False
    killed: bool = False
    end: dict[str, Any] | None = None

    @property
    def name(self) -> str:
        """The name of its trial."""
        return "" if self.request is None else self.request["name"]


class Worker:
    """Trains for a chief.

    Args:
        client: The line to the chief.
        crew: Where trials are trained.
        trials: The trials' folder.
        data: What trials that load the data themselves are given.
        check: Called when the chief is there; raises where this is another search than the chief's.
        is_over: Says whether the search has ended, where the chief cannot.
        patience: Seconds without the chief after which it gives up.
        say: Where lines for the user go.
    """

    def __init__(
        self,
        client: wire.Client,
        crew: Crew,
        *,
        trials: Path,
        data: str | None,
        check: Callable[[], None],
        is_over: Callable[[], bool],
        patience: float,
        say: Callable[[str], None],
    ):
        self._client, self._crew, self._trials, self._data = client, crew, trials, data
        self._check, self._is_over, self._patience, self._say = check, is_over, patience, say
        # Another name at each start: a worker that comes back is a new one, as its trainings have ended with it.
        name = f"{os.environ.get(wire.TUNER_ID) or socket.gethostname()}-{uuid.uuid4().hex[:8]}"
        self._places = [Place(f"{name}/{number}") for number in range(crew.places)]
        self._reached = time.monotonic()
        self._pause = self._next_call = 0.0
        self._checked = False

    def work(self) -> None:
        """Train until the chief says that the search is over.

        Raises:
            RuntimeError: When the chief was away for too long.
        """
        try:
            while not self._turn():
                pass
        finally:
            self._crew.close()
            self._leave()
            self._client.close()

    def _turn(self) -> bool:
        """Do what is due, and return whether the search is over."""
        for name, code in self._crew.poll(POLL_SECONDS):
            for place in self._places:
                if place.started and place.name == name:
                    place.end = {"code": None if place.killed else code, "end": self._read_end(name)}
                    place.due = 0.0
        for place in self._places:
            # The chief waits twice as long before it gives the trial to another.
            if place.token and time.monotonic() - place.heard > place.worker_seconds / 2:
                self._stop(place)
        if time.monotonic() < self._next_call:
            return False
        try:
            for place in self._places:
                if time.monotonic() >= place.due and self._call(place):
                    return True
            self._start_what_waits()
        except wire.Unreachable as error:
            return self._miss(error)
        if self._pause:
            self._say("The chief answers again.")
        self._reached, self._pause = time.monotonic(), 0.0
        return False

    def _call(self, place: Place) -> bool:
        """Make the call that is due, and return whether the search is over."""
        asked = time.monotonic()
        if not self._checked:
            if self._client.update_trial("") == wire.STOPPED:
                return True
            self._check()
            self._checked = True
        if not place.token:
            message = self._client.create_trial(place.tuner_id)
            if message.status == wire.RUNNING:
                self._take(place, message, asked)
            place.due = time.monotonic() + IDLE_SECONDS
            return message.status == wire.STOPPED
        if place.end is not None:
            self._client.end_trial(place.token, place.end)
            self._say(f"Trial {place.name} has ended here.")
            self._clear(place)
            return False
        status = self._client.update_trial(place.token)
        place.heard = asked
        place.due = time.monotonic() + min(BEAT_SECONDS, place.worker_seconds / 8)
        if status == wire.GONE:
            self._stop(place)
        return status == wire.STOPPED

    def _take(self, place: Place, message: wire.Message, asked: float) -> None:
        request = message.content["request"]
        if not re.fullmatch(r"[0-9]+(-seed[0-9]+)?", request["name"]):
            raise RuntimeError(f"The chief asks for a trial {request['name']!r}, which is no name of one.")
        place.token, place.heard, place.worker_seconds = message.trial_id, asked, message.content["worker_seconds"]
        data = None if request.get("data") is None else self._data
        place.request = {**request, "folder": str(self._trials / request["name"]), "data": data}
        self._say(f"Trial {place.name} is trained here.")

    def _start_what_waits(self) -> None:
        """Start what has been handed out; a training of the same trial that is being stopped must have ended."""
        busy = {place.name for place in self._places if place.started}
        for place in self._places:
            if place.request is None or place.started or place.end is not None or place.name in busy:
                continue
            place.started = True
            (self._trials / place.name / END_FILE).unlink(missing_ok=True)
            self._crew.start(place.request)

    def _stop(self, place: Place) -> None:
        if place.started and not place.killed and place.end is None:
            place.killed = True
            self._crew.kill(place.name)
        elif not place.started:
            place.end = LOST

    def _clear(self, place: Place) -> None:
        place.token, place.request, place.end = "", None, None
        place.started = place.killed = False
        place.due = 0.0

    def _read_end(self, name: str) -> dict[str, Any] | None:
        path = self._trials / name / END_FILE
        return json.loads(path.read_text("utf-8")) if path.exists() else None

    def _miss(self, error: Exception) -> bool:
        """Note that the chief did not answer, and return whether that is because the search is over."""
        now = time.monotonic()
        if not any(place.started and place.end is None for place in self._places) and self._is_over():
            return True
        if now - self._reached > self._patience:
            raise RuntimeError(
                f"The chief has not answered for {now - self._reached:.0f} seconds ({error}). Start it again where it "
                f"was, and then this worker: the search goes on where it is. See {wire.ORACLE_IP}, {wire.ORACLE_PORT}."
            ) from error
        if not self._pause:
            self._say("The chief does not answer; it is called again.")
        self._pause = min(max(self._pause * 2, POLL_SECONDS), LONGEST_PAUSE)
        self._next_call = now + self._pause
        return False

    def _leave(self) -> None:
        """Give back what this worker has; its processes have ended."""
        try:
            for place in self._places:
                if place.token:
                    self._client.end_trial(place.token, place.end or LOST)
        except wire.Unreachable:
            return  # the chief will miss this worker
