"""Layers around a forecaster: raw series in, forecasts out in the series' own units, float32 whatever the policy.

Here belong the scalers that live in the graph with their inverse, filling what is missing, and quantiles in order.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

SCALERS = ("window", "standard", "robust", "log", "none")
# Differences of float32 below this share of a value are rounding.
ROUNDING = 1e-6
# exp(80) is finite in float32, with room for a sum over a batch.
LARGEST_LOG = 80.0


def fill_forward(x: Any) -> Any:
    """Replace each NaN along axis 1 by the last number before it; NaNs in front of the first number stay.

    Nothing is ever taken from a later step. Each step looks 1 back, then 2, 4 and so on: as many elementwise passes as
    the logarithm of the length, and no gather.

    Args:
        x: Tensor of shape (batch, length, ...) of a length that is known.

    Returns:
        A tensor of the shape of `x`, its numbers copied to the bit.

    Example:
        >>> fill_forward([[nan, 1.0, nan, nan, 2.0]])    # [[nan, 1.0, 1.0, 1.0, 2.0]]
    """
    distance = 1
    while distance < x.shape[1]:
        nothing = ops.full_like(x[:, :distance], float("nan"))
        x = ops.where(ops.isnan(x), ops.concatenate([nothing, x[:, :-distance]], axis=1), x)
        distance *= 2
    return x


@keras.saving.register_keras_serializable("kerasdl")
class ScaleSeries(keras.layers.Layer):
    """Fill what is missing in a window and scale each of its channels.

    The statistics, a centre and a scale for each series and channel, are a weight that does not train: assign them to
    `statistics`. Covariates are scaled by them always, targets as `scaler` says:

    - "window": by the window alone, so that a forecast moves and stretches with it: less its last value (NLinear,
      arXiv:2205.13504) or its mean (RevIN, Kim et al., ICLR 2022), divided by its standard deviation, which counts as
      no less than `floor` of the series' scale and than rounding. With fewer than two numbers in a window the series'
      scale is taken, with none its centre too.
    - "log": their logarithms by statistics of the logarithms. What has no logarithm is missing.
    - "standard", "robust" and "none": by the statistics, which differ in how they were made.

    NaN and infinity are missing: the last number before is taken, in front of the first the centre.

    Args:
        scaler: One of the above.
        num_targets: Number of channels, from the first on, that are forecast.
        num_channels: Number of all channels.
        num_series: Number of series with statistics of their own.
        centre: What the scaler "window" subtracts, "last" or "mean".
        floor: Least share of the series' scale that a window's standard deviation counts as; 0 for none.
        **kwargs: Name and dtype, as of any layer.

    Call arguments:
        past: Tensor of shape (batch, length, num_channels).
        series: Whole numbers of shape (batch,), the row of the statistics of each window; None for the first row.
        known: Tensor of shape (batch, horizon, known) of the last channels after the window; None without.

    Returns:
        The scaled window; the centre and scale of the targets, of shape (batch, num_targets, 2), for
        :class:`UnscaleForecast`; and the scaled `known`, where there is one.

    Example:
        >>> scaled, levels = ScaleSeries("window", num_targets=1, num_channels=1)(keras.Input((96, 1)))
    """

    def __init__(
        self,
        scaler: str = "window",
        *,
        num_targets: int,
        num_channels: int,
        num_series: int = 1,
        centre: str = "last",
        floor: float = 0.0,
        **kwargs: Any,
    ):
        super().__init__(**{"dtype": "float32", **kwargs})
        self.scaler, self.centre, self.floor = scaler, centre, floor
        self.num_targets, self.num_channels, self.num_series = num_targets, num_channels, num_series
        # Here and not in build, so that they can be assigned before the layer is called.
        self.statistics = self.add_weight(
            shape=(num_series, num_channels, 2), initializer=_centre_0_scale_1, trainable=False, name="statistics"
        )

    def call(self, past: Any, series: Any = None, known: Any = None) -> Any:
        """Return the scaled window, the centre and scale of the targets and, where there is one, the scaled known."""
        table = ops.convert_to_tensor(self.statistics)
        rows = ops.repeat(table[:1], ops.shape(past)[0], axis=0) if series is None else ops.take(table, series, axis=0)
        targets, others = past[..., : self.num_targets], past[..., self.num_targets :]
        if self.scaler == "log":
            positive = targets > 0
            targets = ops.where(positive, ops.log(ops.where(positive, targets, 1.0)), float("nan"))
        x = ops.concatenate([targets, others], axis=-1)
        x = fill_forward(ops.where(ops.isfinite(x), x, float("nan")))
        levels = rows[:, : self.num_targets]
        if self.scaler == "window":
            levels = self._window_levels(targets, x[:, -1, : self.num_targets], levels)
            rows = ops.concatenate([levels, rows[:, self.num_targets :]], axis=1)
        scaled = _scale(x, rows)
        return (scaled, levels) if known is None else (scaled, levels, _scale(known, rows[:, -known.shape[-1] :]))

    def _window_levels(self, targets: Any, last: Any, levels: Any) -> Any:
        """The centre and scale of each window, from those of its series where it has none of its own."""
        valid = ops.isfinite(targets)
        last = ops.where(ops.isfinite(last), last, levels[..., 0])
        # Distances to a value of the window: small numbers, whose squares and sums keep their digits.
        distance = ops.where(valid, targets, ops.expand_dims(last, 1)) - ops.expand_dims(last, 1)
        count = ops.sum(ops.cast(valid, distance.dtype), axis=1)
        mean = ops.sum(distance, axis=1) / ops.maximum(count, 1.0)
        deviation = ops.where(valid, distance - ops.expand_dims(mean, 1), 0.0)
        scale = ops.sqrt(ops.sum(ops.square(deviation), axis=1) / ops.maximum(count, 1.0))
        least = ops.maximum(self.floor * levels[..., 1], ROUNDING * ops.maximum(ops.abs(last), ROUNDING))
        scale = ops.where(count < 2, levels[..., 1], ops.maximum(scale, least))
        return ops.stack([last if self.centre == "last" else last + mean, scale], axis=-1)

    def compute_output_spec(self, past: Any, series: Any = None, known: Any = None) -> Any:
        """Return the shapes and the type of what comes out."""
        shapes = [past.shape, (past.shape[0], self.num_targets, 2), *([] if known is None else [known.shape])]
        return tuple(keras.KerasTensor(shape, dtype=self.compute_dtype) for shape in shapes)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the layer; the statistics are a weight."""
        sizes = {"num_targets": self.num_targets, "num_channels": self.num_channels, "num_series": self.num_series}
        own = {"scaler": self.scaler, "centre": self.centre, "floor": self.floor}
        return {**super().get_config(), **sizes, **own}


