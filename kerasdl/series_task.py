"""Classification of series as a task: series of numbers in, the scores of classes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasdl import measuring, series_baselines
from kerasdl.data.series_examples import SeriesExamples

if TYPE_CHECKING:
    import keras

    from kerasdl.data import Dataset, Split
    from kerasdl.export import SeriesClassifier
    from kerasdl.training.batches import Examples


class SeriesClassification(measuring.Classification):
    """The task of a classifier of series, see :class:`kerasdl.task.Task`.

    Args:
        class_names: Name of each class, in the order of the logits.
        multi_label: Whether several classes of a series may be true at once.
        input_shape: Length, None where it differs, and channels.
        missing: What is done with values that are missing inside a series: "refuse" or "interpolate".
    """

    kind = "series"

    def __init__(
        self,
        class_names: Sequence[str],
        *,
        multi_label: bool,
        input_shape: Sequence[int | None],
        missing: str = "refuse",
    ):
        super().__init__(class_names, multi_label=multi_label)
        length, channels = input_shape
        self.input_shape: tuple[int | None, int] = (length, int(channels or 0))
        self.missing = missing

    @classmethod
    def of(cls, dataset: Dataset, *, missing: str = "refuse") -> SeriesClassification:
        """Return the task that a dataset sets."""
        return cls(
            dataset.class_names,
            multi_label=dataset.multi_label,
            input_shape=dataset.input_shape,
            missing=missing,
        )

    def examples(self, split: Split) -> Examples:
        """Return the series of a split as the model takes them: the split itself where all have one length."""
        return split if self.input_shape[0] is not None else SeriesExamples(split)

    def scores(self, model: keras.Model, split: Split, *, batch_size: int) -> np.ndarray:
        """Return what the model says of every series of a split."""
        if self.input_shape[0] is not None:
            return super().scores(model, split, batch_size=batch_size)
        return self.scores_by_length(model, split, batch_size=batch_size)

    def baselines(self, dataset: Dataset) -> dict[str, dict[str, float]]:
        """Return what the nearest neighbour reaches: see :func:`kerasdl.series_baselines.nearest_neighbours`."""
        return series_baselines.nearest_neighbours(dataset)

    def predictor(self, model: keras.Model) -> SeriesClassifier:
        """Return what classifies raw series with the model."""
        from kerasdl.export import SeriesClassifier

        return SeriesClassifier(
            model,
            self.class_names,
            input_shape=self.input_shape,
            missing=self.missing,
            multi_label=self.multi_label,
        )

    def load_split(self, data: Any) -> Split:
        """Load other series, which must have the shape that the model takes."""
        from kerasdl.data import load_split

        return load_split(
            data,
            kind=self.kind,
            class_names=self.class_names,
            input_shape=self.input_shape,
            multi_label=self.multi_label,
            missing=self.missing,
        )

    def load_keywords(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Return the number of classes that the run's series were loaded with, and what was done with gaps."""
        return {name: config[name] for name in ("num_classes", "missing")} | measuring.deduplication(config)

    def as_dict(self) -> dict[str, Any]:
        """Return all that makes the task, for JSON."""
        return super().as_dict() | {"input_shape": list(self.input_shape), "missing": self.missing}
