"""Export: the model that leaves is the model that was trained, proven by loading it again.

Loading an export needs no Keras, so the names that do are imported when they are first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

from kerasdl.export.accuracy import accuracy_line
from kerasdl.export.folders import find_exported, read_description
from kerasdl.export.loading import Exported, load_exported

if TYPE_CHECKING:
    from kerasdl.export.exporting import Predictor, export
    from kerasdl.export.forecaster import Forecaster
    from kerasdl.export.image_classifier import ImageClassifier
    from kerasdl.export.object_detector import ObjectDetector
    from kerasdl.export.parity import ParityError, Trial
    from kerasdl.export.series_classifier import SeriesClassifier
    from kerasdl.export.text_classifier import TextClassifier
    from kerasdl.export.text_generator import TextGenerator

_MODULE_OF = {
    "Forecaster": "forecaster",
    "ImageClassifier": "image_classifier",
    "ObjectDetector": "object_detector",
    "ParityError": "parity",
    "Predictor": "exporting",
    "SeriesClassifier": "series_classifier",
    "TextClassifier": "text_classifier",
    "TextGenerator": "text_generator",
    "Trial": "parity",
    "export": "exporting",
}
__all__ = [
    "Exported",
    "Forecaster",
    "ImageClassifier",
    "ObjectDetector",
    "ParityError",
    "Predictor",
    "SeriesClassifier",
    "TextClassifier",
    "TextGenerator",
    "Trial",
    "accuracy_line",
    "export",
    "find_exported",
    "load_exported",
    "read_description",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'kerasdl.export' has no attribute {name!r}")
    return getattr(importlib.import_module(f"kerasdl.export.{_MODULE_OF[name]}"), name)
