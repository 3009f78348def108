"""The mean average precision of a detector on the validation split, epoch by epoch, beside its losses."""

from __future__ import annotations

from typing import Any

import keras

from kerasdl.detection_matching import average_precision
from kerasdl.spread import spread
from kerasdl.training.batches import Examples
from kerasdl.training.distribution import evaluation_batch_size

# Images that are looked at, spread over the split: a curve needs no more, and costs little beside an epoch.
IMAGES = 500


class DetectionCurve(keras.callbacks.Callback):
    """Add "val_map" and "val_map50" to the history at the end of each epoch, with the weights that validation has.

    Args:
        detections: Turns a detector's outputs into boxes, scores and labels: a :class:`kerasdl.layers.Detections`.
        validation: Examples whose targets are stored ones, (count, boxes, 6).
        num_classes: Of the detector.
        batch_size: Images at a time.

    Example:
        >>> curve = DetectionCurve(Detections((128, 128)), validation, num_classes=10)
        >>> fit(model, train, validation, callbacks=[curve])
    """

    def __init__(self, detections: keras.layers.Layer, validation: Examples, *, num_classes: int, batch_size: int = 64):
        super().__init__()
        self._detections = detections
        self._images, self._targets = validation.batch(spread(len(validation), IMAGES))
        self._num_classes, self._batch_size = num_classes, batch_size
        self._detector: keras.Model | None = None

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Measure."""
        if self._detector is None:
            # The same layers and weights, so that what it sees is what the training has come to.
            self._detector = keras.Model(self.model.input, self._detections(self.model.output))
        batch_size = evaluation_batch_size(len(self._images), self._batch_size)
        found = self._detector.predict(self._images, batch_size=batch_size, verbose=0)
        measured = average_precision(self._targets, **found, num_classes=self._num_classes)
        if logs is not None:
            logs |= {f"val_{name}": measured[name] for name in ("map", "map50")}
