"""What follows from a classifier's targets, one class an example or several: loss, encoding and metrics of training."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from kerasdl.data import Dataset


def loss_and_encoding(dataset: Dataset, *, label_smoothing: float = 0.0) -> dict[str, Any]:
    """Return the loss of a model that gives logits, and what encodes a dataset's targets for it.

    Encoded targets are floats of shape (batch, classes) throughout: label smoothing and soft targets need them.

    Args:
        dataset: Its targets are class indices, or rows of 0 and 1.
        label_smoothing: Share of each target that is spread over the classes, or over there and not there.

    Returns:
        "loss" and "encode_targets", keywords of :func:`kerasdl.training.fit`.
    """
    import keras

    if dataset.multi_label:
        return {
            "loss": keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=label_smoothing),
            "encode_targets": _as_floats,
        }
    return {
        "loss": keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=label_smoothing),
        "encode_targets": functools.partial(keras.utils.to_categorical, num_classes=dataset.num_classes),
    }


def training_metrics(dataset: Dataset) -> list[Any]:
    """Return the metrics to watch in training: accuracy, or macro F1 where several classes may be true at once."""
    import keras

    if not dataset.multi_label:
        return ["accuracy"]
    # A score of 0.5 is a logit of 0, but the metric takes only thresholds above that. With rare classes the share of
    # labels that are right would be near 1 whatever is learnt.
    return [keras.metrics.F1Score(average="macro", threshold=1e-7, name="macro_f1")]


def _as_floats(targets: np.ndarray) -> np.ndarray:
    return targets.astype("float32")
