"""Attention: planted pairs are found and drawn where they are, rollouts are those of a known case, bad maps refused."""

from __future__ import annotations

import base64
import io
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from PIL import Image

from kerasdl import diagnostics
from kerasdl.diagnostics.attention import Pair, label
from kerasdl.errors import InputError

TOKENS = ["The", "cat", "sat", "<on>", "the", "mat", "&"]
SVG = "{http://www.w3.org/2000/svg}"


def planted(*, query: int = 2, key: int = 1, layers: int = 2, heads: int = 3, length: int = 7) -> np.ndarray:
    """Attention that is even, but for one pair in the last head of the first layer."""
    weights = np.full((layers, heads, length, length), 1 / length)
    weights[0, -1, query] = 0.02
    weights[0, -1, query, key] = 1 - 0.02 * (length - 1)
    return weights


def random_maps(*shape: int) -> np.ndarray:
    scores = np.exp(np.random.default_rng(0).normal(size=shape, scale=2))
    return scores / scores.sum(axis=-1, keepdims=True)


def pixels(image: ElementTree.Element) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(image.attrib["href"].split(",")[1]))))


def test_the_planted_pair_is_the_strongest() -> None:
    weights = planted()
    first = [pair for pair in diagnostics.strongest_pairs(weights, count=2) if pair.layer == 1 and pair.head == 3]
    assert first[0] == Pair(1, 3, 2, 1, pytest.approx(0.88))
    assert first[1].weight == pytest.approx(1 / 7)
    assert "    1     3  sat -> cat 0.88" in diagnostics.attention_table(TOKENS, weights, count=1).splitlines()


def test_attention_to_itself_counts_only_where_asked_for() -> None:
    weights = planted(query=3, key=3, layers=1, heads=1)
    assert diagnostics.strongest_pairs(weights, count=1, itself=True) == [Pair(1, 1, 3, 3, pytest.approx(0.88))]
    assert all(pair.query != pair.key for pair in diagnostics.strongest_pairs(weights, count=49))
    assert diagnostics.strongest_pairs(np.eye(4)[None, None]) == []


def test_rollout_of_a_known_case() -> None:
    # two layers of one head each: everything from the left, then everything from the right
    left, right = np.array([[1.0, 0.0], [1.0, 0.0]]), np.array([[0.0, 1.0], [0.0, 1.0]])
    found = diagnostics.attention_rollout(np.stack([left, right])[:, None])
    # position 0 after layer 1: [1, 0]; position 1: [0.5, 0.5]; layer 2 gives 0 half of itself and half of position 1
    np.testing.assert_allclose(found, [[0.75, 0.25], [0.5, 0.5]])
    np.testing.assert_allclose(diagnostics.attention_rollout(np.stack([left, right])[:, None], residual=0), left)


def test_rollout_takes_the_mean_of_the_heads_and_its_rows_sum_to_one() -> None:
    weights = random_maps(3, 2, 5, 5)
    found = diagnostics.attention_rollout(weights)
    np.testing.assert_allclose(found.sum(axis=-1), 1)
    np.testing.assert_allclose(found, diagnostics.attention_rollout(weights.mean(axis=1, keepdims=True)))
    np.testing.assert_array_equal(diagnostics.attention_rollout(np.eye(5)[None, None]), np.eye(5))
    causal = np.tril(random_maps(3, 2, 5, 5))
    causal /= causal.sum(axis=-1, keepdims=True)
    assert not np.triu(diagnostics.attention_rollout(causal), 1).any()


def test_maps_are_stacked_by_the_numbers_of_their_layers() -> None:
    outputs = {f"block{n}_attention": np.full((2, 1, 3, 3), float(n)) for n in (1, 10, 2)}
    stacked = diagnostics.stack_maps({"output": np.zeros((2, 4)), **outputs})
    assert stacked.shape == (2, 3, 1, 3, 3)
    assert stacked[0, :, 0, 0, 0].tolist() == [1, 2, 10]


def test_the_picture_is_xml_with_every_token_and_one_map_a_head() -> None:
    root = ElementTree.fromstring(diagnostics.attention_picture(TOKENS, planted(), title='"a" < b & c\x00'))
    texts = ["".join(text.itertext()) for text in root.iter(f"{SVG}text")]
    assert texts[0] == '"a" < b & c '
    assert "sat → cat 0.88" in texts
    maps = 2 * 3 + 1
    for token in TOKENS:
        assert texts.count(token) == 2 * maps
    assert len(list(root.iter(f"{SVG}image"))) == maps


def test_the_planted_pair_is_drawn_where_it_is() -> None:
    root = ElementTree.fromstring(diagnostics.attention_picture(TOKENS, planted()))
    drawn = pixels(list(root.iter(f"{SVG}image"))[2]).astype(int).sum(axis=-1)
    cell = len(drawn) // len(TOKENS)
    cells = drawn[::cell, ::cell]
    assert np.unravel_index(cells.argmin(), cells.shape) == (2, 1)
    assert (drawn == cells.repeat(cell, axis=0).repeat(cell, axis=1)).all()


