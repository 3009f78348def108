"""Keywords that say "auto": what a measurement on the user's own model, data and machine makes of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras

from kerasdl.training.batches import Augment, Encode, Examples, TrainingBatches
from kerasdl.training.calibration import calibrate
from kerasdl.training.learning_rate_finder import find_learning_rate

HARDWARE = ("precision", "jit_compile", "steps_per_execution")
OPTIMIZER = ("optimizer", "weight_decay", "gradient_clip", "gradient_accumulation", "ema")


def resolve_auto(
    arguments: Mapping[str, Any],
    build: Callable[..., keras.Model],
    examples: Examples,
    *,
    loss: Any,
    encode_targets: Encode | None = None,
    encode_last: bool = False,
    augment: Augment | None = None,
    build_for_rate: Callable[..., keras.Model] | None = None,
) -> dict[str, Any]:
    """Return `precision`, `jit_compile`, `steps_per_execution` and `learning_rate` with no "auto" left.

    What was chosen, and what it rests on, is printed unless `verbose` is 0. A run that goes on from a checkpoint should
    have the same values: a measurement is kept in a cache, and the configuration of the run is compared.

    Args:
        arguments: A recipe's resolved arguments.
        build: Makes the model; called as `build(precision=...)`.
        examples: The training split.
        loss: As for :func:`kerasdl.training.fit`, as are the next three.
        encode_targets: What turns stored targets into those that `loss` compares.
        encode_last: Whether that comes after `augment`.
        augment: What changes a training batch at random.
        build_for_rate: Makes the model that the learning rate is for, where that is not the one of `build`.
    """
    chosen = {name: arguments[name] for name in (*HARDWARE, "learning_rate")}
    data = {
        "loss": loss,
        "encode_targets": encode_targets,
        "encode_last": encode_last,
        "augment": augment,
        "batch_size": arguments["batch_size"],
    }
    if "auto" in [chosen[name] for name in HARDWARE]:
        steps = TrainingBatches(examples, batch_size=arguments["batch_size"], seed=0).steps
        choice = calibrate(
            build,
            examples,
            **data,
            **{name: arguments[name] for name in (*OPTIMIZER, *HARDWARE)},
            total_steps=arguments["epochs"] * steps,
        )
        chosen |= {name: getattr(choice, name) for name in HARDWARE}
        if arguments["verbose"]:
            print(choice, flush=True)
    if chosen["learning_rate"] == "auto":
        keras.utils.set_random_seed(arguments["seed"])
        curve = find_learning_rate(
            (build_for_rate or build)(precision=chosen["precision"]),
            examples,
            **data,
            optimizer=arguments["optimizer"],
            weight_decay=arguments["weight_decay"],
            seed=arguments["seed"],
        )
        chosen["learning_rate"] = curve.suggestion
        if arguments["verbose"]:
            print(curve, flush=True)
    return chosen
