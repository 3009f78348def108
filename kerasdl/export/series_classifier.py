"""A classifier of series as its users see it: raw values in, `scores` and `label` out, live and inside a SavedModel."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np

from kerasdl.export.outputs import Outputs, from_logits, from_logits_in_graph
from kerasdl.export.parity import Trial, classifier_trials
from kerasdl.export.raw_series import predict_raw_series
from kerasdl.series_values import as_objects, padded


class SeriesClassifier:
    """A trained model together with what its logits mean.

    Args:
        model: float32 (count, length, channels) in, padded by NaN on the right; logits (count, classes) out.
        class_names: Name of each class, in the order of the logits.
        input_shape: Length, None for any, and channels that the model takes.
        missing: "refuse" or "interpolate" values that are missing inside a series, before the model sees them.
        multi_label: Whether several classes of a series may be true at once.
    """

    def __init__(
        self,
        model: keras.Model,
        class_names: Sequence[str],
        *,
        input_shape: Sequence[int | None],
        missing: str = "refuse",
        multi_label: bool = False,
    ):
        self.model = model
        self.class_names = tuple(class_names)
        self.input_shape = tuple(input_shape)
        self.missing = missing
        self.multi_label = multi_label

    def predict(self, raw: Any) -> Outputs:
        """Classify series with the live model.

        Args:
            raw: One series or many, see :func:`kerasdl.export.raw_series.as_raw_series`.

        Returns:
            "scores": float32 (count, classes), each row sums to 1; "label": the best class's name, object (count,). Of
            a multi-label model each score is in [0, 1] by itself, and "present", bool (count, classes), says which are
            above 0.5.
        """
        return predict_raw_series(
            raw, input_shape=self.input_shape, missing=self.missing, on_series=self._predict_series
        )

    def _predict_series(self, series: np.ndarray) -> Outputs:
        logits = self.model.predict(series, batch_size=len(series), verbose=0)
        return from_logits(logits, self.class_names, multi_label=self.multi_label)

    def signatures(self) -> dict[str, tuple[Callable[..., dict[str, Any]], list[Any]]]:
        """Return what goes into a SavedModel: raw values in, shorter series padded by NaN on the right."""
        import tensorflow as tf

        def classify(series: Any) -> dict[str, Any]:
            logits = self.model(series, training=False)
            return from_logits_in_graph(logits, self.class_names, multi_label=self.multi_label)

        shape = (None, *self.input_shape)
        return {"serving_default": (classify, [tf.TensorSpec(shape, tf.float32, name="series")])}

    def trials(self, examples: np.ndarray, *, tolerance: float) -> Iterator[Trial]:
        """Yield series in several batch sizes; where any length will do, also a single step and long ones."""
        for series in self._tried(examples):
            expected = self.predict(list(series))
            yield from classifier_trials(
                "serving_default",
                series,
                expected,
                tolerance=tolerance,
                given=lambda series: {"series": padded(series)},
            )

    def raw_trials(self, examples: np.ndarray, *, tolerance: float) -> Iterator[Trial]:
        """Yield the same series as lists."""
        for series in self._tried(examples):
            expected = self.predict(list(series))
            yield from classifier_trials("predict", series, expected, tolerance=tolerance, given=list)

    def _tried(self, examples: np.ndarray) -> list[np.ndarray]:
        if self.input_shape[0] is not None:
            return [examples]
        return [examples, as_objects([examples[0][:1], np.concatenate([examples[0]] * 3), *examples[:3]])]

    def network_facts(self) -> dict[str, Any]:
        """Return nothing: the description says all."""
        return {}

    def description(self) -> dict[str, Any]:
        """Return what somebody who loads the export must know."""
        return {
            "inputs": "series",
            "input_shape": list(self.input_shape),
            "missing": self.missing,
            "class_names": list(self.class_names),
            "multi_label": self.multi_label,
        }
