"""From labels as users have them (integers, strings, rows of 0 and 1) to targets and class names."""

from __future__ import annotations

import numpy as np

from kerasdl.errors import InputError

EXPECTED = "integers or strings of shape (count,), or rows of 0 and 1 of shape (count, classes)"
Labels = dict[str, tuple[np.ndarray, int | None]]
"""What :func:`read_labels` returns, by split."""


def read_labels(labels: object, *, what: str, noun: str = "image") -> tuple[np.ndarray, int | None]:
    """Bring labels to one axis, unless several classes of an example are true at once.

    Args:
        labels: Integers or strings of shape (count,) or (count, 1), or rows of 0 and 1 of shape (count, classes).
        what: How messages name them.
        noun: What messages call one example.

    Returns:
        An int64 or string array of shape (count,); for rows that do not all sum to 1, a uint8 array of shape (count,
        classes); and the number of columns, None for labels that had none.

    Raises:
        InputError: For missing labels, labels of another type or rank, rows with other values than 0 and 1.
    """
    labels = _as_array(labels, what, noun)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim not in (1, 2) or (labels.ndim == 2 and labels.dtype.kind == "U") or 0 in labels.shape[1:]:
        raise InputError(
            what,
            received=f"labels of shape {labels.shape}",
            expected=EXPECTED,
            mend=f"Give one label per {noun}, or one row of 0 and 1.",
        )
    if labels.ndim == 1:
        return labels, None
    bad = np.flatnonzero(((labels != 0) & (labels != 1)).any(axis=1))
    if len(bad):
        raise InputError(
            what,
            received=f"rows with other values than 0 and 1, the first {labels[bad[0]].tolist()} at index {bad[0]}",
            expected=EXPECTED,
            mend="Pass y.argmax(axis=1) if each row scores the classes, (y > 0) if it counts them.",
        )
    if (labels.sum(axis=1) == 1).all():
        return labels.argmax(axis=1), labels.shape[1]
    return labels.astype(np.uint8), labels.shape[1]


def as_rows(labels: np.ndarray, width: int) -> np.ndarray:
    """Return what :func:`read_labels` returned for rows of 0 and 1 as rows again, uint8 (count, width)."""
    return labels if labels.ndim == 2 else np.eye(width, dtype=np.uint8)[labels]


def _as_array(labels: object, what: str, noun: str) -> np.ndarray:
    try:
        labels = np.asarray(labels)
    except ValueError:
        raise InputError(
            what, received="rows of different lengths", expected=EXPECTED, mend=f"Give one label per {noun}."
        ) from None
    if labels.dtype.kind == "O" and all(isinstance(label, (str, bytes)) for label in labels.flat):
        # TensorFlow and pandas hand out strings as objects.
        labels = np.array([_text(label) for label in labels.flat], dtype=str).reshape(labels.shape)
    if labels.dtype.kind == "S":
        labels = np.char.decode(labels, "utf-8")
    if labels.dtype.kind == "O":
        flat = list(labels.flat)
        first = next(i for i, label in enumerate(flat) if not isinstance(label, (str, bytes)))
        raise InputError(
            what,
            received=f"{flat[first]!r} at index {first} (an object array)",
            expected=EXPECTED,
            mend="Drop the examples without a label and give all labels one type.",
        )
    if labels.dtype.kind == "b":
        return labels.astype(np.int64)
    if labels.dtype.kind == "f" and not (np.isfinite(labels) & (labels == np.round(labels))).all():
        raise InputError(
            what,
            received=f"labels of type {labels.dtype} that are fractions, NaN or infinite",
            expected=EXPECTED,
            mend="Pass y.argmax(axis=1) for scores, or drop the examples without a label.",
        )
    if labels.dtype.kind not in "iufU":
        raise InputError(
            what, received=f"labels of type {labels.dtype}", expected=EXPECTED, mend="Convert them to int or str."
        )
    return labels if labels.dtype.kind == "U" else labels.astype(np.int64)


def _text(label: str | bytes) -> str:
    return label.decode("utf-8") if isinstance(label, bytes) else str(label)


