"""What a detector shall say at each location, and boxes out of what it says: `encode` and `decode`, in NumPy.

Boxes and stored targets are those of `kerasdl.detection_assignment`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from kerasdl.detection_assignment import RADIUS, REACH, assign, distances_from
from kerasdl.locations import STRIDES, locations

# Images that are looked at together: all locations of each are.
IMAGES = 1024


def encode(
    targets: np.ndarray,
    image_size: Sequence[int],
    *,
    strides: Sequence[int] = STRIDES,
    radius: float = RADIUS,
    reach: float = REACH,
    normalizers: tuple[float, float] | None = None,
) -> dict[str, np.ndarray]:
    """Return what the losses of a detector compare its outputs with, their weights included.

    A location belongs to the smallest of the boxes that it lies in, near the centre of, and on the right level for.
    The weights are divided by the number of locations that belong to a box, per image, so that the mean over images of
    the weighted sum over locations is the loss of FCOS. With that number from the batch itself, each batch weighs the
    same whatever is in it; with `normalizers` from the whole training split, losses of parts of a batch add up to that
    of the batch, as gradient accumulation and several replicas need it.

    Args:
        targets: Stored targets of a batch, (batch, max_boxes, 6).
        image_size: (height, width) in pixels.
        strides: Of the detector.
        radius: As for :func:`kerasdl.detection_assignment.assign`.
        reach: As for it.
        normalizers: Locations that belong to a box and the sum of their centre-ness, per image, out of
            :func:`mean_normalizers`; None for those of this batch.

    Returns:
        float32 arrays by the name of the output: "classes", (batch, locations, 2): index of the class, -1 for none, and
        weight, 0 in a crowd; "boxes", (batch, locations, 5): distances to left, top, right, bottom in pixels and
        weight; "centerness", (batch, locations, 2): target and weight. Without a box both weights are 0.

    Example:
        >>> encoded = encode(split.targets[:32], (128, 128))

    Reference: Tian et al., FCOS, arXiv:1904.01355 and arXiv:2006.09214
    """
    owner = assign(targets, image_size, strides=strides, radius=radius, reach=reach)
    positive = owner.box >= 0
    if not targets.shape[1]:
        targets = np.zeros((len(targets), 1, 6), np.float32)
    boxes = np.take_along_axis(targets, np.maximum(owner.box, 0)[..., None], axis=1)
    distances = np.where(positive[..., None], distances_from(boxes, locations(image_size, strides)[0]), 0)
    centre = centerness(distances)
    count, total = normalizers or _normalizers(positive, centre)
    found = {
        "classes": [np.where(positive, boxes[..., 4], -1), ~owner.ignored / count],
        "boxes": [*np.moveaxis(distances, -1, 0), centre / total],
        "centerness": [centre, positive / count],
    }
    return {name: np.stack(columns, axis=-1).astype(np.float32) for name, columns in found.items()}


def mean_normalizers(
    targets: np.ndarray,
    image_size: Sequence[int],
    *,
    strides: Sequence[int] = STRIDES,
    radius: float = RADIUS,
    reach: float = REACH,
) -> tuple[float, float]:
    """Return the locations that belong to a box, and the sum of their centre-ness, per image: see :func:`encode`.

    Args:
        targets: Stored targets of a training split.
        image_size: As for :func:`encode`, also the next three.
        strides: Of the detector.
        radius: As for :func:`kerasdl.detection_assignment.assign`.
        reach: As for it.
    """
    points, positive, central = locations(image_size, strides)[0], 0, 0.0
    for begin in range(0, len(targets), IMAGES):
        part = targets[begin : begin + IMAGES]
        owner = assign(part, image_size, strides=strides, radius=radius, reach=reach).box
        image, place = np.nonzero(owner >= 0)
        positive += len(image)
        central += float(centerness(distances_from(part[image, owner[image, place]], points[place])).sum())
    count = max(len(targets), 1)
    return _floor(positive / count, count), _floor(central / count, count)


def _normalizers(positive: np.ndarray, centre: np.ndarray) -> tuple[float, float]:
    count = max(len(positive), 1)
    return _floor(float(positive.sum()) / count, count), _floor(float(centre.sum(dtype=np.float64)) / count, count)


def _floor(value: float, count: int) -> float:
    # As FCOS has it: a batch without any object is divided by one location.
    return max(value, 1 / count)


def decode(
    outputs: Mapping[str, np.ndarray], image_size: Sequence[int], *, strides: Sequence[int] = STRIDES
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the best guess of each location; most of them say the same, or nothing: `kerasdl.layers.Detections`.

    Args:
        outputs: Of a detector: logits of classes and centre-ness, distances in pixels.
        image_size: (height, width) in pixels.
        strides: Of the detector.

    Returns:
        Boxes (batch, locations, 4), within the image; scores (batch, locations), the root of the probabilities of the
        class and of being central; labels (batch, locations), int64.

    Example:
        >>> boxes, scores, labels = decode(model.predict(images), (128, 128))
    """
    x, y = locations(image_size, strides)[0].T
    left, top, right, bottom = np.moveaxis(np.asarray(outputs["boxes"], np.float32), -1, 0)
    height, width = image_size
    corners = [(x - left, width), (y - top, height), (x + right, width), (y + bottom, height)]
    boxes = np.stack([np.clip(corner, 0, limit) for corner, limit in corners], axis=-1)
    classes = np.asarray(outputs["classes"], np.float32)
    scores = np.sqrt(_sigmoid(classes.max(axis=-1)) * _sigmoid(np.asarray(outputs["centerness"], np.float32)[..., 0]))
    return boxes, scores, classes.argmax(axis=-1)


def ideal_outputs(encoded: Mapping[str, np.ndarray], num_classes: int) -> dict[str, np.ndarray]:
    """Return what a detector would put out that makes no error: for the best that its strides allow, and for tests.

    Args:
        encoded: Out of :func:`encode`.
        num_classes: Of the detector.

    Example:
        >>> boxes, scores, labels = decode(ideal_outputs(encode(targets, (128, 128)), 10), (128, 128))
    """
    is_class = encoded["classes"][..., :1] == np.arange(num_classes)
    share = np.clip(encoded["centerness"][..., :1], 1e-6, 1 - 1e-6)
    return {
        "classes": np.where(is_class, 20, -20).astype(np.float32),
        "boxes": encoded["boxes"][..., :4],
        "centerness": np.log(share / (1 - share)),
    }


def centerness(distances: np.ndarray) -> np.ndarray:
    """Return how central a location is in its box, 1 in the middle, 0 at a side: sqrt(min(l, r) / max(l, r) * ...).

    Args:
        distances: To left, top, right and bottom, (..., 4).
    """
    near = np.minimum(distances[..., :2], distances[..., 2:])
    far = np.maximum(distances[..., :2], distances[..., 2:])
    return np.sqrt(np.prod(near / np.maximum(far, 1e-6), axis=-1))


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(x, -80, 80)))
