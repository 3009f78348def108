"""Between Python and a command line: the keywords of a signature that can be typed, their words as values, and the
messages, which name keywords as Python does, as one would type them.
"""

from __future__ import annotations

import contextlib
import inspect
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Annotated, Any

from cyclopts import Parameter, Token

from kerasdl.configuration import RECORDED


def as_numbers(kind: Any, tokens: Sequence[Token]) -> Any:
    """Return words as the numbers they are, and other words as they are: the keywords' own checks say what is wrong.

    Cyclopts would take 1.5 epochs for 2.
    """

    def as_number(word: str) -> int | float | str:
        for number in (int, float):
            with contextlib.suppress(ValueError):
                return number(word)
        return word

    values = tuple(as_number(token.value) for token in tokens)
    return values if "tuple" in str(kind) else values[0]


NUMBERS = Parameter(converter=as_numbers)
# The parts of a signature's annotations that can be typed on a command line; objects can only be passed from Python.
_TYPED: dict[str, Any] = {
    "float": Annotated[float, NUMBERS],
    "int": Annotated[int, NUMBERS],
    "str": str,
    "Any": str,
    "bool": bool,
}
_SEVERAL: dict[str, Any] = {
    "Sequence[int]": tuple[int, ...],
    "Sequence[float]": tuple[float, ...],
    "Sequence[str]": tuple[str, ...],
}


def typed_annotation(annotation: str) -> Any:
    """Return the part of an annotation that can be typed, or None when only objects will do."""
    parts = {part.strip() for part in annotation.split("|")}
    for part, several in _SEVERAL.items():
        if part in parts:
            kind: Any = several | None if "None" in parts else several
            return kind if part == "Sequence[str]" else Annotated[kind, NUMBERS]
    found = [kind for part, kind in _TYPED.items() if part in parts]
    if not found:
        return None
    return found[0] if "None" not in parts else found[0] | None


def from_words(value: Any, annotation: str) -> Any:
    """Return what was typed as the recipe wants it: one of several by itself if it may be, true and false as such."""
    parts = {part.strip() for part in annotation.split("|")}
    if isinstance(value, tuple) and len(value) == 1 and {"int", "str"} & parts:
        return value[0]
    if isinstance(value, str) and "bool" in parts:
        return {"true": True, "false": False}.get(value.lower(), value)
    return value


def as_options(message: str, names: Iterable[str]) -> str:
    """Return a message with its keywords as options.

    Example:
        >>> as_options("Try filters=(32, 64).", ["filters"])
        'Try --filters 32 64.'
    """

    def as_option(match: re.Match[str]) -> str:
        values = re.findall(r"""[^(),\s"']+""", match[2])
        return f"--{match[1]} {' '.join(values)}"

    return re.sub(rf"""\b({"|".join(names)})=(\([\d., ]+\)|"[^"]*"|\w+(?:\.\w+)?)""", as_option, message)


def typed_parameters(function: Callable[..., Any], *, without: Collection[str] = RECORDED) -> list[inspect.Parameter]:
    """Return the parameters of a function that can be typed, but those named."""
    return [
        parameter.replace(annotation=annotation)
        for parameter in inspect.signature(function).parameters.values()
        if parameter.name not in without and (annotation := typed_annotation(parameter.annotation)) is not None
    ]