def _centre_0_scale_1(shape: Sequence[int], dtype: Any = None) -> Any:
    return ops.stack([ops.zeros(shape[:-1], dtype), ops.ones(shape[:-1], dtype)], axis=-1)


def _scale(x: Any, levels: Any) -> Any:
    """Scale `x`, of shape (batch, length, channels); what is missing becomes 0, the centre."""
    scaled = (x - ops.expand_dims(levels[..., 0], 1)) / ops.expand_dims(levels[..., 1], 1)
    return ops.where(ops.isfinite(scaled), scaled, 0.0)


@keras.saving.register_keras_serializable("kerasdl")
class AscendingQuantiles(keras.layers.Layer):
    """Make quantiles that never cross out of any numbers.

    The number of the level nearest to 0.5 is its quantile; from it outwards each number makes the distance to the next
    quantile, by a softplus. Where all numbers are zero the quantiles lie as those of a normal distribution of standard
    deviation 1.

    Args:
        quantiles: Their levels, ascending, in (0, 1).
        **kwargs: Name and dtype, as of any layer.

    Call arguments:
        inputs: Tensor of shape (..., quantiles).

    Example:
        >>> AscendingQuantiles((0.1, 0.5, 0.9))(keras.Input((24, 1, 3)))

    Reference: Park et al., Learning quantile functions without quantile crossing, arXiv:2111.06581
    """

    def __init__(self, quantiles: Sequence[float], **kwargs: Any):
        super().__init__(**{"dtype": "float32", **kwargs})
        self.quantiles = tuple(float(level) for level in quantiles)

    def call(self, inputs: Any) -> Any:
        """Return a tensor of the shape of `inputs`, ascending along its last axis."""
        normal = [statistics.NormalDist().inv_cdf(level) for level in self.quantiles]
        middle = min(range(len(normal)), key=lambda i: abs(normal[i]))
        found = {middle: inputs[..., middle]}
        # One sum after the other: a parallel one may round two that are near into the wrong order.
        for sign, indices in ((1, range(middle + 1, len(normal))), (-1, range(middle - 1, -1, -1))):
            for i in indices:
                start = math.log(math.expm1(abs(normal[i] - normal[i - sign])))
                found[i] = found[i - sign] + sign * ops.softplus(inputs[..., i] + start)
        return ops.stack([found[i] for i in range(len(normal))], axis=-1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of the inputs."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the layer."""
        return {**super().get_config(), "quantiles": self.quantiles}


@keras.saving.register_keras_serializable("kerasdl")
class CalibratedQuantiles(keras.layers.Layer):
    """Draw quantiles towards the middle one, or away from it, by factors that were measured after training.

    `factors`, of shape (horizon, num_targets, quantiles), is a weight that does not train, 1 until it is assigned. An
    outer quantile never comes to lie within an inner one.

    Args:
        quantiles: Their levels, ascending, in (0, 1).
        **kwargs: Name and dtype, as of any layer.

    Call arguments:
        inputs: Tensor of shape (batch, horizon, num_targets, quantiles), ascending.

    Example:
        >>> CalibratedQuantiles((0.1, 0.5, 0.9), name="calibration")(keras.Input((24, 1, 3)))

    Reference: Romano, Patterson and Candès, Conformalized quantile regression, arXiv:1905.03222
    """

    def __init__(self, quantiles: Sequence[float], **kwargs: Any):
        super().__init__(**{"dtype": "float32", **kwargs})
        self.quantiles = tuple(float(level) for level in quantiles)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the factors."""
        self.factors = self.add_weight(shape=input_shape[1:], initializer="ones", trainable=False, name="factors")

    def call(self, inputs: Any) -> Any:
        """Return a tensor of the shape of `inputs`, ascending along its last axis."""
        middle = min(range(len(self.quantiles)), key=lambda i: abs(self.quantiles[i] - 0.5))
        centre, factors = inputs[..., middle], ops.convert_to_tensor(self.factors)
        found = {middle: centre}
        for sign, indices in ((1, range(middle + 1, len(self.quantiles))), (-1, range(middle - 1, -1, -1))):
            distance = ops.zeros_like(centre)
            for i in indices:
                distance = ops.maximum(distance, sign * factors[..., i] * (inputs[..., i] - centre))
                found[i] = centre + sign * distance
        return ops.stack([found[i] for i in range(len(self.quantiles))], axis=-1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of the inputs."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the layer; the factors are a weight."""
        return {**super().get_config(), "quantiles": self.quantiles}


@keras.saving.register_keras_serializable("kerasdl")
class UnscaleForecast(keras.layers.Layer):
    """Bring a scaled forecast back to the units of its series: what :class:`ScaleSeries` did to targets, undone.

    Args:
        scaler: That of :class:`ScaleSeries`. With "log", logarithms are kept within 80 of 0, so that none overflows.
        **kwargs: Name and dtype, as of any layer.

    Call arguments:
        forecast: Tensor of shape (batch, horizon, num_targets, quantiles).
        levels: Centre and scale of shape (batch, num_targets, 2).

    Example:
        >>> UnscaleForecast("window", name="forecast")(quantiles, levels)
    """

    def __init__(self, scaler: str = "window", **kwargs: Any):
        super().__init__(**{"dtype": "float32", **kwargs})
        self.scaler = scaler

    def call(self, forecast: Any, levels: Any) -> Any:
        """Return a tensor of the shape of `forecast`."""
        levels = ops.expand_dims(levels, (1, -2))
        found = forecast * levels[..., 1] + levels[..., 0]
        return ops.exp(ops.clip(found, -LARGEST_LOG, LARGEST_LOG)) if self.scaler == "log" else found

    def compute_output_shape(self, forecast_shape: Any, levels_shape: Any) -> Any:
        """Return the shape of the forecast."""
        return forecast_shape

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the layer."""
        return {**super().get_config(), "scaler": self.scaler}
