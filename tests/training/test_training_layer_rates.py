"""Layer-wise learning rates: each layer moves as if its own rate were the optimizer's, weight decay included."""

import keras
import numpy as np
import pytest

from kerasdl import InputError
from kerasdl.training import layerwise
from kerasdl.training.layer_rates import LAYERWISE
from kerasdl.training.optimizers import make_optimizer

MAKERS = {
    "SGD": lambda rate: keras.optimizers.SGD(rate, momentum=0.9, weight_decay=0.1),
    "Adam": keras.optimizers.Adam,
    "AdamW": lambda rate: keras.optimizers.AdamW(rate, weight_decay=0.5),
    "RMSprop": keras.optimizers.RMSprop,
}


def build():
    keras.utils.set_random_seed(7)
    inputs = keras.Input((3,))
    x = keras.layers.Dense(4, activation="tanh", name="low")(inputs)
    return keras.Model(inputs, keras.layers.Dense(2, name="high")(x))


def gradients(model, step):
    generator = np.random.default_rng(step)
    return [keras.ops.convert_to_tensor(generator.normal(size=v.shape).astype("f4")) for v in model.trainable_variables]


def moved(optimizer, steps=3):
    model = build()
    optimizer.build(model.trainable_variables)
    for step in range(steps):
        optimizer.apply(gradients(model, step), model.trainable_variables)
    return {variable.path: np.array(variable) for variable in model.trainable_variables}


@pytest.mark.parametrize("name", MAKERS)
def test_a_share_is_a_learning_rate_of_ones_own(name):
    assert set(MAKERS) == set(LAYERWISE)
    make = MAKERS[name]
    found = moved(layerwise(make(0.02), {"low": 0.25}))
    low, high = moved(make(0.005)), moved(make(0.02))
    for path, value in found.items():
        # Not to the bit: 0.02 * 0.25 is rounded once more.
        np.testing.assert_allclose(value, (low if path.startswith("low/") else high)[path], rtol=1e-5, atol=1e-6)


def test_no_share_changes_nothing_and_zero_stands_still():
    plain, same = moved(keras.optimizers.AdamW(0.02)), moved(layerwise(keras.optimizers.AdamW(0.02), {}))
    for path, value in plain.items():
        np.testing.assert_allclose(same[path], value, rtol=1e-6)
    still = moved(layerwise(keras.optimizers.AdamW(0.02), {"low": 0}))
    start = {variable.path: np.array(variable) for variable in build().trainable_variables}
    for path, value in still.items():
        assert np.array_equal(value, start[path]) == path.startswith("low/")


def test_it_is_saved_with_the_model(tmp_path):
    model = build()
    model.compile(layerwise(keras.optimizers.AdamW(0.01), {"low": 0.5}), "mse")
    model.fit(np.ones((4, 3), "f4"), np.ones((4, 2), "f4"), verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.optimizer.shares == {"low": 0.5}
    for one, other in zip(model.optimizer.variables, loaded.optimizer.variables, strict=True):
        assert np.array_equal(one, other)


def test_the_kits_optimizer_leaves_biases_out_of_weight_decay():
    optimizer = make_optimizer("adamw", total_steps=10, weight_decay=0.5, learning_rate=0.1, layer_rates={"low": 0.1})
    model = build()
    for variable in model.trainable_variables:
        variable.assign(np.ones(variable.shape, "f4"))
    optimizer.build(model.trainable_variables)
    optimizer.apply([keras.ops.zeros(v.shape) for v in model.trainable_variables], model.trainable_variables)
    found = {variable.path: float(np.array(variable).ravel()[0]) for variable in model.trainable_variables}
    assert found == pytest.approx({"low/kernel": 0.995, "low/bias": 1, "high/kernel": 0.95, "high/bias": 1})


@pytest.mark.parametrize(
    ("optimizer", "shares", "says"),
    [
        (lambda: keras.optimizers.Ftrl(), {}, "Ftrl"),
        (lambda: keras.optimizers.Muon(), {"low": 0.1}, "Muon"),
        (lambda: keras.optimizers.SGD(), {"low": -1}, "low"),
        (lambda: keras.optimizers.SGD(), {"low": float("nan")}, "low"),
    ],
)
def test_what_cannot_be_is_refused(optimizer, shares, says):
    with pytest.raises(InputError, match=says):
        layerwise(optimizer(), shares)


def test_not_together_with_proximal_l1():
    with pytest.raises(InputError, match="proximal with layer-wise"):
        make_optimizer("adam", total_steps=1, proximal_l1=0.1, layer_rates={"low": 0.1})
