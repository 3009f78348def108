"""Text classification as a task: strings in, the scores of classes out, with the vocabulary between."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasdl import measuring
from kerasdl.baselines import bag_of_words
from kerasdl.data.token_examples import TokenExamples
from kerasdl.data.vocabulary import Vocabulary
from kerasdl.padding import pad

if TYPE_CHECKING:
    import keras

    from kerasdl.data import Dataset, Split
    from kerasdl.export import TextClassifier


class TextClassification(measuring.Classification):
    """The task of a text classifier, see :class:`kerasdl.task.Task`.

    Args:
        class_names: Name of each class, in the order of the logits.
        multi_label: Whether several classes of a text may be true at once.
        vocabulary: From texts to the ids of their tokens; also as its `as_dict` gives it.
        sequence_length: Tokens of a text that are read, from its start.
    """

    kind = "text"

    def __init__(
        self,
        class_names: Sequence[str],
        *,
        multi_label: bool,
        vocabulary: Vocabulary | Mapping[str, Any],
        sequence_length: int,
    ):
        super().__init__(class_names, multi_label=multi_label)
        self.vocabulary = vocabulary if isinstance(vocabulary, Vocabulary) else Vocabulary.from_dict(vocabulary)
        self.sequence_length = sequence_length

    @classmethod
    def of(cls, dataset: Dataset, *, vocabulary: Vocabulary, sequence_length: int) -> TextClassification:
        """Return the task that a dataset sets."""
        return cls(
            dataset.class_names,
            multi_label=dataset.multi_label,
            vocabulary=vocabulary,
            sequence_length=sequence_length,
        )

    def examples(self, split: Split) -> TokenExamples:
        """Return the texts of a split as token ids."""
        sequences = self.vocabulary.encode(split.inputs)
        return TokenExamples(sequences, split.targets, sequence_length=self.sequence_length)

    def scores(self, model: keras.Model, split: Split, *, batch_size: int) -> np.ndarray:
        """Return what the model says of every text of a split."""
        return self.scores_by_length(model, split, batch_size=batch_size)

    def learnt(self, model: keras.Model) -> keras.Model:
        """Return the network without the linear part, which knows its training texts by heart and is no fault of it."""
        from kerasdl.linear_terms import network_alone

        return network_alone(model)

    def baselines(self, dataset: Dataset) -> dict[str, dict[str, float]]:
        """Return what a linear model on bags of words reaches: see :func:`kerasdl.baselines.bag_of_words`."""
        return bag_of_words(dataset)

    def predictor(self, model: keras.Model) -> TextClassifier:
        """Return what classifies raw texts with the model."""
        from kerasdl.export import TextClassifier

        return TextClassifier(
            model,
            self.class_names,
            tokenizer=self.vocabulary,
            pad=pad,
            sequence_length=self.sequence_length,
            multi_label=self.multi_label,
        )

    def load_split(self, data: Any) -> Split:
        """Load other texts."""
        from kerasdl.data import load_split

        return load_split(data, kind=self.kind, class_names=self.class_names, multi_label=self.multi_label)

    def load_keywords(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Return the number of classes that the run's texts were loaded with."""
        return {"num_classes": config["num_classes"]} | measuring.deduplication(config)

    def as_dict(self) -> dict[str, Any]:
        """Return all that makes the task, for JSON."""
        return super().as_dict() | {
            "vocabulary": self.vocabulary.as_dict(),
            "sequence_length": self.sequence_length,
        }
