"""How the next token is chosen from logits: greedily, or drawn by numbers that are functions of seed and place.

All functions work on tensors, so that they can be traced into any program.
"""

from __future__ import annotations

from typing import Any

from keras import ops


def threefry(key: tuple[Any, Any], counter: tuple[Any, Any]) -> tuple[Any, Any]:
    """Return two pseudo-random int32 tensors that are a function of `key` and `counter`: Threefry-2x32, 20 rounds.

    `keras.random` takes no tensor as a seed, draws one sequence for a whole batch, and differs by backend. This gives
    the same bits on every backend, for each row and position on its own.

    Args:
        key: Two int32 tensors.
        counter: Two int32 tensors; all four broadcast.

    Reference: Salmon et al., Parallel random numbers: as easy as 1, 2, 3, 2011
    """
    keys = (*key, ops.bitwise_xor(ops.bitwise_xor(key[0], key[1]), 0x1BD11BDA))
    x, y = counter[0] + keys[0], counter[1] + keys[1]
    for turn in range(5):
        for bits in ((13, 15, 26, 6), (17, 29, 16, 24))[turn % 2]:
            x = x + y
            # a shift to the right copies the sign
            carried = ops.bitwise_and(ops.right_shift(y, 32 - bits), (1 << bits) - 1)
            y = ops.bitwise_xor(ops.bitwise_or(ops.left_shift(y, bits), carried), x)
        x, y = x + keys[(turn + 1) % 3], y + keys[(turn + 2) % 3] + (turn + 1)
    return x, y


def uniforms(seed: Any, rows: Any, positions: Any) -> Any:
    """Return uniform numbers in [0, 1), float32, each a function of seed, row and position only.

    Args:
        seed: An int32 scalar tensor.
        rows: int32, of shape (batch,).
        positions: int32, of shape (batch, length).

    Returns:
        Tensor of the shape of `positions`.
    """
    bits, _ = threefry((seed, ops.expand_dims(rows, 1)), (positions, ops.zeros_like(positions)))
    # 23 bits: the largest number times any float is below that float
    return ops.cast(ops.bitwise_and(ops.right_shift(bits, 9), 0x7FFFFF), "float32") * 2.0**-23


def keep_likely(logits: Any, *, top_k: Any, top_p: Any) -> Any:
    """Return `logits` with those that are never drawn at minus infinity.

    First the `top_k` largest are kept, then of these as few of the largest as have a probability of `top_p` together.
    Of equal ones the first are kept.

    Args:
        logits: Tensor of shape (batch, vocabulary size), float32.
        top_k: Whole number, an int or a scalar tensor; 0 for all.
        top_p: Number in (0, 1], a float or a scalar tensor; 1 for all.

    Reference: Holtzman et al., The curious case of neural text degeneration, arXiv:1904.09751
    """
    size = logits.shape[-1]
    top_k = ops.convert_to_tensor(top_k, dtype="int32")
    top_p = ops.convert_to_tensor(top_p, dtype="float32")
    ordered = ops.flip(ops.sort(logits, axis=-1), axis=-1)
    listed = ops.arange(size, dtype="int32") < ops.where(top_k > 0, top_k, size)
    shares = ops.softmax(ops.where(listed, ordered, float("-inf")), axis=-1)
    before = ops.cumsum(shares, axis=-1) - shares
    enough = ops.logical_and(before >= top_p, top_p < 1.0)
    kept = ops.logical_and(listed, ops.logical_not(enough))
    count = ops.sum(ops.cast(kept, "int32"), axis=-1, keepdims=True)
    lowest = ops.take_along_axis(ordered, count - 1, axis=-1)
    higher, equal = logits > lowest, ops.cast(ops.equal(logits, lowest), "int32")
    room = count - ops.sum(ops.cast(higher, "int32"), axis=-1, keepdims=True)
    among = ops.logical_and(equal > 0, ops.cumsum(equal, axis=-1) <= room)
    return ops.where(ops.logical_or(higher, among), logits, float("-inf"))


def choose(logits: Any, uniform: Any, *, temperature: Any = None, top_k: Any = None, top_p: Any = None) -> Any:
    """Return the chosen token of each row, int32 of shape (batch,).

    Args:
        logits: Tensor of shape (batch, vocabulary size), float32.
        uniform: Numbers in [0, 1) of shape (batch,): where in the distribution each row is drawn.
        temperature: Scalar tensor that the logits are divided by; where it is 0, and with None, the most likely token
            is taken, of equal ones the first.
        top_k: As in `keep_likely`; None for all.
        top_p: As in `keep_likely`; None for all.
    """
    greedy = ops.cast(ops.argmax(logits, axis=-1), "int32")
    if temperature is None:
        return greedy

    def draw() -> Any:
        scaled = logits / temperature
        if top_k is not None or top_p is not None:
            scaled = keep_likely(scaled, top_k=0 if top_k is None else top_k, top_p=1.0 if top_p is None else top_p)
        shares = ops.softmax(scaled, axis=-1)
        sums = ops.cumsum(shares, axis=-1)
        reached = sums > ops.expand_dims(uniform, 1) * sums[:, -1:]
        # Sums in parallel round differently, so a share of zero may lie past the sum before it.
        reached = ops.logical_and(reached, shares > 0)
        return ops.cast(ops.argmax(ops.cast(reached, "int32"), axis=-1), "int32")

    return ops.cond(temperature > 0, draw, lambda: greedy)
