"""From what a detector says at each location to its detections: decoding and non-maximum suppression, in the graph.

Everything is made of `keras.ops`, so that it runs on every backend and goes into an export as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from kerasdl.locations import STRIDES, locations

PADDING = -1.0


@keras.saving.register_keras_serializable("kerasdl")
class Detections(keras.layers.Layer):
    """Turn the outputs of a detector into a fixed number of boxes, scores and labels, best first, padded with -1.

    The score of a class at a location is the root of the probabilities of the class and of being central. The best
    `candidates` of them take part; of those of one class that overlap, the best stays, or, softly, the others lose
    score the more they overlap with it.

    Args:
        image_size: (height, width) in pixels of the detector's images.
        strides: Of the detector.
        num_detections: How many come out of an image.
        candidates: How many scores of an image take part.
        score_threshold: Least score of a detection.
        iou_threshold: Boxes of one class that overlap by more are one object.
        soft_sigma: If given, suppression is soft: scores are multiplied by exp(-iou^2 / soft_sigma), for example 0.5.
        **kwargs: Name and dtype, as of any layer.

    Call arguments:
        outputs: Dict of a detector's "classes", "boxes" and "centerness".

    Returns:
        A dict of "boxes" (batch, num_detections, 4), in pixels and within the image, "scores" (batch, num_detections)
        and "labels" (batch, num_detections), int32.

    Example:
        >>> found = Detections((128, 128))(model.output)

    References: Tian et al., FCOS, arXiv:1904.01355; Bodla et al., Soft-NMS, arXiv:1704.04503
    """

    def __init__(
        self,
        image_size: Sequence[int],
        *,
        strides: Sequence[int] = STRIDES,
        num_detections: int = 100,
        candidates: int = 300,
        score_threshold: float = 0.01,
        iou_threshold: float = 0.6,
        soft_sigma: float | None = None,
        **kwargs: Any,
    ):
        super().__init__(**{"dtype": "float32", **kwargs})
        self.image_size, self.strides = tuple(image_size), tuple(strides)
        self.num_detections, self.candidates = num_detections, candidates
        self.score_threshold, self.iou_threshold, self.soft_sigma = score_threshold, iou_threshold, soft_sigma
        self._centres = locations(self.image_size, self.strides)[0]

    def call(self, outputs: Mapping[str, Any]) -> dict[str, Any]:
        """Return the detections."""
        num_classes, count = outputs["classes"].shape[-1], len(self._centres)
        boxes = boxes_around(self._centres, outputs["boxes"], self.image_size)
        scores = ops.sqrt(ops.sigmoid(outputs["classes"]) * ops.sigmoid(outputs["centerness"]))
        scores = ops.reshape(scores, (-1, count * num_classes))
        scores, index = _best(scores, min(self.candidates, count * num_classes))
        boxes, labels = _rows(boxes, index // num_classes), index % num_classes
        # A detection has at least one place, also where the threshold is 0.
        scores = ops.where(scores >= self.score_threshold, scores, PADDING)
        arguments: dict[str, Any] = {"num_detections": min(self.num_detections, scores.shape[-1])}
        if self.soft_sigma is None:
            order, scores = suppress(boxes, scores, labels, threshold=self.iou_threshold, **arguments)
        else:
            least = self.score_threshold
            order, scores = suppress_softly(boxes, scores, labels, sigma=self.soft_sigma, least=least, **arguments)
        there = scores >= 0
        boxes = ops.where(ops.expand_dims(there, -1), _rows(boxes, order), PADDING)
        labels = ops.where(there, ops.take_along_axis(labels, order, axis=1), int(PADDING))
        missing = self.num_detections - scores.shape[-1]
        found = {"boxes": boxes, "scores": scores, "labels": ops.cast(labels, "int32")}
        if not missing:
            return found
        return {
            name: ops.pad(value, [(0, 0), (0, missing), (0, 0)][: len(value.shape)], constant_values=int(PADDING))
            for name, value in found.items()
        }

    def compute_output_spec(self, outputs: Mapping[str, Any]) -> dict[str, Any]:
        """Return the shapes and types of what comes out."""
        shape = (outputs["classes"].shape[0], self.num_detections)
        return {
            "boxes": keras.KerasTensor((*shape, 4), dtype=self.compute_dtype),
            "scores": keras.KerasTensor(shape, dtype=self.compute_dtype),
            "labels": keras.KerasTensor(shape, dtype="int32"),
        }

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the layer."""
        sizes = ("image_size", "strides", "num_detections", "candidates")
        rules = ("score_threshold", "iou_threshold", "soft_sigma")
        return {**super().get_config(), **{name: getattr(self, name) for name in (*sizes, *rules)}}


def boxes_around(centres: Any, distances: Any, image_size: Sequence[int]) -> Any:
    """Return the boxes that reach so far to the left, top, right and bottom of points, cut at the image's sides.

    Args:
        centres: Points, x and y, of shape (locations, 2).
        distances: (batch, locations, 4).
        image_size: (height, width).
    """
    centres = ops.expand_dims(ops.convert_to_tensor(centres, dtype=distances.dtype), 0)
    corners = ops.concatenate([centres - distances[..., :2], centres + distances[..., 2:]], axis=-1)
    height, width = image_size
    limits = ops.convert_to_tensor([width, height, width, height], dtype=distances.dtype)
    return ops.clip(corners, 0.0, limits)


