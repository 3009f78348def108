"""Boxes from TensorFlow Datasets, such as voc/2007 and coco/2017: any with a sequence of boxes and class labels.

Boxes come as shares of the image's sides, by TFDS's own definition top, left, bottom, right. Objects marked as a crowd
or as difficult are that here too. A split without a single object, as COCO's test split, which is kept secret, is left
out.

https://www.tensorflow.org/datasets/api_docs/python/tfds/features/BBoxFeature
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasdl.data.boxes import convert
from kerasdl.data.cache import ImageWriter
from kerasdl.data.detection_dataset import Annotated, annotate, letterbox_image
from kerasdl.data.images import to_channels
from kerasdl.data.tfds import open_builder, open_streams
from kerasdl.errors import InputError

if TYPE_CHECKING:
    import tensorflow as tf

MARKS = ("is_crowd", "is_difficult")
BATCH = 64


def read_tfds_boxes(
    name: str, *, data_dir: str | Path | None, samples: Iterable[str], invalid: str
) -> tuple[dict[str, Annotated], tuple[str, ...]]:
    """Open a dataset of TensorFlow Datasets, preparing it first if need be.

    Args:
        name: As TFDS names it.
        data_dir: Where prepared data and downloads are; None for TFDS's own place.
        samples: What messages offer instead.
        invalid: What is done about boxes that are wrong.

    Returns:
        What is known of each split, and the class names.

    Raises:
        InputError: For data without an image and boxes with labels, or that are neither prepared nor to be had, and
            for boxes that are wrong.
    """
    builder = open_builder(name, data_dir)
    image, objects, box, label, mark = _features(builder)

    def pick(example: dict[str, Any]) -> tuple[Any, ...]:
        found = example[objects]
        marks = found[mark] if mark else found[label] < 0
        return example[image], found[box], found[label], marks

    instead = f"({', '.join(samples)}), files in COCO's, VOC's or YOLO's format or arrays"
    streams = open_streams(builder, name, pick, instead=instead)
    class_names = tuple(builder.info.features[objects].feature[label].names)
    parts = {}
    for split, stream in streams.items():
        part = _read(stream, f"{name} {split}", invalid)
        if split == "train" or len(part.image):
            parts[split] = part
    return parts, class_names


def _features(builder: Any) -> tuple[str, str, str, str, str | None]:
    """Return the names of the image, of the objects and of their box, label and mark of crowds."""
    import tensorflow_datasets as tfds

    features = builder.info.features
    images = [key for key, feature in features.items() if type(feature) is tfds.features.Image]
    for key, feature in features.items():
        inner = getattr(feature, "feature", None)
        if not isinstance(inner, tfds.features.FeaturesDict):
            continue
        boxes = [name for name, kind in inner.items() if isinstance(kind, tfds.features.BBoxFeature)]
        labels = [name for name, kind in inner.items() if isinstance(kind, tfds.features.ClassLabel)]
        if images and boxes and labels:
            chosen = "label" if "label" in labels else labels[0]
            whole = "image" if "image" in images else images[0]
            return whole, key, boxes[0], chosen, next((mark for mark in MARKS if mark in inner), None)
    listed = ", ".join(f"{key}: {type(feature).__name__}" for key, feature in features.items())
    raise InputError(
        builder.name,
        received=f"the features {listed}",
        expected="an Image and a Sequence with a BBoxFeature and a ClassLabel",
        mend="Choose a dataset for object detection, such as voc/2007 or coco/2017.",
    )


def _read(stream: tf.data.Dataset, what: str, invalid: str) -> Annotated:
    import tensorflow as tf

    sizes, owners, boxes, labels, marks = [], [], [], [], []
    # Pixels stay behind: only their number is needed here.
    measured = stream.map(lambda image, *rest: (tf.shape(image)[:2], *rest))
    for number, (size, box, label, mark) in enumerate(measured.as_numpy_iterator()):
        # Real data never has it otherwise; tfds.testing.mock_data makes up each by itself.
        least = min(len(box), len(label), len(mark))
        if invalid == "drop":
            box, label, mark = box[:least], label[:least], mark[:least]
        if not len(box) == len(label) == len(mark):
            raise InputError(
                f"{what} example {number}",
                received=f"{len(box)} boxes, {len(label)} labels and {len(mark)} marks",
                expected="as many of each",
                mend="Prepare the data again.",
            )
        sizes.append(size)
        owners += [number] * len(box)
        boxes.append(box)
        labels.append(label)
        marks.append(mark)
    heights = np.array(sizes, np.int64)
    numbers = np.array(owners, np.int64)
    starts = np.searchsorted(numbers, np.arange(len(heights)))
    shares = np.concatenate(boxes).astype(np.float64).reshape(-1, 4)
    return annotate(
        heights,
        owners,
        convert(shares, heights[numbers], "rel_yxyx"),
        np.concatenate(labels).tolist(),
        np.concatenate(marks).tolist(),
        _opener(stream),
        where=lambda box: f"{what} example {numbers[box]} box {box - starts[numbers[box]]}",
        invalid=invalid,
    )


def _opener(stream: tf.data.Dataset) -> Callable[[tuple[int, int]], Any]:
    # The parts that are drawn of one split share it: a stream can only be decoded as a whole.
    @functools.cache
    def opened(image_size: tuple[int, int]) -> Callable[[np.ndarray], np.ndarray]:
        writer, batch = ImageWriter(), []
        for image, *_ in stream:
            batch.append(letterbox_image(to_channels(image, 3).numpy(), image_size))
            if len(batch) == BATCH:
                writer.append(np.stack(batch))
                batch = []
        if batch:
            writer.append(np.stack(batch))
        images = writer.finish()
        return lambda indices: np.asarray(images[indices])

    return opened
