"""The derivative of one output of a model in a tensor inside of it: what Grad-CAM and integrated gradients stand on.

The model is walked again on its own layers with a layer put in at the tensor, which multiplies it and adds an offset.
The gradient in the offset is the gradient in the tensor, and comes from the same optimizer that keeps gradients as in
`kerasdl.diagnostics.gradients`, so it is the same on every backend. The model's weights are neither moved nor copied.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from kerasdl.diagnostics.gradient_keeper import Keeper


@dataclass(frozen=True)
class Point:
    """A place in the graph of a model: what a layer puts out when it is called for the n-th time.

    Args:
        operation: The layer; None for the input of the model.
        call: Number of the call, from 0, in the order of the graph.
        tensor: What it puts out.
    """

    operation: Any
    call: int
    tensor: Any

    @property
    def name(self) -> str:
        """Name of the layer."""
        return self.tensor.name if self.operation is None else self.operation.name


def points(model: keras.Model) -> list[Point]:
    """Return all places of a functional model that have one output, from the input to the output."""
    found: list[Point] = []
    calls: dict[int, int] = {}
    for depth in sorted(model._nodes_by_depth, reverse=True):
        for node in model._nodes_by_depth[depth]:
            if node.is_input:
                continue
            number = calls.get(id(node.operation), 0)
            calls[id(node.operation)] = number + 1
            if len(node.output_tensors) == 1:
                found.append(Point(node.operation, number, node.output_tensors[0]))
    return found


class Shift(keras.layers.Layer):
    """Return `inputs * scale + offset`, with a scale for each example and an offset for each of its values.

    Args:
        shape: Of the inputs, the number of examples first.
        **kwargs: Name, as of any layer.
    """

    def __init__(self, shape: Sequence[int], **kwargs: Any):
        super().__init__(dtype="float32", **kwargs)
        ones = (shape[0], *(1,) * (len(shape) - 1))
        self.scale = self.add_weight(shape=ones, initializer="ones", trainable=False, name="scale")
        self.offset = self.add_weight(shape=tuple(shape), initializer="zeros", name="offset")

    def call(self, inputs: Any) -> Any:
        """Return a tensor of the shape of `inputs`, float32."""
        return inputs * self.scale + self.offset

    def compute_output_spec(self, inputs: Any) -> Any:
        """Return the inputs' shape: the number of examples stays open in the graph."""
        return keras.KerasTensor(inputs.shape, dtype="float32")


class _Shifted(keras.Model):
    """A model of which only the offsets are trained, in inference mode."""

    def __init__(self, graph: keras.Model, shifts: Sequence[Shift]):
        super().__init__()
        self.graph = graph
        self._offsets = [shift.offset for shift in shifts]

    def call(self, inputs: Any) -> Any:
        # No dropout, and the normalization of inference: what is explained is what `predict` answers.
        return chosen_logits(self.graph(inputs, training=False))

    @property
    def trainable_variables(self) -> list[Any]:
        return self._offsets

    @property
    def trainable_weights(self) -> list[Any]:
        return self._offsets

    @property
    def non_trainable_variables(self) -> list[Any]:
        return [each for each in self.variables if not any(each is offset for offset in self._offsets)]

    @property
    def non_trainable_weights(self) -> list[Any]:
        return [each for each in self.weights if not any(each is offset for offset in self._offsets)]


def chosen_logits(outputs: Any) -> Any:
    """Return logits (batch, classes): of a language model those after the last position."""
    return outputs[:, -1] if len(outputs.shape) == 3 else outputs


def _chosen(targets: Any, logits: Any) -> Any:
    # A sum over examples: the gradient of each is then its own, whatever the others are.
    return ops.sum(targets * ops.cast(logits, "float32"))


class Sensitivity:
    """The derivative of chosen logits in tensors inside of a model, for a fixed number of examples at a time.

    Args:
        model: A functional model with one input, raw inputs in, logits out.
        places: Where the derivative is wanted.
        shapes: Of the tensors there, the number of examples first.

    Example:
        >>> Sensitivity(model, [place], [(8, 7, 7, 64)]).gradients(images, targets)
    """

    def __init__(self, model: keras.Model, places: Sequence[Point], shapes: Sequence[Sequence[int]]):
        self._shifts = [Shift(shape) for shape in shapes]
        by_place = {(id(place.operation), place.call): shift for place, shift in zip(places, self._shifts, strict=True)}
        calls: dict[int, int] = {}

        def again(layer: Any, *args: Any, **keywords: Any) -> Any:
            number = calls.get(id(layer), 0)
            calls[id(layer)] = number + 1
            outputs = layer(*args, **keywords)
            shift = by_place.get((id(layer), number))
            return shift(outputs) if shift is not None else outputs

        if places[0].operation is None:
            image = model.inputs[0]
            new = keras.Input(batch_shape=image.shape, dtype=image.dtype, name=image.name)
            graph = keras.Model(new, model(self._shifts[0](new)))
        else:
            # Without what it was compiled with, which a clone would want to make again.
            bare = keras.Model(model.inputs, model.outputs)
            shared = keras.models.clone_model(bare, clone_function=lambda layer: layer, call_function=again)
            graph = keras.Model(shared.inputs, shared.outputs[0])
        self._model = _Shifted(graph, self._shifts)
        self._keeper = Keeper()
        backend = keras.backend.backend()
        self._model.compile(
            self._keeper,
            _chosen,
            jit_compile=backend == "jax",
            run_eagerly=backend == "tensorflow",
            auto_scale_loss=False,
        )

    def shift(self, scale: np.ndarray, offsets: Sequence[np.ndarray | float]) -> None:
        """Multiply the tensors by `scale`, one number for each example, and add offsets that fit their shape."""
        for shift, offset in zip(self._shifts, offsets, strict=True):
            shift.scale.assign(np.reshape(scale, shift.scale.shape).astype(np.float32))
            shift.offset.assign(np.broadcast_to(offset, tuple(shift.offset.shape)).astype(np.float32))

    def logits(self, inputs: Any) -> np.ndarray:
        """Return the logits of all classes, float64 (batch, classes), with the tensors as they are shifted."""
        return np.asarray(self._model.predict_on_batch(inputs), np.float64)

    def gradients(self, inputs: np.ndarray, targets: np.ndarray) -> list[np.ndarray]:
        """Return the derivative of one logit of each example in each tensor.

        Args:
            inputs: As the model takes them.
            targets: One in the column of the logit, (batch, classes), float32.

        Returns:
            Arrays of the shapes of the tensors, float64.
        """
        self._model.train_on_batch(inputs, targets)
        if hasattr(self._model, "zero_grad"):  # PyTorch keeps gradients beside the weights, which are not ours
            self._model.zero_grad()
        return [np.asarray(ops.convert_to_numpy(each), np.float64) for each in self._keeper.kept]


def look(model: keras.Model, places: Sequence[Point], inputs: Any) -> tuple[list[np.ndarray], np.ndarray]:
    """Return the values at some places and the logits, in inference mode, as NumPy arrays in float32."""
    tensors = [place.tensor for place in places if place.operation is not None]
    found = keras.Model(model.inputs, [*tensors, model.outputs[0]])(ops.convert_to_tensor(inputs), training=False)
    *values, logits = [
        np.asarray(ops.convert_to_numpy(ops.cast(each, "float32"))) for each in keras.tree.flatten(found)
    ]
    if places and places[0].operation is None:
        values = [np.asarray(inputs, np.float32)]
    return values, chosen_logits(logits)
