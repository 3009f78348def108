"""Write a SavedModel beside its place, load it again, compare it with the live model, only then give it its number."""

from __future__ import annotations

import json
import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import keras
import numpy as np

from kerasdl.checks import folder
from kerasdl.errors import InputError
from kerasdl.export.card import model_card
from kerasdl.export.first_difference import first_difference
from kerasdl.export.hashes import CARD_FILE, file_hashes
from kerasdl.export.loading import DESCRIPTION, Exported, versions_in
from kerasdl.export.outputs import Outputs

TOLERANCE = 1e-5


@dataclass(frozen=True)
class Trial:
    """Inputs of one signature and what the live model answers to them.

    Args:
        signature: Its name.
        inputs: By the name of each input.
        expected: The outputs, with a first axis over the examples.
        undecided: Of an output that is no number, which values may be others: those that the numbers do not decide
            within the tolerance.
        unit: What numbers are measured in: they may differ by the tolerance times this.
    """

    signature: str
    inputs: Mapping[str, Any]
    expected: Outputs
    undecided: Mapping[str, np.ndarray]
    unit: float = 1.0


class Predictor(Protocol):
    """A trained model together with what turns raw inputs into its inputs and its outputs into answers."""

    model: keras.Model

    def predict(self, raw: Any) -> Outputs:
        """Answer raw inputs with the live model."""

    def signatures(self) -> dict[str, tuple[Callable[..., dict[str, Any]], list[Any]]]:
        """Return for each signature a function and the specifications of its inputs, named as its arguments."""

    def trials(self, examples: Any, *, tolerance: float) -> Iterable[Trial]:
        """Yield what the export is proven by: every signature, in several batch sizes.

        Args:
            examples: Real raw inputs.
            tolerance: Within which numbers may differ.
        """

    def description(self) -> dict[str, Any]:
        """Return what somebody who loads the export must know, JSON-able; "inputs" says of which kind they are."""


class ParityError(RuntimeError):
    """The reloaded SavedModel does not answer as the live model does, and where it begins; nothing was exported."""


def export(
    predictor: Predictor,
    path: str | Path,
    *,
    examples: Any,
    description: Mapping[str, Any] | None = None,
    tolerance: float = TOLERANCE,
) -> Path:
    """Export a model as the next numbered version under `path` and prove that it is the trained model.

    The folder has TensorFlow Serving's layout. It is written beside its place, loaded again and compared with the live
    model on `examples`, in several batch sizes and twice, through every signature. Only then it is renamed to its
    number, so a numbered folder is always a whole and proven export.

    Args:
        predictor: The trained model with its pre- and postprocessing.
        path: Folder of the model, for example "saved_models/digits"; it is made if need be.
        examples: Real raw inputs that the model was not trained on: uint8 images (count, height, width, channels), an
            object array of texts (count,), series (count, length, channels), where lengths differ an object array, or a
            mapping of arrays.
        description: JSON-able facts that travel with the export.
        tolerance: Largest difference allowed between live and exported numbers.

    Returns:
        The new version's folder, for example saved_models/digits/1.

    Raises:
        InputError: For a path that cannot be a folder, no examples, or a backend that cannot write SavedModels.
        ParityError: When the reloaded model answers differently.

    Example:
        >>> result.export("saved_models/digits")
        PosixPath('saved_models/digits/1')
    """
    path = _check_path(path)
    count = len(next(iter(examples.values()))) if isinstance(examples, Mapping) else len(examples)
    if count == 0:
        raise InputError("examples", received="none", expected="at least one", mend="Pass some of the test split.")
    made = [parent for parent in (path, *path.absolute().parents) if not parent.exists()]
    path.mkdir(parents=True, exist_ok=True)
    _remove_left_over(path)
    staging = Path(tempfile.mkdtemp(prefix=f"{_staging_of_this_machine()}{os.getpid()}-", dir=path))
    try:
        saved = staging / "model"
        _write(predictor, saved)
        parity, signatures = _prove(predictor, saved, examples, tolerance, count)
        facts = {
            **(description or {}),
            **predictor.description(),
            "signatures": signatures,
            "parity": parity,
            "files_sha256": file_hashes(saved),
        }
        extra = saved / DESCRIPTION
        extra.parent.mkdir(exist_ok=True)
        extra.write_text(json.dumps(facts, indent=1, ensure_ascii=False), encoding="utf-8")
        (saved / CARD_FILE).write_text(model_card(facts, name=path.absolute().name), encoding="utf-8")
        return _publish(saved, path)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        for folder in made:
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
        raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _staging_of_this_machine() -> str:
    return f".staging-{platform.node()}-"


