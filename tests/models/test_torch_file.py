"""State dicts of PyTorch are read exactly, nothing in them is run, and no damage gives anything but an InputError."""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kerasdl import InputError
from kerasdl.models.inert_pickle import Source, interpret
from kerasdl.models.torch_file import read_torch, read_torch_file

SYSTEM = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
FORMATS = ["stream", "zip"]


class Call:
    """Goes into a pickle as the call of a global name."""

    def __init__(self, name: str, *arguments: Any):
        self.name, self.arguments = name, arguments


class Storage:
    """Goes into a pickle as the reference to a storage, its numbers to another place of the file."""

    def __init__(self, numbers: Any, *, kind: str = "Float", key: str = "1", numel: int | None = None):
        self.numbers, self.kind, self.key = np.asarray(numbers), kind, key
        self.numel = self.numbers.size if numel is None else numel


def pack(value: Any, form: str) -> bytes:
    """Pickle in protocol 2, with the names of modules that are not here."""
    match value:
        case Call(name=name, arguments=arguments):
            module, _, attribute = name.rpartition(".")
            return f"c{module}\n{attribute}\n".encode() + pack(arguments, form) + b"R"
        case Storage(kind=kind, key=key, numel=numel):
            parts = [pack(part, form) for part in ("storage", key, "cpu", numel)]
            parts.insert(1, f"ctorch\n{kind}Storage\n".encode())
            return b"(" + b"".join(parts) + (b"N" if form == "stream" else b"") + b"tQ"
        case tuple():
            return b"(" + b"".join(pack(item, form) for item in value) + b"t"
        case dict():
            return b"}(" + b"".join(pack(item, form) for pair in value.items() for item in pair) + b"u"
        case _:
            return pickle.dumps(value, protocol=2)[2:-1]


def torch_file(state: Any, storages: list[Storage], form: str) -> bytes:
    program = b"\x80\x02" + (state if isinstance(state, bytes) else pack(state, form)) + b"."
    if form == "stream":
        content = b"".join(pickle.dumps(part, protocol=2) for part in (0x1950A86A20F9469CFC6C, 1001, SYSTEM)) + program
        content += pickle.dumps([storage.key for storage in storages], protocol=2)
        return content + b"".join(struct.pack("<q", s.numbers.size) + s.numbers.tobytes() for s in storages)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("net/data.pkl", program)
        archive.writestr("net/byteorder", "little")
        for storage in storages:
            archive.writestr(f"net/data/{storage.key}", storage.numbers.tobytes())
    return file.getvalue()


def tensor(storage: Storage, offset: Any, size: Any, stride: Any) -> Call:
    hooks = Call("collections.OrderedDict")
    return Call("torch._utils._rebuild_tensor_v2", storage, offset, size, stride, False, hooks)


def small(form: str) -> bytes:
    floats, longs = Storage(np.arange(6, dtype="f4")), Storage(np.array([7], "i8"), kind="Long", key="2")
    state = {
        "rows": tensor(floats, 0, (2, 3), (3, 1)),
        "transposed": tensor(floats, 0, (3, 2), (1, 3)),
        "part": tensor(floats, 1, (2,), (2,)),
        "count": tensor(longs, 0, (), ()),
    }
    return torch_file(state, [floats, longs], form)


def read(content: bytes) -> dict[str, np.ndarray]:
    return read_torch(content, what="net.pth")


