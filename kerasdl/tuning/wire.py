"""How a chief and its workers speak: KerasTuner's service, what is asked and answered as JSON in its trials.

Nothing but JSON is read from the network. There is no password: whoever reaches the address can take trials and answer
for them, so it is the loopback unless another one is asked for.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kerasdl.errors import InputError

TUNER_ID, ORACLE_IP, ORACLE_PORT = "KERASTUNER_TUNER_ID", "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT"
ROLES = ("chief", "worker")
RUNNING, IDLE, STOPPED, GONE = "RUNNING", "IDLE", "STOPPED", "INVALID"
"""What a chief answers: go on, nothing to do now, the search is over, this trial is not yours (any more)."""
CONTENT = "json"
CALL_SECONDS = 5.0


def role(workers: Any) -> str | None:
    """Return chief, worker, or None for a search of this process alone.

    Args:
        workers: The argument of `search`; where it is None, KERASTUNER_TUNER_ID decides: it starts with "chief" on the
            chief, and is another name on each worker.
    """
    if workers in ROLES:
        return workers
    if isinstance(workers, str):
        raise InputError(
            "workers",
            received=repr(workers),
            expected='a number of trials at the same time, "chief" or "worker"',
            mend='Pass workers="chief" in one process and workers="worker" in the others.',
        )
    name = os.environ.get(TUNER_ID) if workers is None else None
    if not name:
        return None
    return "chief" if name.startswith("chief") else "worker"


@dataclass(frozen=True)
class Address:
    """Where a chief is found.

    Args:
        host: A name or a number.
        port: From 1 to 65535.
    """

    host: str = "127.0.0.1"
    port: int = 8000

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @classmethod
    def from_environment(cls) -> Address:
        """Return the address in KERASTUNER_ORACLE_IP and KERASTUNER_ORACLE_PORT, by default 127.0.0.1 and 8000."""
        port = os.environ.get(ORACLE_PORT) or str(cls.port)
        if not port.isdecimal() or not 0 < int(port) < 2**16:
            raise InputError(
                ORACLE_PORT,
                received=repr(port),
                expected="the number of the chief's port, from 1 to 65535",
                mend=f"Set {ORACLE_PORT}={cls.port} for the chief and all of its workers.",
            )
        return cls(os.environ.get(ORACLE_IP) or cls.host, int(port))


@dataclass(frozen=True)
class Message:
    """What is in one of the service's trials.

    Args:
        trial_id: The token of a handing-out.
        status: One of RUNNING, IDLE, STOPPED, GONE.
        content: JSON-able.
    """

    trial_id: str
    status: str
    content: dict[str, Any]

    def to_proto(self) -> Any:
        """Return it as the service sends it, in JSON: that keeps all 64 bits of a number, the service does not."""
        import keras_tuner

        values = keras_tuner.HyperParameters()
        values.Fixed(CONTENT, json.dumps(self.content))
        return keras_tuner.engine.trial.Trial(values, trial_id=self.trial_id, status=self.status).to_proto()

    @classmethod
    def from_proto(cls, proto: Any) -> Message:
        """Return what the service has received."""
        import keras_tuner

        trial = keras_tuner.engine.trial.Trial.from_proto(proto)
        content = json.loads(trial.hyperparameters.values.get(CONTENT, "{}"))
        return cls(trial.trial_id, trial.status, content if isinstance(content, dict) else {})


class Unreachable(Exception):
    """The chief did not answer."""


class Client:
    """A worker's end: each call takes a few seconds at most, and the next one dials anew after a failure.

    Args:
        address: The chief's.
    """

    def __init__(self, address: Address):
        self._address = address
        self._channel: Any = None

    def create_trial(self, tuner_id: str) -> Message:
        """Ask for a trial; asked again under the same name before its end, the same one is given."""
        return Message.from_proto(self._call("CreateTrial", tuner_id=tuner_id).trial)

    def update_trial(self, token: str) -> str:
        """Say that a trial goes on, and return whether it is to."""
        return Message.from_proto(self._call("UpdateTrial", trial_id=token, metrics={}, step=0).trial).status

    def end_trial(self, token: str, content: Mapping[str, Any]) -> None:
        """Say how a trial has ended."""
        self._call("EndTrial", trial=Message(token, "COMPLETED", dict(content)).to_proto())

    def close(self) -> None:
        """Hang up."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def _call(self, name: str, **fields: Any) -> Any:
        import grpc
        from keras_tuner.src import protos

        if self._channel is None:
            # A proxy is not for this, and a chief that comes back is to be found at once.
            options = [("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1)]
            self._channel = grpc.insecure_channel(str(self._address), options)
        request = getattr(protos.get_service(), f"{name}Request")(**fields)
        method = getattr(protos.get_service_grpc().OracleStub(self._channel), name)
        try:
            return method(request, timeout=CALL_SECONDS)
        except grpc.RpcError as error:
            with contextlib.suppress(Exception):
                self.close()
            raise Unreachable(f"{error.code().name}: {error.details()}") from error
