"""HDF5 that Keras does not write: links, arrays from other files, shapes without content, other types."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

from benchmarks.fuzz_mutations import CANARY, WEIGHTS, any_raw, members, packed

Change = Callable[[h5py.File, str, np.random.Generator], None]


def _replace(make: Callable[[h5py.Group, str, np.ndarray, np.random.Generator], object]) -> Change:
    def change(file: h5py.File, path: str, rng: np.random.Generator) -> None:
        value = file[path][()]
        group, name = file[path].parent, path.rpartition("/")[2]
        del group[name]
        make(group, name, value, rng)

    return change


def _external(group: h5py.Group, name: str, value: np.ndarray, _: np.random.Generator) -> None:
    files = [(f"{CANARY}/secret.bin", 0, max(value.nbytes, 1))]
    group.create_dataset(name, shape=value.shape, dtype=value.dtype, external=files)


def _virtual(group: h5py.Group, name: str, value: np.ndarray, _: np.random.Generator) -> None:
    shape = value.shape or (1,)
    layout = h5py.VirtualLayout(shape=shape, dtype=value.dtype)
    layout[...] = h5py.VirtualSource(f"{CANARY}/secret.h5", "x", shape=shape)
    group.create_virtual_dataset(name, layout)


def _bomb(group: h5py.Group, name: str, value: np.ndarray, rng: np.random.Generator) -> None:
    shape = tuple(int(side) for side in rng.choice([10**4, 10**5, 2**31], max(value.ndim, 1)))
    group.create_dataset(name, shape=shape, dtype="float32", chunks=(1,) * len(shape), compression="gzip")


def _same_shape_bomb(group: h5py.Group, name: str, value: np.ndarray, _: np.random.Generator) -> None:
    group.create_dataset(name, shape=(1 << 28,), dtype="float32")  # no content: nothing is stored before it is written


def _cycle(file: h5py.File, path: str, _: np.random.Generator) -> None:
    file[path].parent["again"] = file["/"]


def _twice(file: h5py.File, path: str, _: np.random.Generator) -> None:
    file[path].parent["again"] = file[path]


def _drop(file: h5py.File, path: str, _: np.random.Generator) -> None:
    del file[path]


def _extra(file: h5py.File, path: str, rng: np.random.Generator) -> None:
    file[path].parent[f"{len(file[path].parent)}{rng.choice(['', 'x'])}"] = np.zeros(3, "float32")


CRAFTED: dict[str, Change] = {
    "external link": _replace(
        lambda group, name, *_: group.__setitem__(name, h5py.ExternalLink(f"{CANARY}/secret.h5", "x"))
    ),
    "soft link": _replace(lambda group, name, *_: group.__setitem__(name, h5py.SoftLink("/layers"))),
    "external storage": _replace(_external),
    "virtual dataset": _replace(_virtual),
    "shape bomb": _replace(_bomb),
    "array without content": _replace(_same_shape_bomb),
    "packed": _replace(
        lambda group, name, value, _: group.create_dataset(name, data=np.atleast_1d(value), compression="gzip")
    ),
    "strings": _replace(lambda group, name, *_: group.create_dataset(name, data=["a", "b"])),
    "references": _replace(lambda group, name, *_: group.create_dataset(name, data=group.ref, dtype=h5py.ref_dtype)),
    "compound": _replace(
        lambda group, name, *_: group.create_dataset(name, data=np.zeros(3, [("a", "f4"), ("b", "i8")]))
    ),
    "no value": _replace(lambda group, name, *_: group.create_dataset(name, data=h5py.Empty("f4"))),
    "a type in place": _replace(lambda group, name, *_: group.__setitem__(name, np.dtype("f4"))),
    "a circle": _cycle,
    "an array twice": _twice,
}
# These give models that are as good as any, or none.
OTHER: dict[str, Change] = {
    "other shape": _replace(
        lambda group, name, value, _: group.create_dataset(name, data=np.zeros((*value.shape, 2), "f4"))
    ),
    "other type": _replace(lambda group, name, value, _: group.create_dataset(name, data=value.astype(">f8"))),
    "complex": _replace(lambda group, name, value, _: group.create_dataset(name, data=value.astype("c8"))),
    "a group in place": _replace(lambda group, name, *_: group.create_group(name)),
    "missing": _drop,
    "one more": _extra,
}


def changed(weights: bytes, change: Change, rng: np.random.Generator, **how: object) -> bytes:
    """Return weights with one of their arrays changed."""
    file = io.BytesIO(weights)
    with h5py.File(file, "r+", **how) as opened:
        paths: list[str] = []
        opened.visititems(lambda path, item: paths.append(path) if isinstance(item, h5py.Dataset) else None)
        change(opened, paths[int(rng.integers(0, len(paths)))], rng)
    return file.getvalue()


def hdf5(changes: dict[str, Change]) -> Callable[[bytes, np.random.Generator], bytes]:
    """Return a mutation of a `.keras` file by any of some changes of its weights."""

    def mutate(content: bytes, rng: np.random.Generator) -> bytes:
        found = members(content)
        change = list(changes.values())[int(rng.integers(0, len(changes)))]
        return packed({**found, WEIGHTS: changed(found[WEIGHTS], change, rng)})

    return mutate


def structure(content: bytes, rng: np.random.Generator) -> bytes:
    """Damage what describes the weights, not their numbers: headers, trees, heaps, types, shapes, places."""
    found = members(content)
    weights = bytearray(found[WEIGHTS])
    marks = (b"HEAP", b"TREE", b"SNOD", b"\x01\x00\x06\x00", b"\x03\x01", b"\x11\x20", b"\x89HDF")
    for _ in range(int(rng.integers(1, 4))):
        mark = marks[int(rng.integers(0, len(marks)))]
        starts = [place for place in range(0, len(weights), 8) if weights[place : place + len(mark)] == mark]
        begin = starts[int(rng.integers(0, len(starts)))] if starts else 0
        place = begin + int(rng.integers(0, 64))
        value = int(rng.choice([0, 1, 2, 0x7F, 0x80, 0xFE, 0xFF, int(rng.integers(0, 256))]))
        size = int(rng.choice([1, 1, 2, 4, 8]))
        weights[place : place + size] = bytes([value]) * size
    return packed({**found, WEIGHTS: bytes(weights[: len(found[WEIGHTS])])})


def plant(folder: Path) -> None:
    """Write the files that crafted ones point to."""
    (folder / "secret.txt").write_text("a\nb\n")
    (folder / "secret.bin").write_bytes(bytes(range(256)) * 400)
    with h5py.File(folder / "secret.h5", "w") as file:
        file["x"] = np.ones(1000, "float32")


__all__ = ["CRAFTED", "OTHER", "any_raw", "changed", "hdf5", "plant", "structure"]
