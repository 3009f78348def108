"""What loading data ends in: :class:`Split` and :class:`Dataset`. Plain NumPy, nothing about where data comes from."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerasdl import series_values

SPLITS = ("train", "validation", "test")
IN_MEMORY = ("arrays", "tf.data")
"""What `Dataset.source` says of data that cannot be loaded again by it."""
CHUNK = 256
"""Images that are read, converted or hashed at a time: bounds the memory used beside the data itself."""


@dataclass(frozen=True, eq=False)
class Split:
    """The examples of one split.

    Args:
        inputs: Images of shape (count, height, width, channels), uint8, a memory map when they are large; or texts of
            shape (count,), an object array of str; or series of shape (count, length, channels), float32, where lengths
            differ an object array of (length, channels).
        targets: Class indices of shape (count,), int64; or, where several classes may be true at once, rows of 0 and 1
            of shape (count, classes), uint8; or the number of UTF-8 bytes of each document, int64.

    Example:
        >>> images, classes = dataset.train.batch(np.arange(32))
    """

    inputs: np.ndarray
    targets: np.ndarray

    def __len__(self) -> int:
        return len(self.targets)

    def batch(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the inputs and targets at `indices`, in that order, in memory."""
        return np.asarray(self.inputs[indices]), self.targets[indices]

    def raw(self, indices: np.ndarray) -> Any:
        """Return the inputs at `indices` as `predict` takes them."""
        return self.batch(indices)[0]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Three splits and all that a model must know about them.

    Args:
        name: Short and safe as the name of a folder.
        kind: What the inputs are: "images", "text" or "series", each with its classes; "language", documents in their
            order; or "forecasting", see :class:`kerasdl.data.ForecastDataset`.
        train: The examples to learn from.
        validation: The examples to choose by.
        test: The examples that are looked at once, at the end.
        class_names: The name of each class; class or column `i` of the targets is `class_names[i]`. None for documents.
        source: How to load it again: what the user gave, or "arrays" or "tf.data" when it came from memory.

    Example:
        >>> dataset = kerasdl.data.load("digits")
        >>> dataset.input_shape, dataset.num_classes
        ((8, 8, 1), 10)
    """

    name: str
    kind: str
    train: Split
    validation: Split
    test: Split
    class_names: tuple[str, ...]
    source: str

    @property
    def splits(self) -> dict[str, Split]:
        """The three splits by name."""
        return {"train": self.train, "validation": self.validation, "test": self.test}

    @property
    def counts(self) -> dict[str, int]:
        """The number of examples in each split."""
        return {name: len(split) for name, split in self.splits.items()}

    @property
    def input_shape(self) -> tuple[Any, ...]:
        """Height, width and channels of every image; length, None where it differs, and channels of series; or ()."""
        if self.kind == "series" and self.train.inputs.dtype.kind == "O":
            return None, int(self.train.inputs[0].shape[1])
        return tuple(int(size) for size in self.train.inputs.shape[1:])

    @property
    def num_classes(self) -> int:
        """The number of classes."""
        return len(self.class_names)

    @property
    def multi_label(self) -> bool:
        """Whether several classes of an example may be true at once, or none."""
        return self.train.targets.ndim == 2

    @functools.cached_property
    def fingerprint(self) -> str:
        """The SHA-256 of the class names and of every split's shapes and content, in hex."""
        digest = hashlib.sha256(repr(self.class_names).encode())
        for name, split in self.splits.items():
            digest.update(repr((name, split.inputs.shape)).encode())
            for start in range(0, len(split), CHUNK):
                chunk = split.inputs[start : start + CHUNK]
                if self.kind == "series":
                    digest.update(series_values.as_bytes(chunk))
                else:
                    digest.update(_as_bytes(chunk) if chunk.dtype.kind == "O" else chunk.tobytes())
            digest.update(split.targets.astype("<i8").tobytes())
        return digest.hexdigest()

    def describe(self) -> str:
        """Return two lines for a person: the size and the classes, and how many examples each split has."""
        names = ", ".join(self.class_names[:10]) + (", ..." if self.num_classes > 10 else "")
        several = " (multi-label)" if self.multi_label else ""
        classes = f"; {self.num_classes} classes{several}: {names}" if self.class_names else ""
        counts = self.counts
        if self.kind == "images":
            height, width, channels = self.input_shape
            what = f"{sum(counts.values())} images of {height} x {width} x {channels}"
        elif self.kind == "text":
            words = np.concatenate([[len(text.split()) for text in split.inputs] for split in self.splits.values()])
            what = f"{len(words)} texts of {words.min()} to {words.max()} words (median {np.median(words):.0f})"
        elif self.kind == "series":
            lengths = np.concatenate([[len(series) for series in split.inputs] for split in self.splits.values()])
            steps = f"{lengths.min()}" if self.input_shape[0] else f"{lengths.min()} to {lengths.max()}"
            median = "" if self.input_shape[0] else f" (median {np.median(lengths):.0f})"
            channels = self.input_shape[1]
            what = f"{len(lengths)} series of {steps} steps{median}, {channels} channel{'s' if channels > 1 else ''}"
        else:
            what = f"{sum(counts.values())} documents"
            counts = {name: int(split.targets.sum()) for name, split in self.splits.items()}
        unit = " bytes" if self.kind == "language" else ""
        return f"{self.name}: {what}{classes}\n{', '.join(f'{name} {count}{unit}' for name, count in counts.items())}"


def _as_bytes(texts: np.ndarray) -> bytes:
    # With their lengths, so that ["ab", "c"] is not ["a", "bc"].
    encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
    return b"".join(len(text).to_bytes(8, "little") + text for text in encoded)
