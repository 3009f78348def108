"""Recurrent forecasters: a network that reads the window, and one that also writes the horizon step by step."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np

from kerasdl.errors import check_choice
from kerasdl.layers import Positions
from kerasdl.models import inputs
from kerasdl.models.forecasting_inputs import forecast_head, forecast_inputs, forecast_output, head
from kerasdl.recurrent_blocks import CELLS, recurrent


def lstm_forecaster(
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
    cell: str = "lstm",
    units: int = 64,
    num_layers: int = 1,
    residual: bool = True,
    dropout: float = 0.0,
    l1: float = 0.0,
    l2: float = 0.0,
    name: str = "lstm_forecaster",
) -> keras.Model:
    """Build a recurrent network that reads the window and forecasts all steps of the horizon at once.

    Layers of an LSTM, a GRU or a plain recurrent network, made so that cuDNN computes them on a GPU. What the last step
    puts out forecasts every step directly, with the known covariates of each: no forecast is fed back, so errors do not
    add up. There is no reading backwards here: what counts is at the end of the window.

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
        cell: "lstm", "gru" or "rnn".
        units: Features of each layer.
        num_layers: Number of layers.
        residual: Whether the layers after the first are added to what they read.
        dropout: Share of the features of each layer set to zero in training, in [0, 1).
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
        >>> model = lstm_forecaster(168, 24, num_known=4, cell="gru")

    Reference: Wen et al., A multi-horizon quantile recurrent forecaster, arXiv:1711.11053
    """
    check_choice("cell", cell, CELLS)
    units, num_layers = inputs.check_integer("units", units), inputs.check_integer("num_layers", num_layers)
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
    x = scaled.features
    for layer in range(1, num_layers + 1):
        x = recurrent(
            x,
            units,
            cell=cell,
            return_sequences=layer < num_layers or (residual and layer > 1),
            residual=residual and layer > 1,
            dropout=dropout,
            regularizer=regularizer,
            name=f"recurrent{layer}",
        )
    if len(x.shape) == 3:
        x = x[:, -1]
    raw = forecast_head(x, scaled, units=units, regularizer=regularizer)
    return keras.Model(scaled.inputs, forecast_output(raw, scaled), name=name)


def sequence_to_sequence(
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
    cell: str = "lstm",
    units: int = 64,
    num_layers: int = 1,
    attention: str = "dot",
    dropout: float = 0.0,
    l1: float = 0.0,
    l2: float = 0.0,
    name: str = "sequence_to_sequence",
) -> keras.Model:
    """Build an encoder that reads the window and a decoder that writes the horizon, looking back by attention.

    The decoder starts from the encoder's last states and reads, for each step of the horizon, a learned vector of that
    step and its known covariates, not the forecast before it: so it is trained as it is used, and its quantiles are
    those of each step as seen from the window. Each of its steps looks over all of the encoder's.

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
        cell: "lstm", "gru" or "rnn".
        units: Features of each layer.
        num_layers: Number of layers of the encoder, and of the decoder.
        attention: "dot" (Luong et al., arXiv:1508.04025), or "additive" (Bahdanau et al., arXiv:1409.0473), which has a
            vector for every pair of steps: much slower in long windows.
        dropout: Share of the features of each layer set to zero in training, in [0, 1).
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
        >>> model = sequence_to_sequence(168, 24, num_known=4)

    Reference: Sutskever, Vinyals and Le, Sequence to sequence learning with neural networks, arXiv:1409.3215
    """
    check_choice("cell", cell, CELLS)
    check_choice("attention", attention, ("dot", "additive"))
    units, num_layers = inputs.check_integer("units", units), inputs.check_integer("num_layers", num_layers)
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
    x, states = scaled.features, {}
    for layer in range(1, num_layers + 1):
        x, states[layer] = recurrent(
            x,
            units,
            cell=cell,
            residual=layer > 1,
            dropout=dropout,
            return_state=True,
            regularizer=regularizer,
            name=f"encoder{layer}",
        )
    y = keras.layers.RepeatVector(horizon, name="context")(states[num_layers][0])
    if scaled.known is not None:
        y = keras.layers.Concatenate(name="decoder_known")([y, scaled.known])
    y = keras.layers.Dense(units, kernel_regularizer=regularizer, name="decoder_input")(y)
    y = Positions("learned", stddev=0.1, name="decoder_step")(y)
    for layer in range(1, num_layers + 1):
        y = recurrent(
            y,
            units,
            cell=cell,
            residual=layer > 1,
            dropout=dropout,
            initial_state=states[layer],
            regularizer=regularizer,
            name=f"decoder{layer}",
        )
    kind = keras.layers.Attention if attention == "dot" else keras.layers.AdditiveAttention
    y = keras.layers.Concatenate(name="looked_back")([y, kind(name="attention")([y, x])])
    y = keras.layers.Dense(units, activation="tanh", kernel_regularizer=regularizer, name="hidden")(y)
    raw = head(y, scaled.size, regularizer=regularizer)
    return keras.Model(scaled.inputs, forecast_output(raw, scaled), name=name)
