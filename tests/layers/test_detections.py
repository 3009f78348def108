"""Suppression in the graph finds what a plain loop finds, ties, empty images and all."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from kerasdl.detection_targets import decode, encode, ideal_outputs
from kerasdl.layers import Detections

SIZE, CLASSES = (64, 80), 3
COUNT = 10 * 8 + 5 * 4 + 3 * 2
Arrays = dict[str, np.ndarray]


def outputs(images: int = 5, *, ties: bool = False) -> Arrays:
    """Outputs of a detector that sees much: many boxes of few sizes over each other; nothing in the last image."""
    rng = np.random.default_rng(0)
    found = {
        "classes": rng.normal(-2, 2, (images, COUNT, CLASSES)).astype("float32"),
        "boxes": rng.uniform(4, 24, (images, COUNT, 4)).astype("float32"),
        "centerness": rng.normal(0, 1, (images, COUNT, 1)).astype("float32"),
    }
    if ties:
        # whole numbers: many scores are equal
        found = {"classes": found["classes"].round(), "boxes": found["boxes"], "centerness": 0 * found["centerness"]}
    found["classes"][-1] = -20
    return found


def by_hand(given: Arrays, layer: Detections) -> Arrays:
    """Greedy suppression, hard or soft, one image and one box at a time."""
    found: Arrays = {"boxes": [], "scores": [], "labels": []}
    boxes = decode(given, SIZE)[0]
    for image in range(len(boxes)):
        scores = np.sqrt(1 / (1 + np.exp(-given["classes"][image])) / (1 + np.exp(-given["centerness"][image])))
        best = np.argsort(-scores.ravel(), kind="stable")[: layer.candidates]
        left = [
            (scores.ravel()[i], boxes[image, i // CLASSES], i % CLASSES)
            for i in best
            if scores.ravel()[i] >= layer.score_threshold
        ]
        kept = []
        while left and len(kept) < layer.num_detections:
            place = max(range(len(left)), key=lambda i: left[i][0])
            score, box, label = left.pop(place)
            kept.append((box, score, label))
            after = []
            for other_score, other, other_label in left:
                low, high = np.maximum(box[:2], other[:2]), np.minimum(box[2:], other[2:])
                common = np.prod(np.maximum(high - low, 0))
                iou = common / (np.prod(box[2:] - box[:2]) + np.prod(other[2:] - other[:2]) - common)
                if other_label != label:
                    after.append((other_score, other, other_label))
                elif layer.soft_sigma is not None:
                    weaker = other_score * np.exp(-(iou**2) / layer.soft_sigma)
                    if weaker >= layer.score_threshold:
                        after.append((weaker, other, other_label))
                elif iou <= layer.iou_threshold:
                    after.append((other_score, other, other_label))
            left = after
        kept += [(np.full(4, -1.0), -1.0, -1)] * (layer.num_detections - len(kept))
        for name, column in zip(found, zip(*kept, strict=True), strict=True):
            found[name].append(np.stack(column))
    return {name: np.stack(values) for name, values in found.items()}


LAYERS = {
    "hard": {},
    "all that there is": {"iou_threshold": 0.3, "candidates": 10_000, "num_detections": 60},
    "few": {"num_detections": 5, "score_threshold": 0.5},
    "more than candidates": {"num_detections": 30, "candidates": 20},
    "soft": {"soft_sigma": 0.5},
    "soft few": {"soft_sigma": 0.1, "num_detections": 8, "score_threshold": 0.3},
}


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("case", LAYERS)
def test_as_by_hand(case: str, ties: bool) -> None:
    layer = Detections(SIZE, **{"num_detections": 40, "candidates": 120, **LAYERS[case]})
    given = outputs(ties=ties)
    expected = by_hand(given, layer)
    found = {name: keras.ops.convert_to_numpy(value) for name, value in layer(given).items()}
    np.testing.assert_array_equal(found["labels"], expected["labels"])
    np.testing.assert_allclose(found["boxes"], expected["boxes"], atol=1e-3)
    np.testing.assert_allclose(found["scores"], expected["scores"], atol=1e-5)
    assert (found["labels"][0] >= 0).any()
    assert (found["labels"][-1] == -1).all()


def test_ideal_outputs_give_back_each_box_once() -> None:
    targets = np.array(
        [
            [[2, 2, 20, 20, 0, 0], [30, 10, 70, 50, 2, 0], [6, 6, 22, 22, 1, 0]],
            [[0, 0, 80, 64, 1, 0], [-1] * 5 + [0], [-1] * 5 + [0]],
        ],
        np.float32,
    )
    layer = Detections(SIZE, num_detections=4)
    found = layer(ideal_outputs(encode(targets, SIZE), CLASSES))
    labels, boxes = (keras.ops.convert_to_numpy(found[name]) for name in ("labels", "boxes"))
    for rows, label, box in zip(targets, labels, boxes, strict=True):
        expected = rows[rows[:, 4] >= 0]
        order, ours = np.argsort(expected[:, 4]), np.argsort(label[label >= 0])
        np.testing.assert_allclose(box[label >= 0][ours], expected[order, :4], atol=1e-3)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="a SavedModel needs the TensorFlow backend")
@pytest.mark.parametrize("case", ["hard", "soft"])
def test_in_a_model_that_is_saved_and_exported(case: str, tmp_path: Path) -> None:
    import tensorflow as tf

    given = outputs()
    inputs = {name: keras.Input(value.shape[1:], name=name) for name, value in given.items()}
    layer = Detections(SIZE, num_detections=20, candidates=60, **LAYERS[case], name="detections")
    model = keras.Model(inputs, layer(inputs))
    assert {name: tuple(value.shape) for name, value in model.output.items()} == {
        "boxes": (None, 20, 4),
        "scores": (None, 20),
        "labels": (None, 20),
    }
    expected = model.predict(given, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    model.export(tmp_path / "export", verbose=False)
    served = tf.saved_model.load(tmp_path / "export")
    for name, value in expected.items():
        np.testing.assert_allclose(loaded.predict(given, verbose=0)[name], value, atol=1e-5)
        np.testing.assert_allclose(served.serve(given)[name].numpy(), value, atol=1e-5)
        np.testing.assert_allclose(
            served.serve({n: v[:1] for n, v in given.items()})[name].numpy(), value[:1], atol=1e-5
        )
