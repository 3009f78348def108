"""Decoding and resizing: the same eagerly and in a `tf.function`, for every file format and kind of channels."""

from __future__ import annotations

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kerasdl.data import images

COLOUR = np.random.default_rng(0).integers(0, 256, (7, 9, 3), dtype=np.uint8)
ALPHA = np.linspace(0, 255, 63).astype(np.uint8).reshape(7, 9)


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def files() -> dict[str, bytes]:
    colour = Image.fromarray(COLOUR)
    transparent = colour.copy()
    transparent.putalpha(Image.fromarray(ALPHA))
    grey = colour.convert("L")
    return {
        "png": encoded(colour, "PNG"),
        "png alpha": encoded(transparent, "PNG"),
        "png grey": encoded(grey, "PNG"),
        "png grey alpha": encoded(transparent.convert("LA"), "PNG"),
        "png palette": encoded(colour.convert("P"), "PNG"),
        "jpeg": encoded(colour, "JPEG"),
        "jpeg grey": encoded(grey, "JPEG"),
        "gif": encoded(colour.convert("P"), "GIF"),
        "gif animated": encoded(grey, "GIF", save_all=True, append_images=[Image.new("L", (9, 7), 200)]),
        "bmp": encoded(colour, "BMP"),
    }


@pytest.fixture(scope="module")
def traced():
    @tf.function(input_signature=[tf.TensorSpec((), tf.string), tf.TensorSpec((), tf.int32)])
    def both(content, choice):
        return tf.switch_case(
            choice, [lambda: images.resize(images.decode(content, 1), (5, 6)) * tf.ones(3, tf.uint8),
                     lambda: images.resize(images.decode(content, 3), (5, 6))]
        )  # fmt: skip

    return both


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", list(files()))
def test_the_same_eagerly_and_traced(traced, kind, channels):
    content = files()[kind]
    eager = images.resize(images.decode(tf.constant(content), channels), (5, 6))
    assert eager.shape == (5, 6, channels)
    assert eager.dtype == tf.uint8
    np.testing.assert_array_equal(traced(content, channels // 2) * 1, np.broadcast_to(eager, (5, 6, 3)))


@pytest.mark.parametrize("kind", ["png", "png alpha", "bmp"])
def test_lossless_formats_give_the_pixels_and_drop_alpha(kind):
    np.testing.assert_array_equal(images.decode(files()[kind], 3), COLOUR)


def test_first_frame_of_an_animation():
    grey = np.asarray(Image.fromarray(COLOUR).convert("L"))
    np.testing.assert_array_equal(images.decode(files()["gif animated"], 1)[..., 0], grey)


def test_decode_as_tensorflow_does():
    content = files()["jpeg"]
    np.testing.assert_array_equal(
        images.decode(content, 3), tf.io.decode_image(content, channels=3, expand_animations=False)
    )


def test_resize_is_the_identity_at_the_right_size_also_when_the_size_is_unknown():
    @tf.function(input_signature=[tf.TensorSpec((None, None, None, 3), tf.uint8)])
    def unknown(batch):
        return images.resize(batch, (7, 9))

    batch = np.stack([COLOUR, 255 - COLOUR])
    np.testing.assert_array_equal(images.resize(batch, (7, 9)), batch)
    np.testing.assert_array_equal(unknown(batch), batch)


def test_resize_averages_and_rounds():
    checkers = np.indices((8, 8)).sum(axis=0)[..., None] % 2 * 255
    shrunk = images.resize(checkers.astype(np.uint8), (2, 2)).numpy()
    assert ((shrunk > 110) & (shrunk < 145)).all()
    half = np.array([[0, 1], [1, 1]], np.uint8)[..., None]
    assert images.resize(half, (1, 1)).numpy().tolist() == [[[1]]]


def test_conform_converts_batches_of_arrays():
    batch = np.stack([COLOUR, COLOUR])
    assert images.conform(batch, (7, 9, 1)).shape == (2, 7, 9, 1)
    np.testing.assert_array_equal(images.conform(batch[..., :1], (7, 9, 3)), np.repeat(batch[..., :1], 3, axis=-1))
