"""Examples of one split that are, exactly or nearly, in another one as well.

Exact duplicates share a key. Near ones are told by a ratio of distances, not by a distance: what is naturally alike,
as digits are, has many about equally near neighbours, a copy has one (or two) far nearer than all the others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kerasdl.signatures import Signatures, exact_keys, signer, words
from kerasdl.spread import spread

PARTS = 10
"""Random parts of the known examples, in each of which the nearest neighbour is looked for."""
REFERENCE = 3
"""The distance that the nearest one is compared with: that in the part third in order. Two copies leave it alone."""
CHANCE = 2.4
"""If the parts' nearest neighbours are at d, d^m is exponentially distributed where examples are locally spread evenly
in m dimensions; P(d_1/d_3 < t) is then below 10 (1/9 + 1/8) t^m."""
SPREAD = 1.2947
"""E(log X_10 - log X_4) of the order statistics of 10 standard exponential numbers, which gives the m of data."""
FALSE_ALARMS = 0.5
"""Expected number of examples that are taken for near duplicates by chance, all together."""
LARGEST_RATIO = {"images": 0.5, "series": 0.5, "text": 0.8}
"""Whatever the dimension: the power law is not to be trusted further. Texts are compared word by word afterwards."""
ROUNDING = 1e-3
"""Distances below are none: float32 has no smaller ones."""
ALIKE = 0.8
"""Share of all their words that near duplicate texts have in common."""
FEWEST = 20
"""Known examples that near duplicates can be told with."""
MOST_PAIRS = 400_000_000
"""Pairs that are compared at most: some three seconds on one core."""
SAMPLE = 1000
"""Known examples that the dimension of the data is estimated by."""
BLOCK_VALUES = 2**24


@dataclass(frozen=True)
class Duplicates:
    """What was found of `asked` examples among `known` ones.

    Args:
        asked: Indices of the asked examples, one for each pair, in order.
        known: Indices of the known examples.
        exact: Which pairs are exact.
        compared: How many asked examples were looked at for near duplicates; exact ones are looked for in all.
        ratio: Largest ratio of distances that is not chance; 0.0 where near duplicates could not be told.
    """

    asked: np.ndarray
    known: np.ndarray
    exact: np.ndarray
    compared: int
    ratio: float

    @property
    def indices(self) -> np.ndarray:
        """The asked examples that have a duplicate, each once, in order."""
        return np.unique(self.asked)


class Known:
    """Examples among which others are looked for, prepared once for several splits.

    Args:
        inputs: Of a split, usually of the training one.
        kind: "images", "text" or "series".
    """

    def __init__(self, inputs: np.ndarray, *, kind: str):
        self._inputs = inputs
        self._kind = kind
        self._keys = exact_keys(inputs, kind=kind)
        self._signer = signer(inputs, kind=kind) if len(inputs) >= FEWEST else None

    def find(self, asked: np.ndarray, *, most_pairs: int = MOST_PAIRS) -> Duplicates:
        """Find the asked examples that are among the known ones: see :func:`find_duplicates`."""
        pairs = _exact(self._keys, exact_keys(asked, kind=self._kind))
        exact = len(pairs)
        compared, ratio = 0, 0.0
        if self._signer is not None:
            chosen = spread(len(asked), max(1, most_pairs // len(self._inputs)))
            compared = len(chosen)
            sign, known = self._signer
            near, ratio = _near(known, sign(asked[chosen]), most_pairs=most_pairs, most=LARGEST_RATIO[self._kind])
            before = set(pairs)
            near = [pair for one, other in near if (pair := (int(chosen[one]), other)) not in before]
            pairs += [pair for pair in near if self._kind != "text" or _alike(asked[pair[0]], self._inputs[pair[1]])]
        table = np.array(pairs, dtype=np.int64).reshape(-1, 2)
        order = np.lexsort((table[:, 1], table[:, 0]))
        return Duplicates(table[order, 0], table[order, 1], (np.arange(len(table)) < exact)[order], compared, ratio)


def find_duplicates(known: np.ndarray, asked: np.ndarray, *, kind: str, most_pairs: int = MOST_PAIRS) -> Duplicates:
    """Find the asked examples that are among the known ones, as they are or with small changes.

    Images are the same when they are brighter, of more contrast or mirrored; texts without case and punctuation and
    with a few other words; series of another mean, scale or sampling.

    Args:
        known: The inputs of a split, usually of the training one.
        asked: The inputs of another one.
        kind: "images", "text" or "series".
        most_pairs: With more pairs a sample of the asked examples, spread evenly, is looked at for near duplicates.

    Returns:
        The pairs; of the near duplicates of an example all that are near enough.

    Reference: the ratio of distances: Lowe, Distinctive image features from scale-invariant keypoints, IJCV 2004; the
    law of nearest distances: Levina and Bickel, Maximum likelihood estimation of intrinsic dimension, NIPS 2004;
    the 0.8 of texts: Lee et al., Deduplicating training data makes language models better, arXiv:2107.06499.

    Example:
        >>> find_duplicates(dataset.train.inputs, dataset.test.inputs, kind="images").indices
        array([ 3, 17])
    """
    return Known(known, kind=kind).find(asked, most_pairs=most_pairs)


def _exact(known: list[bytes], asked: list[bytes]) -> list[tuple[int, int]]:
    places: dict[bytes, list[int]] = {}
    for index, key in enumerate(known):
        places.setdefault(key, []).append(index)
    return [(index, place) for index, key in enumerate(asked) for place in places.get(key, ())]


def _near(known: Signatures, asked: Signatures, *, most_pairs: int, most: float) -> tuple[list[tuple[int, int]], float]:
    count = len(known[0])
    order = np.random.default_rng(0).permutation(count)
    # Zeros that fill the last part up are as far as what has nothing in common.
    width = -(-count // PARTS)
    filled = [np.zeros((PARTS * width, part.shape[1]), np.float32) for part in known]
    # Dealt like cards, so that parts differ by one example at most.
    slots = np.arange(PARTS * width).reshape(width, PARTS).T.ravel().argsort()[:count]
    for table, part in zip(filled, known, strict=True):
        table[slots] = part[order]
    place_of = np.full(PARTS * width, -1)
    place_of[slots] = order

    sample = spread(count, min(SAMPLE, max(FEWEST, most_pairs // count)))
    slot_of = np.empty(count, int)
    slot_of[order] = slots
    own = _nearest_in_parts(filled, [part[sample] for part in known], without=slot_of[sample])
    if not len(own):
        return [], 0.0
    # The upper distances only, which copies among the known do not touch.
    widening = float(np.mean(np.log(own[:, -1]) - np.log(own[:, REFERENCE])))
    dimension = SPREAD / max(widening, 1e-3)
    ratio = min(most, (FALSE_ALARMS / (CHANCE * len(asked[0]))) ** (1 / dimension))

    found = []
    size = max(1, BLOCK_VALUES // (PARTS * width))
    for start in range(0, len(asked[0]), size):
        likeness = _likeness([part[start : start + size] for part in asked], filled)
        distances = _sorted_distances(likeness)
        # What has no signature is like nothing, and is no copy of the zeros that fill up.
        signed = (asked[0][start : start + size] != 0).any(axis=1) | (asked[1][start : start + size] != 0).any(axis=1)
        for row in np.flatnonzero(signed & (distances[:, 0] <= ratio * distances[:, REFERENCE - 1])):
            near = _distances(likeness[row]) <= ratio * distances[row, REFERENCE - 1]
            found += [(start + int(row), int(place)) for place in place_of[near] if place >= 0]
    return found, ratio


def _nearest_in_parts(filled: list[np.ndarray], some: list[np.ndarray], *, without: np.ndarray) -> np.ndarray:
    """Return the sorted distances to the nearest in each part, of those examples that have a signature."""
    rows, size = [], max(1, BLOCK_VALUES // len(filled[0]))
    for start in range(0, len(without), size):
        likeness = _likeness([part[start : start + size] for part in some], filled)
        likeness[np.arange(len(likeness)), without[start : start + size]] = -1
        rows.append(_sorted_distances(likeness))
    distances = np.concatenate(rows)
    signed = (some[0] != 0).any(axis=1) | (some[1] != 0).any(axis=1)
    return distances[signed & (distances[:, REFERENCE] > 0)]


def _likeness(some: list[np.ndarray], known: list[np.ndarray]) -> np.ndarray:
    """Return the cosines, of an image and its mirror image the larger one."""
    likeness = some[0] @ known[0].T
    if known[1].shape[1]:
        mirrored = some[1] @ known[1].T
        likeness += np.abs(mirrored, out=mirrored)
    return likeness


def _sorted_distances(likeness: np.ndarray) -> np.ndarray:
    nearest = likeness.reshape(len(likeness), PARTS, -1).max(axis=2)
    return np.sort(_distances(nearest), axis=1)


def _distances(likeness: np.ndarray) -> np.ndarray:
    distances = np.sqrt(np.maximum(2 - 2 * likeness, 0))
    return np.where(distances < ROUNDING, 0, distances)


def _alike(one: str, other: str) -> bool:
    first, second = set(words(one)), set(words(other))
    return len(first & second) >= ALIKE * len(first | second)
