"""Who trains a search's trials: processes of this machine, or workers on others for whom this process is the chief."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from kerasdl.errors import InputError
from kerasdl.search_outcome import OUTCOME_FILE
from kerasdl.search_rows import TRIALS_FOLDER
from kerasdl.search_service import RemotePool
from kerasdl.search_worker import PATIENCE, Worker
from kerasdl.tuning import log, pool, shared, wire

DATA_FOLDER, SERVER_LOG, SERVICE_LOG = ".data", "server.log", "service.log"
PROGRAM_BYTES = 2**29
"""Of what JAX has compiled, the newest is kept up to this size."""


@contextlib.contextmanager
def crew(
    role: str | None,
    module: ModuleType,
    dataset: Any,
    *,
    folder: Path,
    workers: Any,
    worker_seconds: float,
    say: Callable[[str], None],
) -> Iterator[pool.Crew | None]:
    """Give who trains the trials of this process's search; None on a worker, where the chief's search is over.

    Args:
        role: chief, worker, or None.
        module: The recipe.
        dataset: The data.
        folder: The search's.
        workers: Trials at the same time on this machine.
        worker_seconds: Silence after which a worker's trial is given to another.
        say: Where lines for the user go.
    """
    if role == "worker":
        yield None
    elif role == "chief":
        with _workers(folder, worker_seconds=worker_seconds, say=say) as remote:
            yield remote
    else:
        with _processes(
            module, dataset, scratch=folder / DATA_FOLDER, server_log=folder / SERVER_LOG, workers=workers
        ) as local:
            yield local


@contextlib.contextmanager
def _processes(
    module: ModuleType, dataset: Any, *, scratch: Path, server_log: Path, workers: int | None
) -> Iterator[pool.Pool]:
    """Give a pool of processes on this machine, with the data; nothing of both is left afterwards.

    Args:
        module: The recipe.
        dataset: The data.
        scratch: A folder for the data, which is removed.
        server_log: A file for what the server prints.
        workers: Trials at the same time; None for one a GPU, and one where there is none.
    """
    import keras

    scratch.mkdir(mode=0o700, exist_ok=True)
    # A recipe is found where this process has found it.
    places = os.pathsep.join(place for place in sys.path if place)
    crew = pool.Pool(
        pool.python("kerasdl.search_trial", str(scratch), module.__name__),
        environment={
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "KERAS_BACKEND": keras.backend.backend(),
            "PYTHONPATH": places,
            **_kept_programs(scratch / "programs"),
        },
        log=server_log,
        slots=pool.slots(workers),
    )
    try:
        shared.write(scratch, dataset)
        yield crew
    finally:
        crew.close()
        shutil.rmtree(scratch, ignore_errors=True)


def _kept_programs(folder: Path) -> dict[str, str]:
    """Return the variables by which JAX keeps what it compiles, for a trial that goes on in another process."""
    import keras

    if keras.backend.backend() != "jax" or "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return {}
    if importlib.util.find_spec("filelock") is None:  # without it JAX knows no limit
        return {}
    return {"JAX_COMPILATION_CACHE_DIR": str(folder), "JAX_COMPILATION_CACHE_MAX_SIZE": str(PROGRAM_BYTES)}


@contextlib.contextmanager
def _workers(folder: Path, *, worker_seconds: float, say: Callable[[str], None]) -> Iterator[RemotePool]:
    """Be the chief of workers, who hear at the end that the search is over."""
    address = wire.Address.from_environment()
    trials = folder / TRIALS_FOLDER
    crew = RemotePool(address, folder=trials, worker_seconds=worker_seconds, log=folder / SERVICE_LOG)
    say(f"Chief: workers find this search at {address}.")
    try:
        yield crew
    finally:
        crew.close()


def work(
    module: ModuleType,
    dataset: Any,
    data: Any,
    *,
    folder: Path,
    settings: Mapping[str, Any],
    worker_seconds: float,
    say: Callable[[str], None],
) -> None:
    """Train for a chief until its search is over.

    Args:
        module: The recipe.
        dataset: The data.
        data: As trials that load it themselves are given it.
        folder: The search's.
        settings: What the search depends on; the chief's must be the same.
        worker_seconds: Its tenfold is how long a chief may be away.
        say: Where lines for the user go.

    Raises:
        InputError: When the chief's search is another one, or in another folder.
        RuntimeError: When the chief was away for too long, or ended without an outcome.
    """
    client = wire.Client(wire.Address.from_environment())
    scratch = Path(tempfile.mkdtemp(prefix="kerasdl-search-"))
    server_log = scratch.with_name(f"{scratch.name}.log")
    say(f"Worker: calls the chief at {wire.Address.from_environment()}; its processes write to {server_log}.")
    with _processes(module, dataset, scratch=scratch, server_log=server_log, workers=None) as crew:
        Worker(
            client,
            crew,
            trials=folder / TRIALS_FOLDER,
            data=str(data) if isinstance(data, (str, Path)) else None,
            check=lambda: _check(folder, settings),
            is_over=(folder / OUTCOME_FILE).is_file,
            patience=worker_seconds * PATIENCE,
            say=say,
        ).work()
    server_log.unlink(missing_ok=True)
    _check(folder, settings)
    if not (folder / OUTCOME_FILE).is_file():
        raise RuntimeError("The chief ended before its search was over; it says why. Start both again to go on.")


def _check(folder: Path, settings: Mapping[str, Any]) -> None:
    if not (folder / log.SETTINGS_FILE).is_file():
        raise InputError(
            "directory",
            received=f"{str(folder)!r}, where no search is",
            expected="the folder of the chief's search: a directory that all machines share",
            mend="Pass the folder as this machine sees it.",
        )
    log.begin(folder, dict(settings))
