"""Reading the tensors of a PyTorch state dict from its file, without PyTorch and without running anything in it.

Here belongs the reader of `.pth` files, in which published weights come: both the zip archive that PyTorch writes
since version 1.6 and the older stream of pickles.
"""

from __future__ import annotations

import io
import math
import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kerasdl.errors import InputError
from kerasdl.models.inert_pickle import Source, interpret

_MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
_PROTOCOL_VERSION = 1001
_LARGEST_FILE = 1 << 31


def read_torch_file(path: str | Path) -> dict[str, np.ndarray]:
    """Read the tensors of a state dict that `torch.save(model.state_dict(), path)` wrote.

    Args:
        path: Of the file, at most 2 GiB.

    Returns:
        As `read_torch`.

    Raises:
        InputError: If the file cannot be read, or for the reasons of `read_torch`.

    Example:
        >>> read_torch_file("resnet18.pth")["conv1.weight"].shape
        (64, 3, 7, 7)
    """
    try:
        if Path(path).stat().st_size > _LARGEST_FILE:
            raise OSError("it has more than 2 GiB")
        content = Path(path).read_bytes()
    # A path with a zero byte is a ValueError.
    except (OSError, ValueError) as error:
        raise InputError(
            str(path),
            received=f"no file that can be read ({getattr(error, 'strerror', None) or error})",
            expected="a file that torch.save wrote",
            mend="Check the path.",
        ) from error
    return read_torch(content, what=str(path))


def read_torch(content: bytes, *, what: str) -> dict[str, np.ndarray]:
    """Read the tensors of a state dict from the content of a file that torch.save wrote.

    Nothing in it is run or imported, and no tensor reaches outside its storage, so that a crafted file does no harm.
    Hooks and metadata are left out.

    Args:
        content: All the bytes of the file.
        what: The file, for the error.

    Returns:
        The tensors by name, read-only, in the order of the file and in the shapes and layout of PyTorch.

    Raises:
        InputError: If the file is damaged, or holds anything but tensors of integers or of floats of 16, 32 or 64 bits.

    Example:
        >>> read_torch(Path("resnet18.pth").read_bytes(), what="resnet18.pth")["conv1.weight"].dtype
        dtype('float32')

    Reference: https://docs.pytorch.org/docs/stable/notes/serialization.html
    """
    try:
        return _read_zip(content) if content.startswith(b"PK") else _read_stream(content)
    # ValueError is ours; the others are what Python's zip reader raises on damaged archives.
    except (
        ValueError,
        zipfile.BadZipFile,
        NotImplementedError,
        RuntimeError,
        EOFError,
        OSError,
        struct.error,
    ) as error:
        raise InputError(
            what,
            received=f"a damaged or refused file ({error})",
            expected="a PyTorch state dict, as torch.save(model.state_dict(), path) writes it",
            mend="Get the file again from its publisher, or save the state dict of the model again.",
        ) from error


@dataclass(frozen=True)
class _Storage:
    key: str
    dtype: np.dtype
    numel: int


@dataclass(frozen=True)
class _Tensor:
    storage: _Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


def _read_stream(content: bytes) -> dict[str, np.ndarray]:
    # Five pickles (magic number, version, system, state dict, keys of the storages), then the storages in that order.
    source = Source(content)
    if interpret(source) != _MAGIC_NUMBER or interpret(source) != _PROTOCOL_VERSION:
        raise ValueError("it does not begin as torch.save begins a file")
    system = interpret(source)
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise ValueError("its numbers are not little-endian")
    tensors = _interpret_state(source)
    keys = interpret(source)
    itemsizes = {tensor.storage.key: tensor.storage.dtype.itemsize for tensor in tensors.values()}
    storages = {}
    for key in keys if isinstance(keys, list) else ():
        if not isinstance(key, str) or key not in itemsizes:
            raise ValueError("it holds numbers that belong to no tensor")
        storages[key] = source.take(source.number("<q") * itemsizes[key])
    return {name: _view(name, tensor, storages) for name, tensor in tensors.items()}


