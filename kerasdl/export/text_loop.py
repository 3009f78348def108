"""A language model around a network alone: the loop that writes token after token. Needs NumPy only.

It writes what `kerasdl.models.Generator` writes, draw for draw, as far as the runtimes' logits are alike; all of the
context is computed anew for each token, since these networks have no caches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kerasdl.export.formats import Network
from kerasdl.export.outputs import DEFAULTS, Outputs, softmax
from kerasdl.export.raw_texts import as_texts
from kerasdl.export.token_ids import TokenIds
from kerasdl.padding import padded_length

END_OF_TEXT = 0


class TextLoop:
    """Prompts to texts.

    Args:
        facts: The description of an export, with "vocabulary", "window", the most tokens that are looked at, and
            "fixed_length", the length that the network takes, None for any.
        network: From int32 token ids (count, length) to logits (count, length, vocabulary).
    """

    def __init__(self, facts: Mapping[str, Any], network: Network):
        self.facts, self._network = facts, network
        self._token_ids = TokenIds(facts["vocabulary"])
        self._window, self._fixed = facts["window"], facts["fixed_length"]

    def predict(self, raw: Any) -> Outputs:
        """Go on with texts as the defaults say; see :meth:`kerasdl.export.TextGenerator.predict`."""
        return self.answer("serving_default", {"prompt": as_texts(raw)})

    def answer(self, signature: str, inputs: Mapping[str, Any]) -> Outputs:
        """Answer as the signature of a SavedModel with this name does."""
        if signature == "score":
            return {"loss": self.score(list(inputs["text"]))}
        options = {name: value for name, value in inputs.items() if name != "prompt"}
        texts = np.empty(len(inputs["prompt"]), dtype=object)
        texts[:] = self.write(list(inputs["prompt"]), **options)
        return {"text": texts}

    def write(self, prompts: Sequence[str], **options: Any) -> list[str]:
        """Return each prompt with what follows it; options as of :meth:`kerasdl.export.Exported.generate`."""
        chosen = {**DEFAULTS, **options}
        rows = [row if len(row) else np.zeros(1, np.int32) for row in self._token_ids(list(prompts))]
        begins = [len(row) for row in rows]
        done = np.zeros(len(rows), bool)
        seed = np.array(chosen["seed"], np.int64).astype(np.uint32)
        for _ in range(max(1, int(chosen["max_new_tokens"]))):
            positions = np.array([len(row) for row in rows])
            uniform = uniforms(seed, np.arange(len(rows)), positions)
            tokens = choose(self._next(rows), uniform, **{n: chosen[n] for n in ("temperature", "top_k", "top_p")})
            done |= tokens == END_OF_TEXT
            rows = [row if end else np.append(row, token) for row, end, token in zip(rows, done, tokens, strict=True)]
            if done.all():
                break
        new = [self._token_ids.text(row[begin:]) for row, begin in zip(rows, begins, strict=True)]
        return [prompt + text for prompt, text in zip(prompts, new, strict=True)]

    def _next(self, rows: Sequence[np.ndarray]) -> np.ndarray:
        contexts = [row[-self._context(len(row)) :] for row in rows]
        logits = self._logits(contexts)
        return logits[np.arange(len(rows)), [len(context) - 1 for context in contexts]]

    def _context(self, count: int) -> int:
        """Return how many of so many tokens are looked at, as `kerasdl.models.windows.context_length` has it."""
        if self._window is None or count <= self._window:
            return count
        half = max(self._window // 2, 1)
        return half + (count - self._window - 1) % (self._window - half + 1)

    def _logits(self, rows: Sequence[np.ndarray]) -> np.ndarray:
        # What stands behind a row changes nothing before it.
        longest = max(map(len, rows))
        width = self._fixed or max(longest, min(padded_length(longest), self._window or longest))
        ids = np.zeros((len(rows), width), np.int32)
        for filled, row in zip(ids, rows, strict=True):
            filled[: len(row)] = row
        return self._network(ids)

    def score(self, texts: Sequence[str]) -> np.ndarray:
        """Return the mean loss of the start of each text, in nats a token, float32 (count,)."""
        ids = [row[: self.facts["sequence_length"]] for row in self._token_ids(texts)]
        # The end of another text comes before the first token.
        logits = self._logits([np.concatenate([[0], row[:-1]]).astype(np.int32) for row in ids])
        losses = np.zeros(len(ids), np.float32)
        for index, row in enumerate(ids):
            if len(row):
                found = logits[index, : len(row)].astype(np.float64)
                highest = found.max(axis=-1, keepdims=True)
                sums = np.log(np.exp(found - highest).sum(axis=-1)) + highest[:, 0]
                losses[index] = (sums - found[np.arange(len(row)), row]).mean()
        return losses


def uniforms(seed: np.ndarray, rows: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Return uniform numbers in [0, 1), float32 (count,), those of `kerasdl.models.sampling.uniforms`.

    Reference: Salmon et al., Parallel random numbers: as easy as 1, 2, 3, 2011
    """
    key = (np.broadcast_to(seed, rows.shape).astype(np.uint32), rows.astype(np.uint32))
    keys = (*key, key[0] ^ key[1] ^ np.uint32(0x1BD11BDA))
    x, y = positions.astype(np.uint32) + keys[0], keys[1]
    for turn in range(5):
        for bits in ((13, 15, 26, 6), (17, 29, 16, 24))[turn % 2]:
            x = x + y
            y = ((y << np.uint32(bits)) | (y >> np.uint32(32 - bits))) ^ x
        x, y = x + keys[(turn + 1) % 3], y + keys[(turn + 2) % 3] + np.uint32(turn + 1)
    return (x >> np.uint32(9)).astype(np.float32) * np.float32(2.0**-23)


def choose(logits: np.ndarray, uniform: np.ndarray, *, temperature: float, top_k: int, top_p: float) -> np.ndarray:
    """Return the chosen token of each row, int32 (count,), as `kerasdl.models.sampling.choose` does.

    Args:
        logits: float32 (count, vocabulary).
        uniform: Where in the distribution each row is drawn, (count,).
        temperature: That the logits are divided by; 0 takes the most likely token.
        top_k: Draw among that many of the most likely; 0 for all.
        top_p: Then among as few of the most likely as have this probability together; 1 for all.
    """
    if temperature <= 0:
        return logits.argmax(axis=-1).astype(np.int32)
    scaled = logits / np.float32(temperature)
    # Of equal ones the first are kept.
    order = np.argsort(-scaled, axis=-1, kind="stable")
    shares = softmax(scaled)
    if top_k or top_p < 1:
        listed = np.arange(scaled.shape[-1]) < (top_k or scaled.shape[-1])
        ordered = softmax(np.where(listed, np.take_along_axis(scaled, order, axis=-1), -np.inf))
        before = np.cumsum(ordered, axis=-1) - ordered
        kept = listed & ~((before >= np.float32(top_p)) & (top_p < 1))
        chosen = np.zeros(scaled.shape, bool)
        np.put_along_axis(chosen, order, kept, axis=-1)
        shares = softmax(np.where(chosen, scaled, -np.inf))
    sums = np.cumsum(shares, axis=-1)
    reached = (sums > uniform[:, None] * sums[:, -1:]) & (shares > 0)
    return reached.argmax(axis=-1).astype(np.int32)
