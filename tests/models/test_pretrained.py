"""Pretrained backbones: the table says what Keras does, pixels are scaled as families want, weights load exactly."""

from __future__ import annotations

import importlib.util
import inspect
import pathlib
import socket
import subprocess
import sys
from typing import Any

import keras
import numpy as np
import pytest

from kerasdl import InputError, backbone_table, models
from kerasdl.models import efficientnet_lite, pretrained
from kerasdl.safe_loading import load_keras

array = keras.ops.convert_to_numpy
ROWS = {row["name"]: row for row in models.backbones()}
SMALL = ("mobilenet_v3_small", "mobilenet", "mobilenet_v2", "efficientnet_b0", "vgg16")
SMALLEST = "mobilenet_v3_small"


class Asked(Exception):
    """Raised instead of a download."""


def function_of(name: str) -> Any:
    return getattr(keras.applications, ROWS[name]["function"])


def photos(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (2, *shape), "uint8")


def call(model: keras.Model, images: np.ndarray) -> np.ndarray:
    return array(model(images, training=False))


def assert_same(found: np.ndarray, expected: np.ndarray) -> None:
    # By the largest: untrained statistics let the signal of some networks shrink to 1e-20.
    largest = np.abs(expected).max()
    assert largest > 0
    assert np.unique(expected).size > 1
    np.testing.assert_allclose(found / largest, expected / largest, atol=1e-4)


def refuse_download(*args: Any, **keywords: Any) -> None:
    raise Asked(args, keywords)


@pytest.fixture(scope="module")
def own() -> keras.Model:
    """The smallest network as Keras makes it, with random weights."""
    keras.utils.set_random_seed(0)
    return function_of(SMALLEST)(include_top=False, weights=None, pooling="avg", input_shape=(40, 56, 3))


