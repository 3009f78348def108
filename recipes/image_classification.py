"""Image classification: images of any source in, a trained, measured and diagnosed classifier out.

    kerasdl train image_classification
    kerasdl train image_classification --data fashion_mnist --epochs 3

The default trains a small ResNet-9 on scikit-learn's 8x8 digits: half a minute on two cores, test accuracy above 0.985.
"""

from __future__ import annotations

import numbers
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import kerasdl
from kerasdl import configuration, keywords, targets
from kerasdl.errors import InputError, check_choice

if TYPE_CHECKING:
    import keras

# What each architecture can be told, and its default here.
_USUAL = {"normalization": "batch", "normalization_momentum": None, "activation": "relu", "dropout": 0.2}
_RESNET = {"filters": (64, 128, 256, 512), "spatial_dropout": 0.0, "stochastic_depth": 0.0, **_USUAL}
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "mlp": {"units": (128,), **_USUAL},
    "cnn": {"filters": (32, 64, 128), "units": (128,), "spatial_dropout": 0.0, **_USUAL},
    "resnet9": {"filters": (32, 64, 128, 128), "early_pooling": "auto", "spatial_dropout": 0.0, **_USUAL},
    "resnet18": _RESNET,
    "resnet34": _RESNET,
    "resnet50": _RESNET,
    "vit": {
        "num_layers": 6,
        "num_heads": 4,
        "hidden_dim": 128,
        "patch_size": 4,
        "stem": "convolution",
        "stem_depth": 2,
        "pooling": "mean",
        "stochastic_depth": 0.1,
        "normalization": "layer",
        "normalization_momentum": None,
        "activation": "gelu",
        "dropout": 0.1,
    },
}
OPTIONS = tuple(dict.fromkeys(name for options in ARCHITECTURES.values() for name in options))
# Batch normalization bears long steps: after two epochs on 40,000 images of Fashion-MNIST 0.923 of 20,000 others were
# right with 0.004 and with 0.008, and 0.914 with 0.001.
LEARNING_RATES = {"resnet9": {"adam": 0.005, "adamw": 0.005}}
# What a vision transformer has only with that stem.
CONVOLUTIONAL_STEM = ("stem_depth", "normalization_momentum")
# What the data depend on.
DATA_KEYWORDS: tuple[str, ...] = ("image_size", "input_shape", "num_classes", "deduplicate")


