"""What the learning-rate finder promises: a usable suggestion, a model left as it was, one curve a seed, a picture."""

from __future__ import annotations

import random
import xml.etree.ElementTree as ElementTree
from typing import Any

import keras
import numpy as np
import pytest

from kerasdl.errors import InputError
from kerasdl.training.learning_rate_finder import LearningRateCurve, find_learning_rate, suggest

LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def find(model: keras.Model, examples: Any, **keywords: Any) -> LearningRateCurve:
    defaults: dict[str, Any] = {"loss": LOSS, "batch_size": 16, "optimizer": "sgd", "smallest": 1e-5, "largest": 1e4}
    return find_learning_rate(model, examples, **{**defaults, **keywords})


def values(variables: Any) -> list[np.ndarray]:
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


@pytest.fixture(scope="module")
def trained(build: Any, points: Any) -> keras.Model:
    """A compiled model with dropout and normalization, its optimizer one step old."""
    model = build(dropout=0.5, normalization=True)
    model.compile("adam", loss=LOSS)
    model.train_on_batch(*points(48).batch(np.arange(48)))
    return model


@pytest.fixture(scope="module")
def curve(trained: keras.Model, points: Any) -> LearningRateCurve:
    return find(trained, points(200))


def test_the_model_its_random_layers_and_its_optimizer_are_left_as_they_were(trained: keras.Model, points: Any) -> None:
    optimizer, function = trained.optimizer, trained.train_function
    states = random.getstate(), np.random.get_state()[1].tolist()
    before = values(trained.variables) + values(optimizer.variables)
    generator = next(layer for layer in trained.layers if isinstance(layer, keras.layers.Dropout)).seed_generator
    assert any(variable is generator.state for variable in trained.variables)
    one = find(trained, points(200))
    after = values(trained.variables) + values(trained.optimizer.variables)
    assert trained.optimizer is optimizer
    assert trained.train_function is function
    assert (random.getstate(), np.random.get_state()[1].tolist()) == states
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    # So the same seed gives the same curve, although layers drop at random.
    assert find(trained, points(200)) == one
    assert find(trained, points(200), seed=1).losses != one.losses


def test_the_test_stops_when_the_loss_explodes(curve: LearningRateCurve) -> None:
    assert len(curve.learning_rates) == len(curve.losses) == len(curve.smoothed) < 100
    assert curve.learning_rates[0] == pytest.approx(1e-5)
    ratios = np.divide(curve.learning_rates[1:], curve.learning_rates[:-1])
    assert np.allclose(ratios, ratios[0])
    assert np.isfinite(curve.losses).all()
    assert max(curve.smoothed[:-1]) <= 4 * min(curve.smoothed)


def test_the_smoothed_loss_is_an_average_without_bias_to_zero(curve: LearningRateCurve) -> None:
    assert curve.smoothed[0] == pytest.approx(curve.losses[0])
    weights = 0.98 ** np.arange(len(curve.losses))[::-1]
    assert curve.smoothed[-1] == pytest.approx(np.average(curve.losses, weights=weights))


def test_training_at_the_suggestion_beats_lower_and_higher_rates(build: Any, train: Any, points: Any) -> None:
    rate = find(build(), points(200)).suggestion
    best = {
        factor: min(train(build(), points(200), learning_rate=rate * factor, batch_size=16)["val_loss"])
        for factor in (0.01, 1, 100)
    }
    assert best[1] < 0.5 * best[0.01]
    assert best[1] < 0.5 * best[100]


def test_half_of_the_fall_is_suggested_within_the_margin() -> None:
    rates = list(np.geomspace(1e-6, 10, 71))
    fall = 2 - 1.8 / (1 + np.exp(-2 * (np.log10(rates) + 3)))  # from 2 to 0.2, its middle at 1e-3
    assert suggest(rates, list(fall)) == pytest.approx(1e-3, rel=0.3)
    # A loss that explodes right after the fall leaves no room: a tenth of the rate where it was lowest.
    cliff = np.where(np.arange(71) <= 20, 2.0, 0.5)
    assert suggest(rates, list(cliff)) == pytest.approx(rates[21] / 10)
    # Neither noise at the start nor what comes after the best matters.
    assert suggest(rates, [1.0, 2.9, 2.1, *fall[3:65], *np.linspace(3, 9, 6)]) == pytest.approx(1e-3, rel=0.3)


@pytest.mark.parametrize("losses", [[], [1.0], [2.0, 2.5, 3.0], [2.0, 1.999, 1.998]])
def test_a_loss_that_does_not_fall_is_an_error(losses: list[float]) -> None:
    with pytest.raises(InputError, match="does not fall"):
        suggest([1e-3, 1e-2, 1e-1][: len(losses)], losses)


def test_an_optimizer_object_is_copied(build: Any, points: Any) -> None:
    schedule = keras.optimizers.schedules.ExponentialDecay(0.5, 10, 0.9)
    optimizer = keras.optimizers.SGD(schedule, momentum=0.9)
    curve = find(build(), points(64), optimizer=optimizer)
    assert optimizer.get_config()["learning_rate"]["config"]["initial_learning_rate"] == 0.5
    assert int(optimizer.iterations) == 0
    assert not optimizer.built
    # The momentum is that of the object.
    assert find(build(), points(64), optimizer="sgd") == curve


def test_the_picture_shows_the_suggestion(curve: LearningRateCurve, tmp_path: Any) -> None:
    path = curve.picture(tmp_path / "rates.svg")
    assert [path] == list(tmp_path.iterdir())
    drawn = ElementTree.parse(path).getroot()
    texts = [element.text for element in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert f"suggestion {curve.suggestion:.2g}" in texts
    lines = list(drawn.iter("{http://www.w3.org/2000/svg}polyline"))
    assert [len(line.get("points").split()) for line in lines] == [len(curve.losses)] * 2
    heights = np.array([point.split(",") for line in lines for point in line.get("points").split()], float)
    assert np.isfinite(heights).all()
    assert ((heights >= 0) & (heights <= (640, 280))).all()
    assert f"{curve.suggestion:.2g}" in str(curve)


@pytest.mark.parametrize(
    ("keywords", "what"),
    [
        ({"smallest": 0.0}, "smallest"),
        ({"smallest": 1.0, "largest": 0.1}, "largest"),
        ({"largest": float("inf")}, "largest"),
        ({"steps": 5}, "steps"),
        ({"batch_size": 0}, "batch_size"),
        ({"optimizer": keras.optimizers.SGD(0.1), "weight_decay": 0.1}, "weight_decay"),
    ],
)
def test_bad_keywords_are_refused(trained: keras.Model, points: Any, keywords: dict[str, Any], what: str) -> None:
    with pytest.raises(InputError, match=f"^{what}:"):
        find(trained, points(48), **keywords)


def test_a_model_without_a_graph_is_refused(points: Any) -> None:
    class Subclass(keras.Model):
        def call(self, inputs: Any) -> Any:
            return inputs

    with pytest.raises(InputError, match="^model: received a Subclass"):
        find(Subclass(), points(48))