def _remove_left_over(path: Path) -> None:
    """Remove what exports on this machine left that were killed; those that still run keep theirs."""
    for staging in path.glob(f"{_staging_of_this_machine()}*"):
        number = staging.name.removeprefix(_staging_of_this_machine()).split("-")[0]
        try:
            os.kill(int(number), 0)
        except ProcessLookupError:
            shutil.rmtree(staging, ignore_errors=True)
        except (ValueError, PermissionError):
            continue


def _check_path(path: str | Path) -> Path:
    if keras.backend.backend() != "tensorflow":
        raise InputError(
            "KERAS_BACKEND",
            received=keras.backend.backend(),
            expected="tensorflow, which alone writes SavedModels",
            mend="Train with directory=..., then Result.load(directory).export(...) under KERAS_BACKEND=tensorflow.",
        )
    folder("export", path)
    return Path(path)


def _write(predictor: Predictor, folder: Path) -> None:
    archive = keras.export.ExportArchive()
    archive.track(predictor.model)
    for name, (function, specifications) in predictor.signatures().items():
        archive.add_endpoint(name, function, input_signature=specifications)
    archive.write_out(str(folder), verbose=False)


def _prove(
    predictor: Predictor, folder: Path, examples: Any, tolerance: float, count: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Compare what was written with the live model; return the facts of it, and the signatures' inputs and outputs."""
    exported = Exported(folder)
    try:
        parity = _compare(predictor, exported, examples, tolerance, count)
    except ParityError as error:
        where = first_difference(
            predictor.model,
            lambda: next(iter(predictor.trials(examples, tolerance=tolerance))),
            exported=exported.variables,
        )
        raise ParityError(f"{error} {where}") from None
    return parity, {name: _ends(function) for name, function in exported.signatures.items()}


def _compare(predictor: Predictor, exported: Exported, examples: Any, tolerance: float, count: int) -> dict[str, Any]:
    worst, batches = 0.0, []
    for trial in predictor.trials(examples, tolerance=tolerance):
        size = len(next(iter(trial.expected.values())))
        where = f"{trial.signature}, batch of {size}"
        first, second = (exported.run(trial.signature, trial.inputs) for _ in range(2))
        for name, expected in trial.expected.items():
            if expected.dtype.kind == "f":
                difference = float(np.abs(first[name] - expected).max()) / trial.unit
                worst = max(worst, difference)
                if not difference <= tolerance:
                    raise ParityError(f"{where}: {name} differ by {difference:.3g}, allowed {tolerance:g}.")
            elif ((first[name] != expected) & ~trial.undecided.get(name, np.False_)).any():
                raise ParityError(f"{where}: {name} differs from the live model's.")
            if not np.array_equal(first[name], second[name]):
                raise ParityError(f"{where}: the same inputs got other {name} the second time.")
        batches.append(f"{trial.signature}:{size}")
    return {"max_difference": worst, "tolerance": tolerance, "examples": count, "batches": batches}


def _ends(function: Any) -> dict[str, Any]:
    """Return type and shape of what goes into a signature and comes out, by name, JSON-able."""
    ends = {"inputs": function.structured_input_signature[1], "outputs": function.structured_outputs}
    return {
        end: {name: {"dtype": spec.dtype.name, "shape": spec.shape.as_list()} for name, spec in specs.items()}
        for end, specs in ends.items()
    }


def _publish(saved: Path, path: Path) -> Path:
    while True:
        version = path / str(max(versions_in(path), default=0) + 1)
        try:
            os.rename(saved, version)
        except OSError:
            if not version.exists():
                raise
            continue  # another export took the number in between
        return version
