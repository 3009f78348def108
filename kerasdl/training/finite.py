"""Numbers that go wrong: stop at a loss that is no number, say where it began, or pass over a few bad batches."""

from __future__ import annotations

import math
import time
import warnings
from typing import Any

import keras
import numpy as np

from kerasdl.training.batches import TrainingBatches
from kerasdl.training.checkpoint import Arrays, Pace, capture, restore, restore_metrics


class FiniteLoss(keras.callbacks.Callback):
    """Stop the training when its loss is no longer a finite number, and find out where that began.

    The loss of a batch is read when the next one is done: reading it at once would make an accelerator wait. To find
    the beginning, training is repeated from the state kept last, one batch at a time, up to the batch that went wrong.
    A state is kept when an epoch begins, if keeping states has taken no more than 1 % of the time.

    Args:
        batches: The training's batches.
        skip: Up to so many bad batches are undone and passed over. Each batch then costs a copy of the whole state.
    """

    def __init__(self, batches: TrainingBatches, *, skip: int = 0):
        super().__init__()
        self._batches = batches
        self._skip = skip
        self.skipped = 0
        self.where: str | None = None
        self._last: dict[str, Any] = {}
        self._begun: tuple[int, Arrays, dict[str, Any]] | None = None
        self._good: tuple[Arrays, dict[str, Any]] | None = None
        self._bad = False
        self._epoch = 0
        self._pace = Pace()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Keep the state that the epoch begins with, if it is time."""
        self._last, self._epoch = {}, epoch
        # To undo a batch, the state right before it is needed.
        if self._skip or self._pace.is_due():
            begun = time.monotonic()
            # An epoch that another process began has its first batches behind it.
            position = max(epoch * self._batches.steps, self._batches.start)
            self._begun = (position, *capture(self.model, ()))
            self._pace.spent(time.monotonic() - begun)
        self._good = None

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Look at the loss of the batch before; with `skip`, at this one's."""
        logs = logs or {}
        if self._skip:
            self._undo_if_bad(batch, logs.get("loss", 0.0))
            return
        self._stop_unless_finite(self._last.get("loss", 0.0))
        self._last = logs

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Look at the loss of the whole epoch."""
        self._stop_unless_finite((logs or {}).get("loss", 0.0))

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Find where it began, before the weights of the best epoch are put back."""
        if self._bad and self._begun is not None:
            self.where = self._find()

    def _stop_unless_finite(self, loss: Any) -> None:
        if not math.isfinite(float(loss)):
            self._bad = self.model.stop_training = True

    def _undo_if_bad(self, batch: int, loss: Any) -> None:
        arrays, facts = capture(self.model, ())
        if math.isfinite(float(loss)) and all(np.isfinite(array).all() for array in arrays.values()):
            self._good = (arrays, facts)
            return
        if self.skipped == self._skip:
            self._bad = self.model.stop_training = True
            return
        self.skipped += 1
        warnings.warn(
            f"Batch {batch + 1} of epoch {self._epoch + 1} gave a loss or weights that are not finite; it is passed "
            f"over ({self.skipped} of at most {self._skip}).",
            stacklevel=2,
        )
        if self._good is not None:
            restore(self.model, (), *self._good)
            restore_metrics(self.model, self._batches[0], self._good[0])
        elif self._begun is not None:
            restore(self.model, (), *self._begun[1:])
            self.model.reset_metrics()

    def _find(self) -> str:
        first, arrays, facts = self._begun or (0, {}, {})
        restore(self.model, (), arrays, facts)
        self.model.steps_per_execution = 1
        self.model.make_train_function(force=True)
        for position in range(first, (self._epoch + 1) * self._batches.steps):
            batch = self._batches[position]
            before = [np.array(keras.ops.convert_to_numpy(variable)) for variable in self.model.variables]
            loss = self.model.train_on_batch(*batch, return_dict=True)["loss"]
            after = [np.array(keras.ops.convert_to_numpy(variable)) for variable in self.model.trainable_variables]
            if math.isfinite(float(loss)) and all(np.isfinite(array).all() for array in after):
                continue
            for variable, value in zip(self.model.variables, before, strict=True):
                variable.assign(value)
            epoch, step = divmod(position, self._batches.steps)
            return f"batch {step + 1} of epoch {epoch + 1}: {first_bad_layer(self.model, batch[0])}"
        return f"epoch {self._epoch + 1}"  # it did not come again


def first_bad_layer(model: keras.Model, inputs: Any) -> str:
    """Say in words which layer of a functional model first has weights or outputs that are not finite.

    Args:
        model: The model in the state to look at.
        inputs: One batch of inputs.
    """
    for layer in model.layers:
        for variable in layer.weights:
            if not np.isfinite(keras.ops.convert_to_numpy(variable)).all():
                return f"the weights {variable.name!r} of layer {layer.name!r}"
    # The calls of this model: a layer that it shares with another has that one's as its `output`.
    calls = [
        node
        for depth in sorted(model._nodes_by_depth, reverse=True)
        for node in model._nodes_by_depth[depth]
        if not node.is_input
    ]
    layers = [call.operation for call in calls]
    outputs = keras.Model(model.inputs, [call.output_tensors[0] for call in calls]).predict_on_batch(inputs)
    for layer, output in zip(layers, outputs if isinstance(outputs, list) else [outputs], strict=True):
        if not np.isfinite(np.asarray(output, dtype=np.float32)).all():
            return f"the output of layer {layer.name!r}"
    return "the gradients, or the loss itself"
