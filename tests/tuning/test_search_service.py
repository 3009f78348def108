"""A search on many machines: real processes on the loopback, killed and started again; and each rule of the service."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from kerasdl import search_service, search_trial, search_worker
from kerasdl.errors import InputError
from kerasdl.tuning import wire

ROOT = Path(__file__).parent.parent.parent
LONG, BOUND = 600.0, 900.0
SCRIPT = """
import json, sys
from kerasdl.tuning import search
from recipes import image_classification

outcome = search(
    image_classification, "digits", architecture="mlp", epochs=4, space={"units": [(8,), (12,), (16,)]},
    max_trials=3, finalists=1, repeats=2, seed=3, directory=sys.argv[1], worker_seconds=20,
    workers=int(sys.argv[2]) if len(sys.argv) > 2 else None,
)
rows = [[row["trial"], row["status"], row["score"], row["best_epoch"], row["seed"]] for row in outcome.table]
print("OUTCOME", json.dumps([rows, outcome.finalists, outcome.best.metrics]), flush=True)
"""


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def until(is_so: Callable[[], Any]) -> Any:
    """Wait until something is so, and fail after a time that no test takes."""
    end = time.monotonic() + BOUND
    while time.monotonic() < end:
        if found := is_so():
            return found
        time.sleep(0.1)
    raise AssertionError("this has never come to be")


@contextlib.contextmanager
def chief_at(port: int, folder: Path, seconds: float = LONG) -> Iterator[search_service.RemotePool]:
    pool = search_service.RemotePool(
        wire.Address(port=port), folder=folder, worker_seconds=seconds, log=folder / "service.log"
    )
    try:
        yield pool
    finally:
        pool._worker_seconds = 0.0  # nobody is there to be told
        pool.close()


@pytest.fixture
def trials(tmp_path: Path) -> Path:
    for name in ("0000", "0001"):
        (tmp_path / name).mkdir()
    return tmp_path


@pytest.fixture
def client() -> Iterator[wire.Client]:
    client = wire.Client(wire.Address(port=free_port()))
    yield client
    client.close()


def request(name: str) -> dict[str, Any]:
    return {"name": name, "keywords": {"learning_rate": 0.1}, "until": None}


def test_a_trial_is_handed_out_once_and_its_end_arrives(trials: Path, client: wire.Client):
    with chief_at(client._address.port, trials) as chief:
        assert chief.places == 0
        assert client.create_trial("a").status == wire.IDLE
        assert chief.places == 1
        chief.start(request("0000"))
        assert chief.waiting == {"0000"}
        handed = client.create_trial("a")
        # All 64 bits of a number arrive.
        assert (handed.status, handed.content["request"]) == (wire.RUNNING, request("0000"))
        assert chief.waiting == set()
        assert client.create_trial("b").status == wire.IDLE
        assert client.create_trial("a") == handed, "an answer that was lost is given again"
        assert client.update_trial(handed.trial_id) == wire.RUNNING
        client.end_trial(handed.trial_id, {"code": 0, "end": {"status": "finished", "reason": ""}})
        assert chief.poll(0) == [("0000", 0)]
        assert json.loads((trials / "0000" / search_trial.END_FILE).read_text())["status"] == "finished"
        assert not chief.running
        assert not list(trials.glob("*/lease.json"))


def test_a_silent_worker_loses_its_trial_and_is_not_heard_any_more(trials: Path, client: wire.Client):
    with chief_at(client._address.port, trials, seconds=0.5) as chief:
        chief.start(request("0000"))
        lost = client.create_trial("a").trial_id
        assert until(lambda: chief.poll(0.1)) == [("0000", None)]
        chief._worker_seconds = LONG
        chief.start(request("0000"))
        given = client.create_trial("b").trial_id
        assert given != lost
        assert client.update_trial(lost) == wire.GONE
        client.end_trial(lost, {"code": 0, "end": {"status": "finished", "reason": ""}})
        assert chief.poll(0) == []
        assert client.update_trial(given) == wire.RUNNING


def test_a_chief_that_comes_back_leaves_trials_to_those_who_have_them(trials: Path, client: wire.Client):
    with chief_at(client._address.port, trials) as chief:
        for name in ("0000", "0001"):
            chief.start(request(name))
        tokens = [client.create_trial(tuner).trial_id for tuner in "ab"]
        chief._leases.clear()  # as a kill would leave it: the files alone
    with chief_at(client._address.port, trials) as chief:
        # Before the search has got so far, and after.
        client.close()
        assert client.update_trial(tokens[0]) == wire.RUNNING
        client.end_trial(tokens[1], {"code": 0, "end": {"status": "paused", "reason": ""}})
        assert chief.poll(0) == []
        for name in ("0000", "0001"):
            chief.start(request(name))
        assert chief.poll(0) == [("0001", 0)]
        assert client.create_trial("c").status == wire.IDLE
        assert client.create_trial("a").trial_id == tokens[0]


def test_a_trial_is_taken_from_its_worker(trials: Path, client: wire.Client):
    with chief_at(client._address.port, trials) as chief:
        for name in ("0000", "0001"):
            chief.start(request(name))
        token = client.create_trial("a").trial_id
        for name in ("0000", "0001"):
            chief.kill(name)
        assert chief.poll(0) == [("0001", None)], "which no worker had"
        assert client.update_trial(token) == wire.GONE
        client.end_trial(token, {"code": -9, "end": None})
        assert chief.poll(0) == [("0000", -signal.SIGKILL)]


def test_an_error_in_a_call_is_told_and_the_next_call_is_answered(trials: Path, client: wire.Client):
    with chief_at(client._address.port, trials) as chief:
        chief.start(request("0000"))
        token = client.create_trial("a").trial_id
        with pytest.raises(wire.Unreachable, match="INTERNAL: ValueError"):
            client.end_trial(token, {"code": "many"})
        assert client.update_trial(token) == wire.RUNNING
        assert "many" in (trials / "service.log").read_text()


def test_two_chiefs_do_not_share_a_port(trials: Path, client: wire.Client):
    with (
        chief_at(client._address.port, trials),
        pytest.raises(InputError, match="cannot be listened at"),
        chief_at(client._address.port, trials),
    ):
        pass


class Crew:
    """A pool whose trainings end when they are killed."""

    places = 1
    waiting: set[str] = set()

    def __init__(self) -> None:
        self.started: list[dict[str, Any]] = []
        self.killed: list[str] = []
        self.is_closed = False
        self._ends: list[tuple[str, int]] = []

    def start(self, request: Mapping[str, Any]) -> None:
        self.started.append(dict(request))

    def kill(self, name: str) -> None:
        self.killed.append(name)
        self._ends.append((name, -9))

    def poll(self, seconds: float) -> list[tuple[str, int]]:
        time.sleep(0.01)
        ends, self._ends = self._ends, []
        return ends

    def close(self) -> None:
        self.is_closed = True


def worker_of(client: wire.Client, trials: Path, *, is_over: bool = False) -> tuple[search_worker.Worker, Crew]:
    crew = Crew()
    worker = search_worker.Worker(
        client,
        crew,
        trials=trials,
        data="here.csv",
        check=lambda: None,
        is_over=lambda: is_over,
        patience=1.0,
        say=lambda line: None,
    )
    return worker, crew


def test_a_worker_stops_its_training_when_the_chief_is_away_and_gives_up_after_a_while(
    trials: Path, client: wire.Client
):
    worker, crew = worker_of(client, trials)
    with chief_at(client._address.port, trials, seconds=LONG) as chief:
        chief.start({**request("0000"), "data": "there.csv"})
        until(lambda: worker._turn() or crew.started)
        assert crew.started[0] == {**request("0000"), "folder": str(trials / "0000"), "data": "here.csv"}
    worker._places[0].worker_seconds = 0.5
    with pytest.raises(RuntimeError, match="The chief has not answered for .* seconds"):
        worker.work()
    assert crew.killed == ["0000"]
    assert crew.is_closed


def test_a_worker_gives_its_trial_back_when_it_leaves(trials: Path, client: wire.Client):
    worker, crew = worker_of(client, trials)
    with chief_at(client._address.port, trials) as chief:
        chief.start(request("0000"))
        until(lambda: worker._turn() or crew.started)
        chief._over = True  # the search ends with an error
        worker.work()
        assert crew.is_closed
        assert chief.poll(0) == [("0000", None)]


def test_a_worker_ends_when_it_finds_the_outcome_and_no_chief(trials: Path, client: wire.Client):
    worker, crew = worker_of(client, trials, is_over=True)
    worker.work()
    assert crew.is_closed


@pytest.mark.parametrize(
    ("workers", "name", "role"),
    [
        (None, None, None),
        (None, "chief-0", "chief"),
        (None, "tuner0", "worker"),
        (2, "chief", None),
        ("chief", None, "chief"),
        ("worker", "chief", "worker"),
    ],
)
def test_the_argument_says_who_is_the_chief_and_then_the_environment(monkeypatch, workers, name, role):
    monkeypatch.delenv(wire.TUNER_ID, raising=False)
    if name is not None:
        monkeypatch.setenv(wire.TUNER_ID, name)
    assert wire.role(workers) == role


def test_a_wrong_role_or_port_is_refused(monkeypatch):
    with pytest.raises(InputError, match='workers: received \'boss\'; expected .* "chief" or "worker"'):
        wire.role("boss")
    monkeypatch.setenv(wire.ORACLE_PORT, "80000")
    with pytest.raises(InputError, match="KERASTUNER_ORACLE_PORT: received '80000'"):
        wire.Address.from_environment()
    monkeypatch.delenv(wire.ORACLE_PORT)
    monkeypatch.delenv(wire.ORACLE_IP, raising=False)
    assert str(wire.Address.from_environment()) == "127.0.0.1:8000"


class Machines:
    """Processes of one search, each known by a mark in its environment."""

    def __init__(self, folder: Path):
        self._folder, self._mark, self._port = folder, uuid.uuid4().hex, free_port()
        self._all: list[subprocess.Popen[bytes]] = []

    def start(self, name: str, *words: str) -> subprocess.Popen[bytes]:
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "KERASDL_TEST_MARK": self._mark,
            **({} if words else {wire.TUNER_ID: name, wire.ORACLE_PORT: str(self._port)}),
        }
        folder = self._folder / ("alone" if words else "together")
        with open(self._folder / f"{name}.txt", "ab") as said:
            process = subprocess.Popen(
                [sys.executable, "-c", SCRIPT, str(folder), *words], stdout=said, stderr=said, env=environment
            )
        self._all.append(process)
        return process

    def outcome(self, name: str, process: subprocess.Popen[bytes]) -> Any:
        code = process.wait(BOUND)
        said = (self._folder / f"{name}.txt").read_text()
        assert code == 0, said
        return json.loads(said.rsplit("OUTCOME ", 1)[1])

    def left(self) -> list[int]:
        """Return the processes that there still are, children's children too."""
        found = []
        for path in Path("/proc").glob("[0-9]*/environ"):
            with contextlib.suppress(OSError):
                if self._mark.encode() in path.read_bytes():
                    found.append(int(path.parent.name))
        return found

    def end(self) -> None:
        for pid in self.left():
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        for process in self._all:
            process.wait(BOUND)


