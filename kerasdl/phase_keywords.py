"""The keywords that decide about the phases of a fine-tuning: defaults, and what contradicts itself. Light."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kerasdl.errors import InputError

# The first phase by default: cheap epochs on computed features, and enough steps for a head even with a few batches.
FROZEN_EPOCHS, FROZEN_STEPS = 10, 300
# Those that the kit can give a learning rate for each layer.
OPTIMIZERS = ("sgd", "nesterov", "adam", "adamw", "rmsprop")


def frozen_epochs(steps: int) -> int:
    """Return the epochs of the first phase by default.

    Args:
        steps: Batches an epoch.
    """
    return max(FROZEN_EPOCHS, -(-FROZEN_STEPS // steps))


def check_optimizer(optimizer: Any) -> None:
    """Refuse an optimizer that cannot give each layer a learning rate of its own."""
    name = optimizer.get("class_name") if isinstance(optimizer, Mapping) else type(optimizer).__name__
    name = optimizer if isinstance(optimizer, str) else name
    if str(name).lower() not in OPTIMIZERS:
        raise InputError(
            "optimizer",
            received=f"{name} with a learning rate for each layer",
            expected=f"one of {', '.join(OPTIMIZERS)}, or Keras's object of that kind",
            mend='Try optimizer="adamw".',
        )


def resolve(resolved: Mapping[str, Any]) -> dict[str, Any]:
    """Return what decides about the phases with its defaults filled in, or refuse what contradicts itself."""
    from kerasdl.data import resolve_policy

    from_scratch = resolved["weights"] is None
    if not from_scratch:
        check_optimizer(resolved["optimizer"])
    unfreeze = resolved["unfreeze"]
    unfreeze = 1.0 if unfreeze is None else unfreeze
    frozen = 0 if from_scratch and resolved["frozen_epochs"] is None else resolved["frozen_epochs"]
    if from_scratch and (unfreeze != 1.0 or frozen):
        raise InputError(
            "unfreeze" if unfreeze != 1.0 else "frozen_epochs",
            received=f"{unfreeze if unfreeze != 1.0 else frozen} without pretrained weights",
            expected="nothing: random layers are not worth keeping",
            mend='Leave it out, or pass weights="imagenet".',
        )
    if not unfreeze and frozen == 0:
        raise InputError(
            "frozen_epochs",
            received="0 with unfreeze=0",
            expected="epochs for something to learn in",
            mend=f"Try frozen_epochs={FROZEN_EPOCHS}.",
        )
    objects = [name for name in ("optimizer", "schedule") if not isinstance(resolved[name], str)]
    if objects and resolved["unfrozen_rate"] != 1.0:
        raise InputError(
            "unfrozen_rate",
            received=f"{resolved['unfrozen_rate']} beside an object as {objects[0]}",
            expected="nothing: the object has its own learning rate, in every phase",
            mend=f"Leave it out, or name the {objects[0]} in a word.",
        )
    passes = resolved["feature_passes"]
    if passes is None:
        passes = 0 if resolve_policy(resolved["augmentation"]) else 1
    return {"unfreeze": unfreeze, "frozen_epochs": frozen, "feature_passes": passes}
