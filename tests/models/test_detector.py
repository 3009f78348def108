"""What a detector promises beside the builders' contract."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

import kerasdl
from kerasdl import models
from kerasdl.locations import locations


def test_a_fresh_detector_sees_objects_nowhere_and_boxes_of_two_strides() -> None:
    model = models.detector((40, 72, 3), 4)
    images = np.random.default_rng(0).integers(0, 256, (2, 40, 72, 3), "uint8")
    found = {name: keras.ops.convert_to_numpy(value) for name, value in model(images, training=False).items()}
    _, stride = locations((40, 72))
    assert {name: value.shape for name, value in found.items()} == {
        "classes": (2, len(stride), 4),
        "boxes": (2, len(stride), 4),
        "centerness": (2, len(stride), 1),
    }
    assert np.mean(1 / (1 + np.exp(-found["classes"]))) == pytest.approx(0.01, rel=0.3)
    assert (found["boxes"] > 0).all()
    # softplus(1), in strides
    assert np.median(found["boxes"] / stride[:, None]) == pytest.approx(1.313, rel=0.1)


def test_a_level_looks_where_its_locations_are() -> None:
    # What the outputs of a location depend on lies around it: levels and rows are in the order of the locations.
    model = models.detector((64, 96, 1), 1, strides=(4, 8))
    centres, _ = locations((64, 96), (4, 8))
    dark = np.zeros((1, 64, 96, 1), "uint8")
    bright = dark.copy()
    bright[:, 30:34, 78:82] = 255
    before, after = (model(images, training=False)["classes"] for images in (dark, bright))
    change = np.abs(keras.ops.convert_to_numpy(after - before))[0, :, 0]
    fine = len(change) * 4 // 5
    for part in (slice(0, fine), slice(fine, None)):
        middle = (change[part, None] * centres[part]).sum(axis=0) / change[part].sum()
        np.testing.assert_allclose(middle, (80, 32), atol=8)


def test_strides_above_those_of_the_backbone_and_every_size() -> None:
    model = models.detector((64, 64, 3), 2, size="small", strides=(16, 32, 64))
    assert model.output["boxes"].shape == (None, 16 + 4 + 1, 4)
    counts = [models.detector((64, 64, 3), 2, size=size).count_params() for size in ("nano", "small", "base")]
    assert counts[0] < counts[1] / 3 < counts[2] / 9


def test_a_pretrained_backbone_by_its_feature_maps() -> None:
    model = models.detector((64, 80, 3), 2, backbone="mobilenet_v2")
    assert model.output["classes"].shape == (None, 8 * 10 + 4 * 5 + 2 * 3, 2)
    names = {layer.name for layer in model.layers}
    # the last feature map of all, and before the step to the next stride
    assert "out_relu" in names
    assert "block_6_expand_relu" in names
    images = np.zeros((1, 64, 80, 3), "uint8")
    assert np.isfinite(keras.ops.convert_to_numpy(model(images, training=False)["boxes"])).all()


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"size": "tiny"}, "size: received 'tiny'"),
        ({"strides": (8, 32)}, "strides: received"),
        ({"strides": (64, 128)}, "strides: received"),
        ({"num_classes": 0}, "num_classes: received 0"),
        ({"normalization": "instance"}, "normalization: received"),
        ({"backbone": "inception_v3", "input_shape": (80, 80, 3)}, "backbone: received"),
    ],
)
def test_bad_arguments(keywords: dict[str, Any], message: str) -> None:
    with pytest.raises(kerasdl.InputError, match=message):
        models.detector(**{"input_shape": (64, 64, 3), "num_classes": 3, **keywords})
