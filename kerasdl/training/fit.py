"""The one place of the kit that compiles and fits a model."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

from kerasdl import keywords
from kerasdl.training.allocator import keep_freed_memory
from kerasdl.training.batches import Augment, Encode, EvaluationBatches, Examples, TrainingBatches
from kerasdl.training.building import build_variables
from kerasdl.training.callbacks import BestEpoch, EpochLog, LearningRateRecord, ProgressDisplay
from kerasdl.training.distribution import evaluation_batch_size, for_strategy, no_batch_taken, synchronize
from kerasdl.training.fast_operations import fast_operations
from kerasdl.training.finite import FiniteLoss
from kerasdl.training.gradient_log import GradientLog
from kerasdl.training.optimizers import make_optimizer
from kerasdl.training.resume import Resumable
from kerasdl.training.steps import Callbacks


def fit(
    model: keras.Model,
    train: Examples,
    validation: Examples,
    *,
    loss: Any,
    metrics: Sequence[Any] = (),
    epochs: int = 10,
    batch_size: int = 64,
    optimizer: Any = "adamw",
    learning_rate: float | None = None,
    schedule: Any = None,
    weight_decay: float | None = None,
    gradient_clip: float | None = None,
    gradient_accumulation: int = 1,
    ema: float | None = None,
    proximal_l1: float = 0.0,
    layer_rates: Mapping[str, float] | None = None,
    early_stopping: int | None = None,
    keep: str = "best",
    class_weight: Mapping[int, float] | None = None,
    encode_targets: Encode | None = None,
    encode_last: bool = False,
    augment: Augment | None = None,
    jit_compile: bool | str = "auto",
    steps_per_execution: int = 1,
    skip_bad_batches: int = 0,
    seed: int = 0,
    monitor: str = "val_loss",
    callbacks: Sequence[keras.callbacks.Callback] = (),
    log_directory: str | Path | None = None,
    checkpoint_directory: str | Path | None = None,
    checkpoint_every: int | str = "epoch",
    resume: bool = False,
    gradient_log: dict[str, Any] | None = None,
    verbose: int = 1,
) -> dict[str, list[float]]:
    """Compile `model`, train it, and leave it with the weights of its best epoch, or of its last.

    Batches come in an order that depends only on `seed` and their position, so the same call with the same initial
    weights gives the same weights. With `ema`, validation and the best weights are those of the moving average. A
    training whose loss becomes infinite or NaN stops there, and the model keeps its best epoch before. Memory that a
    step frees is kept for the next one until the end: see :func:`kerasdl.training.allocator.keep_freed_memory`. On a
    processor layers and Adam compute by faster operations of TensorFlow: :func:`kerasdl.training.fast_operations`.

    Args:
        model: Any Keras model; it is compiled here.
        train: Examples to train on: `len(...)`, `.targets`, `.batch(indices)`.
        validation: Examples to choose the best epoch by.
        loss: A Keras loss.
        metrics: Keras metrics, computed for training and validation.
        epochs: Passes over the training examples.
        batch_size: Examples a step.
        optimizer: See :func:`kerasdl.training.make_optimizer`, also for the next eight.
        learning_rate: Highest learning rate.
        schedule: Its course; "plateau" divides it by 5 after 5 epochs without a better `monitor`.
        weight_decay: Decoupled weight decay.
        gradient_clip: Largest global gradient norm.
        gradient_accumulation: Batches an update.
        ema: Momentum of a moving average of the weights.
        proximal_l1: Weight of an L1 norm that makes exact zeros.
        layer_rates: Share of the learning rate by name of the layer.
        early_stopping: Epochs without a better `monitor` after which training stops; None trains all `epochs`.
        keep: The weights of which epoch the model is left with: "best", by `monitor`; or "last", where the validation
            examples are too few to choose by. Not beside `early_stopping`.
        class_weight: Weight of each class index in the loss.
        encode_targets: What turns stored targets into those that `loss` compares, an array or a dict by output.
        encode_last: Whether that comes after `augment`, which then changes stored targets, such as boxes.
        augment: What changes a training batch at random: `(generator, inputs, encoded targets) -> (inputs, targets)`.
        jit_compile: XLA: True, False, or "auto" as Keras decides. JAX always compiles.
        steps_per_execution: Batches that run without a return to Python, at most: it is lowered to a divisor of the
            batches of an epoch, so that epochs keep their length.
        skip_bad_batches: Up to so many batches whose loss or update is not finite are undone and passed over; the next
            one stops the training. Keeping the state to go back to costs time with every batch.
        seed: Seed of the order of examples.
        monitor: The quantity, lower is better for a loss, that names the best epoch.
        callbacks: Further Keras callbacks.
        log_directory: Where TensorBoard logs go; None writes none.
        checkpoint_directory: Where checkpoints go, from which a killed training goes on to the bit; None writes none.
            SIGINT and SIGTERM then stop after the current batch with everything saved.
        checkpoint_every: "epoch", after epochs as long as saving takes at most 1 % of the time, and after the last; a
            number of batches, or seconds as in "60s".
        resume: Go on from the newest checkpoint if there is one. The arguments must be those of the run that wrote it.
        gradient_log: A dictionary that gets the sizes of gradients and updates over time, see
            :func:`kerasdl.training.gradient_log.add`; None watches none. The training is the same with and without.
        verbose: 0 silent, 1 a bar on a terminal and lines elsewhere, 2 always lines.

    Returns:
        The history: a list with one number an epoch for each loss, metric and the learning rate.

    Raises:
        InputError: For an optimizer object together with keywords that would change it, and for `early_stopping`
            where the last epoch is kept.
        FloatingPointError: When no epoch had a finite `monitor`, so that there is no best epoch.
    """
    keywords.check({"keep": keep, "early_stopping": early_stopping})
    batches = TrainingBatches(
        train,
        batch_size=batch_size,
        seed=seed,
        encode_targets=encode_targets,
        encode_last=encode_last,
        augment=augment,
        class_weight=class_weight,
    )
    made = make_optimizer(
        for_strategy(optimizer),
        total_steps=epochs * batches.steps,
        learning_rate=learning_rate,
        schedule=schedule,
        weight_decay=weight_decay,
        gradient_clip=gradient_clip,
        gradient_accumulation=gradient_accumulation,
        ema=ema,
        proximal_l1=proximal_l1,
        layer_rates=layer_rates,
    )
    model.compile(
        optimizer=made,
        loss=loss,
        metrics=list(metrics),
        # JAX without it runs one operation after another, a hundred times slower: nobody means that by False.
        jit_compile=jit_compile or keras.backend.backend() == "jax",
        steps_per_execution=next(n for n in range(steps_per_execution, 0, -1) if batches.steps % n == 0),
    )
    synchronize(model)
    build_variables(model, batches[0])
    best = BestEpoch(last=keep == "last", monitor=monitor, patience=early_stopping or epochs, restore_best_weights=True)
    stateful: list[keras.callbacks.Callback] = []
    if made.use_ema:
        # First of all: what follows must see, and keep, the averaged weights.
        stateful.append(keras.callbacks.SwapEMAWeights(swap_on_epoch=True))
    finite = FiniteLoss(batches, skip=skip_bad_batches)
    stateful += [finite, LearningRateRecord()]
    if gradient_log is not None:
        log_folder = None if log_directory is None else Path(log_directory)
        stateful.append(GradientLog(batches, into=gradient_log, log_directory=log_folder))
    if schedule == "plateau":
        stateful.append(keras.callbacks.ReduceLROnPlateau(monitor=monitor, factor=0.2, patience=5))
    stateful += [best, *callbacks]
    watchers: list[keras.callbacks.Callback] = []
    if log_directory is not None:
        watchers.append(EpochLog(Path(log_directory)))
    display = ProgressDisplay(epochs=epochs, steps=batches.steps, plain=verbose == 2) if verbose else None
    if display is not None:
        watchers.append(display)
    resumable = None
    if checkpoint_directory is not None:
        resumable = Resumable(
            Path(checkpoint_directory),
            batches=batches,
            stateful=stateful,
            every=checkpoint_every,
            epochs=epochs,
            resume=resume,
        )
        watchers.append(resumable)
    try:
        with keep_freed_memory(), no_batch_taken(model), fast_operations(model):
            history = model.fit(
                batches.source(resumable.start if resumable else 0),
                steps_per_epoch=batches.steps,
                shuffle=False,
                validation_data=EvaluationBatches(
                    validation,
                    batch_size=evaluation_batch_size(len(validation), batch_size),
                    encode_targets=encode_targets,
                ).source(),
                epochs=epochs,
                callbacks=Callbacks(
                    [*stateful, *watchers], add_history=True, model=model, epochs=epochs, steps=batches.steps, verbose=0
                ),
                verbose=0,
            )
    finally:
        if display is not None:
            display.close()
        if resumable is not None:
            resumable.close()
    if best.best_weights is None or finite.where:
        rate = learning_rate or history.history["learning_rate"][-1]
        began = f" It began in {finite.where}." if finite.where else ""
        remedy = f"The learning rate is too high: try learning_rate={rate / 10:g}."
        if best.best_weights is None:
            raise FloatingPointError(
                f"{monitor} became infinite or NaN in epoch {len(history.history[monitor])}, before any epoch had a "
                f"finite one.{began} {remedy}"
            )
        warnings.warn(
            f"The loss became infinite or NaN and training stopped; the weights are those of the {keep} epoch, "
            f"{best.best_epoch + 1}.{began} {remedy}",
            stacklevel=2,
        )
    return {name: [float(value) for value in values] for name, values in history.history.items()}
