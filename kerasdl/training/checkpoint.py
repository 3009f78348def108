"""Checkpoints from which a killed training goes on to the bit as if it had never been killed.

A checkpoint is one .npz file: every variable of the model (seed generators included), of the optimizer and of the
metrics, the best weights so far, and as JSON the position, the history and the callbacks' own state. It is written
beside its place, synced to disk and renamed; the one before it is kept, so that a damaged newest one costs a
checkpoint, not the run.
"""

from __future__ import annotations

import json
import os
import threading
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kerasdl.errors import InputError
from kerasdl.safe_loading.npz import read_npz
from kerasdl.safe_loading.strict_json import parse_json

KEPT = 2
PACE_SHARE = 0.01
PREFIX = "checkpoint-"

Arrays = dict[str, np.ndarray]
# What of a callback's attributes is state: plain numbers and words, and arrays (EarlyStopping's best weights).
_PLAIN = (bool, int, float, str, type(None))
# Histories of very many epochs.
_LARGEST_FACTS = 1 << 26
# Set by Keras for every callback and different in every process.
_NOT_STATE = ("_model", "params")


def write_checkpoint(folder: Path, position: int, arrays: Arrays, facts: dict[str, Any]) -> Path:
    """Write one checkpoint whole or not at all, and drop those older than the one before it.

    Args:
        folder: Where checkpoints lie; it must exist.
        position: Batches trained so far; the file is named by it.
        arrays: The variables.
        facts: JSON-able state.
    """
    path = folder / f"{PREFIX}{position:012d}.npz"
    beside = folder / f".{path.name}.{os.getpid()}"
    with open(beside, "wb") as file:
        np.savez(file, **arrays, facts=np.frombuffer(json.dumps(facts).encode(), dtype=np.uint8))  # type: ignore[arg-type]
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)
    for old in checkpoints_in(folder)[:-KEPT]:
        old.unlink(missing_ok=True)
    return path


def checkpoints_in(folder: Path) -> list[Path]:
    """Return the checkpoints in `folder`, the newest last."""
    return sorted(folder.glob(f"{PREFIX}*.npz"))


def read_newest(folder: Path) -> tuple[Arrays, dict[str, Any]] | None:
    """Return the newest checkpoint that is whole, or None; a damaged one is passed over with a warning."""
    for path in reversed(checkpoints_in(folder)):
        try:
            arrays = read_npz(path)
            facts = parse_json(arrays.pop("facts").tobytes(), numbers="any", largest=_LARGEST_FACTS)
            if not isinstance(facts["position"], int) or not isinstance(facts.get("callbacks", []), list):
                raise ValueError("no position, or no state of callbacks")
            return arrays, facts
        except (OSError, ValueError, KeyError) as error:
            warnings.warn(
                f"The checkpoint {path} is damaged ({type(error).__name__}: {error}); going on from the one before it.",
                stacklevel=2,
            )
    return None


class Pace:
    """Says when something may be done again so that, on average, it takes at most a share of the time.

    Args:
        share: Of the time, in (0, 1].
    """

    def __init__(self, share: float = PACE_SHARE):
        self._share = share
        self._next = time.monotonic()

    def is_due(self) -> bool:
        """Whether enough time has passed since the last time; at first, always."""
        return time.monotonic() >= self._next

    def spent(self, seconds: float) -> None:
        """Note that it was done now and what it cost."""
        self._next = time.monotonic() + seconds / self._share