@pytest.fixture(scope="module")
def own_file(own: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    path = tmp_path_factory.mktemp("weights") / "own.weights.h5"
    own.save_weights(path)
    return path


@pytest.fixture(scope="module")
def small() -> keras.Model:
    keras.utils.set_random_seed(0)
    return models.classifier(SMALLEST, (9, 12, 1), 3, dropout=0.5, l2=0.1)


def test_table_is_read_without_keras() -> None:
    code = "import sys, kerasdl.backbone_table as t; t.backbones(); print(*{'keras', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_table_has_every_classifier_of_keras() -> None:
    functions = {name for name, value in vars(keras.applications).items() if inspect.isfunction(value)}
    assert {row["function"] for row in ROWS.values()} == {*functions, None}
    assert len(ROWS) == len(functions) + 1
    assert {row["function"].lower() for row in ROWS.values() if row["function"]} == {
        name.replace("_", "") for name in ROWS if name != "efficientnet_lite0"
    }


@pytest.mark.parametrize("name", SMALL)
def test_row_is_what_keras_does(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    function, row = function_of(name), ROWS[name]
    monkeypatch.setattr(sys.modules[function.__module__].file_utils, "get_file", refuse_download)
    size = row["image_size"]
    with pytest.raises(Asked) as asked:
        function(include_top=False, weights="imagenet", input_shape=(size, size, 3))
    args, keywords = asked.value.args
    assert args == (row["weights_file"], row["weights_url"])
    assert keywords.get("file_hash") == row["weights_hash"]
    # Below the minimum Keras refuses; a side of one pixel is enlarged to it.
    model = models.features(name, (1, 1, 3))
    assert model.count_params() == row["parameters"]
    assert model.get_layer("enlarge").output.shape == (None, row["minimum_size"], row["minimum_size"], 3)


def test_weights_here_looks_into_the_folder_of_keras(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    row = backbone_table.backbone_row("vgg16")
    assert not row["weights_here"]
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / row["weights_file"]).touch()
    assert backbone_table.backbone_row("vgg16")["weights_here"]


# An EfficientNet's is completed by the network's own layers: see the test of its weights.
@pytest.mark.parametrize(
    "name", [name for name in ROWS if ROWS[name]["family"] not in ("efficientnet", "efficientnet_lite")]
)
def test_pixels_are_scaled_as_the_family_does(name: str) -> None:
    image = keras.Input((6, 5, 3), dtype="uint8")
    # An empty model would do nothing: the identity stands for what follows.
    scaled = pretrained._scale(pretrained._as_large_rgb(image, 1), ROWS[name])
    found = call(keras.Model(image, keras.layers.Identity()(scaled)), photos(6, 5, 3))
    expected = sys.modules[function_of(name).__module__].preprocess_input(photos(6, 5, 3).astype("float32"))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_features_equal_those_of_keras(own: keras.Model, own_file: pathlib.Path) -> None:
    model = models.features(SMALLEST, (40, 56, 3), weights=own_file)
    images = photos(40, 56, 3)
    assert_same(call(model, images), call(own, images.astype("float32")))


@pytest.mark.parametrize("name", ["mobilenet", "vgg16"])
def test_legacy_files_give_the_features_of_keras(name: str, tmp_path: pathlib.Path) -> None:
    keras.utils.set_random_seed(0)
    function = function_of(name)
    own = function(include_top=False, weights=None, pooling="avg", input_shape=(33, 47, 3))
    own.save(tmp_path / "own.h5")
    found = call(models.features(function, (33, 47, 3), weights=tmp_path / "own.h5"), photos(33, 47, 3))
    preprocess = sys.modules[function.__module__].preprocess_input
    expected = call(own, preprocess(photos(33, 47, 3).astype("float32")))
    assert_same(found, expected)


def test_efficientnet_has_one_graph_for_all_weights(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keras.utils.set_random_seed(0)
    function, path = keras.applications.EfficientNetB0, str(tmp_path / "imagenet.weights.h5")
    random = function(include_top=False, weights=None)
    next(layer for layer in random.layers if isinstance(layer, keras.layers.Normalization)).set_weights(
        [np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225]), np.array(0)]
    )
    random.save_weights(path)
    # Keras scales otherwise with weights="imagenet" than with the very file that it loads then.
    monkeypatch.setattr(sys.modules[function.__module__].file_utils, "get_file", lambda *args, **keywords: path)
    own = function(include_top=False, weights="imagenet", pooling="avg", input_shape=(32, 32, 3))
    expected = call(own, photos(32, 32, 3).astype("float32"))
    monkeypatch.setattr(keras.utils, "get_file", lambda *args, **keywords: path)
    by_name = models.features("efficientnet_b0", (32, 32, 3), weights="imagenet")
    assert_same(call(by_name, photos(32, 32, 3)), expected)
    copied = models.features("efficientnet_b0", (32, 32, 3))
    copied.set_weights(by_name.get_weights())
    np.testing.assert_array_equal(call(copied, photos(32, 32, 3)), call(by_name, photos(32, 32, 3)))
    normalization = next(layer for layer in by_name.layers if isinstance(layer, keras.layers.Normalization))
    behind = call(keras.Model(by_name.input, normalization.output), photos(32, 32, 3))
    torch = keras.applications.imagenet_utils.preprocess_input(photos(32, 32, 3).astype("float32"), mode="torch")
    np.testing.assert_allclose(behind, torch, atol=1e-5)


@pytest.mark.skipif(
    importlib.util.find_spec(backbone_table.LITE_PACKAGE) is None, reason="the package with the weights is missing"
)
def test_lite_has_the_weights_of_its_package() -> None:
    row, model = ROWS["efficientnet_lite0"], models.features("efficientnet_lite0", (64, 64, 3), weights="imagenet")
    assert row["weights_here"]
    assert model.count_params() == row["parameters"]
    whole = efficientnet_lite.efficientnet_lite0((64, 64, 3), weights="imagenet")
    pooled = keras.Model(whole.input, whole.get_layer("pool").output)
    assert_same(call(model, photos(64, 64, 3)), call(pooled, photos(64, 64, 3)))


def test_small_images_are_enlarged_with_their_proportions(small: keras.Model) -> None:
    assert small.get_layer("enlarge").output.shape == (None, 32, 43, 3)
    large = models.features(SMALLEST, (40, 56, 3))
    assert "enlarge" not in [layer.name for layer in large.layers]


def test_grey_is_repeated(small: keras.Model) -> None:
    colour = models.classifier(SMALLEST, (9, 12, 3), 3)
    colour.set_weights(small.get_weights())
    grey = photos(9, 12, 1)
    assert_same(call(small, grey), call(colour, np.repeat(grey, 3, axis=-1)))


def test_classifier_is_flat_and_its_parts_are_named(small: keras.Model) -> None:
    assert small.name == SMALLEST
    assert small.input.name == "image"
    assert small.input.dtype == "uint8"
    assert not [layer for layer in small.layers if isinstance(layer, keras.Model)]
    assert [layer.name for layer in small.layers][-3:] == ["features", "dropout", "logits"]
    assert small.get_layer("dropout").rate == 0.5
    assert len(small.losses) == 1
    features = keras.Model(small.input, small.get_layer("features").output)
    assert features.output_shape == (None, 576)
    assert models.classifier(SMALLEST, (32, 32, 3), 2, name="other").name == "other"


def test_backbone_layers_are_all_before_the_features(small: keras.Model) -> None:
    layers = models.backbone_layers(small)
    assert layers == small.layers[1:-3]
    place = {id(layer): index for index, layer in enumerate(small.layers)}
    for layer in layers:
        for node in layer._inbound_nodes:
            for parent in node.parent_nodes:
                if id(parent.operation) in place:
                    assert place[id(parent.operation)] < place[id(layer)]
    model = keras.models.clone_model(small)
    for layer in models.backbone_layers(model):
        layer.trainable = False
    assert [weight.path for weight in model.trainable_weights] == ["logits/kernel", "logits/bias"]
    with pytest.raises(InputError, match="features"):
        models.backbone_layers(models.mlp((4,), 2))


def test_round_trip_of_a_saved_classifier(small: keras.Model, tmp_path: pathlib.Path) -> None:
    small.save(tmp_path / "small.keras")
    loaded = load_keras(tmp_path / "small.keras")
    np.testing.assert_array_equal(call(loaded, photos(9, 12, 1)), call(small, photos(9, 12, 1)))
    assert [layer.name for layer in loaded.layers] == [layer.name for layer in small.layers]


@pytest.mark.parametrize(
    ("pooling", "shape"), [("avg", (None, 1024)), ("max", (None, 1024)), (None, (None, 2, 3, 1024))]
)
def test_pooling(pooling: str | None, shape: tuple[int | None, ...]) -> None:
    model = models.features("mobilenet", (64, 96, 3), pooling=pooling)
    assert model.output_shape == shape
    assert model.layers[-1].name == "features"


def test_features_and_logits_are_float32_under_mixed_precision() -> None:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = models.classifier("mobilenet", (32, 32, 1), 2)
    finally:
        keras.config.set_dtype_policy(before)
    assert model.get_layer("features").input.dtype == "bfloat16"
    assert model.get_layer("scaling").output.dtype == "float32"
    assert (model.get_layer("features").output.dtype, model.output.dtype) == ("float32", "float32")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"backbone": "mobilnet_v2"}, "Did you mean 'mobilenet_v2'"),
        ({"backbone": "EfficientNetB0"}, "backbone"),
        ({"backbone": keras.applications.resnet.preprocess_input}, "backbone"),
        ({"backbone": ["vgg16"]}, "backbone"),
        ({"backbone": None}, "lists all 41"),
        ({"input_shape": (32, 32)}, "input_shape"),
        ({"input_shape": (32, 32, 4)}, "1 or 3 channels"),
        ({"input_shape": (None, 32, 3)}, "input_shape"),
        ({"pooling": "average"}, "pooling"),
        ({"weights": "imagnet"}, "weights: received 'imagnet'; expected None, \"imagenet\""),
        ({"weights": "missing.weights.h5"}, "that exists"),
        ({"weights": __file__}, "h5 file"),
        ({"weights": 1}, "weights"),
    ],
)
def test_arguments_are_checked(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        models.features(**{"backbone": SMALLEST, "input_shape": (32, 32, 3)} | arguments)


@pytest.mark.parametrize("arguments", [{"num_classes": 1}, {"dropout": 1.0}, {"l1": -1.0}, {"l2": "0.1"}])
def test_arguments_of_the_head_are_checked(arguments: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(arguments))):
        models.classifier(**{"backbone": SMALLEST, "input_shape": (32, 32, 3), "num_classes": 2} | arguments)


