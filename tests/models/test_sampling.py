"""Tokens are drawn from the distribution that was asked for, by numbers that repeat."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from keras import ops

from kerasdl.models import sampling

array, tensor = ops.convert_to_numpy, ops.convert_to_tensor
SHARES = np.array([[0.1, 0.4, 0.2, 0.2, 0.1]], "float32")


def words(*numbers: int) -> list[Any]:
    return [tensor(np.array(number, "uint32").view("int32")) for number in numbers]


@pytest.mark.parametrize(
    ("key", "counter", "expected"),
    [
        ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
        ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
        ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
    ],
)
def test_threefry_gives_the_published_numbers(key: Any, counter: Any, expected: Any) -> None:
    # kat_vectors of Random123, threefry2x32 with 20 rounds
    found = sampling.threefry(tuple(words(*key)), tuple(words(*counter)))
    assert tuple(int(array(x).view("uint32")) for x in found) == expected


def test_uniforms_are_uniform_and_of_each_place_alone() -> None:
    rows, positions = np.arange(50, dtype="int32"), np.tile(np.arange(200, dtype="int32"), (50, 1))

    def uniforms(seed: int, rows: np.ndarray, positions: np.ndarray) -> np.ndarray:
        return array(sampling.uniforms(*words(seed), tensor(rows), tensor(positions)))

    found = uniforms(7, rows, positions)
    assert found.min() >= 0
    assert found.max() < 1
    counts = np.histogram(found, 20, (0, 1))[0]
    assert np.square(counts - 500).sum() / 500 < 50  # chi-square with 19 degrees of freedom
    for part in (found[1:] - found[:-1], found[:, 1:] - found[:, :-1], found - uniforms(8, rows, positions)):
        assert np.var(part) == pytest.approx(1 / 6, rel=0.05)  # of a difference of two that are independent
    np.testing.assert_array_equal(uniforms(7, rows[3:5], positions[3:5, 9:12]), found[3:5, 9:12])


@pytest.mark.parametrize(
    ("top_k", "top_p", "kept"),
    [
        (0, 1.0, [0, 1, 2, 3, 4]),
        (9, 1.0, [0, 1, 2, 3, 4]),
        (1, 1.0, [1]),
        (2, 1.0, [1, 2]),
        (4, 1.0, [0, 1, 2, 3]),
        (0, 1e-9, [1]),
        (0, 0.39, [1]),
        (0, 0.41, [1, 2]),
        (0, 0.79, [1, 2, 3]),
        (0, 0.99, [0, 1, 2, 3, 4]),
        (2, 0.66, [1]),  # of the two that are left, the first has a probability of 2/3
        (2, 0.67, [1, 2]),
    ],
)
def test_which_are_kept(top_k: int, top_p: float, kept: list[int]) -> None:
    logits = array(sampling.keep_likely(tensor(np.log(SHARES)), top_k=top_k, top_p=top_p))
    assert np.flatnonzero(np.isfinite(logits[0])).tolist() == kept
    np.testing.assert_array_equal(logits[:, kept], np.log(SHARES)[:, kept])


@pytest.mark.parametrize(
    ("keywords", "kept"), [({}, [0, 1, 2, 3, 4]), ({"top_k": 2}, [1, 2]), ({"top_p": 0.7}, [1, 2, 3])]
)
@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_tokens_are_drawn_as_often_as_they_are_likely(temperature: float, keywords: Any, kept: list[int]) -> None:
    uniform = (np.arange(1000, dtype="float32") + 0.5) / 1000
    shares = np.repeat(SHARES, 1000, axis=0)
    drawn = sampling.choose(tensor(np.log(shares)), tensor(uniform), temperature=tensor(temperature), **keywords)
    expected = np.zeros(5)
    if temperature == 0.5 and "top_p" in keywords:
        kept = [1, 2]  # 0.16 + 0.04 of 0.26 is more than 0.7
    expected[kept] = SHARES[0, kept] ** (1 / temperature)
    np.testing.assert_allclose(np.bincount(array(drawn), minlength=5) / 1000, expected / expected.sum(), atol=0.002)


def test_the_most_likely_is_the_first_of_equals() -> None:
    logits, uniform = tensor(np.array([[1, 3, 3, 2], [0, 0, 0, 0]], "float32")), tensor(np.array([0.9, 0.9], "float32"))
    for keywords in ({}, {"temperature": tensor(0.0)}, {"temperature": tensor(1.0), "top_k": 1}):
        assert array(sampling.choose(logits, uniform, **keywords)).tolist() == [1, 0]