class BackgroundWriter:
    """Writes one checkpoint at a time on a thread of its own: training waits only for a disk that is slower than it."""

    def __init__(self) -> None:
        self.seconds = 0.0
        """Processor time that the last write took."""
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    def write(self, *arguments: Any) -> None:
        """Start :func:`write_checkpoint` with `arguments` once the one before is done."""
        self.wait()

        def run() -> None:
            begun = time.thread_time()
            try:
                write_checkpoint(*arguments)
            except BaseException as error:  # noqa: BLE001 - raised again by wait()
                self._error = error
            self.seconds = time.thread_time() - begun

        self._thread = threading.Thread(target=run, name="checkpoint")
        self._thread.start()

    def wait(self) -> None:
        """Wait until nothing is being written; raise what went wrong with it."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._error is not None:
            error, self._error = self._error, None
            raise error


def capture(model: keras.Model, callbacks: Sequence[keras.callbacks.Callback]) -> tuple[Arrays, dict[str, Any]]:
    """Return copies of everything that the rest of a training depends on, beside its position."""
    if hasattr(model, "jax_state_sync"):
        model.jax_state_sync()
    arrays = {
        f"{group}/{index}": np.array(keras.ops.convert_to_numpy(variable))  # a copy: backends reuse their buffers
        for group, variables in _variables(model).items()
        for index, variable in enumerate(variables)
    }
    arrays |= _random_states()
    states: list[dict[str, Any]] = []
    for number, callback in enumerate(callbacks):
        plain: dict[str, Any] = {"class": type(callback).__name__, "arrays": {}}
        for name, value in vars(callback).items():
            if name in _NOT_STATE:
                continue
            if isinstance(value, _PLAIN):
                plain[name] = value
            elif isinstance(value, np.generic):
                plain[name] = value.item()
            elif isinstance(value, list) and value and all(isinstance(item, np.ndarray) for item in value):
                plain["arrays"][name] = len(value)
                arrays |= {f"callback/{number}/{name}/{index}": item.copy() for index, item in enumerate(value)}
        states.append(plain)
    return arrays, {"callbacks": states}


def restore(
    model: keras.Model, callbacks: Sequence[keras.callbacks.Callback], arrays: Arrays, facts: dict[str, Any]
) -> None:
    """Put back what :func:`capture` returned, but the metrics; the optimizer must be built.

    Raises:
        InputError: When the callbacks are not those whose state was kept.
    """
    names, kept = [type(callback).__name__ for callback in callbacks], [state["class"] for state in facts["callbacks"]]
    if names != kept:
        raise InputError(
            "callbacks",
            received=", ".join(names),
            expected=f"those of the run that goes on: {', '.join(kept)}",
            mend="Pass callbacks=[...] as in the first call.",
        )
    for group in ("model", "optimizer"):
        _assign(group, _variables(model)[group], arrays)
    for number, (callback, state) in enumerate(zip(callbacks, facts["callbacks"], strict=True)):
        for name, value in state.items():
            if name not in ("class", "arrays") and _is_state(callback, name, value):
                setattr(callback, name, value)
        for name, count in state["arrays"].items():
            setattr(callback, name, [arrays[f"callback/{number}/{name}/{index}"] for index in range(count)])


def _is_state(callback: keras.callbacks.Callback, name: str, value: Any) -> bool:
    # Neither a method nor where a callback writes: that is the call's to say, in a folder that may have been moved.
    is_path = isinstance(value, str) and ("/" in value or os.sep in value)
    return isinstance(value, _PLAIN) and not is_path and not callable(getattr(type(callback), name, None))


def restore_metrics(model: keras.Model, batch: tuple[Any, ...], arrays: Arrays) -> None:
    """Put back the metrics, which `fit` resets when an epoch begins.

    Args:
        model: The compiled model.
        batch: Any batch: metrics, and the means of the losses of several outputs, have no variables before they have
            seen one.
        arrays: What :func:`capture` returned.
    """
    inputs, targets = keras.tree.map_structure(keras.ops.convert_to_tensor, tuple(batch[:2]))
    outputs = model(inputs, training=False)
    model.compute_loss(inputs, targets, outputs)
    model.compute_metrics(inputs, targets, outputs)
    _assign("metrics", model.metrics_variables, arrays)


def _assign(group: str, variables: Sequence[Any], arrays: Arrays) -> None:
    saved = sum(name.startswith(f"{group}/") for name in arrays)
    if saved != len(variables):
        raise ValueError(f"The checkpoint has {saved} {group} variables and the training {len(variables)}.")
    for index, variable in enumerate(variables):
        variable.assign(arrays[f"{group}/{index}"])


def _variables(model: keras.Model) -> dict[str, list[Any]]:
    return {
        "model": list(model.variables),
        "optimizer": list(model.optimizer.variables),
        "metrics": list(model.metrics_variables),
    }


def _random_states() -> Arrays:
    """Return PyTorch's own generators, from which Keras draws dropout there; the other backends have none."""
    if keras.backend.backend() != "torch":
        return {}
    import torch

    states = [torch.get_rng_state(), *torch.cuda.get_rng_state_all()]
    return {f"random/{index}": state.numpy().copy() for index, state in enumerate(states)}


def restore_random_states(arrays: Arrays) -> None:
    """Put back PyTorch's generators, once the first batch is at hand: making its iterator draws from them."""
    states = [arrays[name] for name in sorted(arrays) if name.startswith("random/")]
    if not states:
        return
    import torch

    torch.set_rng_state(torch.from_numpy(states[0]))
    if len(states) > 1:
        torch.cuda.set_rng_state_all([torch.from_numpy(state) for state in states[1:]])
