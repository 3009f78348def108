"""An interpreter of pickles that runs nothing: the language that PyTorch wraps its tensors in, without its powers.

A pickle is a program for a stack machine, which may import and call whatever it names. Here belongs a machine of its
own that knows only the instructions for plain values; the names that a pickle may use, and what they then stand for,
come from the caller, and everything else is refused with ValueError.
"""

from __future__ import annotations

import pickletools
import struct
from collections.abc import Callable, Mapping
from typing import Any

_OPCODES = {opcode.code: opcode.name for opcode in pickletools.opcodes}
_NUMBERS = {"BININT": "<i", "BININT1": "<B", "BININT2": "<H", "BINFLOAT": ">d"}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_MARK = object()


class Source:
    """Bytes that are taken from the front and never past the end.

    Args:
        content: All the bytes.

    Example:
        >>> Source(b"abc").take(2)
        b'ab'
    """

    def __init__(self, content: bytes):
        self._content = content
        self._position = 0

    def take(self, count: int) -> bytes:
        """Return the next `count` bytes, or raise ValueError when there are fewer."""
        start = self._position
        if not 0 <= count <= len(self._content) - start:
            raise ValueError("it ends too early")
        self._position += count
        return self._content[start : self._position]

    def number(self, form: str) -> Any:
        """Return the next number, in a format of the module struct."""
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def line(self) -> str:
        """Return the text up to the next line feed, which is taken too."""
        return self.take(self._content.find(b"\n", self._position) + 1 - self._position)[:-1].decode()


def interpret(
    source: Source, names: Mapping[str, Any] | None = None, reference: Callable[[Any], Any] | None = None
) -> Any:
    """Take one pickle of protocol 2 from `source` and return its value.

    Values are None, bools, ints, floats, strings, tuples, lists, dictionaries with strings as keys, and what `names`
    and `reference` give. Attributes that a pickle sets on a value are left out.

    Args:
        source: Taken from up to the end of the pickle.
        names: What a global name, as "module.name", stands for. Only callables among these are called, with the
            positional arguments of the pickle, which may be anything: they raise ValueError for bad ones.
        reference: Turns a persistent identifier into its value.

    Returns:
        The value.

    Raises:
        ValueError: If the pickle is damaged, or needs a name or an instruction that is not given here.

    Example:
        >>> interpret(Source(pickle.dumps({"a": (1, None)}, protocol=2)))
        {'a': (1, None)}

    Reference: the module pickletools, https://docs.python.org/3/library/pickletools.html
    """
    return _Machine(source, names or {}, reference).run()


class _Machine:
    def __init__(self, source: Source, names: Mapping[str, Any], reference: Callable[[Any], Any] | None):
        self._source = source
        self._names = names
        self._reference = reference
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def run(self) -> Any:
        while (opcode := self._opcode()) != "STOP":
            self._step(opcode)
        return self._pop()

    def _opcode(self) -> str:
        code = self._source.take(1).decode("latin-1")
        return _OPCODES.get(code, repr(code))

    def _step(self, opcode: str) -> None:
        source, push, pop = self._source, self._stack.append, self._pop
        match opcode:
            case "PROTO":
                source.take(1)
            case "NONE" | "NEWTRUE" | "NEWFALSE" | "EMPTY_TUPLE":
                push(_CONSTANTS[opcode])
            case "BININT" | "BININT1" | "BININT2" | "BINFLOAT":
                push(source.number(_NUMBERS[opcode]))
            case "LONG1":
                push(int.from_bytes(source.take(source.number("<B")), "little", signed=True))
            case "BINUNICODE":
                push(source.take(source.number("<I")).decode())
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                push(tuple([pop() for _ in range(_TUPLES[opcode])][::-1]))
            case "MARK":
                push(_MARK)
            case "TUPLE":
                push(tuple(self._pop_to_mark()))
            case "EMPTY_LIST":
                push([])
            case "EMPTY_DICT":
                push({})
            case "APPEND":
                self._extend([pop()])
            case "APPENDS":
                self._extend(self._pop_to_mark())
            case "SETITEM":
                self._update([pop(), pop()][::-1])
            case "SETITEMS":
                self._update(self._pop_to_mark())
            case "BINPUT" | "LONG_BINPUT":
                self._memo[source.number("<B" if opcode == "BINPUT" else "<I")] = self._top()
            case "BINGET" | "LONG_BINGET":
                push(self._remembered(source.number("<B" if opcode == "BINGET" else "<I")))
            case "GLOBAL":
                push(self._named(f"{source.line()}.{source.line()}"))
            case "REDUCE":
                arguments, function = pop(tuple), pop()
                if not callable(function):
                    raise ValueError("its pickle calls what is no function")
                push(function(*arguments))
            case "BUILD":
                pop()
                self._top()
            case "BINPERSID":
                if self._reference is None:
                    raise ValueError("its pickle refers to something outside")
                push(self._reference(pop()))
            case _:
                raise ValueError(f"its pickle has the instruction {opcode}, which a state dict does not need")

    def _top(self, kind: type = object) -> Any:
        if not self._stack or self._stack[-1] is _MARK or not isinstance(self._stack[-1], kind):
            raise ValueError("its pickle is damaged")
        return self._stack[-1]

    def _pop(self, kind: type = object) -> Any:
        self._top(kind)
        return self._stack.pop()

    def _pop_to_mark(self) -> list[Any]:
        values = []
        while self._stack and self._stack[-1] is not _MARK:
            values.append(self._stack.pop())
        if not self._stack:
            raise ValueError("its pickle is damaged")
        self._stack.pop()
        return values[::-1]

    def _extend(self, values: list[Any]) -> None:
        self._top(list).extend(values)

    def _update(self, items: list[Any]) -> None:
        # Strings only: the hash of tuples nested by reference would take a time exponential in their number.
        if len(items) % 2 or not all(isinstance(key, str) for key in items[::2]):
            raise ValueError("its pickle has a dictionary whose keys are not all strings")
        self._top(dict).update(zip(items[::2], items[1::2], strict=True))

    def _remembered(self, number: int) -> Any:
        if number not in self._memo:
            raise ValueError("its pickle is damaged")
        return self._memo[number]

    def _named(self, name: str) -> Any:
        if name not in self._names:
            raise ValueError(f"its pickle names {name[:80]!r}, which a state dict does not need")
        return self._names[name]
