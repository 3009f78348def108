"""Write a SavedModel beside its place, load it again, compare it with the live model, only then give it its number."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kerasdl.checks import folder
from kerasdl.errors import InputError
from kerasdl.export.image_classifier import ENCODED_SIGNATURE, PIXELS_SIGNATURE, THRESHOLD, ImageClassifier
from kerasdl.export.loading import DESCRIPTION, Exported, versions_in

TOLERANCE = 1e-5
PARITY_BATCH_SIZES = (1, 7, 32)


class ParityError(RuntimeError):
    """The reloaded SavedModel does not answer as the live model does; nothing was exported."""


def export(
    classifier: ImageClassifier,
    path: str | Path,
    *,
    examples: np.ndarray,
    description: Mapping[str, Any] | None = None,
    tolerance: float = TOLERANCE,
) -> Path:
    """Export a classifier as the next numbered version under `path` and prove that it is the trained model.

    The folder has TensorFlow Serving's layout. It is written beside its place, loaded again and compared with the live
    model on `examples`, in several batch sizes and twice, through every signature. Only then it is renamed to its
    number, so a numbered folder is always a whole and proven export.

    Args:
        classifier: The trained model with its pre- and postprocessing.
        path: Folder of the model, for example "saved_models/digits"; it is made if need be.
        examples: Real uint8 images (count, height, width, channels) that the model was not trained on.
        description: JSON-able facts that travel with the export.
        tolerance: Largest difference allowed between live and exported scores.

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
    if len(examples) == 0:
        raise InputError("examples", received="none", expected="at least one image", mend="Pass some test images.")
    made = [parent for parent in (path, *path.absolute().parents) if not parent.exists()]
    path.mkdir(parents=True, exist_ok=True)
    _remove_left_over(path)
    staging = Path(tempfile.mkdtemp(prefix=f"{_staging_of_this_machine()}{os.getpid()}-", dir=path))
    try:
        saved = staging / "model"
        _write(classifier, saved)
        parity = _prove(classifier, saved, examples, tolerance)
        facts = {
            **(description or {}),
            "class_names": list(classifier.class_names),
            "multi_label": classifier.multi_label,
            "input_shape": list(classifier.input_shape),
            "parity": parity,
            "files_sha256": _hashes(saved),
        }
        extra = saved / DESCRIPTION
        extra.parent.mkdir(exist_ok=True)
        extra.write_text(json.dumps(facts, indent=1, ensure_ascii=False), encoding="utf-8")
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


def _write(classifier: ImageClassifier, folder: Path) -> None:
    archive = keras.export.ExportArchive()
    archive.track(classifier.model)
    for name, (function, specification) in classifier.signatures().items():
        archive.add_endpoint(name, function, input_signature=[specification])
    archive.write_out(str(folder), verbose=False)


def _prove(classifier: ImageClassifier, folder: Path, examples: np.ndarray, tolerance: float) -> dict[str, Any]:
    exported = Exported(folder, channels=classifier.input_shape[2])
    expected = classifier.predict(examples)
    checks = [(PIXELS_SIGNATURE, size) for size in (*PARITY_BATCH_SIZES, len(examples)) if size <= len(examples)]
    if ENCODED_SIGNATURE in exported.signatures:
        checks.append((ENCODED_SIGNATURE, min(max(PARITY_BATCH_SIZES), len(examples))))
    worst = 0.0
    for signature, size in checks:
        batch = classifier.encode(examples[:size]) if signature == ENCODED_SIGNATURE else examples[:size]
        first, second = exported.run(signature, batch), exported.run(signature, batch)
        difference = float(np.abs(first["scores"] - expected["scores"][:size]).max())
        worst = max(worst, difference)
        top = np.sort(expected["scores"][:size], axis=-1)
        decided = top[:, -1] - top[:, -2] > 2 * tolerance  # a tie within the tolerance may fall either way
        if not difference <= tolerance:
            raise ParityError(
                f"{signature}, batch of {size}: scores differ by {difference:.3g}, allowed {tolerance:g}."
            )
        if (first["label"] != expected["label"][:size])[decided].any():
            raise ParityError(f"{signature}, batch of {size}: labels differ from the live model's.")
        if classifier.multi_label:
            clear = np.abs(expected["scores"][:size] - THRESHOLD) > tolerance
            if (first["present"] != expected["present"][:size])[clear].any():
                raise ParityError(f"{signature}, batch of {size}: what is present differs from the live model's.")
        if not np.array_equal(first["scores"], second["scores"]):
            raise ParityError(f"{signature}, batch of {size}: the same images got other scores the second time.")
    return {
        "max_difference": worst,
        "tolerance": tolerance,
        "examples": len(examples),
        "batches": [f"{signature}:{size}" for signature, size in checks],
    }


def _hashes(folder: Path) -> dict[str, str]:
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


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
