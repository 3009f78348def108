"""Hyperparameter search on KerasTuner: spaces, what to try next, the log that survives a kill, tables and pages.

The parts here stand by themselves; :func:`search` brings them together with recipes and data.
"""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["Outcome", "search"]  # noqa: F822 - from kerasdl.search, where the parts meet the recipes


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'kerasdl.tuning' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(importlib.import_module("kerasdl.search"), name)
