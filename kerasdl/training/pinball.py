"""The loss of quantile forecasts, and the error of their median: both pass over what is missing in the targets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable("kerasdl")
class PinballLoss(keras.losses.Loss):
    """Mean pinball loss of quantiles: a forecast that is too low by d costs level * d, too high (1 - level) * d.

    The mean is over all quantiles of all targets that are there; NaN is missing and has neither a loss nor a gradient,
    however unevenly it is spread over the examples. A weight of shape (batch,) multiplies the losses of an example and,
    as in all of Keras's losses, does not change what the sum is divided by.

    Args:
        quantiles: Levels of the quantiles in the forecast.
        reduction: As of any Keras loss.
        name: Name of the loss.
        dtype: As of any Keras loss.

    Call arguments:
        y_true: Targets of shape (batch, horizon, num_targets), NaN where missing.
        y_pred: Forecast of shape (batch, horizon, num_targets, quantiles).

    Example:
        >>> model.compile("adam", PinballLoss((0.1, 0.5, 0.9)))

    Reference: Koenker and Bassett, Regression quantiles, Econometrica 46, 1978
    """

    def __init__(
        self,
        quantiles: Sequence[float] = (0.1, 0.5, 0.9),
        *,
        reduction: str | None = "sum_over_batch_size",
        name: str = "pinball",
        dtype: Any = None,
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.quantiles = tuple(float(level) for level in quantiles)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of each example, of shape (batch,): those of a batch have the mean over what is there."""
        there = ops.logical_not(ops.isnan(y_true))
        error = ops.expand_dims(ops.where(there, y_true, 0.0), -1) - y_pred
        levels = ops.convert_to_tensor(self.quantiles, dtype=y_pred.dtype)
        losses = ops.mean(ops.maximum(levels * error, (levels - 1.0) * error), axis=-1)
        # An example with less in it counts less: its sum, times examples / all that is there, and Keras takes the mean.
        sums = ops.sum(ops.where(there, losses, 0.0), axis=(1, 2))
        count = ops.sum(ops.cast(there, sums.dtype))
        return sums * (ops.cast(ops.shape(sums)[0], sums.dtype) / ops.maximum(count, 1.0))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the loss."""
        return {**super().get_config(), "quantiles": self.quantiles}


@keras.saving.register_keras_serializable("kerasdl")
class MedianError(keras.metrics.Metric):
    """Mean absolute error of the quantile nearest to the median, over all targets that are there, weighted.

    Args:
        quantiles: Levels of the quantiles in the forecast.
        name: Name of the metric.
        dtype: As of any Keras metric.

    Call arguments:
        As of :class:`PinballLoss`; `sample_weight` is of shape (batch,), and the sum is divided by the weights.

    Example:
        >>> model.compile("adam", PinballLoss((0.1, 0.5, 0.9)), weighted_metrics=[MedianError((0.1, 0.5, 0.9))])
    """

    def __init__(self, quantiles: Sequence[float] = (0.1, 0.5, 0.9), *, name: str = "mae", dtype: Any = None):
        super().__init__(name=name, dtype=dtype)
        self.quantiles = tuple(float(level) for level in quantiles)
        self.total = self.add_variable((), initializer="zeros", name="total")
        self.count = self.add_variable((), initializer="zeros", name="count")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch."""
        y_true, y_pred = ops.convert_to_tensor(y_true, self.dtype), ops.convert_to_tensor(y_pred, self.dtype)
        middle = min(range(len(self.quantiles)), key=lambda i: abs(self.quantiles[i] - 0.5))
        there = ops.logical_not(ops.isnan(y_true))
        weight = ops.cast(there, self.dtype)
        if sample_weight is not None:
            weight = weight * ops.reshape(ops.cast(sample_weight, self.dtype), (-1, 1, 1))
        error = ops.abs(ops.where(there, y_true, 0.0) - y_pred[..., middle])
        self.total.assign_add(ops.sum(weight * error))
        self.count.assign_add(ops.sum(weight))

    def result(self) -> Any:
        """Return the mean."""
        return ops.divide_no_nan(self.total, self.count)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the metric."""
        return {**super().get_config(), "quantiles": self.quantiles}
