"""The loop that writes token after token: functions on tensors, traceable into a program of any backend.

`kerasdl.models.generation` calls it with tokens as a user has them. It also traces into a `tf.function` with a batch,
a length and a number of new tokens that are not known before, for a SavedModel.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from kerasdl.models import sampling
from kerasdl.models.decoding import decoder, empty_caches
from kerasdl.models.windows import context_length, window_of

State = dict[str, Any]


def _least(first: Any, second: Any) -> Any:
    """The smaller of two sizes, an int where both are."""
    return min(first, second) if isinstance(first, int) and isinstance(second, int) else ops.minimum(first, second)


def _causal(length: Any) -> Any:
    """Booleans of shape (length, length), true where a row's number is at least the column's."""
    steps = ops.arange(length, dtype="int32")
    return ops.expand_dims(steps, 1) >= steps


class Generator:
    """Writes tokens after prompts, all in one loop on the device.

    The tokens of all rows end in the same column, so that each step writes the keys and values of all rows at one
    place. Columns are kept in a ring of as many places as the window (or as all tokens, if fewer): which places a row
    looks at is its context length counted back from the newest column.

    Args:
        model: A causal language model, from `kerasdl.models.causal_transformer`.
        window: The most tokens that are looked at; None for as many as `model` can.
        use_cache: Whether keys and values are kept. If not, the whole context is computed for each token, which gives
            the same tokens at a cost that grows with the context.

    Raises:
        InputError: If `model` or `window` does not fit.

    Example:
        >>> Generator(model).generate(tokens, lengths, max_new_tokens=20)
    """

    def __init__(self, model: keras.Model, *, window: int | None = None, use_cache: bool = True):
        # also refuses models that are not causal
        self.decoder = decoder(model)
        self.model = model
        self.window = window_of(model, window)
        self.use_cache = use_cache

    def generate(
        self, tokens: Any, lengths: Any, *, max_new_tokens: Any, seed: Any = 0, rows: Any = None, **options: Any
    ) -> tuple[Any, Any]:
        """Return the tokens that follow each prompt.

        Args:
            tokens: Prompts, int32 of shape (batch, length) with a length of at least 1, each at the start of its row,
                and zeros behind it.
            lengths: Tokens in each prompt, int32 of shape (batch,). Where it is 0, token 0 is the prompt.
            max_new_tokens: How many tokens to write, at least 1: an int or an int32 scalar tensor.
            seed: An int32 scalar.
            rows: int32 of shape (batch,), numbers for the draws of each row; None for 0, 1, 2 and so on.
            **options: `temperature`, `top_k` and `top_p` as in `kerasdl.models.sampling.choose`, and `stop_token`, an
                int32 scalar; none if it is negative or missing.

        Returns:
            Tokens, int32 of shape (batch, max_new_tokens), and how many of each row come before its stop token.
        """
        state = self.begin(tokens, lengths, capacity=max_new_tokens, seed=seed, rows=rows, **options)
        state = self.proceed(state, max_new_tokens, **options)
        return state["written"], state["counts"]

    def begin(
        self, tokens: Any, lengths: Any, *, capacity: Any, seed: Any = 0, rows: Any = None, **options: Any
    ) -> State:
        """Return the state after the first new token; arguments as in `generate`, `capacity` for `max_new_tokens`."""
        tokens = ops.cast(tokens, "int32")
        batch, given = ops.shape(tokens)
        counts = ops.maximum(ops.cast(lengths, "int32"), 1)
        rows = ops.arange(batch, dtype="int32") if rows is None else ops.cast(rows, "int32")
        width = given if self.window is None else _least(given, self.window)
        places = width + capacity if self.window is None else _least(width + capacity, self.window)
        columns = ops.expand_dims(counts, 1) - width + ops.arange(width, dtype="int32")
        recent = ops.take_along_axis(tokens, ops.maximum(columns, 0), axis=1)
        empty = ops.zeros((batch, places - width), dtype="int32")
        steps = ops.arange(capacity, dtype="int32")
        state = {
            "step": ops.zeros((), dtype="int32"),
            "column": ops.convert_to_tensor(width - 1, dtype="int32"),
            "totals": counts,
            "recent": ops.concatenate([recent, empty], axis=1),
            "uniforms": sampling.uniforms(ops.cast(seed, "int32"), rows, ops.expand_dims(counts, 1) + steps),
            "written": ops.zeros((batch, capacity), dtype="int32"),
            "counts": ops.zeros_like(counts),
            "done": ops.zeros_like(counts) > 0,
            "token": ops.zeros_like(counts),
        }
        if not self.use_cache:
            return self._write(state, self._logits(state), **options)
        positions = ops.arange(width, dtype="int32")
        back = width - ops.expand_dims(context_length(counts, self.window), 1)
        # What is padding looks at itself, for a softmax over nothing is not a number.
        itself = ops.equal(ops.expand_dims(positions, 1), positions)
        mask = ops.logical_or(ops.logical_and(_causal(width), ops.expand_dims(positions >= back, 1)), itself)
        logits, caches = self._decode(recent, ops.maximum(positions - back, 0), mask)

        def widen(cache: Any) -> Any:
            rest = ops.zeros((batch, places - width, *cache.shape[2:]), dtype=cache.dtype)
            return ops.concatenate([cache, rest], axis=1)

        state["caches"] = keras.tree.map_structure(widen, caches)
        return self._write(state, logits, **options)

    def proceed(self, state: State, until: Any, **options: Any) -> State:
        """Return the state after `until` new tokens, or when all rows have met the stop token.

        Args:
            state: From `begin` or `proceed`.
            until: int32 scalar, at most the capacity of the state.
            **options: As in `generate`.
        """

        def go_on(state: State) -> Any:
            return ops.logical_and(state["step"] < until, ops.logical_not(ops.all(state["done"])))

        def one_more(state: State) -> tuple[State]:
            column = state["column"] + 1
            place = column % ops.shape(state["recent"])[1]
            recent = ops.slice_update(state["recent"], (0, place), ops.expand_dims(state["token"], 1))
            state = {**state, "column": column, "totals": state["totals"] + 1, "recent": recent}
            if not self.use_cache:
                return (self._write(state, self._logits(state), **options),)
            logits, caches = self._next(state, place)
            return (self._write({**state, "caches": caches}, logits, **options),)

        return ops.while_loop(go_on, one_more, (state,))[0]

    @staticmethod
    def _write(state: State, logits: Any, *, stop_token: Any = -1, **keywords: Any) -> State:
        """The state with the next token chosen."""
        uniform = ops.take(state["uniforms"], state["step"], axis=1)
        token = sampling.choose(logits, uniform, **keywords)
        done = ops.logical_or(state["done"], ops.equal(token, stop_token))
        return {
            **state,
            "token": token,
            "written": ops.slice_update(state["written"], (0, state["step"]), ops.expand_dims(token, 1)),
            "done": done,
            "counts": state["counts"] + ops.cast(ops.logical_not(done), "int32"),
            "step": state["step"] + 1,
        }

    def _logits(self, state: State) -> Any:
        """Logits after the newest token, from the whole context and the model as it is."""
        length = context_length(state["totals"], self.window)
        places = ops.shape(state["recent"])[1]
        oldest = ops.expand_dims(state["column"] - length + 1, 1)
        tokens = ops.take_along_axis(state["recent"], (oldest + ops.arange(places, dtype="int32")) % places, axis=1)
        if fixed := self.model.inputs[0].shape[1]:
            # What stands behind the context changes nothing before it.
            tokens = ops.concatenate([tokens, ops.zeros((ops.shape(tokens)[0], fixed - places), dtype="int32")], axis=1)
        logits = self.model(tokens, training=False)
        return ops.take_along_axis(logits, ops.expand_dims(length - 1, (1, 2)), axis=1)[:, 0]

    def _next(self, state: State, place: Any) -> tuple[Any, Any]:
        """Logits after the newest token, from this token and the caches, and the new caches."""
        length = ops.expand_dims(context_length(state["totals"], self.window), 1)
        places = ops.shape(state["recent"])[1]
        age = (place - ops.arange(places, dtype="int32")) % places
        mask = ops.expand_dims(age < length, 1)
        positions = length - 1
        logits, caches = self._decode(ops.expand_dims(state["token"], 1), positions, mask, place, state["caches"])
        if self.window is None or (isinstance(places, int) and places < self.window):
            return logits, caches
        half = max(self.window // 2, 1)
        restarts = ops.logical_and(state["totals"] > self.window, ops.equal(length[:, 0], half))

        def restart() -> tuple[Any, Any]:
            # Each row that restarts has exactly half a window of tokens: the last ones of the ring.
            block = (place - half + 1 + ops.arange(half, dtype="int32")) % places
            tokens = ops.take(state["recent"], block, axis=1)
            positions = ops.zeros_like(tokens) + ops.arange(half, dtype="int32")
            again, kept = self._decode(tokens, positions, ops.expand_dims(_causal(half), 0))

            def replace(cache: Any, new: Any) -> Any:
                new = ops.take(new, ops.maximum(half - 1 - age, 0), axis=1)
                theirs = ops.logical_and(ops.expand_dims(restarts, 1), age < half)
                return ops.where(ops.expand_dims(theirs, (2, 3)), new, cache)

            chosen = ops.where(ops.expand_dims(restarts, 1), again, logits)
            return chosen, keras.tree.map_structure(replace, caches, kept)

        return ops.cond(ops.any(restarts), restart, lambda: (logits, caches))

    def _decode(self, tokens: Any, positions: Any, mask: Any, index: Any = None, caches: Any = None) -> tuple[Any, Any]:
        """Run the decoder; without caches on the tokens alone."""
        if caches is None:
            caches, index = empty_caches(self.decoder, *ops.shape(tokens)), ops.zeros((), dtype="int32")
        found = self.decoder(
            {"tokens": tokens, "token_positions": positions, "mask": mask, "index": index, "caches": caches},
            training=False,
        )
        return found["logits"], found["caches"]