@pytest.mark.parametrize(
    ("token", "said"),
    [(" ", "␣"), ("", "∅"), ("\n", "⏎"), (" the", "␣the"), ("\x00", "�"), ("\ud800", "�"), ("a" * 30, "a" * 13 + "…")],
)
def test_tokens_that_cannot_be_printed(token: str, said: str) -> None:
    assert label(token) == said
    picture = diagnostics.attention_picture([token, "猫"], random_maps(1, 1, 2, 2))
    assert said in "".join(ElementTree.fromstring(picture.encode("utf-8")).itertext())


def test_thirty_tokens_keep_readable_cells() -> None:
    root = ElementTree.fromstring(diagnostics.attention_picture(["word"] * 30, random_maps(1, 1, 30, 30)))
    image = next(iter(root.iter(f"{SVG}image")))
    assert float(image.attrib["width"]) / 30 >= float(root.attrib["font-size"])


def test_patches_that_are_looked_at() -> None:
    weights = np.full((2, 2, 17, 17), 0.01)
    weights[..., :, 1 + 6] = 1 - 0.16
    shares = diagnostics.patch_attention(weights, class_token=True)
    assert shares.shape == (4, 4)
    assert shares.sum() == pytest.approx(1)
    assert np.unravel_index(shares.argmax(), shares.shape) == (1, 2)
    # the class token goes by its own row, the mean by all
    one = np.tile(np.eye(9), (1, 1, 1, 1))
    one[0, 0, 0] = np.eye(9)[4]
    assert diagnostics.patch_attention(one, grid=(2, 4), class_token=True).argmax() == 3
    np.testing.assert_allclose(diagnostics.patch_attention(one, grid=(3, 3))[0, 0], 0.5 / 9)


@pytest.mark.parametrize("shape", [(8, 8, 1), (6, 12, 3)])
def test_the_overlay_shows_the_image_and_the_strongest_patch(shape: tuple[int, ...]) -> None:
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    weights = np.full((1, 1, 8, 8), 0.02)
    weights[..., 5] = 0.86
    root = ElementTree.fromstring(diagnostics.patch_map(image, weights, grid=(2, 4)))
    shown = pixels(next(iter(root.iter(f"{SVG}image"))))
    np.testing.assert_array_equal(shown.reshape(shape), image)
    patches = [rect for rect in root.iter(f"{SVG}rect") if "fill-opacity" in rect.attrib]
    opacities = [float(rect.attrib["fill-opacity"]) for rect in patches]
    assert len(opacities) == 8
    assert int(np.argmax(opacities)) == 5
    width, height = float(patches[5].attrib["width"]), float(patches[5].attrib["height"])
    assert (float(patches[5].attrib["x"]), float(patches[5].attrib["y"])) == pytest.approx((width, height))


NAN = np.where(np.eye(3) > 0, np.nan, 0.5)[None, None]


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: diagnostics.attention_rollout(np.ones((2, 3, 3)) / 3), "shape (2, 3, 3)"),
        (lambda: diagnostics.attention_rollout(np.ones((1, 1, 2, 3)) / 3), "shape (1, 1, 2, 3)"),
        (lambda: diagnostics.attention_rollout(np.ones((1, 0, 3, 3)) / 3), "shape (1, 0, 3, 3)"),
        (lambda: diagnostics.attention_rollout(np.ones((1, 1, 3, 3))), "from 3 to 3"),
        (lambda: diagnostics.attention_rollout(NAN), "nan"),
        (lambda: diagnostics.attention_rollout(np.array([[[[2.0, -1.0], [0.5, 0.5]]]])), "weights from -1"),
        (lambda: diagnostics.attention_rollout(planted(), residual=1.5), "residual: received 1.5"),
        (lambda: diagnostics.attention_table(TOKENS[:6], planted()), "6 tokens; expected 7"),
        (lambda: diagnostics.attention_picture("The cat", planted()), "received a string"),
        (lambda: diagnostics.attention_picture(["a"] * 129, random_maps(1, 1, 129, 129)), "at most 128"),
        (lambda: diagnostics.patch_attention(planted()), "2 x 2 for 7 patches"),
        (lambda: diagnostics.patch_attention(np.ones((1, 1, 1, 1)), class_token=True), "0 x 0 for 0 patches"),
        (lambda: diagnostics.patch_map(np.zeros((8, 8)), random_maps(1, 1, 4, 4)), "float64 of shape (8, 8)"),
        (lambda: diagnostics.stack_maps({"output": np.zeros(3)}), "no maps"),
        (lambda: diagnostics.stack_maps({"a1": np.ones((1, 2, 3, 3)), "a2": np.ones((1, 1, 3, 3))}), "(1, 1, 3, 3)"),
    ],
)
def test_what_cannot_be_attention_is_refused(call, says: str) -> None:
    with pytest.raises(InputError, match=re.escape(says)):
        call()
