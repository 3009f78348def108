"""The one error that says a user's input is wrong, and the words to say it with.

Every check in the kit raises :class:`InputError`; the command line turns it into one line and exit status 2.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path


class InputError(ValueError):
    """A bad input, told in one line: what was received, what was expected, how to mend it.

    Args:
        what: The argument, file or object that is wrong, as the user named it.
        received: What came in.
        expected: What would have been right.
        mend: One sentence that says what to do.

    Example:
        >>> raise InputError("epochs", received=0, expected="an integer of at least 1", mend="Pass epochs=1 or more.")
    """

    def __init__(self, what: str, *, received: object, expected: str, mend: str):
        message = f"{what}: received {received}; expected {expected}. {mend}"
        super().__init__(" ".join(message.split()))


def nearest(word: object, choices: Iterable[str]) -> str:
    """Return a sentence that names the choice nearest to `word`, or lists the choices when none is near."""
    choices = list(choices)
    if near := _near(word, choices):
        return near
    return f"Choose one of {', '.join(choices)}." if len(choices) <= 20 else "Check the spelling."


def _near(word: object, choices: list[str]) -> str | None:
    # Below 0.65, difflib finds words of a few letters near to almost everything.
    close = difflib.get_close_matches(str(word), choices, n=1, cutoff=0.65)
    return f"Did you mean {close[0]!r}?" if close else None


def plural(noun: str) -> str:
    """Return the plural of a noun of the kit's messages: images, texts, series."""
    return noun if noun.endswith("s") else f"{noun}s"


def check_choice(what: str, value: object, choices: Iterable[str]) -> None:
    """Raise :class:`InputError` unless `value` is one of `choices`."""
    choices = list(choices)
    if value not in choices:
        raise InputError(
            what,
            received=repr(value),
            expected=f"one of {', '.join(choices)}",
            mend=_near(value, choices) or "Choose one of these.",
        )


def check_page(what: str, path: Path) -> None:
    """Raise :class:`InputError` unless a page can be written at `path`."""
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise InputError(
            what,
            received=repr(str(path)),
            expected="a file in a folder that exists",
            mend=f"Try {what}=report.html.",
        )
