"""The .keras format: a model to go on working with in Keras, on any backend. Loading one needs Keras."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kerasdl.export.formats import require
from kerasdl.safe_loading import load_keras


class KerasNetwork:
    """A .keras file, loaded.

    Args:
        file: The file.

    Raises:
        InputError: If Keras is not installed.
    """

    def __init__(self, file: Path):
        keras = require("keras", "keras", why="which loads .keras files")
        self.model = load_keras(file)

        from kerasdl.compiling import compiled
        from kerasdl.export import conversion

        # Keras's own `predict` takes many times as long for a single example.
        if keras.backend.backend() == "tensorflow":
            # Traced once, for batches and lengths of any size.
            program = conversion.network_function(self.model)
            self._program = lambda inputs: program(inputs)[conversion.OUTPUT]
        else:
            self._program = compiled(conversion.by_name(self.model), self.model.variables)

    def __call__(self, inputs: np.ndarray | Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the output for a batch of any size."""
        from keras import ops

        types = {each.name: each.dtype for each in self.model.inputs}
        given = inputs if isinstance(inputs, Mapping) else {next(iter(types)): inputs}
        tensors = {name: ops.convert_to_tensor(given[name], dtype) for name, dtype in types.items()}
        return ops.convert_to_numpy(self._program(tensors))


def write_keras(model: Any, file: Path) -> None:
    """Write a model as a .keras file."""
    model.save(file)
