"""The folder of a run: begun with its configuration, sealed with its result, read back only when it is whole."""

from __future__ import annotations

import contextlib
import csv
import io
import math
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasdl.configuration import differences, jsonable, write_json, write_text
from kerasdl.errors import InputError
from kerasdl.safe_loading import LARGEST_FILE, LARGEST_JSON, load_keras, read_json, read_regular, sha256_of

if TYPE_CHECKING:
    import keras

MODEL_FILE, CONFIG_FILE, HISTORY_FILE, RESULT_FILE = "model.keras", "config.json", "history.csv", "result.json"
GRADIENTS_FILE = "gradients.json"
EXPORTS_FILE = "exports.json"
REPORT_FILE, LOG_FOLDER, CHECKPOINT_FOLDER = "report.html", "tensorboard", "checkpoints"
# What running out of memory changes, and where it is kept what was asked for.
BATCH, ASKED_FILE = ("batch_size", "gradient_accumulation"), "asked.json"
# What a person finds there in the end.
FILES = (REPORT_FILE, MODEL_FILE, CONFIG_FILE, HISTORY_FILE, LOG_FOLDER)
# What is read back; the report is for people, who may do with it as they like.
SEALED_FILES = (MODEL_FILE, CONFIG_FILE, HISTORY_FILE, GRADIENTS_FILE)
# What a result is made of besides them.
_FACTS = {"recipe": str, "task": dict, "metrics": dict, "baselines": dict, "diagnosis": list, "data_fingerprint": str}


def is_finished(directory: Path, config: Mapping[str, Any]) -> bool:
    """Return whether a run of this configuration is finished in `directory`.

    Args:
        directory: The folder, which need not exist.
        config: The resolved configuration.

    Raises:
        InputError: When the folder holds a run of another configuration or of other data.
    """
    path = directory / CONFIG_FILE
    if not path.exists():
        return False
    found = differences(read(path), jsonable(config))
    if found:
        raise InputError(
            "resume",
            received="; ".join(f"{name}: {old!r} there, {new!r} now" for name, old, new in found),
            expected=f"the configuration of the run in {directory}",
            mend="Repeat the call as it was, or choose another directory.",
        )
    return (directory / RESULT_FILE).is_file()


def begin(directory: Path, config: Mapping[str, Any]) -> None:
    """Make the folder of a run and write its configuration, unless it has been begun before."""
    if not (directory / CONFIG_FILE).exists():
        directory.mkdir(parents=True, exist_ok=True)
        write_json(directory / CONFIG_FILE, config)


def read(path: Path) -> dict[str, Any]:
    """Return what one of a run's JSON files says, or refuse it as damaged."""
    with refusing_damage(path.parent):
        return read_json(path, largest=LARGEST_JSON)


def read_history(directory: Path) -> dict[str, list[float]]:
    """Return the curves of a run, or refuse its folder as damaged."""
    with refusing_damage(directory):
        return _history_from_csv(read_regular(directory / HISTORY_FILE, LARGEST_JSON).decode("utf-8"))


