"""The contract that every recipe keeps: it learns, repeats to the bit, exports what it trained, refuses bad data."""

from __future__ import annotations

import inspect

import keras_tuner
import numpy as np
import pytest

import kerasdl
from recipes import fine_tuning, image_classification

# recipe: (module, quick keywords, the trivial baseline and the margin by which its accuracy must be beaten)
CASES = {
    "image_classification": (image_classification, {"architecture": "mlp", "units": (32,), "epochs": 6}, 0.102, 0.6),
    # A linear probe; tests/recipes/test_fine_tuning.py has the second phase.
    "fine_tuning": (
        fine_tuning,
        {"backbone": "efficientnet_lite0", "unfreeze": 0.0, "frozen_epochs": 5},
        0.102,
        0.6,
    ),
}


@pytest.fixture(scope="module", params=CASES)
def case(request):
    module, keywords, baseline, margin = CASES[request.param]
    return module, keywords, baseline + margin, module.train(seed=3, verbose=0, **keywords)


def test_it_learns(case):
    _, _, bar, result = case
    assert result.metrics["accuracy"] >= bar


def test_same_seed_same_weights_to_the_bit(case):
    module, keywords, _, result = case
    again = module.train(seed=3, verbose=0, **keywords)
    for one, other in zip(result.model.get_weights(), again.model.get_weights(), strict=True):
        assert np.array_equal(one, other)
    assert again.history == result.history
    assert again.metrics == result.metrics
    different = module.train(seed=4, verbose=0, **keywords)
    # The head's: a pretrained backbone has the same weights whatever the seed.
    assert not np.array_equal(result.model.get_weights()[-2], different.model.get_weights()[-2])


def test_its_configuration_repeats_it(case):
    module, _, _, result = case
    again = module.train(**result.config)
    for one, other in zip(result.model.get_weights(), again.model.get_weights(), strict=True):
        assert np.array_equal(one, other)
    assert again.config == result.config


def test_the_test_split_is_never_touched_in_training(case):
    module, keywords, _, result = case
    dataset = kerasdl.data.load("digits")
    scrambled = kerasdl.data.Dataset(
        name=dataset.name,
        kind=dataset.kind,
        train=dataset.train,
        validation=dataset.validation,
        test=kerasdl.data.Split(255 - dataset.test.inputs, dataset.test.targets[::-1].copy()),
        class_names=dataset.class_names,
        source=dataset.source,
    )
    other = module.train(scrambled, seed=3, verbose=0, **keywords)
    for one, two in zip(result.model.get_weights(), other.model.get_weights(), strict=True):
        assert np.array_equal(one, two)
    assert other.metrics != result.metrics


def test_the_export_is_the_trained_model(case, tmp_path):
    _, _, _, result = case
    images = result.dataset.test.inputs[:50]
    exported = kerasdl.export.load_exported(result.export(tmp_path / "model"))
    live, served = result.predict(images), exported.predict(images)
    assert np.abs(live["scores"] - served["scores"]).max() <= 1e-5
    assert live["label"].tolist() == served["label"].tolist()


def test_bad_data_is_refused(case):
    module, keywords, _, _ = case
    with pytest.raises(kerasdl.InputError, match="received .*expected"):
        module.train((np.zeros((4, 8, 8), np.uint8), np.zeros(3)), **keywords)


def test_every_keyword_is_documented(case):
    module = case[0]
    for name in inspect.signature(module.train).parameters:
        assert f"        {name}: " in module.train.__doc__, name


def test_the_space_names_keywords_of_train(case):
    module = case[0]
    chosen = module.space(keras_tuner.HyperParameters())
    assert chosen
    module.resolve(**chosen)
