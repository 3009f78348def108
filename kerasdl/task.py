"""What a result must know of its kind of problem: how it is measured, diagnosed, predicted with, loaded and reported.

A task is made of what the data say, without the model: class names, sizes, a vocabulary. A recipe makes it; a result
keeps it, writes it into its folder as JSON and gets it back from there.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import keras
    import numpy as np

    from kerasdl.data import Dataset, Split
    from kerasdl.export import Exported, Predictor

# Under the kind of its data, where each task is.
TASKS = {
    "detection": ("kerasdl.detection_task", "ObjectDetection"),
    "forecasting": ("kerasdl.forecasting_task", "Forecasting"),
    "images": ("kerasdl.image_task", "ImageClassification"),
    "language": ("kerasdl.language_task", "LanguageModelling"),
    "series": ("kerasdl.series_task", "SeriesClassification"),
    "text": ("kerasdl.text_task", "TextClassification"),
}


class Task(Protocol):
    """What a :class:`kerasdl.Result` asks of its task."""

    kind: str
    """Of the data, as :func:`kerasdl.data.load` names it."""
    class_names: tuple[str, ...]
    """In the order of the logits; empty where there are none."""
    multi_label: bool
    """Whether several classes of an example may be true at once."""

    def examples(self, split: Split) -> Any:
        """Return the examples of a split as the model takes them."""

    def measure(self, model: keras.Model, split: Split, *, batch_size: int) -> dict[str, float]:
        """Return the metrics of the model on a split."""

    def goodness(self, model: keras.Model, split: Split, *, batch_size: int) -> np.ndarray:
        """Return one number for each independent part of a split, by whose mean models are compared: more is better."""

    def measure_export(self, exported: Exported, split: Split) -> dict[str, float]:
        """Return the metrics of an exported model on a split, through its `predict`; nothing where it has none."""

    def diagnose(
        self, model: keras.Model, dataset: Dataset, *, history: Mapping[str, Any], config: Mapping[str, Any]
    ) -> list[Any]:
        """Return the findings on a training."""

    def report(self, model: keras.Model, dataset: Dataset, *, batch_size: int) -> dict[str, Any]:
        """Return what :func:`kerasdl.diagnostics.write_report` shows of the model's answers on a dataset's splits."""

    def predictor(self, model: keras.Model) -> Predictor:
        """Return what answers raw inputs with the model, and exports it."""

    def load_split(self, data: Any) -> Split:
        """Load other data to measure the model on."""

    def load_keywords(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Return the keywords with which :func:`kerasdl.data.load` gives a run's data again."""

    def as_dict(self) -> dict[str, Any]:
        """Return all that makes the task, for JSON."""


def restore(facts: Mapping[str, Any]) -> Task:
    """Return the task that `as_dict` described."""
    module, name = TASKS[facts["kind"]]
    return getattr(importlib.import_module(module), name)(**{key: facts[key] for key in facts if key != "kind"})
