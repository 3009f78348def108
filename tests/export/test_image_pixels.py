"""Images without TensorFlow: the pixels that training saw, to the last bit where they can be."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest

from kerasdl.data import images
from kerasdl.export import image_pixels
from kerasdl.export.raw_images import Undecodable, in_colour


def test_sizes_change_as_in_training() -> None:
    generator = np.random.default_rng(0)
    for _ in range(40):
        height, width, *size = generator.integers(1, 70, 4)
        pixels = generator.integers(0, 256, (2, height, width, generator.choice([1, 3])), dtype=np.uint8)
        size = (int(size[0]), int(size[1]))
        found = image_pixels.resize(pixels, size)
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, images.resize(pixels, size))


@pytest.mark.parametrize(
    ("format", "mode", "bound"),
    [
        *(("PNG", mode, 0) for mode in ("RGB", "L", "LA", "RGBA", "P", "1", "I;16")),
        ("GIF", "P", 0),
        ("BMP", "RGB", 0),
        # TensorFlow decodes JPEG by a quicker, rougher transform.
        ("JPEG", "RGB", 6),
        ("JPEG", "L", 6),
    ],
)
def test_files_are_decoded_as_in_training(format: str, mode: str, bound: int) -> None:
    import tensorflow as tf
    from PIL import Image

    coarse = np.random.default_rng(0).integers(0, 256, (1, 6, 6, 3), dtype=np.uint8)
    image: Any = Image.fromarray(image_pixels.resize(coarse, (30, 20))[0])
    file = io.BytesIO()
    (image.convert("L").convert("I").convert(mode) if mode == "I;16" else image.convert(mode)).save(file, format)
    for channels in (1, 3):
        found = image_pixels.decode(file.getvalue(), channels)
        expected = images.decode(tf.constant(file.getvalue()), channels).numpy()
        assert found.shape == expected.shape == (30, 20, channels)
        assert np.abs(found.astype(int) - expected).max() <= bound


def test_what_is_no_image_is_told() -> None:
    from PIL import Image

    file = io.BytesIO()
    Image.new("RGB", (30, 30)).save(file, "PNG")
    for encoded in (b"", b"no image", file.getvalue()[:50]):
        with pytest.raises(Undecodable):
            image_pixels.decode(encoded, 3)


def test_arrays_become_colour_as_files_do() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 7, 9, 4), np.uint8)
    np.testing.assert_array_equal(in_colour(pixels), pixels[..., :3])
    np.testing.assert_array_equal(in_colour(pixels[0]), pixels[0, ..., :3])
    for grey in (pixels[0, ..., 0], pixels[0, ..., :1]):
        np.testing.assert_array_equal(in_colour(grey), np.stack([pixels[0, ..., 0]] * 3, axis=-1))
    np.testing.assert_array_equal(in_colour(pixels[..., 0]), np.repeat(pixels[..., :1], 3, axis=-1))
    assert in_colour(pixels[..., :2]).shape == (2, 7, 9, 2), "left to be refused"
