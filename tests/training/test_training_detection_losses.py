"""The losses of a detector are the papers', also their gradients, and no number or precision breaks them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from other_backend import needed, run_tests

from kerasdl.detection_targets import encode, ideal_outputs, mean_normalizers
from kerasdl.training.detection_losses import BoxLoss, CenternessLoss, FocalLoss, detection_losses

SIZE, CLASSES = (64, 64), 3
Arrays = dict[str, np.ndarray]


def batch(images: int = 4) -> tuple[np.ndarray, Arrays, Arrays]:
    """Stored targets, what is made of them, and the outputs of a detector that knows nothing."""
    rng = np.random.default_rng(0)
    corner, size = rng.uniform(0, 30, (images, 3, 2)), rng.uniform(10, 34, (images, 3, 2))
    label, crowd = rng.integers(-1, CLASSES, (images, 3, 1)), rng.integers(0, 2, (images, 3, 1))
    targets = np.concatenate([corner, corner + size, label, crowd], axis=-1).astype("float32")
    encoded = encode(targets, SIZE)
    outputs = {name: rng.normal(0, 2, (*encoded["classes"].shape[:2], n)) for name, n in WIDTHS.items()}
    outputs["boxes"] = np.abs(outputs["boxes"]) * 8 + 1
    return targets, encoded, {name: values.astype("float32") for name, values in outputs.items()}


WIDTHS = {"classes": CLASSES, "boxes": 4, "centerness": 1}


def reference(name: str, y: np.ndarray, out: np.ndarray) -> np.ndarray:
    """The loss of each image, from the definitions, in float64."""
    y, out = y.astype("float64"), out.astype("float64")
    if name == "boxes":
        true, found = (np.concatenate([-v[..., :2], v[..., 2:4]], axis=-1) for v in (y, out))
        area = lambda box: np.prod(np.maximum(box[..., 2:] - box[..., :2], 0), axis=-1)  # noqa: E731
        common = area(np.concatenate([np.maximum(true, found)[..., :2], np.minimum(true, found)[..., 2:]], axis=-1))
        hull = area(np.concatenate([np.minimum(true, found)[..., :2], np.maximum(true, found)[..., 2:]], axis=-1))
        union = area(true) + area(found) - common
        losses = 1 - (common / union - (hull - union) / hull)
    elif name == "centerness":
        p = 1 / (1 + np.exp(-out[..., 0]))
        losses = -(y[..., 0] * np.log(p) + (1 - y[..., 0]) * np.log(1 - p))
    else:
        there = y[..., :1] == np.arange(CLASSES)
        p = 1 / (1 + np.exp(-out))
        p, alpha = np.where(there, p, 1 - p), np.where(there, 0.25, 0.75)
        losses = (-alpha * (1 - p) ** 2 * np.log(p)).sum(axis=-1)
    return (y[..., -1] * losses).sum(axis=-1)


@pytest.mark.parametrize("name", WIDTHS)
def test_the_loss_is_that_of_the_paper(name: str) -> None:
    _, encoded, outputs = batch()
    loss = detection_losses()[name]
    each = reference(name, encoded[name], outputs[name])
    assert each.sum() > 0
    assert float(loss(encoded[name], outputs[name])) == pytest.approx(each.mean(), rel=1e-5)
    weights = np.array([0, 1, 2, 0.5], "float32")
    weighted = float(loss(encoded[name], outputs[name], sample_weight=weights))
    assert weighted == pytest.approx((weights * each).mean(), rel=1e-5)


def gradient(name: str, y: np.ndarray, out: np.ndarray) -> np.ndarray:
    """By a step of gradient descent on outputs that are weights, on any backend."""
    inputs = keras.Input((1,))
    layer = keras.layers.Dense(out.size, use_bias=False)
    model = keras.Model(inputs, keras.layers.Reshape(out.shape[1:])(layer(inputs)))
    layer.set_weights([out.reshape(1, -1)])
    model.compile(keras.optimizers.SGD(1.0), detection_losses()[name], run_eagerly=True)
    model.train_on_batch(np.ones((1, 1), "float32"), y)
    return out - keras.ops.convert_to_numpy(layer.kernel).reshape(out.shape)


@pytest.mark.parametrize("name", WIDTHS)
def test_the_gradient_is_that_of_the_paper(name: str) -> None:
    _, encoded, outputs = batch(1)
    y, out = encoded[name], outputs[name]
    found = gradient(name, y, out)
    places = np.argwhere(y[..., -1] > 0)
    some = np.random.default_rng(0).permutation(places)[:20]
    step = 1e-5
    for image, place in some:
        for channel in range(out.shape[-1]):
            high, low = out.astype("float64"), out.astype("float64")
            high[image, place, channel] += step
            low[image, place, channel] -= step
            slope = (reference(name, y, high) - reference(name, y, low))[0] / (2 * step)
            assert found[image, place, channel] == pytest.approx(slope, rel=2e-2, abs=2e-5)
    # Where the weight is 0 there is none.
    assert np.abs(found[y[..., -1] == 0]).max(initial=0) < 1e-6


def test_a_perfect_detector_loses_nothing_but_the_uncertainty_of_the_center() -> None:
    _, encoded, _ = batch()
    ideal = ideal_outputs(encoded, CLASSES)
    losses = detection_losses()
    assert float(losses["classes"](encoded["classes"], ideal["classes"])) == pytest.approx(0, abs=1e-6)
    assert float(losses["boxes"](encoded["boxes"], ideal["boxes"])) == pytest.approx(0, abs=1e-5)
    away = {**ideal, "centerness": ideal["centerness"] + 1}
    assert losses["centerness"](encoded["centerness"], ideal["centerness"]) < losses["centerness"](
        encoded["centerness"], away["centerness"]
    )


@pytest.mark.parametrize("name", WIDTHS)
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("size", [0.0, 1e3, 3e4])
def test_the_largest_numbers_have_a_finite_loss_and_gradient(name: str, size: float, gamma: float) -> None:
    _, encoded, outputs = batch(1)
    sign = 1 if name == "boxes" else np.sign(outputs[name])
    out = (sign * size * np.ones_like(outputs[name])).astype("float32")
    loss = FocalLoss(gamma=gamma) if name == "classes" else detection_losses()[name]
    assert np.isfinite(float(loss(encoded[name], out)))
    assert np.isfinite(gradient(name, encoded[name], out)).all()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", WIDTHS)
def test_low_precision_costs_only_the_precision_of_what_comes_in(name: str, dtype: str) -> None:
    _, encoded, outputs = batch()
    scaled = {**outputs, "boxes": outputs["boxes"] * 100}
    y = encoded[name].copy()
    if name == "boxes":
        y[..., :4] *= 100
    low = type(detection_losses()[name])(dtype=dtype)
    expected = reference(name, y, scaled[name]).mean()
    assert float(keras.ops.cast(low(y, scaled[name]), "float32")) == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize("loss", [FocalLoss(0.3, 1.5), BoxLoss(), CenternessLoss()])
def test_from_config(loss: Any) -> None:
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert type(again) is type(loss)
    assert again.get_config() == loss.get_config()


def test_the_losses_of_parts_add_up_to_that_of_the_batch() -> None:
    targets, _, outputs = batch()
    normalizers = mean_normalizers(targets, SIZE)
    for name, loss in detection_losses().items():
        whole = float(loss(encode(targets, SIZE)[name], outputs[name]))
        parts = [
            float(loss(encode(targets[part], SIZE, normalizers=normalizers)[name], outputs[name][part]))
            for part in (slice(0, 2), slice(2, 4))
        ]
        assert np.mean(parts) == pytest.approx(whole, rel=1e-5)


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_on_the_other_backends(backend: str) -> None:
    needed(backend)
    detections = Path(__file__).parents[1] / "layers" / "test_detections.py"
    assert " passed" in run_tests(backend, __file__, detections, chosen="of_the_paper or few")
