"""Finding the recipe that is trained many times, for `search` and `improve`."""

from __future__ import annotations

import importlib
import inspect
from types import ModuleType
from typing import Any

from kerasdl.errors import InputError


def find_recipe(recipe: ModuleType | str, data: Any) -> tuple[Any, Any]:
    """Return a recipe's module, and the data, which are its embedded sample where None are given.

    Args:
        recipe: A module such as `recipes.image_classification`, or its name, with a dot or without.
        data: As the recipe's `train` takes them, or None.

    Raises:
        InputError: For a module that is no recipe.
    """
    module: Any = recipe
    if isinstance(recipe, str):
        module = importlib.import_module(recipe if "." in recipe else f"recipes.{recipe}")
    missing = [name for name in ("train", "space", "resolve", "load") if not hasattr(module, name)]
    if missing:
        raise InputError(
            "recipe",
            received=f"{module!r}, which has no {missing[0]}",
            expected="a recipe, such as recipes.image_classification, or its name",
            mend="Pass it after: from recipes import image_classification.",
        )
    return module, inspect.signature(module.train).parameters["data"].default if data is None else data
