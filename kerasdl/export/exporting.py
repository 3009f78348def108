"""Export: write a model beside its place, load it again, compare it with the live one, only then give it its number."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import keras
import numpy as np

from kerasdl.checks import folder as check_folder
from kerasdl.errors import InputError
from kerasdl.export import formats, versions
from kerasdl.export.card import model_card
from kerasdl.export.first_difference import first_difference
from kerasdl.export.hashes import CARD_FILE, file_hashes
from kerasdl.export.keras_file import write_keras
from kerasdl.export.litert import write_litert
from kerasdl.export.loading import Exported, ExportedSavedModel, load_version
from kerasdl.export.onnx import write_onnx
from kerasdl.export.outputs import Outputs
from kerasdl.export.parity import RUNTIME_TOLERANCE, TOLERANCE, ParityError, Trial, prove
from kerasdl.export.pipeline import Pipeline
from kerasdl.export.saved_model import write_saved_model

Metrics = Mapping[str, float]


class Predictor(Protocol):
    """A trained model together with what turns raw inputs into its inputs and its outputs into answers."""

    model: keras.Model

    def predict(self, raw: Any) -> Outputs:
        """Answer raw inputs with the live model."""

    def signatures(self) -> dict[str, tuple[Callable[..., dict[str, Any]], list[Any]]]:
        """Return for each signature a function and the specifications of its inputs, named as its arguments."""

    def trials(self, examples: Any, *, tolerance: float) -> Iterable[Trial]:
        """Yield what a SavedModel is proven by: every signature, in several batch sizes.

        Args:
            examples: Real raw inputs.
            tolerance: Within which numbers may differ.
        """

    def raw_trials(self, examples: Any, *, tolerance: float) -> Iterable[Trial]:
        """Yield what other formats are proven by: raw inputs of every kind, in several batch sizes; as `trials`."""

    def description(self) -> dict[str, Any]:
        """Return what somebody who loads the export must know, JSON-able; "inputs" says of which kind they are."""

    def network_facts(self) -> dict[str, Any]:
        """Return what else :class:`kerasdl.export.pipeline.Pipeline` must know, JSON-able."""


def export(
    predictor: Predictor,
    path: str | Path,
    *,
    examples: Any,
    description: Mapping[str, Any] | None = None,
    tolerance: float | None = None,
    format: str = "saved_model",
    quantization: str | None = None,
    calibration: Any = None,
    measure: Callable[[Exported], Metrics] | None = None,
) -> Path:
    """Export a model as the next numbered version under `path` and prove that it is the trained model.

    The version is written beside its place, loaded again in its own runtime and compared with the live model on
    `examples`, in several batch sizes and twice. Only then it is renamed to its number, so a numbered folder is always
    a whole and proven export. A quantized model answers otherwise by design: how far is recorded, and not bounded.

    A SavedModel has TensorFlow Serving's layout and all in it, from raw inputs to answers. The other formats hold the
    network alone; what stands before and after it is done by :func:`kerasdl.export.load_exported` in NumPy.

    Args:
        predictor: The trained model with its pre- and postprocessing.
        path: Folder of the model, for example "saved_models/digits"; it is made if need be. It holds one format.
        examples: Real raw inputs that the model was not trained on: uint8 images (count, height, width, channels), an
            object array of texts (count,), series (count, length, channels), where lengths differ an object array, or a
            mapping of arrays.
        description: JSON-able facts that travel with the export.
        tolerance: Largest difference allowed between live and exported numbers: by default 1e-5 for a SavedModel and a
            .keras file, 1e-4 for runtimes with other kernels.
        format: "saved_model", "litert", "onnx" or "keras".
        quantization: None; "dynamic", int8 weights; "int8", activations too. Of litert and onnx.
        calibration: Raw inputs of the training, for "int8": from them come the ranges of activations.
        measure: From the reloaded export to its metrics, recorded as "exported_metrics".

    Returns:
        The new version's folder, for example saved_models/digits/1.

    Raises:
        InputError: For a path that cannot be a folder or holds another format, no examples, a backend that cannot write
            the format, a runtime that is not installed, or a layer that the format cannot express.
        ParityError: When the reloaded model answers differently.

    Example:
        >>> result.export("saved_models/digits")
        PosixPath('saved_models/digits/1')
        >>> result.export("saved_models/digits_int8", format="litert", quantization="int8")
        PosixPath('saved_models/digits_int8/1')
    """
    formats.check_format(format, quantization)
    _check_backend(format)
    check_folder("export", path)
    path = Path(path)
    versions.check_one_format(path, format)
    count = _count(examples)
    if count == 0:
        raise InputError("examples", received="none", expected="at least one", mend="Pass some of the test split.")
    if quantization == "int8" and (calibration is None or not _count(calibration)):
        raise InputError(
            "calibration",
            received="none",
            expected='some inputs of the training for quantization="int8"',
            mend="Pass about 200 of them, or use result.export(...), which does.",
        )
    if tolerance is None:
        tolerance = TOLERANCE if format in ("saved_model", "keras") else RUNTIME_TOLERANCE
    with versions.staged(path) as saved:
        facts = {
            **(description or {}),
            **predictor.description(),
            **({} if format == "saved_model" else predictor.network_facts()),
            "format": format,
            "quantization": quantization,
        }
        _write(predictor, saved, format, quantization, calibration, facts)
        described = formats.description_of(saved)
        described.parent.mkdir(exist_ok=True)
        _write_facts(described, facts)
        exported = load_version(saved)
        bounded = quantization is None
        facts["parity"] = _prove(predictor, exported, examples, tolerance=tolerance, count=count, bounded=bounded)
        if isinstance(exported, ExportedSavedModel):
            facts["signatures"] = {name: _ends(function) for name, function in exported.signatures.items()}
        if measure is not None:
            facts["exported_metrics"] = dict(measure(exported))
        facts["files_sha256"] = file_hashes(saved)
        _write_facts(described, facts)
        facts["description_file"] = described.relative_to(saved).as_posix()
        (saved / CARD_FILE).write_text(model_card(facts, name=path.absolute().name), encoding="utf-8")
        return versions.publish(saved, path)


def _prove(
    predictor: Predictor, exported: Exported, examples: Any, *, tolerance: float, count: int, bounded: bool
) -> dict[str, Any]:
    """Compare what was written with the live model and return the facts of it; say where they begin to differ."""
    saved_model = isinstance(exported, ExportedSavedModel)

    def trials() -> Iterable[Trial]:
        return (predictor.trials if saved_model else predictor.raw_trials)(examples, tolerance=tolerance)

    try:
        return prove(trials(), exported.answer, tolerance=tolerance, count=count, bounded=bounded)
    except ParityError as error:
        if not isinstance(exported, ExportedSavedModel):
            raise
        where = first_difference(predictor.model, lambda: next(iter(trials())), exported=exported.variables)
        raise ParityError(f"{error} {where}") from None


def _ends(function: Any) -> dict[str, Any]:
    """Return type and shape of what goes into a signature and comes out, by name, JSON-able."""
    ends = {"inputs": function.structured_input_signature[1], "outputs": function.structured_outputs}
    return {
        end: {name: {"dtype": spec.dtype.name, "shape": spec.shape.as_list()} for name, spec in specs.items()}
        for end, specs in ends.items()
    }


def _write_facts(file: Path, facts: Mapping[str, Any]) -> None:
    file.write_text(json.dumps(facts, indent=1, ensure_ascii=False), encoding="utf-8")


def _count(examples: Any) -> int:
    return len(next(iter(examples.values()))) if isinstance(examples, Mapping) else len(examples)


def _check_backend(format: str) -> None:
    if keras.backend.backend() == "tensorflow" or format == "keras":
        return
    raise InputError(
        "KERAS_BACKEND",
        received=keras.backend.backend(),
        expected=f"tensorflow, which alone writes {'SavedModels' if format == 'saved_model' else format}",
        mend="Train with directory=..., then Result.load(directory).export(...) under KERAS_BACKEND=tensorflow, "
        'or pass format="keras".',
    )


def _write(
    predictor: Predictor,
    folder: Path,
    format: str,
    quantization: str | None,
    calibration: Any,
    facts: Mapping[str, Any],
) -> None:
    if format == "saved_model":
        write_saved_model(predictor.model, predictor.signatures(), folder)
        return
    folder.mkdir()
    file = folder / formats.FILES[format]
    if format == "keras":
        write_keras(predictor.model, file)
        return
    inputs = network_inputs(predictor, facts, calibration) if quantization == "int8" else iter(())
    write = write_litert if format == "litert" else write_onnx
    write(predictor.model, file, quantization=quantization, calibration=inputs)


def network_inputs(predictor: Predictor, facts: Mapping[str, Any], raw: Any) -> Iterator[dict[str, np.ndarray]]:
    """Yield what the network is given for raw inputs, by the names of its inputs, in batches of one."""
    names = [each.name for each in predictor.model.inputs]
    seen: list[dict[str, np.ndarray]] = []

    def network(inputs: np.ndarray | Mapping[str, np.ndarray]) -> np.ndarray:
        seen.append(dict(inputs) if isinstance(inputs, Mapping) else {names[0]: inputs})
        count, *lengths = next(iter(seen[-1].values())).shape
        shape = [size or lengths[0] for size in predictor.model.output_shape[1:]]
        return np.zeros((count, *shape), np.float32)

    pipeline = Pipeline(facts, network)
    # A language model sees texts as they go on, not only as they begin.
    pipeline.predict(raw) if pipeline.text_loop is None else pipeline.text_loop.score(list(raw))
    for batch in seen:
        for index in range(len(next(iter(batch.values())))):
            yield {name: values[index : index + 1] for name, values in batch.items()}
