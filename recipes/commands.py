"""The commands of the command line that work on what is there already: exports and runs."""

from __future__ import annotations

import importlib
import itertools
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import kerasdl
import kerasdl.checks
from kerasdl import configuration, run_directory
from kerasdl.comparison import configuration_changes, metrics_beside, write_comparison
from kerasdl.errors import InputError, check_page
from recipes.typed import NUMBERS

# Characters of a text that are repeated before its answer.
LONGEST_SHOWN = 60
# What an export has been tried on, and which of its numbers were compared, by the kind of its inputs.
TRIED = {
    "images": ("images", "scores"),
    "text": ("texts", "scores"),
    "prompt": ("documents", "losses"),
    "series": ("series", "scores"),
    "forecast": ("windows", "forecasts"),
    "detection": ("images", "boxes and scores"),
}
# Detections that are worth a line.
SHOWN_SCORE = 0.3


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


def free_directory(name: str) -> Path:
    """Return runs/NAME, or runs/NAME-2, runs/NAME-3, … when there is a run already."""
    return next(
        path
        for path in (Path("runs") / (name if count == 1 else f"{name}-{count}") for count in itertools.count(1))
        if not path.exists()
    )


def predict(model: str, raw: str, /, *more: str, top: Annotated[int, NUMBERS] = 3) -> None:
    """Answer image files, texts or files of series with an exported model, find objects, write texts, or forecast.

    Args:
        model: Folder of the export, such as saved_models/digits.
        raw: Path of an image file; for a model of texts, a text in quotes; for a language model, how a text begins;
            for a model of series, a .ts, .csv, .tsv or .npz file, of which each series gets a line; for a forecaster,
            a .csv or .tsv file with the columns of the training data, up to now.
        more: More of them.
        top: How many classes to show for each.
    """
    from kerasdl.export import find_exported, load_exported, read_description

    folder = find_exported(model)
    kerasdl.checks.integer(1)("top", top)
    description = read_description(folder)
    if not description:
        raise InputError(
            str(folder),
            received="a model without the description that an export by kerasdl has",
            expected="what kerasdl exported",
            mend="Export it with kerasdl, or load this one in Python.",
        )
    kind = description.get("inputs", "images")
    wanted = {
        "images": "an image file",
        "detection": "an image file",
        "series": "a file of series",
        "forecast": "a .csv or .tsv file",
    }
    for path in (raw, *more) if kind in wanted else ():
        if not Path(path).is_file():
            expected = wanted[kind]
            raise InputError(path, received="no such file", expected=expected, mend="Check the path.")
    files = read_files((raw, *more), description) if kind == "series" else {}
    start_keras()
    exported = load_exported(folder)
    if kind == "prompt":
        for each in (raw, *more):
            print(exported.generate(each))
        return
    if kind == "forecast":
        for each in (raw, *more):
            print("\n".join(forecast_lines(exported.predict(each), description["layout"]["columns"]["target"])))
        return
    if kind == "detection":
        for each in (raw, *more):
            print("\n".join([f"{each}:", *detection_lines(exported.predict(each))]))
        return
    if not exported.class_names or (kind == "images" and not exported.takes_files):
        raise InputError(
            str(folder),
            received="a model that does not take image files",
            expected="what kerasdl exported for grey or colour images, for texts, for series or for forecasts",
            mend="Pass the folder of such an export, or load this one in Python.",
        )
    for path, series in files.items():
        for number, scores in enumerate(exported.predict(series)["scores"], start=1):
            print(f"{path}, series {number}: {best_classes(exported.class_names, scores, top)}")
    if files:
        return
    # One line an input as it comes: a bad file later does not hide the answers before it.
    for each in (raw, *more):
        scores = exported.predict(each)["scores"][0]
        shown = each if kind == "images" or len(each) <= LONGEST_SHOWN else each[:LONGEST_SHOWN] + "…"
        print(f"{shown}: {best_classes(exported.class_names, scores, top)}")


