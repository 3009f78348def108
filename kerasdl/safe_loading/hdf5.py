"""A reader of the part of HDF5 that Keras writes: groups and whole arrays of numbers, in the oldest of its formats.

The HDF5 library is some hundred thousand lines of C, of which crafted files crash and overflow a new part every few
months (CVE-2025-2309, CVE-2025-44905, CVE-2025-6750 and others). Its format also has links to other files, arrays that
lie in other files or are put together from them, filters that unpack to any size, and shapes without any content.
Nothing of this is in a file of Keras, and nothing of it is known here: h5py writes superblock 0, object headers 1,
groups as B-trees 1 with local heaps, and arrays that lie in the file in one piece, unless it is told otherwise.

Reference: https://support.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_DEEPEST = 100
_SPACE, _TYPE, _LAYOUT, _CONTINUATION, _TABLE = 0x1, 0x3, 0x8, 0x10, 0x11
# What says nothing that is needed: nothing at all, fill values of arrays that are whole, attributes, times.
_IDLE = (0x0, 0x4, 0x5, 0xC, 0xE, 0x12)
# Of the header of a floating-point type: the bits of the exponent and of the mantissa, and what is added to the former.
_FLOATS = {
    2: (0, 16, 10, 5, 0, 10, 15),
    4: (0, 32, 23, 8, 0, 23, 127),
    8: (0, 64, 52, 11, 0, 52, 1023),
}


def read_hdf5(content: bytes) -> tuple[list[str], dict[str, np.ndarray]]:
    """Return what is in an HDF5 file of weights.

    Args:
        content: All the bytes of the file.

    Returns:
        The paths of its groups, and its arrays by path: views into `content`, together no larger than it.

    Raises:
        ValueError: If the file is damaged, or anything else than groups and arrays of numbers in one piece.
    """
    reader = _Reader(content)
    reader.read()
    return reader.groups, reader.arrays


class _Reader:
    def __init__(self, content: bytes):
        self.groups: list[str] = []
        self.arrays: dict[str, np.ndarray] = {}
        self._content = content
        self._left = len(content)
        self._seen: set[int] = set()

    def read(self) -> None:
        if self._take(0, 8) != _SIGNATURE or self._take(8, 8) != bytes([0, 0, 0, 0, 0, 8, 8, 0]):
            raise ValueError("the weights are not in HDF5 as Keras writes it")
        if self._number(24, 8) != 0 or self._number(40, 8) != len(self._content):
            raise ValueError("the weights are cut off, or have something in front of them or behind them")
        self._object("", self._number(64, 8), deep=0)

    def _take(self, place: int, size: int) -> bytes:
        # An address that is not there is all ones, and so outside.
        if place + size > len(self._content):
            raise ValueError("the weights point outside their file")
        return self._content[place : place + size]

    def _number(self, place: int, size: int) -> int:
        return int.from_bytes(self._take(place, size), "little")

    def _once(self, place: int) -> int:
        # Neither going round for ever nor an array under many names.
        if place in self._seen:
            raise ValueError("the weights have one part in two places")
        self._seen.add(place)
        return place

    def _object(self, path: str, place: int, *, deep: int) -> None:
        messages = self._messages(self._once(place))
        if _TABLE in messages:
            if len(messages) > 1 or len(messages[_TABLE]) != 16 or deep > _DEEPEST:
                raise ValueError(f"{path[:80]!r} of the weights is no plain group")
            if path:
                self.groups.append(path)
            tree, heap = (int.from_bytes(part, "little") for part in (messages[_TABLE][:8], messages[_TABLE][8:]))
            names = self._heap(self._once(heap))
            self._tree(path, self._once(tree), names, deep=deep)
        elif messages.keys() == {_SPACE, _TYPE, _LAYOUT}:
            self.arrays[path] = self._array(messages)
        else:
            raise ValueError(f"{path[:80]!r} of the weights is no plain array, or lies in another file")

    def _messages(self, place: int) -> dict[int, bytes]:
        if self._take(place, 2) != b"\x01\x00":
            raise ValueError("the weights have a part that Keras does not write")
        found: dict[int, bytes] = {}
        blocks = [(place + 16, self._number(place + 8, 4))]
        for begin, length in blocks:
            self._take(begin, length)
            while length >= 8:
                kind, size, flags = self._number(begin, 2), self._number(begin + 2, 2), self._number(begin + 4, 1)
                if size + 8 > length or flags & 0x2:
                    raise ValueError("the weights have a part that is too long, or lies elsewhere")
                body = self._take(begin + 8, size)
                if kind == _CONTINUATION:
                    blocks.append((self._once(_number(body, 0, 8)), _number(body, 8, 8)))
                elif kind not in _IDLE:
                    if kind in found:
                        raise ValueError("the weights say something twice")
                    found[kind] = body
                begin, length = begin + 8 + size, length - 8 - size
        return found

    def _heap(self, place: int) -> bytes:
        if self._take(place, 8) != b"HEAP\x00\x00\x00\x00":
            raise ValueError("the weights have no names where they should be")
        return self._take(self._number(place + 24, 8), self._number(place + 8, 8))

    def _tree(self, path: str, place: int, names: bytes, *, deep: int) -> None:
        if self._take(place, 4) == b"TREE":
            if self._number(place + 4, 1) != 0 or deep > _DEEPEST:
                raise ValueError("the weights have a group that Keras does not write")
            for index in range(self._number(place + 6, 2)):
                child = self._number(place + 32 + 16 * index, 8)
                self._tree(path, self._once(child), names, deep=deep + 1)
        elif self._take(place, 6) == b"SNOD\x01\x00":
            for index in range(self._number(place + 6, 2)):
                entry = place + 8 + 40 * index
                # 0 and 1 are objects of the file; 2 is a name for another name.
                if self._number(entry + 16, 4) not in (0, 1):
                    raise ValueError("the weights have a link")
                name = _name(names, self._number(entry, 8))
                inner = f"{path}/{name}" if path else name
                if inner in self.arrays or inner in self.groups[-1:]:
                    raise ValueError("the weights have a name twice")
                self._object(inner, self._number(entry + 8, 8), deep=deep + 1)
        else:
            raise ValueError("the weights have a damaged group")

    def _array(self, messages: dict[int, bytes]) -> np.ndarray:
        dtype, shape, layout = _dtype(messages[_TYPE]), _shape(messages[_SPACE]), messages[_LAYOUT]
        size = math.prod(shape) * dtype.itemsize
        if layout[:2] == b"\x03\x01":  # in one piece somewhere in the file
            stored = _number(layout, 10, 8)
            content = self._take(_number(layout, 2, 8), size) if size else b""
        elif layout[:2] == b"\x03\x00":  # here
            stored, content = _number(layout, 2, 2), layout[4 : 4 + size]
        else:
            raise ValueError("the weights have an array in pieces, packed, or from another file")
        self._left -= size
        if stored != size or len(content) != size or self._left < 0:
            raise ValueError("the weights have an array of another size than its content")
        numbers = np.frombuffer(content, dtype).reshape(shape)
        return numbers != 0 if dtype == np.uint8 and messages[_TYPE][0] & 0xF == 8 else numbers


def _number(content: bytes, place: int, size: int) -> int:
    if place + size > len(content):
        raise ValueError("the weights have a part that is too short")
    return int.from_bytes(content[place : place + size], "little")


def _name(names: bytes, place: int) -> str:
    end = names.find(b"\0", place)
    name = names[place:end].decode("utf-8")
    if not 0 <= place < end or "/" in name or name == "." or end - place > 1000:
        raise ValueError("the weights have a name that is none")
    return name


def _shape(message: bytes) -> tuple[int, ...]:
    # Version 1, the number of sides, whether the largest sides follow, five bytes of nothing, the sides.
    rank, most = _number(message, 1, 1), _number(message, 2, 1)
    if message[0] != 1 or most > 1 or rank > 32:
        raise ValueError("the weights have an array without a plain shape")
    shape = tuple(_number(message, 8 + 8 * index, 8) for index in range(rank))
    largest = tuple(_number(message, 8 + 8 * (rank + index), 8) for index in range(rank)) if most else shape
    if shape != largest or any(side >> 62 for side in shape):
        raise ValueError("the weights have an array without a plain shape")
    return shape


def _dtype(message: bytes) -> np.dtype[Any]:
    # Class and version, three bytes of flags, the size in bytes, then what depends on the class.
    kind, size = _number(message, 0, 1), _number(message, 4, 4)
    order = "<>"[message[1] & 1]
    if kind == 0x10 and size in (1, 2, 4, 8) and message[1] & ~0x9 == 0 and message[8:12] == _bits(size):
        return np.dtype(f"{order}{'i' if message[1] & 0x8 else 'u'}{size}")
    if kind == 0x11 and size in _FLOATS and message[1] & ~0x1 == 0x20 and message[2] == 8 * size - 1:
        offset, bits, *parts, bias = _FLOATS[size]
        expected = b"".join((offset.to_bytes(2, "little"), bits.to_bytes(2, "little"), bytes(parts)))
        if message[8:20] == expected + bias.to_bytes(4, "little"):
            return np.dtype(f"{order}f{size}")
    if kind & 0xF == 5 and size == 2:  # two bytes of anything: Keras writes bfloat16 so
        import ml_dtypes

        return np.dtype(ml_dtypes.bfloat16)
    if kind & 0xF == 8 and size == 1:  # one of some names in a byte: h5py writes booleans so
        return np.dtype(np.uint8)
    raise ValueError("the weights have an array of something else than numbers")


def _bits(size: int) -> bytes:
    return b"\0\0" + (8 * size).to_bytes(2, "little")
