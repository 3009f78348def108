"""Where a model and its export part: the first layer with other weights, or with other outputs in a graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np

# What a layer may differ by, in units of its largest output, because operations are fused otherwise in another graph.
LAYER_TOLERANCE = 1e-4
# Examples that are compared: every layer's outputs are kept.
EXAMPLES = 16


def first_difference(model: keras.Model, run: Callable[[], Any], *, exported: Sequence[Any] = ()) -> str:
    """Return a sentence on which layer differs first between the live model and what was exported.

    Weights are compared one by one. Then the inputs of the model's first call in `run` are recorded, and the outputs of
    all layers on them computed in two ways: as `predict` does, and in a `tf.function` with training=False, as that an
    export is traced from, the latter twice.

    Args:
        model: A functional model.
        run: Calls the live model as it is called when an export is proven.
        exported: The variables that were loaded again, in the order of `model.variables`.

    Returns:
        One sentence; it says so when all layers are alike, or when they cannot be looked at one by one.
    """
    try:
        return _other_weights(model, exported) or _other_outputs(model, recorded(model, run))
    except Exception as error:  # noqa: BLE001 - that parity failed is the news; this is about where
        return f"Its layers could not be compared one by one ({type(error).__name__})."


def recorded(model: keras.Model, run: Callable[[], Any]) -> Any:
    """Return the inputs of the first call of `model.predict`, or of the model itself, while `run` runs."""
    calls: list[Any] = []

    def recording(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(inputs: Any, *arguments: Any, **keywords: Any) -> Any:
            calls.append(inputs)
            return function(inputs, *arguments, **keywords)

        return call

    # On the object, for as long as it runs: the class stays as it is.
    model.predict, model.call = recording(model.predict), recording(model.call)
    try:
        run()
    finally:
        del model.predict
        del model.call
    return keras.tree.map_structure(lambda values: values[:EXAMPLES], calls[0])


def _other_weights(model: keras.Model, exported: Sequence[Any]) -> str:
    if len(exported) != len(model.variables):
        return ""
    loaded = {id(live): there for live, there in zip(model.variables, exported, strict=True)}
    for layer in model.layers:
        for weight in layer.weights:
            here, there = keras.ops.convert_to_numpy(weight), np.asarray(loaded[id(weight)])
            if not np.array_equal(here, there, equal_nan=here.dtype.kind == "f"):
                return (
                    f"The first layer that differs is {layer.name!r} ({type(layer).__name__}): its {weight.name} has "
                    f"other values, by up to {difference(here, there):.3g} of the largest."
                )
    return ""


def _other_outputs(model: keras.Model, inputs: Any) -> str:
    import tensorflow as tf

    layers = {layer.name: (layer, output) for layer, output in _outputs(model)}
    watched = keras.Model(model.inputs, {name: output for name, (_, output) in layers.items()})
    live = watched.predict(inputs, batch_size=EXAMPLES, verbose=0)
    traced = tf.function(lambda batch: watched(batch, training=False))
    tensors = keras.tree.map_structure(tf.convert_to_tensor, inputs)
    graph, again = traced(tensors), traced(tensors)
    for name, (layer, _) in layers.items():
        found = (keras.tree.flatten(outputs[name]) for outputs in (live, graph, again))
        for there, here, second in zip(*found, strict=True):
            largest = difference(np.asarray(there), np.asarray(here))
            if not largest <= LAYER_TOLERANCE:
                random = not difference(np.asarray(here), np.asarray(second)) <= LAYER_TOLERANCE
                each = ", and it answers otherwise each time: it is random also when it predicts" if random else ""
                return (
                    f"The first layer that differs is {name!r} ({type(layer).__name__}), by {largest:.3g} of its "
                    f"largest output{each}."
                )
    return "Every layer answers alike, so the difference arises before or after the model."


def _outputs(model: keras.Model) -> Iterator[tuple[Any, Any]]:
    """Yield the layers that are called once, and their symbolic outputs."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.InputLayer):
            continue
        try:
            yield layer, layer.output
        except (AttributeError, ValueError):  # called several times, so that it has no single output
            continue


def difference(one: np.ndarray, other: np.ndarray) -> float:
    """Return the largest difference in units of the largest value, which is taken for 1 at least; nan for new NaN."""
    one, other = one.astype(np.float64), other.astype(np.float64)
    same = (one == other) | (np.isnan(one) & np.isnan(other))
    if same.all():
        return 0.0
    finite = np.abs(one[np.isfinite(one)])
    return float(np.abs(one[~same] - other[~same]).max()) / max(1.0, float(finite.max(initial=0.0)))
