"""Classification of series: numbers along time of any source in, a trained, measured and diagnosed classifier out.

    kerasdl train sequence_classification
    kerasdl train sequence_classification --data GunPoint_TRAIN.ts --architecture inception_time

The default tells drawing a gun from pointing; the nearest neighbour is always shown beside the result.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import kerasdl
from kerasdl import checks, configuration, keywords, targets
from kerasdl.errors import InputError

if TYPE_CHECKING:
    import keras

    from kerasdl.data import Dataset

# What each architecture can be told beyond what all can, and its default here. Half the published channels of an FCN:
# a quarter of the time, which little data does not miss.
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "fcn": {"filters": (64, 128, 64)},
    "resnet": {"filters": (64, 128, 128)},
    "inception_time": {"num_layers": 6, "filters": 32},
    "lstm": {"num_layers": 2, "units": 64},
    "lstm_fcn": {"units": 64, "filters": (64, 128, 64)},
    "transformer": {"num_layers": 2, "num_heads": 4, "hidden_dim": 64, "patch_size": 4},
}
BUILDERS = {
    "fcn": "fcn",
    "resnet": "time_series_resnet",
    "inception_time": "inception_time",
    "lstm": "lstm_classifier",
    "lstm_fcn": "lstm_fcn",
    "transformer": "series_transformer",
}
OPTIONS = ("num_layers", "num_heads", "hidden_dim", "units", "filters", "patch_size")
STEPS = 600
"""Batches that a training has at least, by default: little data makes short epochs."""
FEWEST_EPOCHS = 30
SMALL = 1000
"""Training series below which batches are small by default."""
FEW = 100
"""Validation series below which their loss does not choose the epoch: of so few, a hard one moves it by more than
epochs differ by, and early epochs are lowest by chance. The learning rate falls to nothing, so that the last epoch is a
settled one. Ismail Fawaz et al., arXiv:1809.04356, do without a validation split too."""
# What the data depend on.
DATA_KEYWORDS: tuple[str, ...] = ("num_classes", "missing", "deduplicate")


def train(
    data: Any = "gun_point",
    *,
    architecture: str = "fcn",
    num_layers: int | None = None,
    num_heads: int | None = None,
    hidden_dim: int | None = None,
    units: int | None = None,
    filters: int | Sequence[int] | None = None,
    patch_size: int | None = None,
    missing: str = "refuse",
    augmentation: str | Sequence[str] = "none",
    dropout: float = 0.2,
    l2: float = 0.0,
    epochs: int | None = None,
    batch_size: int | None = None,
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
    keep: str | None = None,
    precision: str = "float32",
    jit_compile: bool | str = False,
    steps_per_execution: int | str = 1,
    strategy: str | None = None,
    skip_bad_batches: int = 0,
    seed: int = 0,
    num_classes: int | None = None,
    deduplicate: bool = False,
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
    """Train a classifier of series.

    Series have one or many channels and one length or different ones. Each channel is standardised inside the model by
    what the training split has, so the export takes raw values. Splits that the data bring are kept. The validation
    split chooses the epoch whose weights are kept, if it has 100 series at least; the test split is measured once, at
    the end, beside the nearest neighbour.

    Args:
        data: "gun_point", "italy_power_demand" or "basic_motions"; a .ts file, or a folder with name_TRAIN.ts and
            name_TEST.ts, of which one is enough; a .csv or .tsv with a row for each series or for each time step; a
            .npz; arrays (x, y) with x of shape (count, length) or (count, length, channels) or a list of arrays of
            different lengths; a tf.data.Dataset, or a kerasdl.data.Dataset. NaN at the end of a series is padding.
        architecture: fcn, resnet, inception_time, lstm (bidirectional), lstm_fcn or transformer.
        num_layers: Modules of inception_time, layers of the lstm, blocks of the transformer.
        num_heads: Attention heads of each block, for the transformer.
        hidden_dim: Features of each patch, for the transformer.
        units: Features of each LSTM, for lstm and lstm_fcn.
        filters: Channels of each convolution of fcn and lstm_fcn, of each block of resnet; one number for
            inception_time.
        patch_size: Time steps of a patch, for the transformer.
        missing: What is done with values that are missing inside a series: refuse, or interpolate along time.
        augmentation: Random changes of training series: none, or some of jitter, scale, warp, crop.
        dropout: Share of features that are dropped in training, in [0, 1).
        l2: Weight of the sum of squared kernel values in the loss.
        epochs: Passes over the training series; by default as many as make 600 batches, at least 30.
        batch_size: Series a step; by default 16, and 64 from 1000 training series on.
        optimizer: sgd, nesterov, adam, adamw, rmsprop, muon, or a Keras optimizer.
        learning_rate: Highest learning rate; by default 0.001, for sgd and nesterov 0.05; auto runs a range test.
        schedule: constant, cosine, one_cycle (the default), plateau, exponential, or a Keras schedule.
        weight_decay: Decoupled weight decay; by default 0.05 for adamw and muon, else 0.
        label_smoothing: Share of the target that is spread over all classes, in [0, 1).
        class_weight: "balanced" weighs classes by the inverse of their frequency; or a weight by class name. Not where
            several classes may be true at once.
        gradient_clip: Largest global norm of the gradients.
        gradient_accumulation: Batches whose gradients are averaged before one update.
        ema: Momentum of a moving average of the weights, such as 0.99.
        early_stopping: Epochs without a lower validation loss after which training stops.
        keep: The weights of which epoch are kept: best, by the validation loss, or last; by default the last where
            there are fewer than 100 validation series, too few to choose by, and no early stopping.
        precision: float32, bfloat16 or float16 (mixed precision; weights and logits stay float32), or auto.
        jit_compile: XLA: true, false or auto.
        steps_per_execution: Batches that run without a return to Python, or auto. What is auto is chosen by a short
            measurement on this model and machine, at most 3 % of the expected run.
        strategy: mirrored, to train on all GPUs of the machine; each gets its part of every batch.
        skip_bad_batches: Up to so many batches whose loss is not finite are undone and passed over.
        seed: Seed of the weights, of dropout, of augmentation and of the order of series.
        num_classes: Number of classes, when labels may lack some of them.
        deduplicate: Whether training series that are, as they are or nearly, also in the validation or test split are
            dropped.
        calibrate: Whether the logits are divided by one temperature in the end, the one with the lowest log loss on the
            validation split, so that scores are the shares of series that are right. No label changes.
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
        >>> result = train("basic_motions")
        >>> result.predict(watch)["label"]
        array(['Running'], dtype=object)
    """
    arguments = {name: value for name, value in locals().items() if name not in configuration.RECORDED}
    arguments = resolve(**arguments)

    dataset = load(**arguments)
    weights = kerasdl.data.class_weights(dataset, class_weight)
    arguments |= lengths(dataset, arguments)
    task = kerasdl.SeriesClassification.of(dataset, missing=missing)
    examples, held_out = task.examples(dataset.train), task.examples(dataset.validation)
    ways = targets.loss_and_encoding(dataset, label_smoothing=label_smoothing)
    ways["augment"] = kerasdl.data.make_series_augmentation(augmentation, dataset.train)
    build_keywords = configuration.matching(build, arguments)
    build_keywords["mean"], build_keywords["scale"] = kerasdl.data.channel_statistics(dataset.train)

    def built(precision: str) -> keras.Model:
        return build(dataset.input_shape, dataset.num_classes, **build_keywords | {"precision": precision})

    def fitted(model: keras.Model, decided: dict[str, Any]) -> dict[str, list[float]]:
        keywords = configuration.matching(kerasdl.training.fit, decided) | ways
        keywords |= {"metrics": targets.training_metrics(dataset), "class_weight": weights}
        return kerasdl.training.fit(model, examples, held_out, **keywords)

    return kerasdl.run_recipe(
        "sequence_classification",
        arguments,
        dataset,
        task=task,
        prepare=lambda decided: kerasdl.training.resolve_auto(decided, built, examples, **ways),
        build=lambda decided: built(decided["precision"]),
        fit=fitted,
        baselines=lambda: task.baselines(dataset),
    )


def lengths(dataset: Dataset, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the batch size, the epochs and which of them is kept: what is not given by how many series there are."""
    count = len(dataset.train)
    size = arguments["batch_size"] or (16 if count < SMALL else 64)
    steps = count // min(size, count)
    few = len(dataset.validation) < FEW and arguments["early_stopping"] is None
    return {
        "batch_size": size,
        "epochs": arguments["epochs"] or max(math.ceil(STEPS / steps), FEWEST_EPOCHS),
        "keep": arguments["keep"] or ("last" if few else "best"),
    }


