"""What predictions are, live and exported, and how the scores of classes become answers. Needs NumPy only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from kerasdl.forecast_layout import ForecastLayout, middle_level, possible

Outputs = dict[str, np.ndarray]

# Of a multi-label model: the score above which a class is said to be there.
THRESHOLD = 0.5
# How a language model goes on with a prompt unless it is told otherwise; 0 and 1 keep all tokens.
DEFAULTS = {"max_new_tokens": 64, "temperature": 0.8, "top_k": 0, "top_p": 1.0, "seed": 0}
# How many examples an export is proven by at a time, as far as there are so many.
PARITY_BATCH_SIZES = (1, 7, 32)


def parity_batches(count: int) -> Iterator[int]:
    """Yield the sizes of batches to prove an export by, of `count` examples."""
    return iter(dict.fromkeys(size for size in (*PARITY_BATCH_SIZES, count) if size <= count))


def from_logits(logits: Any, class_names: Sequence[str], *, multi_label: bool) -> Outputs:
    """Return what a classifier's user reads.

    Args:
        logits: Numbers of shape (count, classes).
        class_names: Name of each class.
        multi_label: Whether several classes may be true at once.

    Returns:
        "scores": float32 (count, classes); "label": object (count,); of a multi-label model "present": bool (count,
        classes).
    """
    logits = np.asarray(logits, np.float32)
    scores = np.exp(-np.logaddexp(np.float32(0), -logits)) if multi_label else softmax(logits)
    outputs = {"scores": scores, "label": np.array(class_names, dtype=object)[scores.argmax(axis=-1)]}
    return outputs | {"present": scores > THRESHOLD} if multi_label else outputs


def softmax(values: np.ndarray) -> np.ndarray:
    """Return the shares that numbers along the last axis stand for."""
    # Without the largest no power overflows.
    powers = np.exp(values - values.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def from_logits_in_graph(logits: Any, class_names: Sequence[str], *, multi_label: bool) -> dict[str, Any]:
    """Return the same inside a SavedModel, as tensors of TensorFlow."""
    import tensorflow as tf

    scores = tf.sigmoid(logits) if multi_label else tf.nn.softmax(logits)
    outputs = {"scores": scores, "label": tf.gather(tf.constant(class_names), tf.argmax(scores, axis=-1))}
    return outputs | {"present": scores > THRESHOLD} if multi_label else outputs


def undecided(outputs: Outputs, *, tolerance: float) -> dict[str, np.ndarray]:
    """Return which labels, and which classes said to be present, may fall either way within the tolerance."""
    top = np.sort(outputs["scores"], axis=-1)
    ties = {"label": top[:, -1] - top[:, -2] <= 2 * tolerance}
    return ties | {"present": np.abs(outputs["scores"] - THRESHOLD) <= tolerance}


def from_quantiles(quantiles: Any, layout: ForecastLayout, levels: Sequence[float], xp: Any = np) -> dict[str, Any]:
    """Return what a forecaster's user reads.

    Args:
        quantiles: What the model puts out, (count, horizon, targets, levels).
        layout: What it takes.
        levels: Of the quantiles.
        xp: NumPy or `keras.ops`.

    Returns:
        "forecast", "quantiles", and with several levels "lower" and "upper", see `Forecaster.predict`.
    """
    quantiles = possible(quantiles, layout.transform, xp)
    if layout.num_targets == 1:
        quantiles = quantiles[:, :, 0]
    found = {"forecast": quantiles[..., middle_level(levels)], "quantiles": quantiles}
    if len(levels) > 1:
        found |= {"lower": quantiles[..., 0], "upper": quantiles[..., -1]}
    return found
