"""Short numbers that stay alike when an example is copied with small changes: what duplicates are looked for by.

Here belongs, for each kind of data, what makes two examples the same, and what makes them nearly the same. Needs NumPy
and, for texts, scikit-learn; knows nothing of splits or models.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from kerasdl import series_values

SIDE = 8
"""Pixels of a side that images are shrunk to."""
STEPS = 32
"""Time steps that series are brought to."""
FEATURES = 64
"""Numbers that the signatures of texts and series have at most."""
BUCKETS = 2**16
"""Words that texts are told apart by."""
CHUNK = 1024

Signatures = tuple[np.ndarray, np.ndarray]
"""Of shape (count, features) and (count, mirrored features), float32, together of length 1, or 0 for what has none.
Mirrored features are those that change their sign when an image is mirrored."""
Signer = Callable[[np.ndarray], Signatures]


def exact_keys(inputs: np.ndarray, *, kind: str) -> list[bytes]:
    """Return a key for each example that equal ones share: pixels, words in their order, values.

    Args:
        inputs: As a split has them.
        kind: "images", "text" or "series".
    """
    if kind == "text":
        return [_digest(" ".join(words(text)).encode("utf-8", "surrogatepass")) for text in inputs]
    if kind == "series":
        return [_digest(series_values.as_bytes(inputs[index : index + 1])) for index in range(len(inputs))]
    return [_digest(np.ascontiguousarray(image).tobytes()) for image in inputs]


def signer(known: np.ndarray, *, kind: str) -> tuple[Signer, Signatures]:
    """Return the function that gives examples their signatures, and those of the known ones.

    Images are shrunk to 8 x 8 greys, series brought to 32 steps; both lose their mean and scale, so that a brighter or
    louder copy has the same signature. Texts are bags of words weighted by their rarity. What is longer than 64
    numbers is projected at random, which keeps the ratios of distances (Johnson and Lindenstrauss 1984).

    Args:
        known: The training inputs, by which the rarity of words goes.
        kind: "images", "text" or "series".
    """
    if kind == "text":
        return _text_signer(known)
    sign = series_signatures if kind == "series" else image_signatures
    return sign, sign(known)


def words(text: str) -> list[str]:
    """Return the words of a text, without case and punctuation; of a text without any its characters."""
    return re.findall(r"\w+", text.casefold()) or text.split()


def image_signatures(images: np.ndarray) -> Signatures:
    """Return the signatures of uint8 images (count, height, width, channels), a memory map read in parts."""
    small = np.concatenate(
        [
            shrunk(np.asarray(images[start : start + CHUNK]).mean(axis=3, keepdims=True, dtype=np.float32), SIDE)
            for start in range(0, len(images), CHUNK)
        ]
    )[..., 0]
    small -= small.mean(axis=(1, 2), keepdims=True)
    mirrored = small[:, :, ::-1]
    half = -(-small.shape[2] // 2)
    # An orthonormal change of coordinates: mirroring leaves the first half and turns the sign of the second.
    even, odd = ((small + mirrored)[:, :, :half] / np.sqrt(2), (small - mirrored)[:, :, :half] / np.sqrt(2))
    if small.shape[2] % 2:
        even[:, :, -1] /= np.sqrt(2)
    return _normalized(even.reshape(len(small), -1), odd.reshape(len(small), -1))


def series_signatures(series: np.ndarray) -> Signatures:
    """Return the signatures of series (count, length, channels), or of an object array of (length, channels)."""
    table = np.empty((len(series), STEPS * np.shape(series[0])[1]), np.float32)
    for index, one in enumerate(series):
        short = resampled(one, STEPS).T
        spread = short.std(axis=1, keepdims=True)
        # A channel that does not move says nothing; rounding is not movement.
        moves = spread > 1e-6 * (1 + np.abs(short).max(axis=1, keepdims=True))
        centred = short - short.mean(axis=1, keepdims=True)
        table[index] = np.where(moves, centred / np.where(moves, spread, 1), 0).ravel()
    if table.shape[1] > FEATURES:
        table = table @ _projection(table.shape[1])
    return _normalized(table, table[:, :0])


def shrunk(images: np.ndarray, side: int) -> np.ndarray:
    """Return images (count, height, width, channels) whose sides are at most `side`, float32; pixels are averaged."""
    rows, columns = _averaging(images.shape[1], side), _averaging(images.shape[2], side)
    by_channel = np.moveaxis(images, 3, 1).astype(np.float32)
    return np.moveaxis(rows @ by_channel @ columns.T, 1, 3)


def resampled(series: np.ndarray, steps: int) -> np.ndarray:
    """Return a series (length, channels) brought to `steps` time steps, by linear interpolation."""
    places = np.linspace(0, len(series) - 1, steps)
    return np.stack([np.interp(places, np.arange(len(series)), channel) for channel in np.asarray(series).T], axis=1)


def _text_signer(known: np.ndarray) -> tuple[Signer, Signatures]:
    from sklearn.feature_extraction.text import HashingVectorizer

    vectorizer = HashingVectorizer(analyzer=words, n_features=BUCKETS, alternate_sign=False, norm=None)
    known_counts = vectorizer.transform(known)
    counts = np.bincount(known_counts.indices, minlength=BUCKETS)
    weighted = np.log((1 + len(known)) / (1 + counts))[:, np.newaxis].astype(np.float32) * _projection(BUCKETS)

    def projected(table: Any) -> Signatures:
        table.data = 1 + np.log(table.data)
        dense = np.asarray(table @ weighted, dtype=np.float32)
        return _normalized(dense, dense[:, :0])

    return lambda texts: projected(vectorizer.transform(texts)), projected(known_counts)


def _digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=16).digest()


def _averaging(size: int, side: int) -> np.ndarray:
    """Return the matrix (at most `side`, size) that averages neighbours on an axis, parts of pixels by their share."""
    parts = min(side, size)
    edges = np.linspace(0, size, parts + 1)
    low, high = edges[:-1, np.newaxis], edges[1:, np.newaxis]
    pixels = np.arange(size)
    shares = np.clip(np.minimum(high, pixels + 1) - np.maximum(low, pixels), 0, None)
    return (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32)


def _projection(size: int) -> np.ndarray:
    generator = np.random.default_rng(0)
    return (generator.integers(0, 2, (size, FEATURES), dtype=np.int8) * 2 - 1).astype(np.float32) / np.sqrt(FEATURES)


def _normalized(plain: np.ndarray, mirrored: np.ndarray) -> Signatures:
    norms = np.sqrt((plain**2).sum(axis=1) + (mirrored**2).sum(axis=1))[:, np.newaxis]
    # Less than half a grey in all is no picture; of the others it is far below.
    some = norms > 1e-3
    scale = np.where(some, 1 / np.where(some, norms, 1), 0)
    return (plain * scale).astype(np.float32), (mirrored * scale).astype(np.float32)