def test_a_search_with_a_killed_worker_and_a_killed_chief_ends_as_one_on_a_single_machine(tmp_path: Path):
    together = tmp_path / "together"
    machines = Machines(tmp_path)

    def leases(tuner: str) -> list[Path]:
        """Return the leases of a worker whose trainings have begun."""
        return [
            path
            for path in together.glob("trials/*/lease.json")
            if path.with_name(search_trial.LOG_FILE).exists() and f'"{tuner}-' in path.read_text()
        ]

    def events() -> list[dict[str, Any]]:
        path = together / "events.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def ends() -> list[tuple[int, int]]:
        return [(event["trial"], event["repeat"]) for event in events() if event["event"] == "end"]

    try:
        chief = machines.start("chief")
        first, second = machines.start("first"), machines.start("second")
        lost = until(lambda: leases("first") or first.poll() is not None and pytest.fail("the worker has ended"))
        first.kill()
        first.wait()
        assert lost[0].exists(), "killed in the middle of a trial"
        # The chief is killed in the middle of a trial of the worker that is left, after another has ended.
        before = len(until(ends))
        until(lambda: leases("second"))
        chief.kill()
        chief.wait()
        chief = machines.start("chief")
        alone = machines.start("alone", "1")
        outcome = machines.outcome("chief", chief)
        assert machines.outcome("second", second) == outcome, "a worker returns the chief's outcome"
        assert machines.outcome("alone", alone) == outcome, "to the last bit"
        again = machines.outcome("chief-again", machines.start("chief-again"))
        assert again == outcome, "a chief finds the outcome without any worker"
        assert until(lambda: not machines.left())
    finally:
        machines.end()
    assert before < 4
    assert len(ends()) == 4
    assert {(0, 0), (1, 0), (2, 0)} < set(ends()), "each once, and the best one from another seed"
    starts = [(event["trial"], event["repeat"]) for event in events() if event["event"] == "start"]
    assert sorted(starts) == sorted(ends())
    for path in together.glob("trials/*/epochs.jsonl"):
        assert len(path.read_text().splitlines()) >= 4
    assert not list(together.glob("trials/*/lease.json"))
    assert not (together / ".data").exists()
