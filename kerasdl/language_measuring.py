"""How well held-out text is predicted: by a language model, and by simple methods on the same bytes.

Everything here counts alike. Documents are joined by end-of-text, and before the first lies one more. Every token is
predicted once, the end of each document too. `bits_per_byte` is what all these predictions cost in bits, divided by the
number of UTF-8 bytes of the documents; ends of text add bits and no bytes. A character that the vocabulary lacks costs
8 bits for each of its bytes besides the unknown token that stands for it, so that all vocabularies compare.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np

from kerasdl.data.packing import END_OF_TEXT, pack
from kerasdl.ngram import KneserNey

if TYPE_CHECKING:
    import keras

    from kerasdl.data import Dataset
    from kerasdl.data.vocabulary import Vocabulary

Metrics = dict[str, float]

LOGITS = 2**24
"""Numbers that a batch of logits holds at most: 64 MiB."""
NGRAM = "5-gram Kneser-Ney"
COMPRESSED, COMPRESSED_ALONE = "xz -9 after train and validation", "xz -9 alone"
"""The names of the baselines."""


def language_metrics(
    model: keras.Model,
    documents: Collection[str],
    vocabulary: Vocabulary,
    *,
    sequence_length: int,
    batch_size: int = 32,
) -> Metrics:
    """Measure a language model on documents, of which it sees at most `sequence_length` tokens at a time.

    Windows overlap by half: every token is predicted once, after at least half a window of text where so much lies
    before it. The batch changes nothing but the rounding.

    Args:
        model: Tokens int32 (batch, length) to logits (batch, length, vocabulary.size).
        documents: The texts, with at least one byte.
        vocabulary: The model's, of bytes or characters.
        sequence_length: Tokens in a window, at least 1.
        batch_size: Windows at a time; fewer where their logits would take more than 64 MiB.

    Returns:
        "loss", nats a token; "perplexity", its exponential; "bits_per_byte".

    Example:
        >>> language_metrics(model, dataset.test.inputs, vocabulary, sequence_length=256)["bits_per_byte"]
    """
    import keras

    tokens = pack(documents, vocabulary)
    inputs = np.concatenate([[END_OF_TEXT], tokens[:-1]]).astype(np.int32)
    length = min(sequence_length, len(tokens))
    batch_size = max(1, min(batch_size, LOGITS // (length * vocabulary.size)))
    rest = len(tokens) - length
    stride = max(1, length // 2)
    starts = np.minimum(np.arange(0, rest + stride, stride), rest)
    # Batches of one size are compiled once: the last window fills up the last of them, with nothing to count.
    starts = np.pad(starts, (0, -len(starts) % batch_size), mode="edge")
    counted_from = np.concatenate([[0], starts[:-1] + length])
    nats = 0.0
    for begin in range(0, len(starts), batch_size):
        places = starts[begin : begin + batch_size, None] + np.arange(length)
        logits = model.predict_on_batch(inputs[places])
        losses = keras.ops.sparse_categorical_crossentropy(tokens[places], logits, from_logits=True)
        new = places >= counted_from[begin : begin + batch_size, None]
        nats += float(keras.ops.convert_to_numpy(losses)[new].astype(np.float64).sum())
    return _metrics(nats, documents, vocabulary, len(tokens))


def ngram_metrics(
    train: Collection[str], documents: Collection[str], vocabulary: Vocabulary, *, order: int = 5
) -> Metrics:
    """Measure on `documents` a Kneser-Ney model that counted `train`; keywords and metrics as elsewhere here."""
    model = KneserNey(pack(train, vocabulary), vocabulary.size, order=order)
    tokens = pack(documents, vocabulary)
    return _metrics(-float(model.log_probabilities(tokens).sum()), documents, vocabulary, len(tokens))


def compressed_metrics(documents: Collection[str], *, before: Collection[str] = ()) -> Metrics:
    """Return the bits per byte that `xz -9e` needs for documents.

    Args:
        documents: The texts, with at least one byte.
        before: Texts that it has seen: counted is by how much their compressed size grows.
    """
    import lzma

    def size(texts: Collection[str]) -> int:
        return len(lzma.compress("".join(texts).encode(), preset=9 | lzma.PRESET_EXTREME))

    known = size(before) if len(before) else 0
    return {"bits_per_byte": 8 * (size([*before, *documents]) - known) / _count_bytes(documents)}


def language_baselines(dataset: Dataset, vocabulary: Vocabulary) -> dict[str, Metrics]:
    """Return what simple methods reach on the test split of a corpus, by their names.

    The Kneser-Ney model counts the training split, as a model learns from it only. The compressor, which learns as it
    goes, knows the training and the validation split.

    Args:
        dataset: Of the kind "language".
        vocabulary: Of bytes or characters.
    """
    train, test = dataset.train.inputs, dataset.test.inputs
    return {
        NGRAM: ngram_metrics(train, test, vocabulary),
        COMPRESSED: compressed_metrics(test, before=[*train, *dataset.validation.inputs]),
        COMPRESSED_ALONE: compressed_metrics(test),
    }


def _metrics(nats: float, documents: Collection[str], vocabulary: Vocabulary, count: int) -> Metrics:
    bits = nats / np.log(2)
    if vocabulary.kind == "character":
        known = set(vocabulary.entries)
        characters = Counter("".join(documents))
        bits += 8 * sum(len(each.encode()) * times for each, times in characters.items() if each not in known)
    return {
        "bits_per_byte": float(bits / _count_bytes(documents)),
        "perplexity": float(np.exp(nats / count)),
        "loss": nats / count,
    }


def _count_bytes(documents: Collection[str]) -> int:
    return sum(len(text.encode()) for text in documents)
