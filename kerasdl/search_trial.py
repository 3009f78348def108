"""The processes that train a search's trials: `python -m kerasdl.search_trial FOLDER`.

This process imports Keras once and maps the data; for each trial it forks a child, which inherits both and takes all
memory with it when it ends. Requests come as lines of JSON on standard input, ends of children go out on standard
output. When the standard input closes, because the search has ended or was killed, all children are killed.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import math
import os
import selectors
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from kerasdl.configuration import write_json
from kerasdl.errors import InputError
from kerasdl.tuning import shared

EPOCHS_FILE, END_FILE, LOG_FILE, RUN_FOLDER = "epochs.jsonl", "end.json", "log.txt", "run"
PR_SET_PDEATHSIG = 1


def main() -> None:
    """Serve until the standard input closes."""
    folder, recipe_name = Path(sys.argv[1]), sys.argv[2]
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries print is not for the search
    read_end, write_end = os.pipe()
    os.set_blocking(read_end, False)
    signal.signal(signal.SIGCHLD, lambda number, frame: os.write(write_end, b"."))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the search decides
    importlib.import_module("kerasdl.training")
    importlib.import_module("kerasdl.recipe_run")
    importlib.import_module("kerasdl.models")
    importlib.import_module("kerasdl.layers")
    recipe = importlib.import_module(recipe_name)
    dataset = shared.read(folder)
    running: dict[int, str] = {}
    print(json.dumps({"ready": os.getpid()}), file=out)
    with selectors.DefaultSelector() as selector:
        selector.register(0, selectors.EVENT_READ)
        selector.register(read_end, selectors.EVENT_READ)
        waiting = b""
        while True:
            ready = {key.fd for key, _ in selector.select()}
            if read_end in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(read_end, 4096)
                for pid in list(running):
                    ended, status = os.waitpid(pid, os.WNOHANG)
                    if ended:
                        code = os.waitstatus_to_exitcode(status)
                        print(json.dumps({"ended": running.pop(pid), "code": code}), file=out)
            if 0 in ready:
                content = os.read(0, 65536)
                if not content:
                    break
                *lines, waiting = (waiting + content).split(b"\n")
                for line in lines:
                    request = json.loads(line)
                    if "kill" in request:
                        for pid in [pid for pid, name in running.items() if name == request["kill"]]:
                            os.kill(pid, signal.SIGKILL)
                        continue
                    pid = os.fork()
                    if pid == 0:
                        selector.close()
                        _child(recipe, dataset, request)
                    running[pid] = request["name"]
    for pid in running:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _child(recipe: Any, dataset: Any, request: dict[str, Any]) -> None:
    """Train one trial and end the process."""
    code = 1
    try:
        parent = os.getppid()
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # no trial outlives its search
        if os.getppid() != parent:
            os._exit(1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.environ.update(request["environment"])
        folder = Path(request["folder"])
        log = os.open(folder / LOG_FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for descriptor in (1, 2):
            os.dup2(log, descriptor)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        write_json(folder / END_FILE, run(recipe, dataset, request))
        code = 0
    except BaseException:  # noqa: BLE001 - the process ends here, and the log says why
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def run(recipe: Any, dataset: Any, request: dict[str, Any]) -> dict[str, Any]:
    """Train one trial, as far as it is asked to be, and say how it ended.

    Args:
        recipe: The recipe's module.
        dataset: The data, unless the request names others.
        request: "folder"; "keywords" of `train`; "until", an epoch after which the trial pauses, or None; "data", what
            `train` loads itself because its keywords change the data, or None.

    Returns:
        "status", one of finished, paused, out_of_memory, not_finite, failed, and "reason".
    """
    from kerasdl import recipe_run, training

    folder = Path(request["folder"])
    watch = _watch(folder / EPOCHS_FILE, request["until"])
    data = dataset if request.get("data") is None else request["data"]
    try:
        with recipe_run.without_test():
            recipe.train(
                data,
                **{"checkpoint_every": "epoch", **request["keywords"]},
                directory=folder / RUN_FOLDER,
                resume=True,
                callbacks=[watch],
                verbose=0,
            )
    except training.TrainingInterrupted:
        if not watch.paused:
            raise
        return {"status": "paused", "reason": ""}
    except FloatingPointError as error:
        return {"status": "not_finite", "reason": _line(error)}
    except InputError as error:
        return {"status": "failed", "reason": _line(error)}
    except Exception as error:  # noqa: BLE001 - a row of the table, whatever it was
        traceback.print_exc()
        memory = isinstance(error, MemoryError) or training.is_out_of_memory(error)
        return {"status": "out_of_memory" if memory else "failed", "reason": f"{type(error).__name__}: {_line(error)}"}
    return {"status": "finished", "reason": ""}


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:500]


def _watch(path: Path, until: int | None) -> Any:
    """Return a callback that writes every epoch into a file, and pauses the training after the epoch `until`."""
    import keras

    from kerasdl import training

    # Not attributes: a checkpoint would bring back those of an earlier process.
    begun = time.monotonic()
    first_step: list[float] = []

    class Watch(keras.callbacks.Callback):
        """Writes every epoch into a file, and pauses the training."""

        def __init__(self) -> None:
            super().__init__()
            self.epochs = 0  # a plain number: part of the checkpoint

        @property
        def paused(self) -> bool:
            return until is not None and self.epochs >= until

        def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
            if self.paused:  # killed between the checkpoint of the pause and the end of the process
                raise training.TrainingInterrupted

        def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
            if not first_step:  # what is compiled has been compiled
                first_step.append(round(time.monotonic() - begun, 3))

        def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
            self.epochs += 1
            numbers = {name: float(value) for name, value in (logs or {}).items()}
            seconds = round(time.monotonic() - begun, 3)
            line = {
                "epoch": self.epochs,
                "seconds": seconds,
                "first_step": first_step[0] if first_step else seconds,
                "logs": {name: value if math.isfinite(value) else repr(value) for name, value in numbers.items()},
            }
            with open(path, "a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
            if self.paused:
                # The way of every stop from outside: a checkpoint that is whole, then the end.
                signal.raise_signal(signal.SIGTERM)

    return Watch()


if __name__ == "__main__":
    main()
