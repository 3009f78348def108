"""Damage and malice for saved models: what `fuzz_loading.py` and the tests do to a `.keras` file.

A mutation takes the bytes of a good file and a generator and returns the bytes of a bad one. Here belong those of the
file, of its zip and of its JSON; those of its weights are in `fuzz_weights.py`.
"""

from __future__ import annotations

import io
import json
import os
import struct
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

Generator = np.random.Generator
Mutation = Callable[[bytes, Generator], bytes]
CONFIG, WEIGHTS = "config.json", "model.weights.h5"
# A folder outside that crafted files point to; nothing may ever touch it.
CANARY = os.environ.setdefault("FUZZ_CANARY", f"{tempfile.gettempdir()}/kerasdl-canary-{os.getpid()}")

NUMBERS = (0, -1, 1, 2, 2**15, 10**6, 10**9, 2**31 - 1, 2**31, 2**63 - 1, 2**63, 10**30, -(2**31), 0.5, 1e308, -1e-308)
NASTY: tuple[Any, ...] = (
    *NUMBERS,
    *(None, True, False, "", "a/b", "../../x", "\0", "x" * 5000, "relu", "float128", "int8", "string", "é" * 3),
    *([], {}, [[]], [None], [2**40] * 4, [1] * 300, {"class_name": "Dense"}, {"config": {}}, {"a": {"b": []}}),
    *("http://127.0.0.1:1/x", CANARY + "/secret.txt", "os.system", "keras.utils.get_file", "__lambda__"),
)


def members(content: bytes) -> dict[str, bytes]:
    """Return what a zip holds."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(found: Mapping[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    """Return a zip of members, its checksums right: damage in it reaches what reads the members."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in found.items():
            archive.writestr(name, content)
    return file.getvalue()


def truncate(content: bytes, rng: Generator) -> bytes:
    """Cut the end off."""
    return content[: int(rng.integers(0, len(content)))]


def flip_bits(content: bytes, rng: Generator) -> bytes:
    """Turn 1 to 16 bits over."""
    found = bytearray(content)
    for place in rng.integers(0, len(found), int(rng.integers(1, 17))):
        found[place] ^= 1 << int(rng.integers(0, 8))
    return bytes(found)


def overwrite(content: bytes, rng: Generator) -> bytes:
    """Overwrite up to 200 bytes: by noise, zeros, ones, or another part of the file."""
    begin, length = int(rng.integers(0, len(content))), int(rng.integers(1, 200))
    other = int(rng.integers(0, len(content)))
    what = (rng.bytes(length), bytes(length), b"\xff" * length, content[other : other + length])
    return content[:begin] + what[int(rng.integers(0, 4))] + content[begin + length :]


def insert_or_drop(content: bytes, rng: Generator) -> bytes:
    """Put bytes in, or take some out."""
    begin, length = int(rng.integers(0, len(content))), int(rng.integers(1, 100))
    return content[:begin] + (rng.bytes(length) + content[begin:] if rng.random() < 0.5 else content[begin + length :])


RAW: dict[str, Mutation] = {
    "truncated": truncate,
    "bits flipped": flip_bits,
    "bytes overwritten": overwrite,
    "bytes in or out": insert_or_drop,
}


def any_raw(content: bytes, rng: Generator) -> bytes:
    """Return the content damaged in one of the ways of `RAW`."""
    return list(RAW.values())[int(rng.integers(0, len(RAW)))](content, rng)


def in_member(name: str) -> Mutation:
    """Return a mutation that damages one member and packs it well."""

    def mutate(content: bytes, rng: Generator) -> bytes:
        found = members(content)
        return packed({**found, name: any_raw(found[name], rng)})

    return mutate


