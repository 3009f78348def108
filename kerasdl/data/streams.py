"""Images in a `tf.data.Dataset` of (image, label)."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from kerasdl.data.cache import ImageWriter
from kerasdl.data.dataset import CHUNK
from kerasdl.data.images import conform, refuse_fractions, to_uint8
from kerasdl.data.splitting import Part
from kerasdl.errors import InputError

if TYPE_CHECKING:
    import tensorflow as tf


def check_stream(stream: tf.data.Dataset, *, what: str, pair: str) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the first element of a stream.

    Args:
        stream: Of pairs of tensors.
        what: How messages name it.
        pair: What messages call an element.

    Raises:
        InputError: For an infinite or empty stream, elements that are no pair of tensors.
    """
    import tensorflow as tf

    spec = stream.element_spec
    if not (isinstance(spec, tuple) and len(spec) == 2 and all(isinstance(s, tf.TensorSpec) for s in spec)):
        raise InputError(what, received=f"elements {spec}", expected=pair, mend="Map it to that pair of tensors.")
    if stream.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise InputError(
            what, received="an infinite stream", expected="a finite one", mend="Drop .repeat(), or use .take(n)."
        )
    first = next(iter(stream.take(1)), None)
    if first is None:
        raise InputError(what, received="an empty stream", expected="examples", mend="Check how it is made.")
    return first


def is_stream(data: object) -> bool:
    """Whether something is a `tf.data.Dataset`."""
    # An object of TensorFlow's cannot be there before TensorFlow is, so nothing is imported here to tell.
    tensorflow = sys.modules.get("tensorflow")
    return tensorflow is not None and isinstance(data, tensorflow.data.Dataset)


class StreamImages:
    """A `tf.data.Dataset` of (image, label), batched or not; iterated when opened.

    Args:
        stream: Images of shape (height, width), (height, width, channels) or a batch of them; labels as arrays have
            them. Images of several sizes make it iterate twice: for the sizes, then for the pixels.
        what: How messages name it.

    Raises:
        InputError: For an infinite or empty stream, elements that are no pair of tensors, images of a wrong rank.
    """

    def __init__(self, stream: tf.data.Dataset, *, what: str):
        self._what = what
        first = check_stream(stream, what=what, pair="(image, label)")
        spec = stream.element_spec
        self._batched = self._is_batched(*first)
        if not self._batched and spec[0].shape.is_fully_defined():
            stream, self._batched = stream.batch(CHUNK), True
        self._stream = stream
        image = spec[0].shape[1:] if spec[0].shape.rank == 4 else spec[0].shape
        if image.rank == 3 and image.is_fully_defined():
            self.shapes = np.array([image.as_list()])
        else:
            self.shapes = np.array([images.shape[1:] for images, _ in self._batches() for _ in images])

    def _is_batched(self, image: tf.Tensor, label: tf.Tensor) -> bool:
        rank, labels = image.shape.rank, label.shape.rank
        vectors = rank == 2 and labels == 1 and image.shape[0] == label.shape[0]
        if rank not in (2, 3, 4) or vectors:
            raise InputError(
                self._what,
                received=f"images of shape {tuple(image.shape)}",
                expected="(height, width, channels), or a batch of them",
                mend="Map the stream to images.",
            )
        if rank == 3 and labels == 1:
            # Grey images in a batch with their labels, or one image with a one-hot label: channels tell.
            return image.shape[-1] > 4
        return rank == 4 or (rank == 3 and labels == 2)

    def _batches(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for images, labels in self._stream.as_numpy_iterator():
            if not self._batched:
                images, labels = images[np.newaxis], np.asarray(labels)[np.newaxis]
            images = images[..., np.newaxis] if images.ndim == 3 else images
            if 0 in images.shape[1:]:
                raise InputError(
                    self._what,
                    received=f"images of shape {images.shape[1:]}",
                    expected="at least one pixel",
                    mend="Drop empty images.",
                )
            yield images, labels

    def open(self, shape: tuple[int, int, int]) -> Part:
        """Iterate the stream once and return the part, its images brought to `shape`."""
        writer, all_labels, high = ImageWriter(), [], 0.0
        for images, labels in self._batches():
            fractional = images.dtype.kind == "f"
            high = max(high, float(images.max())) if fractional else 2.0
            writer.append(conform(to_uint8(images, what=f"{self._what} images"), shape))
            all_labels.append(labels)
        if 0 < high <= 1:
            refuse_fractions(f"{self._what} images", 0.0, high)
        images = writer.finish()
        return Part(np.concatenate(all_labels), lambda indices: np.asarray(images[indices]))
