"""Reading arrays from a `.npz` file that anybody may have written."""

from __future__ import annotations

import io
import math
import os
import zipfile

import numpy as np

from kerasdl.safe_loading.archive import LARGEST_FILE, damage_as_value_error
from kerasdl.safe_loading.strict_json import open_regular


def read_npz(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Return the arrays in a file that `numpy.savez` wrote, by name.

    `numpy.load` makes an array of the shape that a file claims before it looks for its content, unpacks any amount, and
    raises whatever its parser of Python literals does. Here an array is as large as what is stored for it.

    Args:
        path: Of the file.

    Raises:
        OSError: When it cannot be read.
        ValueError: When it is damaged, compressed, or holds anything else than plain arrays.
    """
    with open_regular(path, LARGEST_FILE) as file, damage_as_value_error(), zipfile.ZipFile(file) as archive:
        entries, size = archive.infolist(), os.fstat(file.fileno()).st_size
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise ValueError("arrays that are compressed")
        if sum(entry.file_size for entry in entries) > size or len({*archive.namelist()}) < len(entries):
            raise ValueError("arrays that are larger than their file, or twice in it")
        if not all(entry.filename.endswith(".npy") for entry in entries):
            raise ValueError("something else than arrays")
        return {entry.filename.removesuffix(".npy"): _array(archive.read(entry)) for entry in entries}


def _array(content: bytes) -> np.ndarray:
    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError("an array in a version of the format that is not known")
    reader = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    try:
        shape, by_columns, dtype = reader(file)
    except Exception as error:  # a header is a literal of Python: its tokenizer and its parser raise what they like
        raise ValueError("an array without a header") from error
    if dtype.hasobject or dtype.names is not None or not all(side >= 0 for side in shape) or dtype.itemsize == 0:
        raise ValueError("an array of something else than numbers")
    if math.prod(shape) * dtype.itemsize != len(content) - file.tell():
        raise ValueError("an array of another size than its content")
    # A copy: what is read may be written to, and keeps no header.
    numbers = np.frombuffer(content, dtype, offset=file.tell()).copy()
    return numbers.reshape(shape[::-1]).T if by_columns else numbers.reshape(shape)
