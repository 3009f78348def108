"""Fine-tuning in phases: a new head on a frozen backbone first, then more and more of the backbone's last layers."""

from __future__ import annotations

import numbers
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from kerasdl import configuration, models, training
from kerasdl.data import Dataset, Split
from kerasdl.targets import training_metrics


class Phase(NamedTuple):
    """A part of the training: how many layers of the backbone learn, for how long, how fast."""

    unfrozen: int
    epochs: int
    rate: float


def phases(decided: Mapping[str, Any], layers: int) -> list[Phase]:
    """Return the phases of a training.

    Args:
        decided: The arguments of `recipes.fine_tuning.train`.
        layers: How many layers of the backbone could learn.
    """
    if decided["weights"] is None:
        return [Phase(layers, decided["epochs"], 1.0)]
    unfreeze, steps = decided["unfreeze"], decided["unfreeze_steps"]
    unfrozen = min(int(unfreeze), layers) if isinstance(unfreeze, numbers.Integral) else round(unfreeze * layers)
    unfrozen = max(unfrozen, 1) if unfreeze else 0
    found = [Phase(0, decided["frozen_epochs"], 1.0)] if decided["frozen_epochs"] else []
    for step in range(1, steps + 1) if unfrozen else ():
        epochs = decided["epochs"] * step // steps - decided["epochs"] * (step - 1) // steps
        if epochs:
            found.append(Phase(-(-unfrozen * step // steps), epochs, decided["unfrozen_rate"]))
    return found


def fit_phases(
    model: keras.Model,
    dataset: Dataset,
    decided: Mapping[str, Any],
    *,
    loss: Any,
    encode_targets: Any,
    augment: Any,
) -> dict[str, list[float]]:
    """Train the phases one after the other, and leave the model with the weights of the best epoch of all.

    Args:
        model: Made by :func:`kerasdl.models.classifier`.
        dataset: The data.
        decided: The arguments of `recipes.fine_tuning.train`, class weights by index, and the places of logs and of
            checkpoints.
        encode_targets: As for :func:`training.fit`, as is the rest.
        augment: What changes training images at random.
        loss: A Keras loss.

    Returns:
        The history of all phases, with the curve "unfrozen_layers".
    """
    layers = models.backbone_layers(model)
    from_scratch = decided["weights"] is None
    history: dict[str, list[float]] = {}
    best_loss, best_weights = float("inf"), model.get_weights()
    checkpoints, logs = decided["checkpoint_directory"], decided["log_directory"]
    for number, phase in enumerate(phases(decided, len(training.countable(layers))), start=1):
        options = configuration.matching(training.fit, decided)
        options |= {"epochs": phase.epochs, "loss": loss, "metrics": training_metrics(dataset)}
        if isinstance(decided["optimizer"], keras.optimizers.Optimizer):
            options["optimizer"] = training.copied(decided["optimizer"])
        if checkpoints is not None:
            options["checkpoint_directory"] = checkpoints / f"phase{number}"
            options["log_directory"] = logs / f"phase{number}"
        if not from_scratch:
            names = training.freeze(layers, unfreeze=phase.unfrozen)
            options["layer_rates"] = training.falling_rates(names, lowest=decided["lowest_rate"]) or None
            if isinstance(decided["optimizer"], str) and isinstance(decided["schedule"], str):
                options["learning_rate"] = decided["learning_rate"] * phase.rate
        if decided["verbose"]:
            print(f"Phase {number}: {describe(phase, decided)}", flush=True)
        seed = (decided["seed"] + number) % 2**32
        try:
            if phase.unfrozen == 0 and decided["feature_passes"]:
                options["seed"] = seed
                curves = fit_head(
                    model, dataset, decided, options, checkpoints, encode_targets=encode_targets, augment=augment
                )
            else:
                options |= {"encode_targets": encode_targets, "augment": augment, "seed": seed}
                keras.utils.set_random_seed(seed)  # PyTorch's dropout draws from what the phase before left
                curves = training.fit(model, dataset.train, dataset.validation, **options)
        except FloatingPointError as error:
            if not np.isfinite(best_loss):
                raise
            warnings.warn(f"Phase {number} is left out: {error}", stacklevel=2)
            model.set_weights(best_weights)
            break
        for name, values in curves.items():
            history.setdefault(name, []).extend(values)
        history.setdefault("unfrozen_layers", []).extend([float(phase.unfrozen)] * len(curves["loss"]))
        # A phase may have ended with a loss that is no number; it kept the weights of its best epoch before.
        if (lowest := float(np.nanmin(curves["val_loss"]))) < best_loss:
            best_loss, best_weights = lowest, model.get_weights()
        else:
            model.set_weights(best_weights)
    return history


def fit_head(
    model: keras.Model,
    dataset: Dataset,
    decided: Mapping[str, Any],
    options: Mapping[str, Any],
    checkpoints: Path | None,
    *,
    encode_targets: Any,
    augment: Any,
) -> dict[str, list[float]]:
    """Train the head on features that are computed once; the model has the same layers, and so their weights."""
    backbone, head = split_head(model)

    def extracted(name: str, **how: Any) -> Split:
        examples = getattr(dataset, name)
        return Split(
            *training.kept(
                checkpoints and checkpoints / f"features-{name}.npz",
                lambda: training.extract_features(
                    backbone, examples, encode_targets=encode_targets, batch_size=decided["batch_size"], **how
                ),
            )
        )

    train = extracted("train", passes=decided["feature_passes"], augment=augment, seed=decided["seed"])
    validation = extracted("validation")
    keras.utils.set_random_seed(options["seed"])
    return training.fit(head, train, validation, **options)


def split_head(model: keras.Model) -> tuple[keras.Model, keras.Model]:
    """Return the part of a classifier up to its features and the part behind them; both share its layers."""
    features = model.get_layer("features").output
    names = [layer.name for layer in model.layers]
    x = start = keras.Input(features.shape[1:], name="features")
    for layer in model.layers[names.index("features") + 1 :]:
        x = layer(x)
    return keras.Model(model.input, features), keras.Model(start, x)


def describe(phase: Phase, decided: Mapping[str, Any]) -> str:
    """Say in words what happens in a phase."""
    epochs = f"{phase.epochs} epoch" + ("s" if phase.epochs > 1 else "")
    if decided["weights"] is None:
        return f"all layers from scratch, {epochs}"
    if phase.unfrozen:
        return f"the head and the last {phase.unfrozen} layers of {decided['backbone']}, {epochs}"
    passes = decided["feature_passes"]
    how = f"on its features, computed {'once' if passes == 1 else f'{passes} times'}" if passes else "behind it"
    return f"{decided['backbone']} is frozen; a new head {how}, {epochs}"
