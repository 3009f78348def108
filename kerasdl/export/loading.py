"""Use an exported model: needs TensorFlow, NumPy and the neighbour `raw_images`, no Keras and no training code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from kerasdl.errors import InputError
from kerasdl.export.raw_images import Outputs, predict_raw_images

# TensorFlow Serving leaves files in assets.extra alone.
DESCRIPTION = Path("assets.extra") / "kerasdl.json"


def versions_in(path: Path) -> list[int]:
    """Return the numbers of the versions under a model's folder, in order."""
    if not path.is_dir():
        return []
    return sorted(int(entry.name) for entry in path.iterdir() if entry.is_dir() and entry.name.isdecimal())


class Exported:
    """A SavedModel loaded for prediction.

    Args:
        folder: The version's folder, with saved_model.pb in it.
        channels: Channels of its images; read from its description when None.
    """

    def __init__(self, folder: Path, *, channels: int | None = None):
        import tensorflow as tf

        self.directory = folder
        description = folder / DESCRIPTION
        self.description: dict[str, Any] = {}
        try:
            if description.exists():
                self.description = json.loads(description.read_text("utf-8"))
            # Kept as an attribute: signatures of a SavedModel die with it.
            self._model = tf.saved_model.load(str(folder))
        except Exception as error:
            raise InputError(
                str(folder),
                received=f"files that TensorFlow cannot load ({type(error).__name__})",
                expected="a whole SavedModel",
                mend="Export it again.",
            ) from error
        self.signatures: dict[str, Any] = dict(self._model.signatures)
        self._channels = channels if channels is not None else self.description.get("input_shape", (0, 0, 3))[2]

    @property
    def class_names(self) -> tuple[str, ...]:
        """Name of each class, in the order of the scores."""
        return tuple(self.description.get("class_names", ()))

    @property
    def multi_label(self) -> bool:
        """Whether several classes of an image may be true at once."""
        return bool(self.description.get("multi_label", False))

    def run(self, signature: str, batch: np.ndarray) -> Outputs:
        """Call one signature on one batch.

        Args:
            signature: "serving_default" for uint8 pixels, "encoded" for whole image files.
            batch: uint8 (count, height, width, channels), or an object array of bytes (count,).

        Returns:
            The outputs as NumPy arrays, text as str.
        """
        import tensorflow as tf

        function = self.signatures[signature]
        (name,) = function.structured_input_signature[1]
        outputs = {key: value.numpy() for key, value in function(**{name: tf.constant(batch)}).items()}
        return {
            key: np.array([text.decode() for text in value], dtype=object) if value.dtype == object else value
            for key, value in outputs.items()
        }

    def predict(self, raw: Any) -> Outputs:
        """Predict on raw images.

        Args:
            raw: One image or many, see :func:`kerasdl.export.raw_images.predict_raw_images`.

        Returns:
            "scores": float32 (count, classes); "label": object (count,); of a multi-label model also "present": bool
            (count, classes).
        """
        return predict_raw_images(
            raw,
            channels=self._channels,
            on_pixels=lambda batch: self.run("serving_default", batch),
            on_encoded=lambda batch: self.run("encoded", batch),
        )


def find_exported(path: str | Path) -> Path:
    """Return the folder of an exported version; a model's folder stands for its highest version.

    Raises:
        InputError: When nothing was exported there.
    """
    path = Path(path)
    if (path / "saved_model.pb").exists():
        return path
    versions = versions_in(path)
    if not versions or not (path / str(versions[-1]) / "saved_model.pb").exists():
        raise InputError(
            str(path),
            received="a folder without a SavedModel" if path.is_dir() else "no such folder",
            expected="a folder that `export` wrote, such as saved_models/digits or saved_models/digits/1",
            mend="Check the path, or export first.",
        )
    return path / str(versions[-1])


def load_exported(path: str | Path) -> Exported:
    """Load an exported model for prediction.

    A SavedModel is a program: load only what you or somebody you trust exported.

    Args:
        path: "saved_models/digits" (its highest version) or "saved_models/digits/1".

    Returns:
        An object with `.predict(raw)`.

    Raises:
        InputError: When nothing was exported there or it is damaged.

    Example:
        >>> load_exported("saved_models/digits").predict("photo.png")["label"]
        array(['7'], dtype=object)
    """
    return Exported(find_exported(path))
