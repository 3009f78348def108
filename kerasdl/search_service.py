"""A search's chief: hands trials out to workers on other machines, and takes them back from those that went silent.

It serves KerasTuner's oracle service. A trial that is handed out has a token, kept in a file beside the trial: a chief
that comes back after a kill knows by it who trains what, and a worker that was given up cannot answer for a trial that
another one has. A worker that cannot reach its chief for half of `worker_seconds` stops its own training; after the
whole of them the chief gives the trial to another: two processes never train in one folder.
"""

from __future__ import annotations

import json
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kerasdl.configuration import write_json
from kerasdl.errors import InputError
from kerasdl.search_trial import END_FILE
from kerasdl.tuning import wire

LEASE_FILE = "lease.json"
GOODBYE_SECONDS = 10.0
"""How long a chief that ends waits for its workers to hear of it."""
CALLS_AT_ONCE = 8


@dataclass
class Lease:
    """A trial that a worker has.

    Args:
        name: The trial's.
        tuner_id: The worker's.
        request: What is to be trained; None until a chief that came back has asked for it again.
        heard: When the worker was heard of last.
        taken: Whether the worker is to stop.
    """

    name: str
    tuner_id: str
    request: dict[str, Any] | None
    heard: float
    taken: bool = False


class RemotePool:
    """Workers on this and other machines, used as a pool of processes.

    Args:
        address: Where to listen, there alone.
        folder: The trials' folder, which all machines share.
        worker_seconds: Silence after which a worker's trial is given to another.
        log: A file for what goes wrong in calls.

    Raises:
        InputError: When the address cannot be had.
    """

    def __init__(self, address: wire.Address, *, folder: Path, worker_seconds: float, log: Path):
        self.running: set[str] = set()
        self._folder, self._log, self._worker_seconds = folder, log, worker_seconds
        self._changed = threading.Condition()
        self._waiting: list[dict[str, Any]] = []
        self._leases: dict[str, Lease] = {}
        """By token."""
        self._ends: dict[str, tuple[int | None, dict[str, Any] | None]] = {}
        """Exit code, and what the trial's process wrote at its end, by the trial's name."""
        self._heard: dict[str, float] = {}
        """When each worker was heard of last."""
        self._dismissed: set[str] = set()
        self._over = False
        self._read_leases()
        self._server = _serve(self, address)

    @property
    def places(self) -> int:
        """Trials that can run at the same time: one for each worker that has been heard of lately."""
        with self._changed:
            return len(self._alive(self._worker_seconds))

    @property
    def waiting(self) -> set[str]:
        """Names of the trials that no worker has taken yet."""
        with self._changed:
            return {request["name"] for request in self._waiting}

    def start(self, request: Mapping[str, Any]) -> None:
        """Hand a trial to the next worker that asks; one that a worker has from before a chief's kill is left to it."""
        name = request["name"]
        with self._changed:
            self.running.add(name)
            lease = next((lease for lease in self._leases.values() if lease.name == name), None)
            if lease is not None:
                lease.request = dict(request)
            elif name not in self._ends:
                self._waiting.append(dict(request))

    def kill(self, name: str) -> None:
        """Have a trial stopped; its end is reported as any other's."""
        with self._changed:
            if any(request["name"] == name for request in self._waiting):
                self._waiting = [request for request in self._waiting if request["name"] != name]
                self._ends[name] = (None, None)
            for lease in self._leases.values():
                lease.taken = lease.taken or lease.name == name

    def poll(self, seconds: float) -> list[tuple[str, int | None]]:
        """Wait for ends of trials, `seconds` at most, and return names and exit codes; None where a worker is gone."""
        with self._changed:
            self._give_up()
            if not self.running & self._ends.keys():
                self._changed.wait(seconds)
            ended = {name: self._ends.pop(name) for name in self.running & self._ends.keys()}
            self.running -= ended.keys()
        for name, (_, end) in ended.items():
            if end is not None:  # this machine may not see yet what another one has written
                write_json(self._folder / name / END_FILE, end)
        return [(name, code) for name, (code, _) in ended.items()]

    def close(self) -> None:
        """Tell the workers that the search is over, and end the service."""
        with self._changed:
            self._over = True
            end = time.monotonic() + min(GOODBYE_SECONDS, self._worker_seconds)
            while time.monotonic() < end and (self._leases or self._alive(self._worker_seconds) - self._dismissed):
                self._changed.wait(0.1)
        self._server.stop(grace=1).wait()

    def _alive(self, seconds: float) -> set[str]:
        now = time.monotonic()
        return {tuner_id for tuner_id, heard in self._heard.items() if now - heard < seconds}

    def _give_up(self) -> None:
        now = time.monotonic()
        for token, lease in list(self._leases.items()):
            if now - lease.heard > self._worker_seconds:
                self._end(token, None, None)
                self._heard.pop(lease.tuner_id, None)

    # The calls of workers; each has the lock.

    def hand_out(self, tuner_id: str) -> wire.Message:
        """Return a trial for a worker; the same one again for a worker that has not got the answer."""
        self._heard[tuner_id] = time.monotonic()
        if self._over:
            self._dismissed.add(tuner_id)
            return wire.Message("", wire.STOPPED, {})
        for token, lease in list(self._leases.items()):
            if lease.tuner_id != tuner_id or lease.request is None:
                continue
            if not lease.taken:
                lease.heard = time.monotonic()
                return self._handed(token, lease)
            self._end(token, None, None)  # it has never begun
        if not self._waiting:
            return wire.Message("", wire.IDLE, {})
        request, token = self._waiting[0], uuid.uuid4().hex
        lease = Lease(request["name"], tuner_id, request, time.monotonic())
        # On the disk before the worker has it.
        write_json(self._folder / lease.name / LEASE_FILE, {"token": token, "tuner_id": tuner_id})
        self._leases[token] = lease
        del self._waiting[0]
        return self._handed(token, lease)

    def go_on(self, token: str) -> wire.Message:
        """Note that a worker lives, and return whether it is to go on with its trial."""
        lease = self._leases.get(token)
        if lease is not None:
            lease.heard = self._heard[lease.tuner_id] = time.monotonic()
        status = wire.STOPPED if self._over else wire.GONE if lease is None or lease.taken else wire.RUNNING
        return wire.Message(token, status, {})

    def end(self, message: wire.Message) -> None:
        """Note the end of a trial; what a worker says that was given up is not heard."""
        if message.trial_id in self._leases:
            end = message.content.get("end")
            code = message.content.get("code")
            self._end(message.trial_id, None if code is None else int(code), end if isinstance(end, dict) else None)

    def _handed(self, token: str, lease: Lease) -> wire.Message:
        content = {"request": lease.request, "worker_seconds": self._worker_seconds}
        return wire.Message(token, wire.RUNNING, content)

    def _end(self, token: str, code: int | None, end: dict[str, Any] | None) -> None:
        lease = self._leases.pop(token)
        (self._folder / lease.name / LEASE_FILE).unlink(missing_ok=True)
        self._ends[lease.name] = (code, end)
        if self._over:
            self._dismissed.add(lease.tuner_id)
        self._changed.notify_all()

    def _read_leases(self) -> None:
        for path in self._folder.glob(f"*/{LEASE_FILE}"):
            read = json.loads(path.read_text("utf-8"))
            self._leases[read["token"]] = Lease(path.parent.name, read["tuner_id"], None, time.monotonic())

    def call(self, function: Callable[[], Any], context: Any) -> Any:
        """Answer a call with the lock held; an exception frees it, is written down, and is the caller's answer."""
        import grpc

        try:
            with self._changed:
                answer = function()
                self._changed.notify_all()
                return answer
        except Exception as error:  # noqa: BLE001 - whatever it was, the next call must find the service as it was
            with open(self._log, "a", encoding="utf-8") as file:
                traceback.print_exc(file=file)
            return context.abort(grpc.StatusCode.INTERNAL, f"{type(error).__name__}: {error}")


