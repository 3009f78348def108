"""Objects that a crafted configuration asks Keras to make, and where it asks for them: none may be made.

Every one is refused whatever the rest of the file says. Sources: CVE-2024-3660 (lambdas), CVE-2025-1550 and -8747 (any
function by its module), CVE-2025-9906 (switching safe mode off), CVE-2025-12058 (vocabularies from files and URLs).
"""

from __future__ import annotations

import base64
import json
import marshal
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.fuzz_mutations import CANARY, at, places


def register_evil() -> None:
    """Register a class as a program of somebody else's may have done, for crafted files to ask for."""
    import keras

    class Evil(keras.layers.Layer):
        def __init__(self, **_: Any):
            super().__init__()
            Path(CANARY, "written").touch()

    keras.saving.register_keras_serializable("evil", "Evil")(Evil)
    keras.saving.register_keras_serializable("kerasdl", "Evil")(Evil)


def _named(module: Any, name: str, config: Any, registered: Any = None) -> dict[str, Any]:
    return {"module": module, "class_name": name, "config": config, "registered_name": registered}


def _function(module: str, name: str) -> dict[str, Any]:
    return _named(module, "function", name, name)


def _lambda() -> dict[str, Any]:
    code = compile(f"(lambda x: open('{CANARY}/written', 'w') and x)", "x", "eval").co_consts[0]
    body = base64.b64encode(marshal.dumps(code)).decode()
    return {"class_name": "__lambda__", "config": {"value": [body, None, None]}}


FUNCTIONS = (
    *(("os", "system"), ("builtins", "eval"), ("builtins", "exec"), ("posix", "system"), ("subprocess", "run")),
    *(("keras.utils", "get_file"), ("keras.models", "load_model"), ("keras.saving", "load_weights")),
    *(("keras.config", "enable_unsafe_deserialization"), ("keras.src.saving.serialization_lib", "SafeModeScope")),
    *(("keras.src.utils.file_utils", "copy"), ("keras.src.backend.common.global_state", "set_global_attribute")),
    *(("keras.preprocessing.image", "save_img"), ("keras.utils", "split_dataset"), ("keras.ops", "map")),
    *(("keras.src.utils.io_utils", "print_msg"), ("keras.visualization", "plot_image_gallery"), ("evil", "touch")),
)
OBJECTS: dict[str, Any] = {
    **{f"{module}.{name}": _function(module, name) for module, name in FUNCTIONS},
    "lambda": _lambda(),
    "Lambda of a lambda": _named("keras.layers", "Lambda", {"name": "a", "function": _lambda()}),
    "Lambda of a function": _named(
        "keras.layers", "Lambda", {"name": "a", "function": _function("keras.utils", "get_file"), "arguments": {}}
    ),
    "Lambda by its own module": _named("keras.src.layers.core.lambda_layer", "Lambda", {"function": _lambda()}),
    "TFSMLayer": _named("keras.layers", "TFSMLayer", {"filepath": CANARY, "name": "a"}),
    "JaxLayer": _named("keras.layers", "JaxLayer", {"call_fn": _lambda(), "name": "a"}),
    "TorchModuleWrapper": _named("keras.layers", "TorchModuleWrapper", {"module": "gASVHg==", "name": "a"}),
    "StringLookup": _named("keras.layers", "StringLookup", {"vocabulary": f"{CANARY}/secret.txt", "name": "a"}),
    "IntegerLookup": _named("keras.layers", "IntegerLookup", {"vocabulary": f"{CANARY}/secret.txt", "name": "a"}),
    "TextVectorization": _named("keras.layers", "TextVectorization", {"vocabulary": f"{CANARY}/secret.txt"}),
    "lookup of an address": _named("keras.layers", "StringLookup", {"vocabulary": "http://127.0.0.1:1/x"}),
    "Hashing": _named("keras.layers", "Hashing", {"num_bins": 3, "name": "a"}),
    "FeatureSpace": _named("keras.utils", "FeatureSpace", {"features": {}}),
    "a type of TensorFlow": {
        "class_name": "__typespec__",
        "spec_name": "TensorSpec",
        "module": "tensorflow.python.framework.tensor_spec",
        "registered_name": None,
        "config": [[1], "float32", "a"],
    },
    "another's class": _named("evil", "Evil", {}, "evil>Evil"),
    "a class posing as the kit's": _named("kerasdl.layers", "Evil", {}, "kerasdl>Evil"),
    "a class posing as Keras's": _named("keras.layers", "Dense", {"units": 1, "name": "a"}, "evil>Evil"),
    "a class by its name alone": {"class_name": "evil>Evil", "config": {}},
    "a class of Keras's tests": _named("keras.src.testing.test_case", "TestCase", {}),
    "a callback": _named("keras.callbacks", "BackupAndRestore", {"backup_dir": CANARY}),
    "an operation of functions": _named("keras.src.ops.core", "Map", {}),
    "huge type": {"class_name": "__numpy__", "config": {"value": ["a"], "dtype": "S2000000000"}},
    "old format": {"class_name": "Lambda", "config": {"name": "a", "function": ["4wEAAAA=", None, None]}},
}
WRAPPERS = {
    "itself": lambda inner: inner,
    "TimeDistributed": lambda inner: _named("keras.layers", "TimeDistributed", {"layer": inner, "name": "w"}),
    "Bidirectional": lambda inner: _named("keras.layers", "Bidirectional", {"layer": inner, "name": "w"}),
    "RNN": lambda inner: _named("keras.layers", "RNN", {"cell": inner, "name": "w"}),
    "Sequential": lambda inner: _named("keras", "Sequential", {"name": "w", "layers": [inner]}),
    "Activation": lambda inner: _named("keras.layers", "Activation", {"activation": inner, "name": "w"}),
    "Dense": lambda inner: _named("keras.layers", "Dense", {"units": 1, "kernel_initializer": inner, "name": "w"}),
    "constraint": lambda inner: _named("keras.layers", "Dense", {"units": 1, "kernel_constraint": inner}),
    "legacy": lambda inner: {"class_name": "TimeDistributed", "config": {"layer": inner, "name": "w"}},
}