def suppress(boxes: Any, scores: Any, labels: Any, *, threshold: float, num_detections: int) -> tuple[Any, Any]:
    """Non-maximum suppression: of boxes of one class that overlap, only the best stays.

    A box stays if no better one that stays overlaps with it. That is repeated for all boxes at once until nothing
    changes, some passes for what others do in one pass a box; the outcome is the same.

    Args:
        boxes: Left, top, right, bottom, (batch, candidates, 4), best first.
        scores: (batch, candidates), descending; negative for none.
        labels: Whole numbers, (batch, candidates).
        threshold: Boxes whose intersection is more than this share of their union overlap.
        num_detections: How many come out, at most `candidates`.

    Returns:
        The indices of those that stay, best first, (batch, num_detections), and their scores, -1 for none.
    """
    count = scores.shape[-1]
    rank = ops.arange(count)
    better = ops.expand_dims(rank, 1) < rank
    overlapping = _overlaps(boxes, labels) > threshold
    blocks = ops.cast(ops.logical_and(overlapping, better), "float32")
    valid = ops.cast(scores >= 0, "float32")

    def changing(_: Any, changed: Any) -> Any:
        return changed

    def step(stays: Any, _: Any) -> tuple[Any, Any]:
        blocked = ops.squeeze(ops.matmul(ops.expand_dims(stays, 1), blocks), 1) > 0
        now = ops.where(blocked, 0.0, valid)
        return now, ops.any(ops.not_equal(now, stays))

    # The first candidates are right after as many passes: it ends at the latest after `count`.
    stays, _ = ops.while_loop(changing, step, (valid, ops.any(scores >= 0)), maximum_iterations=count)
    # By rank and not by score: ranks have no ties, which backends order differently.
    key, order = ops.top_k(stays * ops.cast(count - rank, "float32"), num_detections)
    return order, ops.where(key > 0, ops.take_along_axis(scores, order, axis=1), PADDING)


def suppress_softly(
    boxes: Any, scores: Any, labels: Any, *, sigma: float, least: float, num_detections: int
) -> tuple[Any, Any]:
    """Soft suppression (arXiv:1704.04503): what overlaps with a better box of its class loses score and may stay.

    Args:
        boxes: As for :func:`suppress`, also the next two.
        scores: In any order.
        labels: Whole numbers.
        sigma: Scores are multiplied by exp(-iou^2 / sigma) for each better box.
        least: Least score of a detection.
        num_detections: How many come out.

    Returns:
        As :func:`suppress`, the scores as they are then.
    """
    count = scores.shape[-1]
    keep = ops.exp(-ops.square(_overlaps(boxes, labels)) / sigma)

    def step(turn: Any, state: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
        left, order, found = state
        best = ops.argmax(left, axis=-1)
        score = ops.max(left, axis=-1, keepdims=True)
        row = ops.squeeze(ops.take_along_axis(keep, ops.expand_dims(best, (1, 2)), axis=1), 1)
        taken = ops.expand_dims(best, 1) == ops.arange(count, dtype=best.dtype)
        # What is negative is none, and stays so.
        left = ops.where(taken, PADDING, ops.where(left >= 0, left * row, left))
        here = ops.expand_dims(ops.arange(num_detections) == turn, 0)
        order = ops.where(here, ops.cast(ops.expand_dims(best, 1), "int32"), order)
        return left, order, ops.where(here, ops.where(score >= least, score, PADDING), found)

    nothing = ops.zeros_like(scores[:, :num_detections])
    state = (scores, ops.cast(nothing, "int32"), nothing + PADDING)
    _, order, found = ops.fori_loop(0, num_detections, step, state)
    return order, found


def _overlaps(boxes: Any, labels: Any) -> Any:
    """Intersection over union of all pairs, 0 between classes: (batch, candidates, candidates)."""
    low = ops.maximum(ops.expand_dims(boxes[..., :2], 2), ops.expand_dims(boxes[..., :2], 1))
    high = ops.minimum(ops.expand_dims(boxes[..., 2:], 2), ops.expand_dims(boxes[..., 2:], 1))
    common = ops.prod(ops.maximum(high - low, 0.0), axis=-1)
    area = ops.prod(ops.maximum(boxes[..., 2:] - boxes[..., :2], 0.0), axis=-1)
    union = ops.expand_dims(area, 2) + ops.expand_dims(area, 1) - common
    same = ops.expand_dims(labels, 2) == ops.expand_dims(labels, 1)
    return ops.where(same, common / ops.maximum(union, 1e-9), 0.0)


def _best(scores: Any, count: int) -> tuple[Any, Any]:
    """The best scores and their indices; of equal ones the first."""
    if keras.backend.backend() != "torch":
        return ops.top_k(scores, count)
    # Its top_k takes any of equal ones; its sort keeps their order.
    index = ops.argsort(-scores, axis=-1)[:, :count]
    return ops.take_along_axis(scores, index, axis=1), index


def _rows(boxes: Any, index: Any) -> Any:
    return ops.take_along_axis(boxes, ops.repeat(ops.expand_dims(index, -1), 4, axis=-1), axis=1)
