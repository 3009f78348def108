"""Object detection as a task: uint8 images in, boxes with their classes out, measured as COCO does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasdl import detection_errors, letterbox

if TYPE_CHECKING:
    import keras

    from kerasdl.detection_metrics import DetectionMetrics
    from kerasdl.export import Exported, ObjectDetector

Found = dict[str, np.ndarray]
"""Of each image "boxes" (images, detections, 4), "scores" and "labels" (images, detections), padded with -1."""


class ObjectDetection:
    """The task of a detector, see :class:`kerasdl.task.Task`.

    Args:
        class_names: Name of each class, in the order of the logits.
        input_shape: Height, width and channels that all images are letterboxed to.
        strides: Of the detector.
        suppression: The other arguments of :class:`kerasdl.layers.Detections`.
        box_format: What the numbers of a box are in arrays, see `kerasdl.data.load`.
        invalid_boxes: What is done about boxes that cannot be.
    """

    kind = "detection"
    multi_label = True

    def __init__(
        self,
        class_names: Sequence[str],
        *,
        input_shape: Sequence[int],
        strides: Sequence[int],
        suppression: Mapping[str, Any] | None = None,
        box_format: str | None = None,
        invalid_boxes: str | None = None,
    ):
        self.class_names = tuple(class_names)
        height, width, channels = input_shape
        self.input_shape: tuple[int, int, int] = (height, width, channels)
        self.strides = tuple(strides)
        self.suppression = dict(suppression or {})
        self.box_format, self.invalid_boxes = box_format, invalid_boxes
        self._wrapped: tuple[keras.Model, keras.Model] | None = None

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width of the letterboxed images."""
        return self.input_shape[:2]

    def examples(self, split: Any) -> Any:
        """Return the split itself: its images are what the model takes."""
        return split

    def layer(self, **changed: Any) -> keras.layers.Layer:
        """Return what makes detections of a detector's outputs, with some arguments changed."""
        from kerasdl.layers import Detections

        return Detections(self.image_size, strides=self.strides, **self.suppression | changed)

    def detections(self, model: keras.Model, split: Any, *, batch_size: int) -> Found:
        """Return what the model finds in the images of a split, in pixels of the letterboxed images."""
        import keras

        from kerasdl.measuring import predict_batches

        if self._wrapped is None or self._wrapped[0] is not model:
            self._wrapped = model, keras.Model(model.input, self.layer()(model.output))
        found: Any = predict_batches(self._wrapped[1], split, batch_size=batch_size)
        return {name: np.asarray(values) for name, values in found.items()}

    def in_originals(self, split: Any, found: Found) -> tuple[np.ndarray, Found]:
        """Return the targets of a split and what was found, both in pixels of the original images."""
        targets = split.targets.copy()
        targets[..., :4] = letterbox.undo(targets[..., :4], split.sizes, self.image_size)
        return targets, {**found, "boxes": letterbox.undo(found["boxes"], split.sizes, self.image_size)}

    def measure(self, model: keras.Model, split: Any, *, batch_size: int) -> dict[str, float]:
        """Return COCO's metrics of the model on a split, see :class:`kerasdl.detection_metrics.DetectionMetrics`.

        Sizes are those in the original images; what there is no box for is left out.
        """
        return self._metrics(split, self.detections(model, split, batch_size=batch_size))

    def coco_metrics(self, split: Any, found: Found) -> DetectionMetrics:
        """Return COCO's measures of what was found in a split, in pixels of the original images."""
        from kerasdl.detection_metrics import coco_metrics

        targets, found = self.in_originals(split, found)
        return coco_metrics(targets, **found, num_classes=len(self.class_names))

    def _metrics(self, split: Any, found: Found) -> dict[str, float]:
        summary = self.coco_metrics(split, found).summary
        return {name: value for name, value in summary.items() if np.isfinite(value)}

    def goodness(self, model: keras.Model, split: Any, *, batch_size: int) -> np.ndarray:
        """Return how good the detections of each image are: see :func:`kerasdl.detection_errors.goodness`."""
        return detection_errors.goodness(split.targets, **self.detections(model, split, batch_size=batch_size))

    def measure_export(self, exported: Exported, split: Any) -> dict[str, float]:
        """Return the metrics of an exported model on a split."""
        from kerasdl.measuring import predict_all

        answers = predict_all(exported, split)
        numbers = {name: number for number, name in enumerate((*self.class_names, ""))}
        labels = np.vectorize(numbers.__getitem__, otypes=[int])(answers["label"])
        found = {name: answers[name] for name in ("boxes", "scores")}
        return self._metrics(split, {**found, "labels": np.where(answers["scores"] >= 0, labels, -1)})

    def diagnose(
        self,
        model: keras.Model,
        dataset: Any,
        *,
        history: Mapping[str, Sequence[float]],
        config: Mapping[str, Any],
    ) -> list[Any]:
        """Return the findings on a training: see :func:`kerasdl.detection_findings.detection_findings`."""
        from kerasdl.detection_findings import detection_findings

        return detection_findings(self, model, dataset, history=history, config=config)

    def report(self, model: keras.Model, dataset: Any, *, batch_size: int) -> dict[str, Any]:
        """Return what the report shows: see :func:`kerasdl.detection_figures.detection_figures`."""
        from kerasdl.detection_figures import detection_figures

        return {"pictures": detection_figures(self, model, dataset, batch_size=batch_size)}

    def predictor(self, model: keras.Model) -> ObjectDetector:
        """Return what finds objects in raw images with the model."""
        from kerasdl.data import images
        from kerasdl.export import ObjectDetector

        return ObjectDetector(
            model, self.class_names, detections=self.layer, decode=images.decode, resize=images.resize
        )

    def load_split(self, data: Any) -> Any:
        """Load other images with boxes, letterboxed to the model's size."""
        from kerasdl.data import load_split

        return load_split(
            data,
            kind=self.kind,
            class_names=self.class_names,
            input_shape=self.input_shape,
            box_format=self.box_format,
            invalid_boxes=self.invalid_boxes,
        )

    def load_keywords(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Return the keywords that the run's images were loaded with."""
        return {name: config[name] for name in ("image_size", "num_classes", "box_format", "invalid_boxes")}

    def as_dict(self) -> dict[str, Any]:
        """Return all that makes the task, for JSON."""
        return {
            "kind": self.kind,
            "class_names": list(self.class_names),
            "input_shape": list(self.input_shape),
            "strides": list(self.strides),
            "suppression": self.suppression,
            "box_format": self.box_format,
            "invalid_boxes": self.invalid_boxes,
        }
