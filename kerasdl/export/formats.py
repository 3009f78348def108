"""The formats of exports: the file that tells them apart, what each needs, how its network is loaded. Light."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kerasdl.errors import InputError, check_choice

FILES = {
    "saved_model": "saved_model.pb",
    "litert": "model.tflite",
    "onnx": "model.onnx",
    "keras": "model.keras",
}
"""The file of each format in a version's folder."""
QUANTIZATIONS = ("dynamic", "int8")
# Where kerasdl.json lies: TensorFlow Serving leaves files in assets.extra alone.
EXTRA = {"saved_model": "assets.extra"}
RUNTIMES = {
    "litert": ("kerasdl.export.litert", "LiteRTNetwork"),
    "onnx": ("kerasdl.export.onnx", "OnnxNetwork"),
    "keras": ("kerasdl.export.keras_file", "KerasNetwork"),
}

Network = Callable[[np.ndarray | Mapping[str, np.ndarray]], np.ndarray]
"""From a model's input, or several by name, to its output."""


def format_of(folder: Path) -> str | None:
    """Return the format of an exported version, None where there is none."""
    return next((name for name, file in FILES.items() if (folder / file).exists()), None)


def description_of(folder: Path) -> Path:
    """Return where the description of a version lies, by its format."""
    return folder / EXTRA.get(format_of(folder) or "saved_model", "") / "kerasdl.json"


def check_format(format: Any, quantization: Any) -> None:
    """Raise :class:`InputError` unless there is such a format, with such a quantization."""
    check_choice("format", format, FILES)
    if quantization is None:
        return
    check_choice("quantization", quantization, QUANTIZATIONS)
    if format in ("saved_model", "keras"):
        runs = "TensorFlow runs a SavedModel" if format == "saved_model" else "Keras runs a .keras file"
        raise InputError(
            "quantization",
            received=f"{quantization!r} with format={format!r}",
            expected=f"None: {runs} with the types it was trained with",
            mend='Pass format="litert" or format="onnx", whose runtimes have kernels for int8.',
        )


def require(module: str, package: str, *, why: str) -> Any:
    """Import a module that only some formats need, or say how to install it.

    Args:
        module: Its name.
        package: What to install for it.
        why: What it is needed for, as the end of a sentence.

    Raises:
        InputError: If it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise InputError(
            package,
            received=f"no such package ({error})",
            expected=f"it, {why}",
            mend=f"pip install {package}, or pip install 'kerasdl[formats]' for all formats.",
        ) from None


def load_network(folder: Path) -> Network:
    """Load the network of an exported version that holds a network alone.

    Raises:
        InputError: If its runtime is not installed, or the file is damaged.
    """
    format = format_of(folder) or ""
    module, name = RUNTIMES[format]
    file = folder / FILES[format]
    try:
        return getattr(importlib.import_module(module), name)(file)
    except InputError:
        raise
    # Each runtime has its own ways to fail on a damaged file.
    except Exception as error:
        raise InputError(
            str(file),
            received=f"a file that its runtime cannot load ({type(error).__name__})",
            expected="a whole model, as `export` wrote it",
            mend="Export it again.",
        ) from error
