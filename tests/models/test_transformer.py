"""What the transformers promise beyond the contract: exact padding and causality, published sizes, attention maps."""

from __future__ import annotations

import math
import pathlib
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import pytest

from kerasdl import InputError, layers, models, transformer_blocks
from kerasdl.models import transformer
from kerasdl.safe_loading import load_keras

array = keras.ops.convert_to_numpy
TINY = {"num_layers": 2, "num_heads": 2, "hidden_dim": 8}
BUILDERS = {
    models.transformer_classifier: (12, 20, 3),
    models.causal_transformer: (12, 20),
    models.vision_transformer: ((8, 8, 1), 3),
}


def trainable(model: keras.Model) -> int:
    return sum(int(np.prod(w.shape)) for w in model.trainable_weights)


def shaken(model: keras.Model) -> keras.Model:
    """The model with weights large enough that attention differs from the mean."""
    rng = np.random.default_rng(0)
    for w in model.trainable_variables:
        w.assign(array(w) + rng.standard_normal(w.shape, "float32") * 0.3)
    return model


def ids(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 20, shape, "int32")


@pytest.fixture
def mixed_precision() -> Iterator[None]:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    yield
    keras.config.set_dtype_policy(before)


def wide_vectors() -> bool:
    """Whether the processor has AVX-512."""
    facts = pathlib.Path("/proc/cpuinfo")
    return facts.is_file() and "avx512f" in facts.read_text()


