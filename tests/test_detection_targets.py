"""What a detector is to say at each location holds the boxes, and gives them back."""

from __future__ import annotations

import numpy as np
import pytest

from kerasdl import detection_targets
from kerasdl.detection_assignment import assign, unseen
from kerasdl.detection_targets import centerness, decode, encode, ideal_outputs, mean_normalizers
from kerasdl.locations import grids, locations

SIZE = (96, 130)
CLASSES = 5


def scenes(seed: int, *, images: int = 20, boxes: int = 7, least: float = 1.0) -> np.ndarray:
    """Boxes of all sizes within images of `SIZE`; the last row of each is padding."""
    rng = np.random.default_rng(seed)
    height, width = SIZE
    size = np.exp(rng.uniform(np.log(least), np.log((width, height)), (images, boxes, 2)))
    corner = rng.uniform(0, 1, size.shape) * ((width, height) - size)
    label = rng.integers(0, CLASSES, (images, boxes, 1))
    found = np.concatenate([corner, corner + size, label, np.zeros_like(label)], axis=-1).astype(np.float32)
    found[:, -1] = (-1, -1, -1, -1, -1, 0)
    return found


def test_locations_are_the_centres_of_cells() -> None:
    centres, stride = locations((100, 36), (8, 16))
    assert grids((100, 36), (8, 16)) == [(13, 5), (7, 3)]
    assert centres.dtype == stride.dtype == np.float32
    assert len(centres) == len(stride) == 13 * 5 + 7 * 3
    np.testing.assert_array_equal(centres[[0, 1, 5, 65]], [[4, 4], [12, 4], [4, 12], [8, 8]])
    assert stride[64:66].tolist() == [8, 16]


@pytest.mark.parametrize("strides", [(8, 16, 32), (4, 8), (16,)])
@pytest.mark.parametrize("seed", range(3))
def test_decode_gives_back_what_was_encoded(seed: int, strides: tuple[int, ...]) -> None:
    targets = scenes(seed)
    encoded = encode(targets, SIZE, strides=strides)
    boxes, scores, labels = decode(ideal_outputs(encoded, CLASSES), SIZE, strides=strides)
    lost = unseen(targets, SIZE, strides=strides, alone=False)
    total = 0
    for image, rows in enumerate(targets):
        there = encoded["classes"][image, :, 0] >= 0
        assert (scores[image, ~there] < 1e-4).all()
        found = np.unique(np.column_stack([boxes[image, there], labels[image, there]]).round(2), axis=0)
        expected = np.unique(rows[(rows[:, 4] >= 0) & ~lost[image], :5].round(2), axis=0)
        np.testing.assert_allclose(found, expected, atol=0.02)
        total += len(expected)
    assert total > 20


def by_hand(rows: np.ndarray, strides: tuple[int, ...]) -> np.ndarray:
    """The assignment of FCOS, one location and one box at a time."""
    centres, stride = locations(SIZE, strides)
    found = np.full(len(centres), -1)
    smallest = np.full(len(centres), np.inf)
    for index, (left, top, right, bottom, label, crowd) in enumerate(rows):
        if label < 0 or crowd:
            continue
        near, seen = [], []
        for place, ((x, y), step) in enumerate(zip(centres, stride, strict=True)):
            sides = (x - left, y - top, right - x, bottom - y)
            centred = abs(x - (left + right) / 2) < 1.5 * step and abs(y - (top + bottom) / 2) < 1.5 * step
            low = 2 * step if step > strides[0] else -1
            high = 4 * step if step < strides[-1] else np.inf
            if min(sides) > 0 and centred and max(sides) > low:
                near.append(place)
                if max(sides) <= high:
                    seen.append(place)
        area = (right - left) * (bottom - top)
        for place in seen or [place for place in near if stride[place] == max(stride[near])]:
            if area < smallest[place]:
                found[place], smallest[place] = index, area
    return found


def test_the_smallest_box_of_the_right_level_wins() -> None:
    targets = scenes(4, images=5)
    targets[::2, 0, 5] = 1
    found = assign(targets, SIZE)
    for rows, owner in zip(targets, found.box, strict=True):
        np.testing.assert_array_equal(owner, by_hand(rows, (8, 16, 32)))
    assert len(np.unique(found.box)) > 4


