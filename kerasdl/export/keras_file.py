"""The .keras format: a model to go on working with in Keras, on any backend. Loading one needs Keras."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kerasdl.export.formats import require


def load_keras(file: Path) -> Any:
    """Load a .keras file: registered objects only, no code from the file."""
    keras = require("keras", "keras", why="which loads .keras files")
    # Whose classes the file may name.
    import kerasdl.layers  # noqa: F401

    return keras.models.load_model(file, compile=False, safe_mode=True)


class KerasNetwork:
    """A .keras file, loaded.

    Args:
        file: The file.

    Raises:
        InputError: If Keras is not installed.
    """

    def __init__(self, file: Path):
        self.model = load_keras(file)
        from kerasdl.compiling import compiled

        # Keras's own `predict` takes many times as long for a single example.
        self._program = compiled(lambda inputs: self.model(inputs, training=False), self.model.variables)

    def __call__(self, inputs: np.ndarray | Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the output for a batch of any size."""
        from keras import ops

        types = {each.name: each.dtype for each in self.model.inputs}
        if isinstance(inputs, Mapping):
            given: Any = {name: ops.convert_to_tensor(inputs[name], dtype) for name, dtype in types.items()}
        else:
            given = ops.convert_to_tensor(inputs, next(iter(types.values())))
        return ops.convert_to_numpy(self._program(given))


def write_keras(model: Any, file: Path) -> None:
    """Write a model as a .keras file."""
    model.save(file)
