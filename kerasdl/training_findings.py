"""What a training tells beside its scores: findings from its curves, its gradients, and what its units do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasdl.spread import spread

if TYPE_CHECKING:
    import keras

    from kerasdl.data import Dataset
    from kerasdl.task import Task

# Training examples that are looked at: enough to call a unit dead, few enough to cost next to nothing.
EXAMPLES = 256
# What comes first is read first, and its remedy is tried first. A run that says nothing, and numbers that nobody may
# believe; then what keeps a network from learning, before what follows from that; then the rest.
FIRST = ("diverged", "leakage", "memorising_noise")
CAUSES = (
    "learning_rate_too_high",
    "exploding_gradients",
    "vanishing_gradients",
    "dead_units",
    "saturated_units",
    "learning_rate_too_low",
)
SYMPTOMS = ("no_better_than_majority", "no_better_than_naive", "no_better_than_linear", "plateau", "class_imbalance")
LAST = ("underfitting", "miscalibrated")


def training_findings(
    model: keras.Model,
    task: Task,
    dataset: Dataset,
    *,
    history: Mapping[str, Sequence[float]],
    gradients: Mapping[str, Any],
    config: Mapping[str, Any],
    scored: Sequence[Any] = (),
) -> list[Any]:
    """Return the findings on a training, the most serious first: those that its scores gave, and on how it went.

    Args:
        model: The trained model, which is left as it is.
        task: What kind of problem it is.
        dataset: The data it was trained on.
        history: Curves by name.
        gradients: The log of its gradients; may be empty.
        config: The recipe's resolved arguments.
        scored: What its scores gave; that a loss stands still is left out where it is known why.
    """
    from kerasdl import diagnostics
    from kerasdl.diagnostics import units

    found: list[Any] = diagnostics.diagnose_dynamics(history=history, gradients=gradients, config=config)
    examples = task.examples(dataset.train)
    indices = spread(len(examples), EXAMPLES)
    inputs, _ = examples.batch(indices)
    active = diagnostics.activity(model, inputs, batch_size=config["batch_size"])
    found += [units.dead_units(active, config), units.saturated_units(active, config)]
    if task.class_names and not task.multi_label and _has_batch_normalization(model):
        losses = _losses_in_both_modes(model, examples, indices, batch_size=config["batch_size"])
        found.append(units.batch_normalization_off(*losses, config))
    found = [finding for finding in found if finding is not None]
    if {finding.name for finding in found} & set(CAUSES):
        scored = [finding for finding in scored if finding.name != "plateau"]
    if any(finding.name == "underfitting" for finding in scored):
        # What still gets better on new examples needs more training, however much better it knows its own.
        scored = [finding for finding in scored if finding.name != "overfitting"]
    return sorted([*scored, *found], key=_place)


def _place(finding: Any) -> int:
    order = [*FIRST, *CAUSES, *SYMPTOMS, "", *LAST]
    return order.index(finding.name if finding.name in order else "")


def _has_batch_normalization(model: keras.Model) -> bool:
    import keras

    return any(isinstance(layer, keras.layers.BatchNormalization) and layer.trainable for layer in model.layers)


def _losses_in_both_modes(
    model: keras.Model, examples: Any, indices: np.ndarray, *, batch_size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the cross-entropy of each example by the statistics of its batch, and by the moving ones."""
    import keras

    from kerasdl.diagnostics.gradients import unchanged

    size = min(batch_size, len(indices))
    order = np.random.default_rng(0).permutation(indices)  # a folder's lie class by class
    losses: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    with unchanged(model):
        for begin in range(0, len(order) - size + 1, size):
            inputs, targets = examples.batch(order[begin : begin + size])
            # By the moving statistics first: those of the batch change them.
            for place, training in ((1, False), (0, True)):
                logits = keras.ops.cast(model(inputs, training=training), "float32")
                each = keras.ops.sparse_categorical_crossentropy(targets, logits, from_logits=True)
                losses[place].append(np.array(keras.ops.convert_to_numpy(each)))
    return np.concatenate(losses[0]), np.concatenate(losses[1])
