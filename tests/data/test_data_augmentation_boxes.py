"""Augmentation of images with boxes: boxes move with what they are around, and vanish where it leaves the image."""

from __future__ import annotations

import numpy as np
import pytest

from kerasdl.data import image_geometry
from kerasdl.data.augmentation import make_box_augmentation
from kerasdl.errors import InputError

# A bright rectangle, the box around it, padding, and a box that does not matter.
BOX = (12.0, 20.0, 26.0, 30.0)


def bright_batch(batch=64, height=48, width=40):
    images = np.zeros((batch, height, width, 1), np.uint8)
    images[:, 20:30, 12:26] = 255
    boxes = np.tile(np.array([BOX, (0, 0, 0, 0)], np.float32), (batch, 1, 1))
    return images, boxes, np.tile(np.array([3, -1]), (batch, 1))


@pytest.mark.parametrize("policy", ["shift", "flip", "rotate", "scale", "rotate,scale", "light,rotate,scale"])
def test_boxes_move_with_their_images(policy, monkeypatch):
    monkeypatch.setattr("kerasdl.data.augmentation.BOX_FILL", 0)
    images, boxes, labels = bright_batch()
    augment = make_box_augmentation(policy)
    moved, new_boxes, new_labels = augment(np.random.default_rng(0), images, boxes, labels)
    np.testing.assert_array_equal(new_labels, labels)
    assert not new_boxes[:, 1].any()
    assert new_boxes.dtype == np.float32
    assert len(np.unique(new_boxes[:, 0], axis=0)) > 1
    for image, box in zip(moved[..., 0] > 100, new_boxes[:, 0], strict=True):
        rows, columns = np.flatnonzero(image.any(axis=1)), np.flatnonzero(image.any(axis=0))
        around = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
        np.testing.assert_allclose(box, around, atol=1)
    np.testing.assert_array_equal(boxes[:, 0], np.tile(BOX, (64, 1)))


def test_rand_augment_moves_boxes_too():
    images, boxes, labels = bright_batch()
    images = images // 2 + 60
    moved, new_boxes, _ = make_box_augmentation("rand_augment")(np.random.default_rng(0), images, boxes, labels)
    middles = (new_boxes[:, 0, :2] + new_boxes[:, 0, 2:]) / 2
    shown = [
        np.argwhere(image[..., 0] == image[int(y), int(x), 0]) for image, (x, y) in zip(moved, middles, strict=True)
    ]
    offsets = [
        np.abs(where.mean(axis=0)[::-1] + 0.5 - middle).max() for where, middle in zip(shown, middles, strict=True)
    ]
    assert np.median(np.abs(middles - (19, 25)).max(axis=1)) > 0
    # Blurred borders and contrast make some pixels of a few images as bright as the rectangle.
    assert np.mean(np.array(offsets) < 1) > 0.9


def test_boxes_are_cut_at_the_border_and_vanish_outside():
    boxes = np.array([[(-4, 2, 6, 8), (8, 0, 10, 4), (0, 0, 3, 3), (9.5, 9.5, 9.9, 9.9)]], np.float64)
    labels = np.array([[0, 1, -1, 2]])
    right = image_geometry.shift_matrices(np.array([[2, -1]]))
    moved, kept = image_geometry.move_boxes(boxes, labels, right, size=(10, 10))
    np.testing.assert_array_equal(kept, [[0, -1, -1, -1]])
    np.testing.assert_array_equal(moved, [[(0, 1, 8, 7), (0, 0, 0, 0), (0, 0, 0, 0), (0, 0, 0, 0)]])
    still, kept = image_geometry.move_boxes(boxes, labels, np.eye(3)[np.newaxis], size=(10, 10))
    np.testing.assert_array_equal(kept, [[0, 1, -1, 2]])
    np.testing.assert_allclose(still[0, 3], boxes[0, 3])


@pytest.mark.parametrize("policy", ["strong", "mixup", ("light", "cutmix")])
def test_mixing_is_refused_for_boxes(policy):
    with pytest.raises(InputError, match="for images with boxes"):
        make_box_augmentation(policy)
