"""Bits per byte: worked by hand, of every token once, with half a window of context, whatever the batch."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from kerasdl.data.packing import pack
from kerasdl.data.vocabulary import Vocabulary
from kerasdl.language_measuring import compressed_metrics, language_metrics, ngram_metrics
from kerasdl.models import causal_transformer

BYTES = Vocabulary("byte")


class Fixed:
    """A model that gives the token after each the same log-probabilities, and writes down what it saw."""

    def __init__(self, logits: np.ndarray):
        self.logits = logits
        self.seen: list[np.ndarray] = []

    def predict_on_batch(self, tokens: np.ndarray) -> np.ndarray:
        self.seen.append(tokens)
        return np.broadcast_to(self.logits, (*tokens.shape, len(self.logits))).astype("float32")


class Visible:
    """A model whose loss, in nats, is how many tokens of its window a prediction sees."""

    def predict_on_batch(self, tokens: np.ndarray) -> np.ndarray:
        count, length = tokens.shape
        logits = np.zeros((count, length, 257), "float32")
        # Two tokens share what 255 others leave: log(2 + 255 / exp(logit)).
        logits[:, :, [0, 98]] = np.log(255 / (np.exp(np.arange(1, length + 1)) - 2))[:, None]
        return logits


def test_a_uniform_model_needs_the_same_for_every_token() -> None:
    documents = ["abc", "é🙂"]
    metrics = language_metrics(Fixed(np.zeros(257)), documents, BYTES, sequence_length=4)
    # 9 bytes and 2 ends of text
    assert metrics["loss"] == pytest.approx(np.log(257))
    assert metrics["perplexity"] == pytest.approx(257)
    assert metrics["bits_per_byte"] == pytest.approx(11 * np.log2(257) / 9)


def test_unknown_characters_cost_their_bytes() -> None:
    vocabulary = Vocabulary("character", ("a", "b"))
    metrics = language_metrics(Fixed(np.zeros(4)), ["ab🙂é"], vocabulary, sequence_length=8)
    assert metrics["loss"] == pytest.approx(np.log(4))
    assert metrics["bits_per_byte"] == pytest.approx((5 * 2 + 8 * (4 + 2)) / 8)


@pytest.mark.parametrize("length", [1, 2, 3, 5, 8, 39, 40, 41, 100])
@pytest.mark.parametrize("batch_size", [1, 7])
def test_every_token_is_counted_once(length: int, batch_size: int) -> None:
    text = "".join(map(chr, range(40, 80)))[:39]
    logits = np.log(np.random.default_rng(0).dirichlet(np.ones(257)))
    tokens = pack([text], BYTES)
    model = Fixed(logits)
    metrics = language_metrics(model, [text], BYTES, sequence_length=length, batch_size=batch_size)
    assert metrics["loss"] == pytest.approx(-logits[tokens].mean(), rel=1e-5)
    assert {part.shape for part in model.seen} == {(batch_size, min(length, 40))}
    assert model.seen[0][0, 0] == 0


@pytest.mark.parametrize(("length", "count"), [(8, 100), (7, 50), (8, 8), (8, 9), (9, 8), (2, 20)])
def test_after_the_first_window_each_prediction_sees_half_a_window(length: int, count: int) -> None:
    metrics = language_metrics(Visible(), ["a" * (count - 1)], BYTES, sequence_length=length)
    visible = list(range(1, min(length, count) + 1))
    while len(visible) < count:
        new = min(length // 2, count - len(visible))
        visible += range(length - new + 1, length + 1)
    assert min(visible[length:], default=length) > length / 2
    assert metrics["loss"] == pytest.approx(np.mean(visible), rel=1e-4)


def test_a_real_model_measures_the_same_in_any_batch_and_as_keras_does() -> None:
    keras.utils.set_random_seed(0)
    model = causal_transformer(None, 257, num_layers=1, num_heads=2, hidden_dim=16)
    text = "The quick brown fox jumps over the lazy dog. " * 3
    one, other = (language_metrics(model, [text], BYTES, sequence_length=16, batch_size=size) for size in (1, 32))
    assert one == pytest.approx(other, rel=1e-5)
    tokens = pack([text], BYTES)
    whole = language_metrics(model, [text], BYTES, sequence_length=1000)
    logits = model.predict(np.concatenate([[0], tokens[:-1]])[None], verbose=0)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(tokens[None], logits)
    assert whole["loss"] == pytest.approx(float(loss), rel=1e-5)
    assert whole["bits_per_byte"] == pytest.approx(float(loss) / np.log(2) * len(tokens) / len(text), rel=1e-5)


def test_baselines_count_the_same_bytes() -> None:
    text = "the cat sat on the mat. " * 40
    metrics = ngram_metrics([text], ["the cat sat on the mat. "], BYTES)
    assert metrics["bits_per_byte"] == pytest.approx(metrics["loss"] / np.log(2) * 25 / 24)
    assert metrics["bits_per_byte"] < ngram_metrics(["xyz " * 40], ["the cat sat on the mat. "], BYTES)["bits_per_byte"]
    alone = compressed_metrics(["the cat sat on the mat. "])["bits_per_byte"]
    after = compressed_metrics(["the cat sat on the mat. "], before=[text])["bits_per_byte"]
    assert 0 <= after < alone / 5
