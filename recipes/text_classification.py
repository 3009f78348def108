"""Text classification: strings of any source in, a trained, measured and diagnosed classifier out.

    kerasdl train text_classification
    kerasdl train text_classification --data reviews.csv --architecture transformer

The default sorts WordNet's glosses into 26 topics; a linear model on bags of words is always shown beside the result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import kerasdl
from kerasdl import checks, configuration, keywords, targets
from kerasdl.errors import InputError

if TYPE_CHECKING:
    import keras
    import numpy as np

# What each architecture can be told beyond what all can, and its default here.
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "transformer": {"num_layers": 2, "num_heads": 4},
    "lstm": {"num_layers": 1, "units": 128, "subwords": 30_000},
    "cnn": {"num_layers": 1, "units": 128, "subwords": 30_000},
}
OPTIONS = ("num_layers", "num_heads", "units", "subwords")
# What the data depend on.
DATA_KEYWORDS: tuple[str, ...] = ("num_classes", "deduplicate")


def train(
    data: Any = "glosses",
    *,
    architecture: str = "cnn",
    num_layers: int | None = None,
    num_heads: int | None = None,
    hidden_dim: int = 128,
    units: int | None = None,
    vocabulary: str = "word",
    vocabulary_size: int | None = None,
    subwords: int | None = None,
    sequence_length: int = 256,
    dropout: float = 0.4,
    token_dropout: float = 0.15,
    l2: float = 0.0,
    epochs: int = 5,
    batch_size: int = 128,
    optimizer: str | Mapping[str, Any] | keras.optimizers.Optimizer = "adamw",
    learning_rate: float | str | None = None,
    schedule: str | Mapping[str, Any] | keras.optimizers.schedules.LearningRateSchedule | None = None,
    weight_decay: float | None = None,
    label_smoothing: float = 0.1,
    class_weight: str | Mapping[str, float] | None = None,
    gradient_clip: float | None = 1.0,
    gradient_accumulation: int = 1,
    ema: float | None = None,
    early_stopping: int | None = None,
    keep: str = "best",
    precision: str = "float32",
    jit_compile: bool | str = False,
    steps_per_execution: int | str = 1,
    strategy: str | None = None,
    skip_bad_batches: int = 0,
    seed: int = 0,
    num_classes: int | None = None,
    deduplicate: bool = False,
    linear: bool = True,
    calibrate: bool = False,
    directory: str | Path | None = None,
    resume: bool = False,
    checkpoint_every: int | str = "epoch",
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: int = 1,
    versions: Mapping[str, str] | None = None,
    hardware: Mapping[str, Any] | None = None,
    data_fingerprint: str | None = None,
) -> kerasdl.Result:
    """Train a text classifier.

    The vocabulary is made of the training texts alone, and travels with the model: the export takes strings. The
    validation split chooses the epoch whose weights are kept; the test split is measured once, at the end, beside a
    linear model on bags of words.

    Args:
        data: "glosses", a TFDS name, a folder with one sub-folder of .txt files a class, a .csv or .tsv, a .npz, lists
            (texts, labels), a tf.data.Dataset, or a kerasdl.data.Dataset. Labels name one class a text, or are rows of
            0 and 1, a column a class: unless each has a single 1, several may be true at once.
        architecture: transformer, lstm (bidirectional) or cnn (windows of one, two and three tokens).
        num_layers: Blocks of the transformer, layers of the others.
        num_heads: Attention heads of each block, for the transformer.
        hidden_dim: Features of each token's vector.
        units: Features of each LSTM, or of each convolution, for lstm and cnn.
        vocabulary: What tokens are: word (and signs), character or byte.
        vocabulary_size: Tokens that are known at most, the most frequent; by default 30000 words or all characters.
        subwords: Vectors of hashed character n-grams that are shared by words of like spelling, for lstm and cnn on
            words, by default 30000; 0 for none.
        sequence_length: Tokens of a text that are read; what follows is left out.
        dropout: Share of features that are dropped in training, in [0, 1).
        token_dropout: Share of tokens that are dropped in training, in [0, 1); for lstm and cnn.
        l2: Weight of the sum of squared kernel values in the loss.
        epochs: Passes over the training texts.
        batch_size: Texts a step; they are of similar length.
        optimizer: sgd, nesterov, adam, adamw, rmsprop, muon, or a Keras optimizer.
        learning_rate: Highest learning rate; by default 0.003, for the transformer 0.001, for sgd and nesterov 0.05;
            auto runs a range test.
        schedule: constant, cosine, one_cycle (the default), plateau, exponential, or a Keras schedule.
        weight_decay: Decoupled weight decay; by default 0.05 for adamw and muon, else 0.
        label_smoothing: Share of the target that is spread over all classes, in [0, 1).
        class_weight: "balanced" weighs classes by the inverse of their frequency; or a weight by class name. Not where
            several classes may be true at once.
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
        seed: Seed of the weights, of dropout and of the order of texts.
        num_classes: Number of classes, when labels may lack some of them.
        deduplicate: Whether training texts that are, as they are or nearly, also in the validation or test split are
            dropped.
        linear: Whether a linear model on tokens and pairs of tokens is fitted at the end, in seconds, and added to the
            network's logits; the validation split weighs the two. It knows rare words better than a network.
        calibrate: Whether the logits are divided by one temperature in the end, the one with the lowest log loss on the
            validation split, so that scores are the shares of texts that are right. No label changes.
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
        The result: model, history, test metrics, baselines, diagnosis, configuration, dataset.

    Raises:
        InputError: For an argument or data that cannot work, before anything is trained or written.

    Example:
        >>> result = train("glosses")
        >>> result.predict("a domestic animal that barks")["label"]
        array(['animal'], dtype=object)
    """
    arguments = {name: value for name, value in locals().items() if name not in configuration.RECORDED}
    # Not at the top: with it the command line would import Keras.
    from kerasdl import linear_terms

    arguments = resolve(**arguments)

    dataset = load(**arguments)
    weights = kerasdl.data.class_weights(dataset, class_weight)
    known = kerasdl.data.Vocabulary.make(dataset.train.inputs, kind=vocabulary, size=arguments["vocabulary_size"])
    task = kerasdl.TextClassification.of(dataset, vocabulary=known, sequence_length=sequence_length)
    examples, held_out = task.examples(dataset.train), task.examples(dataset.validation)
    ways = targets.loss_and_encoding(dataset, label_smoothing=label_smoothing)
    build_keywords = configuration.matching(build, arguments)
    if arguments["subwords"]:
        build_keywords["subword_table"] = kerasdl.data.subword_table(known, buckets=arguments["subwords"])
    if arguments["linear"]:
        build_keywords["pairs"] = linear_terms.frequent_pairs(examples, known.size)

    def built(precision: str) -> keras.Model:
        return build(known.size, dataset.num_classes, **build_keywords | {"precision": precision})

    def fitted(model: keras.Model, decided: dict[str, Any]) -> dict[str, list[float]]:
        keywords = configuration.matching(kerasdl.training.fit, decided) | ways
        keywords |= {"metrics": targets.training_metrics(dataset), "class_weight": weights}
        history = kerasdl.training.fit(model, examples, held_out, **keywords)
        if decided["linear"]:
            # Only now: checkpoints have the network as it was trained, so that a run that is killed here ends alike.
            size = decided["batch_size"]
            own, linear = linear_terms.fit(model, dataset, examples, held_out, class_weight=weights, batch_size=size)
            if decided["verbose"]:
                print(f"Logits: {own:.3f} of the network and {linear:.3f} of a linear model on its tokens and pairs.")
        return history

    return kerasdl.run_recipe(
        "text_classification",
        arguments,
        dataset,
        task=task,
        prepare=lambda decided: kerasdl.training.resolve_auto(decided, built, examples, **ways),
        build=lambda decided: built(decided["precision"]),
        fit=fitted,
        baselines=lambda: task.baselines(dataset),
    )


def load(**arguments: Any) -> kerasdl.data.Dataset:
    """Return the data as :func:`train` takes them, from its resolved arguments."""
    return kerasdl.data.load(arguments["data"], kind="text", **{name: arguments[name] for name in DATA_KEYWORDS})


def build(
    vocabulary_size: int,
    num_classes: int,
    *,
    architecture: str = "cnn",
    num_layers: int | None = None,
    num_heads: int | None = None,
    hidden_dim: int = 128,
    units: int | None = None,
    dropout: float = 0.4,
    token_dropout: float = 0.15,
    l2: float = 0.0,
    subword_table: np.ndarray | None = None,
    pairs: np.ndarray | None = None,
    precision: str = "float32",
) -> keras.Model:
    """Build the uncompiled model that :func:`train` trains, from the number of ids of its tokens, padding included.

    The keywords are those of :func:`train`; `subword_table` is what :func:`kerasdl.data.subword_table` returns, `pairs`
    what :func:`kerasdl.linear_terms.frequent_pairs` returns, for a model with a linear part.
    """
    from kerasdl import linear_terms

    given = {"num_layers": num_layers, "num_heads": num_heads, "units": units, "subwords": None}
    options = keywords.resolve_architecture(architecture, ARCHITECTURES, given)
    shared: dict[str, Any] = {
        "hidden_dim": hidden_dim,
        "num_layers": options["num_layers"],
        "dropout": dropout,
        "l2": l2,
    }
    sizes = (None, vocabulary_size, num_classes)
    if architecture != "transformer":
        shared |= {"token_dropout": token_dropout, "subwords": subword_table, "pooling": ("mean", "max")}
    with kerasdl.training.precision_policy(precision):
        if architecture == "transformer":
            network = kerasdl.models.transformer_classifier(*sizes, num_heads=options["num_heads"], **shared)
        elif architecture == "lstm":
            network = kerasdl.models.text_lstm(*sizes, units=options["units"], **shared)
        else:
            network = kerasdl.models.text_cnn(*sizes, filters=options["units"], **shared)
    return network if pairs is None else linear_terms.beside(network, pairs, vocabulary_size)


def resolve(**arguments: Any) -> dict[str, Any]:
    """Return the arguments of :func:`train`, every default filled in, and all checked that needs no data.

    Raises:
        InputError: For an argument that cannot work.
    """
    resolved = keywords.resolve(train, arguments)
    if arguments.get("learning_rate") is None and resolved["learning_rate"] == keywords.LEARNING_RATES["adamw"]:
        # Vectors of rare words have few steps to learn in; blocks of attention would not bear this.
        resolved["learning_rate"] *= 1 if resolved["architecture"] == "transformer" else 3
    if resolved["vocabulary_size"] is None and resolved["vocabulary"] == "word":
        resolved["vocabulary_size"] = 30_000
    if isinstance(resolved["units"], (tuple, list)):
        checks.integer(1, example=128)("units", resolved["units"])
    options = {name: resolved[name] for name in OPTIONS}
    if resolved["vocabulary"] != "word":
        if options["subwords"]:
            raise InputError(
                "subwords",
                received=f"{options['subwords']} with a vocabulary of {resolved['vocabulary']}s",
                expected="0: only words have parts",
                mend="Leave subwords out.",
            )
        options["subwords"] = None if resolved["architecture"] == "transformer" else 0
    return resolved | keywords.resolve_architecture(resolved["architecture"], ARCHITECTURES, options)


def space(hp: Any) -> dict[str, Any]:
    """The hyperparameters that matter most here, in KerasTuner's language.

    Args:
        hp: A `keras_tuner.HyperParameters`.

    Returns:
        Keyword arguments of :func:`train`.
    """
    return {
        "architecture": hp.Choice("architecture", ["cnn", "lstm", "transformer"]),
        "hidden_dim": hp.Choice("hidden_dim", [64, 128, 256]),
        "vocabulary_size": hp.Choice("vocabulary_size", [10_000, 20_000, 50_000]),
        "dropout": hp.Float("dropout", 0.1, 0.6, step=0.1),
        "learning_rate": hp.Float("learning_rate", 1e-4, 1e-2, sampling="log"),
        "weight_decay": hp.Float("weight_decay", 1e-3, 0.3, sampling="log"),
        "label_smoothing": hp.Choice("label_smoothing", [0.0, 0.1]),
        "batch_size": hp.Choice("batch_size", [32, 64, 128]),
    }