@pytest.mark.parametrize("pooling", ["mean", "first", "max"])
@pytest.mark.parametrize("positions", transformer_blocks.POSITIONS)
def test_padding_on_the_right_changes_nothing(positions: str, pooling: str) -> None:
    kinds = {"positions": positions, "pooling": pooling, "maximum_length": 99}
    model = shaken(models.transformer_classifier(None, 20, 3, **TINY, **kinds))
    # XLA on another backend may sum in another order, and so do TensorFlow's kernels for processors without AVX-512.
    exact = keras.backend.backend() == "tensorflow" and wide_vectors()
    tolerance = 0.0 if exact else 1e-5
    for length in (1, 5, 16, 33):
        tokens = ids(3, length)
        tokens[1, 1:] = 0
        expected = array(model(tokens, training=False))
        assert np.ptp(expected, axis=0).max() > 0.01
        for padding in (1, 15, 50):
            padded = np.pad(tokens, ((0, 0), (0, padding)))
            np.testing.assert_allclose(array(model(padded, training=False)), expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("pooling", ["mean", "first", "max"])
def test_nothing_but_padding_gives_the_bias(pooling: str) -> None:
    model = shaken(models.transformer_classifier(None, 20, 3, pooling=pooling, **TINY))
    bias = array(model.get_layer("logits").bias)
    for length in (1, 20):
        found = array(model(np.zeros((2, length), "int32"), training=False))
        np.testing.assert_array_equal(found, np.stack([bias, bias]))


@pytest.mark.parametrize("positions", transformer_blocks.POSITIONS)
def test_a_later_token_never_changes_an_earlier_logit(positions: str) -> None:
    model = shaken(models.causal_transformer(30, 20, positions=positions, **TINY))
    before, after = ids(2, 30), ids(2, 30)
    after[:, 17:] = ids(2, 13, seed=1)
    difference = array(model(before, training=False)) - array(model(after, training=False))
    assert not difference[:, :17].any()
    assert (np.abs(difference[:, 17:]).max(axis=-1) > 1e-3).any()


@pytest.mark.parametrize("causal", [False, True])
def test_attention_is_that_of_keras(causal: bool) -> None:
    ours, theirs = layers.SelfAttention(2, causal=causal), keras.layers.MultiHeadAttention(2, 4)
    x = np.random.default_rng(0).standard_normal((3, 7, 8), "float32")
    mask = np.arange(7) < np.array([[7], [4], [1]])
    ours(x), theirs(x, x)
    shaken(ours)
    kernels = []
    for name in ("query", "key", "value", "output"):
        kernel, bias = (array(w) for w in getattr(ours, f"{name}_dense").weights)
        shapes = [(2, 4, 8), (8,)] if name == "output" else [(8, 2, 4), (2, 4)]
        kernels += [kernel.reshape(shapes[0]), bias.reshape(shapes[1])]
    theirs.set_weights(kernels)
    expected = theirs(x, x, attention_mask=mask[:, None, :], use_causal_mask=causal)
    np.testing.assert_allclose(array(ours(x, mask)), array(expected), atol=1e-5)


def test_dropout_of_attention_goes_around_the_fused_kernel() -> None:
    keras.utils.set_random_seed(0)
    layer = layers.SelfAttention(2, causal=True, rotary=True, dropout=1e-7)
    x = np.random.default_rng(0).standard_normal((2, 9, 8), "float32")
    fused = layer(x, training=False)
    shaken(layer)
    fused = array(layer(x, training=False))
    np.testing.assert_allclose(array(layer(x, training=True)), fused, atol=1e-5)
    layer.dropout_layer.rate = 0.5
    assert not np.allclose(array(layer(x, training=True)), fused, atol=1e-2)


def test_rotary_attention_depends_on_distance_only() -> None:
    layer = layers.SelfAttention(2, rotary=True)
    x = np.random.default_rng(0).standard_normal((1, 6, 8), "float32")
    layer(x)
    shaken(layer)

    def scores(positions: Any) -> np.ndarray:
        query, key, _ = layer.project(x, positions=positions)
        return array(layer.scores(query, key))

    np.testing.assert_allclose(scores(np.arange(6) + 100), scores(None), atol=1e-5)
    np.testing.assert_allclose(scores(np.arange(6)[None] + 7), scores(None), atol=1e-5)
    assert np.abs(scores(np.arange(6) * 2) - scores(None)).max() > 1e-2


def test_one_token_at_a_time_with_kept_keys_and_values() -> None:
    layer = layers.SelfAttention(2, causal=True, rotary=True)
    x = np.random.default_rng(0).standard_normal((2, 5, 8), "float32")
    layer(x)
    expected = array(shaken(layer)(x))
    keys, values = [], []
    for step in range(5):
        query, key, value = layer.project(x[:, step : step + 1], positions=np.array([step]))
        keys.append(key)
        values.append(value)
        key, value = keras.ops.concatenate(keys, axis=1), keras.ops.concatenate(values, axis=1)
        np.testing.assert_allclose(array(layer.attend(query, key, value))[:, 0], expected[:, step], atol=1e-5)


@pytest.mark.parametrize("kind", ["learned", "sinusoidal"])
def test_positions_by_number(kind: str) -> None:
    layer = layers.Positions(kind, maximum_length=9, stddev=0.1)
    x = np.zeros((2, 9, 64), "float32")
    added = array(layer(x))
    assert np.sqrt(np.square(added).mean()) == pytest.approx(0.1, rel=0.1)
    np.testing.assert_allclose(array(layer(x[:, :3], positions=np.array([4, 0, 8]))), added[:, [4, 0, 8]], atol=1e-6)
    with pytest.raises(ValueError, match="maximum_length"):
        layers.Positions("learned", maximum_length=8)(x)


@pytest.mark.parametrize("builder", BUILDERS)
def test_attention_maps(builder: Any) -> None:
    model = shaken(builder(*BUILDERS[builder], **TINY))
    x = np.random.default_rng(0).integers(1, 20, (3, *model.input_shape[1:])).astype(model.inputs[0].dtype)
    if builder is models.transformer_classifier:
        x[:, 9:] = 0
    maps = models.attention_maps(model)
    found = {name: array(value) for name, value in maps(x, training=False).items()}
    np.testing.assert_array_equal(found.pop("output"), array(model(x, training=False)))
    assert sorted(found) == ["block1_attention", "block2_attention"]
    length = 4 if builder is models.vision_transformer else 12
    for weights in found.values():
        assert weights.shape == (3, 2, length, length)
        np.testing.assert_allclose(weights.sum(axis=-1), 1, atol=1e-6)
        if builder is models.causal_transformer:
            assert not np.triu(weights, 1).any()
        if builder is models.transformer_classifier:
            assert not weights[..., 9:].any()
    shared = {id(w) for w in model.trainable_variables}
    assert {id(w) for w in maps.trainable_variables} == shared


def test_attention_maps_need_attention() -> None:
    for model in (models.mlp((4,), 2), keras.Sequential([keras.layers.Dense(2)]), "model"):
        with pytest.raises(InputError, match="self-attention"):
            models.attention_maps(model)


def test_attention_maps_are_saved_and_loaded(tmp_path: pathlib.Path) -> None:
    maps = models.attention_maps(shaken(models.transformer_classifier(12, 20, 3, **TINY)))
    maps.save(tmp_path / "maps.keras")
    loaded = load_keras(tmp_path / "maps.keras")
    for name, expected in maps(ids(2, 12)).items():
        np.testing.assert_array_equal(array(loaded(ids(2, 12))[name]), array(expected))


def test_gpt2_small_has_the_size_of_gpt2(monkeypatch: pytest.MonkeyPatch) -> None:
    # Built whole it takes half a gigabyte: each layer has the same size, the rest is in proportion to its length.
    monkeypatch.setattr(transformer, "causal_transformer", lambda *arguments, **keywords: (arguments, keywords))
    (window, vocabulary), sizes = models.gpt2_small()
    num_layers = sizes.pop("num_layers")
    one, two = (trainable(models.causal_transformer(4, 3, **{**sizes, "num_layers": n})) for n in (1, 2))
    rows = window - 4 + vocabulary - 3
    assert one + (num_layers - 1) * (two - one) + rows * sizes["hidden_dim"] == 124_439_808


@pytest.mark.parametrize(
    ("builder", "arguments", "count"),
    [
        (models.vit_tiny, ((28, 28, 1), 10), 1_199_626),
        (models.vit_small, ((224, 224, 3), 1000), 22_050_664),
        (models.transformer_classifier_tiny, (None, 1000, 4), 164_356),
        (models.transformer_classifier_small, (128, 1000, 4), 921_860),
        (models.gpt_tiny, (256, 257), 826_240),
        (models.gpt_small, (256, 257), 10_746_240),
    ],
)
def test_named_sizes(builder: Any, arguments: Any, count: int) -> None:
    model = builder(*arguments)
    assert trainable(model) == count
    assert model.name == builder.__name__


def test_swiglu_has_as_many_parameters() -> None:
    plain, gated = (models.gpt_tiny(8, 9, activation=name, num_layers=1) for name in ("gelu", "swiglu"))
    assert trainable(gated) == pytest.approx(trainable(plain), rel=0.01)


def test_start_as_gpt2() -> None:
    model = models.causal_transformer(8, 1000, num_layers=8, hidden_dim=64, positions="learned")
    for weight in model.trainable_weights:
        last = weight.path.endswith(("output/kernel", "down/kernel"))
        expected = 0.02 / math.sqrt(16) if last else 0.02
        if weight.name in ("kernel", "embeddings"):
            assert np.std(array(weight)) == pytest.approx(expected, rel=0.15), weight.path
        elif weight.name == "bias" or weight.name == "beta":
            assert not array(weight).any()
    assert not np.array_equal(*(array(model.get_layer("block1_attention").weights[i]) for i in (0, 2)))


def test_the_first_of_stochastic_depth_always_stays() -> None:
    model = models.vision_transformer((8, 8, 1), 3, **{**TINY, "num_layers": 3}, stochastic_depth=0.4)
    rates = {layer.name: layer.rate for layer in model.layers if layer.name.endswith("stochastic_depth")}
    names = [f"block{block}_{part}_stochastic_depth" for block in (2, 3) for part in ("attention", "mlp")]
    assert rates == pytest.approx(dict(zip(names, (0.2, 0.2, 0.4, 0.4), strict=True)))
    assert model.get_layer(names[0]).noise_shape == (None, 1, 1)


@pytest.mark.parametrize("stem", ["patch", "convolution"])
@pytest.mark.parametrize("shape", [(1, 1, 1), (28, 28, 1), (9, 14, 3)])
def test_any_image_size(shape: tuple[int, ...], stem: str) -> None:
    model = models.vision_transformer(shape, 2, stem=stem, patch_size=4, **TINY)
    patches = math.ceil(shape[0] / 4) * math.ceil(shape[1] / 4)
    assert model.get_layer("positions").embeddings.shape == (patches, 8)
    assert np.isfinite(array(model(np.full((2, *shape), 200, "uint8"), training=False))).all()


@pytest.mark.parametrize("builder", BUILDERS)
def test_penalties_are_on_all_kernels_and_nothing_else(builder: Any) -> None:
    model = builder(*BUILDERS[builder], l1=0.01, l2=0.1, **TINY)
    kernels = [array(w) for w in model.trainable_weights if w.name == "kernel"]
    expected = sum(0.01 * np.abs(k).sum() + 0.1 * np.square(k).sum() for k in kernels)
    assert float(array(sum(model.losses))) == pytest.approx(expected, rel=1e-4)
    assert builder(*BUILDERS[builder], **TINY).losses == []


@pytest.mark.parametrize("builder", BUILDERS)
def test_dropouts(builder: Any) -> None:
    keras.utils.set_random_seed(0)
    for keywords in ({"dropout": 0.5}, {"dropout": 0.0, "attention_dropout": 0.5}, {"dropout": 0.0}):
        model = shaken(builder(*BUILDERS[builder], **TINY, **keywords))
        x = np.ones((4, *model.input_shape[1:]), model.inputs[0].dtype)
        x[:, ::2] = 7
        same = np.array_equal(array(model(x, training=True)), array(model(x, training=True)))
        assert same == (len(keywords) == 1 and not keywords["dropout"])
        np.testing.assert_array_equal(array(model(x, training=False)), array(model(x, training=False)))


@pytest.mark.parametrize("builder", BUILDERS)
def test_logits_are_float32_under_mixed_precision(builder: Any, mixed_precision: None) -> None:
    model = builder(*BUILDERS[builder], **TINY)
    x = np.ones((2, *model.input_shape[1:]), model.inputs[0].dtype)
    assert model.get_layer("block2_mlp_add").output.dtype == "bfloat16"
    assert model.output.dtype == "float32"
    found = model(x, training=False)
    assert keras.backend.standardize_dtype(found.dtype) == "float32"
    assert np.isfinite(array(found)).all()
    assert np.isfinite(array(models.attention_maps(model)(x)["block1_attention"])).all()


@pytest.mark.parametrize("builder", BUILDERS)
@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("num_layers", 0),
        ("num_heads", 0),
        ("num_heads", 2.0),
        ("hidden_dim", 9),
        ("hidden_dim", "8"),
        ("intermediate_dim", 0),
        ("dropout", 1.0),
        ("attention_dropout", -0.1),
        ("positions", "absolute"),
        ("activation", "glu"),
        ("normalization", "batch"),
        ("l1", -1),
        ("l2", None),
    ],
)
def test_shared_arguments_are_checked(builder: Any, argument: str, value: object) -> None:
    with pytest.raises(InputError, match=argument):
        builder(*BUILDERS[builder], **{**TINY, argument: value})


