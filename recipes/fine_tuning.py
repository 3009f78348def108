"""Transfer learning: a pretrained backbone and few images in, a classifier that needs far less data out.

    kerasdl train fine_tuning --data photos --backbone efficientnet_lite0
    kerasdl train fine_tuning --data fashion_mnist --backbone efficientnet_v2_b0 --unfreeze 0.5

First a new head learns on the features of the frozen backbone, which are computed once; then the last layers of the
backbone learn too, the lower the slower. Batch normalizations keep the statistics of the pretraining throughout.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import kerasdl
from kerasdl import backbone_table, configuration, keywords
from kerasdl.errors import InputError, check_choice

if TYPE_CHECKING:
    import keras

# Below, a backbone's last feature map is one or four points: little is left of what it has learned.
SMALLEST_SIDE = 96
UNFREEZE, FROZEN_EPOCHS = 0.3, 10


def train(
    data: Any = "digits",
    *,
    backbone: str | Callable[..., keras.Model] = "efficientnet_v2_b0",
    weights: str | Path | None = "imagenet",
    unfreeze: float | int | None = None,
    unfreeze_steps: int = 1,
    frozen_epochs: int | None = None,
    epochs: int = 10,
    feature_passes: int | None = None,
    dropout: float = 0.2,
    l1: float = 0.0,
    l2: float = 0.0,
    batch_size: int = 32,
    optimizer: str | Mapping[str, Any] | keras.optimizers.Optimizer = "adamw",
    learning_rate: float | str | None = None,
    unfrozen_rate: float = 0.3,
    lowest_rate: float = 0.1,
    schedule: str | Mapping[str, Any] | keras.optimizers.schedules.LearningRateSchedule | None = None,
    weight_decay: float | None = None,
    label_smoothing: float = 0.0,
    class_weight: str | Mapping[str, float] | None = None,
    gradient_clip: float | None = None,
    gradient_accumulation: int = 1,
    ema: float | None = None,
    early_stopping: int | None = None,
    augmentation: str | Sequence[str] = "none",
    precision: str = "float32",
    jit_compile: bool | str = False,
    steps_per_execution: int | str = 1,
    skip_bad_batches: int = 0,
    seed: int = 0,
    image_size: int | Sequence[int] | None = None,
    input_shape: Sequence[int] | None = None,
    num_classes: int | None = None,
    directory: str | Path | None = None,
    resume: bool = False,
    checkpoint_every: int | str = "epoch",
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: int = 1,
    versions: Mapping[str, str] | None = None,
    hardware: Mapping[str, Any] | None = None,
    data_fingerprint: str | None = None,
) -> kerasdl.Result:
    """Fine-tune a pretrained backbone.

    The history's curve "unfrozen_layers" says how many layers of the backbone learned in each epoch. The validation
    split chooses the epoch of all phases whose weights are kept; the test split is measured once, at the end.

    Args:
        data: As for image_classification: "digits", a TFDS name, a folder with one sub-folder a class, a .npz, arrays
            (x, y), a tf.data.Dataset, or a kerasdl.data.Dataset. Images are uint8, grey or colour.
        backbone: A name that kerasdl.models.backbones() lists, or a function of keras.applications.
        weights: imagenet (from Keras's cache, else downloaded; efficientnet_lite0's come with kerasdl[offline]), a
            .h5 file, or none, which trains the same architecture from scratch in one phase.
        unfreeze: How much of the backbone learns in the second phase: a share of its layers such as 0.3 (the default;
            1.0 is all), a number of layers such as 12, or 0 for none, which is a linear probe.
        unfreeze_steps: Parts of the second phase, each of which unfreezes more layers; 1 unfreezes all at once.
        frozen_epochs: Epochs of the first phase, in which only the head learns; by default 10.
        epochs: Epochs of the second phase, or of the only one from scratch.
        feature_passes: How often the images go through the frozen backbone, each time augmented anew, to make the
            features that the first phase learns from; 0 runs the backbone in every epoch. By default 1 without
            augmentation and 0 with it.
        dropout: Share of features that are dropped before the logits in training, in [0, 1).
        l1: Weight of the sum of absolute kernel values of the head in the loss.
        l2: Weight of the sum of squared kernel values of the head in the loss.
        batch_size: Images a step.
        optimizer: sgd, nesterov, adam, adamw or rmsprop, or a Keras optimizer, used as it is in each phase.
        learning_rate: Highest learning rate of the first phase; by default 0.001, for sgd and nesterov 0.05; auto runs
            a range test.
        unfrozen_rate: Highest learning rate of the second phase, as a share of that of the first.
        lowest_rate: Learning rate of the lowest layer that learns, as a share of the head's; it falls geometrically
            from layer to layer.
        schedule: constant, cosine, one_cycle (the default), plateau, exponential, or a Keras schedule.
        weight_decay: Decoupled weight decay; by default 0.05 for adamw, else 0.
        label_smoothing: Share of the target that is spread over all classes, in [0, 1).
        class_weight: "balanced" weighs classes by the inverse of their frequency; or a weight by class name.
        gradient_clip: Largest global norm of the gradients.
        gradient_accumulation: Batches whose gradients are averaged before one update.
        ema: Momentum of a moving average of the weights, such as 0.99.
        early_stopping: Epochs of a phase without a lower validation loss after which that phase stops.
        augmentation: none, light, standard, strong, or words such as "light,-flip": see kerasdl.data.make_augmentation.
        precision: float32, bfloat16 or float16 (mixed precision; weights and logits stay float32), or auto.
        jit_compile: XLA: true, false or auto.
        steps_per_execution: Batches that run without a return to Python, or auto.
        skip_bad_batches: Up to so many batches whose loss is not finite are undone and passed over.
        seed: Seed of the head, of dropout and of the order of images.
        image_size: Side in pixels, or height and width, that images are resized to. By default they stay as they are,
            and those with a side below 96 pixels are enlarged inside the model.
        input_shape: Height, width and channels that all images are converted to.
        num_classes: Number of classes, when labels may lack some of them.
        directory: New folder for the model, configuration, history, TensorBoard logs and report.
        resume: Go on with the run that is in `directory`, if there is one, to the bit as if it had never been killed.
        checkpoint_every: epoch (as long as that takes no more than 1 % of the time), a number of batches, or seconds as
            in "60s".
        callbacks: Further Keras callbacks, of each phase.
        verbose: 0 silent, 1 a progress bar on a terminal and lines elsewhere, 2 always lines.
        versions: Recorded in `result.config`; accepted back and ignored.
        hardware: Recorded in `result.config`; accepted back and ignored.
        data_fingerprint: Recorded in `result.config`; accepted back and ignored.

    Returns:
        The result: model, history, test metrics, diagnosis, configuration, dataset.

    Raises:
        InputError: For an argument, data or weights that cannot work, before anything is trained or written.

    Example:
        >>> result = train("fashion_mnist", backbone="efficientnet_lite0", unfreeze=0.5)
        >>> result.metrics["accuracy"]

    Reference: https://keras.io/guides/transfer_learning/; learning rates by layer and gradual unfreezing: Howard and
    Ruder, arXiv:1801.06146; the head first: Kumar et al., arXiv:2202.10054.
    """
    arguments = {name: value for name, value in locals().items() if name not in configuration.RECORDED}
    arguments = resolve(**arguments)

    import keras

    dataset = kerasdl.data.load(data, image_size=image_size, input_shape=input_shape, num_classes=num_classes)
    ways = {
        "loss": keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=label_smoothing),
        "encode_targets": functools.partial(keras.utils.to_categorical, num_classes=dataset.num_classes),
        "augment": kerasdl.data.make_augmentation(augmentation, num_classes=dataset.num_classes),
    }
    fixed = {"metrics": ["accuracy"], "class_weight": kerasdl.data.class_weights(dataset, class_weight)}
    build_keywords = configuration.matching(build, arguments)

    def built(precision: str) -> keras.Model:
        model = build(dataset.input_shape, dataset.num_classes, **build_keywords | {"precision": precision})
        if arguments["weights"] is None:
            steps = epochs * (len(dataset.train) // min(batch_size, len(dataset.train)))
            for layer in model.layers:
                if isinstance(layer, keras.layers.BatchNormalization):
                    layer.momentum = kerasdl.blocks.suitable_momentum(steps)
        return model

    def fitted(model: keras.Model, decided: dict[str, Any]) -> dict[str, list[float]]:
        return fit_phases(model, dataset, decided, **ways, **fixed)

    return kerasdl.run_recipe(
        "fine_tuning",
        arguments,
        dataset,
        prepare=lambda decided: kerasdl.training.resolve_auto(decided, built, dataset.train, **ways),
        build=lambda decided: built(decided["precision"]),
        fit=fitted,
    )


class Phase(NamedTuple):
    """A part of the training: how many layers of the backbone learn, for how long, how fast."""

    unfrozen: int
    epochs: int
    rate: float


def phases(decided: Mapping[str, Any], layers: int) -> list[Phase]:
    """Return the phases of a training.

    Args:
        decided: The arguments of :func:`train`.
        layers: How many layers of the backbone could learn.
    """
    if decided["weights"] is None:
        return [Phase(layers, decided["epochs"], 1.0)]
    unfreeze, steps = decided["unfreeze"], decided["unfreeze_steps"]
    unfrozen = round(unfreeze * layers) if isinstance(unfreeze, float) else min(unfreeze, layers)
    unfrozen = max(unfrozen, 1) if unfreeze else 0
    found = [Phase(0, decided["frozen_epochs"], 1.0)] if decided["frozen_epochs"] else []
    for step in range(1, steps + 1) if unfrozen else ():
        epochs = decided["epochs"] * step // steps - decided["epochs"] * (step - 1) // steps
        if epochs:
            found.append(Phase(-(-unfrozen * step // steps), epochs, decided["unfrozen_rate"]))
    return found


def fit_phases(
    model: keras.Model,
    dataset: kerasdl.data.Dataset,
    decided: Mapping[str, Any],
    *,
    encode_targets: Any,
    augment: Any,
    **fixed: Any,
) -> dict[str, list[float]]:
    """Train the phases one after the other, and leave the model with the weights of the best epoch of all.

    Args:
        model: Made by :func:`build`.
        dataset: The data.
        decided: The arguments of :func:`train`, and the places of logs and checkpoints.
        encode_targets: As for :func:`kerasdl.training.fit`, as is the rest.
        augment: What changes training images at random.
        **fixed: Loss, metrics and class weights.
    """
    layers = kerasdl.models.backbone_layers(model)
    from_scratch = decided["weights"] is None
    history: dict[str, list[float]] = {}
    best_loss, best_weights = float("inf"), model.get_weights()
    # Each phase makes an optimizer of its own from it.
    optimizer = configuration.jsonable(decided["optimizer"])
    checkpoints, logs = decided["checkpoint_directory"], decided["log_directory"]
    for number, phase in enumerate(phases(decided, len(kerasdl.training.countable(layers))), start=1):
        options = configuration.matching(kerasdl.training.fit, decided) | fixed
        options |= {"epochs": phase.epochs, "optimizer": optimizer}
        if checkpoints is not None:
            options["checkpoint_directory"] = checkpoints / f"phase{number}"
            options["log_directory"] = logs / f"phase{number}"
        if not from_scratch:
            names = kerasdl.training.freeze(layers, unfreeze=phase.unfrozen)
            options["layer_rates"] = kerasdl.training.falling_rates(names, lowest=decided["lowest_rate"]) or None
            if isinstance(decided["optimizer"], str) and isinstance(decided["schedule"], str):
                options["learning_rate"] = decided["learning_rate"] * phase.rate
        if decided["verbose"]:
            print(f"Phase {number}: {describe(phase, decided)}", flush=True)
        if phase.unfrozen == 0 and decided["feature_passes"]:
            curves = fit_head(
                model, dataset, decided, options, checkpoints, encode_targets=encode_targets, augment=augment
            )
        else:
            options |= {"encode_targets": encode_targets, "augment": augment}
            curves = kerasdl.training.fit(model, dataset.train, dataset.validation, **options)
        for name, values in curves.items():
            history.setdefault(name, []).extend(values)
        history.setdefault("unfrozen_layers", []).extend([float(phase.unfrozen)] * len(curves["loss"]))
        if min(curves["val_loss"]) < best_loss:
            best_loss, best_weights = min(curves["val_loss"]), model.get_weights()
        else:
            model.set_weights(best_weights)
    return history


def fit_head(
    model: keras.Model,
    dataset: kerasdl.data.Dataset,
    decided: Mapping[str, Any],
    options: Mapping[str, Any],
    checkpoints: Path | None,
    *,
    encode_targets: Any,
    augment: Any,
) -> dict[str, list[float]]:
    """Train the head on features that are computed once; the model has the same layers, and so their weights."""
    backbone, head = split_head(model)

    def extracted(name: str, **how: Any) -> kerasdl.data.Split:
        examples = getattr(dataset, name)
        return kerasdl.data.Split(
            *kerasdl.training.kept(
                checkpoints and checkpoints / f"features-{name}.npz",
                lambda: kerasdl.training.extract_features(backbone, examples, encode_targets=encode_targets, **how),
            )
        )

    train = extracted("train", passes=decided["feature_passes"], augment=augment, seed=decided["seed"])
    return kerasdl.training.fit(head, train, extracted("validation"), **options)


def split_head(model: keras.Model) -> tuple[keras.Model, keras.Model]:
    """Return the part of a classifier up to its features and the part behind them; both share its layers."""
    import keras

    features = model.get_layer("features").output
    names = [layer.name for layer in model.layers]
    x = start = keras.Input(features.shape[1:], name="features")
    for layer in model.layers[names.index("features") + 1 :]:
        x = layer(x)
    return keras.Model(model.input, features), keras.Model(start, x)


def describe(phase: Phase, decided: Mapping[str, Any]) -> str:
    """Say in words what happens in a phase."""
    epochs = f"{phase.epochs} epoch" + ("s" if phase.epochs > 1 else "")
    if decided["weights"] is None:
        return f"all layers from scratch, {epochs}"
    if phase.unfrozen:
        return f"the head and the last {phase.unfrozen} layers of {decided['backbone']}, {epochs}"
    passes = decided["feature_passes"]
    how = f"on its features, computed {'once' if passes == 1 else f'{passes} times'}" if passes else "behind it"
    return f"{decided['backbone']} is frozen; a new head {how}, {epochs}"


def build(
    input_shape: Sequence[int],
    num_classes: int,
    *,
    backbone: str = "efficientnet_v2_b0",
    weights: str | Path | None = "imagenet",
    dropout: float = 0.2,
    l1: float = 0.0,
    l2: float = 0.0,
    precision: str = "float32",
) -> keras.Model:
    """Build the uncompiled model that :func:`train` trains, from the height, width and channels of its uint8 images.

    The keywords are those of :func:`train`.
    """
    with kerasdl.training.precision_policy(precision):
        return kerasdl.models.classifier(
            backbone,
            input_shape,
            num_classes,
            weights=weights,
            enlarge_to=SMALLEST_SIDE,
            dropout=dropout,
            l1=l1,
            l2=l2,
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
    kerasdl.data.resolve_policy(resolved["augmentation"])
    resolved |= keywords.resolve_optimizer(resolved)
    resolved["backbone"] = backbone_table.backbone_name(resolved["backbone"])
    if resolved["weights"] == "none":
        resolved["weights"] = None
    return resolved | resolve_phases(resolved)


def resolve_phases(resolved: Mapping[str, Any]) -> dict[str, Any]:
    """Return what decides about the phases with its defaults filled in, or refuse what contradicts itself."""
    from_scratch = resolved["weights"] is None
    unfreeze = resolved["unfreeze"]
    unfreeze = (1.0 if from_scratch else UNFREEZE) if unfreeze is None else unfreeze
    frozen_epochs = resolved["frozen_epochs"]
    frozen_epochs = (0 if from_scratch else FROZEN_EPOCHS) if frozen_epochs is None else frozen_epochs
    if from_scratch and (unfreeze != 1.0 or frozen_epochs):
        raise InputError(
            "unfreeze" if unfreeze != 1.0 else "frozen_epochs",
            received=f"{unfreeze if unfreeze != 1.0 else frozen_epochs} without pretrained weights",
            expected="nothing: random layers are not worth keeping",
            mend='Leave it out, or pass weights="imagenet".',
        )
    if not unfreeze and not frozen_epochs:
        raise InputError(
            "frozen_epochs",
            received="0 with unfreeze=0",
            expected="epochs for something to learn in",
            mend=f"Try frozen_epochs={FROZEN_EPOCHS}.",
        )
    passes = resolved["feature_passes"]
    if passes is None:
        passes = 0 if kerasdl.data.resolve_policy(resolved["augmentation"]) else 1
    return {"unfreeze": unfreeze, "frozen_epochs": frozen_epochs, "feature_passes": passes}


def space(hp: Any) -> dict[str, Any]:
    """The hyperparameters that matter most here, in KerasTuner's language.

    Args:
        hp: A `keras_tuner.HyperParameters`.

    Returns:
        Keyword arguments of :func:`train`.
    """
    return {
        "unfreeze": hp.Choice("unfreeze", [0.0, 0.1, 0.3, 0.6, 1.0]),
        "learning_rate": hp.Float("learning_rate", 1e-4, 1e-2, sampling="log"),
        "unfrozen_rate": hp.Float("unfrozen_rate", 0.03, 1.0, sampling="log"),
        "lowest_rate": hp.Choice("lowest_rate", [0.01, 0.1, 1.0]),
        "dropout": hp.Float("dropout", 0.0, 0.5, step=0.1),
        "label_smoothing": hp.Choice("label_smoothing", [0.0, 0.1]),
        "augmentation": hp.Choice("augmentation", ["none", "light", "standard"]),
        "batch_size": hp.Choice("batch_size", [16, 32, 64]),
    }
