"""Training examples that are in the validation or test split as well are dropped, so that these measure what is new."""

from __future__ import annotations

import dataclasses

import numpy as np

from kerasdl.data.dataset import SPLITS, Dataset, Split
from kerasdl.data.kinds import KINDS
from kerasdl.data.splitting import Part, materialise
from kerasdl.duplicates import Known
from kerasdl.errors import InputError

MOST_ROUNDS = 20
"""What is left after so many rounds stays; one or two are usual."""


def deduplicate(dataset: Dataset) -> Dataset:
    """Return the dataset without the training examples that occur, exactly or nearly, in validation or test.

    Validation examples that occur in the test split are dropped as well; the test split stays as it is. It is looked
    again until nothing is found, so that a dataset that was deduplicated stays the same.

    Args:
        dataset: Images, texts or series with their classes.

    Raises:
        InputError: For a dataset of another kind, when a class would be left without a training example, or
            validation without any.

    Reference: Barz and Denzler, arXiv:1902.00423.
    """
    if dataset.kind not in KINDS:
        raise InputError(
            "deduplicate",
            received=f"True for a dataset of kind {dataset.kind!r}",
            expected=f"one of kind {', '.join(map(repr, KINDS))}",
            mend="Leave deduplicate out.",
        )
    for _ in range(MOST_ROUNDS):
        dropped = {}
        for place, name in enumerate(SPLITS[:2]):
            known = Known(dataset.splits[name].inputs, kind=dataset.kind)
            later = [known.find(dataset.splits[asked].inputs).known for asked in SPLITS[place + 1 :]]
            dropped[name] = np.unique(np.concatenate(later))
        if not any(map(len, dropped.values())):
            break
        train, validation = (_without(dataset, name, indices) for name, indices in dropped.items())
        dataset = dataclasses.replace(dataset, train=train, validation=validation)
    return dataset


def _without(dataset: Dataset, name: str, indices: np.ndarray) -> Split:
    split = dataset.splits[name]
    kept = np.setdiff1d(np.arange(len(split)), indices)
    targets = split.targets[kept]
    counts = targets.sum(axis=0) if dataset.multi_label else np.bincount(targets, minlength=dataset.num_classes)
    if not len(kept) or (name == "train" and not counts.all()):
        gone = ", ".join(dataset.class_names[index] for index in np.flatnonzero(counts == 0)[:10])
        raise InputError(
            "deduplicate",
            received=f"{len(indices)} of {len(split)} {name} examples that occur in a later split",
            expected="some examples left" + (f", also of {gone}" if gone else ""),
            mend="Bring more data, or leave deduplicate out.",
        )
    if not len(indices):
        return split
    return Split(materialise(Part(targets, lambda some: split.inputs[some]), kept), targets)
