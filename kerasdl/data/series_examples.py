"""Series as a model takes them: padded a batch at a time, and what each channel's values are like."""

from __future__ import annotations

import numpy as np

from kerasdl.data.dataset import Split
from kerasdl.padding import padded_length
from kerasdl.series_values import padded


class SeriesExamples:
    """Series of different lengths with their targets, as :func:`kerasdl.training.fit` takes them.

    Args:
        split: Its inputs are an object array of float32 (length, channels).

    Example:
        >>> series, targets = SeriesExamples(dataset.train).batch(np.arange(16))
    """

    def __init__(self, split: Split):
        self.lengths = np.array([len(one) for one in split.inputs], np.int64)
        self.targets = split.targets
        self._series = split.inputs

    def __len__(self) -> int:
        return len(self.targets)

    def batch(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the series at `indices`, float32 (count, length, channels) padded by NaN, and their targets."""
        # One of few lengths: each new one costs the tracing of the model.
        length = padded_length(int(self.lengths[indices].max()))
        return padded(self._series[indices], length), self.targets[indices]


def channel_statistics(split: Split) -> tuple[list[float], list[float]]:
    """Return the mean and the standard deviation of each channel over all series and time steps of a split.

    Of a channel that never changes, the deviation is given as 1: it then becomes zero, and nothing is divided by zero.

    Args:
        split: Series, as many time steps as they are long.
    """
    inputs = split.inputs
    steps = np.concatenate(list(inputs)) if inputs.dtype.kind == "O" else inputs.reshape(-1, inputs.shape[-1])
    mean = steps.mean(axis=0, dtype=np.float64)
    deviation = steps.std(axis=0, dtype=np.float64)
    # What remains of a constant after rounding is no deviation.
    constant = deviation <= 1e-6 * np.abs(mean)
    return mean.tolist(), np.where(constant | (deviation == 0), 1.0, deviation).tolist()
