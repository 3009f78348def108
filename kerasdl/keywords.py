"""The keywords that recipes share: what each may be, checked in one place before anything heavy is imported.

A recipe's `train` calls :func:`check` with its arguments first. A keyword has one name and one meaning everywhere.
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

# The optimizers by name, and the learning rate each starts from when none is given: usual for networks with
# normalization at batch sizes of 32 to 256.
LEARNING_RATES = {"sgd": 0.05, "nesterov": 0.05, "adam": 1e-3, "adamw": 1e-3, "rmsprop": 1e-3, "muon": 1e-3}
OPTIMIZERS = tuple(LEARNING_RATES)
# Optimizers that were made for decoupled weight decay get some by default.
WEIGHT_DECAY = {"adamw": 0.05, "muon": 0.05}
SCHEDULES = ("constant", "cosine", "one_cycle", "plateau", "exponential")
PRECISIONS = ("float32", "bfloat16", "float16", "auto")
NORMALIZATIONS = ("batch", "layer", "group", "none")

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


CHECKS: dict[str, Check] = {
    "unfreeze": unfreeze,
    "unfreeze_steps": integer(1, example=3),
    "frozen_epochs": integer(0, example=10),
    "feature_passes": integer(0, example=1),
    "unfrozen_rate": number(0, above=True, example=0.3),
    "lowest_rate": number(0, above=True, example=0.1),
    "epochs": integer(1, example=20),
    "batch_size": integer(1, example=64),
    "learning_rate": or_auto(number(0, above=True, example=0.001)),
    "optimizer": named_or_object(*OPTIMIZERS, method="apply_gradients"),
    "schedule": named_or_object(*SCHEDULES, method="get_config"),
    "weight_decay": number(0, example=0.05),
    "dropout": number(0, 1, example=0.2),
    "l1": number(0, example=0.0001),
    "l2": number(0, example=0.0001),
    "l1_mode": choice("penalty", "proximal"),
    "spatial_dropout": number(0, 1, example=0.1),
    "stochastic_depth": number(0, 1, example=0.1),
    "normalization_momentum": number(0, 1, example=0.9),
    "label_smoothing": number(0, 1, example=0.1),
    "class_weight": class_weight,
    "early_stopping": integer(1, example=5),
    "gradient_clip": number(0, above=True, example=1.0),
    "gradient_accumulation": integer(1),
    "ema": number(0, 1, above=True, example=0.99),
    "precision": choice(*PRECISIONS),
    "jit_compile": or_auto(boolean),
    "steps_per_execution": or_auto(integer(1)),
    "skip_bad_batches": integer(0, example=3),
    "seed": integer(0, maximum=2**32 - 1),
    "directory": new_directory,
    "resume": boolean,
    "checkpoint_every": checkpoint_every,
    "verbose": integer(0, maximum=2, example=1),
    "callbacks": callbacks,
    "num_classes": integer(2, mend="Leave num_classes out: the classes in the data are counted."),
    "input_shape": input_shape,
    "image_size": image_size,
    "normalization": choice(*NORMALIZATIONS),
    "filters": integers,
    "units": integers,
}


def check(arguments: Mapping[str, Any]) -> None:
    """Check a recipe's arguments; None means "not given" and always passes.

    Args:
        arguments: The recipe's arguments by name. Names that no check is known for are left to their user.

    Raises:
        InputError: At the first argument that is wrong.

    Example:
        >>> check({"epochs": 3, "dropout": 0.5})
    """
    for name, value in arguments.items():
        if name in CHECKS and value is not None:
            goes_on = name == "directory" and arguments.get("resume") is True
            (folder if goes_on else CHECKS[name])(name, value)
    if arguments.get("resume") and arguments.get("directory") is None:
        raise InputError(
            "resume", received="no directory", expected="the folder of the run", mend='Add directory="runs/first".'
        )


def resolve_optimizer(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return `learning_rate`, `schedule` and `weight_decay` with what "not given" means beside the given optimizer.

    Raises:
        InputError: For a learning rate beside a schedule object, which has its own.
    """
    optimizer, schedule = arguments["optimizer"], arguments["schedule"]
    learning_rate, weight_decay = arguments["learning_rate"], arguments["weight_decay"]
    if isinstance(optimizer, str):
        schedule = "one_cycle" if schedule is None else schedule
        weight_decay = WEIGHT_DECAY.get(optimizer, 0.0) if weight_decay is None else weight_decay
        if not isinstance(schedule, str) and learning_rate is not None:
            raise InputError(
                "learning_rate",
                received=f"{learning_rate} beside a schedule object",
                expected="one of the two",
                mend="Leave learning_rate out: the schedule has its own.",
            )
        if isinstance(schedule, str) and learning_rate is None:
            learning_rate = LEARNING_RATES[optimizer]
    return {"learning_rate": learning_rate, "schedule": schedule, "weight_decay": weight_decay}
