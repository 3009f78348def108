"""Convolutional forecasters: dilated causal convolutions over the window."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np

from kerasdl import blocks
from kerasdl.models import inputs
from kerasdl.models.forecasting_inputs import forecast_head, forecast_inputs, forecast_output


def temporal_cnn(
    sequence_length: int,
    horizon: int,
    *,
    num_targets: int = 1,
    num_past: int = 0,
    num_known: int = 0,
    quantiles: Sequence[float] = (0.1, 0.5, 0.9),
    scaler: str = "window",
    statistics: np.ndarray | None = None,
    season: int | None = None,
    residual_scale: float = 1.0,
    filters: int = 32,
    kernel_size: int = 3,
    num_layers: int | None = None,
    activation: str = "relu",
    dropout: float = 0.0,
    l1: float = 0.0,
    l2: float = 0.0,
    name: str = "temporal_cnn",
) -> keras.Model:
    """Build a temporal convolutional network: residual blocks of causal convolutions, their dilation doubling.

    Each block has two convolutions, with the activation before each (arXiv:1603.05027) and no normalization over time,
    whose statistics would tell of later steps: a step sees itself and earlier ones only. The last step sees the whole
    window and forecasts all steps of the horizon at once, with the known covariates of each.

    Args:
        sequence_length: Steps in a window.
        horizon: Steps to forecast.
        num_targets: Channels to forecast, the first of the window.
        num_past: Covariates known in the window only, the next channels.
        num_known: Covariates known in the horizon too, the last channels and the input "known".
        quantiles: Levels of the quantiles, ascending, in (0, 1).
        scaler: How targets are scaled inside: "window", "standard", "robust", "log" or "none"; see
            `layers.ScaleSeries`.
        statistics: Centre and scale of each channel of each series, float32 (series, channels, 2); None for 0 and 1.
        season: Steps after which targets repeat: what is forecast is the distance to the value a season before, so that
            the first forecast is the seasonal naive one; 1 for the last value. None for neither.
        residual_scale: How far values usually are from there, in units of the scaler: what the network counts in.
        filters: Features of each step.
        kernel_size: Steps of a convolution, at least 2.
        num_layers: Number of blocks; None for as many as the last step needs to see the whole window.
        activation: Name of a Keras activation.
        dropout: Share of the features of a window set to zero in training after each convolution, in [0, 1).
        l1: Weight of the sum of absolute kernel weights in the loss.
        l2: Weight of the sum of squared kernel weights in the loss.
        name: Name of the model.

    Returns:
        An uncompiled model from raw "past" (batch, sequence_length, channels), NaN where missing, "known" (batch,
        horizon, num_known) where there are known covariates, and "series" (batch,) where there are statistics of
        several, to "forecast", float32 (batch, horizon, num_targets, quantiles) in the targets' own units.

    Raises:
        InputError: If an argument is outside the ranges above.

    Example:
        >>> model = temporal_cnn(168, 24, num_known=4, filters=32)

    Reference: Bai, Kolter and Koltun, An empirical evaluation of generic convolutional and recurrent networks for
    sequence modeling, arXiv:1803.01271
    """
    filters = inputs.check_integer("filters", filters)
    kernel_size = inputs.check_integer("kernel_size", kernel_size, minimum=2)
    inputs.check_activation(activation, None)
    dropout, regularizer = inputs.check_share("dropout", dropout), inputs.penalty(l1, l2)
    scaled = forecast_inputs(
        sequence_length,
        horizon,
        num_targets=num_targets,
        num_past=num_past,
        num_known=num_known,
        quantiles=quantiles,
        scaler=scaler,
        statistics=statistics,
        season=season,
        residual_scale=residual_scale,
    )
    if num_layers is None:
        num_layers = levels_to_see(sequence_length, kernel_size)
    x = keras.layers.Dense(filters, kernel_regularizer=regularizer, name="stem")(scaled.features)
    for block in range(inputs.check_integer("num_layers", num_layers)):
        y = x
        for convolution in (1, 2):
            name_of = f"block{block + 1}_conv{convolution}"
            y = keras.layers.Activation(activation, name=f"{name_of}_activation")(y)
            y = keras.layers.Conv1D(
                filters,
                kernel_size,
                dilation_rate=2**block,
                padding="causal",
                # At the end of a branch zero: the block starts as the identity, and depth does not add up to noise.
                kernel_initializer="zeros" if convolution == 2 else blocks.initializer(activation),
                kernel_regularizer=regularizer,
                name=name_of,
            )(y)
            if dropout:
                y = keras.layers.SpatialDropout1D(dropout, name=f"{name_of}_dropout")(y)
        x = keras.layers.Add(name=f"block{block + 1}_add")([x, y])
    raw = forecast_head(x[:, -1], scaled, units=filters, regularizer=regularizer)
    return keras.Model(scaled.inputs, forecast_output(raw, scaled), name=name)


def levels_to_see(steps: int, kernel_size: int) -> int:
    """Return how many blocks the last step needs to see `steps` steps: n see 1 + 2 (kernel_size - 1) (2^n - 1)."""
    levels = 1
    while 1 + 2 * (kernel_size - 1) * (2**levels - 1) < steps:
        levels += 1
    return levels
