"""Series in lists and arrays, and in a `tf.data.Dataset` of (series, label)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasdl.data.splitting import Part
from kerasdl.data.streams import check_stream
from kerasdl.errors import InputError
from kerasdl.series_values import as_objects, as_series

if TYPE_CHECKING:
    import tensorflow as tf

    from kerasdl.data.kinds import Source


class ArraySeries:
    """Series and their labels, checked.

    Args:
        inputs: As :func:`kerasdl.series_values.as_series` takes them.
        targets: Labels of shape (count,) or (count, 1), or rows of 0 and 1 of shape (count, classes).
        what: How messages name the pair.
        missing: What is done with missing values: "refuse" or "interpolate".

    Raises:
        InputError: As `as_series` does, and for lengths that differ.
    """

    def __init__(self, inputs: Any, targets: Any, *, what: str, missing: str = "refuse"):
        self._what = what
        self._series = as_series(inputs, what=f"{what} series", missing=missing)
        if isinstance(targets, (str, bytes)) or not hasattr(targets, "__len__"):
            raise InputError(
                f"{what} labels",
                received=repr(targets)[:80],
                expected="a list with one label per series",
                mend="Pass the pair (series, labels).",
            )
        if len(self._series) != len(targets):
            raise InputError(
                what,
                received=f"{len(self._series)} series and {len(targets)} labels",
                expected="one label per series",
                mend="Check that both come from the same examples.",
            )
        self._labels = targets
        self.shapes = np.array([one.shape for one in self._series])

    def open(self, shape: tuple[int | None, int]) -> Part:
        """Return the part, its series of the shape (length, channels), or of any length with (None, channels)."""
        length, channels = shape
        wrong = self.shapes[:, 1] != channels
        if length is not None:
            wrong |= self.shapes[:, 0] != length
        if wrong.any():
            index = int(np.argmax(wrong))
            raise InputError(
                f"{self._what} series, index {index}",
                received=f"{self.shapes[index, 0]} time steps of {self.shapes[index, 1]} channels",
                expected=f"{'any number of' if length is None else length} time steps of {channels} channels",
                mend="Bring series that a model takes, or train one on series of several lengths.",
            )
        series = as_objects(self._series) if length is None else np.stack(self._series)
        return Part(self._labels, lambda indices: series[indices])


class StreamSeries:
    """A `tf.data.Dataset` of (series, label), batched or not; iterated once, when it is made.

    Args:
        stream: Series of shape (length,) or (length, channels), or a batch of them; labels as arrays have them.
        what: How messages name it.
        missing: As for :class:`ArraySeries`.

    Raises:
        InputError: For an infinite or empty stream, elements that are no pair of numbers and a label.
    """

    def __init__(self, stream: tf.data.Dataset, *, what: str, missing: str = "refuse"):
        series, label = check_stream(stream, what=what, pair="(series, label)")
        rank, labels = series.shape.rank, label.shape.rank
        # A vector of labels belongs to as many series; else it is the one-hot label of one.
        batched = rank == 3 or (rank == 2 and labels == 1 and series.shape[0] == label.shape[0])
        if rank not in (1, 2, 3) or not (series.dtype.is_floating or series.dtype.is_integer) or labels < batched:
            raise InputError(
                what,
                received=f"series of type {series.dtype.name} and shape {tuple(series.shape)}, labels of shape "
                f"{tuple(label.shape)}",
                expected="numbers of shape (length,) or (length, channels), or a batch of them, and their labels",
                mend="Map the stream to pairs of one series and one label.",
            )
        found, all_labels = [], []
        for values, label in stream.as_numpy_iterator():
            found += list(values) if batched else [values]
            all_labels.append(np.asarray(label) if batched else np.asarray(label)[np.newaxis])
        self._series = ArraySeries(found, np.concatenate(all_labels), what=what, missing=missing)
        self.shapes = self._series.shapes

    def open(self, shape: tuple[int | None, int]) -> Part:
        """Return the part."""
        return self._series.open(shape)


def series_shape(parts: Mapping[str, Source]) -> tuple[int | None, int]:
    """Return the length, None if it differs, and the number of channels of the series of all splits.

    Raises:
        InputError: When the splits have different numbers of channels.
    """
    channels = {split: int(part.shapes[0, 1]) for split, part in parts.items()}
    if len(set(channels.values())) > 1:
        raise InputError(
            "data",
            received=", ".join(f"{split} series of {count} channels" for split, count in channels.items()),
            expected="the same channels in all splits",
            mend="Give every series the same channels.",
        )
    lengths = np.unique(np.concatenate([part.shapes[:, 0] for part in parts.values()]))
    return (int(lengths[0]) if len(lengths) == 1 else None), channels["train"]
