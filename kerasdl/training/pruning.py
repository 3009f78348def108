"""Pruning of units: a smaller model with the same outputs, once training has made weights exactly zero.

The network is read as a graph of groups: tensors whose channels go together, from the layers that make them through
normalization, activation, pooling and additions to the layers that read them. A channel goes only from a whole group.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from kerasdl.errors import InputError
from kerasdl.training import channels


def prune_units(model: keras.Model) -> keras.Model:
    """Return a smaller model with the same outputs, without the units and filters that its zeros made useless.

    A unit of a Dense layer or a filter of a Conv2D is removed, with its bias, its normalization parameters and the
    next layers' weights that read it, when those weights are all zero; or when its own incoming weights are all zero,
    so that it always gives the same value, which then moves into the next layers' biases. That value has to stay
    where it cannot move exactly: unless it is 0, at the border of a convolution with "same" padding. Units are
    followed through activations, batch normalization, dropout, pooling and flattening; where additions join tensors,
    a unit goes from all of them or from none. What meets any other layer is left as it is, and so is a layer that is
    used twice. One unit of each layer always stays.

    Args:
        model: A functional or sequential model, as trained by `kerasdl.training.proximal`. It is not changed.

    Returns:
        A new, uncompiled functional model with the same layer names; outputs equal in inference up to rounding.

    Raises:
        InputError: For a model whose graph is not known: a subclass, or one that has not been built.

    Example:
        >>> smaller = prune_units(model)
        >>> smaller.count_params() < model.count_params()
        True
    """
    try:
        sequential = isinstance(model, keras.Sequential)
        ends = (model.inputs[0], model.outputs[0]) if sequential else (model.input, model.output)
        functional = keras.Model(*ends, name=model.name)
        config = functional.get_config()
    except (AttributeError, ValueError, TypeError, NotImplementedError) as error:
        raise InputError(
            "model",
            received=f"{type(model).__name__} ({error})",
            expected="a functional or sequential model that has been built",
            mend="Build it of layers and keras.Input.",
        ) from None
    graph = _Graph(functional, config)
    graph.find_constants()
    graph.drop()
    pruned = keras.models.clone_model(functional, clone_function=graph.smaller_layer)
    for layer in pruned.layers:
        if layer.weights:
            layer.set_weights(graph.smaller_weights(layer.name))
    return pruned


class _Graph:
    """The model's tensors by (layer, node, index): their groups, their constant channels, and what is kept."""

    def __init__(self, model: keras.Model, config: dict[str, Any]):
        self.layers = {layer.name: layer for layer in model.layers}
        self.weights = {name: _named_weights(layer) for name, layer in self.layers.items()}
        self.sources: dict[str, list[Any]] = {}
        self.shapes: dict[Any, tuple[int | None, ...]] = {}
        twice = set()
        for entry in config["layers"]:
            twice |= {entry["name"]} if len(entry["inbound_nodes"]) > 1 else set()
            self.sources[entry["name"]] = []
            for node in entry["inbound_nodes"]:
                for tensor in _tensors(node):
                    key = tuple(tensor["keras_history"])
                    self.shapes[key] = tuple(tensor["shape"])
                    self.sources[entry["name"]].append(key)
        for name in self.layers:
            self.shapes.setdefault((name, 0, 0), ())
        # Only the last axis counts; a flattened tensor holds its group's channels `repeats` times.
        self.group: dict[Any, Any] = {key: key for key in self.shapes}
        self.repeats: dict[Any, int] = {}
        self.locked: set[Any] = set()
        self.kind = {name: "other" if name in twice else channels.kind_of(layer) for name, layer in self.layers.items()}
        for name in self.layers:
            self._join(name)
        for key in _output_keys(config["output_layers"]):
            self.locked.add(self._root(key))
        self.locked = {self._root(key) for key in self.locked}

    def _root(self, key: Any) -> Any:
        while self.group[key] != key:
            key = self.group[key]
        return key

    def _join(self, name: str) -> None:
        """Put the layer's input and output into one group where its channels go through, or lock both."""
        sources, output = self.sources[name], (name, 0, 0)
        kind = self.kind[name]
        self.repeats[output] = 1
        if kind == "through":
            for source in sources:
                self.group[self._root(source)] = self._root(output)
            self.repeats[output] = self.repeats.get(sources[0], 1)
            if isinstance(self.layers[name], keras.layers.Flatten):
                inner = self.shapes[sources[0]][1:-1]
                if None in inner:
                    self.locked.add(output)
                else:
                    self.repeats[output] *= math.prod(size for size in inner if size)
            if len({(self.shapes[source], self.repeats.get(source, 1)) for source in sources}) > 1:
                self.locked.add(output)
        elif kind == "other":
            self.locked |= {key for key in self.shapes if key[0] == name} | set(sources)

    def find_constants(self) -> None:
        """For every tensor, the value of each channel that never changes; NaN for those that do."""
        self.constants: dict[Any, np.ndarray | None] = {}
        for name, layer in self.layers.items():
            inputs = [self.constants.get(source) for source in self.sources[name]]
            known = None
            if self.kind[name] == "reads":
                known = self._constants_of_units(name, inputs[0])
            elif self.kind[name] == "through" and inputs and all(values is not None for values in inputs):
                known = channels.constants_through(
                    layer, inputs, self.weights[name], self.shapes[self.sources[name][0]]
                )
            self.constants[name, 0, 0] = known

    def _constants_of_units(self, name: str, inputs: np.ndarray | None) -> np.ndarray:
        layer, weights = self.layers[name], self.weights[name]
        kernel = channels.matrix(weights["kernel"])
        inputs = np.full(kernel.shape[1], np.nan) if inputs is None else inputs
        known = np.isfinite(inputs) & (channels.folds(layer) | (inputs == 0))
        values = np.where(known, inputs, 0.0)
        found = np.einsum("pio,i->o", kernel, values) + weights.get("bias", 0.0)
        found = channels.apply(layer.activation, found)
        moving = (kernel[:, ~known] != 0).any((0, 1))
        if channels.mixes(layer):
            moving[:] = True
        return np.where(moving, np.nan, found)

    def drop(self) -> None:
        """Find for every group which channels are kept."""
        readers = [name for name in self.layers if self.kind[name] == "reads"]
        for name in readers:
            if channels.mixes(self.layers[name]):
                self.locked.add(self._root((name, 0, 0)))
        self.keep = {
            self._root((name, 0, 0)): np.ones(self.weights[name]["kernel"].shape[-1], bool) for name in readers
        }
        changed = True
        while changed:
            changed = False
            for root, keep in self.keep.items():
                if root in self.locked:
                    continue
                needed = np.zeros(len(keep), bool)
                for name in readers:
                    source = self.sources[name][0]
                    if self._root(source) == root:
                        needed |= self._read(name, source).reshape(-1, len(keep)).any(0)
                needed &= keep
                needed[0] |= not needed.any()
                changed |= bool((needed != keep).any())
                self.keep[root] = needed

    def _read(self, name: str, source: Any) -> np.ndarray:
        """For each channel of `source`, whether the layer needs it: it is read, and cannot move into the bias."""
        kernel = channels.matrix(self.weights[name]["kernel"])
        read = (kernel[:, :, self.keep[self._root((name, 0, 0))]] != 0).any((0, 2))
        constants = self.constants.get(source)
        if constants is None:
            return read
        return read & ~(np.isfinite(constants) & (channels.folds(self.layers[name]) | (constants == 0)))

    def _kept(self, key: Any) -> np.ndarray | slice:
        keep = self.keep.get(self._root(key))
        return slice(None) if keep is None or keep.all() else np.tile(keep, self.repeats.get(key, 1))

    def _bias(self, name: str) -> np.ndarray | None:
        """The layer's bias with what the removed inputs gave, or None where there is none and none is needed."""
        bias, source = self.weights[name].get("bias"), self.sources[name][0]
        kept, constants = self._kept(source), self.constants.get(source)
        if isinstance(kept, slice) or constants is None:
            return bias
        gone = np.where(kept | ~np.isfinite(constants), 0.0, constants)
        if not gone.any():
            return bias
        return np.einsum("pio,i->o", channels.matrix(self.weights[name]["kernel"]), gone) + (
            0.0 if bias is None else bias
        )

    def smaller_layer(self, layer: keras.layers.Layer) -> keras.layers.Layer:
        """Return a copy of `layer` with the units that are kept."""
        config = layer.get_config()
        if self.kind.get(layer.name) == "reads":
            kept = self._kept((layer.name, 0, 0))
            count = int(np.ones(self.weights[layer.name]["kernel"].shape[-1])[kept].sum())
            config["units" if isinstance(layer, keras.layers.Dense) else "filters"] = count
            config["use_bias"] = self._bias(layer.name) is not None
        return layer.__class__.from_config(config)

    def smaller_weights(self, name: str) -> list[np.ndarray]:
        """Return the weights that are kept, in the order of the layer's own."""
        weights = self.weights[name]
        if self.kind[name] == "reads":
            bias, kept = self._bias(name), self._kept((name, 0, 0))
            kernel = weights["kernel"][..., self._kept(self.sources[name][0]), :][..., kept]
            return [kernel] if bias is None else [kernel, bias[kept]]
        if isinstance(self.layers[name], keras.layers.BatchNormalization) and self.kind[name] == "through":
            return [values[self._kept((name, 0, 0))] for values in weights.values()]
        return self.layers[name].get_weights()


def _named_weights(layer: keras.layers.Layer) -> dict[str, np.ndarray]:
    if isinstance(layer, (keras.layers.Dense, keras.layers.Conv2D, keras.layers.BatchNormalization)):
        return {variable.name: keras.ops.convert_to_numpy(variable) for variable in layer.weights}
    return {}


def _tensors(value: Any) -> Iterator[dict[str, Any]]:
    """Yield the tensors in a call's serialized arguments."""
    if isinstance(value, dict):
        if value.get("class_name") == "__keras_tensor__":
            yield value["config"]
        else:
            for item in value.values():
                yield from _tensors(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _tensors(item)


def _output_keys(value: Any) -> Iterator[Any]:
    """Yield the (layer, node, index) of the model's outputs, in whatever structure they are."""
    if isinstance(value, (list, tuple)) and len(value) == 3 and isinstance(value[0], str):
        yield tuple(value)
    else:
        for item in value.values() if isinstance(value, dict) else value:
            yield from _output_keys(item)
