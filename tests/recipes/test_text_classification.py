"""What the text recipe promises beyond the contract: architectures, vocabularies, several labels, class weights."""

from __future__ import annotations

import numpy as np
import pytest

import kerasdl
from kerasdl import InputError
from kerasdl.baselines import bag_of_words
from recipes import text_classification

SMALL = {"hidden_dim": 16, "epochs": 1, "verbose": 0}
TEXTS = [f"{animal} {number}!" for number in range(60) for animal in ("cat", "dog")]
LABELS = ["feline", "canine"] * 60


@pytest.mark.parametrize(
    ("keywords", "size"),
    [
        ({"architecture": "lstm", "units": 8, "vocabulary": "character"}, None),
        ({"architecture": "transformer", "num_layers": 1, "num_heads": 2, "vocabulary": "byte"}, 257),
        ({"architecture": "cnn", "units": 8, "vocabulary_size": 12}, 12),
    ],
)
def test_every_architecture_with_every_vocabulary(keywords, size):
    result = text_classification.train((TEXTS, LABELS), **SMALL, **keywords)
    assert result.task.vocabulary.kind == keywords.get("vocabulary", "word")
    assert size in (None, result.task.vocabulary.size)
    scores = result.predict(["", "cat 3!", "🙂 " * 500])["scores"]
    np.testing.assert_allclose(scores.sum(axis=-1), 1, rtol=1e-5)


def test_only_the_training_texts_make_the_vocabulary():
    data = {"train": (TEXTS, LABELS), "test": (["unseen words", "dog"], ["feline", "canine"])}
    result = text_classification.train(data, architecture="cnn", units=8, **SMALL)
    assert "unseen" not in result.task.vocabulary.entries
    assert "dog" in result.task.vocabulary.entries


def test_texts_with_several_labels():
    rows = np.array([[1, 0, 1], [0, 1, 1], [1, 0, 0], [0, 1, 0]] * 30)
    result = text_classification.train((TEXTS, rows), architecture="cnn", units=8, **SMALL)
    assert {"subset_accuracy", "macro_f1"} <= set(result.metrics)
    assert {"subset_accuracy", "macro_f1", "micro_f1"} == set(*[set(each) for each in result.baselines.values()])
    assert result.predict("cat")["present"].shape == (1, 3)


def test_the_baseline_learns_what_is_plain_and_says_nothing_of_no_words():
    dataset = kerasdl.data.load((TEXTS, LABELS), kind="text")
    assert list(bag_of_words(dataset).values()) == [{"accuracy": 1.0, "macro_f1": 1.0}]


def test_what_is_read_of_a_long_text_is_bounded():
    result = text_classification.train((TEXTS, LABELS), architecture="cnn", units=8, sequence_length=2, **SMALL)
    one, other = result.predict(["cat 1 dog", "cat 1 and more"])["scores"]
    np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.parametrize(
    ("keywords", "says"),
    [
        ({"architecture": "bert"}, "architecture"),
        ({"num_heads": 4}, "num_heads"),
        ({"units": (8, 8)}, "units"),
        ({"vocabulary": "sentence"}, "vocabulary"),
        ({"vocabulary_size": 2}, "vocabulary_size"),
        ({"sequence_length": 0}, "sequence_length"),
        ({"token_dropout": 1.0}, "token_dropout"),
    ],
)
def test_keywords_that_cannot_work(keywords, says):
    with pytest.raises(InputError, match=says):
        text_classification.resolve(**keywords)