def _read_zip(content: bytes) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = archive.infolist()
        # Neither compressed nor one over another, the entries together are no larger than the file.
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise ValueError("its archive is compressed, and torch.save compresses none")
        if sum(entry.file_size for entry in entries) > len(content):
            raise ValueError("its archive claims to hold more than it does")
        names = set(archive.namelist())
        roots = [name.removesuffix("data.pkl") for name in names if name.endswith("/data.pkl")]
        if len(roots) != 1:
            raise ValueError("its archive is not one of torch.save")
        root = roots[0]
        if f"{root}byteorder" in names and archive.read(f"{root}byteorder") != b"little":
            raise ValueError("its numbers are not little-endian")
        tensors = _interpret_state(Source(archive.read(f"{root}data.pkl")))
        keys = {tensor.storage.key for tensor in tensors.values() if f"{root}data/{tensor.storage.key}" in names}
        storages = {key: archive.read(f"{root}data/{key}") for key in keys}
    return {name: _view(name, tensor, storages) for name, tensor in tensors.items()}


def _interpret_state(source: Source) -> dict[str, _Tensor]:
    state = interpret(source, _NAMES, _storage)
    if not isinstance(state, dict):
        raise ValueError("it holds something else than tensors by name")
    for name, tensor in state.items():
        if not isinstance(tensor, _Tensor):
            raise ValueError(f"{name[:80]!r} in it is no tensor")
    return state


def _ordered_dict(*arguments: Any) -> dict[str, Any]:
    if arguments:
        raise ValueError("its pickle makes a dictionary as torch.save does not")
    return {}


def _rebuild_tensor(*arguments: Any) -> _Tensor:
    # storage, offset, size, stride, requires_grad, backward hooks
    if len(arguments) != 6 or not isinstance(arguments[0], _Storage) or not _integers(arguments[1:2]):
        raise ValueError("its pickle makes a tensor as torch.save does not")
    size, stride = arguments[2:4]
    if not _integers(size) or not _integers(stride) or len(size) != len(stride):
        raise ValueError("a tensor in it has no shape")
    return _Tensor(*arguments[:4])


def _storage(identifier: Any) -> _Storage:
    # ("storage", type, key, device, numel), and None in the older format
    parts = identifier if isinstance(identifier, tuple) else ()
    if len(parts) not in (5, 6) or parts[0] != "storage" or parts[5:] not in ((), (None,)):
        raise ValueError("its pickle refers to something else than a storage of numbers")
    if not isinstance(parts[1], np.dtype) or not isinstance(parts[2], str) or not _integers(parts[4:5]):
        raise ValueError("its pickle refers to a storage as torch.save does not")
    return _Storage(parts[2], parts[1], parts[4])


def _integers(values: Any) -> bool:
    return isinstance(values, tuple) and all(isinstance(value, int) for value in values)


_NAMES = {
    "collections.OrderedDict": _ordered_dict,
    "torch._utils._rebuild_tensor_v2": _rebuild_tensor,
    "torch.HalfStorage": np.dtype("<f2"),
    "torch.FloatStorage": np.dtype("<f4"),
    "torch.DoubleStorage": np.dtype("<f8"),
    "torch.ByteStorage": np.dtype("<u1"),
    "torch.IntStorage": np.dtype("<i4"),
    "torch.LongStorage": np.dtype("<i8"),
}


def _view(name: str, tensor: _Tensor, storages: dict[str, bytes]) -> np.ndarray:
    dtype, size = tensor.storage.dtype, tensor.size
    content = storages.get(tensor.storage.key, b"")
    if len(content) != tensor.storage.numel * dtype.itemsize:
        raise ValueError(f"the numbers of {name[:80]!r} are missing or cut off")
    # The stride of a side of one element is never used and may be anything.
    stride = tuple(step if side != 1 else 0 for side, step in zip(size, tensor.stride, strict=True))
    last = tensor.offset + sum((side - 1) * step for side, step in zip(size, stride, strict=True))
    inside = tensor.offset >= 0 and min(size, default=1) >= 1 and min(stride, default=0) >= 0
    # As many elements as the storage at most: a stride of 0 would make a tensor of any size out of one number.
    if not inside or len(size) > 8 or last >= tensor.storage.numel or math.prod(size) > tensor.storage.numel:
        raise ValueError(f"{name[:80]!r} reaches outside its storage")
    numbers = np.frombuffer(content, dtype)[tensor.offset :]
    steps = tuple(step * dtype.itemsize for step in stride)
    return np.lib.stride_tricks.as_strided(numbers, size, steps, writeable=False)
