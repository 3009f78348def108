"""What every forecasting builder does first and last: raw windows scaled on the way in, and back on the way out.

Here belong the inputs that all forecasters share, the part that known covariates have in a forecast, and the output.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from kerasdl import checks, layers
from kerasdl.errors import InputError, check_choice
from kerasdl.layers import scaling
from kerasdl.models import inputs

# A window that moves less than this share of its series' scale is divided by that: what moves in it is noise.
FLOOR = 0.01


@dataclasses.dataclass(frozen=True)
class Scaled:
    """The scaled inputs of a forecaster, and what its output needs.

    Args:
        inputs: The inputs of the model by name.
        past: Scaled window of shape (batch, sequence_length, channels), the targets first.
        known: Scaled known covariates of shape (batch, horizon, num_known), or None without.
        levels: Centre and scale of the targets, of shape (batch, num_targets, 2).
        horizon: Steps to forecast.
        num_targets: Channels to forecast.
        quantiles: Levels of the quantiles.
        scaler: How targets are scaled.
        season: Steps of the season that a forecast is added to, or None.
        residual_scale: What the network's numbers are multiplied by before.
    """

    inputs: dict[str, keras.KerasTensor]
    past: keras.KerasTensor
    known: keras.KerasTensor | None
    levels: keras.KerasTensor
    horizon: int
    num_targets: int
    quantiles: tuple[float, ...]
    scaler: str
    season: int | None
    residual_scale: float

    @property
    def size(self) -> int:
        """Numbers that are forecast for a step."""
        return self.num_targets * len(self.quantiles)

    def changes(self) -> keras.KerasTensor | None:
        """How far each target is from a season before, (batch, sequence_length, num_targets), in the network's unit.

        Zero in the first season of the window; None without a season. What a network is to foretell is small beside
        the window's own movements where these repeat: it would hardly see it there.
        """
        if not self.season:
            return None
        targets = self.past[..., : self.num_targets]
        changes = (targets[:, self.season :] - targets[:, : -self.season]) / self.residual_scale
        return ops.pad(changes, [[0, 0], [self.season, 0], [0, 0]])

    @property
    def features(self) -> keras.KerasTensor:
        """The scaled window, and beside it the changes of its targets."""
        changes = self.changes()
        return self.past if changes is None else ops.concatenate([self.past, changes], axis=-1)


def forecast_inputs(
    sequence_length: Any,
    horizon: Any,
    *,
    num_targets: Any,
    num_past: Any,
    num_known: Any,
    quantiles: Any,
    scaler: Any,
    statistics: Any,
    season: Any,
    residual_scale: Any,
) -> Scaled:
    """Return the inputs of a forecaster and the same scaled, with what is missing filled.

    The model's inputs are "past", float32 (batch, sequence_length, num_targets + num_past + num_known), raw: targets,
    past covariates, the past of the known covariates, NaN where missing; "known", float32 (batch, horizon, num_known),
    where there are any; and "series", int32 (batch,), the row of the statistics, where there is more than one.

    Args:
        sequence_length: Steps in a window.
        horizon: Steps to forecast.
        num_targets: Channels to forecast.
        num_past: Covariates known in the window only.
        num_known: Covariates known in the horizon too.
        quantiles: Levels of the quantiles, ascending, in (0, 1).
        scaler: How targets are scaled, as in :class:`kerasdl.layers.ScaleSeries`; with "none" not at all.
        statistics: Centre and scale of each channel of each series, float32 (series, channels, 2), fit on the training
            part; with the scaler "log" those of the targets are of their logarithms. None for 0 and 1.
        season: Steps of the season that forecasts are added to, at most those of a window; None for none.
        residual_scale: What the network's numbers are multiplied by before, above 0.

    Raises:
        InputError: If a size is not positive, a level not in order, or the statistics have another shape, or a scale
            that is not above 0.
    """
    for what, value in {"sequence_length": sequence_length, "horizon": horizon, "num_targets": num_targets}.items():
        inputs.check_integer(what, value)
    for what, value in {"num_past": num_past, "num_known": num_known}.items():
        inputs.check_integer(what, value, minimum=0)
    check_choice("scaler", scaler, scaling.SCALERS)
    levels_of = check_quantiles(quantiles)
    if season is not None:
        checks.integer(1, maximum=sequence_length)("season", season)
    checks.number(0, above=True, example=1.0)("residual_scale", residual_scale)
    channels = num_targets + num_past + num_known
    table = None if statistics is None else _check_statistics(statistics, channels)
    rows = 1 if table is None else len(table)

    given = {"past": keras.Input((sequence_length, channels), dtype="float32", name="past")}
    if num_known:
        given["known"] = keras.Input((horizon, num_known), dtype="float32", name="known")
    if rows > 1:
        given["series"] = keras.Input((), dtype="int32", name="series")
    layer = layers.ScaleSeries(
        scaler,
        num_targets=num_targets,
        num_channels=channels,
        num_series=rows,
        floor=0.0 if table is None else FLOOR,
        name="scale",
    )
    if table is not None:
        if scaler == "none":
            table[:, :num_targets] = (0.0, 1.0)
        layer.statistics.assign(table)
    past, levels, *known = layer(given["past"], series=given.get("series"), known=given.get("known"))
    future = known[0] if known else None
    return Scaled(given, past, future, levels, horizon, num_targets, levels_of, scaler, season, residual_scale)


def check_quantiles(quantiles: Any) -> tuple[float, ...]:
    """Return the levels as a tuple, or raise :class:`InputError` unless they are in (0, 1) and ascending."""
    some = isinstance(quantiles, (Sequence, np.ndarray)) and not isinstance(quantiles, str) and len(quantiles) > 0
    if not some or not all(low < high for low, high in itertools.pairwise((0, *quantiles, 1))):
        raise InputError(
            "quantiles",
            received=repr(quantiles),
            expected="one or more levels between 0 and 1, ascending",
            mend="Try quantiles=(0.1, 0.5, 0.9).",
        )
    return tuple(float(level) for level in quantiles)


def _check_statistics(statistics: Any, channels: int) -> np.ndarray:
    table = np.array(statistics, "float32")
    if table.ndim != 3 or not len(table) or table.shape[1:] != (channels, 2):
        received, expected = f"shape {table.shape}", f"(series, {channels}, 2): centre and scale of each channel"
    elif not (np.isfinite(table).all() and (table[..., 1] > 0).all()):
        received, expected = "a centre or scale that is not finite, or no scale", "finite centres and scales above 0"
    else:
        return table
    raise InputError(
        "statistics", received=received, expected=expected, mend="Give a channel that never changes the scale 1."
    )


def known_effects(
    raw: keras.KerasTensor,
    context: keras.KerasTensor,
    scaled: Scaled,
    *,
    units: int,
    regularizer: keras.regularizers.Regularizer | None,
) -> keras.KerasTensor:
    """Add to a forecast what the known covariates of each step tell, given what the window was like.

    Two dense layers, the same at each step (as in TiDE's temporal decoder, arXiv:2304.08424).

    Args:
        raw: Tensor of shape (batch, horizon, num_targets * quantiles).
        context: What the window was like, of shape (batch, features).
        scaled: From `forecast_inputs`.
        units: Features between the two layers.
        regularizer: Of the kernels.

    Returns:
        A tensor of the shape of `raw`; `raw` as it is without known covariates.
    """
    if scaled.known is None:
        return raw
    step = keras.layers.RepeatVector(scaled.horizon, name="known_context")(context)
    step = keras.layers.Concatenate(name="known_step")([step, scaled.known])
    step = keras.layers.Dense(
        units, activation="relu", kernel_initializer="he_normal", kernel_regularizer=regularizer, name="known_hidden"
    )(step)
    effect = head(step, scaled.size, regularizer=regularizer, name="known_effect")
    return keras.layers.Add(dtype="float32", name="known_add")([raw, effect])


def head(
    x: keras.KerasTensor, size: int, *, regularizer: keras.regularizers.Regularizer | None, name: str = "head"
) -> keras.KerasTensor:
    """Dense layer that starts at zero: the first forecast is the level that it is added to, not noise around it."""
    return keras.layers.Dense(
        size, kernel_initializer="zeros", kernel_regularizer=regularizer, dtype="float32", name=name
    )(x)


def forecast_head(
    x: keras.KerasTensor, scaled: Scaled, *, units: int, regularizer: keras.regularizers.Regularizer | None
) -> keras.KerasTensor:
    """Forecast all steps at once from what the window was like, (batch, features), and from known covariates."""
    raw = head(x, scaled.horizon * scaled.size, regularizer=regularizer)
    raw = keras.layers.Reshape((scaled.horizon, scaled.size), dtype="float32", name="head_steps")(raw)
    return known_effects(raw, x, scaled, units=units, regularizer=regularizer)


def target_steps(x: keras.KerasTensor, scaled: Scaled, *, name: str) -> keras.KerasTensor:
    """From (batch, targets, horizon * quantiles) to (batch, horizon, targets * quantiles)."""
    levels = len(scaled.quantiles)
    x = keras.layers.Reshape((scaled.num_targets, scaled.horizon, levels), dtype="float32", name=f"{name}_levels")(x)
    x = keras.layers.Permute((2, 1, 3), dtype="float32", name=f"{name}_targets")(x)
    return keras.layers.Reshape((scaled.horizon, scaled.size), dtype="float32", name=f"{name}_steps")(x)


def forecast_output(raw: keras.KerasTensor, scaled: Scaled) -> keras.KerasTensor:
    """Return the forecast in the targets' own units, of shape (batch, horizon, num_targets, quantiles).

    Args:
        raw: Any numbers, of that many in all for each example, the quantiles of a target side by side.
        scaled: From `forecast_inputs`.
    """
    shape = (scaled.horizon, scaled.num_targets, len(scaled.quantiles))
    x = keras.layers.Reshape(shape, dtype="float32", name="quantile_steps")(raw)
    x = layers.AscendingQuantiles(scaled.quantiles, name="quantiles")(x)
    if scaled.residual_scale != 1:
        x = keras.layers.Rescaling(scaled.residual_scale, dtype="float32", name="residual_scale")(x)
    if scaled.season:
        # The last season of the window, as often as the horizon needs it.
        times = -(-scaled.horizon // scaled.season)
        before = scaled.past[:, -scaled.season :, : scaled.num_targets]
        before = ops.concatenate([before] * times, axis=1)[:, : scaled.horizon]
        x = x + ops.expand_dims(before, -1)
    x = layers.CalibratedQuantiles(scaled.quantiles, name="calibration")(x)
    return layers.UnscaleForecast(scaled.scaler, name="forecast")(x, scaled.levels)
