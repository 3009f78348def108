"""Attention as numbers: who attends to whom, over all layers or in each head; `attention_picture` draws it.

What a model attends to comes in as arrays, from the model that `kerasdl.models.attention_maps` makes. Attention says
where a layer takes its values from, and not by itself why the model decides as it does (arXiv:1902.10186).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerasdl.errors import InputError

# Of the sum of a query's weights, which is 1: more than the rounding of half precision.
TOLERANCE = 1e-2


@dataclass(frozen=True)
class Pair:
    """One position that attends to another; layers and heads count from 1, positions from 0.

    Args:
        layer: Number of the layer.
        head: Number of the head.
        query: Position that attends.
        key: Position that is attended to.
        weight: Share of the attention of `query` that goes to `key`.
    """

    layer: int
    head: int
    query: int
    key: int
    weight: float


def stack_maps(outputs: Mapping[str, Any]) -> np.ndarray:
    """Return what a model of attention maps puts out as one array.

    Args:
        outputs: What the model of `kerasdl.models.attention_maps` returns: "output", and by the name of each layer its
            weights of shape (batch, heads, length, length).

    Returns:
        Array of shape (batch, layers, heads, length, length); the layers by the numbers in their names.

    Raises:
        InputError: Where there are no maps, or maps of several shapes.

    Example:
        >>> maps = stack_maps(kerasdl.models.attention_maps(model).predict(tokens))
        >>> attention_rollout(maps[0])
    """

    def by_number(name: str) -> list[Any]:
        # "block10" comes after "block2"; digits and words alternate, so that only alike are compared
        return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]

    names = sorted((name for name in outputs if name != "output"), key=by_number)
    shapes = {name: np.shape(outputs[name]) for name in names}
    if len(set(shapes.values())) != 1 or len(shapes[names[0]]) != 4:
        raise InputError(
            "outputs",
            received=", ".join(f"{name} {shape}" for name, shape in shapes.items()) or "no maps",
            expected="maps of one shape (batch, heads, length, length) by the names of their layers",
            mend="Pass what the model of kerasdl.models.attention_maps returns.",
        )
    return np.stack([np.asarray(outputs[name]) for name in names], axis=1)


def check_weights(weights: Any, tokens: Sequence[str] | None = None) -> np.ndarray:
    """Return attention weights as an array, checked.

    Args:
        weights: Of shape (layers, heads, length, length); those of a query sum to 1.
        tokens: What stands at each position; None for nothing to compare with.

    Raises:
        InputError: For other shapes, and for what cannot be attention weights.
    """
    array = np.asarray(weights)
    if array.ndim != 4 or array.shape[2] != array.shape[3] or not array.size:
        raise InputError(
            "weights",
            received=f"an array of shape {array.shape}",
            expected="shape (layers, heads, length, length)",
            mend="Pass the maps of one example, such as stack_maps(outputs)[0].",
        )
    if tokens is not None and (isinstance(tokens, str) or len(tokens) != array.shape[-1]):
        mend = "Pass a list of strings."
        if not isinstance(tokens, str):
            mend = "Pass a token for each position; padding on the right goes with weights[..., :n, :n]."
        raise InputError(
            "tokens",
            received="a string" if isinstance(tokens, str) else f"{len(tokens)} tokens",
            expected=f"{array.shape[-1]} tokens, one for each position of the weights",
            mend=mend,
        )
    sums = array.sum(axis=-1, dtype=float)
    # Written so that NaN is refused as well.
    if not ((array >= 0).all() and (np.abs(sums - 1) <= TOLERANCE).all()):
        raise InputError(
            "weights",
            received=f"weights from {array.min():.3g} and sums for a query from {sums.min():.3g} to {sums.max():.3g}",
            expected="weights of at least 0 that sum to 1 for each query",
            mend="Pass attention after the softmax, not cut off on the right.",
        )
    return array


def attention_rollout(weights: np.ndarray, *, residual: float = 0.5) -> np.ndarray:
    """Return how much of each input position reaches each position of the last layer.

    Each layer hands on the mean of its heads, and beside it what was there before, through the residual connection;
    the shares of the layers are multiplied.

    Args:
        weights: Of shape (layers, heads, length, length).
        residual: Share of what passes a layer unchanged, in [0, 1].

    Returns:
        Array of shape (length, length), outputs by inputs; each row sums to 1.

    Raises:
        InputError: For other shapes, what cannot be attention weights, or a share outside its range.

    Example:
        >>> attention_rollout(maps[0])[0]  # where the first position of the last layer comes from

    Reference: Abnar and Zuidema, Quantifying attention flow in transformers, arXiv:2005.00928
    """
    array = check_weights(weights)
    if not 0 <= residual <= 1:
        raise InputError(
            "residual", received=residual, expected="a share from 0 to 1", mend="Try residual=0.5, as in the paper."
        )
    unchanged = np.eye(array.shape[-1])
    total = unchanged
    for layer in array.mean(axis=1, dtype=float):
        total = (residual * unchanged + (1 - residual) * layer) @ total
    return total / total.sum(axis=-1, keepdims=True)


def strongest_pairs(weights: np.ndarray, *, count: int = 3, itself: bool = False) -> list[Pair]:
    """Return the strongest pairs of each head: which position attends most to which.

    Args:
        weights: Of shape (layers, heads, length, length).
        count: Pairs of each head, at most.
        itself: Whether a position that attends to itself counts.

    Returns:
        The pairs by layer, head and weight, the largest first; none of weight zero.

    Raises:
        InputError: For other shapes, and for what cannot be attention weights.

    Example:
        >>> strongest_pairs(maps[0], count=1)[0]
        Pair(layer=1, head=1, query=2, key=1, weight=0.83)
    """
    array = check_weights(weights)
    pairs = []
    for layer, heads in enumerate(array, start=1):
        for head, found in enumerate(heads, start=1):
            shares = found if itself else found * (1 - np.eye(len(found)))
            for flat in np.argsort(-shares, axis=None, kind="stable")[:count]:
                query, key = divmod(int(flat), len(found))
                if shares[query, key] > 0:
                    pairs.append(Pair(layer, head, query, key, float(shares[query, key])))
    return pairs


def attention_table(tokens: Sequence[str], weights: np.ndarray, *, count: int = 3, itself: bool = False) -> str:
    """Return the strongest pairs of each head as lines to print.

    Args:
        tokens: What stands at each position.
        weights: Of shape (layers, heads, length, length).
        count: Pairs of each head, at most.
        itself: Whether a position that attends to itself counts.

    Raises:
        InputError: For other shapes, and for what cannot be attention weights.

    Example:
        >>> print(attention_table(["the", "cat", "sat"], maps[0], count=1))
        layer  head  strongest pairs
            1     1  sat -> cat 0.83
    """
    array = check_weights(weights, tokens)
    lines: dict[tuple[int, int], list[str]] = {}
    for pair in strongest_pairs(array, count=count, itself=itself):
        said = f"{label(tokens[pair.query])} -> {label(tokens[pair.key])} {pair.weight:.2f}"
        lines.setdefault((pair.layer, pair.head), []).append(said)
    rows = [f"{layer:>5}  {head:>4}  {', '.join(said)}" for (layer, head), said in lines.items()]
    return "\n".join(["layer  head  strongest pairs", *rows])


def label(token: str, *, length: int = 14) -> str:
    """Return a token as it can stand in a line: a blank as "␣", what cannot be printed as "�", cut to `length`."""
    seen = {" ": "␣", "\n": "⏎", "\t": "⇥", "": "∅"}
    said = seen.get(token) or "".join(seen.get(char, char if char.isprintable() else "�") for char in token)
    return said if len(said) <= length else said[: length - 1] + "…"


def patch_attention(
    weights: np.ndarray, *, grid: tuple[int, int] | None = None, class_token: bool = False
) -> np.ndarray:
    """Return from which patches of an image a vision transformer takes what it decides by, over all layers.

    Args:
        weights: Of shape (layers, heads, length, length); the patches row by row, behind the class token if any.
        grid: Patches from top to bottom and from left to right; None for a square.
        class_token: Whether the first position is a class token, whose rollout it is then; else that of the mean of all
            patches.

    Returns:
        Shares of shape `grid`, which sum to 1.

    Raises:
        InputError: For other shapes, and for what cannot be attention weights.

    Example:
        >>> patch_attention(maps[0], grid=(7, 7)).argmax()
    """
    rollout = attention_rollout(weights)
    shares = rollout[0, 1:] if class_token else rollout.mean(axis=0)
    rows, columns = grid or (math.isqrt(len(shares)),) * 2
    if rows * columns != len(shares) or not len(shares):
        raise InputError(
            "grid",
            received=f"{rows} x {columns} for {len(shares)} patches",
            expected="as many patches as the weights have" + " beside the class token" * class_token,
            mend="Pass grid=(rows, columns), and class_token=True if the model has one.",
        )
    return (shares / shares.sum()).reshape(rows, columns)
