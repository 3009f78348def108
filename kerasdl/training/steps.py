"""How a training's callbacks hear of its steps: without making the device wait for them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import keras


class StepLogs(dict[str, Any]):
    """What a step ended with, each number read from the device when somebody looks at it.

    Keras reads all of them after every step. An accelerator then waits until the next step has been prepared, in place
    of working on it meanwhile.
    """

    def __getitem__(self, name: str) -> Any:
        value = super().__getitem__(name)
        if not isinstance(value, float):
            with contextlib.suppress(TypeError, ValueError):  # a metric of several numbers stays as it is
                value = self[name] = float(keras.ops.convert_to_numpy(value))
        return value

    def __iter__(self) -> Iterator[str]:
        # Its own, so that `dict(logs)` goes by it and not past `__getitem__`.
        return super().__iter__()

    def get(self, name: str, default: Any = None) -> Any:
        """Return a number, or the default where there is none of that name."""
        try:
            return self[name]
        except KeyError:
            return default

    def items(self) -> Any:
        """Return names and numbers."""
        return {name: self[name] for name in self}.items()

    def values(self) -> Any:
        """Return the numbers."""
        return {name: self[name] for name in self}.values()

    def copy(self) -> dict[str, Any]:
        """Return a plain dictionary."""
        return dict(self.items())


class Callbacks(keras.callbacks.CallbackList):
    """Keras's list of callbacks, which are called as ever, after each step with :class:`StepLogs`.

    Args:
        callbacks: The callbacks.
        keywords: Those of Keras's CallbackList.
    """

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Tell all callbacks."""
        read = StepLogs(sorted((logs or {}).items()))
        for callback in self.callbacks:
            callback.on_train_batch_end(batch, logs=read)
