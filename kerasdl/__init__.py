"""kerasdl: from data to a trained, diagnosed, exported model in one call, on Keras 3.

The public names, loaded when they are first used: ``import kerasdl`` costs no Keras and no TensorFlow.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kerasdl import blocks, data, diagnostics, export, layers, models, training
    from kerasdl.errors import InputError
    from kerasdl.phases import fit_phases
    from kerasdl.recipe_run import run_recipe
    from kerasdl.result import Result

__version__ = "0.1.0"
__all__ = [
    "InputError",
    "Result",
    "blocks",
    "data",
    "diagnostics",
    "export",
    "fit_phases",
    "layers",
    "models",
    "run_recipe",
    "training",
]

_MODULE_OF = {
    "InputError": "kerasdl.errors",
    "Result": "kerasdl.result",
    "fit_phases": "kerasdl.phases",
    "run_recipe": "kerasdl.recipe_run",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'kerasdl' has no attribute {name!r}; it has {', '.join(__all__)}")
    if name in _MODULE_OF:
        return getattr(importlib.import_module(_MODULE_OF[name]), name)
    return importlib.import_module(f"kerasdl.{name}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
