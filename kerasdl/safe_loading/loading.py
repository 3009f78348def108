"""Putting the parts together: from a path to a model, or to one error."""

from __future__ import annotations

import importlib
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasdl.errors import InputError
from kerasdl.safe_loading.archive import CONFIG, METADATA, WEIGHTS, read_archive
from kerasdl.safe_loading.strict_json import parse_json

if TYPE_CHECKING:
    import keras
    import numpy as np


def load_keras(path: str | os.PathLike[str]) -> keras.Model:
    """Load a model from a `.keras` file of any origin, uncompiled.

    Nothing in the file is run, no other file is read, and memory stays within a small multiple of the file's size. The
    file is a regular one, no link. What a model may consist of says :mod:`kerasdl.safe_loading`.

    Args:
        path: Of the file.

    Returns:
        The model, with its weights. A layer of the kit is made from the kit's own code.

    Raises:
        InputError: When the file is damaged, was not written by Keras, or asks for anything but layers.

    Example:
        >>> load_keras("runs/digits/model.keras").count_params()
        2410

    Reference: CVE-2024-3660, CVE-2025-1550, CVE-2025-8747, CVE-2025-9906, CVE-2025-12058, CVE-2025-12060,
        CVE-2026-0897 and CVE-2026-1669 are what loading with Keras alone has met.
    """
    # Registers the layers of the kit, which a process that only loads has not imported yet.
    importlib.import_module("kerasdl.layers")
    try:
        members = read_archive(path)
        parse_json(members[METADATA])
        return _build(parse_json(members[CONFIG]), members.pop(WEIGHTS))
    except Exception as error:  # Keras and its backends raise a dozen kinds for what they cannot build
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            str(path),
            received="no such file"
            if isinstance(error, FileNotFoundError)
            else f"a damaged or refused model ({type(error).__name__}: {reason})",
            expected="a .keras file of plain Keras layers and layers of this kit, as model.save(path) writes it",
            mend="Check the path." if isinstance(error, FileNotFoundError) else "Restore the file, or train again.",
        ) from error


def _build(config: Mapping[str, Any], weights: bytes) -> keras.Model:
    # Importing this module, as `import kerasdl` does in the end, costs neither Keras nor NumPy.
    import keras

    from kerasdl.safe_loading.budget import limited_weights
    from kerasdl.safe_loading.configuration import checked_config
    from kerasdl.safe_loading.hdf5 import read_hdf5

    config = checked_config(config)
    groups, arrays = read_hdf5(weights)
    # Keras reads only what is written here: no second reader can see something else in the file than the first did.
    with tempfile.TemporaryDirectory(prefix="kerasdl-") as folder:
        place = Path(folder)
        (place / CONFIG).write_text(json.dumps(config), "utf-8")
        _write_weights(place / WEIGHTS, groups, arrays)
        with limited_weights(sum(array.size for array in arrays.values())):
            return keras.models.load_model(place, compile=False, safe_mode=True)


def _write_weights(path: Path, groups: Sequence[str], arrays: Mapping[str, np.ndarray]) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        for group in groups:
            file.require_group(group)
        for name, array in arrays.items():
            written = file.create_dataset(name, data=array)
            if array.dtype.name == "bfloat16":  # as Keras says it: HDF5 has no such type
                written.attrs["dtype"] = "bfloat16"
