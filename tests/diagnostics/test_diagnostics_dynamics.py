"""Findings on how a training went: each on a training that has the fault, and none on those that do not."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import kerasdl
from kerasdl.diagnostics import Activity, Finding, diagnose_dynamics
from kerasdl.diagnostics.curves import plateau
from kerasdl.diagnostics.dynamics import batch_too_small
from kerasdl.diagnostics.units import batch_normalization_off, dead_units, saturated_units
from recipes import forecasting, image_classification, language_model, sequence_classification, text_classification

CONFIG = {"epochs": 10, "learning_rate": 0.1, "batch_size": 8, "activation": "relu", "normalization": "batch"}
FALLING = {"loss": [2.0, 1.2, 0.8, 0.5, 0.4, 0.35, 0.3, 0.28]}


def log(
    *, slopes: float = 0.0, ratio: float = 1e-3, norms: tuple[float, ...] = (1.0,) * 8, noise: float = 2.0
) -> dict[str, Any]:
    """Return eight observations of ten layers, whose gradients grow by `slopes` decades from each to the next."""
    generator = np.random.default_rng(0)
    depth = 10.0 ** (slopes * np.arange(10)) * 1e-3
    squares = np.square(norms)
    return {
        "layers": [f"dense{number}" for number in range(10)],
        "step": [40.0 * number for number in range(8)],
        "updates": [1.0] * 8,
        "square": squares.tolist(),
        "square_after": squares.tolist(),
        "product": (squares / (1 + noise) * generator.normal(1, 0.1, size=8)).tolist(),
        "clipped": [0.0] * 8,
        "batch_size": [8] * 8,
        "gradient": (depth * generator.lognormal(0, 0.3, size=(8, 10))).tolist(),
        "weight": np.full((8, 10), 0.1).tolist(),
        "ratio": np.full((8, 10), ratio).tolist(),
    }


def found(
    gradients: dict[str, Any], history: dict[str, list[float]] | None = None, **config: Any
) -> dict[str, Finding]:
    findings = diagnose_dynamics(history=history or FALLING, gradients=gradients, config={**CONFIG, **config})
    return {finding.name: finding for finding in findings}


def test_nothing_is_found_in_a_healthy_training_nor_without_a_log():
    assert found(log()) == {}
    assert found({}) == {}
    assert found({name: [] for name in log()}) == {}


def test_gradients_over_depth():
    finding = found(log(slopes=0.5), activation="sigmoid", normalization="none")["vanishing_gradients"]
    assert finding.evidence["first_over_last"] == pytest.approx(10**-4.5, rel=0.5)
    assert finding.remedy == {"activation": "relu", "normalization": "batch"}
    assert found(log(slopes=-0.5), gradient_clip=None)["exploding_gradients"].remedy == {"gradient_clip": 1.0}
    # Two decades over ten layers are nothing unusual, nor is any number of them in three layers.
    assert found(log(slopes=0.2)) == found(log(slopes=-0.2)) == {}
    few = log(slopes=0.5)
    few["gradient"] = [[*row[:3], *[math.nan] * 7] for row in few["gradient"]]
    assert found(few) == {}


def test_gradients_that_grow_with_time():
    assert "exploding_gradients" in found(log(norms=(1, 1, 1, 1, 1, 1, 1, 150)))
    # Gradients that become small as the model learns, and then a hard batch.
    assert found(log(norms=(1, 1, 0.5, 0.1, 0.01, 0.01, 2, 0.01))) == {}


@pytest.mark.parametrize(
    ("losses", "ratio", "names"),
    [
        ([0.9, 0.2, 0.3, 0.7, 1.4, 1.7, 1.2, 0.9, 0.5, 0.4], 0.05, {"learning_rate_too_high"}),
        ([2.3, 2.3, 2.31, 2.3, 2.29, 2.3, 2.3, 2.3], 0.05, {"learning_rate_too_high"}),
        # The same losses with small updates have another cause; and what rises from next to nothing is noise.
        ([0.9, 0.2, 0.3, 0.7, 1.4, 1.7, 1.2, 0.9, 0.5, 0.4], 0.001, set()),
        ([2.0, 0.1, 0.01, 0.01, 0.02, 0.02, 0.03, 0.02], 0.05, set()),
        ([2.90, 2.89, 2.87, 2.86, 2.84, 2.83, 2.81, 2.80], 3e-5, {"learning_rate_too_low"}),
        # Tiny updates that do, as those of a fine-tuning; or a loss that stands still.
        ([2.0, 1.6, 1.2, 1.0, 0.8, 0.7, 0.6, 0.5], 3e-5, set()),
        ([2.0, 2.1, 2.0, 2.1, 1.9, 2.0, 2.1, 2.0], 3e-5, set()),
        ([1.0, math.nan, 1.0, 1.0], 0.05, set()),
    ],
)
def test_learning_rate(losses, ratio, names):
    findings = found(log(ratio=ratio), {"loss": losses})
    assert set(findings) == names
    for finding in findings.values():
        assert finding.remedy == {"learning_rate": 0.01 if finding.name.endswith("high") else 1.0}


def test_batch_too_small():
    finding = found(log(noise=40))["batch_too_small"]
    # Of batches of 8 with 40 times as much noise as signal.
    assert finding.evidence["noise_scale"] == pytest.approx(320, rel=0.1)
    assert finding.evidence["lower_bound"] < finding.evidence["noise_scale"]
    assert finding.remedy == {"batch_size": 64}
    larger = {**log(noise=40), "batch_size": [64] * 8}
    assert batch_too_small(larger, CONFIG) is None
    uncertain = log(noise=40)
    uncertain["product"] = [product * sign for product, sign in zip(uncertain["product"], [9, -7] * 4, strict=True)]
    assert batch_too_small(uncertain, CONFIG) is None


def test_idle_units():
    def unit(dead: float | None, saturated: float | None, units: int = 64) -> Activity:
        return Activity("dense1", "relu", units, dead, saturated)

    finding = dead_units([unit(0.1, None), unit(0.8, None)], CONFIG)
    assert finding is not None
    assert finding.evidence["share"] == 0.8
    assert finding.remedy == {"learning_rate": 0.01, "activation": "gelu"}
    assert dead_units([unit(0.5, None)], CONFIG) is None
    assert dead_units([unit(0.75, None, units=4)], CONFIG) is None, "three of four may be chance"
    assert dead_units([unit(0.8, None)], {**CONFIG, "l1": 1e-3}) is None, "they were to become needless"
    finding = saturated_units([unit(None, 0.9)], {**CONFIG, "activation": "tanh"})
    assert finding is not None
    assert finding.remedy == {"learning_rate": 0.01, "activation": "relu"}
    assert saturated_units([unit(None, 0.4), unit(0.9, None)], CONFIG) is None


def test_batch_statistics():
    training = np.random.default_rng(0).exponential(0.5, size=256)
    config = {**CONFIG, "normalization_momentum": 0.99}
    finding = batch_normalization_off(training, training + 0.5, config)
    assert finding is not None
    assert finding.remedy == {"normalization_momentum": 0.9}
    assert batch_normalization_off(training, training + 0.02, config) is None
    assert batch_normalization_off(training[:5], training[:5] + [3, -2, 1, -1, 2], config) is None


def test_plateau():
    flat = {"loss": [2.4, 2.35, 2.33, 2.334, 2.331, 2.332, 2.33, 2.332]}
    finding = plateau(flat, 0.2, 1000, {**CONFIG, "units": [64], "filters": None})
    assert finding is not None
    assert finding.remedy == {"units": [128]}
    assert plateau(flat, 0.96, 1000, CONFIG) is None, "nothing is left to learn"
    assert plateau(FALLING, 0.7, 1000, CONFIG) is None
    noisy = {"loss": [2.4, 2.0, 1.4, 1.9, 1.2, 1.9, 1.1, 1.8]}
    assert plateau(noisy, 0.7, 1000, CONFIG) is None, "who knows"


MLP = {"architecture": "mlp", "units": (32,), "verbose": 0}
FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "sigmoids": (
        {**MLP, "units": (16,) * 8, "activation": "sigmoid", "normalization": "none", "epochs": 4},
        "vanishing_gradients",
    ),
    "too high": ({**MLP, "optimizer": "sgd", "learning_rate": 1.5, "epochs": 10}, "learning_rate_too_high"),
    "too low": ({**MLP, "learning_rate": 1e-5, "epochs": 8}, "learning_rate_too_low"),
    "statistics": (
        {**MLP, "units": (128,), "normalization_momentum": 0.999, "epochs": 4},
        "batch_normalization_off",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_real_trainings_that_have_the_fault(fault):
    keywords, name = FAULTS[fault]
    result = image_classification.train("digits", **keywords)
    findings = {finding.name: finding for finding in result.diagnosis}
    assert name in findings
    # Nothing that another fault would be called by.
    assert not set(findings) & {each for _, each in FAULTS.values()} - {name}
    for finding in findings.values():
        image_classification.resolve(**{**keywords, **finding.remedy})


def test_a_healthy_training(digits_result: kerasdl.Result):
    assert digits_result.gradients["step"]
    assert digits_result.diagnosis == []
    loaded = kerasdl.Result.load(digits_result.directory)
    assert loaded.gradients == digits_result.gradients


@pytest.mark.parametrize(
    "recipe", [image_classification, text_classification, sequence_classification, forecasting, language_model]
)
def test_remedies_are_keywords_of_every_recipe(recipe):
    config = recipe.resolve()
    config = {**config, "epochs": config["epochs"] or 10, "batch_size": config["batch_size"] or 8}
    small = {**log(slopes=0.5, noise=40), "batch_size": [8] * 8}
    everything = [
        *diagnose_dynamics(
            history={"loss": [2.0, 2.1, 2.0, 2.1]}, gradients={**small, "ratio": [[0.1]] * 2}, config=config
        ),
        *diagnose_dynamics(history={"loss": [2.9, 2.8, 2.7, 2.6]}, gradients=log(ratio=1e-5), config=config),
        *diagnose_dynamics(history=FALLING, gradients=log(slopes=-0.5), config=config),
        plateau({"loss": [2.0] * 8}, 0.2, 1000, config),
        dead_units([Activity("dense", "relu", 64, 0.9, None)], config),
        saturated_units([Activity("dense", "tanh", 64, None, 0.9)], config),
        batch_normalization_off(np.ones(9), np.full(9, 3.0), config),
    ]
    names = {finding.name for finding in everything if finding is not None}
    assert len(names) == 9
    for finding in everything:
        assert finding is not None
        assert finding.remedy
        recipe.resolve(**finding.remedy)
