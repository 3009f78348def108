"""The losses of a detector's three outputs, each with the weight of every location in the last column of its targets.

A loss sums the weighted losses of an image's locations; Keras multiplies by the weights of images, if any, and takes
the mean over the batch. What the sum is divided by is thus in the weights: see `kerasdl.detection_targets.encode`.
Whatever the dtype of the loss, all is computed in float32: areas in pixels and sums over locations leave float16.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

TINY = 1e-6


@keras.saving.register_keras_serializable("kerasdl")
class FocalLoss(keras.losses.Loss):
    """Sigmoid focal loss of the classes: cross-entropy that hardly counts what is already right.

    Of each class at each location, with p the probability of what is true: -a (1 - p)^gamma log(p), where a is alpha
    for the class that is there and 1 - alpha for all others.

    Args:
        alpha: Weight of what is there against what is not, in (0, 1).
        gamma: How little counts what is right; 0 for the cross-entropy.
        reduction: As of any Keras loss.
        name: Name of the loss.
        dtype: As of any Keras loss.

    Call arguments:
        y_true: (batch, locations, 2): index of the class, -1 for none, and weight.
        y_pred: Logits of shape (batch, locations, classes).

    Example:
        >>> model.compile("adamw", {"classes": FocalLoss(), "boxes": BoxLoss(), "centerness": CenternessLoss()})

    Reference: Lin et al., Focal loss for dense object detection, arXiv:1708.02002
    """

    def __init__(
        self,
        alpha: float = 0.25,
        gamma: float = 2.0,
        *,
        reduction: str | None = "sum_over_batch_size",
        name: str = "focal",
        dtype: Any = None,
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.alpha, self.gamma = float(alpha), float(gamma)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of each image, of shape (batch,)."""
        y_true, y_pred = ops.cast(y_true, "float32"), ops.cast(y_pred, "float32")
        index = ops.cast(ops.round(y_true[..., 0]), "int32")
        # Compared with all classes, not one-hot: what -1 becomes there is each backend's own.
        there = ops.cast(ops.expand_dims(index, -1) == ops.arange(y_pred.shape[-1], dtype="int32"), y_pred.dtype)
        sign = 2.0 * there - 1.0
        # log(p) and 1 - p from the logits: neither is lost where p is nearly 1, or nearly 0.
        cross_entropy = ops.softplus(-sign * y_pred)
        wrong = ops.sigmoid(-sign * y_pred)
        share = there * self.alpha + (1.0 - there) * (1.0 - self.alpha)
        # Not below what a power under 1 still has a derivative at.
        focus = ops.maximum(wrong, TINY * TINY) ** self.gamma if self.gamma else 1.0
        return _weighted(ops.sum(share * focus * cross_entropy, axis=-1), y_true)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the loss."""
        return {**super().get_config(), "alpha": self.alpha, "gamma": self.gamma}


@keras.saving.register_keras_serializable("kerasdl")
class BoxLoss(keras.losses.Loss):
    """Generalized IoU loss of boxes that are distances from a location: 1 - IoU + the empty share of their hull.

    From 0 for the same box to 2; all scales of boxes count the same. Both boxes hold the location, so that they always
    overlap and the gradient never vanishes.

    Args:
        reduction: As of any Keras loss.
        name: Name of the loss.
        dtype: As of any Keras loss.

    Call arguments:
        y_true: (batch, locations, 5): distances to left, top, right, bottom, and weight.
        y_pred: Distances of shape (batch, locations, 4), at least 0.

    Example:
        >>> BoxLoss()([[[4.0, 4.0, 4.0, 4.0, 1.0]]], [[[4.0, 4.0, 4.0, 0.0]]])    # 0.5

    Reference: Rezatofighi et al., Generalized intersection over union, arXiv:1902.09630
    """

    def __init__(
        self, *, reduction: str | None = "sum_over_batch_size", name: str = "generalized_iou", dtype: Any = None
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of each image, of shape (batch,)."""
        y_true, y_pred = ops.cast(y_true, "float32"), ops.cast(y_pred, "float32")
        true = y_true[..., :4]
        both, either = ops.minimum(true, y_pred), ops.maximum(true, y_pred)
        common, hull = _area(both), _area(either)
        union = _area(true) + _area(y_pred) - common
        iou = common / ops.maximum(union, TINY)
        empty = (hull - union) / ops.maximum(hull, TINY)
        return _weighted(1.0 - iou + empty, y_true)


@keras.saving.register_keras_serializable("kerasdl")
class CenternessLoss(keras.losses.Loss):
    """Cross-entropy between how central a location is and the logit that says so.

    Args:
        reduction: As of any Keras loss.
        name: Name of the loss.
        dtype: As of any Keras loss.

    Call arguments:
        y_true: (batch, locations, 2): centre-ness in [0, 1] and weight.
        y_pred: Logits of shape (batch, locations, 1).

    Example:
        >>> CenternessLoss()([[[0.5, 1.0]]], [[[0.0]]])    # log 2

    Reference: Tian et al., FCOS, arXiv:1904.01355
    """

    def __init__(self, *, reduction: str | None = "sum_over_batch_size", name: str = "centerness", dtype: Any = None):
        super().__init__(name=name, reduction=reduction, dtype=dtype)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of each image, of shape (batch,)."""
        y_true, y_pred = ops.cast(y_true, "float32"), ops.cast(y_pred, "float32")
        logit = y_pred[..., 0]
        return _weighted(ops.softplus(logit) - y_true[..., 0] * logit, y_true)


def detection_losses(*, alpha: float = 0.25, gamma: float = 2.0) -> dict[str, keras.losses.Loss]:
    """Return the losses of a detector by the names of its outputs, as `compile` takes them.

    Args:
        alpha: Of :class:`FocalLoss`.
        gamma: Of :class:`FocalLoss`.
    """
    return {"classes": FocalLoss(alpha, gamma), "boxes": BoxLoss(), "centerness": CenternessLoss()}


def _area(distances: Any) -> Any:
    return (distances[..., 0] + distances[..., 2]) * (distances[..., 1] + distances[..., 3])


def _weighted(losses: Any, y_true: Any) -> Any:
    weights = y_true[..., -1]
    # Where nothing is asked for nothing is computed with: 0 times infinity would be NaN.
    return ops.sum(weights * ops.where(weights > 0, losses, 0.0), axis=-1)
