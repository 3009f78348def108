"""What a report says of a classifier's answers: which classes are taken for which, each class, and calibration."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np

from kerasdl.diagnostics.calibration import calibration_error, reliability
from kerasdl.diagnostics.calibration_picture import reliability_picture
from kerasdl.pages.frame import Section, details, paragraph, table, whole_table
from kerasdl.pages.style import DEEPEST

# A larger matrix is no longer readable; the classes that are confused most are then listed alone.
LARGEST_MATRIX = 20
# A longer table is seen when it is asked for.
LONGEST_TABLE = 30
# With fewer answers a reliability diagram shows chance only.
FEWEST_ANSWERS = 30
SPLIT = "test split"


def classes_sections(class_names: Sequence[str], truth: np.ndarray, scores: np.ndarray) -> list[Section]:
    """Return the parts on classes, of which exactly one is true.

    Args:
        class_names: Of each class.
        truth: Class index of each test example, (count,).
        scores: What the model says of them, (count, classes).
    """
    confusion = np.zeros((len(class_names), len(class_names)), dtype=int)
    np.add.at(confusion, (truth, scores.argmax(axis=-1)), 1)
    return [
        Section("Confusion", _confusion(class_names, confusion)),
        Section("Classes", _classes(class_names, confusion)),
    ]


def labels_section(class_names: Sequence[str], truth: np.ndarray, scores: np.ndarray) -> Section:
    """Return the part on classes of which several may be true at once; `truth` has rows of 0 and 1."""
    from sklearn.metrics import average_precision_score

    rows = []
    for index, name in enumerate(class_names):
        true, said = truth[:, index] == 1, scores[:, index] > 0.5
        right = int((true & said).sum())
        precision = f"{right / said.sum():.3f}" if said.any() else "none found"
        f1 = f"{2 * right / (true.sum() + said.sum()):.3f}" if true.any() or said.any() else "none"
        of_true = [right / true.sum(), average_precision_score(true, scores[:, index])] if true.any() else []
        recall, average = [f"{value:.3f}" for value in of_true] or ["none", "none"]
        rows.append([name, true.sum(), precision, recall, f1, average])
    header = ["class", "examples", "precision", "recall", "F1", "average precision"]
    caption = f"On the {SPLIT}; several may be true at once, and a score above 0.5 says that a class is there"
    return Section("Classes", _long(header, rows, caption))


def calibration_section(truth: np.ndarray, scores: np.ndarray, *, fitted: bool) -> Section:
    """Return the part on whether scores are the shares of answers that are right; `fitted` if a temperature was."""
    if truth.ndim != 1 or len(truth) < FEWEST_ANSWERS or not np.isfinite(scores).all():
        return Section("Calibration", "")
    confidences, right = scores.max(axis=1), scores.argmax(axis=1) == truth
    error, chance = calibration_error(confidences, right)
    said = (
        f"On the {SPLIT}, the score of an answer is off the share of right answers by {error:.4f} on average (expected "
        f"calibration error); of a perfectly calibrated model that is at most {chance:.4f}, in 95 % of such splits."
    )
    how = " The temperature of the scores was chosen on the validation split." if fitted else ""
    return Section("Calibration", paragraph(said + how) + reliability_picture(reliability(confidences, right)))


def _classes(class_names: Sequence[str], confusion: np.ndarray) -> str:
    rows = []
    for index, name in enumerate(class_names):
        right, true, found = confusion[index, index], confusion[index].sum(), confusion[:, index].sum()
        precision = f"{right / found:.3f}" if found else "none found"
        f1 = f"{2 * right / (true + found):.3f}" if true + found else "none"
        rows.append([name, true, precision, f"{right / true:.3f}" if true else "none", f1])
    return _long(["class", "examples", "precision", "recall", "F1"], rows, f"On the {SPLIT}")


def _long(header: Sequence[str], rows: Sequence[Sequence[Any]], caption: str) -> str:
    whole = table(header, rows, caption=caption)
    return whole if len(rows) <= LONGEST_TABLE else details(f"All {len(rows)} classes", whole)


def _confusion(class_names: Sequence[str], confusion: np.ndarray) -> str:
    if len(class_names) > LARGEST_MATRIX:
        off = confusion * (1 - np.eye(len(class_names), dtype=int))
        worst = [np.unravel_index(flat, off.shape) for flat in np.argsort(-off, axis=None, kind="stable")]
        worst = [(true, said) for true, said in worst[:LARGEST_MATRIX] if off[true, said]]
        rows = [[class_names[true], class_names[said], off[true, said]] for true, said in worst]
        if not rows:
            return paragraph(f"No answer on the {SPLIT} is wrong.")
        caption = f"What is taken for what most often, on the {SPLIT}"
        return table(["it is", "the model says", "times"], rows, caption=caption, text=(1,))
    # Long names stand upright over narrow columns.
    upright = any(len(name) > 3 for name in class_names)
    head = "".join(
        f'<th scope="col">{f"<span>{escape(name)}</span>" if upright else escape(name)}</th>' for name in class_names
    )
    body = ""
    for index, name in enumerate(class_names):
        of_row = max(1, confusion[index].sum())
        cells = "".join(
            _cell(count, count / of_row, right=index == said) for said, count in enumerate(confusion[index])
        )
        body += f'<tr><th scope="row">{escape(name)}</th>{cells}</tr>'
    note = (
        "A row is what they are, a column what the model says. The deeper the colour of a cell, the more of its row it "
        "holds: blue where the model is right, orange where it is wrong."
    )
    inside = f"<thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody>"
    return paragraph(note, note=True) + whole_table(inside, caption=f"Examples of the {SPLIT}", kind="confusion")


def _cell(count: int, share: float, *, right: bool) -> str:
    if not count:
        return '<td class="zero">0</td>'
    # Rare mistakes are to be seen, too.
    deep = DEEPEST * max(0.4, float(share) ** 0.5)
    return f'<td{" class=right" if right else ""} style="--share: {deep:.0f}%">{count}</td>'
