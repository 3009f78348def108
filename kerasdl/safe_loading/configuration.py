"""What a saved model's configuration may name: plain layers and what belongs to them, never a function or a file.

Keras makes whatever object of its public interface a configuration names, and imports modules of its own to find
others. The lists here are taken from that interface but for what runs code, reads files or leaves Keras: Lambda,
TFSMLayer, the layers that wrap a module of JAX, Flax or PyTorch, and the lookup layers, whose vocabulary may be a path
or an address on the network (CVE-2025-12058).
"""

from __future__ import annotations

import functools
import importlib
import inspect
import math
from collections.abc import Mapping
from typing import Any

import keras

PACKAGE = "kerasdl"
MOST_OBJECTS, LARGEST_INPUT = 50_000, 1 << 28

# By the package of Keras that a layer lives in, so that a new layer of another kind is not let in unseen.
_LAYER_PACKAGES = (
    "keras.src.layers.activations.",
    "keras.src.layers.attention.",
    "keras.src.layers.convolutional.",
    "keras.src.layers.merging.",
    "keras.src.layers.normalization.",
    "keras.src.layers.pooling.",
    "keras.src.layers.regularization.",
    "keras.src.layers.reshaping.",
    "keras.src.layers.rnn.",
)
_LAYERS = (
    *("Dense", "EinsumDense", "Embedding", "Identity", "InputLayer", "Masking", "ReversibleEmbedding"),
    *("CenterCrop", "Normalization", "Rescaling", "Resizing"),
)
_OPERATIONS = ("numpy", "math", "nn", "linalg")
# The other operations of `core` take functions.
_CORE_OPERATIONS = (
    "Cast",
    "ConvertToTensor",
    "Scatter",
    "ScatterUpdate",
    "Shape",
    "Slice",
    "SliceUpdate",
    "StopGradient",
)
# Layers of pretrained networks, which Keras does not make public.
_OF_NETWORKS = (
    ("keras.src.applications.convnext", "LayerScale"),
    ("keras.src.applications.convnext", "StochasticDepth"),
    ("keras.src.applications.inception_resnet_v2", "CustomScaleLayer"),
)
# Data as configurations spell it, with what else may stand beside its value.
_DATA = {
    "__keras_tensor__": {"shape", "dtype", "keras_history"},
    "__tensor__": {"value", "dtype"},
    "__numpy__": {"value", "dtype"},
    "__slice__": {"start", "stop", "step"},
    "__ellipsis__": set(),
}
_DTYPES = (
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", "bfloat16", "float32", "float64", "string"),
)
# Keras looks at these to decide what a mapping is.
_MARKS = ("class_name", "registered_name", "module", "fn_name", "spec_name", "function", "__lambda__")
_OBJECT = {"module", "class_name", "config", "registered_name", "build_config", "shared_object_id"}
_LAYER = _OBJECT | {"name", "inbound_nodes"}


@functools.cache
def allowed_objects() -> frozenset[tuple[str, str]]:
    """Return module and name of all objects of Keras that a configuration may name."""
    found = {
        ("keras", "DTypePolicy"),
        ("keras", "Sequential"),
        ("keras.src.models.functional", "Functional"),
        *_OF_NETWORKS,
    }
    found |= {
        ("keras.layers", name)
        for name, kind in vars(keras.layers).items()
        if inspect.isclass(kind)
        and issubclass(kind, keras.layers.Layer)
        and (name in _LAYERS or kind.__module__.startswith(_LAYER_PACKAGES))
    }
    for module, base in (
        (keras.initializers, keras.initializers.Initializer),
        (keras.regularizers, keras.regularizers.Regularizer),
        (keras.constraints, keras.constraints.Constraint),
    ):
        # Functions are not in these lists: whatever is named is a class, made from numbers.
        found |= {
            (module.__name__, name)
            for name, kind in vars(module).items()
            if inspect.isclass(kind) and issubclass(kind, base)
        }
    for part in (*_OPERATIONS, "core"):
        module = importlib.import_module(f"keras.src.ops.{part}")
        found |= {
            (module.__name__, name)
            for name, kind in vars(module).items()
            if inspect.isclass(kind)
            and issubclass(kind, keras.Operation)
            and kind.__module__ == module.__name__
            and (part != "core" or name in _CORE_OPERATIONS)
        }
    return frozenset(found)


