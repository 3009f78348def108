"""SavedModel, TensorFlow's own format and TensorFlow Serving's: everything in it, from raw inputs to answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras


def write_saved_model(
    model: keras.Model, signatures: Mapping[str, tuple[Callable[..., dict[str, Any]], list[Any]]], folder: Path
) -> None:
    """Write a SavedModel.

    Args:
        model: Whose weights go into it.
        signatures: For each name a function and the specifications of its inputs.
        folder: Where to; it is made.
    """
    archive = keras.export.ExportArchive()
    archive.track(model)
    for name, (function, specifications) in signatures.items():
        archive.add_endpoint(name, function, input_signature=specifications)
    archive.write_out(str(folder), verbose=False)