def poisoned(text: bytes, name: str, wrapper: str, rng: np.random.Generator) -> bytes:
    """Return a configuration that asks for an object: in place of one that it has, or of a layer, or beside them."""
    found, bad = json.loads(text), WRAPPERS[wrapper](OBJECTS[name])
    layers = found["config"]["layers"]
    kind = int(rng.integers(0, 4))
    if kind == 0:  # a layer among the others, called on what the first one gives
        node = {"args": [json.loads(json.dumps(first_tensor(layers)))], "kwargs": {}}
        layers.append({**bad, "name": "a", "inbound_nodes": [node]})
        found["config"]["output_layers"] = ["a", 0, 0]
    elif kind == 1:  # a layer that is called on a word: where CVE-2025-1550 put its argument
        layers.append({**bad, "name": "a", "inbound_nodes": [{"args": ["touch"], "kwargs": {"inputs": CANARY}}]})
    elif kind == 2:
        paths = [path for path in places(found) if path and isinstance(at(found, path), dict)]
        paths = [path for path in paths if "class_name" in at(found, path) and "compile_config" not in path]
        *path, key = paths[int(rng.integers(0, len(paths)))]
        kept = {
            mark: at(found, (*path, key))[mark] for mark in ("name", "inbound_nodes") if mark in at(found, (*path, key))
        }
        at(found, tuple(path))[key] = {**bad, **kept}
    else:  # how the model is built, or what a layer is called with
        target = layers[int(rng.integers(0, len(layers)))]
        if rng.random() < 0.5 or not target["inbound_nodes"]:
            target["build_config"] = {"input_shape": [None, 3], "x": bad}
        else:
            target["inbound_nodes"][0]["kwargs"]["mask"] = bad
    return json.dumps(found).encode()


def first_tensor(value: Any) -> Any:
    """Return the first tensor that a configuration mentions."""
    return next(at(value, path) for path in places(value) if _is_tensor(at(value, path)))


def _is_tensor(value: Any) -> bool:
    return isinstance(value, dict) and value.get("class_name") == "__keras_tensor__"


def objects(text: bytes, rng: np.random.Generator) -> bytes:
    """Return a configuration with any of `OBJECTS` in any of `WRAPPERS`."""
    name, wrapper = rng.choice(list(OBJECTS)), rng.choice(list(WRAPPERS))
    return poisoned(text, str(name), str(wrapper) if rng.random() < 0.5 else "itself", rng)