def train(
    data: Any = "digits",
    *,
    architecture: str = "resnet9",
    filters: Sequence[int] | None = None,
    early_pooling: bool | str | None = None,
    units: Sequence[int] | None = None,
    num_layers: int | None = None,
    num_heads: int | None = None,
    hidden_dim: int | None = None,
    patch_size: int | None = None,
    stem: str | None = None,
    stem_depth: int | None = None,
    pooling: str | None = None,
    normalization: str | None = None,
    normalization_momentum: float | None = None,
    activation: str | None = None,
    dropout: float | None = None,
    spatial_dropout: float | None = None,
    stochastic_depth: float | None = None,
    l1: float = 0.0,
    l1_mode: str = "penalty",
    l2: float = 0.0,
    epochs: int = 20,
    batch_size: int = 64,
    optimizer: str | Mapping[str, Any] | keras.optimizers.Optimizer = "adamw",
    learning_rate: float | str | None = None,
    schedule: str | Mapping[str, Any] | keras.optimizers.schedules.LearningRateSchedule | None = None,
    weight_decay: float | None = None,
    label_smoothing: float = 0.0,
    class_weight: str | Mapping[str, float] | None = None,
    gradient_clip: float | None = None,
    gradient_accumulation: int = 1,
    ema: float | None = None,
    early_stopping: int | None = None,
    keep: str = "best",
    augmentation: str | Sequence[str] = "none",
    precision: str = "float32",
    jit_compile: bool | str = False,
    steps_per_execution: int | str = 1,
    strategy: str | None = None,
    skip_bad_batches: int = 0,
    seed: int = 0,
    image_size: int | Sequence[int] | None = None,
    input_shape: Sequence[int] | None = None,
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
    """Train an image classifier.

    The validation split chooses the epoch whose weights are kept; the test split is measured once, at the end.

    Args:
        data: "digits", a TFDS name, a folder with one sub-folder a class, a .npz, arrays (x, y), a tf.data.Dataset, or
            a kerasdl.data.Dataset. Images are uint8, of shape (height, width, channels). Labels name one class an
            image, or are rows of 0 and 1, a column a class: unless each has a single 1, several may be true at once.
        architecture: mlp, cnn, resnet9, resnet18, resnet34, resnet50, or vit, a vision transformer.
        filters: Channels of each stage, for cnn and the resnets.
        early_pooling: For resnet9, whether the first convolution is pooled too, and pooling comes before normalization:
            several times as fast; auto (the default) does it where both sides of the images have 20 pixels or more.
        units: Units of each fully connected layer, for mlp and cnn.
        num_layers: Blocks of attention and feed-forward layers, for vit, as are the next six; by default 6.
        num_heads: Attention heads in each block, by default 4; they divide the features.
        hidden_dim: Features of each patch, by default 128.
        patch_size: Side of a patch in pixels, by default 4; for the convolutional stem a power of 2.
        stem: What makes vectors of patches: convolution (the default), with batch normalization and pooling, or patch,
            a single linear layer.
        stem_depth: Convolutions for each halving of the image in the convolutional stem, by default 2.
        pooling: What the logits are made from: mean of all patches (the default), or class_token.
        normalization: batch (the default), layer, group or none; for vit layer (its default) or rms.
        normalization_momentum: Momentum of batch normalization's statistics; by default it suits the number of steps.
        activation: Name of a Keras activation, by default relu; for vit gelu, and swiglu is another.
        dropout: Share of features that are dropped in training, in [0, 1); by default 0.2, for vit 0.1.
        spatial_dropout: Share of whole channels that are dropped between the stages of cnn and the resnets, in [0, 1).
        stochastic_depth: Share of residual branches that the last block of a resnet18, 34, 50 or vit skips, in [0, 1);
            by default 0, for vit 0.1.
        l1: Weight of the sum of absolute kernel values in the loss.
        l1_mode: penalty adds it to the loss, which makes weights small; proximal makes them exactly zero.
        l2: Weight of the sum of squared kernel values in the loss.
        epochs: Passes over the training images.
        batch_size: Images a step.
        optimizer: sgd, nesterov, adam, adamw, rmsprop, muon, or a Keras optimizer.
        learning_rate: Highest learning rate; by default 0.001, for resnet9 0.005 (with adam and adamw), for sgd and
            nesterov 0.05; auto runs a range test.
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
        augmentation: none, light, standard, strong, or words such as "light,-flip": see kerasdl.data.make_augmentation.
            It changes training images at random, and nothing in the model.
        precision: float32, bfloat16 or float16 (mixed precision; weights and logits stay float32), or auto.
        jit_compile: XLA: true, false or auto.
        steps_per_execution: Batches that run without a return to Python, or auto. What is auto is chosen by a short
            measurement on this model and machine, at most 3 % of the expected run.
        strategy: mirrored, to train on all GPUs of the machine; each gets its part of every batch.
        skip_bad_batches: Up to so many batches whose loss is not finite are undone and passed over.
        seed: Seed of the weights, of dropout and of the order of images.
        image_size: Side in pixels, or height and width, that all images are resized to.
        input_shape: Height, width and channels that all images are converted to.
        num_classes: Number of classes, when labels may lack some of them.
        deduplicate: Whether training images that are, as they are or nearly, also in the validation or test split are
            dropped.
        calibrate: Whether the logits are divided by one temperature in the end, the one with the lowest log loss on the
            validation split, so that scores are the shares of images that are right. No label changes.
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
        The result: model, history, test metrics, diagnosis, configuration, dataset.

    Raises:
        InputError: For an argument or data that cannot work, before anything is trained or written.

    Example:
        >>> result = train("digits", epochs=20, seed=0)
        >>> result.metrics["accuracy"]
        1.0
    """
    arguments = {name: value for name, value in locals().items() if name not in configuration.RECORDED}
    arguments = resolve(**arguments)

    dataset = load(**arguments)
    weights = kerasdl.data.class_weights(dataset, class_weight)
    augment = kerasdl.data.make_augmentation(augmentation, num_classes=dataset.num_classes)
    ways = {**targets.loss_and_encoding(dataset, label_smoothing=label_smoothing), "augment": augment}
    batch_normalization = arguments["normalization"] == "batch" or arguments["stem"] == "convolution"
    if normalization_momentum is None and batch_normalization:
        steps = epochs * (len(dataset.train) // min(batch_size, len(dataset.train)))
        arguments["normalization_momentum"] = kerasdl.blocks.suitable_momentum(steps)
    penalty, proximal_l1 = (0.0, l1) if l1_mode == "proximal" else (l1, 0.0)
    build_keywords = configuration.matching(build, arguments) | {"l1": penalty}

    def built(precision: str) -> keras.Model:
        return build(dataset.input_shape, dataset.num_classes, **build_keywords | {"precision": precision})

    def fitted(model: keras.Model, decided: dict[str, Any]) -> dict[str, list[float]]:
        keywords = configuration.matching(kerasdl.training.fit, decided) | ways
        keywords |= {"metrics": targets.training_metrics(dataset)}
        keywords |= {"class_weight": weights, "proximal_l1": proximal_l1}
        return kerasdl.training.fit(model, dataset.train, dataset.validation, **keywords)

    return kerasdl.run_recipe(
        "image_classification",
        arguments,
        dataset,
        task=kerasdl.ImageClassification.of(dataset),
        prepare=lambda decided: kerasdl.training.resolve_auto(decided, built, dataset.train, **ways),
        build=lambda decided: built(decided["precision"]),
        fit=fitted,
    )


def load(**arguments: Any) -> kerasdl.data.Dataset:
    """Return the data as :func:`train` takes them, from its resolved arguments."""
    return kerasdl.data.load(arguments["data"], **{name: arguments[name] for name in DATA_KEYWORDS})


def build(
    input_shape: Sequence[int],
    num_classes: int,
    *,
    architecture: str = "resnet9",
    filters: Sequence[int] | None = None,
    early_pooling: bool | str | None = None,
    units: Sequence[int] | None = None,
    num_layers: int | None = None,
    num_heads: int | None = None,
    hidden_dim: int | None = None,
    patch_size: int | None = None,
    stem: str | None = None,
    stem_depth: int | None = None,
    pooling: str | None = None,
    normalization: str | None = None,
    normalization_momentum: float | None = None,
    activation: str | None = None,
    dropout: float | None = None,
    spatial_dropout: float | None = None,
    stochastic_depth: float | None = None,
    l1: float = 0.0,
    l2: float = 0.0,
    precision: str = "float32",
) -> keras.Model:
    """Build the uncompiled model that :func:`train` trains, from the height, width and channels of its uint8 images.

    The keywords are those of :func:`train`.
    """
    options = resolve_architecture(architecture, locals())
    renamed = {"normalization_momentum": "momentum"} | ({"units": "hidden"} if architecture == "mlp" else {})
    sizes = {renamed.get(name, name): value for name, value in options.items() if value is not None}
    if sizes["normalization"] == "none":
        sizes["normalization"] = None
    builder = getattr(kerasdl.models, "vision_transformer" if architecture == "vit" else architecture)
    with kerasdl.training.precision_policy(precision):
        return builder(input_shape, num_classes, l1=l1, l2=l2, **sizes)


def resolve(**arguments: Any) -> dict[str, Any]:
    """Return the arguments of :func:`train`, every default filled in, and all checked that needs no data.

    Raises:
        InputError: For an argument that cannot work.
    """
    resolved = keywords.resolve(train, arguments, learning_rates=LEARNING_RATES)
    kerasdl.data.resolve_policy(resolved["augmentation"])
    return resolved | resolve_architecture(resolved["architecture"], resolved)


def resolve_architecture(architecture: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the architecture's options with its defaults filled in, or refuse one that it does not have."""
    given = {name: arguments[name] for name in OPTIONS}
    single = {name: (given[name],) for name in ("filters", "units") if isinstance(given[name], numbers.Integral)}
    options = keywords.resolve_architecture(architecture, ARCHITECTURES, given | single)
    normalizations = ("layer", "rms") if architecture == "vit" else keywords.NORMALIZATIONS
    check_choice("normalization", options["normalization"], normalizations)
    filters, usual = options["filters"], ARCHITECTURES[architecture].get("filters")
    if usual and architecture != "cnn" and len(filters) != len(usual):
        raise InputError(
            "filters",
            received=f"{len(filters)} numbers {tuple(filters)}",
            expected=f"{len(usual)} numbers, one for each stage of {architecture}",
            mend=f"Try filters={usual}.",
        )
    if options["stem"] == "patch":
        for name in CONVOLUTIONAL_STEM:
            if given[name] is not None:
                raise InputError(
                    name,
                    received=f"{given[name]} for the stem patch",
                    expected="nothing: it is a single linear layer, without batch normalization",
                    mend=f'Leave {name} out, or pass stem="convolution".',
                )
        options |= dict.fromkeys(CONVOLUTIONAL_STEM)
    return options


def space(hp: Any) -> dict[str, Any]:
    """The hyperparameters that matter most here, in KerasTuner's language.

    Args:
        hp: A `keras_tuner.HyperParameters`.

    Returns:
        Keyword arguments of :func:`train`.
    """
    architecture = hp.Choice("architecture", ["cnn", "resnet9", "vit"])
    width = hp.Choice("width", [16, 32, 64])
    if architecture in ("mlp", "vit"):
        size: dict[str, Any] = {"units": (8 * width,)} if architecture == "mlp" else {"hidden_dim": 4 * width}
    else:
        stages = len(ARCHITECTURES[architecture]["filters"])
        size = {"filters": tuple(width * 2 ** min(stage, 2) for stage in range(stages))}
    return {
        "architecture": architecture,
        **size,
        "dropout": hp.Float("dropout", 0.0, 0.5, step=0.1),
        "augmentation": hp.Choice("augmentation", ["none", "light", "standard"]),
        "learning_rate": hp.Float("learning_rate", 1e-4, 1e-2, sampling="log"),
        "schedule": hp.Choice("schedule", ["one_cycle", "cosine"]),
        "weight_decay": hp.Float("weight_decay", 1e-3, 0.3, sampling="log"),
        "label_smoothing": hp.Choice("label_smoothing", [0.0, 0.1]),
        "batch_size": hp.Choice("batch_size", [32, 64, 128]),
    }
