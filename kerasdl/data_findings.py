"""What is wrong with the data of a classifier, and what its accuracy hides: which checks are made, on which splits.

The checks themselves are in `kerasdl.diagnostics`; here they get what they look at. Whatever is chosen by, a remedy or
a temperature, comes from the validation split. The test split is looked at for duplicates only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasdl.linear_baseline import linear_answers

if TYPE_CHECKING:
    from kerasdl.data import Dataset, Split
    from kerasdl.diagnostics import Finding


def find(
    dataset: Dataset,
    *,
    scored: Callable[[Split], np.ndarray],
    scores: np.ndarray,
    config: Mapping[str, Any],
    train_accuracy: float,
    train_count: int,
    validation_accuracy: float,
    validation_count: int,
) -> list[Finding]:
    """Return the findings on a classifier's data and on its answers to the validation split.

    Args:
        dataset: Images, texts or series with their classes. Where several may be true at once, only leakage is looked
            for: the other rules are those of one class an example.
        scored: Returns the model's scores on a split.
        scores: Those on the validation split.
        config: The recipe's resolved arguments.
        train_accuracy: Share right on a sample of training examples.
        train_count: Size of that sample.
        validation_accuracy: The same on validation examples.
        validation_count: How many there are.
    """
    from kerasdl import diagnostics
    from kerasdl.measuring import answers_right

    validation = dataset.validation

    def right(name: str) -> np.ndarray:
        split = dataset.splits[name]
        answers = answers_right(split.targets, scores if name == "validation" else scored(split))
        return np.asarray(answers.reshape(len(answers), -1).all(axis=1))

    leaks = diagnostics.find_leaks({name: split.inputs for name, split in dataset.splits.items()}, kind=dataset.kind)
    found = [diagnostics.diagnose_leakage(leaks, right=right, config=config)]
    if not dataset.multi_label:
        targets = validation.targets
        indices, answers, trained_on = linear_answers(dataset)
        denied = np.ones(len(targets), bool)
        denied[indices] = answers != targets[indices]
        found += [
            diagnostics.diagnose_memorising(
                train_accuracy=train_accuracy,
                train_count=train_count,
                accuracy=validation_accuracy,
                count=validation_count,
                majority=float(np.bincount(targets).max() / len(targets)),
            ),
            diagnostics.diagnose_labels(scores, targets, config, denied=denied),
            diagnostics.diagnose_imbalance(
                scores.argmax(axis=1),
                targets,
                np.bincount(dataset.train.targets, minlength=dataset.num_classes).tolist(),
                config,
                class_names=dataset.class_names,
            ),
            diagnostics.diagnose_calibration(scores, targets, config),
        ]
        # With weights the classes count otherwise than in the accuracy, which the linear model is after.
        if not config.get("class_weight"):
            model_right = right("validation")[indices]
            found.append(diagnostics.diagnose_linear(model_right, ~denied[indices], config, trained_on=trained_on))
    return [finding for finding in found if finding is not None]


def guesses(predicted: np.ndarray, targets: np.ndarray) -> bool:
    """Return whether the balanced accuracy is not above that of guessing, beyond chance."""
    each = [predicted[targets == index] == index for index in np.unique(targets)]
    error = np.sqrt(sum(some.var() / len(some) for some in each)) / len(each)
    return bool(np.mean([some.mean() for some in each]) - 1.96 * error <= 1 / len(each))
