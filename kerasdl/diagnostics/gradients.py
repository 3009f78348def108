"""How gradients flow through a model: for each layer their size, that of the weights, and how far an update moves them.

The model is looked at and left as it was: a second model of the same layers is trained for one batch by an optimizer
that keeps gradients and changes no weight, and what a training step changes beside weights is put back.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import keras
import numpy as np

from kerasdl.diagnostics.activity import activity, as_list, single
from kerasdl.diagnostics.gradient_keeper import Keeper
from kerasdl.diagnostics.gradient_picture import gradient_picture
from kerasdl.errors import InputError


@dataclass(frozen=True)
class LayerFlow:
    """What one layer gets of the gradient.

    Args:
        name: Path of the layer.
        kind: Its class; inside of another layer, that one's.
        depth: Its number, from the input on, among those that have weights or activations that are told of.
        weights: Numbers that it learns.
        kernel: Whether it has a matrix; the sizes below are then those of its matrices alone, without biases.
        gradient: Root mean square of the loss's derivative in its weights.
        weight: Root mean square of its weights.
        ratio: Root mean square of the change that the next update would bring, over that of the weights; NaN without an
            optimizer, or where the optimizer does not update at every batch.
        dead: Share of units that are never above zero, see :class:`kerasdl.diagnostics.Activity`; None for none such.
        saturated: Share of units that are always at an end of their range; None for none such.
    """

    name: str
    kind: str
    depth: int
    weights: int
    kernel: bool
    gradient: float
    weight: float
    ratio: float
    dead: float | None
    saturated: float | None


@dataclass(frozen=True)
class GradientFlow:
    """What :func:`gradient_flow` returns: a record for each layer, and the loss of the batch.

    Args:
        layers: From the input to the output.
        loss: Of the batch, penalties included.
    """

    layers: tuple[LayerFlow, ...]
    loss: float

    def __str__(self) -> str:
        width = max(len(layer.name) for layer in self.layers)
        kinds = max(len(layer.kind) for layer in self.layers)
        lines = [
            f"{'depth':>5}  {'layer':<{width}}  {'kind':<{kinds}}  {'weights':>9}  {'gradient':>8}  {'weight':>8}  "
            f"{'ratio':>8}  {'dead':>6}  saturated"
        ]
        for layer in self.layers:
            sizes = "  ".join(
                f"{value:8.1e}" if math.isfinite(value) else f"{'':8}"
                for value in (layer.gradient, layer.weight, layer.ratio)
            )
            dead, saturated = (f"{share:.0%}" if share is not None else "" for share in (layer.dead, layer.saturated))
            lines.append(
                f"{layer.depth:>5}  {layer.name:<{width}}  {layer.kind:<{kinds}}  {layer.weights:>9,}  {sizes}  "
                f"{dead:>6}  {saturated:>9}".rstrip()
            )
        return "\n".join(lines)

    def kernels(self) -> list[LayerFlow]:
        """Return the layers that have a matrix, which are those that compare."""
        return [layer for layer in self.layers if layer.kernel]

    def decline(self) -> float:
        """Return the gradient of the first layer with a matrix over that of the last: near 0 where it vanishes."""
        first, last = self.kernels()[0].gradient, self.kernels()[-1].gradient
        return first / last if last else math.nan

    def picture(self, *, title: str = "Gradient of each layer") -> str:
        """Draw the gradient of each layer with a matrix over depth, as SVG; see :func:`gradient_picture`."""
        return gradient_picture({"": [layer.gradient for layer in self.kernels()]}, title=title)

    def as_dict(self) -> dict[str, Any]:
        """Return all as plain values for JSON."""
        return asdict(self)


def gradient_flow(model: keras.Model, batch: Sequence[Any], *, loss: Any = None) -> GradientFlow:
    """Measure how gradients flow through a model on one batch, in training mode; the model stays as it is to the bit.

    Args:
        model: A functional model, raw inputs in.
        batch: Inputs, and targets encoded as the loss compares them; weights of the examples as a third, if any.
        loss: A Keras loss or its name; None takes the one that the model was compiled with.

    Returns:
        The gradient, weights and next update of each layer, and the share of its units that are dead or saturated;
        printed it is a table.

    Raises:
        InputError: For a model that is not functional, and where no loss is known.

    Example:
        >>> flow = gradient_flow(model, (images, targets))
        >>> print(flow)
        >>> Path("flow.svg").write_text(flow.picture(), encoding="utf-8")

    Reference: Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks, AISTATS
    2010; update-to-weight ratios: https://cs231n.github.io/neural-networks-3/#ratio
    """
    if not hasattr(model, "_nodes_by_depth"):
        raise InputError(
            "model",
            received=type(model).__name__,
            expected="a functional model, whose layers can be looked at one by one",
            mend="Build it by keras.Model(inputs, outputs), as the builders of kerasdl.models do.",
        )
    loss = loss if loss is not None else getattr(model, "loss", None)
    if loss is None:
        raise InputError(
            "loss",
            received="None for a model that is not compiled",
            expected="what the gradient is of",
            mend="Pass loss=keras.losses.CategoricalCrossentropy(from_logits=True), or the loss of its training.",
        )
    inputs, *rest = batch
    inputs = as_list(model, inputs)
    twin = keras.Model(single(model.inputs), single(model.outputs), name=model.name)
    keeper = Keeper()
    backend = keras.backend.backend()
    with unchanged(model):
        # One batch does not pay for compilation, but JAX without it is a hundred times slower.
        twin.compile(
            keeper, loss, jit_compile=backend == "jax", run_eagerly=backend == "tensorflow", auto_scale_loss=False
        )
        value = float(twin.train_on_batch(inputs, *rest, return_dict=True)["loss"])
    gradients = [np.asarray(keras.ops.convert_to_numpy(each), np.float64) for each in keeper.kept]
    updates = _next_updates(model, keeper.kept)
    return GradientFlow(tuple(_records(model, gradients, updates, activity(model, inputs))), value)


@contextlib.contextmanager
def unchanged(model: keras.Model) -> Iterator[None]:
    """Put back what happens in here to the model's variables, its optimizer's, and random states."""
    variables = [*model.variables, *(model.optimizer.variables if getattr(model, "optimizer", None) else ())]
    values = [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]
    torch_state = None
    if keras.backend.backend() == "torch":
        # Keras draws dropout from PyTorch's own generators there.
        import torch

        torch_state = torch.get_rng_state(), torch.cuda.get_rng_state_all()
    try:
        yield
    finally:
        for variable, before in zip(variables, values, strict=True):
            variable.assign(before)
        if torch_state is not None:
            torch.set_rng_state(torch_state[0])
            torch.cuda.set_rng_state_all(torch_state[1])


def _next_updates(model: keras.Model, gradients: Sequence[Any]) -> list[np.ndarray] | None:
    """Return by how much the model's own optimizer would change each variable."""
    optimizer = getattr(model, "optimizer", None)
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    if optimizer is None:
        return None
    variables = model.trainable_variables
    optimizer.build(variables)
    before = [np.array(keras.ops.convert_to_numpy(variable), np.float64) for variable in variables]
    with unchanged(model):
        optimizer.apply([keras.ops.convert_to_tensor(each) for each in gradients], variables)
        after = [np.array(keras.ops.convert_to_numpy(variable), np.float64) for variable in variables]
    updates = [new - old for new, old in zip(after, before, strict=True)]
    return updates if any(update.any() for update in updates) else None


