"""Image classification: images of any source in, a trained, measured and diagnosed classifier out.

    kerasdl train image_classification
    kerasdl train image_classification --data fashion_mnist --epochs 3

The default trains a small ResNet-9 on scikit-learn's 8x8 digits: half a minute on two cores, test accuracy above 0.985.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import kerasdl
from kerasdl import configuration, keywords
from kerasdl.errors import InputError, check_choice

if TYPE_CHECKING:
    import keras

# What each architecture can be told beyond what all can, and its default here.
ARCHITECTURES: dict[str, dict[str, tuple[int, ...]]] = {
    "mlp": {"units": (128,)},
    "cnn": {"filters": (32, 64, 128), "units": (128,)},
    "resnet9": {"filters": (32, 64, 128, 128)},
    "resnet18": {"filters": (64, 128, 256, 512)},
    "resnet34": {"filters": (64, 128, 256, 512)},
    "resnet50": {"filters": (64, 128, 256, 512)},
}


def train(
    data: Any = "digits",
    *,
    architecture: str = "resnet9",
    filters: Sequence[int] | None = None,
    units: Sequence[int] | None = None,
    normalization: str = "batch",
    activation: str = "relu",
    dropout: float = 0.2,
    l1: float = 0.0,
    l2: float = 0.0,
    epochs: int = 20,
    batch_size: int = 64,
    optimizer: str | Mapping[str, Any] | keras.optimizers.Optimizer = "adamw",
    learning_rate: float | None = None,
    schedule: str | Mapping[str, Any] | keras.optimizers.schedules.LearningRateSchedule | None = None,
    weight_decay: float | None = None,
    label_smoothing: float = 0.0,
    class_weight: str | Mapping[str, float] | None = None,
    gradient_clip: float | None = None,
    gradient_accumulation: int = 1,
    ema: float | None = None,
    early_stopping: int | None = None,
    precision: str = "float32",
    jit_compile: bool | str = "auto",
    seed: int = 0,
    image_size: int | Sequence[int] | None = None,
    input_shape: Sequence[int] | None = None,
    num_classes: int | None = None,
    directory: str | Path | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: int = 1,
    versions: Mapping[str, str] | None = None,
    hardware: Mapping[str, Any] | None = None,
) -> kerasdl.Result:
    """Train an image classifier.

    The validation split chooses the epoch whose weights are kept; the test split is measured once, at the end.

    Args:
        data: "digits", a TFDS name, a folder with one sub-folder a class, a .npz, arrays (x, y), a tf.data.Dataset, or
            a kerasdl.data.Dataset. Images are uint8, of shape (height, width, channels).
        architecture: mlp, cnn, resnet9, resnet18, resnet34 or resnet50.
        filters: Channels of each stage, for all but mlp.
        units: Units of each fully connected layer, for mlp and cnn.
        normalization: batch, layer, group or none.
        activation: Name of a Keras activation.
        dropout: Share of features that are dropped in training, in [0, 1).
        l1: Weight of the sum of absolute kernel values in the loss.
        l2: Weight of the sum of squared kernel values in the loss.
        epochs: Passes over the training images.
        batch_size: Images a step.
        optimizer: sgd, nesterov, adam, adamw, rmsprop, muon, or a Keras optimizer.
        learning_rate: Highest learning rate; by default 0.001, for sgd and nesterov 0.05.
        schedule: constant, cosine, one_cycle (the default), plateau, exponential, or a Keras schedule.
        weight_decay: Decoupled weight decay; by default 0.05 for adamw and muon, else 0.
        label_smoothing: Share of the target that is spread over all classes, in [0, 1).
        class_weight: "balanced" weighs classes by the inverse of their frequency; or a weight by class name.
        gradient_clip: Largest global norm of the gradients.
        gradient_accumulation: Batches whose gradients are averaged before one update.
        ema: Momentum of a moving average of the weights, such as 0.99.
        early_stopping: Epochs without a lower validation loss after which training stops.
        precision: float32, bfloat16 or float16 (mixed precision; weights and logits stay float32).
        jit_compile: XLA: True, False or auto, as Keras decides.
        seed: Seed of the weights, of dropout and of the order of images.
        image_size: Side in pixels, or height and width, that all images are resized to.
        input_shape: Height, width and channels that all images are converted to.
        num_classes: Number of classes, when labels may lack some of them.
        directory: New folder for the model, configuration, history, TensorBoard logs and report.
        callbacks: Further Keras callbacks.
        verbose: 0 silent, 1 a progress bar on a terminal and lines elsewhere, 2 always lines.
        versions: Recorded in `result.config`; accepted back and ignored.
        hardware: Recorded in `result.config`; accepted back and ignored.

    Returns:
        The result: model, history, test metrics, diagnosis, configuration, dataset.

    Raises:
        InputError: For an argument or data that cannot work, before anything is trained or written.

    Example:
        >>> result = train("digits", epochs=20, seed=0)
        >>> result.metrics["accuracy"]
        0.994...
    """
    arguments = {name: value for name, value in locals().items() if name not in ("versions", "hardware")}
    arguments = resolve(**arguments)

    import keras

    dataset = kerasdl.data.load(data, image_size=image_size, input_shape=input_shape, num_classes=num_classes)
    weights = kerasdl.data.class_weights(dataset, class_weight)
    keras.utils.set_random_seed(seed)
    model = build(dataset.input_shape, dataset.num_classes, **{name: arguments[name] for name in BUILD_KEYWORDS})
    config = {
        **configuration.jsonable({name: value for name, value in arguments.items() if name != "callbacks"}),
        "data": dataset.source,
        "input_shape": list(dataset.input_shape),
        "image_size": None,  # said by input_shape
        "directory": None,  # a repeated run needs a folder of its own
        "versions": kerasdl.training.versions(),
        "hardware": kerasdl.training.describe_hardware(),
    }
    if verbose:
        print(f"Data: {dataset.describe()}\nConfiguration:\n{configuration.describe(config)}", flush=True)
    log_directory = None
    if directory is not None:
        log_directory = Path(directory) / "tensorboard"
        log_directory.mkdir(parents=True, exist_ok=True)
    history = kerasdl.training.fit(
        model,
        dataset.train,
        dataset.validation,
        # One-hot targets throughout: label smoothing and soft labels need them.
        loss=keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=label_smoothing),
        metrics=["accuracy"],
        encode_targets=functools.partial(keras.utils.to_categorical, num_classes=dataset.num_classes),
        class_weight=weights,
        callbacks=callbacks,
        log_directory=log_directory,
        **{name: arguments[name] for name in FIT_KEYWORDS},
    )
    result = kerasdl.Result(
        recipe="image_classification",
        model=model,
        history=history,
        config=config,
        dataset=dataset,
        class_names=dataset.class_names,
    )
    if directory is not None:
        result.save(directory)
    if verbose:
        print(result.summary(), flush=True)
    return result


BUILD_KEYWORDS = ("architecture", "filters", "units", "normalization", "activation", "dropout", "l1", "l2", "precision")
FIT_KEYWORDS = (
    "epochs",
    "batch_size",
    "optimizer",
    "learning_rate",
    "schedule",
    "weight_decay",
    "gradient_clip",
    "gradient_accumulation",
    "ema",
    "early_stopping",
    "jit_compile",
    "seed",
    "verbose",
)


def build(
    input_shape: Sequence[int],
    num_classes: int,
    *,
    architecture: str = "resnet9",
    filters: Sequence[int] | None = None,
    units: Sequence[int] | None = None,
    normalization: str = "batch",
    activation: str = "relu",
    dropout: float = 0.2,
    l1: float = 0.0,
    l2: float = 0.0,
    precision: str = "float32",
) -> keras.Model:
    """Build the uncompiled model that :func:`train` trains, from the height, width and channels of its uint8 images.

    The keywords are those of :func:`train`.
    """
    sizes = resolve_architecture(architecture, filters=filters, units=units)
    renamed = {"units": "hidden"} if architecture == "mlp" else {}
    with kerasdl.training.precision_policy(precision):
        return getattr(kerasdl.models, architecture)(
            input_shape,
            num_classes,
            normalization=None if normalization == "none" else normalization,
            activation=activation,
            dropout=dropout,
            l1=l1,
            l2=l2,
            **{renamed.get(name, name): tuple(value) for name, value in sizes.items() if value is not None},
        )


def resolve(**arguments: Any) -> dict[str, Any]:
    """Return the arguments of :func:`train`, every default filled in, and all checked that needs no data.

    Raises:
        InputError: For an argument that cannot work.
    """
    signature = inspect.signature(train)
    defaults = {name: parameter.default for name, parameter in signature.parameters.items()}
    for name in arguments:
        check_choice("keyword", name, defaults)
    resolved = {name: value for name, value in (defaults | arguments).items() if name not in configuration.RECORDED}
    keywords.check(resolved)
    resolved |= keywords.resolve_optimizer(resolved)
    return resolved | resolve_architecture(
        resolved["architecture"], filters=resolved["filters"], units=resolved["units"]
    )


def resolve_architecture(architecture: str, **sizes: Sequence[int] | None) -> dict[str, Sequence[int] | None]:
    """Return the architecture's sizes with its defaults filled in, or refuse one that it does not have."""
    check_choice("architecture", architecture, ARCHITECTURES)
    defaults = ARCHITECTURES[architecture]
    for name, value in sizes.items():
        if value is not None and name not in defaults:
            raise InputError(
                name,
                received=f"{value} for {architecture}",
                expected=f"nothing: {architecture} has only {' and '.join(defaults)}",
                mend=f"Leave {name} out, or choose another architecture.",
            )
    filters = sizes.get("filters")
    if filters is not None and architecture != "cnn" and len(filters) != len(defaults["filters"]):
        raise InputError(
            "filters",
            received=f"{len(filters)} numbers {tuple(filters)}",
            expected=f"{len(defaults['filters'])} numbers, one for each stage of {architecture}",
            mend=f"Try filters={defaults['filters']}.",
        )
    return {name: value if value is not None else defaults.get(name) for name, value in sizes.items()}


def space(hp: Any) -> dict[str, Any]:
    """The hyperparameters that matter most here, in KerasTuner's language.

    Args:
        hp: A `keras_tuner.HyperParameters`.

    Returns:
        Keyword arguments of :func:`train`.
    """
    architecture = hp.Choice("architecture", ["cnn", "resnet9"])
    width = hp.Choice("width", [16, 32, 64])
    stages = 3 if architecture == "cnn" else 4
    return {
        "architecture": architecture,
        "filters": tuple(width * 2 ** min(stage, 2) for stage in range(stages)),
        "dropout": hp.Float("dropout", 0.0, 0.5, step=0.1),
        "learning_rate": hp.Float("learning_rate", 1e-4, 1e-2, sampling="log"),
        "weight_decay": hp.Float("weight_decay", 1e-3, 0.3, sampling="log"),
        "label_smoothing": hp.Choice("label_smoothing", [0.0, 0.1]),
        "batch_size": hp.Choice("batch_size", [32, 64, 128]),
    }
