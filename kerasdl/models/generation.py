"""Write tokens after prompts with a causal language model: all at once, or as a stream."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from kerasdl import checks
from kerasdl.compiling import compiled
from kerasdl.errors import InputError
from kerasdl.models.decoding import check_causal
from kerasdl.models.generator import Generator, State
from kerasdl.models.windows import window_of


def generate_tokens(
    model: keras.Model,
    prompts: Sequence[Sequence[int]],
    *,
    max_new_tokens: int = 64,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int = 0,
    rows: Sequence[int] | None = None,
    stop_token: int | None = None,
    window: int | None = None,
    use_cache: bool = True,
) -> list[np.ndarray]:
    """Return the tokens that `model` writes after each prompt.

    Two programs are compiled, one for the prompts and one with a single loop for all new tokens, which ends early when
    all rows have met the stop token. Sizes are rounded up, so that prompts of other lengths seldom need new programs.
    A row's tokens depend neither on the other rows nor on how a text was cut into prompt and rest: the draw of a token
    is a function of `seed`, of the row's number and of its place in the text. When the window is full, the context
    starts again from its last half.

    Args:
        model: From `kerasdl.models.causal_transformer`; it may go on training in between.
        prompts: Token ids of each prompt, of any lengths. An empty one stands for token 0, the end of a text.
        max_new_tokens: Tokens to write after each prompt.
        temperature: What the logits are divided by; 0 takes the most likely token always.
        top_k: Draw among that many of the most likely tokens; None for all.
        top_p: Then among as few of the most likely as have this probability together, in (0, 1]; None for all.
        seed: Of the draws, from 0 to 2**32 - 1.
        rows: A number for each prompt, for its draws; None for 0, 1, 2 and so on.
        stop_token: Id that ends a text; None for none.
        window: The most tokens that are looked at; None for as many as `model` can.
        use_cache: Whether keys and values of earlier tokens are kept; else all is computed anew for each token, which
            gives the same tokens, slowly.

    Returns:
        The new tokens of each prompt, int32, without the stop token.

    Raises:
        InputError: If an argument is outside the ranges above.

    Example:
        >>> generate_tokens(model, [[84, 104, 101], []], max_new_tokens=20, temperature=0.8)
    """
    states = _start(
        model,
        prompts,
        max_new_tokens=max_new_tokens,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        seed=seed,
        rows=rows,
        stop_token=stop_token,
        window=window,
        use_cache=use_cache,
    )
    (state,) = states(max_new_tokens)
    written, counts = ops.convert_to_numpy(state["written"]), ops.convert_to_numpy(state["counts"])
    return [row[:count] for row, count in zip(written, counts, strict=True)]


def stream_tokens(
    model: keras.Model, prompts: Sequence[Sequence[int]], *, every: int = 1, **keywords: Any
) -> Iterator[list[np.ndarray]]:
    """Return an iterator over the tokens of `generate_tokens` as they are written: the same ones, piece by piece.

    Args:
        model: As in `generate_tokens`.
        prompts: As in `generate_tokens`.
        every: New tokens in each piece.
        **keywords: As of `generate_tokens`.

    Returns:
        An iterator over lists of the next tokens of each prompt, int32; those of a prompt that is done are empty.

    Raises:
        InputError: As `generate_tokens`, at once.

    Example:
        >>> for (tokens,) in stream_tokens(model, [[84, 104, 101]]): print(tokens)
    """
    checks.integer(1)("every", every)
    states = _start(model, prompts, **{**(generate_tokens.__kwdefaults__ or {}), **keywords})

    def pieces() -> Iterator[list[np.ndarray]]:
        before = np.zeros(len(prompts), "int32")
        for state in states(every):
            written, counts = ops.convert_to_numpy(state["written"]), ops.convert_to_numpy(state["counts"])
            yield [row[start:end] for row, start, end in zip(written, before, counts, strict=True)]
            before = counts

    return pieces()


def _start(
    model: keras.Model,
    prompts: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    temperature: float,
    top_k: int | None,
    top_p: float | None,
    seed: int,
    rows: Sequence[int] | None,
    stop_token: int | None,
    window: int | None,
    use_cache: bool,
) -> Callable[[int], Iterator[State]]:
    """Check all arguments and return a function that writes, and yields the state after each so many tokens."""
    check_causal(model)
    window = window_of(model, window)
    size = model.output_shape[-1]
    checks.integer(1)("max_new_tokens", max_new_tokens)
    checks.number(0, example=0.8)("temperature", temperature)
    checks.integer(0, maximum=2**32 - 1)("seed", seed)
    checks.boolean("use_cache", use_cache)
    if top_k is not None:
        checks.integer(1, example=40)("top_k", top_k)
    if top_p is not None and top_p != 1:
        checks.number(0, 1, above=True, example=0.9)("top_p", top_p)
    if stop_token is not None:
        checks.integer(0, maximum=size - 1)("stop_token", stop_token)
    tokens, lengths = _padded(prompts, size)
    numbers = np.arange(len(lengths)) if rows is None else np.asarray(rows)
    if numbers.shape != lengths.shape or numbers.dtype.kind not in "iu":
        raise InputError(
            "rows",
            received=repr(rows),
            expected=f"{len(lengths)} whole numbers, one for each prompt",
            mend="Leave it out for 0, 1, 2 and so on.",
        )
    given = [tokens, lengths, np.array(seed, "uint32").view("int32"), numbers.astype("int32")]
    # What is not asked for is no part of the programs.
    options = {"temperature": ops.convert_to_tensor(temperature, dtype="float32")} if temperature else {}
    if temperature and (top_k is not None or top_p is not None):
        options["top_k"] = ops.convert_to_tensor(top_k or 0, dtype="int32")
        options["top_p"] = ops.convert_to_tensor(top_p or 1.0, dtype="float32")
    options["stop_token"] = ops.convert_to_tensor(-1 if stop_token is None else stop_token, dtype="int32")
    begin, proceed = _programs(model)(window, bool(use_cache), _rounded(max_new_tokens))

    def states(every: int) -> Iterator[State]:
        state = begin(*(ops.convert_to_tensor(x, dtype="int32") for x in given), options)
        for until in range(every, max_new_tokens + every, every):
            until = min(until, max_new_tokens)
            if until > 1:
                state = proceed(state, ops.convert_to_tensor(until, dtype="int32"), options)
            yield state
            if ops.convert_to_numpy(state["done"]).all():
                break

    return states


def _programs(model: keras.Model) -> Callable[..., tuple[Callable[..., State], Callable[..., State]]]:
    """Return the function that compiles for `model`; it is kept on the model, and goes with it."""

    @functools.cache
    def loop(window: int | None, use_cache: bool) -> tuple[Generator, Callable[..., State]]:
        made = Generator(model, window=window, use_cache=use_cache)

        def proceed(state: State, until: Any, options: dict[str, Any]) -> State:
            return made.proceed(state, until, **options)

        # On a CPU, XLA made this loop 3 to 5 times faster, but not the programs for the prompts.
        return made, compiled(proceed, model.variables, jit_compile=True)

    @functools.cache
    def programs(window: int | None, use_cache: bool, capacity: int) -> tuple[Callable[..., State], ...]:
        made, proceed = loop(window, use_cache)

        def begin(tokens: Any, lengths: Any, seed: Any, rows: Any, options: dict[str, Any]) -> State:
            return made.begin(tokens, lengths, capacity=capacity, seed=seed, rows=rows, **options)

        return compiled(begin, model.variables), proceed

    # Not by setting an attribute: Keras would take what is set for a part of the model.
    return vars(model).setdefault("_generation_programs", programs)


def _rounded(size: int) -> int:
    """Return the next of the sizes 16, 32, 48, 64, 80, 96, 112, 128, 160 and so on: from 64 four for each doubling."""
    unit = 1 << max(4, (size - 1).bit_length() - 3)
    return -(-size // unit) * unit


def _padded(prompts: Any, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the prompts as one array of a rounded length, and the length of each."""

    def refused(received: str) -> InputError:
        return InputError(
            "prompts",
            received=received,
            expected=f"a list of prompts, each a list of token ids from 0 to {size - 1}",
            mend="Encode texts with the vocabulary of the model; one prompt is a list of one.",
        )

    if isinstance(prompts, (str, bytes)) or not hasattr(prompts, "__len__") or not len(prompts):
        raise refused(repr(prompts))
    rows = []
    for prompt in prompts:
        try:
            row = np.asarray(prompt)
        except ValueError:
            raise refused(repr(prompt)) from None
        if row.ndim != 1 or (len(row) and (row.dtype.kind not in "iu" or row.min() < 0 or row.max() >= size)):
            raise refused(repr(prompt))
        rows.append(row)
    lengths = np.array([len(row) for row in rows], "int32")
    tokens = np.zeros((len(rows), _rounded(max(1, int(lengths.max())))), "int32")
    for row, filled in zip(tokens, rows, strict=True):
        row[: len(filled)] = filled
    return tokens, lengths
