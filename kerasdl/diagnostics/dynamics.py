"""Findings on how a training went: from its losses and from the log of its gradients and updates.

One function a finding; each is quiet when in doubt. A log is what `kerasdl.training.gradient_log` writes, an empty one
tells nothing. Losses are those of the training examples, as they are the ones that are minimized.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kerasdl.diagnostics import remedies
from kerasdl.diagnostics.curves import Finding, Z

History = Mapping[str, Sequence[float]]
# Layers with a kernel of which a network is deep enough for its gradient to vanish or explode.
FEWEST_LAYERS = 5
# Factor between the gradients of the first and of the last layer, beyond which the ones learn and the others do not.
VANISHED = 1e3
# Updates of about a thousandth of the weights are usual; ten times more or less is not by itself a fault.
LARGE_RATIO, SMALL_RATIO = 1e-2, 1e-4
# Share of the first loss: what it has to rise by, or to have fallen by, to mean something.
RISE, FALL = 0.03, 0.5
# Examples of a batch below which noise may be all that a batch says, and how much more of it there must be.
SMALL_BATCH, NOISY = 16, 10.0


def diagnose_dynamics(*, history: History, gradients: Mapping[str, Any], config: Mapping[str, Any]) -> list[Finding]:
    """Return the findings on how a training went.

    Args:
        history: Curves by name, one number an epoch; "loss" is read.
        gradients: The log of gradients; may be empty.
        config: The recipe's resolved arguments, which the remedies start from.

    Returns:
        The findings; empty when nothing is wrong.
    """
    vanishing = vanishing_gradients(gradients, config)
    found = [
        vanishing,
        exploding_gradients(gradients, config),
        learning_rate_too_high(history, gradients, config),
        # Layers that get no gradient have tiny updates at any learning rate.
        learning_rate_too_low(history, gradients, config) if vanishing is None else None,
        batch_too_small(gradients, config),
    ]
    return [finding for finding in found if finding is not None]


def vanishing_gradients(gradients: Mapping[str, Any], config: Mapping[str, Any]) -> Finding | None:
    """Find gradients that shrink from layer to layer on their way back, so that the first layers do not learn.

    The rule: a line through the logarithms of the layers' gradients over depth falls, towards the input, by a factor of
    at least 1000 over the whole network, by its 95 % interval; from five layers with kernels on.

    Reference: Bengio, Simard and Frasconi, doi:10.1109/72.279181; Glorot and Bengio, AISTATS 2010.
    """
    layers, decades, half = _over_depth(gradients)
    if decades - half < math.log10(VANISHED):
        return None
    return Finding(
        "vanishing_gradients",
        {"layers": layers, "first_over_last": 10**-decades, "upper_bound": 10 ** -(decades - half)},
        "Gradients shrink from layer to layer on their way back: the first layers hardly learn.",
        remedies.unsaturated(config),
    )


def exploding_gradients(gradients: Mapping[str, Any], config: Mapping[str, Any]) -> Finding | None:
    """Find gradients that grow from layer to layer on their way back, or that grew during the training.

    The rule: as for :func:`vanishing_gradients`, the other way round; or the norm of the gradient came to be more than
    100 times the largest of its first three observations.

    Reference: Pascanu, Mikolov and Bengio, On the difficulty of training recurrent neural networks, arXiv:1211.5063.
    """
    layers, decades, half = _over_depth(gradients)
    norms = np.sqrt(np.asarray(gradients.get("square", ()), float))
    norms = norms[np.isfinite(norms)]
    growth = norms[3:].max() / norms[:3].max() if len(norms) > 3 and norms[:3].max() > 0 else 0.0
    if -decades - half < math.log10(VANISHED) and growth < 100:
        return None
    clip = {} if config.get("gradient_clip") else {"gradient_clip": 1.0}
    normalization = {"normalization": "batch"} if config.get("normalization") == "none" else {}
    return Finding(
        "exploding_gradients",
        {"layers": layers, "first_over_last": 10**-decades, "growth": float(growth)},
        "Gradients grow from layer to layer on their way back, or with time: single updates can undo what was learnt.",
        clip | normalization or remedies.faster(config, 0.1),
    )


def learning_rate_too_high(history: History, gradients: Mapping[str, Any], config: Mapping[str, Any]) -> Finding | None:
    """Find a loss that large updates keep from falling.

    The rule: in its last fifth the training loss (the median over epochs, of three at least) is higher than it was at
    some time in the first half, by a tenth and by 3 % of the first loss; or it has not fallen by a tenth at all, nor
    does it fall steadily, by the 95 % interval of its slope: then there is little to learn.
    And updates were large: the median layer's update-to-weight ratio was above 0.01 when it was largest after the
    first observation, since the first updates of weights that begin at zero say nothing.

    Reference: Smith, A disciplined approach to neural network hyper-parameters, arXiv:1803.09820, section 4;
    https://cs231n.github.io/neural-networks-3/#ratio
    """
    loss = np.asarray(history["loss"], float)
    ratio = _largest_ratio(gradients, first=1)
    if len(loss) < 4 or not np.isfinite(loss).all() or ratio is None or ratio < LARGE_RATIO:
        return None
    late = float(np.median(loss[-max(3, len(loss) // 5) :]))
    lowest = float(loss[: max(1, len(loss) // 2)].min())
    rose = late > 1.1 * lowest and late - lowest > RISE * abs(loss[0])
    slope, half = _slope(np.arange(len(loss)), loss)
    stuck = late > 0.9 * loss[0] > 0 and slope + half > 0 and ratio > 3 * LARGE_RATIO
    if not (rose or stuck):
        return None
    return Finding(
        "learning_rate_too_high",
        {"first_loss": float(loss[0]), "lowest_loss_before": lowest, "last_losses": late, "update_to_weight": ratio},
        "Updates are so large that the loss rises again instead of falling: the learning rate is too high.",
        remedies.faster(config, 0.1),
    )


def learning_rate_too_low(history: History, gradients: Mapping[str, Any], config: Mapping[str, Any]) -> Finding | None:
    """Find a loss that falls steadily and slowly because updates are tiny.

    The rule: the median layer's update-to-weight ratio never reached 0.0001; the training loss still falls over the
    epochs, by the 95 % interval of its slope; and it has not come down to half of the first.

    Reference: https://cs231n.github.io/neural-networks-3/#ratio
    """
    loss = np.asarray(history["loss"], float)
    ratio = _largest_ratio(gradients)
    if len(loss) < 4 or not np.isfinite(loss).all() or ratio is None or ratio > SMALL_RATIO:
        return None
    slope, half = _slope(np.arange(len(loss)), loss)
    if slope + half > 0 or loss[-1] < FALL * loss[0]:
        return None
    return Finding(
        "learning_rate_too_low",
        {"first_loss": float(loss[0]), "last_loss": float(loss[-1]), "update_to_weight": ratio},
        "The loss falls steadily but slowly, and updates are tiny: the learning rate is too low.",
        remedies.faster(config, 10),
    )


def batch_too_small(gradients: Mapping[str, Any], config: Mapping[str, Any]) -> Finding | None:
    """Find batches so small that their gradients are nearly all noise, early in the training too.

    The noise scale is the batch size at which noise and signal of the gradient are alike: the trace of the covariance
    of single examples' gradients over the squared norm of the true one. The gradient g of a batch of B, and the mean m
    of those before, estimate it by B (|g|^2 - m g) / (m g), here by sums over the first half of the observations.

    The rule: the lower end of its 95 % interval, by the jackknife, is above ten times the batch size, which is at most
    16. In larger batches noise is the rule late in a training, and no fault.

    Reference: McCandlish et al., An empirical model of large-batch training, arXiv:1812.06162, section 2, appendix A.
    """
    sizes = gradients.get("batch_size") or [0]
    usable = np.isfinite(np.asarray(gradients.get("product", ()), float))
    usable &= (np.asarray(gradients.get("updates", ()), float) == 1) & (np.asarray(gradients.get("clipped", ())) == 0)
    half = np.flatnonzero(usable)[: max(4, -(-int(usable.sum()) // 2))]
    if len(half) < 4 or max(sizes) > SMALL_BATCH:
        return None
    squares = (np.asarray(gradients["square"])[half] + np.asarray(gradients["square_after"])[half]) / 2
    products = np.asarray(gradients["product"])[half]
    batch = float(np.mean(sizes))
    # Of signal over noise: the signal may be zero by chance, the noise cannot.
    signal = products.sum() / (squares - products).sum()
    each = [np.delete(products, one).sum() / np.delete(squares - products, one).sum() for one in range(len(products))]
    count = len(each)
    error = math.sqrt((count - 1) / count * float(np.sum((np.array(each) - np.mean(each)) ** 2)))
    high = signal + Z * error
    if not math.isfinite(high) or not 0 < high < 1 / NOISY:
        return None
    return Finding(
        "batch_too_small",
        {
            "batch_size": batch,
            # Of a signal that is lost in the noise only the bound is known.
            "noise_scale": float(batch / (signal if signal > 0 else high)),
            "lower_bound": float(batch / high),
        },
        "The gradients of single batches are nearly all noise: larger ones would take fewer and better steps.",
        {"batch_size": min(256, 8 * config["batch_size"])},
    )


def _over_depth(gradients: Mapping[str, Any]) -> tuple[int, float, float]:
    """Return how many layers there are, and by how many decades gradients fall towards the input, with its interval."""
    sizes = np.asarray(gradients.get("gradient", ()), float)
    names = gradients.get("layers", ())
    # An embedding's gradient is zero for all tokens that a batch lacks.
    kept = [place for place, name in enumerate(names) if "embedding" not in name.lower()]
    if sizes.ndim != 2 or not len(kept):
        return 0, 0.0, 0.0
    sizes = sizes[:, kept]
    sizes = np.where(sizes > 0, sizes, np.nan)  # NaN where a layer did not learn, zero behind dead units
    logarithms = [np.median(column[np.isfinite(column)]) for column in np.log10(sizes).T if np.isfinite(column).any()]
    if len(logarithms) < FEWEST_LAYERS:
        return len(logarithms), 0.0, 0.0
    slope, half = _slope(np.arange(len(logarithms)), np.array(logarithms))
    return len(logarithms), float(slope * (len(logarithms) - 1)), float(half * (len(logarithms) - 1))


def _slope(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Return the slope of the line through some points, and half its 95 % interval."""
    spread = x - x.mean()
    slope = float((spread * y).sum() / (spread**2).sum())
    left = y - y.mean() - slope * spread
    return slope, Z * math.sqrt(float((left**2).sum()) / max(1, len(x) - 2) / float((spread**2).sum()))


def _largest_ratio(gradients: Mapping[str, Any], *, first: int = 0) -> float | None:
    """Return the largest over time of the median layer's update-to-weight ratio; None without any."""
    ratios = np.asarray(gradients.get("ratio", ()), float)[first:]
    medians = [np.median(row[np.isfinite(row)]) for row in ratios if np.isfinite(row).any()]
    return float(max(medians)) if medians else None
