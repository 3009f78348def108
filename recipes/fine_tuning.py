"""Transfer learning: a pretrained backbone and few images in, a classifier that needs far less data out.

    kerasdl train fine_tuning --data photos --backbone efficientnet_lite0
    kerasdl train fine_tuning --data fashion_mnist --backbone efficientnet_v2_b0 --unfreeze 0.5

First a new head learns on the features of the frozen backbone, which are computed once; then the last layers of the
backbone learn too, the lower the slower. Batch normalizations keep the statistics of the pretraining throughout.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import kerasdl
from kerasdl import backbone_table, checks, configuration, keywords, phase_keywords, targets
from kerasdl.errors import InputError

if TYPE_CHECKING:
    import keras

# Below, a backbone's last feature map is one or four points: little is left of what it has learned.
SMALLEST_SIDE = 96
# What the data depend on.
DATA_KEYWORDS: tuple[str, ...] = ("image_size", "input_shape", "num_classes", "deduplicate")


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
    unfrozen_rate: float = 1.0,
    lowest_rate: float = 0.1,
    schedule: str | Mapping[str, Any] | keras.optimizers.schedules.LearningRateSchedule | None = None,
    weight_decay: float | None = None,
    label_smoothing: float = 0.1,
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
    """Fine-tune a pretrained backbone.

    The history's curve "unfrozen_layers" says how many layers of the backbone learned in each epoch. The validation
    split chooses the epoch of all phases whose weights are kept; the test split is measured once, at the end.

    Args:
        data: As for image_classification: "digits", a TFDS name, a folder with one sub-folder a class, a .npz, arrays
            (x, y), a tf.data.Dataset, or a kerasdl.data.Dataset. Images are uint8, grey or colour.
        backbone: A name that kerasdl.models.backbones() lists, or a function of keras.applications.
        weights: imagenet (from Keras's cache, else downloaded; efficientnet_lite0's come with kerasdl[offline]), a
            .h5 file, or none, which trains the same architecture from scratch in one phase.
        unfreeze: How much of the backbone learns in the second phase: a share of its layers such as 0.3 for the last
            third (1.0, the default, is all), a number of layers such as 12, or 0 for none, which is a linear probe.
        unfreeze_steps: Parts of the second phase, each of which unfreezes more layers; 1 unfreezes all at once.
        frozen_epochs: Epochs of the first phase, in which only the head learns; by default 10, and more where that
            would be less than 300 steps.
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
        label_smoothing: Share of the target that is spread over all classes, in [0, 1); without any, few images make
            the validation loss, which chooses the epoch, rise while the accuracy still does too.
        class_weight: "balanced" weighs classes by the inverse of their frequency; or a weight by class name.
        gradient_clip: Largest global norm of the gradients.
        gradient_accumulation: Batches whose gradients are averaged before one update.
        ema: Momentum of a moving average of the weights, such as 0.99.
        early_stopping: Epochs of a phase without a lower validation loss after which that phase stops.
        keep: The weights of which epoch are kept: best, by the validation loss, or last; not beside early_stopping.
        augmentation: none, light, standard, strong, or words such as "light,-flip": see kerasdl.data.make_augmentation.
        precision: float32, bfloat16 or float16 (mixed precision; weights and logits stay float32), or auto.
        jit_compile: XLA: true, false or auto.
        steps_per_execution: Batches that run without a return to Python, or auto.
        strategy: mirrored, to train on all GPUs of the machine; each gets its part of every batch.
        skip_bad_batches: Up to so many batches whose loss is not finite are undone and passed over.
        seed: Seed of the head, of dropout and of the order of images.
        image_size: Side in pixels, or height and width, that images are resized to. By default they stay as they are,
            and those with a side below 96 pixels are enlarged inside the model.
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

    from kerasdl.phases import phases

    dataset = load(**arguments)
    class_weights = kerasdl.data.class_weights(dataset, class_weight)
    ways = targets.loss_and_encoding(dataset, label_smoothing=label_smoothing)
    augment = kerasdl.data.make_augmentation(augmentation, num_classes=dataset.num_classes)
    # None, where nothing changes, keeps the order of the images whether their features are computed once or not.
    ways["augment"] = augment if kerasdl.data.resolve_policy(augmentation) else None
    steps = len(dataset.train) // min(batch_size, len(dataset.train))
    if arguments["frozen_epochs"] is None:
        arguments["frozen_epochs"] = phase_keywords.frozen_epochs(steps)
    build_keywords = configuration.matching(build, arguments)

    def built(precision: str, batch_size: int) -> keras.Model:
        model = build(dataset.input_shape, dataset.num_classes, **build_keywords | {"precision": precision})
        if arguments["weights"] is None:
            steps = len(dataset.train) // min(batch_size, len(dataset.train))
            for layer in model.layers:
                if isinstance(layer, keras.layers.BatchNormalization):
                    layer.momentum = kerasdl.blocks.suitable_momentum(epochs * steps)
        return model

    def fitted(model: keras.Model, decided: dict[str, Any]) -> dict[str, list[float]]:
        return kerasdl.fit_phases(model, dataset, decided | {"class_weight": class_weights}, **ways)

    def prepared(decided: dict[str, Any]) -> dict[str, Any]:
        whole = functools.partial(built, batch_size=decided["batch_size"])

        def first_phase(precision: str) -> keras.Model:
            model = whole(precision)
            if decided["weights"] is not None:
                layers = kerasdl.models.backbone_layers(model)
                count = phases(decided, len(kerasdl.training.countable(layers)))[0].unfrozen
                kerasdl.training.freeze(layers, unfreeze=count)
            return model

        return kerasdl.training.resolve_auto(decided, whole, dataset.train, **ways, build_for_rate=first_phase)

    return kerasdl.run_recipe(
        "fine_tuning",
        arguments,
        dataset,
        task=kerasdl.ImageClassification.of(dataset),
        prepare=prepared,
        build=lambda decided: built(decided["precision"], decided["batch_size"]),
        fit=fitted,
    )