def _serve(pool: RemotePool, address: wire.Address) -> Any:
    """Start the service and return its server."""
    from concurrent import futures

    import grpc
    from keras_tuner.src import protos

    service = protos.get_service()

    def create_trial(request: Any, context: Any) -> Any:
        trial = pool.call(lambda: pool.hand_out(request.tuner_id), context)
        return service.CreateTrialResponse(trial=trial.to_proto())

    def update_trial(request: Any, context: Any) -> Any:
        trial = pool.call(lambda: pool.go_on(request.trial_id), context)
        return service.UpdateTrialResponse(trial=trial.to_proto())

    def end_trial(request: Any, context: Any) -> Any:
        pool.call(lambda: pool.end(wire.Message.from_proto(request.trial)), context)
        return service.EndTrialResponse()

    # The other calls of KerasTuner's service are answered as not implemented.
    handlers = {
        name: grpc.unary_unary_rpc_method_handler(
            function,
            request_deserializer=getattr(service, f"{name}Request").FromString,
            response_serializer=getattr(service, f"{name}Response").SerializeToString,
        )
        for name, function in (("CreateTrial", create_trial), ("UpdateTrial", update_trial), ("EndTrial", end_trial))
    }
    # A second chief must not share the port with the first.
    server = grpc.server(futures.ThreadPoolExecutor(CALLS_AT_ONCE), options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("keras_tuner.Oracle", handlers),))
    try:
        bound = server.add_insecure_port(str(address))
    except RuntimeError:
        bound = 0
    if not bound:
        raise InputError(
            wire.ORACLE_PORT,
            received=f"{address}, which cannot be listened at",
            expected="an address of this machine and a port that no other process has",
            mend=f"Set {wire.ORACLE_IP} and {wire.ORACLE_PORT} for the chief and all of its workers.",
        )
    server.start()
    return server
