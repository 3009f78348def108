"""The command line, generated from the recipes' own signatures. Light until a command runs."""

from __future__ import annotations

import importlib
import inspect
import os
import re
import sys
from collections.abc import Callable, Collection
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

from cyclopts import App, CycloptsError, Parameter

import kerasdl
import kerasdl.checks
from kerasdl.configuration import RECORDED
from kerasdl.errors import InputError, check_choice
from recipes import commands
from recipes.commands import free_directory, start_keras
from recipes.typed import as_options, from_words, typed_annotation

RECIPES = (
    "image_classification",
    "fine_tuning",
    "text_classification",
    "language_model",
    "forecasting",
    "sequence_classification",
)
# What an export has been tried on, and which of its numbers were compared, by the kind of its inputs.
TRIED = {
    "images": ("images", "scores"),
    "text": ("texts", "scores"),
    "prompt": ("documents", "losses"),
    "series": ("series", "scores"),
    "forecast": ("windows", "forecasts"),
}
EXPORT = Annotated[str | None, Parameter(help="Folder of the exported model; by default saved_models/NAME.")]
NO_EXPORT = Annotated[bool, Parameter(help="Train without exporting.")]

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
# What a search sets itself for each trial.
SEARCHED = (*RECORDED, *SEARCH_OPTIONS, "resume", "callbacks")


