"""The one place of the kit that compiles and fits a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

from kerasdl.training.batches import Encode, EvaluationBatches, Examples, TrainingBatches
from kerasdl.training.callbacks import BestEpoch, FiniteLoss, LearningRateRecord, ProgressDisplay
from kerasdl.training.optimizers import make_optimizer


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
    early_stopping: int | None = None,
    class_weight: Mapping[int, float] | None = None,
    encode_targets: Encode | None = None,
    jit_compile: bool | str = "auto",
    seed: int = 0,
    monitor: str = "val_loss",
    callbacks: Sequence[keras.callbacks.Callback] = (),
    log_directory: str | Path | None = None,
    verbose: int = 1,
) -> dict[str, list[float]]:
    """Compile `model`, train it, and leave it with the weights of its best epoch.

    Batches come in an order that depends only on `seed` and their position, so the same call with the same initial
    weights gives the same weights. With `ema`, validation and the best weights are those of the moving average. A
    training whose loss becomes infinite or NaN stops there, and the model keeps its best epoch before.

    Args:
        model: Any Keras model; it is compiled here.
        train: Examples to train on: `len(...)`, `.targets`, `.batch(indices)`.
        validation: Examples to choose the best epoch by.
        loss: A Keras loss.
        metrics: Keras metrics, computed for training and validation.
        epochs: Passes over the training examples.
        batch_size: Examples a step.
        optimizer: See :func:`kerasdl.training.make_optimizer`, also for the next six.
        learning_rate: Highest learning rate.
        schedule: Its course; "plateau" divides it by 5 after 5 epochs without a better `monitor`.
        weight_decay: Decoupled weight decay.
        gradient_clip: Largest global gradient norm.
        gradient_accumulation: Batches an update.
        ema: Momentum of a moving average of the weights.
        early_stopping: Epochs without a better `monitor` after which training stops; None trains all `epochs`.
        class_weight: Weight of each class index in the loss.
        encode_targets: What turns stored targets into those that `loss` compares.
        jit_compile: XLA: True, False, or "auto" as Keras decides.
        seed: Seed of the order of examples.
        monitor: The quantity, lower is better for a loss, that names the best epoch.
        callbacks: Further Keras callbacks.
        log_directory: Where TensorBoard logs go; None writes none.
        verbose: 0 silent, 1 a bar on a terminal and lines elsewhere, 2 always lines.

    Returns:
        The history: a list with one number an epoch for each loss, metric and the learning rate.

    Raises:
        InputError: For an optimizer object together with keywords that would change it.
        FloatingPointError: When no epoch had a finite `monitor`, so that there is no best epoch.
    """
    batches = TrainingBatches(train, batch_size=batch_size, seed=seed, encode_targets=encode_targets)
    made = make_optimizer(
        optimizer,
        total_steps=epochs * batches.steps,
        learning_rate=learning_rate,
        schedule=schedule,
        weight_decay=weight_decay,
        gradient_clip=gradient_clip,
        gradient_accumulation=gradient_accumulation,
        ema=ema,
    )
    model.compile(optimizer=made, loss=loss, metrics=list(metrics), jit_compile=jit_compile)
    best = BestEpoch(monitor=monitor, patience=early_stopping or epochs, restore_best_weights=True)
    watchers: list[keras.callbacks.Callback] = []
    if made.use_ema:
        # First of all: what follows must see, and keep, the averaged weights.
        watchers.append(keras.callbacks.SwapEMAWeights(swap_on_epoch=True))
    watchers += [FiniteLoss(), LearningRateRecord()]
    if schedule == "plateau":
        watchers.append(keras.callbacks.ReduceLROnPlateau(monitor=monitor, factor=0.2, patience=5))
    watchers.append(best)
    if log_directory is not None:
        watchers.append(keras.callbacks.TensorBoard(log_dir=str(log_directory), write_graph=False))
    display = ProgressDisplay(epochs=epochs, steps=batches.steps, plain=verbose == 2) if verbose else None
    if display is not None:
        watchers.append(display)
    try:
        history = model.fit(
            batches,
            validation_data=EvaluationBatches(validation, batch_size=batch_size, encode_targets=encode_targets),
            epochs=epochs,
            steps_per_epoch=batches.steps,
            shuffle=False,
            class_weight=dict(class_weight) if class_weight is not None else None,
            callbacks=[*watchers, *callbacks],
            verbose=0,
        )
    finally:
        if display is not None:
            display.close()
    if best.best_weights is None:
        rate = learning_rate or history.history["learning_rate"][-1]
        raise FloatingPointError(
            f"{monitor} became infinite or NaN in epoch {len(history.epoch)}, before any epoch had a finite one. "
            f"The learning rate is too high: try learning_rate={rate / 10:g}."
        )
    return {name: [float(value) for value in values] for name, values in history.history.items()}