def test_locations_in_a_crowd_count_for_nothing() -> None:
    targets = np.array([[[8, 8, 72, 72, 1, 1], [20, 20, 44, 44, 2, 0]]], np.float32)
    encoded = encode(targets, SIZE)
    label, weight = np.moveaxis(encoded["classes"][0], -1, 0)
    centres, _ = locations(SIZE)
    inside = ((centres > 8) & (centres < 72)).all(axis=1)
    np.testing.assert_array_equal(weight == 0, inside & (label < 0))
    assert set(label[inside]) == {-1.0, 2.0}
    assert (encoded["boxes"][0, label < 0] == 0).all()
    assert (encoded["centerness"][0, label < 0] == 0).all()


def test_a_box_between_the_grid_points_is_seen_by_none() -> None:
    boxes = [[5, 5, 11, 11, 0, 0], [3, 3, 6, 6, 0, 0], [5, 5, 11, 11, 0, 1], [-1, -1, -1, -1, -1, 0]]
    targets = np.array([boxes], np.float32)
    assert unseen(targets, SIZE).tolist() == [[True, False, False, False]]
    assert unseen(targets, SIZE, strides=(4, 8)).tolist() == [[False, True, False, False]]
    # whatever has 8 pixels to each side holds a grid point; what has not may not
    large, small = scenes(0, least=8.5), scenes(0, least=1.0)
    assert not unseen(large, SIZE).any()
    share = unseen(small, SIZE).sum() / (small[..., 4] >= 0).sum()
    assert 0.05 < share < 0.7


def test_a_long_thin_box_is_seen_on_a_finer_level() -> None:
    # from its middle it is 50 pixels to its end, but no point of a stride of 16 or 32 lies in it
    targets = np.array([[[10, 32.5, 110, 39, 3, 0]]], np.float32)
    found = assign(targets, SIZE).box[0]
    assert set(locations(SIZE)[1][found == 0]) == {8.0}


def test_a_box_whose_locations_all_belong_to_a_smaller_one_is_lost_beside_it() -> None:
    targets = np.array([[[16, 16, 24, 24, 0, 0], [16, 16, 24, 25, 1, 0]]], np.float32)
    assert not unseen(targets, SIZE).any()
    assert unseen(targets, SIZE, alone=False).tolist() == [[False, True]]


def test_many_boxes_are_compared_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    targets = scenes(2)
    whole, lost = assign(targets, SIZE).box, unseen(targets, SIZE)
    monkeypatch.setattr("kerasdl.detection_assignment.PAIRS", 1000)
    np.testing.assert_array_equal(assign(targets, SIZE).box, whole)
    np.testing.assert_array_equal(unseen(targets, SIZE), lost)


def test_weights_are_those_of_the_mean_over_positives() -> None:
    targets = scenes(3)
    encoded = encode(targets, SIZE)
    positive = encoded["classes"][..., 0] >= 0
    # the mean over images of the sum over locations
    assert encoded["centerness"][..., 1].sum() / len(targets) == pytest.approx(1)
    assert encoded["boxes"][..., 4].sum() / len(targets) == pytest.approx(1, rel=1e-5)
    assert encoded["classes"][..., 1].max() == pytest.approx(len(targets) / positive.sum())
    np.testing.assert_allclose(
        encoded["centerness"][positive, 0], centerness(encoded["boxes"][positive, :4]), rtol=1e-5
    )
    assert centerness(np.array([[4.0, 4, 4, 4], [1, 2, 4, 2]])).tolist() == [1.0, 0.5]


def test_with_normalizers_of_the_split_parts_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    targets = scenes(3)
    normalizers = mean_normalizers(targets, SIZE)
    monkeypatch.setattr(detection_targets, "IMAGES", 7)
    assert mean_normalizers(targets, SIZE) == pytest.approx(normalizers), "looked at in parts"
    whole = encode(targets, SIZE)
    parts = [encode(targets[begin : begin + 5], SIZE, normalizers=normalizers) for begin in range(0, 20, 5)]
    for name, values in whole.items():
        np.testing.assert_allclose(np.concatenate([part[name] for part in parts]), values, rtol=1e-5)


@pytest.mark.parametrize("boxes", [0, 3])
def test_images_without_objects(boxes: int) -> None:
    targets = np.tile(np.array([-1, -1, -1, -1, -1, 0], np.float32), (4, boxes, 1))
    encoded = encode(targets, SIZE)
    assert (encoded["classes"][..., 0] == -1).all()
    # of a batch: one location
    assert (encoded["classes"][..., 1] == 4).all()
    assert (encoded["boxes"] == 0).all()
    assert mean_normalizers(targets, SIZE) == (0.25, 0.25)