@pytest.mark.parametrize("damage", ["truncated", "text", "empty", "legacy name", "other architecture"])
def test_files_that_are_not_the_weights_are_refused(
    damage: str, own_file: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    content = own_file.read_bytes()
    path = tmp_path / ("bad.h5" if damage == "legacy name" else "bad.weights.h5")
    changed = {"truncated": content[: len(content) // 2], "text": b"<html>not found</html>", "empty": b""}
    path.write_bytes(changed.get(damage, content))
    backbone = "mobilenet" if damage == "other architecture" else SMALLEST
    with pytest.raises(InputError, match="cannot be loaded") as error:
        models.features(backbone, (32, 32, 3), weights=path)
    assert backbone in str(error.value)
    assert "\n" not in str(error.value)


def test_a_failed_download_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    waits = []

    def get_file(file: str, url: str, **keywords: Any) -> None:
        waits.append(socket.getdefaulttimeout())
        raise Exception(f"URL fetch failure on {url}: None -- [Errno -2] Name or service not known")

    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(keras.utils, "get_file", get_file)
    row = backbone_table.backbone_row(SMALLEST)
    with pytest.raises(InputError) as error:
        models.classifier(SMALLEST, (32, 32, 3), 2, weights="imagenet")
    message = str(error.value)
    assert "\n" not in message
    assert message.count(row["weights_url"]) == 1
    for words in (str(tmp_path / "models" / row["weights_file"]), "not known", "efficientnet_lite0", "[offline]"):
        assert words in message
    assert waits == [10.0]
    assert socket.getdefaulttimeout() is None
