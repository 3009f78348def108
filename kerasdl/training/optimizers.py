"""Optimizers and learning-rate schedules by name, each made of Keras's own parts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from kerasdl.errors import InputError
from kerasdl.keywords import LEARNING_RATES, OPTIMIZERS
from kerasdl.training.layer_rates import layerwise
from kerasdl.training.proximal import proximal

# One-cycle starts at 1/25 of its peak and ends at 1/10,000 (Smith and Topin, arXiv:1708.07120, as fastai runs it).
ONE_CYCLE_START, ONE_CYCLE_END, ONE_CYCLE_WARM_UP = 1 / 25, 1e-4, 0.3
COSINE_END, COSINE_WARM_UP = 0.01, 0.05
EXPONENTIAL_END = 0.01


def make_schedule(schedule: Any, learning_rate: float, total_steps: int) -> Any:
    """Return what a Keras optimizer takes as `learning_rate`.

    Args:
        schedule: "constant" and "plateau" stay at `learning_rate` (plateau is lowered by a callback of
            :func:`kerasdl.training.fit`); "cosine" warms up over the first 5 % and falls to 1 %; "one_cycle" climbs
            from 1/25 during the first 30 % and falls to 1/10,000 (the learning rate only, momentum stays);
            "exponential" falls to 1 %. A `keras.optimizers.schedules.LearningRateSchedule` is returned as it is.
        learning_rate: The highest learning rate.
        total_steps: Batches in the whole training.

    Returns:
        A float or a schedule.
    """
    schedules = keras.optimizers.schedules
    if isinstance(schedule, Mapping):
        return schedules.deserialize(dict(schedule))
    if not isinstance(schedule, str):
        return schedule
    if schedule in ("constant", "plateau"):
        return learning_rate
    if schedule == "exponential":
        return schedules.ExponentialDecay(learning_rate, decay_steps=total_steps, decay_rate=EXPONENTIAL_END)
    start, end, share = (
        (ONE_CYCLE_START, ONE_CYCLE_END, ONE_CYCLE_WARM_UP)
        if schedule == "one_cycle"
        else (0.0, COSINE_END, COSINE_WARM_UP)
    )
    warm_up = max(1, round(share * total_steps))
    return schedules.CosineDecay(
        learning_rate * start,
        decay_steps=max(1, total_steps - warm_up),
        alpha=end,
        warmup_target=learning_rate,
        warmup_steps=warm_up,
    )


def make_optimizer(
    optimizer: Any,
    *,
    total_steps: int,
    learning_rate: float | None = None,
    schedule: Any = None,
    weight_decay: float | None = None,
    gradient_clip: float | None = None,
    gradient_accumulation: int = 1,
    ema: float | None = None,
    proximal_l1: float = 0.0,
    layer_rates: Mapping[str, float] | None = None,
) -> keras.optimizers.Optimizer:
    """Make an optimizer from the kit's keywords.

    Weight decay is decoupled (Loshchilov and Hutter, arXiv:1711.05101) and leaves biases and the parameters of
    normalization alone.

    Args:
        optimizer: "sgd", "nesterov", "adam", "adamw", "rmsprop" or "muon", or any Keras optimizer, used as it is.
        total_steps: Batches in the whole training, for schedules.
        learning_rate: The highest learning rate; None takes `kerasdl.keywords.LEARNING_RATES`.
        schedule: See :func:`make_schedule`; None is "constant".
        weight_decay: Share of each weight that is taken away a step, times the learning rate.
        gradient_clip: Largest global norm of the gradients; None does not clip.
        gradient_accumulation: Batches whose gradients are averaged before one update.
        ema: Momentum of an exponential moving average of the weights, for example 0.99; None keeps none.
        proximal_l1: Weight of the L1 norm that a soft threshold after each update brings in: see
            :func:`kerasdl.training.proximal`. Zeros become exact.
        layer_rates: Share of the learning rate by name of the layer: see :func:`kerasdl.training.layerwise`.

    Returns:
        The optimizer, not built yet.

    Raises:
        InputError: For an optimizer object together with keywords that would have to change it, and for layer-wise
            rates together with proximal L1.
    """
    if layer_rates and proximal_l1:
        raise InputError(
            "l1_mode",
            received="proximal with layer-wise learning rates",
            expected="one of the two",
            mend="Take l1_mode='penalty', or give all layers one rate.",
        )
    if isinstance(optimizer, Mapping):
        optimizer = keras.optimizers.deserialize(dict(optimizer))
    if not isinstance(optimizer, str):
        given = {
            "learning_rate": learning_rate is not None,
            "gradient_clip": gradient_clip is not None,
            "gradient_accumulation": gradient_accumulation != 1,
            "ema": ema is not None,
            "weight_decay": weight_decay is not None,
            "schedule": schedule is not None,
        }
        for name in (name for name, is_given in given.items() if is_given):
            raise InputError(
                name,
                received=f"a value beside optimizer={type(optimizer).__name__}(...)",
                expected=f"an optimizer's name, such as {OPTIMIZERS[3]!r}, or the optimizer object alone",
                mend=f"Set {name} on the optimizer itself.",
            )
        if layer_rates:
            return layerwise(optimizer, layer_rates)
        return proximal(optimizer, l1=proximal_l1) if proximal_l1 else optimizer
    common: dict[str, Any] = {
        "learning_rate": make_schedule(schedule or "constant", learning_rate or LEARNING_RATES[optimizer], total_steps),
        # AdamW and Muon want a number; for the others None leaves the step out of the graph.
        "weight_decay": (weight_decay or 0.0) if weight_decay or optimizer in ("adamw", "muon") else None,
        "global_clipnorm": gradient_clip,
        "gradient_accumulation_steps": gradient_accumulation if gradient_accumulation > 1 else None,
        "use_ema": ema is not None,
        "ema_momentum": ema if ema is not None else 0.99,
    }
    if optimizer == "muon":
        common["adam_weight_decay"] = weight_decay or 0.0
    if optimizer in ("sgd", "nesterov"):
        made = keras.optimizers.SGD(momentum=0.9, nesterov=optimizer == "nesterov", **common)
    else:
        classes = {
            "adam": keras.optimizers.Adam,
            "adamw": keras.optimizers.AdamW,
            "rmsprop": keras.optimizers.RMSprop,
            "muon": keras.optimizers.Muon,
        }
        made = classes[optimizer](**common)
    if proximal_l1:
        made = proximal(made, l1=proximal_l1)
    if weight_decay:
        # TensorFlow puts the layer's name before the variable's: unbounded, the words spare a layer "debiased" too.
        made.exclude_from_weight_decay(var_names=[r"(^|/)(bias|gamma|beta)(:\d+)?$"])
    # Last: it takes over what is left out of weight decay.
    return layerwise(made, layer_rates) if layer_rates else made
