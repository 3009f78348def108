"""The zip around a saved model: the three members that Keras writes, as it writes them, and nothing else."""

from __future__ import annotations

import contextlib
import io
import os
import stat
import struct
import zipfile
from collections.abc import Iterator

from kerasdl.safe_loading.strict_json import open_regular

METADATA, CONFIG, WEIGHTS = "metadata.json", "config.json", "model.weights.h5"
LARGEST_FILE = 1 << 33


def read_archive(path: str | os.PathLike[str]) -> dict[str, bytes]:
    """Return the members of a `.keras` file by name.

    Members are stored, not compressed, and next to each other, so that they are together no larger than the file.

    Args:
        path: Of the file, at most 8 GiB.

    Raises:
        OSError: When the file cannot be read.
        ValueError: When it is damaged or holds anything else.
    """
    with open_regular(path, LARGEST_FILE) as file, damage_as_value_error():
        return _read(file)


@contextlib.contextmanager
def damage_as_value_error() -> Iterator[None]:
    """Turn what Python's zip reader raises on damaged archives into one error."""
    try:
        yield
    # NotImplementedError is for what it does not know.
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, struct.error, KeyError) as error:
        raise ValueError(f"a damaged archive ({error})") from error


def _read(file: io.BufferedReader) -> dict[str, bytes]:
    size, begin = os.fstat(file.fileno()).st_size, file.read(4)
    # Python looks for the end of the directory, 22 bytes, as far as 64 KiB before the end of the file.
    file.seek(max(size - 22, 0))
    end = file.read(4)
    with zipfile.ZipFile(file) as archive:
        entries = sorted(archive.infolist(), key=lambda entry: entry.header_offset)
        names = sorted(entry.filename for entry in entries)
        if names != sorted((METADATA, CONFIG, WEIGHTS)):
            raise ValueError(f"the archive holds {', '.join(map(repr, names[:5]))[:150] or 'nothing'}")
        if (begin, end) != (b"PK\x03\x04", b"PK\x05\x06") or entries[0].header_offset:
            raise ValueError("the archive has something in front of it or behind it")
        place = 0
        for entry in entries:
            kind = stat.S_IFMT(entry.external_attr >> 16)
            if kind not in (0, stat.S_IFREG) or entry.flag_bits & 0x1 or entry.compress_type != zipfile.ZIP_STORED:
                raise ValueError(f"{entry.filename} in the archive is a link, encrypted or compressed")
            if entry.file_size != entry.compress_size or entry.header_offset < place:
                raise ValueError(f"{entry.filename} in the archive is not as large as it says, or over another member")
            place = entry.header_offset + entry.file_size
        if place > size:
            raise ValueError("the archive claims to hold more than it does")
        return {entry.filename: archive.read(entry) for entry in entries}
