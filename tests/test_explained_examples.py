"""Explained examples: right and wrong answers of the validation split, and nothing where nothing can be explained."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest

import kerasdl
from kerasdl.explained_examples import explained_examples
from tests.diagnostics import planted


def result_of(model: keras.Model) -> Any:
    """A result of images whose test split nobody may look at."""
    images, classes, _ = planted.images(40, seed=1)
    validation = kerasdl.data.Split(images, classes)

    class Dataset:
        def __init__(self) -> None:
            self.validation = validation

        @property
        def test(self) -> Any:
            raise AssertionError("the test split was looked at")

    shape = (planted.SIDE, planted.SIDE, 1)
    task = kerasdl.ImageClassification(("across", "along"), multi_label=False, input_shape=shape)
    known = {"task": task, "class_names": task.class_names, "multi_label": False, "config": {"batch_size": 64}}
    return SimpleNamespace(model=model, dataset=Dataset(), **known)


@pytest.fixture(scope="module")
def untrained() -> keras.Model:
    keras.utils.set_random_seed(0)
    return kerasdl.models.cnn((planted.SIDE, planted.SIDE, 1), 2, filters=(4, 8), num_layers=1, units=())


def test_two_right_and_two_wrong_answers_of_the_validation_split(untrained):
    result = result_of(untrained)
    found = explained_examples(result)
    assert [caption.split(":")[0] for caption, _ in found] == ["Right", "Right", "Wrong", "Wrong"]
    for _, picture in found:
        root = ElementTree.fromstring(picture)
        assert "What speaks for" in "".join(root.itertext())
    split = result.dataset.validation
    scores = keras.ops.convert_to_numpy(keras.ops.softmax(untrained.predict(split.inputs, verbose=0)))
    wrong = scores.max(axis=1)[scores.argmax(axis=1) != split.targets]
    # The surest wrong answer comes first.
    assert found[2][0].split(", ")[1].startswith(f"{wrong.max():.2f}")
    assert explained_examples(result) == found
    assert len(explained_examples(result, count=1)) == 1


def test_nothing_where_nothing_can_be_explained():
    shape = (planted.SIDE, planted.SIDE, 1)
    assert explained_examples(result_of(kerasdl.models.mlp(shape, 2, hidden=(4,)))) == []
    assert explained_examples(SimpleNamespace(task=SimpleNamespace(kind="forecasting"))) == []  # type: ignore[arg-type]


def test_a_language_model_shows_its_attention():
    vocabulary = kerasdl.data.Vocabulary("byte")
    model = kerasdl.models.causal_transformer(32, vocabulary.size, num_layers=1, num_heads=2, hidden_dim=8)
    task = kerasdl.LanguageModelling(vocabulary=vocabulary, sequence_length=32)
    split = kerasdl.data.Split(np.array(["to be or not to be, that is the question"], object), np.array([40]))
    result: Any = SimpleNamespace(model=model, task=task, dataset=SimpleNamespace(validation=split))
    ((caption, picture),) = explained_examples(result)
    assert "attends" in caption
    assert picture.count("<image") == 3
