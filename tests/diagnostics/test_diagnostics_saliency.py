"""Saliency against a planted truth: an answer is said to rest on the patch, the word, the bump that decides."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from typing import Any

import keras
import numpy as np
import pytest
from other_backend import needed, run_tests

from kerasdl import InputError, diagnostics, models
from kerasdl.diagnostics import Saliency, saliency
from tests.diagnostics import planted

SVG = "{http://www.w3.org/2000/svg}"
IMAGES, CLASSES, INSIDE = planted.images(32, seed=1)
CHANCE = planted.PATCH**2 / planted.SIDE**2


def seeded(builder: Any, *args: Any, **keywords: Any) -> keras.Model:
    keras.utils.set_random_seed(0)
    return builder(*args, **keywords)


@pytest.fixture(scope="module")
def cnn() -> keras.Model:
    model = seeded(models.cnn, (planted.SIDE, planted.SIDE, 1), 2, filters=(8, 16), num_layers=1, units=())
    return planted.trained(model, *planted.images(600, seed=0)[:2], epochs=5)


@pytest.fixture(scope="module")
def text_cnn() -> keras.Model:
    model = seeded(models.text_cnn, None, 14, 2, hidden_dim=8, filters=8, kernel_sizes=(1, 3))
    return planted.trained(model, *planted.texts(600, seed=0)[:2], epochs=8, rate=1e-2)


@pytest.fixture(scope="module")
def fcn() -> keras.Model:
    model = seeded(models.fcn, (None, 2), 2, filters=(8, 8), kernel_sizes=(5, 3), mean=[20.0, 20.0])
    return planted.trained(model, *planted.series(400, seed=0)[:2], epochs=8, rate=1e-2)


def share_inside(found: list[Saliency], inside: np.ndarray) -> np.ndarray:
    # Where nothing speaks for a class, its map is zero everywhere.
    pairs = zip(found, inside, strict=True)
    return np.array([one.scores[where].sum() / max(one.scores.sum(), 1e-9) for one, where in pairs])


def accuracy(model: keras.Model, inputs: np.ndarray, classes: np.ndarray) -> float:
    return float(np.mean(model.predict(inputs, verbose=0).argmax(axis=-1) == classes))


def test_grad_cam_of_a_convolutional_network_is_on_the_patch(cnn):
    assert accuracy(cnn, IMAGES, CLASSES) > 0.95
    found = saliency(cnn, IMAGES, targets=CLASSES)
    assert share_inside(found, INSIDE).mean() > 5 * CHANCE
    for one in found:
        assert one.scores.shape == (planted.SIDE, planted.SIDE)
        assert one.scores.min() >= 0
        assert one.scores.max() == 1
    assert (found[0].kind, found[0].method, found[0].layer) == ("image", "grad_cam", "stage2_conv1_activation")


def test_of_random_weights_it_is_not():
    # What is tested above can fail: a network that has learnt nothing has no reason to look at the patch.
    model = seeded(models.cnn, (planted.SIDE, planted.SIDE, 1), 2, filters=(8, 16), num_layers=1, units=())
    assert share_inside(saliency(model, IMAGES, targets=CLASSES), INSIDE).mean() < 3 * CHANCE


def test_grad_cam_on_the_tokens_of_a_vision_transformer_is_on_the_patch():
    shape = (planted.SIDE, planted.SIDE, 1)
    sizes = {"num_layers": 2, "num_heads": 2, "hidden_dim": 32, "patch_size": 4, "dropout": 0.0}
    model = seeded(models.vision_transformer, shape, 2, pooling="class_token", **sizes)
    model = planted.trained(model, *planted.images(600, seed=0)[:2], epochs=12)
    assert accuracy(model, IMAGES, CLASSES) > 0.95
    found = saliency(model, IMAGES, targets=CLASSES)
    # The patch covers parts of up to nine tokens, so that at best some 40 % of their area is inside.
    assert share_inside(found, INSIDE).mean() > 3 * CHANCE
    assert found[0].layer == "block2_attention_norm"
    looked = diagnostics.attention_map(model, IMAGES[0])
    assert (looked.grid, looked.class_token, looked.weights.shape) == ((6, 6), True, (2, 2, 37, 37))
    assert looked.patches.sum() == pytest.approx(1)
    assert "<image" in looked.picture()


def test_grad_cam_is_the_formula_of_the_paper(cnn):
    # On feature maps that are flattened and go straight to the logits, the slopes are the weights of the logits.
    model = keras.Model(cnn.input, cnn.output)
    maps = keras.Model(model.input, model.get_layer("stage2_pool").output)(IMAGES[:1], training=False)
    values = keras.ops.convert_to_numpy(maps)[0]
    kernel = np.asarray(model.get_layer("logits").kernel)[:, 1].reshape(values.shape)
    cam = np.maximum((values * kernel.mean(axis=(0, 1))).sum(axis=-1), 0)
    found = saliency(model, IMAGES[0], targets=1, layer="stage2_pool")[0].scores
    large = keras.ops.convert_to_numpy(keras.ops.image.resize(cam[..., None], (planted.SIDE,) * 2))[..., 0]
    np.testing.assert_allclose(found, large / large.max(), atol=1e-4)


def test_the_word_that_decides_has_the_highest_attribution(text_cnn):
    ids, classes, places = planted.texts(4, seed=1)
    found = saliency(text_cnn, ids, targets=classes)
    assert [int(one.scores.argmax()) for one in found] == places.tolist()
    assert [len(one.scores) for one in found] == (ids > 0).sum(axis=1).tolist()
    # For the other class it is what speaks most against it.
    other = saliency(text_cnn, ids[:2], targets=1 - classes[:2])
    assert [int(one.scores.argmin()) for one in other] == places[:2].tolist()


@pytest.mark.parametrize("kind", ["text", "series"])
def test_attributions_add_up_to_the_difference_of_the_logits(kind, request):
    model = request.getfixturevalue({"text": "text_cnn", "series": "fcn"}[kind])
    inputs, classes, _ = getattr(planted, {"text": "texts", "series": "series"}[kind])(2, seed=2)
    for one in saliency(model, inputs, targets=classes):
        difference = one.logit - one.baseline
        assert one.scores.sum() == pytest.approx(difference, abs=max(0.01 * abs(difference), 1e-3))
    logits = model.predict(inputs, verbose=0)
    assert one.logit == pytest.approx(logits[1, classes[1]], abs=1e-4)


def test_the_baseline_of_a_series_is_a_flat_line(fcn):
    series = planted.series(1, seed=3)[0][0]
    one = saliency(fcn, series)[0]
    flat = np.broadcast_to(series.mean(axis=0), series.shape)
    assert one.baseline == pytest.approx(fcn.predict(flat[None], verbose=0)[0, one.target], abs=1e-4)
    # A series that is its own baseline has nothing to explain.
    assert np.abs(saliency(fcn, flat)[0].scores).max() < 1e-6
    assert saliency(fcn, series, baseline=20.0)[0].baseline != one.baseline


def test_the_bump_that_decides_has_most_of_the_attribution(fcn):
    series, classes, inside = planted.series(6, seed=1)
    assert accuracy(fcn, series, classes) == 1
    cut = [one[: 40 - index] for index, one in enumerate(series)]
    for one, where, raw in zip(saliency(fcn, cut, targets=classes), inside, cut, strict=True):
        assert one.scores.shape == raw.shape
        parts = np.abs(one.scores)
        assert parts[where[: len(raw)]].sum() / parts.sum() > 3 * 6 / 80
    whole = [np.abs(one.scores) for one in saliency(fcn, series, targets=classes)]
    assert np.mean([one[where].sum() / one.sum() for one, where in zip(whole, inside, strict=True)]) > 0.5


def test_the_model_stays_as_it_was(cnn):
    before = [np.array(each) for each in cnn.get_weights()]
    trainable = [each.trainable for each in cnn.variables]
    saliency(cnn, IMAGES[:2])
    assert [each.trainable for each in cnn.variables] == trainable
    for one, other in zip(before, cnn.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert cnn.optimizer is not None


class Words:
    """A vocabulary of the planted texts."""

    @staticmethod
    def encode(texts):
        return [np.array([planted.WORDS.index(word) + 2 for word in text.split()], np.int32) for text in texts]

    @staticmethod
    def decode(ids):
        return " ".join(planted.WORDS[index - 2] for index in ids)


def test_texts_come_as_texts(text_cnn):
    good, bad = saliency(text_cnn, ["the film was good", "bad music"], vocabulary=Words, class_names=["bad", "good"])
    assert good.tokens == ("the", "film", "was", "good")
    assert (good.label, bad.label) == ("good", "bad")
    assert good.tokens[good.scores.argmax()] == "good"
    assert saliency(text_cnn, "bad music", vocabulary=Words)[0].scores == pytest.approx(bad.scores, rel=1e-3, abs=1e-4)
    json.dumps(good.as_dict())


@pytest.mark.parametrize("kind", ["image", "text", "series"])
def test_pictures_are_xml_that_says_what_it_shows(kind, cnn, text_cnn, fcn):
    if kind == "image":
        one = saliency(cnn, IMAGES[0])[0]
    elif kind == "text":
        one = saliency(text_cnn, "the film was good", vocabulary=Words)[0]
    else:
        one = saliency(fcn, planted.series(1, seed=1)[0])[0]
    root = ElementTree.fromstring(one.picture(title='"a" < b & c\x00'))
    assert root.attrib["role"] == "img"
    title = root.find(f"{SVG}title")
    assert title is not None
    assert title.text.startswith('"a" < b & c ')
    assert "prefers-color-scheme:dark" in root.find(f"{SVG}style").text
    said = ["".join(text.itertext()) for text in root.iter(f"{SVG}text")]
    shaded = [float(rect.attrib["fill-opacity"]) for rect in root.iter(f"{SVG}rect") if "fill-opacity" in rect.attrib]
    if kind == "image":
        assert len(list(root.iter(f"{SVG}image"))) == 2
    elif kind == "text":
        assert said[1:5] == ["the", "film", "was", "good"]
        assert int(np.argmax(shaded)) == 3
    else:
        assert any("of channel 2" in line for line in said)
        assert len(list(root.iter(f"{SVG}polyline"))) == 2


def test_what_cannot_be_explained_is_refused(cnn, text_cnn, fcn):
    flat = models.mlp((planted.SIDE, planted.SIDE, 1), 2, hidden=(4,))
    for call, message in [
        (lambda: saliency(flat, IMAGES[0]), "no spatial layer"),
        (lambda: saliency(models.mlp((4,), 2, hidden=(4,)), np.zeros((1, 4))), "features and forecasts"),
        (lambda: saliency(cnn, IMAGES[0], kind="sound"), "kind"),
        (lambda: saliency(cnn, IMAGES[0], kind="text"), "expected 'image'"),
        (lambda: saliency(cnn, IMAGES[0], method="integrated_gradients"), "expected 'grad_cam'"),
        (lambda: saliency(cnn, IMAGES[0], method="lime"), "method"),
        (lambda: saliency(cnn, IMAGES[0], layer="stage9"), "'stage9'"),
        (lambda: saliency(cnn, IMAGES[0], layer="logits"), "'logits' of shape (None, 2)"),
        (lambda: saliency(cnn, IMAGES[0], baseline=0.0), "baseline"),
        (lambda: saliency(cnn, IMAGES[0, :5]), "images of shape (24, 24, 1)"),
        (lambda: saliency(cnn, IMAGES[0], targets=2), "from 0 to 1"),
        (lambda: saliency(text_cnn, "a film"), "vocabulary"),
        (lambda: saliency(text_cnn, [[]]), "at least one token"),
        (lambda: saliency(fcn, np.zeros((5, 3))), "(steps, 2)"),
        (lambda: saliency(fcn, np.zeros((5, 2)), baseline=[1, 2, 3]), "2 channels"),
        (lambda: saliency("model", IMAGES), "functional model"),
        (lambda: diagnostics.attention_map(cnn, IMAGES[0]), "self-attention"),
    ]:
        with pytest.raises(InputError) as refused:
            call()
        assert message in str(refused.value)


def test_attention_of_a_raw_text():
    model = seeded(models.transformer_classifier, None, 14, 2, num_layers=2, num_heads=2, hidden_dim=8)
    found = diagnostics.attention_map(model, "the film was good", vocabulary=Words)
    assert found.tokens == ("the", "film", "was", "good")
    assert found.weights.shape == (2, 2, 4, 4)
    np.testing.assert_allclose(found.rollout.sum(axis=-1), 1)
    assert found.pairs(count=1)[0].layer == 1
    assert "layer  head" in found.table()
    assert "film" in found.picture()
    with pytest.raises(InputError, match="one text or one image"):
        diagnostics.attention_map(model, ["good", "bad"], vocabulary=Words)


def test_an_untrained_model_on_this_backend():
    # Without a training, which would take most of the time on JAX.
    model = models.text_cnn(None, 14, 2, hidden_dim=8, filters=8, kernel_sizes=(1, 3))
    before = [np.array(keras.ops.convert_to_numpy(each)) for each in model.variables]
    one = saliency(model, np.array([3, 4, 5, 6, 2]), targets=1)[0]
    assert abs(one.gap) <= max(0.01 * abs(one.logit - one.baseline), 1e-3)
    assert np.abs(one.scores).min() > 0
    images = models.cnn((12, 12, 1), 2, filters=(8,), num_layers=1, units=())
    found = saliency(images, IMAGES[:4, :12, :12], targets=[0, 0, 1, 1])
    assert max(one.scores.max() for one in found) == 1
    for one, other in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(one, keras.ops.convert_to_numpy(other))


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_on_other_backends(backend):
    needed(backend)
    assert "1 passed" in run_tests(backend, __file__, chosen="untrained")