def encode_labels(
    labels: Labels,
    *,
    class_names: tuple[str, ...] | None = None,
    num_classes: int | None = None,
    noun: str = "image",
) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Turn the labels of all splits into targets of one kind.

    When a row of any split does not sum to 1, several classes may be true at once in all of them.

    Args:
        labels: What `read_labels` returned, by split.
        class_names: The names of the classes if the source has them; integer labels then index them.
        num_classes: The number of classes if the user gave it; integer labels then lie in [0, num_classes).
        noun: What messages call one example.

    Returns:
        By split the class indices, int64 (count,), or the rows of 0 and 1, uint8 (count, classes); and the class names:
        those given, or the sorted values that occur, or the indices of the columns.

    Raises:
        InputError: For fewer than two classes, labels out of range or unknown, labels that occur outside the
            training split only, classes that all or no training examples have, and splits whose labels are of
            different types.
    """
    several = any(values.ndim == 2 for values, _ in labels.values())
    columns = {width for _, width in labels.values() if width is not None}
    widths = columns | ({num_classes} if num_classes else set()) | ({len(class_names)} if class_names else set())
    kinds = {values.dtype.kind for values, _ in labels.values()}
    if several:
        _check_all_rows(labels, noun)
    elif len(kinds) > 1:
        raise InputError(
            "labels",
            received="integers in one split and strings in another",
            expected="one type in all splits",
            mend="Convert them all to strings or all to integers.",
        )
    if len(widths) > 1:
        raise InputError(
            "num_classes",
            received=" and ".join(map(str, sorted(widths))),
            expected="the same number of classes from the labels, the class names and num_classes",
            mend="Leave num_classes out or correct it.",
        )
    if several:
        return _encode_rows(labels, class_names)
    values = np.unique(np.concatenate([values for values, _ in labels.values()]))
    if class_names is None and kinds == {"i"} and widths:
        class_names = tuple(str(index) for index in range(widths.pop()))
    if class_names is None:
        class_names = tuple(str(value) for value in values)
        indices = {split: np.searchsorted(values, found) for split, (found, _) in labels.items()}
    else:
        indices = {split: _index(found, class_names, split) for split, (found, _) in labels.items()}
    if num_classes and len(class_names) != num_classes:
        raise InputError(
            "num_classes",
            received=num_classes,
            expected=f"{len(class_names)}, the number of classes found ({', '.join(class_names[:10])})",
            mend="Leave num_classes out.",
        )
    if len(values) < 2:
        raise InputError(
            "labels",
            received=f"a single class ({values[0]})",
            expected="at least two classes",
            mend="Add examples of another class.",
        )
    _check_known(indices, class_names)
    return {split: found.astype(np.int64) for split, found in indices.items()}, class_names


def _check_all_rows(labels: Labels, noun: str) -> None:
    for split, (_, width) in labels.items():
        if width is None:
            raise InputError(
                f"{split} labels",
                received=f"one label per {noun}, where another split has rows of several",
                expected="rows of 0 and 1 of shape (count, classes) in all splits",
                mend="Encode them with keras.utils.to_categorical.",
            )


def _encode_rows(labels: Labels, class_names: tuple[str, ...] | None) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    targets = {split: as_rows(values, width or 0) for split, (values, width) in labels.items()}
    train = targets["train"]
    class_names = class_names or tuple(str(index) for index in range(train.shape[1]))
    positives = train.sum(axis=0, dtype=np.int64)
    for kind, found in (("no", positives == 0), ("only", positives == len(train))):
        if found.any():
            names = ", ".join(class_names[index] for index in np.flatnonzero(found)[:10])
            raise InputError(
                "labels",
                received=f"classes with {kind} positive training examples: {names}",
                expected="examples with and without every class",
                mend="Add such examples, or drop those columns.",
            )
    return targets, class_names


def _index(labels: np.ndarray, class_names: tuple[str, ...], split: str) -> np.ndarray:
    if labels.dtype.kind == "U":
        known = {name: index for index, name in enumerate(class_names)}
        labels = np.array([known.get(str(label), -1) for label in labels], dtype=np.int64)
    bad = np.flatnonzero((labels < 0) | (labels >= len(class_names)))
    if len(bad):
        raise InputError(
            f"{split} labels",
            received=f"{len(bad)} outside the classes, the first ({labels[bad[0]]}) at index {bad[0]}",
            expected=f"0 to {len(class_names) - 1} for {len(class_names)} classes, or their names",
            mend="Correct the labels, num_classes or class_names.",
        )
    return labels


def _check_known(indices: dict[str, np.ndarray], class_names: tuple[str, ...]) -> None:
    for split, found in indices.items():
        unseen = np.setdiff1d(found, indices["train"])
        if len(unseen):
            raise InputError(
                f"{split} labels",
                received=f"classes that do not occur in training: {', '.join(class_names[i] for i in unseen[:10])}",
                expected="only classes of the training split",
                mend=f"Add training examples of them or drop them from {split}.",
            )
