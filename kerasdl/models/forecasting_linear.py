"""Linear forecasters: the bar that other architectures have to pass."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from kerasdl.errors import InputError, check_choice
from kerasdl.models import inputs
from kerasdl.models.forecasting_inputs import Scaled, forecast_inputs, forecast_output, target_steps


def linear_forecaster(
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
    kind: str = "nlinear",
    kernel_size: int = 25,
    dropout: float = 0.0,
    l1: float = 0.0,
    l2: float = 0.0,
    name: str = "linear_forecaster",
) -> keras.Model:
    """Build a forecaster that is linear in the window, with weights that all targets share.

    "nlinear" forecasts the distance to the last value. "dlinear" takes a moving average out of the window, with weights
    for it and others for the rest. Kernels start at zero, so that the first forecast is the last value, with "dlinear"
    the centre of the scaler, with a `season` the value a season before. Covariates have a small linear part: in the
    window they are mixed to one series a target first; in the horizon each step adds what its known covariates tell.

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
        kind: "nlinear" or "dlinear".
        kernel_size: Steps of the moving average of "dlinear", odd.
        dropout: Share of the steps of the window set to zero in training, in [0, 1).
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
        >>> model = linear_forecaster(168, 24, num_known=4)

    Reference: Zeng et al., Are transformers effective for time series forecasting?, arXiv:2205.13504
    """
    check_choice("kind", kind, ("nlinear", "dlinear"))
    if inputs.check_integer("kernel_size", kernel_size) % 2 == 0:
        raise InputError(
            "kernel_size",
            received=kernel_size,
            expected="an odd number of steps, as many before as after each",
            mend=f"Try kernel_size={kernel_size + 1}.",
        )
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
        season=1 if season is None and kind == "nlinear" else season,
        residual_scale=residual_scale,
    )
    targets = scaled.past[..., :num_targets]
    if kind == "nlinear":
        parts = {"window": targets - targets[:, -1:]}
    else:
        trend = _moving_average(targets, kernel_size)
        parts = {"trend": trend, "rest": targets - trend}
    if scaled.season and scaled.season > 1:
        parts["changes"] = scaled.changes()
    if num_past + num_known:
        mix = keras.layers.Dense(num_targets, use_bias=False, kernel_regularizer=regularizer, name="covariates_mix")
        parts["covariates"] = mix(scaled.past[..., num_targets:])
    found = [
        _over_time(part, scaled, dropout=dropout, regularizer=regularizer, name=name) for name, part in parts.items()
    ]
    if scaled.known is not None:
        known = keras.layers.Dense(
            scaled.size,
            use_bias=False,
            kernel_initializer="zeros",
            kernel_regularizer=regularizer,
            dtype="float32",
            name="known_linear",
        )
        found.append(known(scaled.known))
    raw = keras.layers.Add(dtype="float32", name="sum")(found) if len(found) > 1 else found[0]
    return keras.Model(scaled.inputs, forecast_output(raw, scaled), name=name)


def _moving_average(x: keras.KerasTensor, kernel_size: int) -> keras.KerasTensor:
    """The mean of as many steps before as after each; at the ends the first and last value go on."""
    if kernel_size == 1:
        return x
    ends = [ops.repeat(end, kernel_size // 2, axis=1) for end in (x[:, :1], x[:, -1:])]
    longer = ops.concatenate([ends[0], x, ends[1]], axis=1)
    return keras.layers.AveragePooling1D(kernel_size, strides=1, dtype="float32", name="moving_average")(longer)


def _over_time(
    x: keras.KerasTensor,
    scaled: Scaled,
    *,
    dropout: float,
    regularizer: keras.regularizers.Regularizer | None,
    name: str,
) -> keras.KerasTensor:
    """From (batch, steps, targets) to (batch, horizon, targets * quantiles), the same weights for each target."""
    x = keras.layers.Permute((2, 1), dtype="float32", name=f"{name}_series")(x)
    if dropout:
        x = keras.layers.Dropout(dropout, dtype="float32", name=f"{name}_dropout")(x)
    x = keras.layers.Dense(
        scaled.horizon * len(scaled.quantiles),
        kernel_initializer="zeros",
        kernel_regularizer=regularizer,
        dtype="float32",
        name=f"{name}_linear",
    )(x)
    return target_steps(x, scaled, name=name)
