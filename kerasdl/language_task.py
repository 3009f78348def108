"""Language modelling as a task: text in, how well its next tokens are foretold, and text that goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasdl.data.packing import PackedTokens
from kerasdl.data.vocabulary import Vocabulary
from kerasdl.language_measuring import language_baselines, language_metrics
from kerasdl.spread import spread

if TYPE_CHECKING:
    import keras

    from kerasdl.data import Dataset, Split
    from kerasdl.export import Exported, TextGenerator

# Windows of text that the diagnosis compares, and characters of the sample in the report.
WINDOWS, SAMPLE_TOKENS = 128, 500


class LanguageModelling:
    """The task of a language model, see :class:`kerasdl.task.Task`.

    Args:
        vocabulary: Between texts and tokens: bytes or characters; also as its `as_dict` gives it.
        sequence_length: Tokens that the model looks at.
    """

    kind = "language"
    class_names: tuple[str, ...] = ()
    multi_label = False

    def __init__(self, *, vocabulary: Vocabulary | Mapping[str, Any], sequence_length: int):
        self.vocabulary = vocabulary if isinstance(vocabulary, Vocabulary) else Vocabulary.from_dict(vocabulary)
        self.sequence_length = sequence_length

    def examples(self, split: Split) -> PackedTokens:
        """Return the text of a split as windows of tokens."""
        return PackedTokens(split.inputs, self.vocabulary, self.sequence_length)

    def measure(self, model: keras.Model, split: Split, *, batch_size: int) -> dict[str, float]:
        """Return bits per byte, perplexity and loss: see :func:`kerasdl.language_measuring.language_metrics`."""
        return language_metrics(
            model, split.inputs, self.vocabulary, sequence_length=self.sequence_length, batch_size=batch_size
        )

    def goodness(self, model: keras.Model, split: Split, *, batch_size: int) -> np.ndarray:
        """Return minus the loss of windows that are spread over a split, in nats a token."""
        return -self._losses(model, split)

    def measure_export(self, exported: Exported, split: Split) -> dict[str, float]:
        """Return the same of a network that was exported alone; a SavedModel's signatures do not tell its logits."""
        network = getattr(exported, "network", None)
        if network is None:
            return {}
        return language_metrics(_Model(network), split.inputs, self.vocabulary, sequence_length=self.sequence_length)

    def baselines(self, dataset: Dataset) -> dict[str, dict[str, float]]:
        """Return what n-grams and a compressor reach: see :func:`kerasdl.language_measuring.language_baselines`."""
        return language_baselines(dataset, self.vocabulary)

    def diagnose(
        self,
        model: keras.Model,
        dataset: Dataset,
        *,
        history: Mapping[str, Sequence[float]],
        config: Mapping[str, Any],
    ) -> list[Any]:
        """Return the findings on a training: see :func:`kerasdl.diagnostics.diagnose_language_model`."""
        from kerasdl.diagnostics import diagnose_language_model

        train, validation = (self._losses(model, split) for split in (dataset.train, dataset.validation))
        return diagnose_language_model(history=history, config=config, train_losses=train, validation_losses=validation)

    def _losses(self, model: keras.Model, split: Split) -> np.ndarray:
        import keras

        windows = self.examples(split)
        inputs, targets = windows.batch(spread(len(windows), WINDOWS))
        losses = [
            keras.ops.convert_to_numpy(
                keras.ops.sparse_categorical_crossentropy(
                    targets[index : index + 1], model.predict_on_batch(inputs[index : index + 1]), from_logits=True
                )
            ).mean()
            for index in range(len(inputs))
        ]
        return np.array(losses)

    def report(self, model: keras.Model, dataset: Dataset, *, batch_size: int) -> dict[str, Any]:
        """Return what the report shows: how the model goes on with the start of the test split."""
        prompt = dataset.test.inputs[0][:60]
        text = self.predictor(model).predict(prompt, max_new_tokens=SAMPLE_TOKENS, temperature=0.8)["text"][0]
        return {"texts": {f"Sample: what the model writes after {prompt!r}, at a temperature of 0.8": text}}

    def predictor(self, model: keras.Model) -> TextGenerator:
        """Return what goes on with texts by the model."""
        import functools

        from kerasdl.export import TextGenerator
        from kerasdl.models import Generator, generate_tokens, stream_tokens

        return TextGenerator(
            model,
            tokenizer=self.vocabulary,
            generate=functools.partial(generate_tokens, model, window=self.sequence_length),
            stream=functools.partial(stream_tokens, model, window=self.sequence_length),
            generator=Generator(model, window=self.sequence_length),
            sequence_length=self.sequence_length,
        )

    def load_split(self, data: Any) -> Split:
        """Load other text: the test split if the data bring one, else all of it."""
        from kerasdl.data import load_split

        return load_split(data, kind=self.kind)

    def load_keywords(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Return nothing: text is loaded as it is."""
        return {}

    def as_dict(self) -> dict[str, Any]:
        """Return all that makes the task, for JSON."""
        return {
            "kind": self.kind,
            "vocabulary": self.vocabulary.as_dict(),
            "sequence_length": self.sequence_length,
        }


class _Model:
    """A network as :func:`kerasdl.language_measuring.language_metrics` takes models."""

    def __init__(self, network: Any):
        self.predict_on_batch = network
