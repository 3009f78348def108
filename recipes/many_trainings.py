"""The commands that train a recipe many times, `search` and `improve`: their own options, and those of `train`."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Collection
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

from cyclopts import Parameter

import kerasdl
from kerasdl.configuration import RECORDED
from recipes.commands import name_of, start_keras
from recipes.typed import from_words, typed_parameters

SEARCH_OPTIONS = {
    "max_trials": Annotated[int | None, Parameter(help="Different points of the space at most; by default 20.")],
    "tuner": Annotated[str | None, Parameter(help="random (the default), grid, bayesian or hyperband.")],
    "objective": Annotated[str | None, Parameter(help="What is searched by, such as val_loss or val_accuracy.")],
    "finalists": Annotated[int | None, Parameter(help="Trials that are trained again from other seeds; by default 3.")],
    "repeats": Annotated[int | None, Parameter(help="Seeds of each finalist in all, by default 3.")],
    "workers": Annotated[
        str | None, Parameter(help="Trials at the same time; or chief, or worker, on one of several.")
    ],
    "trial_minutes": Annotated[float | None, Parameter(help="Time after which a trial is stopped.")],
    "budget_minutes": Annotated[float | None, Parameter(help="Time after which the search is stopped.")],
    "directory": Annotated[
        str | None, Parameter(help="Folder of the search, by default searches/NAME. The same goes on.")
    ],
    "seed": Annotated[int | None, Parameter(help="Of the points and of all trainings, by default 0.")],
    "verbose": Annotated[int | None, Parameter(help="0 silent, 1 a live table on a terminal, 2 always lines.")],
}
IMPROVE_OPTIONS = {
    "rounds": Annotated[int | None, Parameter(help="Remedies that are tried at most, by default 3.")],
    "budget_minutes": Annotated[float | None, Parameter(help="No round begins that would end after this time.")],
    "directory": Annotated[
        str | None, Parameter(help="Folder of the attempts, by default improvements/NAME. The same goes on.")
    ],
    "verbose": Annotated[int | None, Parameter(help="0 silent, 1 what is tried and found, 2 also each training.")],
}
# What they set themselves for each training.
OWN = (*RECORDED, "directory", "verbose", "resume", "callbacks")


def search_command(name: str) -> Callable[..., None]:
    """Make the command that searches the recipe `name`."""

    def run(recipe: ModuleType, data: str, settings: dict[str, Any], keywords: dict[str, Any]) -> None:
        if str(settings.get("workers", "")).isdigit():
            settings["workers"] = int(settings["workers"])
        settings.setdefault("directory", str(Path("searches") / name_of(data)))
        recipe.resolve(data=data, **keywords)
        start_keras()
        importlib.import_module("kerasdl.search").search(recipe, data, **settings, **keywords)

    about = "Search hyperparameters; what is given of train is the same in all trials."
    return many_trainings_command(name, SEARCH_OPTIONS, run, about=about, without=(*OWN, "seed"))


def improve_command(name: str) -> Callable[..., None]:
    """Make the command that improves a training of the recipe `name` by its own findings."""

    def run(recipe: ModuleType, data: str, settings: dict[str, Any], keywords: dict[str, Any]) -> None:
        settings.setdefault("directory", str(Path("improvements") / name_of(data)))
        recipe.resolve(data=data, **keywords)
        start_keras()
        kerasdl.improve(recipe, data, **settings, **keywords)

    about = "Train, diagnose, and try the remedies; what is given of train is where it starts."
    return many_trainings_command(name, IMPROVE_OPTIONS, run, about=about, without=OWN)


def many_trainings_command(
    name: str, options: dict[str, Any], run: Callable[..., None], *, about: str, without: Collection[str]
) -> Callable[..., None]:
    """Make a command that trains the recipe `name` many times.

    Args:
        name: Of the recipe.
        options: The command's own, their types by their names.
        run: `(recipe, data, settings, keywords)`: those of the own options that are given, and those of `train`.
        about: What the command does.
        without: Arguments of `train` that it does not take.
    """
    recipe = importlib.import_module(f"recipes.{name}")
    signature = inspect.signature(recipe.train)
    given = [
        inspect.Parameter(each, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
        for each, annotation in options.items()
    ]
    # None stands for "not given": the recipe's own default, or what the search tries.
    fixed = [
        parameter if parameter.name == "data" else parameter.replace(default=None)
        for parameter in typed_parameters(recipe.train, without=without)
    ]
    parameters = [*fixed, *given]

    def command(*words: Any, **named: Any) -> None:
        bound = inspect.Signature(parameters).bind(*words, **named)
        values = {key: value for key, value in bound.arguments.items() if value is not None}
        data = values.pop("data", signature.parameters["data"].default)
        settings = {key: values.pop(key) for key in options if key in values}
        run(
            recipe,
            data,
            settings,
            {key: from_words(value, signature.parameters[key].annotation) for key, value in values.items()},
        )

    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    told = (inspect.getdoc(recipe.train) or "").partition("Args:\n")[2]
    command.__doc__ = f"{about}\n\nArgs:\n{told}"
    command.__name__ = name
    return command