def checked_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a model's configuration without how it was compiled, if it names plain objects only.

    Args:
        config: The object in config.json, read strictly, see :func:`kerasdl.safe_loading.strict_json.parse_json`.

    Raises:
        ValueError: When anything else is in it.
    """
    if config.get("class_name") not in ("Functional", "Sequential"):
        raise ValueError(f"it is a {str(config.get('class_name'))[:80]!r} and no model of layers")
    walk = _Walk()
    found = walk.copy(config)
    if walk.unrolls and walk.longest > 4096:
        raise ValueError("a recurrent layer that lays out more than 4096 steps one after another")
    return found


class _Walk:
    """One walk over a configuration, which copies it."""

    def __init__(self) -> None:
        self.left = MOST_OBJECTS
        self.unrolls = False
        self.longest = 0

    def copy(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            if "class_name" in value:
                return self._object(value)
            if any(mark in value for mark in _MARKS):
                raise ValueError(f"something is named and is no object: {', '.join(map(str, value))[:80]}")
            self.unrolls |= value.get("unroll") not in (None, False)
            if "layers" in value:
                self._check_layers(value["layers"])
            if "batch_shape" in value:
                self._check_shape(value["batch_shape"])
            return {key: self.copy(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.copy(item) for item in value]
        if isinstance(value, str) and ">" in value and not value.startswith(f"{PACKAGE}>"):
            # Objects that a program has registered can be asked for by name alone wherever a name may stand.
            raise ValueError(f"{value[:80]!r} is not of this kit")
        return value

    def _object(self, value: Mapping[str, Any]) -> dict[str, Any]:
        self.left -= 1
        if self.left < 0:
            raise ValueError(f"more than {MOST_OBJECTS} objects")
        name, inner = value["class_name"], value.get("config")
        if name in _DATA and value.keys() == {"class_name", "config"} and isinstance(inner, Mapping):
            return self._data(name, inner)
        if not value.keys() <= _LAYER | {"compile_config"} or not {"module", "registered_name"} <= value.keys():
            raise ValueError(f"{str(name)[:80]!r} is no object as Keras writes it")
        if name == "function" or not isinstance(inner, Mapping) or not _is_allowed(value):
            raise ValueError(f"{str(value['module'])[:60]}.{str(name)[:60]} is no layer that may be loaded")
        if "inbound_nodes" in value:
            _check_nodes(value["inbound_nodes"])
        # How a model was compiled names losses and metrics; Keras would read it for models inside of models.
        return {key: self.copy(item) for key, item in value.items() if key != "compile_config"}

    def _data(self, name: str, inner: Mapping[str, Any]) -> dict[str, Any]:
        if inner.keys() != _DATA[name]:
            raise ValueError(f"{name} with {', '.join(inner)[:80]}")
        if "dtype" in inner and inner["dtype"] not in _DTYPES:
            # NumPy takes "S1000000000" for a type of a billion bytes.
            raise ValueError(f"numbers of type {str(inner['dtype'])[:80]!r}")
        if name == "__keras_tensor__":
            self._check_shape(inner["shape"])
        return {"class_name": name, "config": {key: self.copy(item) for key, item in inner.items()}}

    def _check_layers(self, layers: Any) -> None:
        if not isinstance(layers, list) or not all(isinstance(layer, Mapping) for layer in layers):
            raise ValueError("the layers are no list of layers")
        if not all("class_name" in layer for layer in layers):
            raise ValueError("a layer without a class")

    def _check_shape(self, shape: Any) -> None:
        if not isinstance(shape, list) or not all(side is None or (type(side) is int and side >= 0) for side in shape):
            raise ValueError(f"a tensor of shape {str(shape)[:80]}")
        sides = [side for side in shape if side is not None]
        if math.prod(sides) > LARGEST_INPUT:
            raise ValueError(f"a tensor of shape {str(shape)[:80]}")
        self.longest = max([self.longest, *sides])


def _is_allowed(value: Mapping[str, Any]) -> bool:
    module, name, registered = value["module"], value["class_name"], value["registered_name"]
    if not isinstance(module, str) or not isinstance(name, str):
        return False
    if isinstance(registered, str) and ">" in registered:
        found = keras.saving.get_custom_objects().get(registered)
        ours = registered == f"{PACKAGE}>{name}" and inspect.isclass(found) and issubclass(found, keras.Operation)
        return ours and found.__module__.partition(".")[0] == PACKAGE
    return registered in (None, name) and (module, name) in allowed_objects()


def _check_nodes(nodes: Any) -> None:
    # A call on tensors that stand for others computes shapes only; one on numbers computes, and may be of any size.
    for node in nodes if isinstance(nodes, list) else [None]:
        if not isinstance(node, Mapping) or node.keys() != {"args", "kwargs"} or not _has_tensor(node):
            raise ValueError("a layer that is not called on the output of another layer")


def _has_tensor(value: Any) -> bool:
    if isinstance(value, Mapping):
        return value.get("class_name") == "__keras_tensor__" or any(map(_has_tensor, value.values()))
    return isinstance(value, list) and any(map(_has_tensor, value))
