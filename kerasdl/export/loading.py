"""Use an exported model: needs the runtime of its format and NumPy, for tables to forecast pandas; no training code."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kerasdl.errors import InputError, check_choice
from kerasdl.export.folders import find_exported, read_description
from kerasdl.export.formats import description_of, format_of, load_network
from kerasdl.export.hashes import check_files
from kerasdl.export.outputs import DEFAULTS, Outputs
from kerasdl.export.parity import Trial
from kerasdl.export.pipeline import Pipeline
from kerasdl.export.raw_images import FILE_CHANNELS, predict_raw_images
from kerasdl.export.raw_series import predict_raw_series
from kerasdl.export.raw_texts import as_texts, predict_raw_texts
from kerasdl.export.raw_windows import predict_raw_windows
from kerasdl.export.signature import Signature
from kerasdl.forecast_layout import ForecastLayout


class Exported:
    """An exported model, loaded for prediction.

    Args:
        folder: The version's folder.
    """

    signatures: Mapping[str, Any] = {}

    def __init__(self, folder: Path):
        self.directory = folder
        self.description = read_description(folder)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Name of each class, in the order of the scores."""
        return tuple(self.description.get("class_names", ()))

    @property
    def multi_label(self) -> bool:
        """Whether several classes of an example may be true at once."""
        return bool(self.description.get("multi_label", False))

    def predict(self, raw: Any) -> Outputs:
        """Predict on raw inputs.

        Args:
            raw: One input or many: images, see :func:`kerasdl.export.raw_images.predict_raw_images`; texts, see
                :func:`kerasdl.export.raw_texts.predict_raw_texts`; series, see
                :func:`kerasdl.export.raw_series.as_raw_series`; or what is to be forecast, see
                :func:`kerasdl.export.raw_windows.predict_raw_windows`.

        Returns:
            "scores": float32 (count, classes); "label": object (count,); of a multi-label model also "present": bool
            (count, classes). Of a forecaster see :meth:`kerasdl.export.Forecaster.predict`.
        """
        raise NotImplementedError

    def answer(self, trial: Trial) -> Outputs:
        """Answer a trial of :mod:`kerasdl.export.parity`."""
        return self.predict(trial.inputs)

    @property
    def takes_files(self) -> bool:
        """Whether image files can be passed to :meth:`predict`."""
        return self.description.get("inputs") == "images" and self.description["input_shape"][2] in FILE_CHANNELS

    def write(self, prompts: np.ndarray, **options: Any) -> list[str]:
        """Return each prompt with what a language model writes after it; see :meth:`generate`."""
        raise InputError(str(self.directory), received="no language model", expected="one", mend="Use .predict(raw).")

    def generate(self, prompt: str | Sequence[str], **options: Any) -> Any:
        """Go on with texts, if the model is a language model.

        Args:
            prompt: One or many.
            **options: `max_new_tokens`, 64 by default; `temperature`, 0.8, 0 takes the most likely token always;
                `top_k`, 0 for all; `top_p`, 1 for all; `seed`, 0.

        Returns:
            The prompt with what follows it, a string, or a list for a list of prompts.

        Raises:
            InputError: For a model that generates nothing, and for options that it does not have.
        """
        for name in options:
            check_choice("option", name, DEFAULTS)
        texts = as_texts(prompt)
        found = self.write(texts, **options)
        return found[0] if isinstance(prompt, (str, bytes)) else found


