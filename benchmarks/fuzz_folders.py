"""Damage and malice for folders: of runs, of exports, of checkpoints; see `fuzz_loading.py`."""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.fuzz_mutations import CANARY, any_raw, json_text, json_values

Generator = np.random.Generator
FolderMutation = Callable[[Path, Generator], None]


def _choose(names: list[str], rng: Generator) -> str:
    return names[int(rng.integers(0, len(names)))]


def _files(folder: Path) -> list[str]:
    found = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix not in (".html",)]
    return [str(path.relative_to(folder)) for path in found if "tensorboard" not in path.parts]


def any_file(folder: Path, rng: Generator) -> None:
    """Damage the bytes of one file."""
    path = folder / _choose(_files(folder), rng)
    path.write_bytes(any_raw(path.read_bytes(), rng))


def odd_file(folder: Path, rng: Generator) -> None:
    """Put something else in the place of a file: a link, a pipe, a folder, nothing, a file of a terabyte."""
    path, kind = folder / _choose(_files(folder), rng), int(rng.integers(0, 6))
    content = path.read_bytes()
    path.unlink()
    if kind == 0:
        path.symlink_to(f"{CANARY}/secret.txt")
    elif kind == 1:
        path.symlink_to("/dev/zero")
    elif kind == 2:
        os.mkfifo(path)
    elif kind == 3:
        path.mkdir()
    elif kind == 4:
        with open(path, "wb") as file:
            file.write(content)
            file.truncate(1 << 40)


def rehashed(change: FolderMutation) -> FolderMutation:
    """Return a mutation of a run that an attacker makes: what the run says of its files is true again."""

    def mutate(folder: Path, rng: Generator) -> None:
        change(folder, rng)
        result = json.loads((folder / "result.json").read_text("utf-8"))
        for name in result["files_sha256"]:
            result["files_sha256"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        (folder / "result.json").write_text(json.dumps(result))

    return mutate


def one_of(*names: str) -> FolderMutation:
    """Return a mutation that damages one of some files: JSON as JSON or as bytes, others as bytes."""

    def mutate(folder: Path, rng: Generator) -> None:
        path = folder / _choose(list(names), rng)
        ways = (any_raw, json_values, json_values, json_text) if path.suffix == ".json" else (any_raw,)
        path.write_bytes(ways[int(rng.integers(0, len(ways)))](path.read_bytes(), rng))

    return mutate


def seal_names(folder: Path, rng: Generator) -> None:
    """Let a run's hashes name other files, or be something else than hashes."""
    path = folder / "result.json"
    found = json.loads(path.read_text("utf-8"))
    names = ("../../../../etc/passwd", "/etc/passwd", f"{CANARY}/secret.txt", "/dev/zero", "", ".", "a\0b", "x" * 5000)
    wrong = (None, 5, [], "", {}, {"model.keras": None}, {"model.keras": 5}, {_choose(list(names), rng): "0" * 64})
    found["files_sha256"] = {**found["files_sha256"], _choose(list(names), rng): "0" * 64}
    if rng.random() < 0.5:
        found["files_sha256"] = wrong[int(rng.integers(0, len(wrong)))]
    path.write_text(json.dumps(found))


def _npy(shape: tuple[int, ...], dtype: str, content: bytes) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array_header_2_0(file, {"descr": dtype, "fortran_order": False, "shape": shape})
    return file.getvalue() + content


def arrays(folder: Path, rng: Generator) -> None:
    """Make an archive of arrays a bomb, a pickle, or one that lies about its members."""
    path = folder / _choose([name for name in _files(folder) if name.endswith(".npz")], rng)
    arrays_of(path, rng, _choose(list(ARRAYS), rng))


ARRAYS = ("huge shape", "pickle", "compressed", "header", "empty", "other name", "bytes", "missing")


def arrays_of(path: Path, rng: Generator, kind: str) -> None:
    """Do so with one file, in one of the ways of `ARRAYS`; the first four leave nothing that may be read."""
    with zipfile.ZipFile(path) as archive:
        found = {name: archive.read(name) for name in archive.namelist()}
    name = _choose(list(found), rng)
    compression = zipfile.ZIP_STORED
    if kind == "huge shape":
        found[name] = _npy((10**11,), "<f4", b"")
    elif kind == "pickle":
        found[name] = _npy((1,), "|O", b"cos\nsystem\n(S'touch %s/written'\ntR." % CANARY.encode())
    elif kind == "compressed":
        found[name], compression = _npy((1 << 26,), "|u1", bytes(1 << 26)), zipfile.ZIP_DEFLATED
    elif kind == "other name":
        found["../escaped.npy"] = found[name]
    elif kind == "bytes":
        found[name] = any_raw(found[name], rng)
    elif kind == "missing":
        del found[name]
    elif kind == "empty":
        found[name] = _npy((2**40, 0), "<f4", b"")
    else:
        found[name] = found[name].replace(b"'descr'", b"(" * 7, 1)
    with zipfile.ZipFile(path, "w", compression) as archive:
        for member, content in found.items():
            archive.writestr(member, content)
