"""From labels as users have them (integers, strings, one-hot rows) to class indices and class names."""

from __future__ import annotations

import numpy as np

from kerasdl.errors import InputError

EXPECTED = "integers or strings of shape (count,), or one-hot rows of shape (count, classes)"


def read_labels(labels: object, *, what: str) -> tuple[np.ndarray, int | None]:
    """Bring labels to one axis.

    Args:
        labels: Integers or strings of shape (count,) or (count, 1), or one-hot rows of shape (count, classes).
        what: How messages name them.

    Returns:
        An int64 or string array of shape (count,), and the number of one-hot columns, None for other labels.

    Raises:
        InputError: For missing labels, labels of another type or rank, rows that are not one-hot.
    """
    labels = _as_array(labels, what)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim not in (1, 2) or (labels.ndim == 2 and labels.dtype.kind == "U"):
        raise InputError(
            what, received=f"labels of shape {labels.shape}", expected=EXPECTED, mend="Give one label per image."
        )
    if labels.ndim == 1:
        return labels, None
    bad = np.flatnonzero(((labels != 0) & (labels != 1)).any(axis=1) | (labels.sum(axis=1) != 1))
    if len(bad):
        raise InputError(
            what,
            received=f"rows that are not one-hot, the first {labels[bad[0]].tolist()} at index {bad[0]}",
            expected=EXPECTED,
            mend="Pass y.argmax(axis=1) if each row scores the classes; several labels per image are not supported.",
        )
    return labels.argmax(axis=1), labels.shape[1]


def _as_array(labels: object, what: str) -> np.ndarray:
    try:
        labels = np.asarray(labels)
    except ValueError:
        raise InputError(
            what, received="rows of different lengths", expected=EXPECTED, mend="Give one label per image."
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
    labels: dict[str, tuple[np.ndarray, int | None]],
    *,
    class_names: tuple[str, ...] | None = None,
    num_classes: int | None = None,
) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Turn the labels of all splits into class indices.

    Args:
        labels: What `read_labels` returned, by split.
        class_names: The names of the classes if the source has them; integer labels then index them.
        num_classes: The number of classes if the user gave it; integer labels then lie in [0, num_classes).

    Returns:
        The class indices, int64, by split; and the class names: those given, or the sorted values that occur.

    Raises:
        InputError: For fewer than two classes, labels out of range or unknown, labels that occur outside the
            training split only, and splits whose labels are of different types.
    """
    columns = {width for _, width in labels.values() if width is not None}
    widths = columns | ({num_classes} if num_classes else set()) | ({len(class_names)} if class_names else set())
    kinds = {values.dtype.kind for values, _ in labels.values()}
    if len(kinds) > 1:
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
