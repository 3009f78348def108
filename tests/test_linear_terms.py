"""The linear part of a text classifier: what it says, how it is fitted and weighed, what it leaves alone."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

import kerasdl
from kerasdl import layers, linear_terms
from kerasdl.data.token_examples import TokenExamples
from kerasdl.diagnostics import saliency
from kerasdl.layers.term_scores import LARGEST
from recipes import text_classification

# What is said of an animal is turned around by "not" in front of it: the pair says what the words do not.
WORDS = ["cat", "dog", "owl", "bee"]
TEXTS = [f"{sign} {word} {number}" for number in range(40) for sign in ("a", "not") for word in WORDS]
LABELS = [
    ("wild" if word in ("owl", "bee") else "tame") if sign == "a" else ("tame" if word in ("owl", "bee") else "wild")
    for number in range(40)
    for sign in ("a", "not")
    for word in WORDS
]
SMALL = {"hidden_dim": 8, "units": 8, "subwords": 0, "epochs": 1, "verbose": 0}


@pytest.fixture(scope="module")
def trained():
    return text_classification.train((TEXTS, LABELS), **SMALL)


def _examples(texts, labels=None):
    vocabulary = kerasdl.data.Vocabulary.make(texts, kind="word", size=100)
    targets = np.zeros(len(texts), int) if labels is None else np.unique(labels, return_inverse=True)[1]
    return vocabulary, TokenExamples(vocabulary.encode(texts), targets, sequence_length=50)


def test_pairs_within_a_text_that_two_texts_have_are_known():
    vocabulary, examples = _examples(["one two", "one two three", "three one", "two two two two"])
    pairs = linear_terms.frequent_pairs(examples, vocabulary.size)
    first, second = np.divmod(pairs, vocabulary.size)
    named = [(vocabulary.decode([a]), vocabulary.decode([b])) for a, b in zip(first, second, strict=True)]
    assert named == [("one", "two")]


def test_the_layer_is_a_linear_model_on_tf_idf():
    rng = np.random.default_rng(0)
    ids = rng.integers(1, 9, (50, 12)).astype(np.int32)
    examples = TokenExamples(list(ids), np.zeros(50, int), sequence_length=12)
    pairs = linear_terms.frequent_pairs(examples, 9)[::2]
    counts = linear_terms._counts(examples, 9, pairs)
    importance = linear_terms._importance(counts)
    coefficients = rng.normal(size=(3, 9 + len(pairs)))
    expected = linear_terms._features(counts, importance) @ coefficients.T

    layer = layers.TermScores(9, len(pairs), 3)
    layer.build()
    scores = (coefficients * importance).T
    layer.codes.assign(np.concatenate([[-1], pairs]))
    layer.words.assign(scores[:9])
    layer.pairs.assign(np.pad(scores[9:], ((1, 0), (0, 0))))
    layer.word_squares.assign(importance[:9] ** 2)
    layer.pair_squares.assign(np.pad(importance[9:] ** 2, (1, 0)))
    said = ops.convert_to_numpy(ops.sum(layer(ids), axis=1))
    np.testing.assert_allclose(said, expected, rtol=1e-4, atol=1e-5)
    assert counts[:, 9:].sum() > 50  # pairs were found, and not all there are
    assert counts[:, 9:].sum() < 50 * 11

    other = layers.TermScores.from_config(layer.get_config())
    other.build()
    other.set_weights(layer.get_weights())
    np.testing.assert_array_equal(ops.convert_to_numpy(ops.sum(other(ids), axis=1)), said)
    assert not ops.convert_to_numpy(layer(ids, training=True)).any()


def test_pairs_of_ids_that_32_bits_cannot_hold_are_not_known():
    high = LARGEST + 5
    layer = layers.TermScores(high + 1, 1, 2)
    layer.build()
    wrapped = int(np.int64(high * LARGEST + 1).astype(np.int32))
    layer.codes.assign([-1, wrapped])
    layer.pairs.assign([[0, 0], [1, 1]])
    layer.pair_squares.assign([0, 1])
    assert not ops.convert_to_numpy(layer(np.array([[high, 1]], np.int32))).any()


def test_padding_changes_no_bit(trained):
    ids = trained.task.vocabulary.encode(["not a cat but an owl"])[0]
    logits = []
    for length in (len(ids), 16, 17, 64, 333):
        padded = np.zeros((1, length), np.int32)
        padded[0, : len(ids)] = ids
        logits.append(ops.convert_to_numpy(trained.model(padded)))
    for other in logits[1:]:
        assert np.abs(other - logits[0]).max() == 0.0


def test_a_pair_says_what_the_words_do_not(trained):
    assert trained.metrics["accuracy"] == 1.0
    alone = linear_terms.network_alone(trained.model)
    assert trained.task.measure(alone, trained.dataset.test, batch_size=32)["accuracy"] < 0.9
    said = trained.predict(["not cat 3", "a cat 3"])
    assert said["label"].tolist() == ["wild", "tame"]


def test_the_network_learns_as_if_it_were_alone(trained):
    without = text_classification.train((TEXTS, LABELS), **SMALL, linear=False)
    assert not any(layer.name == linear_terms.TERMS for layer in without.model.layers)
    assert linear_terms.network_alone(without.model) is without.model
    for name, curve in without.history.items():
        if "seconds" not in name:
            assert trained.history[name] == curve, name


def test_the_sum_is_weighed_by_the_validation_split(trained):
    model, task, validation = trained.model, trained.task, trained.dataset.validation
    whole = task.measure(model, validation, batch_size=32)["log_loss"]
    logits, linear = model.get_layer("logits"), model.get_layer("linear")
    before = [(variable, ops.convert_to_numpy(variable)) for variable in logits.weights + linear.weights]
    for own, said in ((0.8, 1.0), (1.25, 1.0), (1.0, 0.8), (1.0, 0.0)):
        for place, (variable, value) in enumerate(before):
            variable.assign(value * (own if place < 2 else said))
        assert task.measure(model, validation, batch_size=32)["log_loss"] >= whole - 1e-4
    for variable, value in before:
        variable.assign(value)


def test_a_training_on_the_validation_texts_too_weighs_both_alike(trained):
    data = kerasdl.data.with_validation_in_training(trained.dataset)
    result = text_classification.train(data, **SMALL, keep="last")
    np.testing.assert_array_equal(ops.convert_to_numpy(result.model.get_layer("linear").kernel), np.eye(2))


def test_the_same_numbers_come_out_every_time(trained):
    again = text_classification.train((TEXTS, LABELS), **SMALL)
    for one, other in zip(trained.model.get_weights(), again.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_temperature_divides_both_parts(trained):
    ids = trained.task.examples(trained.dataset.test).batch(np.arange(8))[0]
    model = keras.models.clone_model(trained.model)
    model.set_weights(trained.model.get_weights())
    before = ops.convert_to_numpy(model(ids))
    kerasdl.training.divide_logits(model, 2.0)
    np.testing.assert_allclose(ops.convert_to_numpy(model(ids)), before / 2, rtol=1e-5)
    calibrated = text_classification.train((TEXTS, LABELS), **SMALL, calibrate=True)
    assert calibrated.metrics["accuracy"] == 1.0


def test_saliency_sees_both_parts(trained):
    found = saliency(trained, "not cat 3")[0]
    assert "terms" in found.layer
    assert abs(found.gap) < 0.01 * abs(found.logit - found.baseline) + 1e-3
    assert len(found.scores) == 3


def test_with_numbers_of_8_bits_nothing_is_divided_by_zero(trained, tmp_path):
    pytest.importorskip("ai_edge_litert", reason="ai_edge_litert is not installed (pip install 'kerasdl[formats]')")
    exported = kerasdl.export.load_exported(trained.export(tmp_path / "m", format="litert", quantization="int8"))
    assert exported.predict(["not cat 3", "a cat 3", ""])["label"].tolist()[:2] == ["wild", "tame"]


@pytest.mark.parametrize("kind", ["weights", "labels", "missing"])
def test_class_weights_several_labels_and_classes_without_texts(kind):
    rows = np.array([[label == "wild", number % 2, number % 3 == 0] for number, label in enumerate(LABELS)], int)
    numbers = [int(label == "wild") for label in LABELS]
    data = (TEXTS, {"labels": rows, "missing": numbers}.get(kind, LABELS))
    keywords = {"weights": {"class_weight": {"wild": 3.0}}, "missing": {"num_classes": 4}}.get(kind, {})
    result = text_classification.train(data, **SMALL, **keywords)
    scores = result.predict(["not cat 3", ""])["scores"]
    assert np.isfinite(scores).all()
    if kind == "labels":
        assert scores[0, 0] > 0.5
    else:
        assert result.predict("not cat 3")["label"] == ("1" if kind == "missing" else "wild")


def test_what_is_no_truth_value_is_refused():
    with pytest.raises(kerasdl.InputError, match="linear"):
        text_classification.train((TEXTS, LABELS), linear="yes")


def test_characters_have_a_linear_part_too():
    result = text_classification.train((TEXTS, LABELS), **SMALL | {"subwords": None}, vocabulary="character")
    assert result.model.get_layer(linear_terms.TERMS).num_pairs > 10


def test_of_very_many_tokens_a_sample_is_taken(monkeypatch):
    _, examples = _examples(TEXTS, LABELS)
    monkeypatch.setattr(linear_terms, "MOST_TOKENS", 90)
    some = linear_terms._some(examples)
    assert len(some) == 30
    assert len(some.values) == 90 == some.lengths.sum()
    assert set(some.targets) == {0, 1}
