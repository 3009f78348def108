"""Proximal L1: zeros are exact, the threshold is what it says for every optimizer, and nothing else changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from sklearn.datasets import load_digits

from kerasdl import InputError, models
from kerasdl.diagnostics.sparsity import sparsity
from kerasdl.keywords import OPTIMIZERS
from kerasdl.training import make_optimizer
from kerasdl.training.proximal import PROXIMAL, proximal

BACKEND = keras.backend.backend()
array = keras.ops.convert_to_numpy
WEIGHTS = [[0.5, -0.3, 0.02, 0.0], [0.2, -0.01, 0.004, -1.0]]


def kernel(values: Any = WEIGHTS, name: str = "kernel") -> keras.Variable:
    return keras.Variable(np.asarray(values, "float32"), name=name)


def apply(optimizer: Any, variable: keras.Variable, *gradients: Any) -> np.ndarray:
    for gradient in gradients:
        value = np.broadcast_to(np.asarray(gradient, "float32"), variable.shape)
        optimizer.apply([keras.ops.convert_to_tensor(value)], [variable])
    return array(variable)


def threshold(values: Any, size: float) -> np.ndarray:
    values = np.asarray(values, "float32")
    return np.sign(values) * np.maximum(np.abs(values) - size, 0)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_sgd_thresholds_by_its_step(momentum: float) -> None:
    optimizer = proximal(keras.optimizers.SGD(0.1, momentum=momentum), l1=0.3 * (1 - momentum))
    found = apply(optimizer, kernel(), 0.0)
    np.testing.assert_allclose(found, threshold(WEIGHTS, 0.03), atol=1e-7)
    assert (found == 0).sum() == 4


@pytest.mark.parametrize("name", ["adam", "adamw", "rmsprop"])
def test_adaptive_optimizers_threshold_each_weight_by_its_own_step(name: str) -> None:
    # The gradients of the columns differ in size, so these optimizers take steps of one size: the thresholds differ.
    gradients = np.tile([[1.0, -0.1, 0.01, 10.0]], (2, 1))
    plain = apply(make_optimizer(name, total_steps=9, learning_rate=0.01, weight_decay=0.0), kernel(), gradients)
    made = make_optimizer(name, total_steps=9, learning_rate=0.01, weight_decay=0.0)
    found = apply(proximal(made, l1=0.02), kernel(), gradients)
    step = np.abs(plain - WEIGHTS) / np.abs(gradients)
    np.testing.assert_allclose(found, threshold(plain, 0.02 * step), rtol=1e-3, atol=1e-6)


def test_muon_thresholds_a_matrix_by_the_size_of_its_update() -> None:
    gradients = np.random.default_rng(0).standard_normal((2, 4))
    plain = apply(keras.optimizers.Muon(0.01, weight_decay=None), kernel(), gradients)
    found = apply(proximal(keras.optimizers.Muon(0.01, weight_decay=None), l1=0.01), kernel(), gradients)
    # The first momentum is the gradient, which counts 1 - 0.95 of a mean.
    step = 0.01 * 0.2 / (0.05 * np.sqrt(np.mean(gradients**2)))
    np.testing.assert_allclose(found, threshold(plain, 0.01 * step), atol=1e-5)
    assert (found == 0).any()


@pytest.mark.parametrize(("gradient", "moves"), [(0.05, False), (0.2, True)])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_weight_rests_at_zero_while_its_gradient_is_below_l1(name: str, gradient: float, moves: bool) -> None:
    # A Hadamard matrix, for Muon: it is its own orthogonalization.
    signs = np.array([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]])
    optimizer = proximal(make_optimizer(name, total_steps=9), l1=0.1)
    found = apply(optimizer, kernel(np.zeros((4, 4))), *[gradient * signs] * 30)
    np.testing.assert_array_equal(np.sign(found), -signs if moves else 0)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_without_l1_nothing_changes(name: str) -> None:
    # Keras updates all variables at once on PyTorch, but not those of a subclass, and rounds the two differently.
    tolerance = 1e-6 if BACKEND == "torch" else 0.0
    gradients = np.random.default_rng(0).standard_normal((5, 2, 4))
    made = [make_optimizer(name, total_steps=9, schedule="cosine", ema=0.5, weight_decay=0.1) for _ in range(2)]
    expected = apply(made[0], kernel(), *gradients)
    optimizer = proximal(made[1], l1=0.0)
    np.testing.assert_allclose(apply(optimizer, kernel(), *gradients), expected, rtol=tolerance, atol=tolerance)
    assert not np.array_equal(expected, np.asarray(WEIGHTS, "float32"))
    for ours, theirs in zip(optimizer.variables, made[0].variables, strict=True):
        np.testing.assert_allclose(array(ours), array(theirs), rtol=tolerance, atol=tolerance)


def test_the_schedule_sets_the_threshold() -> None:
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([0], [0.1, 0.01])
    optimizer = proximal(keras.optimizers.SGD(schedule), l1=1.0)
    variable = kernel([[1.0]])
    assert float(apply(optimizer, variable, 0.0)[0, 0]) == pytest.approx(0.9)
    assert float(apply(optimizer, variable, 0.0)[0, 0]) == pytest.approx(0.89)


def test_biases_normalization_and_unnamed_kernels_are_left_alone() -> None:
    variables = [kernel(name=name) for name in ("kernel", "bias", "gamma", "embeddings")]
    optimizer = proximal(keras.optimizers.SGD(0.1), l1=100.0)
    optimizer.apply([keras.ops.zeros((2, 4))] * 4, variables)
    assert [bool((array(variable) == 0).all()) for variable in variables] == [True, False, False, False]
    variable = kernel()
    np.testing.assert_array_equal(
        apply(proximal(keras.optimizers.SGD(0.1), l1=100.0, kernels="^dense1/"), variable, 0.0), array(kernel())
    )


def test_weight_decay_and_its_exclusions_are_kept() -> None:
    made = keras.optimizers.SGD(0.1, weight_decay=0.5)
    made.exclude_from_weight_decay(var_names=["bias"])
    optimizer = proximal(made, l1=0.1)
    variables = [kernel([[1.0]]), kernel([[1.0]], name="bias")]
    optimizer.apply([keras.ops.zeros((1, 1))] * 2, variables)
    assert [float(array(variable)[0, 0]) for variable in variables] == pytest.approx([0.94, 1.0])


def test_accumulation_thresholds_with_real_updates_only() -> None:
    optimizer = proximal(keras.optimizers.SGD(0.1, gradient_accumulation_steps=2), l1=1.0)
    variable = kernel([[1.0]])
    values = [float(apply(optimizer, variable, 0.0)[0, 0]) for _ in range(4)]
    assert values == pytest.approx([1.0, 0.9, 0.9, 0.8])


def test_the_moving_average_is_zero_where_the_weight_is() -> None:
    optimizer = proximal(keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.9), l1=0.2)
    variable = kernel()
    apply(optimizer, variable, *[0.0] * 3)
    average = array(optimizer._model_variables_moving_average[0])
    np.testing.assert_array_equal(average == 0, array(variable) == 0)
    assert 0 < (average == 0).sum() < average.size
    assert average[0, 0] > array(variable)[0, 0] > 0


@pytest.mark.skipif(BACKEND == "jax", reason="Keras scales losses on JAX inside `fit` only")
def test_loss_scaling() -> None:
    optimizer = keras.optimizers.LossScaleOptimizer(proximal(keras.optimizers.SGD(0.1), l1=0.3), initial_scale=8.0)
    variable = kernel()
    np.testing.assert_allclose(apply(optimizer, variable, 0.8), threshold(np.subtract(WEIGHTS, 0.01), 0.03), atol=1e-6)
    before = array(variable)
    np.testing.assert_array_equal(apply(optimizer, variable, np.inf), before)


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, ...]:
    inputs, targets = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(targets))
    inputs = (inputs / 8 - 1).astype("float32")[order]
    return inputs[:1200], targets[order][:1200], inputs[1200:], targets[order][1200:]


@pytest.fixture(scope="module")
def trained(digits: tuple[np.ndarray, ...]) -> dict[float, keras.Model]:
    """Perceptrons on the digits, without L1, and with."""
    found = {}
    for l1 in (0.0, 0.003):
        keras.utils.set_random_seed(0)
        found[l1] = models.mlp((64,), 10, hidden=(64,))
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        schedule = keras.optimizers.schedules.CosineDecay(0.1, 30 * 19)
        optimizer = proximal(keras.optimizers.SGD(schedule, momentum=0.9), l1=l1)
        found[l1].compile(optimizer, loss, metrics=["accuracy"], steps_per_execution=1 if BACKEND == "torch" else 19)
        found[l1].fit(*digits[:2], batch_size=64, epochs=30, verbose=0)
    return found


def test_digits_lose_most_weights_and_little_accuracy(
    trained: dict[float, keras.Model], digits: tuple[np.ndarray, ...]
) -> None:
    dense, sparse = (trained[l1].evaluate(*digits[2:], verbose=0)[1] for l1 in trained)
    assert sparsity(trained[0.0])["total"] == 0
    assert sparsity(trained[0.003])["total"] > 0.4
    assert dense > 0.96
    assert sparse > dense - 0.025


def test_saved_and_loaded_with_the_model(trained: dict[float, keras.Model], tmp_path: Path) -> None:
    model = trained[0.003]
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded.optimizer) is PROXIMAL["SGD"]
    assert loaded.optimizer.get_config() == model.optimizer.get_config()
    for ours, theirs in zip(loaded.optimizer.variables, model.optimizer.variables, strict=True):
        np.testing.assert_array_equal(array(ours), array(theirs))


@pytest.mark.parametrize(
    ("what", "optimizer", "keywords"),
    [
        ("optimizer", keras.optimizers.Lion(0.1), {"l1": 0.1}),
        ("l1", keras.optimizers.SGD(0.1), {"l1": -0.1}),
        ("kernels", keras.optimizers.SGD(0.1), {"l1": 0.1, "kernels": "("}),
    ],
)
def test_what_cannot_be_is_refused(what: str, optimizer: Any, keywords: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=f"^{what}: "):
        proximal(optimizer, **keywords)


def test_a_used_optimizer_is_refused() -> None:
    optimizer = keras.optimizers.SGD(0.1)
    apply(optimizer, kernel(), 0.0)
    with pytest.raises(InputError, match="already been built"):
        proximal(optimizer, l1=0.1)
