"""An n-gram model of tokens, the baseline of language models: counts and smoothing, in NumPy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# What KenLM takes where a text is too small or too regular to estimate discounts from.
FALLBACK = (0.5, 1.0, 1.5)


@dataclass(frozen=True)
class _Level:
    """The n-grams of one order.

    Args:
        keys: One number for each n-gram that occurs, sorted: context * vocabulary_size + token, where the context is
            the index of the shorter n-gram before the token among those of the order below.
        shares: Of each n-gram: the discounted count by the count of its context.
        leftover: Of each context: the share that discounting leaves to the order below; 1 if nothing followed it.
    """

    keys: np.ndarray
    shares: np.ndarray
    leftover: np.ndarray


class KneserNey:
    """Interpolated modified Kneser-Ney smoothing: how probable each token is after the `order - 1` tokens before it.

    The lowest order is interpolated with the uniform distribution, so that every token has a probability above zero.
    Before the first token lie tokens 0, the end of another text.

    Args:
        tokens: The text to count, integers (count,) in [0, vocabulary_size).
        vocabulary_size: Number of tokens.
        order: Tokens in the longest n-grams.

    Example:
        >>> model = KneserNey(train_tokens, 257)
        >>> bits = -model.log_probabilities(test_tokens).sum() / np.log(2)

    Reference: Chen and Goodman, An empirical study of smoothing techniques for language modeling, TR-10-98, Harvard,
    section 3; as in KenLM (Heafield et al., ACL 2013, https://aclanthology.org/P13-2121), n-grams of less than `order`
    tokens count the different tokens before them.
    """

    def __init__(self, tokens: np.ndarray, vocabulary_size: int, *, order: int = 5):
        self.vocabulary_size = vocabulary_size
        self.order = order
        padded = self._padded(tokens)
        # Of the n-gram that ends at each place: its index among the n-grams of that order.
        indices = np.zeros(len(padded) + 1, np.int64)
        keys: list[np.ndarray] = []
        counts: list[np.ndarray] = []
        for length in range(1, order + 1):
            shorter = indices
            found, first, indices, occurrences = np.unique(
                shorter[:-1] * vocabulary_size + padded[length - 1 :],
                return_index=True,
                return_inverse=True,
                return_counts=True,
            )
            if counts:
                counts[-1] = np.bincount(shorter[1:][first], minlength=len(keys[-1]))
            keys.append(found)
            counts.append(occurrences)
        contexts = [1, *(len(found) for found in keys)]
        self._levels = [self._level(*of_order) for of_order in zip(keys, counts, contexts, strict=False)]

    def _padded(self, tokens: np.ndarray) -> np.ndarray:
        return np.concatenate([np.zeros(self.order - 1, np.int64), tokens])

    def _level(self, keys: np.ndarray, counts: np.ndarray, contexts: int) -> _Level:
        discounts = _discounts(counts)[np.minimum(counts, 3)]
        context = keys // self.vocabulary_size
        totals = np.bincount(context, weights=counts, minlength=contexts)
        taken = np.bincount(context, weights=discounts, minlength=contexts)
        followed = np.maximum(totals, 1)
        return _Level(keys, (counts - discounts) / followed[context], np.where(totals > 0, taken / followed, 1.0))

    def log_probabilities(self, tokens: np.ndarray) -> np.ndarray:
        """Return the natural logarithm of the probability of each token after those before it.

        Args:
            tokens: Integers (count,) in [0, vocabulary_size).

        Returns:
            float64 (count,).
        """
        padded = self._padded(tokens)
        probabilities = np.full(len(padded), 1 / self.vocabulary_size)
        indices = np.zeros(len(padded) + 1, np.int64)
        for length, level in enumerate(self._levels, start=1):
            context = indices[:-1]
            key = context * self.vocabulary_size + padded[length - 1 :]
            place = np.minimum(np.searchsorted(level.keys, key), len(level.keys) - 1)
            hit = (context >= 0) & (level.keys[place] == key)
            mixed = level.leftover[context] * probabilities[length - 1 :] + np.where(hit, level.shares[place], 0.0)
            # After a context that never occurred, the order below decides alone.
            probabilities[length - 1 :] = np.where(context >= 0, mixed, probabilities[length - 1 :])
            indices = np.where(hit, place, -1)
        return np.log(probabilities[self.order - 1 :])


def _discounts(counts: np.ndarray) -> np.ndarray:
    """Return what is taken away from n-grams that were counted 0, 1, 2, and 3 or more times."""
    once, twice, thrice, four = (int((counts == number).sum()) for number in (1, 2, 3, 4))
    if once and twice and thrice:
        common = once / (once + 2 * twice)
        found = [1 - 2 * common * twice / once, 2 - 3 * common * thrice / twice, 3 - 4 * common * four / thrice]
        if all(0 <= discount <= number for number, discount in enumerate(found, start=1)):
            return np.array([0.0, *found])
    return np.array([0.0, *FALLBACK])