def _records(
    model: keras.Model, gradients: Sequence[np.ndarray], updates: Sequence[np.ndarray] | None, units: Sequence[Any]
) -> Iterator[LayerFlow]:
    kinds = {layer.name: type(layer).__name__ for layer in model.layers}
    owners = {id(variable): layer.name for layer in model.layers for variable in layer.trainable_variables}
    by_layer: dict[str, list[int]] = {}
    places: dict[str, list[str]] = {layer.name: [] for layer in model.layers}
    for index, variable in enumerate(model.trainable_variables):
        path = variable.path.rpartition("/")[0]
        if path not in by_layer:
            places[owners[id(variable)]].append(path)
        by_layer.setdefault(path, []).append(index)
    active = {each.layer: each for each in units}
    depth = 0
    for layer in model.layers:
        own = active.get(layer.name)
        for path in places[layer.name] or ([layer.name] if own else []):
            depth += 1
            chosen = by_layer.get(path, [])
            matrices = [index for index in chosen if gradients[index].ndim > 1]
            sized = matrices or chosen
            weights = [np.asarray(keras.ops.convert_to_numpy(model.trainable_variables[index])) for index in sized]
            weight = _size(weights)
            change = _size([updates[index] for index in sized]) if updates is not None else math.nan
            yield LayerFlow(
                name=path,
                kind=kinds[layer.name],
                depth=depth,
                weights=sum(gradients[index].size for index in chosen),
                kernel=bool(matrices),
                gradient=_size([gradients[index] for index in sized]),
                weight=weight,
                ratio=change / weight if weight else math.nan,
                dead=own.dead if own else None,
                saturated=own.saturated if own else None,
            )


def _size(arrays: Sequence[np.ndarray]) -> float:
    """Return the root mean square over all entries; NaN without any."""
    if not arrays:
        return math.nan
    return math.sqrt(float(np.mean(np.concatenate([np.square(array, dtype=np.float64).ravel() for array in arrays]))))
