"""What a report says of the training itself: curves, gradients, what was tried, how to repeat it, its exports."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from kerasdl.configuration import RECORDED, describe
from kerasdl.diagnostics.gradient_picture import gradient_picture
from kerasdl.pages.chart import curves, figure
from kerasdl.pages.frame import Section, code, definitions, details, paragraph, table
from kerasdl.spread import spread

RATE = "learning_rate"
# Curves that a report draws, and layers over time.
MOST_CURVES, MOST_LAYERS = 6, 4


def curves_section(history: Mapping[str, Sequence[float]], best_epoch: int) -> Section:
    """Return the learning curves; the epoch whose weights were kept is marked."""
    # Some are measured on the validation split only. The parts of a loss come last.
    names = list(dict.fromkeys(name.removeprefix("val_") for name in history if name != RATE))
    names.sort(key=lambda name: (name != "loss", name.endswith("_loss")))
    figures = []
    for name in names[:MOST_CURVES]:
        parts = {"training": name, "validation": f"val_{name}"}
        values = {part: history[column] for part, column in parts.items() if column in history}
        whose = "of the validation split" if list(values) == ["validation"] else ""
        figures.append(curves(values, title=name.replace("_", " "), mark=best_epoch, note=whose))
    if not any(figures):
        return Section("Learning curves", "")
    note = (
        f"Over epochs. Dotted: epoch {best_epoch}, whose weights were kept. Training values are means over an epoch, "
        "taken while the model changes; validation values are of its end."
    )
    return Section("Learning curves", f'<div class="pair">{"".join(figures)}</div>{paragraph(note, note=True)}')


def rate_section(history: Mapping[str, Sequence[float]], best_epoch: int) -> Section:
    """Return the learning rate over epochs."""
    rates = history.get(RATE, ())
    drawn = curves({"learning rate": rates}, title="learning rate", mark=best_epoch, note="at the end of each epoch")
    return Section("Learning rate", f'<div class="pair">{drawn}</div>' if drawn else "")


def gradients_section(log: Mapping[str, Any]) -> Section:
    """Return the gradients over depth and time; `log` is as `kerasdl.training.gradient_log` writes it."""
    layers = list(log.get("layers", ()))
    rows = np.array(log.get("gradient", ()), dtype=float)
    if not layers or rows.ndim != 2 or not np.isfinite(rows).any():
        return Section("Gradients", "")
    parts = [
        paragraph(
            "Root mean square of the gradient of each kernel, and of its update over its weights, watched now and then "
            "during the training. A fall by many powers of ten towards the first layer says that it hardly learns.",
            note=True,
        )
    ]
    phases = _phases(rows)
    if len(layers) > 1:
        svg = gradient_picture(phases, title="Gradient by depth")
        svg = svg.replace("<svg ", '<svg class="chart wide-chart gradients" style="max-width: 48rem" ', 1)
        parts.append(figure(svg, "From the input to the output, over the course of the training."))
    some = spread(len(layers), MOST_LAYERS)
    steps = [float(step) + 1 for step in log["step"]]
    ratios = np.array(log["ratio"], dtype=float)
    parts.append('<div class="pair">')
    for title, values in (("gradient over time", rows), ("update over weight", ratios)):
        chosen = {layers[index]: values[:, index].tolist() for index in some}
        parts.append(curves(chosen, title=title, across=steps, log=True, note="over batches"))
    parts.append("</div>")
    body = [
        [name, *(_number(each[index]) for each in phases.values()), _number(_middle(ratios)[index])]
        for index, name in enumerate(layers)
    ]
    header = ["kernel", *(f"gradient {name}" for name in phases), "update over weight"]
    parts.append(details("Every kernel", table(header, body, caption="Medians of what was watched")))
    return Section("Gradients", "".join(parts))


def story_section(story: Sequence[Mapping[str, Any]]) -> Section:
    """Return what :func:`kerasdl.improve` tried before it had this result."""
    rows = [
        [
            each["finding"].replace("_", " ") or "as it was",
            ", ".join(f"{name}={value!r}" for name, value in each["remedy"].items()),
            _number(each["score"]),
            "" if each["gain"] is None else f"{each['gain']:+.4f} ({each['low']:+.4f} to {each['high']:+.4f})",
            "kept" if each["kept"] else each["reason"] or "not beyond noise, dropped",
        ]
        for each in story
    ]
    header = ["finding", "remedy", "score", "gain, 95 % interval", "outcome"]
    caption = "Trainings that led here; scores and gains are of the validation split"
    return Section("What was tried", table(header, rows, caption=caption, text=(1, 4)) if rows else "")


def configuration_section(config: Mapping[str, Any]) -> Section:
    """Return the configuration as resolved, and what the run was made with."""
    parts = []
    for name in RECORDED:
        recorded = config.get(name)
        if isinstance(recorded, Mapping):
            facts = [(str(key), str(value)) for key, value in recorded.items() if value not in (None, [], "")]
            parts.append(f"<h3>{escape(name.capitalize())}</h3>{definitions(facts, kind='facts')}")
        elif recorded:
            parts.append(f"<h3>Data</h3>{definitions([('SHA-256 of all splits', str(recorded))], kind='facts')}")
    arguments = {name: value for name, value in config.items() if name not in RECORDED}
    listing = details(f"All {len(arguments)} arguments, as resolved", code(describe(arguments), label="Configuration"))
    return Section("Configuration", listing + "".join(parts))


def repeat_section(commands: Mapping[str, str]) -> Section:
    """Return how the run is repeated: code by what it is for."""
    parts = [f"{paragraph(name)}{code(text, label=name)}" for name, text in commands.items()]
    return Section("Repeat this run", "".join(parts), "Repeat")


def exports_section(exports: Sequence[Mapping[str, Any]]) -> Section:
    """Return what the exports of the model were proven to answer; see `kerasdl.export.card` for the facts."""
    rows = []
    for each in exports:
        parity = each.get("parity") or {}
        tolerance = parity.get("tolerance")
        metrics = ", ".join(f"{name} {value:.4g}" for name, value in (each.get("exported_metrics") or {}).items())
        rows.append(
            [
                each.get("path", ""),
                f"{each.get('format', 'saved_model')} {each.get('quantization') or ''}".strip(),
                parity.get("examples", ""),
                f"{parity['max_difference']:.1e}" if "max_difference" in parity else "",
                "not bounded: quantized" if parity and tolerance is None else _number(tolerance),
                metrics,
            ]
        )
    header = ["export", "format", "examples compared", "largest difference", "allowed", "metrics as exported"]
    caption = (
        "Each export was loaded again and its answers compared with those of the trained model, on examples of the "
        "test split; its metrics are of the whole test split"
    )
    return Section("Exports", table(header, rows, caption=caption, text=(1, 5)) if rows else "")


def _phases(rows: np.ndarray) -> dict[str, list[float]]:
    """Return the median gradient of each layer at the start, in the middle and at the end."""
    names = ("at the start", "in the middle", "at the end")
    if len(rows) < len(names):
        return {"in the training": _middle(rows)}
    return {name: _middle(part) for name, part in zip(names, np.array_split(rows, len(names)), strict=True)}


def _middle(rows: np.ndarray) -> list[float]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of a layer that never learned
        return np.nanmedian(rows, axis=0).tolist()


def _number(value: float | None) -> str:
    return "" if value is None or not math.isfinite(value) else f"{value:.3g}"