class ExportedSavedModel(Exported):
    """A SavedModel: raw inputs and answers are in its signatures.

    Args:
        folder: The version's folder, with saved_model.pb in it.
    """

    def __init__(self, folder: Path):
        import tensorflow as tf

        super().__init__(folder)
        try:
            # Kept as an attribute: signatures of a SavedModel die with it.
            self._model = tf.saved_model.load(str(folder))
        except Exception as error:
            raise InputError(
                str(folder),
                received=f"files that TensorFlow cannot load ({type(error).__name__})",
                expected="a whole SavedModel",
                mend="Export it again.",
            ) from error
        self.signatures = dict(self._model.signatures)
        self._prepared: dict[str, Signature] = {}

    @property
    def variables(self) -> tuple[Any, ...]:
        """The weights, in the order of the model's that was exported."""
        return tuple(getattr(self._model, "variables", ()))

    @functools.cached_property
    def _layout(self) -> ForecastLayout:
        return ForecastLayout.from_dict(self.description["layout"])

    def run(self, signature: str, batch: np.ndarray | Mapping[str, Any]) -> Outputs:
        """Call one signature on one batch.

        Args:
            signature: "serving_default" for uint8 pixels, texts or series, "encoded" for whole image files.
            batch: uint8 (count, height, width, channels), or an object array of bytes or texts (count,); a mapping
                where a signature has several inputs.

        Returns:
            The outputs as NumPy arrays, text as str.

        Raises:
            InputError: For inputs of other names or shapes.
        """
        if signature not in self._prepared:
            self._prepared[signature] = Signature(signature, self.signatures[signature])
        return self._prepared[signature](batch)

    def answer(self, trial: Trial) -> Outputs:
        """Answer a trial through its signature."""
        return self.run(trial.signature, trial.inputs)

    @property
    def takes_files(self) -> bool:
        """Whether image files can be passed to :meth:`predict`."""
        return "encoded" in self.signatures

    def predict(self, raw: Any) -> Outputs:
        """Predict on raw inputs, see :meth:`Exported.predict`."""
        if self.description.get("inputs") == "prompt":
            return self.run("serving_default", as_texts(raw))
        if self.description.get("inputs") == "text":
            return predict_raw_texts(raw, on_texts=lambda batch: self.run("serving_default", batch))
        if self.description.get("inputs") == "forecast":
            return predict_raw_windows(raw, self._layout, on_windows=lambda batch: self.run("serving_default", batch))
        if self.description.get("inputs") == "series":
            return predict_raw_series(
                raw,
                input_shape=self.description["input_shape"],
                missing=self.description["missing"],
                on_series=lambda batch: self.run("serving_default", batch),
            )
        return predict_raw_images(
            raw,
            channels=self.description.get("input_shape", (0, 0, 3))[2],
            on_pixels=lambda batch: self.run("serving_default", batch),
            on_encoded=lambda batch: self.run("encoded", batch),
            any_colour=self.description["inputs"] == "detection",
        )

    def write(self, prompts: np.ndarray, **options: Any) -> list[str]:
        """Return each prompt with what a language model writes after it; see :meth:`generate`."""
        if "generate" not in self.signatures:
            return super().write(prompts, **options)
        return self.run("generate", {"prompt": prompts, **DEFAULTS, **options})["text"].tolist()


class ExportedNetwork(Exported):
    """A network of another format, with what stands before and after it in NumPy.

    Args:
        folder: The version's folder, with model.tflite, model.onnx or model.keras in it.
    """

    def __init__(self, folder: Path):
        super().__init__(folder)
        self.network = load_network(folder)
        try:
            self._pipeline = Pipeline(self.description, self.network)
        except (KeyError, TypeError) as error:
            raise InputError(
                str(description_of(folder)),
                received=f"a description that is missing or lacks {error}",
                expected="the file as `export` wrote it",
                mend="Export it again.",
            ) from error

    def predict(self, raw: Any) -> Outputs:
        """Predict on raw inputs, see :meth:`Exported.predict`."""
        return self._pipeline.predict(raw)

    def answer(self, trial: Trial) -> Outputs:
        """Answer a trial, of a language model as a signature of its name would."""
        loop = self._pipeline.text_loop
        return super().answer(trial) if loop is None else loop.answer(trial.signature, trial.inputs)

    def write(self, prompts: np.ndarray, **options: Any) -> list[str]:
        """Return each prompt with what a language model writes after it; see :meth:`generate`."""
        loop = self._pipeline.text_loop
        return super().write(prompts, **options) if loop is None else loop.write(list(prompts), **options)


def load_version(folder: Path) -> Exported:
    """Load an exported version of any format from its own folder."""
    return (ExportedSavedModel if format_of(folder) == "saved_model" else ExportedNetwork)(folder)


def load_exported(path: str | Path, *, verify: bool = True) -> Exported:
    """Load an exported model for prediction.

    What it needs is the runtime of its format: TensorFlow for a SavedModel, ai-edge-litert, onnxruntime, or Keras.

    A SavedModel is a program: it runs with your rights, and one can write files when it is asked for an answer. Load
    only what you or somebody you trust exported. Before anything else reads them, the files are compared with the
    SHA-256 that `export` recorded: they came whole, and are those that were proven. That does not say who made them.

    Args:
        path: "saved_models/digits" (its highest version) or "saved_models/digits/1".
        verify: Whether to compare the hashes, about a second a gigabyte; that no file lacks, is added, or leads out of
            the folder is checked in any case.

    Returns:
        An object with `.predict(raw)`.

    Raises:
        InputError: When nothing was exported there, it is damaged or changed, or its runtime is not installed.

    Warns:
        UserWarning: For a SavedModel that `export` did not write, of which nothing can be checked.

    Example:
        >>> load_exported("saved_models/digits").predict("photo.png")["label"]
        array(['7'], dtype=object)
    """
    folder = find_exported(path)
    check_files(folder, read_description(folder), verify=verify)
    return load_version(folder)
