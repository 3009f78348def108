"""A language model as its users see it: prompts in, texts out, live and inside a SavedModel."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import keras
import numpy as np

from kerasdl.errors import InputError
from kerasdl.export.outputs import DEFAULTS, Outputs, parity_batches
from kerasdl.export.parity import Trial
from kerasdl.export.raw_texts import as_texts
from kerasdl.export.text_classifier import ODD_TEXTS, Tokenizer
from kerasdl.export.token_ids import vocabulary_facts

TYPES = {"max_new_tokens": "int32", "temperature": "float32", "top_k": "int32", "top_p": "float32", "seed": "int32"}
# Prompts that an export is proven by, and how many tokens are written after each.
PROMPTS, NEW_TOKENS = 7, 32
PROMPT_CHARACTERS = 40
# Where two tokens are as likely as this, in logits, rounding decides which is the likelier.
NEAR = 1e-3
END_OF_TEXT = 0
# Tokens written before it is looked whether a text to stop at has come.
STOP_EVERY = 16


class TextTokenizer(Tokenizer, Protocol):
    """What turns texts into ids of tokens and back, here and in a graph."""

    def decode(self, ids: np.ndarray) -> str:
        """Return the text of some ids."""

    def decode_tensor(self, ids: Any) -> Any:
        """Return the texts of ragged ids, a string tensor (count,)."""


class GraphGenerator(Protocol):
    """The loop that writes tokens, as :class:`kerasdl.models.Generator`."""

    window: int | None
    """The most tokens that are looked at, None for all."""

    def generate(
        self, tokens: Any, lengths: Any, *, max_new_tokens: Any, seed: Any = 0, rows: Any = None, **sampling: Any
    ) -> tuple[Any, Any]:
        """Return the tokens after each prompt, and how many of each row come before its stop token."""


class TextGenerator:
    """A trained language model together with the vocabulary between texts and its tokens.

    Args:
        model: int32 token ids (count, length) in, logits of the next ones (count, length, vocabulary) out.
        tokenizer: From texts to ids and back.
        generate: `(prompts as ids, **options) -> new ids of each`, see `kerasdl.models.generate_tokens`.
        stream: The same piece by piece, see `kerasdl.models.stream_tokens`.
        generator: The same for a graph.
        sequence_length: Tokens of a text that are scored, from its start.
    """

    def __init__(
        self,
        model: keras.Model,
        *,
        tokenizer: TextTokenizer,
        generate: Callable[..., Sequence[np.ndarray]],
        stream: Callable[..., Iterator[Sequence[np.ndarray]]],
        generator: GraphGenerator,
        sequence_length: int,
    ):
        self.model = model
        self.sequence_length = sequence_length
        self._tokenizer = tokenizer
        self._generate = generate
        self._stream = stream
        self._generator = generator

    def predict(self, raw: Any, **options: Any) -> Outputs:
        """Go on with texts, as the live model does.

        Args:
            raw: A prompt or many.
            **options: Of `kerasdl.models.generate_tokens`; by default 64 tokens at a temperature of 0.8.

        Returns:
            "text": each prompt with what follows it, object (count,).
        """
        texts = np.empty(len(as_texts(raw)), dtype=object)
        texts[:] = self.write(raw, **options)
        return {"text": texts}

    def write(self, raw: Any, *, stop: str | None = None, **options: Any) -> list[str]:
        """Return each prompt with what follows it, up to `stop`; other arguments as of :meth:`predict`."""
        prompts = as_texts(raw)
        ids, options = self._tokenizer.encode(list(prompts)), self._options(stop, options)
        if stop is None:
            found = [self._tokenizer.decode(tokens) for tokens in self._generate(ids, **options)]
        else:
            found = [""] * len(prompts)
            tokens = [np.zeros(0, np.int32)] * len(prompts)
            for pieces in self._stream(ids, every=STOP_EVERY, **options):
                tokens = [np.concatenate(pair) for pair in zip(tokens, pieces, strict=True)]
                found = [self._tokenizer.decode(row) for row in tokens]
                if all(stop in text for text in found):
                    break
            found = [text.split(stop)[0] for text in found]
        return [prompt + text for prompt, text in zip(prompts, found, strict=True)]

    @staticmethod
    def _options(stop: str | None, options: Mapping[str, Any]) -> dict[str, Any]:
        if stop is not None and (not isinstance(stop, str) or not stop):
            raise InputError("stop", received=repr(stop), expected="a text, or None", mend="Leave stop out.")
        return {**DEFAULTS, "top_k": None, "top_p": None, **options, "stop_token": END_OF_TEXT}

    def stream(self, raw: str, *, stop: str | None = None, **options: Any) -> Iterator[str]:
        """Return an iterator over the new text after one prompt, piece by piece; arguments as of :meth:`write`."""
        if not isinstance(raw, (str, bytes)):
            raise InputError("prompt", received="many prompts", expected="one to stream", mend="Pass a string.")
        ids = self._tokenizer.encode(list(as_texts(raw)))
        pieces = self._stream(ids, every=1, **self._options(stop, options))

        def texts() -> Iterator[str]:
            tokens, told = np.zeros(0, np.int32), 0
            for (piece,) in pieces:
                tokens = np.concatenate([tokens, piece])
                text = self._tokenizer.decode(tokens)
                end = text.find(stop) if stop else -1
                # A character may not be whole yet, and the end of what is there may be the start of `stop`.
                ready = end if end >= 0 else len(text.rstrip("\ufffd")) - (len(stop) - 1 if stop else 0)
                if ready > told:
                    yield text[told:ready]
                    told = ready
                if end >= 0:
                    return
            rest = self._tokenizer.decode(tokens)[told:]
            if rest:
                yield rest

        return texts()

    def signatures(self) -> dict[str, tuple[Callable[..., dict[str, Any]], list[Any]]]:
        """Return what goes into a SavedModel: prompts in, with no other file."""
        import tensorflow as tf

        def generate(
            prompt: Any, max_new_tokens: Any, temperature: Any, top_k: Any, top_p: Any, seed: Any
        ) -> dict[str, Any]:
            ids = self._tokenizer.encode_tensor(prompt)
            lengths = tf.cast(ids.row_lengths(), tf.int32)
            tokens = ids.to_tensor(0)
            # A prompt has to have one place at least.
            tokens = tf.pad(tokens, [[0, 0], [0, tf.cast(tf.shape(tokens)[1] == 0, tf.int32)]])
            written, counts = self._generator.generate(
                tokens,
                lengths,
                max_new_tokens=tf.maximum(max_new_tokens, 1),
                seed=seed,
                temperature=temperature,
                top_k=top_k,
                top_p=top_p,
                stop_token=tf.constant(END_OF_TEXT),
            )
            new = self._tokenizer.decode_tensor(tf.RaggedTensor.from_tensor(written, lengths=counts))
            return {"text": tf.strings.join([prompt, new])}

        def complete(prompt: Any) -> dict[str, Any]:
            return generate(prompt, **{name: tf.constant(value, TYPES[name]) for name, value in DEFAULTS.items()})

        def score(text: Any) -> dict[str, Any]:
            ids = self._tokenizer.encode_tensor(text)[:, : self.sequence_length]
            return {"loss": self._loss(ids.to_tensor(0), tf.cast(ids.row_lengths(), tf.int32))}

        prompt = tf.TensorSpec((None,), tf.string, name="prompt")
        scalars = [tf.TensorSpec((), TYPES[name], name=name) for name in DEFAULTS]
        return {
            "serving_default": (complete, [prompt]),
            "generate": (generate, [prompt, *scalars]),
            "score": (score, [tf.TensorSpec((None,), tf.string, name="text")]),
        }

    def _loss(self, targets: Any, lengths: Any) -> Any:
        """Return the mean loss of each row's first `lengths` tokens, in nats, each foretold from those before it."""
        ops = keras.ops
        # The end of another text comes before the first. Two places at least, as the model has to be given one.
        targets = ops.pad(targets, [[0, 0], [0, 1]])
        inputs = ops.pad(targets[:, :-1], [[0, 0], [1, 0]])
        losses = ops.sparse_categorical_crossentropy(targets, self.model(inputs, training=False), from_logits=True)
        counted = ops.arange(ops.shape(targets)[1], dtype="int32") < ops.expand_dims(lengths, 1)
        return ops.sum(ops.where(counted, losses, 0.0), axis=1) / ops.maximum(ops.cast(lengths, "float32"), 1.0)

    def score(self, texts: Sequence[str] | np.ndarray) -> Outputs:
        """Return how well the live model foretells the start of texts.

        Args:
            texts: Strings.

        Returns:
            "loss": the mean loss of the first `sequence_length` tokens of each, in nats a token, float32 (count,).
        """
        ids = [row[: self.sequence_length] for row in self._tokenizer.encode(list(texts))]
        lengths = np.array([len(row) for row in ids], np.int32)
        targets = np.zeros((len(ids), lengths.max(initial=0)), np.int32)
        for row, filled in zip(targets, ids, strict=True):
            row[: len(filled)] = filled
        loss = self._loss(keras.ops.convert_to_tensor(targets), keras.ops.convert_to_tensor(lengths))
        return {"loss": keras.ops.convert_to_numpy(loss)}

    def trials(self, examples: np.ndarray, *, tolerance: float) -> Iterator[Trial]:
        """Yield texts to score, then prompts to go on with: by the likeliest token, drawn, and as a default."""
        yield from self._scored(examples)
        yield self._written(examples, {"temperature": 0.0})
        yield self._written(examples, {"temperature": 0.8, "top_k": 20, "top_p": 0.9, "seed": 3})
        prompts = _prompts(examples)
        expected = self.predict(list(prompts))
        yield Trial("serving_default", {"prompt": prompts}, expected, {"text": self._near(prompts, expected["text"])})

    def _scored(self, examples: np.ndarray) -> Iterator[Trial]:
        for texts in (np.array(ODD_TEXTS, dtype=object), examples):
            loss = self.score(texts)["loss"]
            for size in parity_batches(len(texts)):
                yield Trial("score", {"text": texts[:size]}, {"loss": loss[:size]}, {})

    def _written(self, examples: np.ndarray, drawn: Mapping[str, Any]) -> Trial:
        prompts, options = _prompts(examples), {**DEFAULTS, "max_new_tokens": NEW_TOKENS, **drawn}
        live = {name: value or None if name.startswith("top_") else value for name, value in options.items()}
        expected = self.predict(list(prompts), **live)
        near = self._near(prompts, expected["text"])
        return Trial("generate", {"prompt": prompts, **options}, expected, {"text": near})

    def _near(self, prompts: np.ndarray, texts: np.ndarray) -> np.ndarray:
        """Return in which texts, bool (count,), a token after the prompt was so near another that rounding decides."""
        near = []
        for prompt, text in zip(prompts, texts, strict=True):
            before, whole = (self._tokenizer.encode([each])[0] for each in (prompt, text))
            ids = whole[-self.sequence_length :] if len(whole) else np.zeros(1, np.int32)
            logits = keras.ops.convert_to_numpy(self.model(ids[None], training=False))[0]
            top = np.sort(logits[-(len(whole) - len(before) + 1) :], axis=-1)
            near.append(bool((top[:, -1] - top[:, -2] < NEAR).any()))
        return np.array(near)

    def raw_trials(self, examples: np.ndarray, *, tolerance: float) -> Iterator[Trial]:
        """Yield texts to score, and prompts to go on with by the likeliest token.

        None by draws: other kernels' rounding may move what is drawn, if seldom.
        """
        yield from self._scored(examples)
        yield self._written(examples, {"temperature": 0.0})

    def network_facts(self) -> dict[str, Any]:
        """Return the vocabulary, and how many tokens are looked at."""
        return {
            "vocabulary": vocabulary_facts(self._tokenizer),
            "window": self._generator.window,
            "fixed_length": self.model.inputs[0].shape[1],
        }

    def description(self) -> dict[str, Any]:
        """Return what somebody who loads the export must know."""
        return {"inputs": "prompt", "sequence_length": self.sequence_length}


def _prompts(examples: np.ndarray) -> np.ndarray:
    return np.array([text[:PROMPT_CHARACTERS] for text in [*ODD_TEXTS, *examples[:PROMPTS]]], dtype=object)
