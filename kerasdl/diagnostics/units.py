"""Findings on what the units of a trained model do: dead, saturated, or otherwise normalized than in training."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kerasdl.diagnostics import remedies
from kerasdl.diagnostics.activity import Activity
from kerasdl.diagnostics.curves import Finding, Z, wilson_interval

# Share of a layer's units: a network has room for some that do nothing.
IDLE = 0.5
# Share of the loss, and nats, that statistics have to cost to be worth a finding.
COSTLY, NATS = 0.2, 0.05


def dead_units(units: Sequence[Activity], config: Mapping[str, Any]) -> Finding | None:
    """Find a layer most of whose rectifiers never fire, so that nothing passes them, neither forward nor back.

    The rule: the lower end of the 95 % interval of the share of dead units, in the layer that has most, is above a
    half. Where an L1 norm is there to make units needless, nothing is found.

    Args:
        units: From :func:`kerasdl.diagnostics.activity`, on a few hundred training examples.
        config: The recipe's resolved arguments.

    Reference: Lu et al., Dying ReLU and initialization, arXiv:1903.06733.
    """
    if config.get("l1"):
        return None
    found = _worst([(each, each.dead) for each in units if each.dead is not None])
    if found is None:
        return None
    layer, evidence = found
    smoother = {"activation": "gelu"} if config.get("activation") in ("relu", "relu6") else {}
    return Finding(
        "dead_units",
        evidence,
        f"Most units of the layer {layer.layer!r} never fire, and so no longer learn: the learning rate was too high.",
        remedies.faster(config, 0.1) | smoother,
    )


def saturated_units(units: Sequence[Activity], config: Mapping[str, Any]) -> Finding | None:
    """Find a layer most of whose units are always at an end of their range, where gradients do not pass.

    The rule: as for :func:`dead_units`; a unit is saturated that is there for 95 % of the examples.

    Args:
        units: From :func:`kerasdl.diagnostics.activity`, on a few hundred training examples.
        config: The recipe's resolved arguments.

    Reference: Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks, AISTATS
    2010.
    """
    found = _worst([(each, each.saturated) for each in units if each.saturated is not None])
    if found is None:
        return None
    layer, evidence = found
    return Finding(
        "saturated_units",
        evidence,
        f"Most units of the layer {layer.layer!r} are at an end of their range always, where gradients do not pass.",
        remedies.faster(config, 0.1) | remedies.unsaturated(config),
    )


def batch_normalization_off(
    training_losses: np.ndarray, inference_losses: np.ndarray, config: Mapping[str, Any]
) -> Finding | None:
    """Find moving statistics of batch normalization that are not those of the batches that the model learnt on.

    The rule: on training examples the loss with moving statistics is higher than with those of each batch, by the lower
    end of the 95 % interval of the mean difference, by a fifth and by 0.05 nats. Dropout, which is on in training mode
    only, makes the rule slower to find, not quicker.

    Args:
        training_losses: Of each of some training examples, in training mode, in batches as in training.
        inference_losses: Of the same, in inference mode.
        config: The recipe's resolved arguments.

    Reference: Wu and Johnson, Rethinking "batch" in BatchNorm, arXiv:2105.07576, section 3.
    """
    difference = inference_losses - training_losses
    if len(difference) < 2 or not np.isfinite(difference).all():
        return None
    mean, half = float(difference.mean()), Z * float(difference.std(ddof=1)) / math.sqrt(len(difference))
    training = float(training_losses.mean())
    if mean - half < max(COSTLY * training, NATS):
        return None
    momentum = config.get("normalization_momentum")
    remedy: dict[str, Any] = {"epochs": 2 * config["epochs"]}
    if momentum is not None and momentum > 0.5:
        remedy = {"normalization_momentum": 0.9 if momentum > 0.9 else 0.5}
    elif config.get("normalization") == "batch":
        remedy = {"normalization": "group"}
    return Finding(
        "batch_normalization_off",
        {"training_mode_loss": training, "inference_loss": training + mean, "lower_bound": training + mean - half},
        "The moving statistics of batch normalization are not those of the batches it learnt on: in use the model does "
        "worse than it could.",
        remedy,
    )


def _worst(shares: list[tuple[Activity, float]]) -> tuple[Activity, dict[str, float]] | None:
    bounds = [wilson_interval(share, each.units)[0] for each, share in shares]
    if max(bounds, default=0.0) <= IDLE:
        return None
    layer, share = shares[int(np.argmax(bounds))]
    return layer, {"share": share, "units": layer.units, "lower_bound": max(bounds), "layers": len(shares)}