def zip_structure(content: bytes, rng: Generator) -> bytes:
    """Break the archive as an archive: other members, links, bombs, lies about sizes, data around it."""
    found, kind = members(content), int(rng.integers(0, 12))
    names = list(found)
    chosen = names[int(rng.integers(0, 3))]
    if kind == 0:
        bad = ("../escaped", "/tmp/escaped", "assets/../../escaped", "assets/x", "a\\b", "model.weights.npz", "assets/")
        return packed({**found, bad[int(rng.integers(0, len(bad)))]: b"x"})
    if kind == 1:  # a member that is a link, to the canary or to the root
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            for name, body in found.items():
                entry = zipfile.ZipInfo(name)
                entry.external_attr = (0o120777 if name == chosen else 0o100644) << 16
                archive.writestr(entry, f"{CANARY}/secret.h5".encode() if name == chosen else body)
        return file.getvalue()
    if kind == 2:  # a second member of a name
        name = rng.choice([" " * len(chosen), "metadata.jso2"[: len(chosen)].ljust(len(chosen), "_")])
        return packed({**found, name: found[chosen]}).replace(name.encode(), chosen.encode())
    if kind == 3:  # ten times as large, and more than a thousand times smaller when packed
        return packed({**found, chosen: found[chosen] + b" " * (1 << 26)}, zipfile.ZIP_DEFLATED)
    if kind == 4:
        return packed(found, (zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)[int(rng.integers(0, 3))])
    if kind == 5:
        return packed({name: body for name, body in found.items() if name != chosen})
    if kind == 6:
        return rng.bytes(50) + content if rng.random() < 0.5 else content + rng.bytes(50)
    if kind == 7:
        return packed({name: found[other] for name, other in zip(names, rng.permutation(names), strict=True)})
    if kind == 8:
        return packed({**found, chosen: content})
    # a number in the directory at the end: flags, method, checksum, sizes, place of the member
    directory = content.rfind(b"PK\x01\x02")
    place, size = ((8, 2), (10, 2), (16, 4), (20, 4), (24, 4), (28, 2), (42, 4))[int(rng.integers(0, 7))]
    value = int(rng.choice([0, 1, 8, 99, 0xFFFF, 0xFFFFFFFF, 1 << 30])) & ((1 << 8 * size) - 1)
    return content[: directory + place] + struct.pack("<" + "_BHHI"[size], value) + content[directory + place + size :]


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths of all values in JSON."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in items for place in places(item, (*path, key)))]


def at(value: Any, path: tuple[Any, ...]) -> Any:
    """Return the value at a path."""
    for key in path:
        value = value[key]
    return value


def json_values(text: bytes, rng: Generator) -> bytes:
    """Change one to three values or keys in JSON."""
    found = json.loads(text)
    for _ in range(int(rng.integers(1, 4))):
        paths = places(found)[1:]
        if not paths:
            break
        *path, key = paths[int(rng.integers(0, len(paths)))]
        holder, kind = at(found, tuple(path)), rng.random()
        if kind < 0.7:
            holder[key] = NASTY[int(rng.integers(0, len(NASTY)))]
        elif kind < 0.85:
            del holder[key]
        else:
            other = at(found, paths[int(rng.integers(0, len(paths)))])
            holder[key] = json.loads(json.dumps(other))
    return json.dumps(found).encode()


def json_text(text: bytes, rng: Generator) -> bytes:
    """Break JSON as text: too deep, too long, keys twice, NaN, other encodings."""
    broken = (
        lambda: b"[" * 100_000,
        lambda: b'{"a":' * 5000 + b"1" + b"}" * 5000,
        lambda: b'{"module":"keras","class_name":"Lambda",' + text[1:],
        lambda: text.replace(b"null", b"NaN", 1),
        lambda: text.replace(b"null", b"1e999", 1),
        lambda: text.replace(b"null", b"1" * 5000, 1),
        lambda: text.replace(b"null", b"Infinity"),
        lambda: text.decode().encode("utf-16"),
        lambda: text.replace(b"name", b"\xff\xfe", 1),
        lambda: text[:-1] + b',"x":"' + b"x" * 20_000_000 + b'"}',
        lambda: text[:-1] + b',"x":[' + b"[]," * 2_000_000 + b"[]]}",
        lambda: b"null",
        lambda: b"[]",
    )
    return broken[int(rng.integers(0, len(broken)))]()


def in_config(mutate: Mutation) -> Mutation:
    """Return a mutation of a `.keras` file that changes its configuration."""

    def whole(content: bytes, rng: Generator) -> bytes:
        found = members(content)
        return packed({**found, CONFIG: mutate(found[CONFIG], rng)})

    return whole


def sizes(text: bytes, rng: Generator) -> bytes:
    """Make one to three of the numbers in a configuration large."""
    found = json.loads(text)
    whole = [path for path in places(found) if type(at(found, path)) is int and path[-1] not in ("shared_object_id",)]
    for _ in range(int(rng.integers(1, 4))):
        *path, key = whole[int(rng.integers(0, len(whole)))]
        at(found, tuple(path))[key] = int(rng.choice([10**3, 10**5, 10**7, 10**9, 2**31 - 1, 2**40, 2**62]))
    return json.dumps(found).encode()
