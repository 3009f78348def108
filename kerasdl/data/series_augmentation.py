"""Random changes of training series, a batch at a time: what is left must still be of the same class."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from kerasdl.data.dataset import Split
from kerasdl.data.series_examples import channel_statistics
from kerasdl.errors import InputError, nearest

Augmentation = Callable[[np.random.Generator, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]

JITTER = 0.05
"""Of the noise, in standard deviations of the channel."""
SCALE = 0.1
"""Standard deviation of the factor that a channel of a series is multiplied by."""
WARP = 0.2
"""Standard deviation of the logarithm of the speed at four points along a series."""
CROP = 0.9
"""Share of a series that is kept at least; it is stretched to the length before."""
POLICIES = {"none": (), "light": ("jitter",), "standard": ("jitter", "scale", "warp")}


def resolve_series_augmentation(policy: str | Sequence[str]) -> tuple[str, ...]:
    """Return the single changes that a policy stands for.

    Args:
        policy: "none", "light" (jitter), "standard" (jitter, scale, warp), or some of jitter, scale, warp and crop,
            with commas between or as a sequence.

    Raises:
        InputError: For an unknown word.

    Example:
        >>> resolve_series_augmentation("jitter,crop")
        ('jitter', 'crop')
    """
    words = policy.split(",") if isinstance(policy, str) else policy
    known = (*POLICIES, *CHANGES)
    if not isinstance(words, Sequence) or not all(isinstance(word, str) for word in words):
        raise InputError(
            "augmentation",
            received=repr(policy),
            expected="a word or a sequence of words",
            mend=f"The words are {', '.join(known)}.",
        )
    names: list[str] = []
    for word in (word.strip() for word in words):
        if word not in known:
            raise InputError(
                "augmentation",
                received=repr(word),
                expected=f"words of {', '.join(known)}",
                mend=nearest(word, known),
            )
        names += [name for name in POLICIES.get(word, (word,)) if name not in names]
    return tuple(names)


def make_series_augmentation(policy: str | Sequence[str], train: Split) -> Augmentation | None:
    """Return the function that augments a batch of series, None where nothing is to be done.

    Args:
        policy: As for :func:`resolve_series_augmentation`.
        train: The training split, which says how much the values of each channel vary.

    Returns:
        From a generator, series (count, length, channels) padded by NaN and targets to such series and the targets.

    Reference: Iwana and Uchida, An empirical survey of data augmentation for time series classification,
    arXiv:2007.15951
    """
    names = resolve_series_augmentation(policy)
    if not names:
        return None
    deviation = np.array(channel_statistics(train)[1], np.float32)

    def augment(
        generator: np.random.Generator, series: np.ndarray, targets: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        for name in names:
            series = CHANGES[name](generator, series, deviation)
        return series.astype(np.float32), targets

    return augment


def jitter(generator: np.random.Generator, series: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """Add noise to each value."""
    return series + generator.normal(0, JITTER, series.shape).astype(np.float32) * deviation


def scale(generator: np.random.Generator, series: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """Multiply each channel of each series by a factor near 1."""
    return series * generator.normal(1, SCALE, (len(series), 1, series.shape[2])).astype(np.float32)


def warp(generator: np.random.Generator, series: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """Make time run faster in some parts of a series and slower in others."""
    speeds = np.exp(generator.normal(0, WARP, (len(series), 4)))

    def places(row: int, length: int) -> np.ndarray:
        speed = np.interp(np.linspace(0, 3, max(length - 1, 1)), np.arange(4), speeds[row])
        reached = np.concatenate([[0.0], np.cumsum(speed)])[:length]
        return reached * ((length - 1) / reached[-1]) if length > 1 else reached

    return _read_at(series, places)


def crop(generator: np.random.Generator, series: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """Cut a little off the ends of a series and stretch what is left."""
    kept = generator.uniform(CROP, 1, len(series))
    start = generator.uniform(0, 1, len(series)) * (1 - kept)

    def places(row: int, length: int) -> np.ndarray:
        return (start[row] + kept[row] * np.linspace(0, 1, length)) * (length - 1)

    return _read_at(series, places)


def _read_at(series: np.ndarray, places: Callable[[int, int], np.ndarray]) -> np.ndarray:
    """Return series read at other times, by linear interpolation; padding stays where it is."""
    found = series.copy()
    lengths = (~np.isnan(series).all(axis=2)).sum(axis=1)
    for row, length in enumerate(lengths):
        at, steps = places(row, int(length)), np.arange(length)
        for channel in range(series.shape[2]):
            found[row, :length, channel] = np.interp(at, steps, series[row, :length, channel])
    return found


CHANGES = {"jitter": jitter, "scale": scale, "warp": warp, "crop": crop}
"""By name; each takes a generator, series and the standard deviation of each channel."""
