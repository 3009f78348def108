"""The command line, generated from the recipes' own signatures. Light until a command runs."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

from cyclopts import App, CycloptsError, Parameter

import kerasdl
import kerasdl.checks
from kerasdl.errors import InputError, check_choice
from recipes import commands
from recipes.commands import free_directory, name_of, start_keras
from recipes.many_trainings import IMPROVE_OPTIONS, SEARCH_OPTIONS, improve_command, search_command
from recipes.typed import as_options, from_words, typed_parameters

RECIPES = (
    "image_classification",
    "fine_tuning",
    "text_classification",
    "language_model",
    "forecasting",
    "sequence_classification",
    "object_detection",
)
EXPORT = Annotated[str | None, Parameter(help="Folder of the exported model; by default saved_models/NAME.")]
NO_EXPORT = Annotated[bool, Parameter(help="Train without exporting.")]


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
            "format",
            "quantization",
            *SEARCH_OPTIONS,
            *IMPROVE_OPTIONS,
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
    improve = App(name="improve", help="Train a recipe, try the remedies of its diagnosis, and keep those that help.")
    for name in RECIPES:
        improve.command(improve_command(name), name=name)
    improve.default(unknown_recipe)
    app.command(improve)
    for name in ("predict", "export", "report", "diagnose", "rerun", "compare"):
        app.command(getattr(commands, name))
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
    print(commands.export_line(result.export(export)))


def unknown_recipe(recipe: str = "", /, *words: str) -> None:
    """Train a recipe, measure and diagnose it, and export it.

    Args:
        recipe: Name of the recipe.
        words: Its options.
    """
    check_choice("recipe", recipe, RECIPES)


if __name__ == "__main__":
    sys.exit(main())