def load(**arguments: Any) -> kerasdl.data.Dataset:
    """Return the data as :func:`train` takes them, from its resolved arguments."""
    return kerasdl.data.load(arguments["data"], kind="series", **{name: arguments[name] for name in DATA_KEYWORDS})


def build(
    input_shape: Sequence[int | None],
    num_classes: int,
    *,
    architecture: str = "fcn",
    num_layers: int | None = None,
    num_heads: int | None = None,
    hidden_dim: int | None = None,
    units: int | None = None,
    filters: int | Sequence[int] | None = None,
    patch_size: int | None = None,
    dropout: float = 0.2,
    l2: float = 0.0,
    mean: Sequence[float] | None = None,
    scale: Sequence[float] | None = None,
    precision: str = "float32",
) -> keras.Model:
    """Build the uncompiled model that :func:`train` trains, from (length or None, channels) of its series.

    The keywords are those of :func:`train`; `mean` and `scale` are what :func:`kerasdl.data.channel_statistics` says.
    """
    given: dict[str, Any] = {"num_layers": num_layers, "num_heads": num_heads, "hidden_dim": hidden_dim, "units": units}
    given |= {"filters": filters, "patch_size": patch_size}
    options = keywords.resolve_architecture(architecture, ARCHITECTURES, given)
    chosen = {name: options[name] for name in ARCHITECTURES[architecture]}
    if architecture == "lstm":
        # What all steps say counts, as the last ones alone learn slowly on long series.
        chosen = {"units": (options["units"],) * options["num_layers"], "bidirectional": True, "pooling": "mean"}
    builder = getattr(kerasdl.models, BUILDERS[architecture])
    with kerasdl.training.precision_policy(precision):
        return builder(input_shape, num_classes, dropout=dropout, mean=mean, scale=scale, l2=l2, **chosen)


