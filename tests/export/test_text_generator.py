"""A language model with its vocabulary: writing, stopping, streaming, scoring. Its export is in the recipe contract."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from kerasdl import InputError
from kerasdl.data import Vocabulary
from kerasdl.language_task import LanguageModelling
from kerasdl.models import causal_transformer

LETTERS = "abcdefghijklmnopqrstuvwxyz .,🙂é"


@pytest.fixture(scope="module")
def writer():
    """An untrained model with weights large enough that some tokens are much likelier than others."""
    keras.utils.set_random_seed(1)
    model = causal_transformer(None, len(LETTERS) + 2, num_layers=1, num_heads=2, hidden_dim=16)
    for weight in model.trainable_variables:
        if len(weight.shape) > 1:
            weight.assign(10 * keras.ops.convert_to_tensor(weight))
    vocabulary = Vocabulary("character", tuple(LETTERS))
    return LanguageModelling(vocabulary=vocabulary, sequence_length=32).predictor(model)


@pytest.fixture(scope="module")
def long(writer):
    """A seed after which no text ends soon, and the new text."""
    for seed in range(50):
        new = writer.write("ab", max_new_tokens=40, seed=seed)[0].removeprefix("ab")
        if len(new) == 40:
            return seed, new
    raise AssertionError("every text ends")


def test_a_text_goes_on_from_its_prompt(writer, long):
    seed, new = long
    assert writer.write("ab", max_new_tokens=40, seed=seed) == ["ab" + new]
    assert writer.write("ab", max_new_tokens=40, seed=seed + 1) != ["ab" + new]
    assert writer.predict("ab", max_new_tokens=40, seed=seed)["text"].tolist() == ["ab" + new]


def test_prompts_of_different_lengths_do_not_disturb_each_other(writer):
    prompts = ["a", "", "🙂 and more than a window " * 2]
    together = writer.write(prompts, max_new_tokens=16, temperature=0)
    assert together == [writer.write(prompt, max_new_tokens=16, temperature=0)[0] for prompt in prompts]


def test_a_stream_is_the_same_text_in_pieces(writer, long):
    seed, new = long
    pieces = list(writer.stream("ab", max_new_tokens=40, seed=seed))
    assert "".join(pieces) == new
    assert len(pieces) > 20


def test_stop_ends_the_new_text_before_it(writer, long):
    seed, new = long
    stop = new[20:22]
    expected = new[: new.index(stop)]
    assert writer.write("ab", max_new_tokens=40, seed=seed, stop=stop) == ["ab" + expected]
    assert "".join(writer.stream("ab", max_new_tokens=40, seed=seed, stop=stop)) == expected
    assert "".join(writer.stream("ab", max_new_tokens=40, seed=seed, stop="never there")) == new
    with pytest.raises(InputError, match="stop"):
        writer.write("ab", stop="")


def test_one_prompt_to_stream(writer):
    with pytest.raises(InputError, match="one to stream"):
        writer.stream(["a", "b"])


def test_scores_are_mean_losses_of_the_start(writer):
    texts = ["", "abc", "x" * 100]
    loss = writer.score(texts)["loss"]
    assert loss[0] == 0
    ids = np.array([[0, 2, 3]], np.int32)
    logits = writer.model.predict(ids, verbose=0)[0]
    shares = logits - np.log(np.exp(logits.astype(np.float64)).sum(axis=-1, keepdims=True))
    expected = -np.mean([shares[place, place + 2] for place in range(3)])
    assert loss[1] == pytest.approx(expected, rel=1e-5)
    assert loss[2] == pytest.approx(writer.score(["x" * 32])["loss"][0], rel=1e-6)
