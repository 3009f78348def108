"""What an export of a detector is held to where rounding decides over its detections."""

from __future__ import annotations

import numpy as np

from kerasdl.export.detection_parity import settled


def answer(scores: list[list[float]]) -> dict[str, np.ndarray]:
    values = np.array(scores, np.float32)
    return {
        "boxes": np.tile(np.arange(4, dtype=np.float32), (*values.shape, 1)) + values[..., None],
        "scores": values,
        "label": np.full(values.shape, "seven", object),
        "count": (values >= 0).sum(axis=1).astype(np.int32),
    }


def test_detections_that_change_places_are_the_same() -> None:
    expected, other = answer([[0.9, 0.8]]), answer([[0.8, 0.9]])
    settle = settled(expected, np.array([False]), least=0.01, unit=1)
    for name, values in settle(expected).items():
        np.testing.assert_array_equal(settle(other)[name], values)


def test_of_undecided_images_the_best_score_is_still_compared() -> None:
    undecided = np.array([True, True])
    expected, other = answer([[0.9, 0.3], [0.01, -1]]), answer([[0.7, 0.2], [-1, -1]])
    settle = settled(expected, undecided, least=0.0101, unit=1)
    one, two = settle(expected)["scores"], settle(other)["scores"]
    np.testing.assert_allclose(one[0], [0.9, 0])
    np.testing.assert_allclose(two[0], [0.7, 0])
    np.testing.assert_array_equal(one[1], two[1])