def resolve(**arguments: Any) -> dict[str, Any]:
    """Return the arguments of :func:`train`, every default filled in, and all checked that needs no data.

    Raises:
        InputError: For an argument that cannot work.
    """
    resolved = keywords.resolve(train, arguments)
    kerasdl.data.resolve_series_augmentation(resolved["augmentation"])
    options = {name: resolved[name] for name in OPTIONS}
    options = keywords.resolve_architecture(resolved["architecture"], ARCHITECTURES, options)
    one = {"units": 64} | ({"filters": 32} if resolved["architecture"] == "inception_time" else {})
    for name, example in one.items():
        if isinstance(options[name], (tuple, list)) and len(options[name]) == 1:
            options[name] = options[name][0]
        if options[name] is not None:
            checks.integer(1, example=example)(name, options[name])
    several = ARCHITECTURES[resolved["architecture"]].get("filters")
    if isinstance(several, tuple):
        options["filters"] = _several(options["filters"], len(several), resolved["architecture"])
    if resolved["architecture"] == "transformer" and options["hidden_dim"] % (2 * options["num_heads"]):
        unit = 2 * options["num_heads"]
        raise InputError(
            "hidden_dim",
            received=f"{options['hidden_dim']} with num_heads={options['num_heads']}",
            expected=f"a multiple of {unit}, an even number of features for each head",
            mend=f"Try hidden_dim={-(-options['hidden_dim'] // unit) * unit}.",
        )
    return resolved | options


def _several(filters: Any, count: int, architecture: str) -> tuple[int, ...]:
    found = tuple(filters) if isinstance(filters, (tuple, list)) else (filters,) * count
    if len(found) != count:
        raise InputError(
            "filters",
            received=f"{len(found)} numbers",
            expected=f"{count} numbers, or one for all, for {architecture}",
            mend=f"Try filters={tuple(ARCHITECTURES[architecture]['filters'])}.",
        )
    return found


def space(hp: Any) -> dict[str, Any]:
    """The hyperparameters that matter most here, in KerasTuner's language.

    Args:
        hp: A `keras_tuner.HyperParameters`.

    Returns:
        Keyword arguments of :func:`train`.
    """
    return {
        "architecture": hp.Choice("architecture", ["fcn", *(name for name in ARCHITECTURES if name != "fcn")]),
        "dropout": hp.Float("dropout", 0.0, 0.5, step=0.1),
        "learning_rate": hp.Float("learning_rate", 1e-4, 1e-2, sampling="log"),
        "weight_decay": hp.Float("weight_decay", 1e-3, 0.3, sampling="log"),
        "label_smoothing": hp.Choice("label_smoothing", [0.0, 0.1]),
        "augmentation": hp.Choice("augmentation", ["none", "jitter", "jitter,scale,warp"]),
        "batch_size": hp.Choice("batch_size", [8, 16, 32, 64]),
    }
