"""Proof that an export answers as the live model: what is asked, and how the answers are compared."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerasdl.export.outputs import Outputs, parity_batches, undecided

TOLERANCE = 1e-5
"""Between the live model and a SavedModel or .keras, which run the same kernels."""
RUNTIME_TOLERANCE = 1e-4
"""Between the live model and other runtimes, whose kernels add in another order."""


@dataclass(frozen=True)
class Trial:
    """Inputs and what the live model answers to them.

    Args:
        signature: Of a SavedModel the name of one; "predict" where raw inputs go through all of `.predict`.
        inputs: By the name of each input of the signature; or raw inputs.
        expected: The outputs, with a first axis over the examples.
        undecided: Of an output that is no number, which values may be others: those that the numbers do not decide
            within the tolerance.
        unit: What numbers are measured in: they may differ by the tolerance times this.
        settle: What brings an answer into the form of `expected`, where its order is not decided; None where it is.
    """

    signature: str
    inputs: Any
    expected: Outputs
    undecided: dict[str, np.ndarray]
    unit: float = 1.0
    settle: Callable[[Outputs], Outputs] | None = None


class ParityError(RuntimeError):
    """The reloaded export does not answer as the live model does; nothing was exported."""


def classifier_trials(
    signature: str,
    examples: Any,
    expected: Outputs,
    *,
    tolerance: float,
    given: Callable[[Any], Any] = lambda examples: examples,
    sizes: Iterable[int] = (),
) -> Iterator[Trial]:
    """Yield trials of a classifier in several batch sizes.

    Args:
        signature: As of :class:`Trial`.
        examples: All examples.
        expected: What the live model answers to them.
        tolerance: Within which numbers may differ.
        given: From examples to the inputs of the signature.
        sizes: Of the batches; by default those of `parity_batches`.
    """
    ties = undecided(expected, tolerance=tolerance)
    for size in sizes or parity_batches(len(expected["scores"])):
        first, first_ties = ({name: of[name][:size] for name in of} for of in (expected, ties))
        yield Trial(signature, given(examples[:size]), first, first_ties)


def prove(
    trials: Iterable[Trial], answer: Callable[[Trial], Outputs], *, tolerance: float, count: int, bounded: bool = True
) -> dict[str, Any]:
    """Compare the answers of an export with the live model's, each asked twice.

    Args:
        trials: What is asked.
        answer: Asks the export.
        tolerance: Largest difference allowed between numbers.
        count: How many examples there are, for the record.
        bounded: Whether a larger difference is an error; if not, as of a quantized model, it is recorded only.

    Returns:
        "max_difference", "tolerance" (None where not bounded), "examples", "batches".

    Raises:
        ParityError: If the answers differ, or differ from one time to the other.
    """
    worst, batches = 0.0, []
    for trial in trials:
        size = len(next(iter(trial.expected.values())))
        where = f"{trial.signature}, batch of {size}"
        first, second = (answer(trial) for _ in range(2))
        if trial.settle is not None:
            first, second = trial.settle(first), trial.settle(second)
        for name, expected in trial.expected.items():
            if expected.dtype.kind == "f":
                difference = float(np.abs(first[name] - expected).max()) / trial.unit
                worst = max(worst, difference)
                if bounded and not difference <= tolerance:
                    raise ParityError(f"{where}: {name} differ by {difference:.3g}, allowed {tolerance:g}.")
                if not np.isfinite(difference):
                    raise ParityError(f"{where}: {name} are no finite numbers.")
            elif bounded and ((first[name] != expected) & ~trial.undecided.get(name, np.False_)).any():
                raise ParityError(f"{where}: {name} differs from the live model's.")
            if not np.array_equal(first[name], second[name]):
                raise ParityError(f"{where}: the same inputs got other {name} the second time.")
        batches.append(f"{trial.signature}:{size}")
    return {
        "max_difference": worst,
        "tolerance": tolerance if bounded else None,
        "examples": count,
        "batches": batches,
    }