@pytest.mark.parametrize("form", FORMATS)
def test_tensors_are_read_with_their_strides(form: str, tmp_path: Path) -> None:
    (tmp_path / "net.pth").write_bytes(small(form))
    found = read_torch_file(tmp_path / "net.pth")
    assert list(found) == ["rows", "transposed", "part", "count"]
    np.testing.assert_array_equal(found["rows"], [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(found["transposed"], [[0, 3], [1, 4], [2, 5]])
    np.testing.assert_array_equal(found["part"], [1, 3])
    assert (found["count"].shape, found["count"].dtype, int(found["count"])) == ((), np.int64, 7)
    assert found["rows"].dtype == np.float32
    assert not found["rows"].flags.writeable


def test_plain_pickles_are_read_as_pickle_reads_them() -> None:
    again = ["b", (1, 2)]
    value = {"a": (-5, 300, 70_000, 2**40, -(2**70)), "ä": [None, True, False, 0.5], "c": {"d": again, "e": again}}
    value |= {
        "empty": [(), [], {}],
        "one": (1,),
        "three": (1, (2,), 3),
        "four": (1, 2, 3, 4),
        "list": [1],
        "big": [0] * 300,
    }
    source = Source(pickle.dumps(value, protocol=2) + b"next")
    assert interpret(source) == value
    assert source.take(4) == b"next"


class Evil:
    def __init__(self, function: Any, *arguments: Any):
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("function", [os.system, eval, exec, getattr, open])
def test_a_program_in_the_pickle_is_refused_and_not_run(function: Any, form: str, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    argument = {os.system: f"touch {trace}", open: str(trace)}.get(function, f"open({str(trace)!r}, 'w')")
    evil = Evil(function, argument, *(("w",) if function is open else ()))
    # The pickle does what it says, in pickle's hands, and so is no straw man.
    content = pickle.dumps({"a": evil}, protocol=2)
    if function is os.system:
        pickle.loads(content)
        trace.unlink()
    with pytest.raises(InputError, match=f"names '[a-z_]+.{function.__name__}'"):
        read(torch_file(content[2:-1], [], form))
    assert not trace.exists()


@pytest.mark.parametrize("form", FORMATS)
def test_values_are_never_called(form: str) -> None:
    storage = Storage(np.ones(1, "f4"))
    with pytest.raises(InputError, match="calls what is no function"):
        read(torch_file(b"X\x01\x00\x00\x00a)R", [], form))
    with pytest.raises(InputError, match="calls what is no function"):
        read(torch_file(b"ctorch\nFloatStorage\n)R", [], form))
    with pytest.raises(InputError, match="as torch.save does not"):
        read(torch_file({"a": Call("torch._utils._rebuild_tensor_v2", storage)}, [storage], form))
    with pytest.raises(InputError, match="NEWOBJ"):
        read(torch_file(b"ccollections\nOrderedDict\n)\x81", [], form))


def test_nested_tuples_are_no_keys() -> None:
    # Hashing this one takes 2 ** 60 steps.
    bomb = b"})" + b"".join(b"q\x00h\x00\x86" for _ in range(60)) + b"Ns"
    with pytest.raises(InputError, match="keys are not all strings"):
        read(torch_file(bomb, [], "stream"))


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    ("offset", "size", "stride"),
    [
        (0, (7,), (1,)),
        (1, (6,), (1,)),
        (6, (1,), (1,)),
        (-1, (2,), (1,)),
        (0, (2, 3), (4, 1)),
        (5, (2,), (-1,)),
        (0, (3,), (3,)),
        (0, (2**62,), (0,)),
        (0, (7,), (0,)),
        (0, (2**40, 2**40), (0, 0)),
        (0, (0, 2**63), (1, 1)),
        (0, (-1, -6), (1, 1)),
        (2**70, (1,), (1,)),
        (6, (), ()),
        (0, (1,) * 65, (1,) * 65),
    ],
)
def test_no_tensor_reaches_outside_its_storage(offset: int, size: Any, stride: Any, form: str) -> None:
    storage = Storage(np.arange(6, dtype="f4"))
    with pytest.raises(InputError, match="'a' reaches outside its storage"):
        read(torch_file({"a": tensor(storage, offset, size, stride)}, [storage], form))


@pytest.mark.parametrize("form", FORMATS)
def test_the_stride_of_a_side_of_one_is_not_used(form: str) -> None:
    storage = Storage(np.arange(6, dtype="f4"))
    found = read(torch_file({"a": tensor(storage, 5, (1, 1), (2**70, -4))}, [storage], form))
    np.testing.assert_array_equal(found["a"], [[5]])


@pytest.mark.parametrize("form", FORMATS)
def test_what_is_no_state_dict_is_refused(form: str) -> None:
    storage = Storage(np.arange(6, dtype="f4"))
    whole = tensor(storage, 0, (6,), (1,))
    for state, words in {
        "text": ("a", "something else than tensors"),
        "checkpoint": ({"state_dict": {"a": whole}, "epoch": 3}, "'state_dict' in it is no tensor"),
        "bfloat16": ({"a": tensor(Storage([], kind="BFloat16"), 0, (6,), (1,))}, "torch.BFloat16Storage"),
        "claim": ({"a": tensor(Storage([], numel=2**40), 0, (6,), (1,))}, "missing or cut off"),
        "shape": ({"a": tensor(storage, 0, (6,), (1, 1))}, "has no shape"),
        "fraction": ({"a": tensor(storage, 0, (6.0,), (1,))}, "has no shape"),
    }.values():
        with pytest.raises(InputError, match=words):
            read(torch_file(state, [storage] if form == "zip" or "a" in state else [], form))


def test_archives_that_torch_does_not_write_are_refused() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("net/data.pkl", b"0" * 10_000)
    with pytest.raises(InputError, match="compressed"):
        read(file.getvalue())
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("photo.png", b"0")
    with pytest.raises(InputError, match="not one of torch.save"):
        read(file.getvalue())
    big = torch_file({}, [], "zip").replace(b"little", b"big\0\0\0")
    with pytest.raises(InputError):
        read(big)


@pytest.mark.parametrize("form", FORMATS)
def test_damage_is_an_input_error_and_nothing_else(form: str) -> None:
    content = small(form)
    rng = np.random.default_rng(0)
    damaged = [content[:length] for length in range(0, len(content), 3)]
    for _ in range(1000):
        changed = np.frombuffer(content, "u1").copy()
        places = rng.integers(0, len(content), rng.integers(1, 4))
        changed[places] = rng.integers(0, 256, places.size)
        damaged.append(changed.tobytes())
    refused = 0
    for sample in damaged:
        # Anything but an InputError fails the test here.
        with contextlib.suppress(InputError):
            refused += 1
            found = read(sample)
            assert all(array.size <= 6 for array in found.values())
            refused -= 1
    # The others are changed in a number, a name or a byte without meaning.
    assert refused > len(damaged) / 2


def test_a_path_that_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path / "nosuch.pth", tmp_path, "a\0b"):
        with pytest.raises(InputError, match="no file that can be read"):
            read_torch_file(path)
