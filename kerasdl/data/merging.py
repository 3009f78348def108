"""Splits put together: what a last training, with nothing left to choose, learns from."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from kerasdl.data.dataset import Dataset, Split
from kerasdl.data.detection_dataset import DetectionDataset, DetectionSplit
from kerasdl.data.forecast_dataset import ForecastDataset
from kerasdl.data.windows import Windows


def with_validation_in_training(dataset: Dataset) -> Dataset:
    """Return the dataset with a training split that has the validation examples too.

    The validation split stays as it is: what is measured on it then says nothing about new data. Train with
    `keep="last"`.

    Args:
        dataset: Any dataset.

    Returns:
        A dataset whose test split is the same.

    Example:
        >>> kerasdl.data.with_validation_in_training(kerasdl.data.load("digits")).counts
        {'train': 1437, 'validation': 144, 'test': 360}
    """
    if isinstance(dataset, ForecastDataset):
        train, validation, _ = dataset.windows
        # The ends of both: a gap between them is trained on as well.
        ranges = [(begin, end) for (begin, _), (_, end) in zip(train.ranges, validation.ranges, strict=True)]
        windows: Any = Windows(train.series, train.layout, ranges, stride=train.stride, scales=train.scales)
        windows.numbered = train.numbered
        return dataclasses.replace(dataset, train=windows)
    parts = (dataset.train, dataset.validation)
    inputs, targets = ([getattr(part, name) for part in parts] for name in ("inputs", "targets"))
    if isinstance(dataset, DetectionDataset):
        sizes = np.concatenate([part.sizes for part in dataset.parts[:2]])
        images, boxes = (np.concatenate(halves) for halves in (inputs, targets))
        return dataclasses.replace(dataset, train=DetectionSplit(images, boxes, sizes))
    return dataclasses.replace(dataset, train=Split(np.concatenate(inputs), np.concatenate(targets)))
