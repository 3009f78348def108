"""What the builders promise beyond the contract: sizes, penalties, dropout, precision, published counts, errors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import pytest

from kerasdl import InputError, blocks, models

array = keras.ops.convert_to_numpy
IMAGE_BUILDERS = (models.cnn, models.resnet, models.resnet9)
TINY = {models.cnn: {"filters": (4, 8, 8)}, models.resnet: {"filters": (4, 8), "num_layers": (1, 1)}}
TINY[models.resnet9] = {"filters": (4, 4, 4, 4)}


def trainable(model: keras.Model) -> int:
    return sum(int(np.prod(w.shape)) for w in model.trainable_weights)


@pytest.fixture
def mixed_precision() -> Iterator[None]:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    yield
    keras.config.set_dtype_policy(before)


@pytest.mark.parametrize(
    ("builder", "count"),
    [(models.resnet18, 11_689_512), (models.resnet34, 21_797_672), (models.resnet50, 25_557_032)],
)
def test_published_parameter_counts(builder: Any, count: int) -> None:
    model = builder((224, 224, 3), 1000)
    assert trainable(model) == count
    assert model.get_layer("pool").input.shape[1:3] == (7, 7)
    assert model.name == builder.__name__


def test_resnet50_strides_on_the_3x3() -> None:
    model = models.resnet50((32, 32, 3), 10, filters=(4, 4, 4, 4))
    assert model.get_layer("stage2_block1_conv1").strides == (1, 1)
    assert model.get_layer("stage2_block1_conv2").strides == (2, 2)


def test_resnet9_has_the_size_of_its_page() -> None:
    # 6,573,120 there, without a bias on the ten logits
    assert trainable(models.resnet9((32, 32, 3), 10)) == 6_573_130


def test_stem_goes_by_the_size() -> None:
    sizes = {95: (3, 3), 96: (7, 7)}
    for size, kernel in sizes.items():
        assert models.resnet((size, 200, 1), 2, **TINY[models.resnet]).get_layer("stem_conv").kernel_size == kernel
    assert models.resnet((224, 224, 1), 2, stem="small", **TINY[models.resnet]).get_layer("stem_conv").strides == (1, 1)


def test_early_pooling_goes_by_the_size() -> None:
    for early, size, side in (("auto", 20, 10), ("auto", 19, 19), (True, 19, 10), (False, 20, 20)):
        model = models.resnet9((size, 200, 1), 2, early_pooling=early, **TINY[models.resnet9])
        assert model.get_layer("stem_conv_norm").input.shape[1] == side


def test_pooling_before_normalization_changes_no_answer_where_scales_are_positive() -> None:
    x = keras.Input((9, 8, 3))
    early = keras.Model(x, blocks.convolution(x, 4, pool=True, name="conv"))
    late = keras.Model(x, keras.layers.MaxPooling2D(2, padding="same")(blocks.convolution(x, 4, name="conv")))
    generator = np.random.default_rng(0)
    weights = [generator.uniform(0.1, 1, weight.shape) for weight in early.get_weights()]
    for model in (early, late):
        model.set_weights(weights)
    image = generator.standard_normal((5, 9, 8, 3), "float32")
    np.testing.assert_allclose(array(early(image)), array(late(image)), atol=1e-5)


def test_simple_net_of_the_guide() -> None:
    model = models.mlp((784,), 10, hidden=(128,))
    assert model.count_params() == 101_770
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    theirs = torch.nn.Sequential(torch.nn.Linear(784, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10))
    model.set_weights([p.detach().numpy().T for p in theirs.parameters()])
    x = np.random.default_rng(0).standard_normal((5, 784), "float32")
    expected = theirs(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(array(model(x)), expected, atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 1, 1), (8, 8, 1), (28, 28, 1), (33, 47, 5), (1, 9, 2)])
@pytest.mark.parametrize("builder", IMAGE_BUILDERS)
def test_any_image_size(builder: Any, shape: tuple[int, ...]) -> None:
    model = builder(shape, 2, **TINY[builder])
    found = array(model(np.full((2, *shape), 200, "uint8"), training=False))
    assert found.shape == (2, 2)
    assert np.isfinite(found).all()


def test_pixels_are_scaled_inside() -> None:
    model = models.mlp((1, 3, 1), 2)
    scaled = keras.Model(model.input, model.get_layer("rescaling").output)
    pixels = np.array([0, 51, 255], "uint8").reshape(1, 1, 3, 1)
    np.testing.assert_allclose(np.ravel(array(scaled(pixels))), [-1.0, -0.6, 1.0], atol=1e-6)


@pytest.mark.parametrize("builder", [models.mlp, *IMAGE_BUILDERS])
def test_penalties_are_on_all_kernels_and_nothing_else(builder: Any) -> None:
    keywords = TINY.get(builder, {})
    model = builder((8, 8, 1), 2, l1=0.01, l2=0.1, **keywords)
    kernels = [array(w) for w in model.trainable_weights if w.name == "kernel"]
    assert len(model.losses) == len(kernels)
    expected = sum(0.01 * np.abs(k).sum() + 0.1 * np.square(k).sum() for k in kernels)
    assert float(array(sum(model.losses))) == pytest.approx(expected, rel=1e-4)
    assert builder((8, 8, 1), 2, **keywords).losses == []


@pytest.mark.parametrize("builder", [models.mlp, *IMAGE_BUILDERS])
def test_dropout_acts_in_training_only(builder: Any) -> None:
    keras.utils.set_random_seed(0)
    model = builder((8, 8, 1), 2, dropout=0.5, **TINY.get(builder, {}))
    x = np.random.default_rng(0).integers(0, 256, (16, 8, 8, 1), "uint8")
    np.testing.assert_array_equal(array(model(x, training=False)), array(model(x, training=False)))
    assert not np.allclose(array(model(x, training=True)), array(model(x, training=True)))


@pytest.mark.parametrize("builder", [models.mlp, *IMAGE_BUILDERS])
def test_logits_are_float32_under_mixed_precision(builder: Any, mixed_precision: None) -> None:
    model = builder((8, 8, 1), 2, **TINY.get(builder, {}))
    assert model.get_layer("logits").input.dtype == "bfloat16"
    assert model.output.dtype == "float32"
    assert keras.backend.standardize_dtype(model(np.zeros((2, 8, 8, 1), "uint8")).dtype) == "float32"


@pytest.mark.parametrize("normalization", [None, *blocks.NORMALIZATIONS])
def test_residual_blocks_start_as_their_shortcut(normalization: str | None) -> None:
    x = keras.Input((4, 4, 8))
    block = keras.Model(x, blocks.residual(x, 8, normalization=normalization, name="block"))
    values = np.random.default_rng(0).standard_normal((2, 4, 4, 8), "float32")
    np.testing.assert_allclose(array(block(values)), np.maximum(values, 0), atol=1e-6)


def test_convolutions_have_a_bias_only_without_normalization() -> None:
    for normalization in (None, *blocks.NORMALIZATIONS):
        model = models.cnn((8, 8, 1), 2, normalization=normalization)
        assert model.get_layer("stage1_conv1").use_bias == (normalization is None)


@pytest.mark.parametrize("channels", [1, 3, 12, 64, 512])
def test_group_normalization_fits_any_channels(channels: int) -> None:
    x = keras.Input((2, 2, channels))
    assert blocks.normalize(x, "group", name="norm").shape == x.shape


def momenta(model: keras.Model) -> set[float]:
    return {layer.momentum for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)}


@pytest.mark.parametrize("builder", [models.mlp, *IMAGE_BUILDERS])
def test_momentum_of_every_normalization(builder: Any) -> None:
    keywords = {"normalization": "batch", **TINY.get(builder, {})}
    assert momenta(builder((8, 8, 1), 2, **keywords)) == {0.9}
    assert momenta(builder((8, 8, 1), 2, momentum=0.8, **keywords)) == {0.8}


def test_suitable_momentum() -> None:
    found = [blocks.suitable_momentum(steps) for steps in (1, 20, 100, 500, 1000, 10**6)]
    assert found == pytest.approx([0.5, 0.5, 0.9, 0.98, 0.99, 0.99])


@pytest.mark.parametrize("builder", IMAGE_BUILDERS)
def test_spatial_dropout_drops_whole_channels_between_stages(builder: Any) -> None:
    keras.utils.set_random_seed(0)
    model = builder((8, 8, 1), 2, spatial_dropout=0.5, **TINY[builder])
    dropouts = [layer for layer in model.layers if isinstance(layer, keras.layers.SpatialDropout2D)]
    assert len(dropouts) == (1 if builder is models.resnet else 2)
    layer = dropouts[0]
    dropped = array(layer(keras.ops.ones((64, *layer.input.shape[1:])), training=True))
    assert set(np.unique(dropped)) == {0.0, 2.0}
    np.testing.assert_array_equal(dropped, np.broadcast_to(dropped[:, :1, :1], dropped.shape))
    images = np.full((2, 8, 8, 1), 100, "uint8")
    np.testing.assert_array_equal(array(model(images, training=False)), array(model(images, training=False)))


def test_stochastic_depth_grows_with_depth() -> None:
    model = models.resnet((8, 8, 1), 2, filters=(4, 8), num_layers=(1, 3), stochastic_depth=0.4)
    names = [f"stage{stage}_block{block}_stochastic_depth" for stage, block in ((1, 1), (2, 1), (2, 2), (2, 3))]
    assert [model.get_layer(name).rate for name in names] == pytest.approx([0.1, 0.2, 0.3, 0.4])
    plain = models.resnet((8, 8, 1), 2, filters=(4, 8), num_layers=(1, 3))
    assert not [layer for layer in plain.layers if "stochastic_depth" in layer.name]
    assert trainable(plain) == trainable(model)


def test_stochastic_depth_leaves_out_the_branch_of_whole_examples() -> None:
    keras.utils.set_random_seed(0)
    x = keras.Input((4, 4, 8))
    block = keras.Model(x, blocks.residual(x, 8, stochastic_depth=0.25, activation="linear", name="block"))
    block.get_layer("block_conv2_norm").gamma.assign(np.ones(8))
    values = np.random.default_rng(0).standard_normal((400, 4, 4, 8), "float32")
    branch = array(block(values, training=False)) - values
    # In training batch normalization goes by the batch: what counts is which examples are left as they are.
    trained = array(block(values, training=True))
    left = (trained == values).all(axis=(1, 2, 3))
    assert 0.15 < left.mean() < 0.35
    assert not (trained[~left] == values[~left]).any(axis=(1, 2, 3)).all()
    assert (np.abs(branch).max(axis=(1, 2, 3)) > 0.1).all()


@pytest.mark.parametrize("activation", blocks.ACTIVATIONS)
def test_every_activation_name_builds(activation: str) -> None:
    assert models.mlp((4,), 2, hidden=(3,), activation=activation).output_shape == (None, 2)


def test_lists_and_numpy_numbers_are_taken() -> None:
    model = models.cnn([8, 8, 1], np.int64(2), filters=[4], units=[np.int32(3)], dropout=np.float32(0.5), l2=1)
    assert keras.Model.from_config(model.get_config()).output_shape == (None, 2)
    assert isinstance(model.to_json(), str)


@pytest.mark.parametrize("builder", [models.mlp, *IMAGE_BUILDERS])
@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("input_shape", (8, 8)),
        ("input_shape", (0, 8, 1)),
        ("input_shape", (None, 8, 1)),
        ("input_shape", 8),
        ("input_shape", ()),
        ("input_shape", (8.0, 8, 1)),
        ("num_classes", 1),
        ("num_classes", 2.0),
        ("num_classes", True),
        ("momentum", 1.0),
        ("dropout", 1.0),
        ("dropout", -0.1),
        ("dropout", float("nan")),
        ("dropout", "0.5"),
        ("l1", -1e-4),
        ("l2", float("inf")),
        ("l2", None),
        ("activation", "rleu"),
        ("activation", None),
        ("normalization", "instance"),
    ],
)
def test_shared_arguments_are_checked(builder: Any, argument: str, value: object) -> None:
    arguments = {"input_shape": (8, 8, 1), "num_classes": 2} | {argument: value}
    with pytest.raises(InputError, match=argument):
        builder(**arguments)


@pytest.mark.parametrize(
    ("builder", "argument", "value"),
    [
        (models.mlp, "hidden", ()),
        (models.mlp, "hidden", (0,)),
        (models.mlp, "hidden", 128),
        (models.mlp, "hidden", "128"),
        (models.cnn, "filters", ()),
        (models.cnn, "filters", (32, -1)),
        (models.cnn, "units", (0,)),
        (models.cnn, "units", None),
        (models.cnn, "num_layers", 0),
        (models.cnn, "kernel_size", (3, 3)),
        (models.cnn, "pooling", "median"),
        (models.cnn, "input_shape", (64,)),
        (models.resnet, "input_shape", (64,)),
        (models.resnet, "num_layers", (2, 2)),
        (models.resnet, "num_layers", ()),
        (models.resnet, "stem", "tiny"),
        (models.resnet, "stochastic_depth", 1.0),
        (models.cnn, "spatial_dropout", -0.1),
        (models.resnet, "spatial_dropout", "0.1"),
        (models.resnet9, "spatial_dropout", 1),
        (models.resnet9, "filters", (64, 128)),
        (models.resnet9, "early_pooling", "late"),
    ],
)
def test_own_arguments_are_checked(builder: Any, argument: str, value: object) -> None:
    arguments = {"input_shape": (8, 8, 1), "num_classes": 2} | {argument: value}
    with pytest.raises(InputError, match=argument):
        builder(**arguments)


def test_errors_name_the_nearest_choice() -> None:
    with pytest.raises(InputError, match="Did you mean 'relu'"):
        models.mlp((4,), 2, activation="rleu")
