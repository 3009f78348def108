"""A failed proof says where: real faults in real models, each named by its layer, and nothing is left behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from kerasdl.export import ParityError, export, exporting
from kerasdl.export.first_difference import difference, first_difference, recorded


@keras.saving.register_keras_serializable(package="tests")
class AlwaysRandom(keras.layers.Dropout):
    """Drops units whatever it is told."""

    def call(self, inputs: Any, training: bool = False) -> Any:
        return super().call(inputs, training=True)


@keras.saving.register_keras_serializable(package="tests")
class Passing(keras.layers.Layer):
    """Passes its inputs on."""

    def call(self, inputs: Any) -> Any:
        return inputs


def test_a_layer_that_is_random_is_named(make_classifier: Any, pictures: np.ndarray, tmp_path: Path) -> None:
    classifier = make_classifier(keras.layers.Conv2D(4, 3), AlwaysRandom(0.5, name="noise"))
    with pytest.raises(ParityError, match=r"first layer that differs is 'noise' \(AlwaysRandom\).*random"):
        export(classifier, tmp_path / "new", examples=pictures)
    assert list(tmp_path.iterdir()) == []


def test_a_variable_that_changed_is_named(
    make_classifier: Any, pictures: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier = make_classifier(keras.layers.Conv2D(4, 3, name="first"), keras.layers.Conv2D(4, 3, name="second"))
    write = exporting.write_saved_model

    def write_and_change(*arguments: Any) -> None:
        write(*arguments)
        kernel = classifier.model.get_layer("second").kernel
        kernel.assign(kernel + 1.0)

    monkeypatch.setattr(exporting, "write_saved_model", write_and_change)
    with pytest.raises(ParityError, match="'second' .*: its kernel has other values, by up to [01]"):
        export(classifier, tmp_path / "new", examples=pictures)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def chain() -> keras.Model:
    inputs = keras.Input((3,))
    x = keras.layers.Dense(4, name="one")(inputs)
    x = Passing(name="two")(x)
    return keras.Model(inputs, keras.layers.Dense(2, name="three")(x))


def test_the_layers_are_compared_in_their_order(chain: keras.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = np.ones((40, 3), np.float32)
    run = lambda: chain(inputs)  # noqa: E731
    assert recorded(chain, run).shape == (16, 3)
    assert "Every layer answers alike" in first_difference(chain, run)
    monkeypatch.setattr(Passing, "call", lambda self, inputs: inputs * keras.random.normal(()))
    assert "'two' (Passing)" in first_difference(chain, run)


def test_alike_layers_and_what_cannot_be_compared(chain: keras.Model) -> None:
    assert "could not be compared one by one (IndexError)" in first_difference(chain, lambda: None)
    # The methods are as before.
    assert "predict" not in vars(chain)
    assert "call" not in vars(chain)
    other = [variable.numpy() for variable in chain.variables]
    other[2] = other[2] + 1
    found = first_difference(chain, lambda: None, exported=other)
    assert "'three' (Dense): its kernel" in found


def test_difference() -> None:
    one = np.array([1.0, np.nan, np.inf, 200.0])
    assert difference(one, one) == 0
    assert difference(one, np.array([2.0, np.nan, np.inf, 200.0])) == pytest.approx(1 / 200)
    assert np.isnan(difference(one, np.array([np.nan, np.nan, np.inf, 200.0])))
    assert difference(np.array([True, False]), np.array([True, True])) == 1
