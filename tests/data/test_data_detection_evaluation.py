"""Images with boxes to measure a model on are read as the run's own were, all that there are, with its classes."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from kerasdl.data import load, load_split
from kerasdl.data.boxes import convert
from kerasdl.errors import InputError

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), np.uint8)
BOXES = [np.array([[2.0, 3, 20, 30]])] * 6
NAMES = ("cat", "dog", "owl")


def split(data, class_names=NAMES, **arguments):
    return load_split(data, kind="detection", class_names=class_names, input_shape=(32, 32, 3), **arguments)


def yolo(root, **parts):
    """Write images by split, the number of each in its colour, with the lines of their labels."""
    for word, lines in parts.items():
        (root / "images" / word).mkdir(parents=True)
        (root / "labels" / word).mkdir(parents=True)
        for number, line in enumerate(lines):
            Image.new("RGB", (32, 32), (number, 0, 0)).save(root / "images" / word / f"{number}.png")
            (root / "labels" / word / f"{number}.txt").write_text(line)
    (root / "classes.txt").write_text("cat\ndog\nowl\n")
    return root


def test_boxes_of_arrays_are_in_the_format_of_the_run():
    given = [convert(boxes, np.array([32, 32]), "xyxy", "xywh") for boxes in BOXES]
    found = split((IMAGES, given, [["cat"]] * 6), ("cat",), box_format="xywh")
    assert found.targets[:, 0, :4].tolist() == [[2, 3, 20, 30]] * 6


def test_wrong_boxes_are_dropped_as_in_the_run_whatever_the_format_of_its_arrays(tmp_path):
    root = yolo(tmp_path, train=["0 0.5 0.5 0.5 0.5\n1 0.5 0.5 0 0.5\n"] * 3)
    with pytest.raises(InputError, match="a box without area"):
        split(root)
    assert split(root, invalid_boxes="drop", box_format="xywh").objects == 3
    with pytest.raises(InputError, match="invalid_boxes"):
        split(root, invalid_boxes="ignore")


def test_without_a_test_split_all_is_measured(tmp_path):
    root = yolo(tmp_path, train=["0 0.5 0.5 0.5 0.5\n"] * 3, val=["1 0.5 0.5 0.5 0.5\n" * 2] * 2)
    found = split(root)
    assert (len(found), found.objects, found.sizes.shape) == (5, 7, (5, 2))
    assert found.inputs[:, 0, 0, 0].tolist() == [0, 1, 2, 0, 1]
    yolo(tmp_path, test=["2 0.5 0.5 0.5 0.5\n"])
    assert split(root).targets[..., 4].tolist() == [[2]]


def test_integers_of_arrays_are_the_indices_of_the_models_names():
    given = (IMAGES, BOXES, [[0], [2], [1], [0], [2], [2]])
    assert split(given).targets[:, 0, 4].tolist() == [0, 2, 1, 0, 2, 2]
    dataset = load(given, kind="detection", image_size=32)
    assert set(split(dataset).targets[:, 0, 4]) <= {0, 1, 2}
    assert split(given, ("2", "1", "0")).targets[:, 0, 4].tolist() == [2, 0, 1, 2, 0, 0], "names that are numbers"
    with pytest.raises(InputError, match="objects of the class '2'"):
        split(given, ("cat", "dog"))
