"""A text classifier as its users see it: strings in, `scores` and `label` out, live and inside a SavedModel."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import keras
import numpy as np

from kerasdl.export.outputs import Outputs, from_logits, from_logits_in_graph
from kerasdl.export.parity import Trial, classifier_trials
from kerasdl.export.raw_texts import predict_raw_texts
from kerasdl.export.token_ids import vocabulary_facts

# What texts of users look like that test splits do not have.
ODD_TEXTS = ("", " ", "🙂 👩‍👩‍👧 naïve ÉTÉ", "a\x00b\n\tc", "word " * 10_000)


class Tokenizer(Protocol):
    """What turns texts into ids of tokens, here and in a graph."""

    def encode(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Return the ids of each text."""

    def encode_tensor(self, texts: Any) -> Any:
        """Return the ids of a string tensor (count,), a ragged tensor."""

    def as_dict(self) -> dict[str, Any]:
        """Return all that makes it, for JSON."""

    def folding(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Return which code points are taken for which others, None where all stay as they are."""


class TextClassifier:
    """A trained model together with the vocabulary that turns texts into its inputs, and its logits into answers.

    Args:
        model: int32 token ids (count, length) in, 0 being padding on the right; logits (count, classes) out.
        class_names: Name of each class, in the order of the logits.
        tokenizer: From texts to ids, the one that training used.
        pad: From sequences of ids to int32 (count, length), the one that training used.
        sequence_length: Tokens of a text that are read, from its start.
        multi_label: Whether several classes of a text may be true at once.
    """

    def __init__(
        self,
        model: keras.Model,
        class_names: Sequence[str],
        *,
        tokenizer: Tokenizer,
        pad: Callable[[Sequence[np.ndarray]], np.ndarray],
        sequence_length: int,
        multi_label: bool = False,
    ):
        self.model = model
        self.class_names = tuple(class_names)
        self.multi_label = multi_label
        self.sequence_length = sequence_length
        self._tokenizer = tokenizer
        self._pad = pad

    def predict(self, raw: Any) -> Outputs:
        """Classify texts with the live model.

        Args:
            raw: A string or many, see :func:`kerasdl.export.raw_texts.predict_raw_texts`.

        Returns:
            "scores": float32 (count, classes), each row sums to 1; "label": the best class's name, object (count,). Of
            a multi-label model each score is in [0, 1] by itself, and "present", bool (count, classes), says which are
            above 0.5.
        """
        return predict_raw_texts(raw, on_texts=self._predict_texts)

    def _predict_texts(self, texts: np.ndarray) -> Outputs:
        ids = self._pad([sequence[: self.sequence_length] for sequence in self._tokenizer.encode(list(texts))])
        logits = self.model.predict(ids, batch_size=len(ids), verbose=0)
        return from_logits(logits, self.class_names, multi_label=self.multi_label)

    def signatures(self) -> dict[str, tuple[Callable[..., dict[str, Any]], list[Any]]]:
        """Return what goes into a SavedModel: strings in, with no other file."""
        import tensorflow as tf

        def classify(text: Any) -> dict[str, Any]:
            ids = self._tokenizer.encode_tensor(text)[:, : self.sequence_length].to_tensor(0)
            # A model has to be given one position at least.
            ids = tf.pad(ids, [[0, 0], [0, tf.cast(tf.shape(ids)[1] == 0, tf.int32)]])
            logits = self.model(ids, training=False)
            return from_logits_in_graph(logits, self.class_names, multi_label=self.multi_label)

        return {"serving_default": (classify, [tf.TensorSpec((None,), tf.string, name="text")])}

    def trials(self, examples: np.ndarray, *, tolerance: float) -> Iterator[Trial]:
        """Yield texts in several batch sizes, and odd ones."""
        for texts in (np.array(ODD_TEXTS, dtype=object), examples):
            yield from classifier_trials(
                "serving_default",
                texts,
                self.predict(texts),
                tolerance=tolerance,
                given=lambda texts: {"text": texts},
            )

    def raw_trials(self, examples: np.ndarray, *, tolerance: float) -> Iterator[Trial]:
        """Yield the same texts as lists."""
        for texts in (np.array(ODD_TEXTS, dtype=object), examples):
            yield from classifier_trials("predict", texts, self.predict(texts), tolerance=tolerance, given=list)

    def network_facts(self) -> dict[str, Any]:
        """Return the vocabulary, and of words what TensorFlow knows of characters."""
        return {"vocabulary": vocabulary_facts(self._tokenizer), "sequence_length": self.sequence_length}

    def description(self) -> dict[str, Any]:
        """Return what somebody who loads the export must know."""
        return {"inputs": "text", "class_names": list(self.class_names), "multi_label": self.multi_label}
