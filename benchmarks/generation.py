"""What kept keys and values are worth: tokens a second with and without them, and the cost of a token by its position.

    python benchmarks/generation.py [--sizes gpt_tiny gpt_small] [--tokens 512] [--positions 64 256 512]

Each size is built with 257 tokens and random weights, and writes greedily after a prompt of one token: "cached", the
default; "uncached", with `use_cache=False`, where the loop on the device computes the whole context at its full size
for each token; and "growing", a loop in Python over a compiled model that is given just the tokens so far, which has
half as much to compute: the strongest rival, with XLA and without. All are compiled and warm, and take turns within a
run; the median of the turns is shown. Ways without a cache are timed at some positions only (`--parts`), evenly spread,
for they are slow. Expected: at least ten times the tokens a second of each, and a cost of a cached token that does not
grow with its position. A few minutes on two cores.
"""

from __future__ import annotations

import argparse
import functools
import statistics
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from kerasdl import models
from kerasdl.compiling import compiled
from kerasdl.models.generator import Generator


def seconds(call: Callable[[], Any]) -> float:
    """Return how long `call` takes until its result is on the host."""
    start = time.perf_counter()
    keras.tree.map_structure(ops.convert_to_numpy, call())
    return time.perf_counter() - start


class Loop:
    """A compiled loop that goes on from any number of tokens."""

    def __init__(self, model: keras.Model, tokens: int, *, use_cache: bool):
        made = Generator(model, use_cache=use_cache)
        prompt, lengths = ops.ones((1, 1), dtype="int32"), ops.ones((1,), dtype="int32")
        begin = compiled(lambda *prompts: made.begin(*prompts, capacity=tokens), model.variables)
        self._proceed = compiled(made.proceed, model.variables, jit_compile=True)
        self.start = begin(prompt, lengths)
        self.proceed(self.start, 2)

    def proceed(self, state: Any, until: int) -> Any:
        """Return the state after `until` new tokens."""
        return self._proceed(state, ops.convert_to_tensor(until, dtype="int32"))

    def at(self, position: int) -> Any:
        """Return a state with `position` tokens written; their values do not matter."""
        step = ops.convert_to_tensor(position, dtype="int32")
        # a prompt of one token: its column is 0
        return {**self.start, "step": step, "column": step - 1, "totals": self.start["totals"] + position - 1}

    def token_at(self, position: int, count: int) -> float:
        """Return the seconds that each of `count` tokens from `position` on takes."""
        state = self.at(position)
        # what a call costs without a token: state in, state out
        rest = seconds(lambda: self.proceed(state, position)["token"])
        return (seconds(lambda: self.proceed(state, position + count)["token"]) - rest) / count


def growing(model: keras.Model, *, jit_compile: bool) -> Callable[[int], float]:
    """Return the time of one token at a position, computed from just the tokens before it."""
    program = compiled(lambda tokens: model(tokens, training=False)[:, -1], model.variables, jit_compile=jit_compile)
    tokens = {}

    def at(position: int) -> float:
        if position not in tokens:
            tokens[position] = ops.ones((1, position), dtype="int32")
            program(tokens[position])
        return seconds(lambda: ops.argmax(program(tokens[position]), axis=-1))

    return at


def row(size: str, *, tokens: int, positions: list[int], parts: int, turns: int) -> None:
    """Time one size and print its lines."""
    model = getattr(models, size)(None, 257)
    cached, uncached = Loop(model, tokens, use_cache=True), Loop(model, tokens, use_cache=False)
    spread = np.linspace(1, tokens - 2, parts).astype(int).tolist()
    ways: dict[str, Callable[[], float]] = {
        "cached": lambda: seconds(lambda: cached.proceed(cached.start, tokens)["token"]),
        "uncached": lambda: tokens * statistics.mean(uncached.token_at(place, 1) for place in spread),
    }
    for name, jit_compile in {"growing": False, "growing, XLA": True}.items():
        ways[name] = functools.partial(whole_text, growing(model, jit_compile=jit_compile), tokens, spread)
    for position in positions:
        # a few tokens that end at the position
        ways[f"position {position}"] = functools.partial(cached.token_at, position - 32, 32)
    turn_by_turn = [{name: way() for name, way in ways.items()} for _ in range(turns + 1)][1:]
    found = {name: statistics.median(turn[name] for turn in turn_by_turn) for name in ways}
    for name in list(ways)[: -len(positions)]:
        rate, ratio = tokens / found[name], found[name] / found["cached"]
        print(f"{size:<10} {name:<13} {rate:>9.1f} tokens/s   cached is {ratio:>6.1f} times as fast", flush=True)
    costs = [f"{position}: {1000 * found[f'position {position}']:.2f} ms" for position in positions]
    print(f"{size:<10} a cached token at position   {'   '.join(costs)}", flush=True)


def whole_text(token_at: Callable[[int], float], tokens: int, spread: list[int]) -> float:
    """Return the seconds that all tokens take, from those at some positions."""
    return tokens * statistics.mean(token_at(place) for place in spread)


def main() -> None:
    """Time all sizes and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", default=["gpt_tiny", "gpt_small"])
    parser.add_argument("--tokens", type=int, default=512)
    parser.add_argument("--positions", nargs="+", type=int, default=[64, 256, 512])
    parser.add_argument("--parts", type=int, default=8)
    parser.add_argument("--turns", type=int, default=3)
    arguments = vars(parser.parse_args())
    print(f"{arguments['tokens']} new tokens, batch of 1, {keras.backend.backend()} backend, float32")
    for size in arguments.pop("sizes"):
        row(size, **arguments)


if __name__ == "__main__":
    main()
