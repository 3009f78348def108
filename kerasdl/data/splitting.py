"""From the parts a source has to a :class:`Dataset`: stratified splits and one materialised array for each.

A part is what a source gives for one split: its labels, and a function that reads the inputs at given indices.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kerasdl import series_values
from kerasdl.data.cache import ImageWriter
from kerasdl.data.dataset import CHUNK, Dataset, Split
from kerasdl.data.labels import encode_labels, read_labels
from kerasdl.errors import InputError, plural


@dataclass(frozen=True)
class Part:
    """The examples that a source has for one split.

    Args:
        labels: As `read_labels` takes them.
        read: From sorted indices to uint8 images of shape (len(indices), height, width, channels), or to texts of shape
            (len(indices),), an object array of str, or to series as a `Split` has them.
    """

    labels: object
    read: Callable[[np.ndarray], np.ndarray]


def build_dataset(
    parts: dict[str, Part],
    *,
    name: str,
    source: str,
    kind: str = "images",
    noun: str = "image",
    class_names: tuple[str, ...] | None = None,
    num_classes: int | None = None,
    validation_fraction: float,
    test_fraction: float,
    split_seed: int,
) -> Dataset:
    """Encode the labels, take the splits that are missing from the training part, and read every input once.

    Args:
        parts: By split; "train" must be there.
        name: The name of the dataset.
        source: How to load it again.
        kind: What the inputs are.
        noun: What messages call one of them.
        class_names: The names of the classes if the source has them.
        num_classes: The number of classes if the user gave it.
        validation_fraction: Of the training part left after the test split.
        test_fraction: Of the training part.
        split_seed: Fixes which examples are drawn.

    Raises:
        InputError: As `read_labels`, `encode_labels` and `take_split` do.
    """
    labels = {split: read_labels(part.labels, what=f"{split} labels", noun=noun) for split, part in parts.items()}
    targets, class_names = encode_labels(labels, class_names=class_names, num_classes=num_classes, noun=noun)
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
    _refuse_constant(splits["train"].inputs, name, noun)
    return Dataset(name=name, kind=kind, class_names=class_names, source=source, **splits)


def _refuse_constant(inputs: np.ndarray, name: str, noun: str) -> None:
    if isinstance(inputs[0], np.ndarray) and inputs.dtype.kind == "O":
        if series_values.differ(inputs):
            return
    else:
        for start in range(0, len(inputs), CHUNK):
            if (inputs[start : start + CHUNK] != inputs[0]).any():
                return
    mend = "Look at some of them."
    received = f"{len(inputs)} training {plural(noun)} that are all the same"
    if inputs.dtype.kind == "u":
        received += f", with values from {inputs[0].min()} to {inputs[0].max()}"
        mend = "Look at some of them; a conversion that rounded [0, 1] down to 0 is a common cause."
    raise InputError(
        name,
        received=received,
        expected=f"{plural(noun)} that differ: nothing can be learned from a constant",
        mend=mend,
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

    Where several classes may be true at once, at least one example with and one without every class is taken, and the
    size may be off by a few.

    Args:
        targets: The class index, or the row of 0 and 1, of every example of the part.
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
    if here.ndim == 2:
        # That a class is absent is to be as balanced as that it is there.
        columns = np.concatenate([here, 1 - here], axis=1)
        chosen = draw_rows(columns, fraction, np.random.default_rng(seed))
        absent = (columns[chosen].sum(axis=0) == 0) | (columns[~chosen].sum(axis=0) == 0)
        _refuse_missing(np.unique(np.flatnonzero(absent) % here.shape[1]), targets, split, class_names)
        return indices[~chosen], indices[chosen]
    classes, counts = np.unique(here, return_counts=True)
    size = max(math.ceil(fraction * len(indices)), len(classes))
    missing = classes[counts < 2]
    if not len(missing) and len(indices) - size < len(classes):
        missing = classes[counts == counts.min()]
    if not len(missing):
        kept, taken = train_test_split(indices, test_size=size, random_state=seed, stratify=here)
        missing = np.setdiff1d(classes, np.intersect1d(targets[kept], targets[taken]))
    _refuse_missing(missing, targets, split, class_names)
    return np.sort(kept), np.sort(taken)


def draw_rows(columns: np.ndarray, fraction: float, generator: np.random.Generator) -> np.ndarray:
    """Draw a fraction of the rows so that each column keeps its share of ones, as well as can be.

    From the rarest column on, each gets what it still lacks from its rows not yet decided upon. Sechidis, Tsoumakas and
    Vlahavas, On the Stratification of Multi-label Data, ECML PKDD 2011, doi:10.1007/978-3-642-23808-6_10.

    Args:
        columns: 0 and 1, shape (count, columns); no row without a one.
        fraction: Share to draw.
        generator: Where all randomness comes from.

    Returns:
        Which rows are drawn, bool (count,).
    """
    chosen, undecided = np.zeros(len(columns), bool), np.ones(len(columns), bool)
    totals = columns.sum(axis=0, dtype=np.int64)
    left, taken = totals.copy(), np.zeros_like(totals)
    while left.any():
        column = np.where(left > 0, left, len(columns) + 1).argmin()
        rows = generator.permutation(np.flatnonzero(undecided & (columns[:, column] == 1)))
        kept = totals[column] - left[column] - taken[column]
        # One at least on either side, if there are two.
        most = len(rows) - (kept == 0)
        wanted = max(round(fraction * totals[column]), 1) - taken[column]
        drawn = rows[: max(0, min(wanted, most))]
        chosen[drawn], undecided[rows] = True, False
        taken += columns[drawn].sum(axis=0, dtype=np.int64)
        left -= columns[rows].sum(axis=0, dtype=np.int64)
    return chosen


def _refuse_missing(missing: np.ndarray, targets: np.ndarray, split: str, class_names: tuple[str, ...]) -> None:
    if not len(missing):
        return
    if targets.ndim == 2:
        totals = targets.sum(axis=0, dtype=np.int64)
        found = [f"{class_names[i]!r} ({totals[i]} with, {len(targets) - totals[i]} without)" for i in missing[:10]]
    else:
        totals = np.bincount(targets, minlength=len(class_names))
        found = [f"{class_names[i]!r} ({totals[i]})" for i in missing[:10]]
    raise InputError(
        f"{split} split",
        received=f"too few examples of {', '.join(found)}",
        expected="enough of every class to be in training, validation and test",
        mend=f"Add examples of them, drop those classes, or bring a {split} split of your own.",
    )


def materialise(part: Part, indices: np.ndarray) -> np.ndarray:
    """Read the inputs at sorted `indices` once, into memory or a memory map: see :class:`ImageWriter`."""
    writer = ImageWriter()
    for start in range(0, len(indices), CHUNK):
        writer.append(part.read(indices[start : start + CHUNK]))
    return writer.finish()
