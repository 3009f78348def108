"""Remedies: keyword arguments for a recipe's `train`, as far as it and its architecture have them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SATURATING = ("sigmoid", "tanh", "hard_sigmoid", "hard_tanh", "softsign")
# Layers that a plain network can be trained with; more need residual connections (He et al., arXiv:1512.03385).
DEEPEST = 8
# What makes a model larger, whatever its architecture calls it.
SIZES = ("units", "filters", "hidden_dim")


def faster(config: Mapping[str, Any], factor: float) -> dict[str, Any]:
    """Return the learning rate times `factor`; nothing where a schedule or an optimizer object has its own."""
    rate = config.get("learning_rate")
    if not isinstance(rate, (int, float)) or not isinstance(config.get("optimizer", ""), str):
        return {}
    return {"learning_rate": float(f"{rate * factor:.3g}")}


def best_epoch(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what ends with the best epoch's weights: kept, or stopped at where the learning rate stays high.

    A schedule that ends near zero makes most of its progress at its end, which must not be cut off.
    """
    if config.get("schedule") in ("constant", "plateau"):
        return {"early_stopping": max(3, (config.get("epochs") or 0) // 5)}
    return {"keep": "best"} if config.get("keep") == "last" else {}


def regularized(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what leaves a model less room to learn its examples by heart.

    A perceptron on images becomes convolutional: it has a weight for each pixel and unit, where a convolution has the
    same for all places (LeCun et al. 1989, doi:10.1162/neco.1989.1.4.541). Else more dropout and weight decay, and
    images that are moved a little, which changes no class.
    """
    if config.get("architecture") == "mlp":
        return {"architecture": "cnn", **best_epoch(config)}
    # Not in fine-tuning, where features of still images are computed once.
    still = config.get("augmentation") in ("none", [], ()) and "image_size" in config and "feature_passes" not in config
    return {
        "dropout": round(min(0.6, (config.get("dropout") or 0.0) + 0.2), 2),
        "weight_decay": max(0.01, 2 * (config.get("weight_decay") or 0.0)),
        **({"augmentation": "shift"} if still else {}),
        **best_epoch(config),
    }


def has(config: Mapping[str, Any], name: str) -> bool:
    """Return whether the architecture has that option: those of others are None."""
    return config.get(name) is not None


def unsaturated(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what keeps gradients from vanishing: a rectifier, normalization, else gates or residuals."""
    remedy: dict[str, Any] = {}
    if config.get("activation") in SATURATING:
        remedy["activation"] = "relu"
    if config.get("normalization") == "none":
        remedy["normalization"] = "batch"
    units = config.get("units")
    if isinstance(units, (list, tuple)) and len(units) > DEEPEST:
        remedy["units"] = list(units[:DEEPEST])
    if remedy:
        return remedy
    if config.get("architecture") == "rnn":  # of forecasting
        return {"architecture": "lstm"}
    layers = config.get("num_layers")
    if isinstance(layers, int) and layers > 1:
        return {"num_layers": layers // 2}
    if isinstance(units, (list, tuple)) and len(units) > 1:
        return {"units": list(units[: len(units) // 2])}
    return faster(config, 3)


def larger(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return twice the width, and at least 32: below that a doubling is a small step."""
    remedy: dict[str, Any] = {}
    for name in SIZES:
        size = config.get(name)
        if isinstance(size, (list, tuple)):
            remedy[name] = [max(32, 2 * each) for each in size]
        elif isinstance(size, int) and not isinstance(size, bool):
            remedy[name] = max(32, 2 * size)
    return remedy
