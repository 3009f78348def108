"""kerasdl: from data to a trained, diagnosed, exported model in one call, on Keras 3.

The public names, loaded when they are first used: ``import kerasdl`` costs no Keras and no TensorFlow.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kerasdl import blocks, data, diagnostics, export, layers, models, training, tuning
    from kerasdl.detection_task import ObjectDetection
    from kerasdl.errors import InputError
    from kerasdl.forecasting_task import Forecasting
    from kerasdl.image_task import ImageClassification
    from kerasdl.improvement import improve
    from kerasdl.language_task import LanguageModelling
    from kerasdl.phases import fit_phases
    from kerasdl.recipe_run import run_recipe
    from kerasdl.result import Result
    from kerasdl.series_task import SeriesClassification
    from kerasdl.text_task import TextClassification

__version__ = "0.1.0"
__all__ = [
    "Forecasting",
    "ImageClassification",
    "InputError",
    "LanguageModelling",
    "ObjectDetection",
    "Result",
    "SeriesClassification",
    "TextClassification",
    "blocks",
    "data",
    "diagnostics",
    "export",
    "fit_phases",
    "improve",
    "layers",
    "models",
    "run_recipe",
    "training",
    "tuning",
]

_MODULE_OF = {
    "Forecasting": "kerasdl.forecasting_task",
    "ImageClassification": "kerasdl.image_task",
    "InputError": "kerasdl.errors",
    "LanguageModelling": "kerasdl.language_task",
    "ObjectDetection": "kerasdl.detection_task",
    "Result": "kerasdl.result",
    "SeriesClassification": "kerasdl.series_task",
    "TextClassification": "kerasdl.text_task",
    "fit_phases": "kerasdl.phases",
    "improve": "kerasdl.improvement",
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
