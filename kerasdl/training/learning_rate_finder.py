"""The learning-rate range test: what learning rate a model can be trained with, found in a hundred batches."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kerasdl import checks, keywords
from kerasdl.configuration import write_text
from kerasdl.errors import InputError
from kerasdl.training.batches import Augment, Encode, Examples, TrainingBatches
from kerasdl.training.building import build_variables
from kerasdl.training.optimizers import make_optimizer

# The loss's moving average, and how many times its best it may become before the test stops (both as in fastai).
SMOOTHING, DIVERGENCE = 0.98, 4.0
FEWEST_STEPS = 20
# A fall of less than this share of the loss is none; the suggestion is this far below the rate of the lowest loss.
LEAST_FALL, MARGIN_TO_EDGE = 0.01, 10.0

WIDTH, HEIGHT, MARGIN = 640, 280, 44
STYLE = """
:root { color-scheme: light dark; --ink: #1c2330; --paper: #ffffff; --line: #c9cfd8; --loss: #1f6feb; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e8ee; --paper: #14181f; --line: #3d4653; --loss: #79b0ff; } }
.paper { fill: var(--paper); } text { fill: var(--ink); font: 12px system-ui, sans-serif; }
.axis { stroke: var(--line); } polyline { fill: none; stroke: var(--loss); stroke-width: 2; }
.raw { stroke-width: 1; opacity: .45; } .suggestion { stroke: var(--ink); stroke-dasharray: 2 3; }
"""


@dataclass(frozen=True)
class LearningRateCurve:
    """What the range test saw.

    Args:
        learning_rates: The learning rate of each batch, growing by one factor.
        losses: The loss of each batch, the penalties of the model included.
        smoothed: Their bias-corrected exponential moving average.
        suggestion: The learning rate to train with, as the highest of a schedule.
    """

    learning_rates: list[float] = field(repr=False)
    losses: list[float] = field(repr=False)
    smoothed: list[float] = field(repr=False)
    suggestion: float

    def __str__(self) -> str:
        """One sentence: the suggestion and what it rests on."""
        best = int(np.argmin(self.smoothed))
        return (
            f"Suggested learning rate: {self.suggestion:.2g}. The loss, {self.smoothed[0]:.4g} at first, was lowest "
            f"({self.smoothed[best]:.4g}) at {self.learning_rates[best]:.2g}; {len(self.losses)} batches, learning "
            f"rates from {self.learning_rates[0]:.2g} to {self.learning_rates[-1]:.2g}."
        )

    def picture(self, path: str | Path) -> Path:
        """Draw loss against learning rate, the suggestion marked; written beside and renamed. Return the path.

        Args:
            path: Where the SVG goes.
        """
        path = Path(path)
        write_text(path, _svg(self))
        return path


def find_learning_rate(
    model: keras.Model,
    examples: Examples,
    *,
    loss: Any,
    optimizer: Any = "adamw",
    batch_size: int = 64,
    encode_targets: Encode | None = None,
    encode_last: bool = False,
    augment: Augment | None = None,
    smallest: float = 1e-7,
    largest: float = 10.0,
    steps: int = 100,
    seed: int = 0,
    weight_decay: float | None = None,
) -> LearningRateCurve:
    """Train `model` for a few batches with a growing learning rate, suggest one, and put everything back.

    The learning rate grows by one factor from batch to batch. The loss first stays, then falls, then explodes: the test
    stops there. The suggestion is the last point of steepest fall of the loss that is left on a safe side: see
    :func:`suggest`. Weights, the state of random layers and the optimizer are as before when this returns.

    Args:
        model: A functional or sequential model, compiled or not.
        examples: The training split: `len(...)`, `.targets`, `.batch(indices)`.
        loss: A Keras loss.
        optimizer: A name as for :func:`kerasdl.training.make_optimizer`, or a Keras optimizer, of which a copy is used.
        batch_size: Examples a step; a learning rate is found for one batch size.
        encode_targets: What turns stored targets into those that `loss` compares.
        encode_last: Whether that comes after `augment`.
        augment: What changes a training batch at random.
        smallest: Learning rate of the first batch.
        largest: Learning rate of the last batch, unless the loss explodes before.
        steps: Batches, at least 20.
        seed: Seed of the order of examples.
        weight_decay: Decoupled weight decay, for an optimizer that is given by name.

    Returns:
        The curve and its suggestion.

    Raises:
        InputError: For numbers outside their range, or when no learning rate makes the loss fall.

    Example:
        >>> curve = find_learning_rate(model, dataset.train, loss=loss)
        >>> curve.suggestion
        0.0021...

    Reference: Smith, Cyclical learning rates for training neural networks, arXiv:1506.01186.
    """
    _check(smallest, largest, steps)
    keywords.check({"batch_size": batch_size, "weight_decay": weight_decay, "seed": seed})
    rates = [float(rate) for rate in np.geomspace(smallest, largest, steps)]
    batches = TrainingBatches(
        examples,
        batch_size=batch_size,
        seed=seed,
        encode_targets=encode_targets,
        encode_last=encode_last,
        augment=augment,
    )
    # A second model over the same layers: compiling it leaves the first one's optimizer and metrics alone.
    trial = keras.Model(*_tensors(model), name=model.name)
    trial.dtype_policy = model.dtype_policy  # Keras scales the loss when it says float16
    kept = [(variable, np.array(keras.ops.convert_to_numpy(variable))) for variable in model.variables]
    losses: list[float] = []
    smoothed: list[float] = []
    try:
        trial.compile(optimizer=_fresh(optimizer, smallest, steps, weight_decay), loss=loss)
        build_variables(trial, batches[0])
        average = 0.0
        for step, rate in enumerate(rates):
            trial.optimizer.learning_rate = rate
            value = float(trial.train_on_batch(*batches[step], return_dict=True)["loss"])
            if not math.isfinite(value):
                break
            average = SMOOTHING * average + (1 - SMOOTHING) * value
            losses.append(value)
            smoothed.append(average / (1 - SMOOTHING ** (step + 1)))
            if smoothed[-1] > DIVERGENCE * min(smoothed):
                break
    finally:
        for variable, before in kept:
            variable.assign(before)
    rates = rates[: len(losses)]
    return LearningRateCurve(rates, losses, smoothed, suggest(rates, smoothed))


def suggest(learning_rates: Sequence[float], smoothed: Sequence[float]) -> float:
    """Return the learning rate at which half of the loss's fall is done, or a tenth of the one where it ends, if lower.

    Half of the fall is a level and not a slope, so that noise moves it little, and where the loss passes it for the
    last time counts; a tenth is the margin to the edge. The first tenth of the batches only says where it started.

    Args:
        learning_rates: Growing learning rates.
        smoothed: The smoothed loss at each.

    Raises:
        InputError: When the loss does not fall.
    """
    losses = np.asarray(smoothed)
    first = max(1, len(losses) // 10) - 1
    lowest = first + int(losses[first:].argmin()) if len(losses) else first
    if lowest == first or losses[first] - losses[lowest] < LEAST_FALL * abs(losses[first]):
        raise InputError(
            "smallest and largest",
            received="learning rates at which the loss does not fall",
            expected="a range in which it falls",
            mend="Widen the range, take more steps, or look whether loss and targets fit the model.",
        )
    above = first + np.flatnonzero(losses[first:lowest] > (losses[first] + losses[lowest]) / 2)
    return max(learning_rates[0], min(learning_rates[above[-1] + 1], learning_rates[lowest] / MARGIN_TO_EDGE))


def _check(smallest: float, largest: float, steps: int) -> None:
    checks.number(0, above=True, example=1e-7)("smallest", smallest)
    checks.number(smallest, above=True, example=10.0)("largest", largest)
    checks.integer(FEWEST_STEPS, example=100)("steps", steps)


def _tensors(model: keras.Model) -> tuple[Any, Any]:
    if isinstance(model, keras.Sequential) and model.built:
        return model.inputs[0], model.outputs[0]
    try:
        return model.input, model.output
    except AttributeError:
        raise InputError(
            "model",
            received=f"a {type(model).__name__} without inputs and outputs of its own",
            expected="a functional keras.Model, or a Sequential that is built",
            mend="Build it with keras.Model(inputs, outputs).",
        ) from None


def _fresh(optimizer: Any, rate: float, steps: int, weight_decay: float | None) -> keras.optimizers.Optimizer:
    if isinstance(optimizer, str):
        return make_optimizer(optimizer, total_steps=steps, learning_rate=rate, weight_decay=weight_decay)
    if weight_decay is not None or not isinstance(optimizer, keras.optimizers.Optimizer):
        return make_optimizer(optimizer, total_steps=steps, weight_decay=weight_decay)  # says what is wrong
    return type(optimizer).from_config({**optimizer.get_config(), "learning_rate": rate})


def _svg(curve: LearningRateCurve) -> str:
    rates = np.log10(curve.learning_rates)
    # What the loss does once it has exploded would flatten all that matters.
    low, high = min(curve.losses), max(curve.smoothed[0], curve.losses[0])
    low, high = low - 0.05 * ((high - low) or 1.0), high + 0.15 * ((high - low) or 1.0)
    bottom, right = HEIGHT - MARGIN, WIDTH - MARGIN

    def across(rate: float) -> float:
        return MARGIN + (right - MARGIN) * (rate - rates[0]) / ((rates[-1] - rates[0]) or 1.0)

    def line(values: Sequence[float], kind: str) -> str:
        heights = bottom - (bottom - MARGIN) * (np.clip(values, low, high) - low) / (high - low)
        points = " ".join(f"{across(x):.1f},{y:.1f}" for x, y in zip(rates, heights, strict=True))
        return f'<polyline class="{kind}" points="{points}"/>'

    decades = "".join(
        f'<text x="{across(decade):.1f}" y="{bottom + 18}" text-anchor="middle">1e{decade:d}</text>'
        for decade in range(math.ceil(rates[0] - 1e-9), math.floor(rates[-1] + 1e-9) + 1)
    )
    mark = across(math.log10(curve.suggestion))
    side = "end" if mark > WIDTH / 2 else "start"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{curve}">'
        f'<title>{curve}</title><style>{STYLE}</style><rect class="paper" width="{WIDTH}" height="{HEIGHT}"/>'
        f'<line class="axis" x1="{MARGIN}" y1="{bottom}" x2="{right}" y2="{bottom}"/>{decades}'
        f'<text x="{MARGIN}" y="{MARGIN - 26}">loss, {curve.losses[0]:.4g} at first, {min(curve.losses):.4g} at best '
        "(thin: each batch, thick: smoothed)</text>"
        f'<text x="{WIDTH / 2}" y="{HEIGHT - 8}" text-anchor="middle">learning rate</text>'
        f"{line(curve.losses, 'raw')}{line(curve.smoothed, 'smoothed')}"
        f'<line class="suggestion" x1="{mark:.1f}" y1="{MARGIN}" x2="{mark:.1f}" y2="{bottom}"/>'
        f'<text x="{mark:.1f}" y="{MARGIN - 6}" text-anchor="{side}">suggestion {curve.suggestion:.2g}</text></svg>\n'
    )
