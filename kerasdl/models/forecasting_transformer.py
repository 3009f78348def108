"""Transformer forecasters: the window as a sequence of patches."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from kerasdl import layers, transformer_blocks
from kerasdl.errors import InputError
from kerasdl.models import inputs, transformer_inputs
from kerasdl.models.forecasting_inputs import forecast_inputs, forecast_output, head, known_effects, target_steps


def transformer_forecaster(
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
    patch_size: int | None = None,
    patch_stride: int | None = None,
    num_layers: int = 2,
    num_heads: int = 4,
    hidden_dim: int = 64,
    intermediate_dim: int | None = None,
    positions: str = "learned",
    activation: str = "gelu",
    normalization: str = "layer",
    norm_first: bool = True,
    attention_dropout: float = 0.0,
    dropout: float = 0.0,
    l1: float = 0.0,
    l2: float = 0.0,
    name: str = "transformer_forecaster",
) -> keras.Model:
    """Build a transformer that reads the window in patches, as in PatchTST.

    Each target is a sequence of its own, with weights that all share; the patches of the covariates stand beside its
    own. Every patch sees every other, and all together forecast all steps of the horizon at once, with the known
    covariates of each.

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
        patch_size: Steps of a patch; None for 16, or for a quarter of the window where that is less.
        patch_stride: Steps from one patch to the next; None for half a patch. The first value is repeated in front
            where the patches do not fit, so that the last one ends with the window.
        num_layers: Number of blocks.
        num_heads: Attention heads in each block, a divisor of `hidden_dim`.
        hidden_dim: Features of each patch; with rotary positions a multiple of 2 * num_heads.
        intermediate_dim: Features inside the feed-forward layers; None as in `transformer_classifier`.
        positions: "learned" or "sinusoidal", added to the patches, or "rotary", in the attention.
        activation: Name of a Keras activation, or "swiglu".
        normalization: "layer" or "rms".
        norm_first: Normalize before each branch, which trains stably; else after it.
        attention_dropout: Share of attention weights set to zero in training, in [0, 1).
        dropout: Share of features set to zero in training, of patches, in each branch and before the head, in [0, 1).
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
        >>> model = transformer_forecaster(168, 24, num_known=4, dropout=0.1)

    Reference: Nie et al., A time series is worth 64 words, arXiv:2211.14730
    """
    sizes = transformer_inputs.check_sizes(
        num_layers=num_layers,
        num_heads=num_heads,
        hidden_dim=hidden_dim,
        intermediate_dim=intermediate_dim,
        dropout=dropout,
        attention_dropout=attention_dropout,
        positions=positions,
        activation=activation,
        normalization=normalization,
        norm_first=norm_first,
        l1=l1,
        l2=l2,
    )
    regularizer = sizes["regularizer"]
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
    # A window that is one patch would leave the attention nothing to look at.
    default = min(16, -(-sequence_length // 4))
    size = default if patch_size is None else inputs.check_integer("patch_size", patch_size)
    stride = (size + 1) // 2 if patch_stride is None else inputs.check_integer("patch_stride", patch_stride)
    if not stride <= size <= sequence_length:
        raise InputError(
            "patch_size",
            received=f"{size} with patch_stride={stride} and sequence_length={sequence_length}",
            expected="patches no longer than the window, and no gaps between them",
            mend=f"Try patch_size={default} and patch_stride=None.",
        )
    x = _each_target(scaled.features, num_targets)
    missing = -(sequence_length - size) % stride
    if missing:
        x = ops.concatenate([ops.repeat(x[:, :1], missing, axis=1), x], axis=1)
    # A convolution with the size and stride of a patch is the linear map of each patch.
    x = keras.layers.Conv1D(
        hidden_dim,
        size,
        strides=stride,
        kernel_initializer="lecun_normal",
        kernel_regularizer=regularizer,
        name="patches",
    )(x)
    if positions != "rotary":
        x = layers.Positions(positions, name="positions")(x)
    if dropout:
        x = keras.layers.Dropout(dropout, name="dropout")(x)
    x = transformer_blocks.transformer(x, **sizes)
    x = ops.reshape(x, (-1, num_targets, x.shape[1], hidden_dim))
    context = ops.mean(x, axis=(1, 2))
    x = ops.reshape(x, (-1, num_targets, x.shape[2] * hidden_dim))
    if dropout:
        x = keras.layers.Dropout(dropout, name="head_dropout")(x)
    x = head(x, horizon * len(scaled.quantiles), regularizer=regularizer)
    raw = target_steps(x, scaled, name="head")
    raw = known_effects(raw, context, scaled, units=hidden_dim, regularizer=regularizer)
    return keras.Model(scaled.inputs, forecast_output(raw, scaled), name=name)


def _each_target(x: keras.KerasTensor, num_targets: int) -> keras.KerasTensor:
    """From (batch, steps, channels) to (batch * targets, steps, 1 + covariates): a sequence for each target."""
    steps, covariates = x.shape[1], x.shape[2] - num_targets
    own = ops.expand_dims(ops.transpose(x[..., :num_targets], (0, 2, 1)), -1)
    if covariates:
        others = ops.repeat(ops.expand_dims(x[..., num_targets:], 1), num_targets, axis=1)
        own = ops.concatenate([own, others], axis=-1)
    return ops.reshape(own, (-1, steps, 1 + covariates))
