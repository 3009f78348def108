"""A run's configuration: every argument as resolved, JSON-able, printed for people, never written by halves."""

from __future__ import annotations

import inspect
import json
import numbers
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

# Recorded beside the arguments; a recipe accepts them back and ignores them.
RECORDED = ("versions", "hardware", "data_fingerprint")
# How a run is watched and kept does not change what comes out of it; neither do other machines, as far as one can say.
WITHOUT_EFFECT = ("versions", "hardware", "verbose", "directory", "resume", "checkpoint_every")


def jsonable(value: Any) -> Any:
    """Return `value` as JSON can hold it: tuples become lists, Keras objects their serialized form, paths strings."""
    if isinstance(value, Mapping):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [jsonable(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, numbers.Real) and not isinstance(value, (bool, int, float)):  # NumPy's scalars
        return int(value) if isinstance(value, numbers.Integral) else float(value)
    if hasattr(value, "get_config"):
        import keras

        return keras.saving.serialize_keras_object(value)
    return value


def matching(function: Callable[..., Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of `arguments` that `function` takes by keyword."""
    parameters = inspect.signature(function).parameters.values()
    names = [parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY]
    return {name: arguments[name] for name in names if name in arguments}


def describe(config: Mapping[str, Any]) -> str:
    """Return the configuration as text, one `name = value` a line, the recorded facts last."""
    width = max(map(len, config))
    lines = [f"  {name:<{width}} = {value!r}" for name, value in config.items() if name not in RECORDED]
    recorded = [
        f"  {name:<{width}} : {', '.join(f'{key} {fact}' for key, fact in config[name].items())}"
        for name in RECORDED
        if isinstance(config.get(name), Mapping)
    ]
    return "\n".join([*lines, *recorded])


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Return name and both values of what differs between two configurations and has an effect on the outcome."""
    names = [*one, *(name for name in other if name not in one)]
    return [
        (name, one.get(name), other.get(name))
        for name in names
        if name not in WITHOUT_EFFECT and one.get(name) != other.get(name)
    ]


def write_text(path: Path, text: str) -> None:
    """Write a text file beside its place and rename it, so that it is whole or not there."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with open(beside, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as JSON in the way of :func:`write_text`."""
    write_text(path, json.dumps(jsonable(value), indent=1, ensure_ascii=False) + "\n")
