"""An optimizer made again, as it is or as one of the kit's kinds of it, with all its settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from kerasdl.errors import InputError


def remade(optimizer: keras.optimizers.Optimizer, kinds: Mapping[str, Any], *, what: str, **settings: Any) -> Any:
    """Return a new optimizer of the kind that stands for `optimizer`, with its settings and further ones.

    Args:
        optimizer: A new one of Keras's; it is not changed.
        kinds: Class of the kit by name of Keras's class, which is the last of its bases.
        what: What the kinds add, for messages.
        **settings: What their constructors take beside Keras's settings.

    Raises:
        InputError: For an optimizer that has no such kind, or has already trained.
    """
    name = type(optimizer).__name__
    # Keras has a class of its own, of the same name, for some optimizers on PyTorch.
    if name not in kinds or not isinstance(optimizer, kinds[name].__bases__[-1]):
        raise InputError(
            "optimizer",
            received=f"{name} with {what}",
            expected=f"one of {', '.join(kinds)}",
            mend='Choose one of these, such as optimizer="adamw".',
        )
    if optimizer.built:
        raise InputError(
            "optimizer",
            received=f"{name} that has already been built",
            expected="a new one",
            mend="Make another with the same settings.",
        )
    return _without_decay_as(kinds[name].from_config({**optimizer.get_config(), **settings}), optimizer)


def copied(optimizer: keras.optimizers.Optimizer) -> keras.optimizers.Optimizer:
    """Return a new optimizer with the same settings."""
    return _without_decay_as(type(optimizer).from_config(optimizer.get_config()), optimizer)


def _without_decay_as(made: Any, optimizer: keras.optimizers.Optimizer) -> Any:
    # Keras leaves these out of an optimizer's configuration.
    for exclusion in ("_exclude_from_weight_decay", "_exclude_from_weight_decay_pattern"):
        if hasattr(optimizer, exclusion):
            setattr(made, exclusion, getattr(optimizer, exclusion))
    return made
