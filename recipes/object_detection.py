"""Object detection: uint8 images and boxes in, a detector out that says what is where, in each image's own pixels.

kerasdl train object_detection --data digit_scenes
kerasdl train object_detection --data voc/2007 --size small --backbone efficientnet_lite0 --weights imagenet
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import kerasdl
from kerasdl import backbone_table, checks, configuration, keywords
from kerasdl.errors import InputError

if TYPE_CHECKING:
    import keras

# What the data depend on.
DATA_KEYWORDS: tuple[str, ...] = ("image_size", "num_classes", "box_format", "invalid_boxes")
# What detections are made by, of a detector's outputs.
SUPPRESSION: tuple[str, ...] = ("num_detections", "score_threshold", "iou_threshold", "soft_sigma")


def train(
    data: Any = "digit_scenes",
    *,
    size: str = "nano",
    backbone: str | Callable[..., keras.Model] | None = None,
    weights: str | Path | None = None,
    strides: Sequence[int] = (8, 16, 32),
    activation: str = "relu",
    normalization: str = "batch",
    normalization_momentum: float | None = None,
    dropout: float = 0.0,
    l1: float = 0.0,
    l2: float = 0.0,
    epochs: int = 18,
    batch_size: int = 16,
    optimizer: str | Mapping[str, Any] | keras.optimizers.Optimizer = "adamw",
    learning_rate: float | str | None = None,
    schedule: str | Mapping[str, Any] | keras.optimizers.schedules.LearningRateSchedule | None = None,
    weight_decay: float | None = None,
    gradient_clip: float | None = 10.0,
    gradient_accumulation: int = 1,
    ema: float | None = None,
    early_stopping: int | None = None,
    keep: str = "best",
    augmentation: str | Sequence[str] = "shift,scale,color",
    precision: str = "float32",
    jit_compile: bool | str = False,
    steps_per_execution: int | str = 1,
    strategy: str | None = None,
    skip_bad_batches: int = 0,
    seed: int = 0,
    image_size: int | Sequence[int] | None = None,
    num_classes: int | None = None,
    box_format: str | None = None,
    invalid_boxes: str | None = None,
    num_detections: int = 100,
    score_threshold: float = 0.01,
    iou_threshold: float = 0.6,
    soft_sigma: float | None = None,
    directory: str | Path | None = None,
    resume: bool = False,
    checkpoint_every: int | str = "epoch",
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: int = 1,
    versions: Mapping[str, str] | None = None,
    hardware: Mapping[str, Any] | None = None,
    data_fingerprint: str | None = None,
) -> kerasdl.Result:
    """Train an object detector.

    The validation split chooses the epoch whose weights are kept; the test split is measured once, at the end. The
    history has "val_map" and "val_map50", measured after each epoch.

    Args:
        data: "digit_scenes" or "garment_scenes"; a TFDS name such as "voc/2007" or "coco/2017"; a folder of COCO,
            Pascal VOC or YOLO, or its .json or .yaml file; arrays (images, boxes, labels), or a mapping from split to
            such; or a kerasdl.data.DetectionDataset. See kerasdl.data.load.
        size: nano, small or base: widths and depths of all parts; with a backbone, of pyramid and head.
        backbone: A name that kerasdl.models.backbones() lists, a function of keras.applications, or none for a small
            residual network.
        weights: Of the backbone: imagenet (from Keras's cache, else downloaded; efficientnet_lite0's come with
            kerasdl[offline]), a .h5 file, or none.
        strides: Pixels between the locations of each level, each number twice the one before: a box much smaller than
            the first is not seen. 4,8,16,32 is for small objects, 8,16,32,64 for large images.
        activation: Name of a Keras activation.
        normalization: batch (the default), layer, group or none.
        normalization_momentum: Momentum of batch normalization's statistics; by default it suits the number of steps.
        dropout: Share of features that are dropped before the outputs in training, in [0, 1).
        l1: Weight of the sum of absolute kernel values in the loss.
        l2: Weight of the sum of squared kernel values in the loss.
        epochs: Passes over the training images.
        batch_size: Images a step.
        optimizer: sgd, nesterov, adam, adamw, rmsprop, muon, or a Keras optimizer.
        learning_rate: Highest learning rate; by default 0.003 for adam and adamw, of half as much with a backbone that
            has weights, else as of all recipes; auto runs a range test.
        schedule: constant, cosine, one_cycle (the default), plateau, exponential, or a Keras schedule.
        weight_decay: Decoupled weight decay; by default 0.05 for adamw and muon, else 0.
        gradient_clip: Largest global norm of the gradients.
        gradient_accumulation: Batches whose gradients are averaged before one update.
        ema: Momentum of a moving average of the weights, such as 0.99.
        early_stopping: Epochs without a lower validation loss after which training stops.
        keep: The weights of which epoch are kept: best, by the validation loss, or last; not beside early_stopping.
        augmentation: none, light, standard, or words such as "light,-flip,mosaic": see kerasdl.data.make_augmentation.
            It moves boxes with their images. flip is left out by default: digits and text tell left from right.
        precision: float32, bfloat16 or float16 (mixed precision; weights and outputs stay float32), or auto.
        jit_compile: XLA: true, false or auto.
        steps_per_execution: Batches that run without a return to Python, or auto.
        strategy: mirrored, to train on all GPUs of the machine; each gets its part of every batch.
        skip_bad_batches: Up to so many batches whose loss is not finite are undone and passed over.
        seed: Seed of the weights, of dropout and of the order of images.
        image_size: Side in pixels, or height and width, that all images are letterboxed to: scaled with their
            proportions kept. By default that of the images, at most 320.
        num_classes: Number of classes, for arrays whose labels are integers.
        box_format: What the four numbers of a box are, for arrays: xyxy (the default), xywh, center_xywh, yxyx and
            others of keras.utils.bounding_boxes.
        invalid_boxes: What is done about boxes that are inverted, empty or outside: refuse (the default) or drop.
        num_detections: Detections of an image at most.
        score_threshold: Least score of a detection. COCO's measures want nearly all; a user shows those above 0.3, say.
        iou_threshold: Of boxes of one class that overlap by more, only the best stays.
        soft_sigma: If given, overlapping boxes lose score instead, by this width; 0.5 is usual.
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
        The result: model, history, test metrics ("map", "map50", ...), diagnosis, configuration, dataset.

    Raises:
        InputError: For an argument or data that cannot work, before anything is trained or written.

    Example:
        >>> result = train("digit_scenes")
        >>> result.predict("photo.jpg")["boxes"]

    Reference: Tian et al., FCOS, arXiv:1904.01355 and arXiv:2006.09214.
    """
    arguments = {name: value for name, value in locals().items() if name not in configuration.RECORDED}
    arguments = resolve(**arguments)

    from kerasdl.detection_targets import encode, mean_normalizers
    from kerasdl.training.detection_curve import DetectionCurve
    from kerasdl.training.detection_losses import detection_losses

    dataset = load(**arguments)
    arguments["image_size"] = dataset.image_size
    grid = {"image_size": dataset.image_size, "strides": arguments["strides"]}
    # The same for all batches, so that their losses add up.
    normalizers = mean_normalizers(dataset.train.targets, **grid)
    ways: dict[str, Any] = {
        "loss": detection_losses(),
        "encode_targets": functools.partial(encode, **grid, normalizers=normalizers),
        "encode_last": True,
        "augment": kerasdl.data.make_target_augmentation(augmentation),
    }
    if normalization_momentum is None and normalization == "batch":
        steps = epochs * (len(dataset.train) // min(batch_size, len(dataset.train)))
        arguments["normalization_momentum"] = kerasdl.blocks.suitable_momentum(steps)
    build_keywords = configuration.matching(build, arguments)
    task = kerasdl.ObjectDetection(
        dataset.class_names,
        input_shape=dataset.input_shape,
        strides=arguments["strides"],
        suppression={name: arguments[name] for name in SUPPRESSION},
        box_format=box_format,
        invalid_boxes=invalid_boxes,
    )

    def built(precision: str) -> keras.Model:
        return build(dataset.input_shape, dataset.num_classes, **build_keywords | {"precision": precision})

    def fitted(model: keras.Model, decided: dict[str, Any]) -> dict[str, list[float]]:
        curve = DetectionCurve(task.layer(), dataset.validation, num_classes=dataset.num_classes)
        keywords = configuration.matching(kerasdl.training.fit, decided) | ways
        keywords["callbacks"] = [curve, *decided["callbacks"]]
        return kerasdl.training.fit(model, dataset.train, dataset.validation, **keywords)

    return kerasdl.run_recipe(
        "object_detection",
        arguments,
        dataset,
        task=task,
        prepare=lambda decided: kerasdl.training.resolve_auto(decided, built, dataset.train, **ways),
        build=lambda decided: built(decided["precision"]),
        fit=fitted,
    )


def load(**arguments: Any) -> kerasdl.data.DetectionDataset:
    """Return the data as :func:`train` takes them, from its resolved arguments."""
    dataset: Any = kerasdl.data.load(
        arguments["data"], kind="detection", **{name: arguments[name] for name in DATA_KEYWORDS}
    )
    if dataset.kind != "detection":
        raise InputError(
            "data",
            received=f"a Dataset of kind {dataset.kind!r}",
            expected="images with boxes",
            mend="Load it with kerasdl.data.load(..., kind='detection').",
        )
    return dataset


def build(
    input_shape: Sequence[int],
    num_classes: int,
    *,
    size: str = "nano",
    backbone: str | Callable[..., keras.Model] | None = None,
    weights: str | Path | None = None,
    strides: Sequence[int] = (8, 16, 32),
    activation: str = "relu",
    normalization: str = "batch",
    normalization_momentum: float | None = None,
    dropout: float = 0.0,
    l1: float = 0.0,
    l2: float = 0.0,
    precision: str = "float32",
) -> keras.Model:
    """Build the uncompiled model that :func:`train` trains, from the height, width and channels of its uint8 images.

    The keywords are those of :func:`train`.
    """
    usual = kerasdl.blocks.MOMENTUM
    with kerasdl.training.precision_policy(precision):
        return kerasdl.models.detector(
            input_shape,
            num_classes,
            size=size,
            backbone=backbone,
            weights=weights,
            strides=strides,
            activation=activation,
            normalization=None if normalization == "none" else normalization,
            dropout=dropout,
            l1=l1,
            l2=l2,
            momentum=usual if normalization_momentum is None else normalization_momentum,
        )


def resolve(**arguments: Any) -> dict[str, Any]:
    """Return the arguments of :func:`train`, every default filled in, and all checked that needs no data.

    Raises:
        InputError: For an argument that cannot work.
    """
    resolved = keywords.resolve(train, arguments)
    checks.choice(*keywords.NORMALIZATIONS)("normalization", resolved["normalization"])
    kerasdl.data.make_target_augmentation(resolved["augmentation"])
    if resolved["backbone"] is not None:
        resolved["backbone"] = (
            None if resolved["backbone"] == "none" else backbone_table.backbone_name(resolved["backbone"])
        )
    if resolved["weights"] == "none":
        resolved["weights"] = None
    if resolved["weights"] is not None and resolved["backbone"] is None:
        raise InputError(
            "weights",
            received=f"{resolved['weights']!r} without a backbone",
            expected="the backbone that they are of",
            mend='Add backbone="efficientnet_lite0", say, or leave weights out.',
        )
    adam = isinstance(resolved["optimizer"], str) and resolved["optimizer"] in ("adam", "adamw")
    if arguments.get("learning_rate") is None and adam and isinstance(resolved["schedule"], str):
        resolved["learning_rate"] = 0.003 if resolved["weights"] is None else 0.0015
    strides = resolved["strides"]
    return resolved | {"strides": tuple(strides) if isinstance(strides, (list, tuple)) else (strides,)}


def space(hp: Any) -> dict[str, Any]:
    """The hyperparameters that matter most here, in KerasTuner's language.

    Args:
        hp: A `keras_tuner.HyperParameters`.

    Returns:
        Keyword arguments of :func:`train`.
    """
    return {
        "size": hp.Choice("size", ["nano", "small"]),
        "augmentation": hp.Choice("augmentation", ["none", "shift,scale,color", "shift,scale,color,mosaic"]),
        "learning_rate": hp.Float("learning_rate", 3e-4, 1e-2, sampling="log"),
        "schedule": hp.Choice("schedule", ["one_cycle", "cosine"]),
        "weight_decay": hp.Float("weight_decay", 1e-3, 0.3, sampling="log"),
        "batch_size": hp.Choice("batch_size", [8, 16, 32]),
    }
