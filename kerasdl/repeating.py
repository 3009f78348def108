"""The code that repeats a run, on the command line and in Python: the arguments that are not the recipe's defaults."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import shlex
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from kerasdl.configuration import WITHOUT_EFFECT

# What `Dataset.source` says of data that came from memory.
IN_MEMORY = ("arrays", "tf.data")
LONGEST_LINE = 100


def repeat_code(recipe: str, config: Mapping[str, Any], directory: Path | None) -> dict[str, str]:
    """Return the code that repeats a run, by what it is for.

    Args:
        recipe: Its name.
        config: The resolved configuration.
        directory: The run's folder, if it has one.

    Returns:
        In Python always; on the command line where everything can be typed there; from the folder where there is one.

    Example:
        >>> repeat_code("image_classification", {"data": "digits", "epochs": 3}, None)["On the command line"]
        'kerasdl train image_classification --data digits --epochs 3'
    """
    parameters = _parameters(recipe)
    chosen = _chosen(parameters, config)
    in_memory = config.get("data") in IN_MEMORY
    code = {}
    words = _words(chosen, switches={name for name, each in parameters.items() if each.annotation in ("bool", bool)})
    if not in_memory and words is not None:
        data = shlex.quote(str(config["data"]))
        code["On the command line"] = _broken([f"kerasdl train {recipe} --data {data}", *words], " ", " \\\n    ")
    if directory is not None and not in_memory:
        code["From its folder, with every argument as it was resolved"] = f"kerasdl rerun {shlex.quote(str(directory))}"
    first = "data" if in_memory else repr(config.get("data")).replace("'", '"')
    arguments = [first, *(f"{name}={value!r}" for name, value in chosen.items())]
    call = _broken([f"result = {recipe}.train({arguments[0]}", *arguments[1:]], ", ", ",\n    ")
    note = "# data: the same, which came from memory\n" if in_memory else ""
    code["In Python"] = f"from recipes import {recipe}\n\n{note}{call})"
    return code


def _broken(parts: Sequence[str], together: str, apart: str) -> str:
    """Return parts on one line, or each on a line of its own where that would be too long."""
    line = together.join(parts)
    return line if len(line) <= LONGEST_LINE else apart.join(parts)


def _parameters(recipe: str) -> dict[str, inspect.Parameter]:
    """Return the parameters of a recipe's `train`; none where there is no such recipe: a folder may name anything."""
    known = recipe.isidentifier() and importlib.util.find_spec("recipes") is not None
    if not known or importlib.util.find_spec(f"recipes.{recipe}") is None:
        return {}
    train = getattr(importlib.import_module(f"recipes.{recipe}"), "train", None)
    return dict(inspect.signature(train).parameters) if train else {}


def _chosen(parameters: Mapping[str, inspect.Parameter], config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments that have an effect and another value than the recipe has by default."""
    return {
        name: value
        for name, value in config.items()
        if name not in (*WITHOUT_EFFECT, "data", "data_fingerprint")
        and not _same(value, parameters[name].default if name in parameters else None)
    }


def _same(value: Any, default: Any) -> bool:
    plain = list(default) if isinstance(default, tuple) else default
    return type(value) is type(plain) and value == plain


def _words(arguments: Mapping[str, Any], *, switches: Collection[str]) -> list[str] | None:
    """Return arguments as options, or None where one of them cannot be typed."""
    words = []
    for name, value in arguments.items():
        if value is None or isinstance(value, Mapping) or (name in switches and not value):
            return None
        if name in switches:
            words.append(f"--{name}")
        elif isinstance(value, (list, tuple)):
            if not value or not all(isinstance(each, (int, float, str)) for each in value):
                return None
            words.append(f"--{name} {' '.join(shlex.quote(str(each)) for each in value)}")
        else:
            words.append(f"--{name} {shlex.quote(str(value).lower() if isinstance(value, bool) else str(value))}")
    return words
