"""The command line, generated from the recipes' own signatures. Light until a command runs."""

from __future__ import annotations

import importlib
import inspect
import itertools
import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

from cyclopts import App, CycloptsError, Parameter

import kerasdl
import kerasdl.keywords
from kerasdl.errors import InputError, check_choice
from recipes.typed import NUMBERS, as_options, from_words, typed_annotation

RECIPES = ("image_classification",)
_RECORDED = ("versions", "hardware")
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
    except KeyboardInterrupt:
        print("kerasdl: stopped", file=sys.stderr)
        return 130
    except Exception as error:
        if debug:
            raise
        print(f"kerasdl: {type(error).__name__}: {one_line(error)} (--debug shows where)", file=sys.stderr)
        return 1
    return 0


def one_line(error: Exception) -> str:
    """Return an error's message on one line."""
    return " ".join(str(error).split())


def option_names() -> list[str]:
    """Return the keywords of all recipes, and what the other commands have."""
    recipes = (importlib.import_module(f"recipes.{name}") for name in RECIPES)
    return sorted(
        {"top", "output", *(name for recipe in recipes for name in inspect.signature(recipe.train).parameters)}
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
    )
    train = App(name="train", help="Train a recipe, measure and diagnose it, and export it.")
    for name in RECIPES:
        train.command(train_command(name), name=name)
    train.default(unknown_recipe)
    app.command(train)
    for command in (predict, report, diagnose):
        app.command(command)
    return app


def train_command(name: str) -> Callable[..., None]:
    """Make the command that trains the recipe `name`: the keywords of its `train` that can be typed, and the export."""
    recipe = importlib.import_module(f"recipes.{name}")
    signature = inspect.signature(recipe.train)
    typed = [
        parameter.replace(annotation=annotation)
        for parameter in signature.parameters.values()
        if parameter.name not in _RECORDED and (annotation := typed_annotation(parameter.annotation)) is not None
    ]

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


def name_of(data: str) -> str:
    """Return a folder name for a run on `data`."""
    path = Path(data)
    name = path.resolve().stem if os.path.exists(path) else data.removeprefix("tfds:").split("/")[0]
    return re.sub(r"[^\w.-]+", "_", name)[:100] or "data"


def free_directory(name: str) -> Path:
    """Return runs/NAME, or runs/NAME-2, runs/NAME-3, … when there is a run already."""
    return next(
        path
        for path in (Path("runs") / (name if count == 1 else f"{name}-{count}") for count in itertools.count(1))
        if not path.exists()
    )


def start_keras() -> None:
    """Import Keras and wake its backend without the start-up notes that TensorFlow writes whatever its log level is."""
    if os.environ.get("TF_CPP_MIN_LOG_LEVEL") != "3":
        return
    kept, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try:
        import keras

        keras.ops.zeros(1)
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(null)


def run_training(recipe: ModuleType, data: str, export: str | None, keywords: dict[str, Any]) -> None:
    """Check, train, export, and say where things are."""
    if keywords.get("directory") is None:
        keywords["directory"] = str(free_directory(name_of(data)))
    recipe.resolve(data=data, **keywords)
    if export is not None:
        kerasdl.keywords.folder("export", export)
    start_keras()
    result = recipe.train(data, **keywords)
    if export is None:
        return
    version = result.export(export)
    parity = json.loads((version / "assets.extra" / "kerasdl.json").read_text("utf-8"))["parity"]
    print(
        f"Export: {version} (verified: reloaded, {parity['examples']} test images, scores differ by at most "
        f"{parity['max_difference']:.1e} from the trained model)"
    )


def unknown_recipe(recipe: str = "", /, *words: str) -> None:
    """Train a recipe, measure and diagnose it, and export it.

    Args:
        recipe: Name of the recipe.
        words: Its options.
    """
    check_choice("recipe", recipe, RECIPES)


def predict(model: str, image: str, /, *images: str, top: Annotated[int, NUMBERS] = 3) -> None:
    """Classify image files with an exported model.

    Args:
        model: Folder of the export, such as saved_models/digits.
        image: Path of an image file.
        images: More of them.
        top: How many classes to show for each image.
    """
    from kerasdl.export import find_exported, load_exported

    folder = find_exported(model)
    kerasdl.keywords.integer(1)("top", top)
    for path in (image, *images):
        if not Path(path).is_file():
            raise InputError(path, received="no such file", expected="an image file", mend="Check the path.")
    start_keras()
    exported = load_exported(folder)
    if not exported.class_names or "encoded" not in exported.signatures:
        raise InputError(
            str(folder),
            received="a SavedModel that does not take image files",
            expected="what kerasdl exported for grey or colour images",
            mend="Pass the folder of such an export, or load this one in Python.",
        )
    # One line an image as it comes: a bad file later does not hide the answers before it.
    for path in (image, *images):
        scores = exported.predict(path)["scores"][0]
        best = scores.argsort()[::-1][:top]
        print(f"{path}: " + ", ".join(f"{exported.class_names[index]} {scores[index]:.4f}" for index in best))


def report(directory: str, /, *, output: str | None = None) -> None:
    """Write the report of a finished run, one HTML page.

    Args:
        directory: The run's folder, such as runs/digits.
        output: The page; by default report.html in the run's folder.
    """
    check_run(directory)
    page = Path(output or Path(directory) / "report.html")
    if page.is_dir() or not page.absolute().parent.is_dir():
        raise InputError(
            "output",
            received=repr(str(page)),
            expected="a file in a folder that exists",
            mend="Try output=report.html.",
        )
    start_keras()
    print(kerasdl.Result.load(directory).report(page))


def diagnose(directory: str, /) -> None:
    """Say what was wrong with a finished training, and what mends it.

    Args:
        directory: The run's folder, such as runs/digits.
    """
    check_run(directory)
    start_keras()
    print(kerasdl.Result.load(directory).summary())


def check_run(directory: str) -> None:
    """Check for the folder of a finished run, before anything heavy is imported."""
    if not (Path(directory) / "result.json").is_file():
        raise InputError(
            directory,
            received="no finished run",
            expected="a folder with result.json, such as runs/digits",
            mend="Check the path, or let the training end.",
        )


if __name__ == "__main__":
    sys.exit(main())