@pytest.mark.parametrize(
    ("builder", "arguments", "keywords", "message"),
    [
        (models.transformer_classifier, (0, 20, 3), {}, "sequence_length"),
        (models.transformer_classifier, (12, 1, 3), {}, "vocabulary_size"),
        (models.transformer_classifier, (12, 20, 1), {}, "num_classes"),
        (models.transformer_classifier, (12, 20, 3), {"pooling": "last"}, "pooling"),
        (models.transformer_classifier, (None, 20, 3), {"positions": "learned"}, "maximum_length"),
        (models.causal_transformer, (12, 20), {"positions": "learned", "maximum_length": 11}, "maximum_length"),
        (models.causal_transformer, (12, 20), {"hidden_dim": 6, "num_heads": 2}, "Try hidden_dim=8"),
        (models.causal_transformer, (12, 20), {"hidden_dim": 9, "positions": "learned"}, "Try hidden_dim=12"),
        (models.vision_transformer, ((8, 8), 3), {}, "input_shape"),
        (models.vision_transformer, ((8, 8, 1), 3), {"patch_size": 0}, "patch_size"),
        (models.vision_transformer, ((8, 8, 1), 3), {"patch_size": 6, "stem": "convolution"}, "power of 2"),
        (models.vision_transformer, ((8, 8, 1), 3), {"stem": "conv"}, "stem"),
        (models.vision_transformer, ((8, 8, 1), 3), {"pooling": "first"}, "pooling"),
        (models.vision_transformer, ((8, 8, 1), 3), {"stochastic_depth": 1}, "stochastic_depth"),
    ],
)
def test_own_arguments_are_checked(builder: Any, arguments: Any, keywords: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        builder(*arguments, **keywords)