def decided(directory: Path | None, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the run in `directory`, if there is one, made of "auto" and of too large a batch."""
    if directory is None or not (directory / CONFIG_FILE).exists():
        return {}
    before = read(directory / CONFIG_FILE)
    names = [name for name, value in arguments.items() if value == "auto" and name in before]
    asked = directory / ASKED_FILE
    if asked.exists() and read(asked) == {name: arguments[name] for name in BATCH}:
        names += BATCH
    return {name: before[name] for name in names}


def places(directory: Path | None) -> dict[str, Any]:
    """Return what :func:`kerasdl.training.fit` must know of the folder."""
    return {
        "log_directory": directory and directory / LOG_FOLDER,
        "checkpoint_directory": directory and directory / CHECKPOINT_FOLDER,
    }


def restart(directory: Path | None, *, asked: Mapping[str, Any]) -> None:
    """Drop what a run has trained, because it begins anew with another batch.

    Args:
        directory: The folder, or None when the run has none.
        asked: The batch as the user asked for it, by the names in `BATCH`.
    """
    if directory is None or not (directory / CONFIG_FILE).exists():
        return
    write_json(directory / ASKED_FILE, asked)
    for name in (CHECKPOINT_FOLDER, LOG_FOLDER):
        shutil.rmtree(directory / name, ignore_errors=True)
    (directory / CONFIG_FILE).unlink()


def seal(
    directory: Path,
    *,
    model: keras.Model,
    config: Mapping[str, Any],
    history: Mapping[str, Sequence[float]],
    gradients: Mapping[str, Any],
    facts: Mapping[str, Any],
) -> None:
    """Write what :func:`unseal` reads, each file whole, the one that says so last; checkpoints are then needless."""
    beside = directory / f".{os.getpid()}.{MODEL_FILE}"
    model.save(beside)
    os.replace(beside, directory / MODEL_FILE)
    write_json(directory / CONFIG_FILE, config)
    write_text(directory / HISTORY_FILE, _history_as_csv(history))
    write_json(directory / GRADIENTS_FILE, gradients)
    hashes = {name: sha256_of(directory / name, LARGEST_FILE) for name in SEALED_FILES}
    write_json(directory / RESULT_FILE, {**facts, "files_sha256": hashes})
    shutil.rmtree(directory / CHECKPOINT_FOLDER, ignore_errors=True)
    for left in directory.glob(f".*{MODEL_FILE}"):  # of a process that was killed while it wrote
        left.unlink(missing_ok=True)


def unseal(
    directory: Path,
) -> tuple[keras.Model, dict[str, Any], dict[str, list[float]], dict[str, Any], dict[str, Any]]:
    """Return the model, configuration, history, gradients and facts that :func:`seal` wrote.

    Raises:
        InputError: When there is no finished run.
        ValueError: When a file has changed; other errors as damaged files give them, see :func:`refusing_damage`.
    """
    if not (directory / RESULT_FILE).is_file():
        unfinished = (directory / CONFIG_FILE).is_file()
        raise InputError(
            str(directory),
            received="an unfinished run"
            if unfinished
            else "no finished run"
            if directory.is_dir()
            else "no such folder",
            expected=f"a folder with {RESULT_FILE}, as train(..., directory=...) writes it",
            mend="Repeat its call with resume=True." if unfinished else "Check the path, or let the training end.",
        )
    facts = read_json(directory / RESULT_FILE, largest=LARGEST_JSON)
    for name, kind in _FACTS.items():
        if not isinstance(facts[name], kind):
            raise TypeError(f"{name} in {RESULT_FILE} is {type(facts[name]).__name__}")
    # Not whatever is named there: a name may lead out of the folder.
    if sorted(facts["files_sha256"]) != sorted(SEALED_FILES):
        raise ValueError(f"{RESULT_FILE} names other files than {', '.join(SEALED_FILES)}")
    for name, digest in facts["files_sha256"].items():
        if sha256_of(directory / name, LARGEST_FILE) != digest:
            raise ValueError(f"{name} has changed since it was written")
    config = read_json(directory / CONFIG_FILE, largest=LARGEST_JSON)
    history = _history_from_csv(read_regular(directory / HISTORY_FILE, LARGEST_JSON).decode("utf-8"))
    gradients = read_json(directory / GRADIENTS_FILE, largest=LARGEST_JSON)
    # Whoever changes a file can change its hash as well.
    model = load_keras(directory / MODEL_FILE)
    return model, config, history, gradients, facts


def add_export(
    directory: Path | None, before: Sequence[Mapping[str, Any]], version: Path, description: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Return what is known of a run's exports, the new one last, and write it into the folder if there is one.

    Args:
        directory: The run's folder, or None.
        before: What was known.
        version: The folder of the new export.
        description: What travels with it: "format", "quantization", "parity" and "exported_metrics" are kept.
    """
    facts = {name: description.get(name) for name in ("format", "quantization", "parity", "exported_metrics")}
    known = [*map(dict, before), {"path": str(version), **facts}]
    if directory is not None and directory.is_dir():
        write_json(directory / EXPORTS_FILE, {"exports": known})
    return known


def exports(directory: Path) -> list[dict[str, Any]]:
    """Return what :func:`add_export` wrote into a run's folder; nothing where nothing was exported.

    Raises:
        TypeError, KeyError, ValueError: When the file is damaged.
    """
    if not (directory / EXPORTS_FILE).exists():
        return []
    known = read_json(directory / EXPORTS_FILE, largest=LARGEST_JSON)["exports"]
    for each in known:
        parity, metrics = each.get("parity") or {}, each.get("exported_metrics") or {}
        numbers = [*metrics.values(), *(parity[name] for name in ("max_difference", "tolerance") if name in parity)]
        if not all(number is None or isinstance(number, (int, float)) for number in numbers):
            raise TypeError(f"{EXPORTS_FILE} has something else than numbers")
    return [dict(each) for each in known]


@contextlib.contextmanager
def refusing_damage(directory: Path) -> Iterator[None]:
    """Turn what damaged files raise into one InputError."""
    try:
        yield
    except InputError:
        raise
    except (OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, csv.Error) as error:
        raise InputError(
            str(directory),
            received=f"a damaged run ({type(error).__name__}: {str(error)[:200]})",
            expected="the files as they were written",
            mend="Restore the folder from a copy, or train again.",
        ) from error


def _history_as_csv(history: Mapping[str, Sequence[float]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["epoch", *history])
    # repr keeps every bit of a float.
    writer.writerows([epoch, *map(repr, row)] for epoch, row in enumerate(zip(*history.values(), strict=True), start=1))
    return text.getvalue()


def _history_from_csv(text: str) -> dict[str, list[float]]:
    header, *rows = list(csv.reader(io.StringIO(text)))
    return {
        name: [math.nan if row[column] == "nan" else float(row[column]) for row in rows]
        for column, name in enumerate(header)
        if name != "epoch"
    }