def load(**arguments: Any) -> kerasdl.data.Dataset:
    """Return the data as :func:`train` takes them, from its resolved arguments."""
    return kerasdl.data.load(arguments["data"], **{name: arguments[name] for name in DATA_KEYWORDS})


def nearest_neighbours(
    data: Any = "digits",
    *,
    backbone: str | Callable[..., keras.Model] = "efficientnet_v2_b0",
    weights: str | Path | None = "imagenet",
    neighbours: int = 10,
    image_size: int | Sequence[int] | None = None,
    input_shape: Sequence[int] | None = None,
    num_classes: int | None = None,
) -> dict[str, float]:
    """Classify by the nearest training images in the space of a backbone's features: what they know untrained.

    Args:
        data: As for :func:`train`, as are the backbone, its weights and the last three.
        backbone: A name or a function of keras.applications.
        weights: imagenet, a .h5 file, or none.
        neighbours: How many nearest training images vote, by cosine distance.
        image_size: Side in pixels, or height and width, that images are resized to.
        input_shape: Height, width and channels that all images are converted to.
        num_classes: Number of classes, when labels may lack some of them.

    Returns:
        Metrics on the test split, by the names of :meth:`kerasdl.Result.evaluate`.

    Raises:
        InputError: As for :func:`train`, and for images that have several labels.

    Example:
        >>> nearest_neighbours("digits", backbone="efficientnet_lite0")["accuracy"]
    """
    keywords.check({"image_size": image_size, "input_shape": input_shape, "num_classes": num_classes})
    checks.integer(1, example=10)("neighbours", neighbours)
    backbone = backbone_table.backbone_name(backbone)

    import numpy as np
    from sklearn.neighbors import KNeighborsClassifier

    from kerasdl.measuring import classification_metrics

    dataset = kerasdl.data.load(data, image_size=image_size, input_shape=input_shape, num_classes=num_classes)
    if dataset.multi_label or neighbours > len(dataset.train):
        raise InputError(
            "data" if dataset.multi_label else "neighbours",
            received="images with several labels" if dataset.multi_label else str(neighbours),
            expected="one label an image" if dataset.multi_label else f"at most {len(dataset.train)} training images",
            mend="Train a linear probe instead: train(..., unfreeze=0)."
            if dataset.multi_label
            else "Try neighbours=1.",
        )
    model = kerasdl.models.features(
        backbone, dataset.input_shape, weights=None if weights == "none" else weights, enlarge_to=SMALLEST_SIDE
    )
    train_features, train_targets = kerasdl.training.extract_features(model, dataset.train)
    test_features, test_targets = kerasdl.training.extract_features(model, dataset.test)
    voters = KNeighborsClassifier(neighbours, metric="cosine").fit(train_features, train_targets)
    scores = np.zeros((len(test_targets), dataset.num_classes), np.float32)
    scores[:, voters.classes_] = voters.predict_proba(test_features)
    return classification_metrics(test_targets, scores)


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
    resolved = keywords.resolve(train, arguments)
    kerasdl.data.resolve_policy(resolved["augmentation"])
    resolved["backbone"] = backbone_table.backbone_name(resolved["backbone"])
    if resolved["weights"] == "none":
        resolved["weights"] = None
    return resolved | phase_keywords.resolve(resolved)


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
        "label_smoothing": hp.Choice("label_smoothing", [0.1, 0.0]),
        "augmentation": hp.Choice("augmentation", ["none", "light", "standard"]),
        "batch_size": hp.Choice("batch_size", [16, 32, 64]),
    }
