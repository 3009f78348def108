"""What the nearest neighbour reaches on series, shown beside a result: the bar that networks often fail to clear."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kerasdl.baselines import agreement

if TYPE_CHECKING:
    from kerasdl.data import Dataset

WINDOW = 0.1
"""Share of the length that dynamic time warping may shift by; 10 % is the usual one."""
LONGEST = 256
"""Time steps that series are shortened to for warping."""
MOST_STEPS = 500_000_000
"""Products of values that each of the two methods may take: some ten seconds on one core."""


def nearest_neighbours(dataset: Dataset, *, most_steps: int = MOST_STEPS) -> dict[str, dict[str, float]]:
    """Return what the class of the nearest known series reaches on the test split, by two distances.

    Both have the validation series too, as there is nothing to choose. Channels are standardised by the training split.
    Series of different lengths are brought to the median length first, by linear interpolation. To bound its time, a
    method on much data knows only some of the series and answers for some of the test split; its name then says so.

    Args:
        dataset: Series with their classes.
        most_steps: Bound on the products of values that each method takes.

    Returns:
        Metrics by the name of the method, as of :func:`kerasdl.baselines.bag_of_words`: the nearest by the Euclidean
        distance, and by dynamic time warping within a window of 10 % of the length.

    Reference: Bagnall et al., The great time series classification bake off, arXiv:1602.01711
    """
    from kerasdl.data.series_examples import channel_statistics

    mean, scale = (np.array(values) for values in channel_statistics(dataset.train))
    splits = dataset.splits
    length = int(np.median([len(one) for split in splits.values() for one in split.inputs]))

    def table(inputs: Any, steps: int) -> np.ndarray:
        return np.stack([_resampled((one - mean) / scale, steps) for one in inputs])

    found = {}
    for name, steps in (("Euclidean", length), ("DTW", min(length, LONGEST))):
        window = int(np.ceil(WINDOW * steps)) if name == "DTW" else 0
        cost = steps * len(mean) * (2 * window + 1)
        known, asked = _samples(dataset, most_steps // cost)
        tables = [table([splits[split].inputs[index] for split, index in indices], steps) for indices in (known, asked)]
        nearest = warped(*tables, window=window) if window else straight(*tables)
        targets = [np.array([splits[split].targets[index] for split, index in indices]) for indices in (known, asked)]
        label = f"1 nearest neighbour, {name}" + (f" within {WINDOW:.0%}" if name == "DTW" else "")
        total = len(dataset.train) + len(dataset.validation)
        if len(known) < total or len(asked) < len(dataset.test):
            label += f", {len(known)} of {total} known series, {len(asked)} of {len(dataset.test)} test series"
        found[label] = agreement(targets[1], targets[0][nearest], multi_label=dataset.multi_label)
    return found


def _samples(dataset: Dataset, pairs: int) -> tuple[list[tuple[str, int]], list[tuple[str, int]]]:
    """Return the split and index of the series that are known and of those asked for, evenly spread, in `pairs`."""
    known = [(split, index) for split in ("train", "validation") for index in range(len(dataset.splits[split]))]
    asked = [("test", index) for index in range(len(dataset.test))]
    if len(known) * len(asked) <= pairs:
        return known, asked
    # Known series first: with too few of them the bar would be too low.
    most_asked = min(len(asked), max(200, pairs // len(known)))
    most_known = min(len(known), max(pairs // most_asked, 1))
    return _spread(known, most_known), _spread(asked, most_asked)


def _spread(values: list[Any], count: int) -> list[Any]:
    # A fixed draw, as examples may lie class by class or in a period.
    chosen = np.random.default_rng(0).permutation(len(values))[:count]
    return [values[index] for index in np.sort(chosen)]


def _resampled(series: np.ndarray, length: int) -> np.ndarray:
    if len(series) == length:
        return series
    places = np.linspace(0, len(series) - 1, length)
    steps = np.arange(len(series))
    return np.stack([np.interp(places, steps, channel) for channel in series.T], axis=1)


def straight(known: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Return the index of the known series nearest to each asked one, by the Euclidean distance.

    Args:
        known: Of shape (count, length, channels).
        asked: Of shape (count, length, channels).
    """
    known, asked = known.reshape(len(known), -1), asked.reshape(len(asked), -1)
    squares = (known**2).sum(axis=1)
    block = max(1, 2**22 // len(known))
    return np.concatenate(
        [(squares - 2 * asked[i : i + block] @ known.T).argmin(axis=1) for i in range(0, len(asked), block)]
    )


def warped(known: np.ndarray, asked: np.ndarray, *, window: int) -> np.ndarray:
    """Return the index of the known series nearest to each asked one, by dynamic time warping of all channels at once.

    Args:
        known: Of shape (count, length, channels).
        asked: Of shape (count, length, channels).
        window: Time steps that two that are matched may be apart.

    Reference: Sakoe and Chiba, Dynamic programming algorithm optimization for spoken word recognition, 1978
    """
    block = max(1, 2**16 // len(known))
    blocks = [asked[i : i + block] for i in range(0, len(asked), block)]
    return np.concatenate([warping_distances(known, some, window=window).argmin(axis=1) for some in blocks])


def warping_distances(known: np.ndarray, asked: np.ndarray, *, window: int) -> np.ndarray:
    """Return the squared distances (asked, known) of :func:`warped`: sums along the cheapest of all paths."""
    length = known.shape[1]
    # Time first, so that what two steps need lies together; all pairs advance at once.
    known, asked = np.moveaxis(known, 0, 2), np.moveaxis(asked, 0, 2)
    pairs = (asked.shape[2], known.shape[2])
    before = np.full((length + 1, *pairs), np.inf)
    before[0] = 0
    for step in range(length):
        row = np.full_like(before, np.inf)
        for other in range(max(0, step - window), min(length, step + window + 1)):
            differences = asked[step][:, :, np.newaxis] - known[other][:, np.newaxis, :]
            cheapest = np.minimum(np.minimum(before[other], before[other + 1]), row[other])
            row[other + 1] = cheapest + (differences**2).sum(axis=0)
        before = row
    return before[length]