def main(arguments: list[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: The words after the program's name; None takes them from the shell.

    Returns:
        0 done; 2 a bad input, told in one line; 1 anything else.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    if not debug:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        make_app()(words, exit_on_error=False, print_error=False)
    except InputError as error:
        if debug:
            raise
        print(f"kerasdl: {as_options(one_line(error), option_names())}", file=sys.stderr)
        return 2
    except CycloptsError as error:
        if debug:
            raise
        command = " ".join(("kerasdl", *(error.command_chain or ())))
        print(f"kerasdl: {one_line(error).rstrip('.')}. See {command} --help.", file=sys.stderr)
        return 2
    except KeyboardInterrupt as stop:
        print(f"kerasdl: {as_options(one_line(stop) or 'stopped', option_names())}", file=sys.stderr)
        return 130
    except Exception as error:
        if debug:
            raise
        print(f"kerasdl: {type(error).__name__}: {one_line(error)} (--debug shows where)", file=sys.stderr)
        return 1
    return 0


def one_line(error: BaseException) -> str:
    """Return an error's message on one line."""
    return " ".join(str(error).split())


def option_names() -> list[str]:
    """Return the keywords of all recipes, and what the other commands have."""
    recipes = (importlib.import_module(f"recipes.{name}") for name in RECIPES)
    return sorted(
        {
            "top",
            "output",
            *SEARCH_OPTIONS,
            *(name for recipe in recipes for name in inspect.signature(recipe.train).parameters),
        }
    )


def make_app() -> App:
    """Make the command line."""
    app = App(
        name="kerasdl",
        help="From data to a trained, diagnosed and exported model in one call.",
        help_epilogue="Exit status: 0 done; 2 bad input, told in one line; 1 anything else. --debug shows tracebacks.",
        version=kerasdl.__version__,
        # Options are written as the keywords are: --batch_size, not --batch-size.
        default_parameter=Parameter(name_transform=str, negative=(), consume_multiple=True),
        name_transform=str,
        result_action="return_value",
        # An interrupted training says where it stopped and how to go on.
        suppress_keyboard_interrupt=False,
    )
    train = App(name="train", help="Train a recipe, measure and diagnose it, and export it.")
    for name in RECIPES:
        train.command(train_command(name), name=name)
    train.default(unknown_recipe)
    app.command(train)
    search = App(name="search", help="Search a recipe's hyperparameters, and measure the winner once.")
    for name in RECIPES:
        search.command(search_command(name), name=name)
    search.default(unknown_recipe)
    app.command(search)
    for command in (commands.predict, commands.report, commands.diagnose, commands.rerun, commands.compare):
        app.command(command)
    return app


def train_command(name: str) -> Callable[..., None]:
    """Make the command that trains the recipe `name`: the keywords of its `train` that can be typed, and the export."""
    recipe = importlib.import_module(f"recipes.{name}")
    signature = inspect.signature(recipe.train)
    typed = typed_parameters(recipe.train)
    own = [
        inspect.Parameter("export", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=EXPORT),
        inspect.Parameter("no_export", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=NO_EXPORT),
    ]
    typed_signature = inspect.Signature([*typed, *own])

    def command(*words: Any, **options: Any) -> None:
        bound = typed_signature.bind(*words, **options)
        bound.apply_defaults()
        values = dict(bound.arguments)
        data, export, no_export = values.pop("data"), values.pop("export"), values.pop("no_export")
        keywords = {key: from_words(value, signature.parameters[key].annotation) for key, value in values.items()}
        run_training(
            recipe, data, None if no_export else f"saved_models/{name_of(data)}" if export is None else export, keywords
        )

    command.__signature__ = typed_signature  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in (*typed, *own)}
    command.__doc__ = recipe.train.__doc__
    command.__name__ = name
    return command


def typed_parameters(function: Callable[..., Any], *, without: Collection[str] = RECORDED) -> list[inspect.Parameter]:
    """Return the parameters of a function that can be typed, but those named."""
    return [
        parameter.replace(annotation=annotation)
        for parameter in inspect.signature(function).parameters.values()
        if parameter.name not in without and (annotation := typed_annotation(parameter.annotation)) is not None
    ]


def search_command(name: str) -> Callable[..., None]:
    """Make the command that searches the recipe `name`: the keywords of `search` and of `train` that can be typed."""
    recipe = importlib.import_module(f"recipes.{name}")
    signature = inspect.signature(recipe.train)
    fixed = typed_parameters(recipe.train, without=SEARCHED)
    given = [
        inspect.Parameter(each, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
        for each, annotation in SEARCH_OPTIONS.items()
    ]
    # None stands for "not given", so that the space decides.
    fixed = [parameter if parameter.name == "data" else parameter.replace(default=None) for parameter in fixed]

    def command(*words: Any, **options: Any) -> None:
        bound = inspect.Signature([*fixed, *given]).bind(*words, **options)
        values = {key: value for key, value in bound.arguments.items() if value is not None}
        data = values.pop("data", signature.parameters["data"].default)
        settings = {key: values.pop(key) for key in SEARCH_OPTIONS if key in values}
        if str(settings.get("workers", "")).isdigit():
            settings["workers"] = int(settings["workers"])
        keywords = {key: from_words(value, signature.parameters[key].annotation) for key, value in values.items()}
        settings.setdefault("directory", str(Path("searches") / name_of(data)))
        recipe.resolve(data=data, **keywords)
        start_keras()
        importlib.import_module("kerasdl.search").search(recipe, data, **settings, **keywords)

    parameters = [*fixed, *given]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    options = (inspect.getdoc(recipe.train) or "").partition("Args:\n")[2]
    command.__doc__ = f"Search hyperparameters; what is given of train is the same in all trials.\n\nArgs:\n{options}"
    command.__name__ = name
    return command


def name_of(data: str) -> str:
    """Return a folder name for a run on `data`."""
    path = Path(data)
    name = path.resolve().stem if os.path.exists(path) else data.removeprefix("tfds:").split("/")[0]
    return re.sub(r"[^\w.-]+", "_", name)[:100] or "data"


def run_training(recipe: ModuleType, data: str, export: str | None, keywords: dict[str, Any]) -> None:
    """Check, train, export, and say where things are."""
    if keywords.get("directory") is None:
        name = name_of(data)
        keywords["directory"] = str(Path("runs") / name if keywords.get("resume") else free_directory(name))
    recipe.resolve(data=data, **keywords)
    if export is not None:
        kerasdl.checks.folder("export", export)
    start_keras()
    result = recipe.train(data, **keywords)
    if export is None:
        return
    version = result.export(export)
    description = kerasdl.export.read_description(version)
    what, numbers = TRIED[description["inputs"]]
    parity = description["parity"]
    print(
        f"Export: {version} (verified: reloaded, {parity['examples']} test {what}, {numbers} differ by at most "
        f"{parity['max_difference']:.1e} from the trained model)"
    )
    if measured := kerasdl.export.accuracy_line(description):
        print(measured)


def unknown_recipe(recipe: str = "", /, *words: str) -> None:
    """Train a recipe, measure and diagnose it, and export it.

    Args:
        recipe: Name of the recipe.
        words: Its options.
    """
    check_choice("recipe", recipe, RECIPES)


if __name__ == "__main__":
    sys.exit(main())
