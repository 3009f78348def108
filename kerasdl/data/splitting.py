"""From the parts a source has to a :class:`Dataset`: stratified splits and one materialised array for each.

A part is what a source gives for one split: its labels, and a function that reads the images at given indices.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kerasdl.data.cache import ImageWriter
from kerasdl.data.dataset import CHUNK, Dataset, Split
from kerasdl.data.labels import encode_labels, read_labels
from kerasdl.errors import InputError


@dataclass(frozen=True)
class Part:
    """The examples that a source has for one split.

    Args:
        labels: As `read_labels` takes them.
        read: From sorted indices to uint8 images of shape (len(indices), height, width, channels).
    """

    labels: object
    read: Callable[[np.ndarray], np.ndarray]


def build_dataset(
    parts: dict[str, Part],
    *,
    name: str,
    source: str,
    class_names: tuple[str, ...] | None = None,
    num_classes: int | None = None,
    validation_fraction: float,
    test_fraction: float,
    split_seed: int,
) -> Dataset:
    """Encode the labels, take the splits that are missing from the training part, and read every image once.

    Args:
        parts: By split; "train" must be there.
        name: The name of the dataset.
        source: How to load it again.
        class_names: The names of the classes if the source has them.
        num_classes: The number of classes if the user gave it.
        validation_fraction: Of the training part left after the test split.
        test_fraction: Of the training part.
        split_seed: Fixes which examples are drawn.

    Raises:
        InputError: As `read_labels`, `encode_labels` and `take_split` do.
    """
    labels = {split: read_labels(part.labels, what=f"{split} labels") for split, part in parts.items()}
    targets, class_names = encode_labels(labels, class_names=class_names, num_classes=num_classes)
    chosen = {split: (split, np.arange(len(found))) for split, found in targets.items()}
    for split, fraction in (("test", test_fraction), ("validation", validation_fraction)):
        if split not in parts:
            kept, taken = take_split(
                targets["train"], chosen["train"][1], fraction, split_seed, split=split, class_names=class_names
            )
            chosen["train"], chosen[split] = ("train", kept), ("train", taken)
    splits = {
        split: Split(inputs=materialise(parts[part], indices), targets=targets[part][indices])
        for split, (part, indices) in chosen.items()
    }
    _refuse_constant(splits["train"].inputs, name)
    return Dataset(name=name, kind="images", class_names=class_names, source=source, **splits)


def _refuse_constant(images: np.ndarray, name: str) -> None:
    for start in range(0, len(images), CHUNK):
        if (images[start : start + CHUNK] != images[0]).any():
            return
    low, high = images[0].min(), images[0].max()
    raise InputError(
        name,
        received=f"{len(images)} training images that are all the same, with values from {low} to {high}",
        expected="images that differ: nothing can be learned from a constant",
        mend="Look at some of them; a conversion that rounded [0, 1] down to 0 is a common cause.",
    )


def take_split(
    targets: np.ndarray,
    indices: np.ndarray,
    fraction: float,
    seed: int,
    *,
    split: str,
    class_names: tuple[str, ...],
) -> tuple[np.ndarray, np.ndarray]:
    """Take a stratified fraction of `indices` away, at least one example of every class.

    Args:
        targets: The class index of every example of the part.
        indices: The examples to divide.
        fraction: How much to take, in (0, 1).
        seed: Fixes the draw.
        split: What is taken, for messages.
        class_names: For messages.

    Returns:
        The indices kept and those taken, both sorted.

    Raises:
        InputError: When a class would miss on either side.
    """
    from sklearn.model_selection import train_test_split

    here = targets[indices]
    classes, counts = np.unique(here, return_counts=True)
    size = max(math.ceil(fraction * len(indices)), len(classes))
    missing = classes[counts < 2]
    if not len(missing) and len(indices) - size < len(classes):
        missing = classes[counts == counts.min()]
    if not len(missing):
        kept, taken = train_test_split(indices, test_size=size, random_state=seed, stratify=here)
        missing = np.setdiff1d(classes, np.intersect1d(targets[kept], targets[taken]))
    if len(missing):
        totals = np.bincount(targets, minlength=len(class_names))
        raise InputError(
            f"{split} split",
            received=f"too few examples of {', '.join(f'{class_names[i]!r} ({totals[i]})' for i in missing[:10])}",
            expected="enough of every class to be in training, validation and test",
            mend=f"Add examples of them, drop those classes, or bring a {split} split of your own.",
        )
    return np.sort(kept), np.sort(taken)


def materialise(part: Part, indices: np.ndarray) -> np.ndarray:
    """Read the images at sorted `indices` once, into memory or a memory map: see :class:`ImageWriter`."""
    writer = ImageWriter()
    for start in range(0, len(indices), CHUNK):
        writer.append(part.read(indices[start : start + CHUNK]))
    return writer.finish()
