"""A run's report: one self-contained HTML page, no script and no network, light and dark, readable on a phone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from kerasdl.configuration import describe, write_text
from kerasdl.diagnostics.curves import Finding

WIDTH, HEIGHT, MARGIN = 640, 240, 44
# A larger matrix is no longer readable; the classes that are confused most are then listed alone.
LARGEST_MATRIX = 20
CURVES = ("loss", "accuracy", "macro_f1", "learning_rate", "unfrozen_layers")

STYLE = """
:root { color-scheme: light dark; --ink: #1c2330; --paper: #ffffff; --line: #c9cfd8; --soft: #f2f4f7; --train: #1f6feb;
  --validation: #b3470f; --good: #17692f; --bad: #a3211a; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e8ee; --paper: #14181f; --line: #3d4653; --soft: #1d232c;
  --train: #79b0ff; --validation: #f2a272; --good: #74d38c; --bad: #ff9a91; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 60rem; padding: 1rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .6rem; text-align: right; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; }
.finding { background: var(--soft); border-left: 4px solid var(--bad); padding: .6rem 1rem; margin: .6rem 0; }
.finding.none { border-color: var(--good); } code { overflow-wrap: anywhere; }
figure { margin: 1rem 0; } svg { width: 100%; height: auto; max-width: 40rem; }
svg text { fill: var(--ink); font-size: 12px; }
.axis { stroke: var(--line); } .train { stroke: var(--train); }
.validation { stroke: var(--validation); stroke-dasharray: 6 3; }
.curve { fill: none; stroke-width: 2; } .best { stroke: var(--ink); stroke-dasharray: 2 3; }
.seen, .truth, .naive { stroke: var(--ink); stroke-width: 1; } .naive { stroke-dasharray: 1 4; }
.forecast { stroke: var(--train); } .band { fill: var(--train); opacity: .2; }
"""


def write_report(
    path: Path,
    *,
    title: str,
    data: str,
    metrics: Mapping[str, float],
    findings: Sequence[Finding],
    history: Mapping[str, Sequence[float]],
    best_epoch: int,
    config: Mapping[str, Any],
    baselines: Mapping[str, Mapping[str, float]] | None = None,
    class_names: Sequence[str] = (),
    truth: np.ndarray | None = None,
    scores: np.ndarray | None = None,
    texts: Mapping[str, str] | None = None,
    pictures: Mapping[str, Sequence[str]] | None = None,
) -> Path:
    """Write the page and return its path; it is written beside and renamed.

    Args:
        path: Where the page goes.
        title: Its heading.
        data: One line about the data.
        metrics: Test metrics by name.
        findings: The diagnosis.
        history: Curves by name, one number an epoch.
        best_epoch: The epoch, from 1, whose weights were kept.
        config: The resolved configuration.
        baselines: Test metrics of simple methods, by their name.
        class_names: Name of each class; none where there are no classes.
        truth: Class index of each test example, (count,), or a row of 0 and 1, (count, classes).
        scores: What the model says of them, (count, classes); in [0, 1] for each class by itself if truth has rows.
        texts: Samples of what the model writes, by what each is.
        pictures: Figures as HTML, by their heading.
    """
    classes = []
    if truth is not None and scores is not None:
        classes = [(_classes_and_confusion if truth.ndim == 1 else _labels)(class_names, truth, scores)]
    sections = [
        f"<h1>{escape(title)}</h1><p>{escape(data)}</p>",
        "<h2>Test split</h2>" + _metrics(metrics, baselines or {}),
        "<h2>Diagnosis</h2>" + _findings(findings),
        "<h2>Learning curves</h2>" + "".join(_curves(name, history, best_epoch) for name in CURVES if name in history),
        *classes,
        *[f"<h2>{escape(heading)}</h2>{''.join(figures)}" for heading, figures in (pictures or {}).items()],
        *_texts(texts or {}),
        f'<h2>Configuration</h2><pre class="scroll">{escape(describe(config))}</pre>',
    ]
    page = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><main>\n"
        + "\n".join(sections)
        + "\n</main></body></html>\n"
    )
    write_text(path, page)
    return path


def _metrics(metrics: Mapping[str, float], baselines: Mapping[str, Mapping[str, float]]) -> str:
    def shown(values: Mapping[str, float], name: str) -> str:
        return f"{values[name]:.4f}" if name in values else ""

    header = ["metric", "this model" if baselines else "value", *baselines]
    return _table(header, [[n, shown(metrics, n), *(shown(b, n) for b in baselines.values())] for n in metrics])


def _texts(texts: Mapping[str, str]) -> list[str]:
    return [f'<h2>{escape(name)}</h2><pre class="scroll">{escape(text)}</pre>' for name, text in texts.items()]


def _table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    head = "".join(f'<th scope="col">{escape(str(cell))}</th>' for cell in header)
    body = "".join("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _findings(findings: Sequence[Finding]) -> str:
    if not findings:
        return '<div class="finding none">Nothing wrong was found.</div>'
    return "".join(
        f'<div class="finding"><strong>{escape(finding.name.replace("_", " "))}</strong>: {escape(finding.advice)}<br>'
        f"Evidence: {escape(finding.evidence_text())}"
        + (f"<br>Remedy: <code>train(…, {escape(finding.remedy_text())})</code>" if finding.remedy else "")
        + "</div>"
        for finding in findings
    )


def _curves(name: str, history: Mapping[str, Sequence[float]], best_epoch: int) -> str:
    curves = {"train": history[name]}
    if f"val_{name}" in history:
        curves["validation"] = history[f"val_{name}"]
    finite = [value for values in curves.values() for value in values if np.isfinite(value)]
    if not finite:
        return ""
    low, high = min(finite), max(finite)
    span = (high - low) or 1.0
    epochs = len(history[name])

    def place(epoch: int, value: float) -> str:
        x = MARGIN + (WIDTH - 2 * MARGIN) * ((epoch - 1) / max(1, epochs - 1))
        y = HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * ((value - low) / span)
        return f"{x:.1f},{y:.1f}"

    lines = "".join(
        f'<polyline class="curve {kind}" points="'
        + " ".join(place(epoch, value) for epoch, value in enumerate(values, start=1) if np.isfinite(value))
        + '"/>'
        for kind, values in curves.items()
    )
    best = place(best_epoch, low).split(",")[0]
    label = name.replace("_", " ")
    legend = "solid: training, dashed: validation, " if len(curves) == 2 else ""
    bottom, right = HEIGHT - MARGIN, WIDTH - MARGIN
    summary = f"{label} over {epochs} epochs, from {low:.4g} to {high:.4g}"
    return (
        f'<figure><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{summary}">'
        f'<line class="axis" x1="{MARGIN}" y1="{bottom}" x2="{right}" y2="{bottom}"/>'
        f'<line class="best" x1="{best}" x2="{best}" y1="{MARGIN}" y2="{bottom}"/>{lines}'
        f'<text x="{MARGIN}" y="{MARGIN - 10}">{high:.4g}</text>'
        f'<text x="{MARGIN}" y="{bottom + 18}">{low:.4g} · epoch 1</text>'
        f'<text x="{right}" y="{bottom + 18}" text-anchor="end">epoch {epochs}</text></svg>'
        f"<figcaption>{label} ({legend}dotted: epoch {best_epoch}, whose weights were kept)</figcaption></figure>"
    )


def _classes_and_confusion(class_names: Sequence[str], truth: np.ndarray, scores: np.ndarray) -> str:
    confusion = np.zeros((len(class_names), len(class_names)), dtype=int)
    np.add.at(confusion, (truth, scores.argmax(axis=-1)), 1)
    return f"<h2>Classes</h2>{_classes(class_names, confusion)}<h2>Confusion</h2>{_confusion(class_names, confusion)}"


def _labels(class_names: Sequence[str], truth: np.ndarray, scores: np.ndarray) -> str:
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
    header = ["class", "test examples", "precision", "recall", "F1", "average precision"]
    return "<h2>Classes</h2><p>Several may be true at once; a score above 0.5 says that a class is there.</p>" + _table(
        header, rows
    )


def _classes(class_names: Sequence[str], confusion: np.ndarray) -> str:
    rows = []
    for index, name in enumerate(class_names):
        right, true, found = confusion[index, index], confusion[index].sum(), confusion[:, index].sum()
        precision = f"{right / found:.3f}" if found else "none found"
        rows.append([name, true, precision, f"{right / true:.3f}" if true else "none"])
    return _table(["class", "test examples", "precision", "recall"], rows)


def _confusion(class_names: Sequence[str], confusion: np.ndarray) -> str:
    if len(class_names) <= LARGEST_MATRIX:
        rows = [[name, *confusion[index]] for index, name in enumerate(class_names)]
        return "<p>Rows: what it is. Columns: what the model says.</p>" + _table(["", *class_names], rows)
    off = confusion * (1 - np.eye(len(class_names), dtype=int))
    worst = [np.unravel_index(flat, off.shape) for flat in np.argsort(off, axis=None)[::-1][:LARGEST_MATRIX]]
    rows = [[class_names[true], class_names[said], off[true, said]] for true, said in worst if off[true, said]]
    return _table(["it is", "the model says", "times"], rows)
