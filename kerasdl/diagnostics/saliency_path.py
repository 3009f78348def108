"""Integrated gradients: the gradient summed up on the way from a baseline to an example."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kerasdl.diagnostics.sensitivity import Sensitivity

# Points of Gauss and Legendre in each piece of a path, and pieces that are walked at a time.
NODES, PIECES = 8, 4


@dataclass(frozen=True)
class Path:
    """What is summed up on the way from a baseline to an example.

    Args:
        attributions: For each tensor its share of the difference of the logit, of its shape without the examples.
        start: The logit at the baseline.
        end: The logit of the example.
    """

    attributions: list[np.ndarray]
    start: float
    end: float

    @property
    def gap(self) -> float:
        """The part of the difference that the attributions do not add up to."""
        return self.end - self.start - sum(float(each.sum()) for each in self.attributions)


def walk(
    sensitivity: Sensitivity,
    inputs: np.ndarray,
    values: Sequence[np.ndarray],
    baselines: Sequence[np.ndarray | float],
    target: int,
    *,
    tolerance: float,
    rounds: int,
) -> Path:
    """Integrate the gradient on the straight line from the baselines to the values of one example.

    What the integral of each piece of the line must be is known: the difference of the logit at its ends. So the pieces
    that are most wrong are halved, until all of them add up.

    Args:
        sensitivity: For `NODES * PIECES` examples.
        inputs: One example as the model takes it, without the axis of examples.
        values: Of the tensors, without it.
        baselines: Likewise.
        target: The class whose logit is explained.
        tolerance: Share of the difference of the logit (of at least 0.1) that may be missing.
        rounds: Times that four pieces are walked, at most.

    Reference: Sundararajan, Taly and Yan, Axiomatic attribution for deep networks, arXiv:1703.01365
    """
    count = NODES * PIECES
    repeated = np.repeat(inputs[None], count, axis=0)
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    nodes, weights = (nodes + 1) / 2, weights / 2
    # What is missing, as padding of series is, is the same all the way.
    spans = [np.nan_to_num(value - base) for value, base in zip(values, baselines, strict=True)]
    heights: dict[float, float] = {}

    def place(shares: Sequence[float]) -> None:
        scale = np.asarray(shares, float)
        offsets = [
            (1 - scale).reshape(-1, *(1,) * value.ndim) * np.broadcast_to(base, value.shape)
            for value, base in zip(values, baselines, strict=True)
        ]
        sensitivity.shift(scale, offsets)

    def climb(edges: Sequence[float]) -> int:
        """Note the logit at each edge."""
        place([*edges, *[1.0] * (count - len(edges))])
        found = sensitivity.logits(repeated)
        heights.update(zip(edges, found[: len(edges), target].tolist(), strict=True))
        return found.shape[1]

    # Short pieces first where the line begins: normalizations turn a vector that is nearly zero into a whole one.
    edges = [0.0, 1 / 64, 1 / 16, 1 / 4, 1.0]
    targets = np.eye(climb(edges), dtype=np.float32)[[target] * count]
    pieces: dict[tuple[float, float], list[np.ndarray]] = {}
    new = list(zip(edges[:-1], edges[1:], strict=True))

    def missing(piece: tuple[float, float]) -> float:
        low, high = piece
        return heights[high] - heights[low] - sum(float(part.sum()) for part in pieces[piece])

    for number in range(rounds):
        place([low + (high - low) * node for low, high in new for node in nodes])
        slopes = sensitivity.gradients(repeated, targets)
        for index, (low, high) in enumerate(new):
            rows = slice(NODES * index, NODES * (index + 1))
            pieces[low, high] = [
                (high - low) * np.tensordot(weights, slope[rows], axes=1) * span
                for slope, span in zip(slopes, spans, strict=True)
            ]
        wrong = math.fsum(abs(missing(piece)) for piece in pieces)
        if wrong <= tolerance * max(abs(heights[1.0] - heights[0.0]), 0.1) or number == rounds - 1:
            break
        worst = sorted(pieces, key=lambda piece: -abs(missing(piece)))[: PIECES // 2]
        middles = [(low + high) / 2 for low, high in worst]
        climb(middles)
        new = []
        for (low, high), middle in zip(worst, middles, strict=True):
            del pieces[low, high]
            new += [(low, middle), (middle, high)]
    summed = [sum(parts[index] for parts in pieces.values()) for index in range(len(spans))]
    return Path([np.asarray(each) for each in summed], heights[0.0], heights[1.0])
