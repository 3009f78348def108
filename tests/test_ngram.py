"""The n-gram model: worked by hand, a distribution after every context, better with longer contexts."""

from __future__ import annotations

import numpy as np
import pytest

from kerasdl.ngram import KneserNey


def distribution(model: KneserNey, context: list[int]) -> np.ndarray:
    """The probability of each token after a context."""
    rows = [model.log_probabilities(np.array([*context, token]))[-1] for token in range(model.vocabulary_size)]
    return np.exp(rows)


def test_bigrams_by_hand() -> None:
    # 0 | 1 2 1 2 2: too few counts to estimate discounts, so they are 0.5, 1 and 1.5.
    model = KneserNey(np.array([1, 2, 1, 2, 2]), 3, order=2)
    # Different tokens before 1: 0 and 2. Before 2: 1 and 2. Before 0, which begins the text: none.
    below = np.array([0, 2 - 1, 2 - 1]) / 4 + (1 + 1) / 4 / 3
    # After 1: 2 twice. After 2: 1 and 2 once each. After 0: 1 once.
    np.testing.assert_allclose(distribution(model, [1]), np.array([0, 0, 2 - 1]) / 2 + 1 / 2 * below)
    np.testing.assert_allclose(distribution(model, [2]), np.array([0, 0.5, 0.5]) / 2 + 1 / 2 * below)
    np.testing.assert_allclose(distribution(model, []), np.array([0, 0.5, 0]) / 1 + 0.5 * below)


def test_discounts_are_estimated_from_the_counts_of_counts() -> None:
    # Tokens 1 to 4 once, 5 and 6 twice, 7 three times, 8 five times: n1 = 4, n2 = 2, n3 = 1, n4 = 0.
    tokens = np.repeat(np.arange(1, 9), [1, 1, 1, 1, 2, 2, 3, 5])
    model = KneserNey(tokens, 10, order=1)
    common = 4 / (4 + 2 * 2)
    once, twice, more = 1 - 2 * common * 2 / 4, 2 - 3 * common * 1 / 2, 3.0
    leftover = (4 * once + 2 * twice + 2 * more) / 16
    expected = np.repeat([0, 1 - once, 2 - twice, 3 - more, 5 - more, 0], [1, 4, 2, 1, 1, 1]) / 16 + leftover / 10
    np.testing.assert_allclose(distribution(model, []), expected)


@pytest.mark.parametrize("order", [1, 2, 5])
def test_probabilities_sum_to_one_after_every_context(order: int) -> None:
    tokens = np.random.default_rng(0).zipf(1.5, 2000) % 13
    model = KneserNey(tokens, 15, order=order)
    for context in ([], [1], [14], [1, 1, 2, 1], [14, 13, 14, 13], [1, 1, 14, 1, 1], tokens[-6:].tolist()):
        assert distribution(model, context).sum() == pytest.approx(1)
        assert distribution(model, context).min() > 0


def test_a_token_depends_on_those_before_it_only() -> None:
    tokens = np.random.default_rng(0).integers(0, 5, 300)
    model = KneserNey(tokens, 5, order=3)
    whole = model.log_probabilities(tokens[:50])
    np.testing.assert_array_equal(model.log_probabilities(tokens[:20]), whole[:20])
    np.testing.assert_array_equal(model.log_probabilities(tokens[18:50])[2:], whole[20:])


def test_longer_contexts_predict_a_regular_text_better() -> None:
    tokens = np.tile([1, 1, 2, 1, 1, 1, 3], 60)
    bits = [-KneserNey(tokens, 4, order=order).log_probabilities(tokens[:70]).mean() for order in (1, 2, 3, 5)]
    assert bits == sorted(bits, reverse=True)
    assert bits[-1] < 0.2 * bits[0]
