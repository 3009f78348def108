"""Language model: any text in, a transformer out that foretells the next byte or character and goes on with texts.

    kerasdl train language_model
    kerasdl train language_model --data kjv.txt --epochs 5

The default learns Python's own reference from 370 kB of text; what an n-gram model and `xz -9` make of the same
held-out bytes is always shown beside the result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import kerasdl
from kerasdl import configuration, keywords
from kerasdl.errors import InputError

if TYPE_CHECKING:
    import keras

# What the data depend on.
DATA_KEYWORDS: tuple[str, ...] = ()


def train(
    data: Any = "pydoc_topics",
    *,
    num_layers: int = 4,
    num_heads: int = 4,
    hidden_dim: int = 192,
    vocabulary: str = "byte",
    vocabulary_size: int | None = None,
    sequence_length: int = 256,
    dropout: float = 0.2,
    l2: float = 0.0,
    epochs: int = 20,
    batch_size: int = 16,
    optimizer: str | Mapping[str, Any] | keras.optimizers.Optimizer = "muon",
    learning_rate: float | str | None = None,
    schedule: str | Mapping[str, Any] | keras.optimizers.schedules.LearningRateSchedule | None = None,
    weight_decay: float | None = None,
    gradient_clip: float | None = 1.0,
    gradient_accumulation: int = 1,
    ema: float | None = None,
    early_stopping: int | None = None,
    keep: str = "best",
    precision: str = "float32",
    jit_compile: bool | str = "auto",
    steps_per_execution: int | str = 1,
    strategy: str | None = None,
    skip_bad_batches: int = 0,
    seed: int = 0,
    directory: str | Path | None = None,
    resume: bool = False,
    checkpoint_every: int | str = "epoch",
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: int = 1,
    versions: Mapping[str, str] | None = None,
    hardware: Mapping[str, Any] | None = None,
    data_fingerprint: str | None = None,
) -> kerasdl.Result:
    """Train a causal language model.

    Text is split by its position: the last tenth is the test split, what lies before it the validation split, which
    chooses the epoch whose weights are kept. Documents are packed one after the other, with an end-of-text token
    between; nothing is padding.

    Args:
        data: "pydoc_topics", a text file, a folder of them, a list of strings, a mapping of splits, a tf.data.Dataset
            of strings, a TFDS name, or a kerasdl.data.Dataset.
        num_layers: Blocks of attention and feed-forward layers.
        num_heads: Attention heads of each block.
        hidden_dim: Features of each token's vector.
        vocabulary: What tokens are: byte or character.
        vocabulary_size: Characters that are known at most, the most frequent of the training text; by default all.
        sequence_length: Tokens that the model sees at a time, in training and later.
        dropout: Share of features that are dropped in training, in [0, 1).
        l2: Weight of the sum of squared kernel values in the loss.
        epochs: Passes over the training text.
        batch_size: Windows of text a step.
        optimizer: sgd, nesterov, adam, adamw, rmsprop, muon, or a Keras optimizer.
        learning_rate: Highest learning rate; by default 0.01 for muon, 0.001 for the others, for sgd and nesterov 0.05;
            auto runs a range test.
        schedule: constant, cosine (the default for muon), one_cycle (the default), plateau, exponential, or a Keras
            schedule.
        weight_decay: Decoupled weight decay; by default 0.05 for adamw and muon, else 0.
        gradient_clip: Largest global norm of the gradients.
        gradient_accumulation: Batches whose gradients are averaged before one update.
        ema: Momentum of a moving average of the weights, such as 0.99.
        early_stopping: Epochs without a lower validation loss after which training stops.
        keep: The weights of which epoch are kept: best, by the validation loss, or last; not beside early_stopping.
        precision: float32, bfloat16 or float16 (mixed precision; weights and logits stay float32), or auto.
        jit_compile: XLA: true, false or auto.
        steps_per_execution: Batches that run without a return to Python, or auto. What is auto is chosen by a short
            measurement on this model and machine, at most 3 % of the expected run.
        strategy: mirrored, to train on all GPUs of the machine; each gets its part of every batch.
        skip_bad_batches: Up to so many batches whose loss is not finite are undone and passed over.
        seed: Seed of the weights, of dropout and of the order of windows.
        directory: New folder for the model, configuration, history, TensorBoard logs and report.
        resume: Go on with the run that is in `directory`, if there is one, to the bit as if it had never been killed.
        checkpoint_every: epoch (as long as that takes no more than 1 % of the time), a number of batches, or seconds as
            in "60s".
        callbacks: Further Keras callbacks.
        verbose: 0 silent, 1 a progress bar on a terminal and lines elsewhere, 2 always lines.
        versions: Recorded in `result.config`; accepted back and ignored.
        hardware: Recorded in `result.config`; accepted back and ignored.
        data_fingerprint: Recorded in `result.config`; accepted back and ignored.

    Returns:
        The result: model, history, test metrics ("bits_per_byte", "perplexity" a token, "loss" in nats a token),
        baselines, diagnosis, configuration, dataset. `result.generate(prompt)` goes on with a text.

    Raises:
        InputError: For an argument or data that cannot work, before anything is trained or written.

    Example:
        >>> result = train("pydoc_topics")
        >>> result.generate("The statement ", max_new_tokens=64)
    """
    arguments = {name: value for name, value in locals().items() if name not in configuration.RECORDED}
    arguments = resolve(**arguments)

    dataset = load(**arguments)
    known = kerasdl.data.Vocabulary.make(dataset.train.inputs, kind=vocabulary, size=vocabulary_size)
    task = kerasdl.LanguageModelling(vocabulary=known, sequence_length=sequence_length)
    examples, held_out = task.examples(dataset.train), task.examples(dataset.validation)

    def built(precision: str) -> keras.Model:
        return build(known.size, **configuration.matching(build, arguments) | {"precision": precision})

    def ways() -> dict[str, Any]:
        import keras

        return {"loss": keras.losses.SparseCategoricalCrossentropy(from_logits=True)}

    def fitted(model: keras.Model, decided: dict[str, Any]) -> dict[str, list[float]]:
        return kerasdl.training.fit(
            model, examples, held_out, **configuration.matching(kerasdl.training.fit, decided) | ways()
        )

    return kerasdl.run_recipe(
        "language_model",
        arguments,
        dataset,
        task=task,
        prepare=lambda decided: kerasdl.training.resolve_auto(decided, built, examples, **ways()),
        build=lambda decided: built(decided["precision"]),
        fit=fitted,
        baselines=lambda: task.baselines(dataset),
        examples=len(examples),
    )


def load(**arguments: Any) -> kerasdl.data.Dataset:
    """Return the data as :func:`train` takes them, from its resolved arguments."""
    return kerasdl.data.load(arguments["data"], kind="language")


def build(
    vocabulary_size: int,
    *,
    num_layers: int = 4,
    num_heads: int = 4,
    hidden_dim: int = 192,
    dropout: float = 0.2,
    l2: float = 0.0,
    precision: str = "float32",
) -> keras.Model:
    """Build the uncompiled model that :func:`train` trains, from the number of its tokens, the end of a text included.

    The keywords are those of :func:`train`.
    """
    with kerasdl.training.precision_policy(precision):
        return kerasdl.models.causal_transformer(
            None,
            vocabulary_size,
            num_layers=num_layers,
            num_heads=num_heads,
            hidden_dim=hidden_dim,
            dropout=dropout,
            l2=l2,
        )


def resolve(**arguments: Any) -> dict[str, Any]:
    """Return the arguments of :func:`train`, every default filled in, and all checked that needs no data.

    Raises:
        InputError: For an argument that cannot work.
    """
    if arguments.get("optimizer", "muon") == "muon":
        # Chosen on the validation text of pydoc_topics, where AdamW learnt less in as many steps.
        if arguments.get("schedule") is None:
            arguments["schedule"] = "cosine"
        # A schedule object has a rate of its own.
        if arguments.get("learning_rate") is None and isinstance(arguments["schedule"], str):
            arguments["learning_rate"] = 0.01
    resolved = keywords.resolve(train, arguments)
    if resolved["vocabulary"] == "word":
        raise InputError(
            "vocabulary",
            received="'word'",
            expected="byte or character: words cannot be put together to the same text again",
            mend='Try vocabulary="byte".',
        )
    return resolved


def space(hp: Any) -> dict[str, Any]:
    """The hyperparameters that matter most here, in KerasTuner's language.

    Args:
        hp: A `keras_tuner.HyperParameters`.

    Returns:
        Keyword arguments of :func:`train`.
    """
    return {
        "num_layers": hp.Int("num_layers", 2, 6, step=2),
        "hidden_dim": hp.Choice("hidden_dim", [128, 192, 256]),
        "dropout": hp.Float("dropout", 0.0, 0.4, step=0.1),
        "learning_rate": hp.Float("learning_rate", 3e-4, 1e-2, sampling="log"),
        "weight_decay": hp.Float("weight_decay", 1e-3, 0.3, sampling="log"),
        "batch_size": hp.Choice("batch_size", [8, 16, 32]),
    }
