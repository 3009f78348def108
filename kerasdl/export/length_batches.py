"""Batches of similar length, of whatever a user hands to `predict`. Needs NumPy only."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from kerasdl.export.outputs import Outputs

BATCH_SIZE = 256


def run_by_length(sizes: Sequence[int], *, most: int, on_batch: Callable[[list[int]], Outputs]) -> Outputs:
    """Run a model on examples of different sizes and return one row an example, in their order.

    Args:
        sizes: Of each example.
        most: Of a batch, padding counted: one example of any size is a batch by itself.
        on_batch: Outputs for the examples at some indices.
    """
    if len(sizes) == 1:
        return on_batch([0])
    # Together with others of its length an example needs little padding, and a long one makes none slow.
    order = np.argsort(sizes, kind="stable")
    rows: dict[str, list[np.ndarray]] = {}
    for batch in _batches(sizes, order, most):
        for name, values in on_batch(batch).items():
            rows.setdefault(name, []).append(values)
    back = np.argsort(order)
    return {name: np.concatenate(values)[back] for name, values in rows.items()}


def _batches(sizes: Sequence[int], order: np.ndarray, most: int) -> list[list[int]]:
    batches: list[list[int]] = []
    for index in order:
        # In order of size, this one is the largest so far.
        fits = batches and len(batches[-1]) < BATCH_SIZE
        if fits and (len(batches[-1]) + 1) * sizes[index] <= most:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches
