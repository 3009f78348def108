"""Checks of single values: each raises an InputError that says what was received, what is expected and how to mend it.

They are light, so that a value can be refused before anything heavy is imported.
"""

from __future__ import annotations

import math
import numbers
import os
import re
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kerasdl.errors import InputError, check_choice

Check = Callable[[str, Any], None]


def _is_integer(value: object) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)


def integer(minimum: int, *, maximum: int | None = None, example: int | None = None, mend: str = "") -> Check:
    """A check for whole numbers from `minimum` to `maximum`; the message says `mend`, or to try `example`."""

    def check_integer(name: str, value: Any) -> None:
        if not _is_integer(value) or value < minimum or (maximum is not None and value > maximum):
            limit = f"of at least {minimum}" if maximum is None else f"from {minimum} to {maximum}"
            raise InputError(
                name,
                received=repr(value),
                expected=f"an integer {limit}",
                mend=mend or f"Try {name}={minimum if example is None else example}.",
            )

    return check_integer


def number(minimum: float, below: float = math.inf, *, above: bool = False, example: float) -> Check:
    """A check for finite numbers in [minimum, below), or in (minimum, below) with `above`; see :func:`integer`."""

    def check_number(name: str, value: Any) -> None:
        if not _is_number(value) or value < minimum or value >= below or (above and value == minimum):
            bounds = f"above {minimum:g}" if above else f"of at least {minimum:g}"
            bounds += "" if below == math.inf else f" and below {below:g}"
            raise InputError(name, received=repr(value), expected=f"a number {bounds}", mend=f"Try {name}={example}.")

    return check_number


def or_auto(check: Check) -> Check:
    """A check that "auto" passes too."""

    def check_or_auto(name: str, value: Any) -> None:
        if isinstance(value, str) and value != "auto":
            raise InputError(
                name, received=repr(value), expected='a value as documented, or "auto"', mend=f'Try {name}="auto".'
            )
        if value != "auto":
            check(name, value)

    return check_or_auto


def choice(*choices: str) -> Check:
    """A check for one of some words."""

    def check_word(name: str, value: Any) -> None:
        check_choice(name, value, choices)

    return check_word


def named_or_object(*choices: str, method: str) -> Check:
    """A check for one of some words, a serialized Keras object, or an object that has `method`."""

    def check_word_or_object(name: str, value: Any) -> None:
        if not hasattr(value, method) and not isinstance(value, Mapping):
            check_choice(name, value, choices)

    return check_word_or_object


def integers(name: str, value: Any) -> None:
    """Check for a sequence of positive integers."""
    if not isinstance(value, (tuple, list)) or not value or not all(_is_integer(item) and item > 0 for item in value):
        raise InputError(
            name, received=repr(value), expected="one or more positive integers", mend=f"Try {name}=(32, 64)."
        )


def one_or_more(name: str, value: Any) -> None:
    """Check for a positive integer or a sequence of them."""
    integers(name, (value,) if _is_integer(value) else value)


def names(name: str, value: Any) -> None:
    """Check for the name of a column, or several."""
    several = [value] if isinstance(value, str) else value
    if not isinstance(several, (tuple, list)) or not all(isinstance(item, str) and item for item in several):
        raise InputError(
            name, received=repr(value), expected="the name of a column, or several", mend=f"Try {name}='close', say."
        )


def quantiles(name: str, value: Any) -> None:
    """Check for ascending levels in (0, 1)."""
    levels = list(value) if isinstance(value, (tuple, list)) else []
    ascending = all(_is_number(item) and 0 < item < 1 for item in levels) and levels == sorted(set(levels))
    if not levels or not ascending:
        raise InputError(
            name,
            received=repr(value),
            expected="one or more levels between 0 and 1, ascending",
            mend=f"Try {name}=(0.1, 0.5, 0.9), or (0.5,) for points alone.",
        )


def image_size(name: str, value: Any) -> None:
    """Check for a side in pixels, or (height, width)."""
    sides = value if isinstance(value, (tuple, list)) else (value, value)
    if len(sides) != 2 or not all(_is_integer(side) and side > 0 for side in sides):
        raise InputError(
            name, received=repr(value), expected="pixels, or (height, width) in pixels", mend=f"Try {name}=32."
        )


def input_shape(name: str, value: Any) -> None:
    """Check for (height, width, channels)."""
    if (
        not isinstance(value, (tuple, list))
        or len(value) != 3
        or not all(_is_integer(item) and item > 0 for item in value)
    ):
        raise InputError(
            name, received=repr(value), expected="(height, width, channels)", mend=f"Try {name}=(32, 32, 3)."
        )


def class_weight(name: str, value: Any) -> None:
    """Check for "balanced" or positive weights by class name."""
    if value == "balanced":
        return
    if not isinstance(value, Mapping) or not all(_is_number(weight) and weight >= 0 for weight in value.values()):
        raise InputError(
            name,
            received=repr(value),
            expected='"balanced" or a mapping from class name to a weight of at least 0',
            mend=f'Try {name}="balanced".',
        )


def folder(name: str, value: Any) -> None:
    """Check for a folder that exists or can be made."""
    if not isinstance(value, (str, Path)) or not str(value):
        raise InputError(name, received=repr(value), expected="a path", mend="Name a folder.")
    path = Path(value)
    try:
        existing = next(parent for parent in (path, *path.absolute().parents) if parent.exists())
        # Asking for permissions is not enough: root has them all, also where nothing can be made.
        os.rmdir(tempfile.mkdtemp(dir=existing))
    except OSError as error:
        raise InputError(
            name,
            received=f"{str(value)!r} ({error.strerror})",
            expected="a folder that exists or can be made, and may be written",
            mend="Choose another, or make it and get write access to it.",
        ) from None


def run_folder(name: str, value: Any) -> None:
    """Check for the folder of a run to go on with, or for one where it can begin."""
    folder(name, value)
    path = Path(value)
    is_run = any((path / file).exists() for file in ("config.json", "asked.json"))
    # What is hidden is what a process left that was killed while it wrote its first file.
    if path.is_dir() and not is_run and any(not entry.name.startswith(".") for entry in path.iterdir()):
        raise InputError(
            name,
            received=f"{str(value)!r}, which holds files and no run",
            expected="the folder of the run to go on with, or a new or an empty one",
            mend="Choose another: a run keeps and removes files of its own there.",
        )


def new_directory(name: str, value: Any) -> None:
    """Check for a folder that is empty or can be made."""
    folder(name, value)
    path = Path(value)
    if path.is_dir() and any(path.iterdir()):
        finished, begun = (path / "result.json").exists(), (path / "config.json").exists()
        kind = "a finished run" if finished else "an unfinished run" if begun else "files"
        raise InputError(
            name,
            received=f"{str(value)!r}, which holds {kind}",
            expected="a new or an empty folder",
            mend="Go on with resume=True, or choose another." if begun else "Choose another, or move the old one away.",
        )


def checkpoint_every(name: str, value: Any) -> None:
    """Check for "epoch", a number of batches, or seconds as in "60s"."""
    seconds = re.fullmatch(r"\d+(\.\d+)?s", value) if isinstance(value, str) else None
    if value != "epoch" and not seconds and not (_is_integer(value) and value >= 1):
        raise InputError(
            name,
            received=repr(value),
            expected='"epoch", a number of batches of at least 1, or seconds as in "60s"',
            mend=f'Try {name}="60s".',
        )


def strategy(name: str, value: Any) -> None:
    """Check for the one strategy that several devices are trained with, and say of others why not."""
    if value == "mirrored":
        return
    fails = value in ("multi_worker_mirrored", "parameter_server")
    raise InputError(
        name,
        received=repr(value) + (", which fails in the fit of Keras 3 (keras-team/keras#20585)" if fails else ""),
        expected="mirrored, for all devices of one machine, or nothing",
        mend=f'Pass {name}="mirrored". Across machines, set keras.distribution on the JAX backend around '
        "kerasdl.training.fit.",
    )


def boolean(name: str, value: Any) -> None:
    """Check for True or False."""
    if not isinstance(value, bool):
        raise InputError(name, received=repr(value), expected="True or False", mend=f"Try {name}=True.")


def callbacks(name: str, value: Any) -> None:
    """Check for a sequence of Keras callbacks."""
    items = value if isinstance(value, (tuple, list)) else [value]
    wrong = [item for item in items if not hasattr(item, "on_epoch_end")]
    if not isinstance(value, (tuple, list)) or wrong:
        raise InputError(
            name,
            received=repr(wrong[0] if wrong else value),
            expected="a list of keras.callbacks.Callback objects",
            mend=f"Try {name}=[keras.callbacks.TerminateOnNaN()].",
        )


def unfreeze(name: str, value: Any) -> None:
    """Check for a share in [0, 1] or a number of layers."""
    if not (_is_integer(value) and value >= 0) and not (_is_number(value) and 0 <= value <= 1):
        raise InputError(
            name,
            received=repr(value),
            expected="a share of the layers such as 0.3, 1.0 for all, or a number of layers",
            mend=f"Try {name}=0.3.",
        )


def weights(name: str, value: Any) -> None:
    """Check for "imagenet", "none" or a file that exists."""
    if value not in ("imagenet", "none") and not (isinstance(value, (str, Path)) and Path(value).is_file()):
        raise InputError(
            name,
            received=repr(value if isinstance(value, str) else str(value)),
            expected="imagenet, none, or a .weights.h5 or .h5 file that exists",
            mend=f'Try {name}="imagenet".',
        )
