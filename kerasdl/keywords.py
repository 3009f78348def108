"""The keywords that recipes share: what each may be, checked in one place before anything heavy is imported.

A recipe's `train` calls :func:`check` with its arguments first. A keyword has one name and one meaning everywhere.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from kerasdl import checks
from kerasdl.configuration import RECORDED
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

CHECKS: dict[str, checks.Check] = {
    "weights": checks.weights,
    "unfreeze": checks.unfreeze,
    "unfreeze_steps": checks.integer(1, example=3),
    "frozen_epochs": checks.integer(0, example=10),
    "feature_passes": checks.integer(0, example=1),
    "unfrozen_rate": checks.number(0, above=True, example=0.3),
    "lowest_rate": checks.number(0, above=True, example=0.1),
    "epochs": checks.integer(1, example=20),
    "batch_size": checks.integer(1, example=64),
    "learning_rate": checks.or_auto(checks.number(0, above=True, example=0.001)),
    "optimizer": checks.named_or_object(*OPTIMIZERS, method="apply_gradients"),
    "schedule": checks.named_or_object(*SCHEDULES, method="get_config"),
    "weight_decay": checks.number(0, example=0.05),
    "dropout": checks.number(0, 1, example=0.2),
    "l1": checks.number(0, example=0.0001),
    "l2": checks.number(0, example=0.0001),
    "l1_mode": checks.choice("penalty", "proximal"),
    "spatial_dropout": checks.number(0, 1, example=0.1),
    "stochastic_depth": checks.number(0, 1, example=0.1),
    "normalization_momentum": checks.number(0, 1, example=0.9),
    "label_smoothing": checks.number(0, 1, example=0.1),
    "class_weight": checks.class_weight,
    "early_stopping": checks.integer(1, example=5),
    "keep": checks.choice("best", "last"),
    "gradient_clip": checks.number(0, above=True, example=1.0),
    "gradient_accumulation": checks.integer(1),
    "ema": checks.number(0, 1, above=True, example=0.99),
    "precision": checks.choice(*PRECISIONS),
    "jit_compile": checks.or_auto(checks.boolean),
    "steps_per_execution": checks.or_auto(checks.integer(1)),
    "strategy": checks.strategy,
    "skip_bad_batches": checks.integer(0, example=3),
    "seed": checks.integer(0, maximum=2**32 - 1),
    "directory": checks.new_directory,
    "resume": checks.boolean,
    "checkpoint_every": checks.checkpoint_every,
    "verbose": checks.integer(0, maximum=2, example=1),
    "callbacks": checks.callbacks,
    # One class is enough for boxes; the other kinds of data refuse it when they are loaded.
    "num_classes": checks.integer(1, mend="Leave num_classes out: the classes in the data are counted."),
    "input_shape": checks.input_shape,
    "image_size": checks.image_size,
    "normalization": checks.choice(*NORMALIZATIONS, "rms"),
    "patch_size": checks.integer(1, example=4),
    "stem": checks.choice("patch", "convolution"),
    "stem_depth": checks.integer(1, example=2),
    "pooling": checks.choice("mean", "class_token"),
    "filters": checks.one_or_more,
    "early_pooling": checks.or_auto(checks.boolean),
    "num_layers": checks.integer(1, example=2),
    "num_heads": checks.integer(1, example=4),
    "hidden_dim": checks.integer(1, example=128),
    "token_dropout": checks.number(0, 1, example=0.1),
    "vocabulary": checks.choice("word", "character", "byte"),
    "vocabulary_size": checks.integer(3, example=20000),
    "sequence_length": checks.integer(1, example=256),
    "subwords": checks.integer(0, example=30000),
    "missing": checks.choice("refuse", "interpolate"),
    "deduplicate": checks.boolean,
    "linear": checks.boolean,
    "calibrate": checks.boolean,
    "units": checks.one_or_more,
    "target": checks.names,
    "time_column": checks.names,
    "series_column": checks.names,
    "past_covariates": checks.names,
    "known_covariates": checks.names,
    "calendar": checks.boolean,
    "transform": checks.choice("none", "returns", "log_returns", "volatility"),
    "scaler": checks.choice("window", "standard", "robust", "log", "none"),
    "horizon": checks.integer(1, example=24),
    "season": checks.integer(1, example=24),
    "gap": checks.integer(0, example=24),
    "validation_fraction": checks.number(0, 1, above=True, example=0.2),
    "test_fraction": checks.number(0, 1, above=True, example=0.2),
    "quantiles": checks.quantiles,
    "size": checks.choice("nano", "small", "base"),
    "strides": checks.one_or_more,
    "invalid_boxes": checks.choice("refuse", "drop"),
    "num_detections": checks.integer(1, example=100),
    "score_threshold": checks.number(0, 1, example=0.01),
    "iou_threshold": checks.number(0, 1, above=True, example=0.6),
    "soft_sigma": checks.number(0, above=True, example=0.5),
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
            (checks.run_folder if goes_on else CHECKS[name])(name, value)
    if arguments.get("resume") and arguments.get("directory") is None:
        raise InputError(
            "resume", received="no directory", expected="the folder of the run", mend='Add directory="runs/first".'
        )
    if arguments.get("keep") == "last" and arguments.get("early_stopping") is not None:
        raise InputError(
            "early_stopping",
            received=f"{arguments['early_stopping']} with keep='last'",
            expected="that the validation loss chooses the epoch, where it is to stop the training",
            mend="Pass keep='best', or leave early_stopping out.",
        )


def resolve(
    train: Callable[..., Any],
    arguments: Mapping[str, Any],
    *,
    learning_rates: Mapping[str, Mapping[str, float]] | None = None,
) -> dict[str, Any]:
    """Return the arguments of a recipe's `train` with its defaults filled in, checked as far as their names say how.

    Args:
        train: The function.
        arguments: Some of its arguments by name.
        learning_rates: By name of the architecture, the defaults by name of the optimizer that differ from
            `LEARNING_RATES`.

    Raises:
        InputError: For a name that it does not have, and for a value that cannot work.
    """
    parameters = inspect.signature(train).parameters.values()
    defaults = {parameter.name: parameter.default for parameter in parameters}
    for name in arguments:
        check_choice("keyword", name, defaults)
    resolved = {name: value for name, value in (defaults | dict(arguments)).items() if name not in RECORDED}
    check(resolved)
    own = (learning_rates or {}).get(str(resolved.get("architecture")), {})
    return resolved | resolve_optimizer(resolved, {**LEARNING_RATES, **own})


def resolve_architecture(
    architecture: str, table: Mapping[str, Mapping[str, Any]], options: Mapping[str, Any]
) -> dict[str, Any]:
    """Return an architecture's options with its defaults filled in, or refuse one that it does not have.

    Args:
        architecture: Its name.
        table: By name of the architecture, its options with their defaults.
        options: The values of all options of all architectures, None for those not given.

    Raises:
        InputError: For an unknown architecture, or an option that it does not have.
    """
    check_choice("architecture", architecture, table)
    defaults = table[architecture]
    for name, value in options.items():
        if value is not None and name not in defaults:
            raise InputError(
                name,
                received=f"{value} for {architecture}",
                expected=f"nothing: {architecture} has "
                + (f"only {' and '.join(defaults)}" if defaults else "no options of its own"),
                mend=f"Leave {name} out, or choose another architecture.",
            )
    return {name: value if value is not None else defaults.get(name) for name, value in options.items()}


def resolve_optimizer(arguments: Mapping[str, Any], learning_rates: Mapping[str, float]) -> dict[str, Any]:
    """Return `learning_rate`, `schedule` and `weight_decay` with what "not given" means beside the given optimizer.

    Args:
        arguments: Those of `train`.
        learning_rates: The default of each optimizer.

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
            learning_rate = learning_rates[optimizer]
    return {"learning_rate": learning_rate, "schedule": schedule, "weight_decay": weight_decay}