def read_files(paths: Sequence[str], description: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return the series of each file, all checked before anything heavy is imported."""
    from kerasdl.data import read_unlabelled
    from kerasdl.export.raw_series import as_raw_series

    found = {path: read_unlabelled(Path(path), missing=description["missing"]) for path in paths}
    for path, series in found.items():
        as_raw_series(series, what=path, input_shape=description["input_shape"], missing=description["missing"])
    return found


def forecast_lines(outputs: Mapping[str, Any], targets: Sequence[str]) -> list[str]:
    """Return a table of forecasts: a line for each series and time ahead, and a header."""
    single = outputs["forecast"].ndim == 2
    named = len(outputs["series"]) > 1 or bool(outputs["series"][0])
    kinds = [kind for kind in ("forecast", "lower", "upper") if kind in outputs]
    header = (
        ["series"] * named + ["time"] + [kind if single else f"{name} {kind}" for name in targets for kind in kinds]
    )
    rows = [header]
    # Days need no time of day.
    unit = "D" if "time" in outputs and (outputs["time"] == outputs["time"].astype("datetime64[D]")).all() else "s"
    for index, name in enumerate(outputs["series"]):
        for step in range(outputs["forecast"].shape[1]):
            time = (
                str(outputs["time"][index, step].astype(f"datetime64[{unit}]")).replace("T", " ")
                if "time" in outputs
                else f"+{step + 1}"
            )
            values = [outputs[kind][index, step] for kind in kinds]
            numbers = values if single else [value[target] for target in range(len(targets)) for value in values]
            rows.append([name] * named + [time] + [f"{number:.6g}" for number in numbers])
    widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def detection_lines(outputs: Mapping[str, Any]) -> list[str]:
    """Return a line for each object that was found in an image with some certainty, the surest first."""
    rows = zip(outputs["label"][0], outputs["scores"][0], outputs["boxes"][0], strict=True)
    lines = [
        f"  {label} {score:.4f} at left {box[0]:.1f}, top {box[1]:.1f}, right {box[2]:.1f}, bottom {box[3]:.1f}"
        for label, score, box in rows
        if score >= SHOWN_SCORE
    ]
    return lines or [f"  nothing with a score of at least {SHOWN_SCORE}"]


def best_classes(class_names: Sequence[str], scores: Any, top: int) -> str:
    """Return the `top` classes with the highest scores, the highest first."""
    return ", ".join(f"{class_names[index]} {scores[index]:.4f}" for index in scores.argsort()[::-1][:top])


def export(
    directory: str, path: str | None = None, /, *, format: str | None = None, quantization: str | None = None
) -> None:
    """Export the model of a finished run, and prove that what was written answers as it does.

    Args:
        directory: The run's folder, such as runs/digits.
        path: Folder of the exported model; by default saved_models/NAME.
        format: saved_model (the default), litert, onnx or keras.
        quantization: Of litert and onnx: dynamic (int8 weights) or int8 (activations too).
    """
    check_run(directory)
    target = path or str(Path("saved_models") / Path(directory).resolve().name)
    kerasdl.checks.folder("path", target)
    given = {"format": format, "quantization": quantization}
    start_keras()
    result = kerasdl.Result.load(directory)
    print(export_line(result.export(target, **{name: value for name, value in given.items() if value is not None})))


def export_line(version: Path) -> str:
    """Return what was written and what was proven of it."""
    description = kerasdl.export.read_description(version)
    what, numbers = TRIED[description["inputs"]]
    parity = description["parity"]
    proof = "verified: reloaded" if parity["tolerance"] is not None else "reloaded, quantized"
    line = (
        f"Export: {version} ({proof}, {parity['examples']} test {what}, {numbers} differ by at most "
        f"{parity['max_difference']:.1e} from the trained model)"
    )
    measured = kerasdl.export.accuracy_line(description)
    return f"{line}\n{measured}" if measured else line


def report(directory: str, /, *, output: str | None = None) -> None:
    """Write the report of a finished run, one HTML page.

    Args:
        directory: The run's folder, such as runs/digits.
        output: The page; by default report.html in the run's folder.
    """
    check_run(directory)
    page = Path(output or Path(directory) / "report.html")
    check_page("output", page)
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


def rerun(directory: str, /, *, output: str | None = None) -> None:
    """Repeat a run from its stored configuration, in a new folder.

    Args:
        directory: The run's folder, such as runs/digits.
        output: The new run's folder; by default the first free of runs/digits-2, runs/digits-3, and so on.
    """
    check_run(directory)
    before, facts = stored(directory)
    if not (str(facts.get("recipe")).isidentifier() and (Path(__file__).parent / f"{facts['recipe']}.py").is_file()):
        raise InputError(
            directory,
            received=f"a run of {str(facts.get('recipe'))[:80]!r}",
            expected="a run of one of the recipes",
            mend="Restore the folder from a copy.",
        )
    recipe = importlib.import_module(f"recipes.{facts['recipe']}")
    folder = output or str(free_directory(Path(directory).resolve().name))
    config = before | {"directory": folder, "verbose": 1}
    recipe.resolve(**{name: value for name, value in config.items() if name not in configuration.RECORDED})
    start_keras()
    result = recipe.train(**config)
    changed = [name for name in configuration.RECORDED if result.config[name] != before[name]]
    same = "the same metrics" if result.metrics == facts["metrics"] else f"other metrics than {facts['metrics']}"
    print(f"Rerun of {directory}: {same}" + (f"; changed since: {', '.join(changed)}" if changed else ""))


def compare(one: str, other: str, /, *, output: str | None = None) -> None:
    """Show how two finished runs differ: configuration, versions, hardware, data and test metrics.

    Args:
        one: A run's folder, such as runs/digits.
        other: Another run's folder.
        output: A page to write, such as compare.html: the same with findings and learning curves.
    """
    check_run(one)
    check_run(other)
    if output is not None:
        check_page("output", Path(output))
    (config, facts), (other_config, other_facts) = stored(one), stored(other)
    changes, metrics = configuration_changes(config, other_config), metrics_beside(facts, other_facts)
    rows = [("", one, other), *changes, *((f"test {name}", *values) for name, *values in metrics)]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    if output is not None:
        print(write_comparison(Path(output), one, other))


def stored(directory: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the configuration and the facts of a finished run."""
    folder = Path(directory)
    return run_directory.read(folder / run_directory.CONFIG_FILE), run_directory.read(
        folder / run_directory.RESULT_FILE
    )


def name_of(data: str) -> str:
    """Return a folder name for a run on `data`."""
    path = Path(data)
    name = path.resolve().stem if os.path.exists(path) else data.removeprefix("tfds:").split("/")[0]
    return re.sub(r"[^\w.-]+", "_", name)[:100] or "data"
