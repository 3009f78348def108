"""A run's report: one self-contained HTML page, no script and no network, light and dark, readable on a phone.

Here is what the page shows, and in which order; the parts are in the files beside, the frame in `kerasdl.pages`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from kerasdl.diagnostics.curves import Finding
from kerasdl.diagnostics.report_classes import calibration_section, classes_sections, labels_section
from kerasdl.diagnostics.report_run import (
    configuration_section,
    curves_section,
    exports_section,
    gradients_section,
    rate_section,
    repeat_section,
    story_section,
)
from kerasdl.diagnostics.report_samples import SampleGroup, samples_section
from kerasdl.diagnostics.report_verdict import findings_section, metrics_section, verdict
from kerasdl.pages.frame import Section, paragraph, scrolling, write_page

# Letters of the pictures that explain answers: the page stays below 3 MB.
MOST_EXPLAINED = 1_000_000
# What `Dataset.source` says of data that came from memory.
IN_MEMORY = ("arrays", "tf.data")


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
    recipe: str = "",
    baselines: Mapping[str, Mapping[str, float]] | None = None,
    class_names: Sequence[str] = (),
    truth: np.ndarray | None = None,
    scores: np.ndarray | None = None,
    samples: Sequence[SampleGroup] = (),
    gradients: Mapping[str, Any] | None = None,
    explained: Sequence[tuple[str, str]] = (),
    pictures: Mapping[str, Sequence[str]] | None = None,
    texts: Mapping[str, str] | None = None,
    story: Sequence[Mapping[str, Any]] = (),
    repeat: Mapping[str, str] | None = None,
    exports: Sequence[Mapping[str, Any]] = (),
) -> Path:
    """Write the page and return its path; it is written beside and renamed.

    Args:
        path: Where the page goes.
        title: Its heading.
        data: Some lines about the data.
        metrics: Test metrics by name.
        findings: The diagnosis.
        history: Curves by name, one number an epoch.
        best_epoch: The epoch, from 1, whose weights were kept.
        config: The resolved configuration.
        recipe: Name of the recipe, for the calls that are shown.
        baselines: Test metrics of simple methods, by their name.
        class_names: Name of each class; none where there are no classes.
        truth: Class index of each test example, (count,), or a row of 0 and 1, (count, classes).
        scores: What the model says of them, (count, classes); in [0, 1] for each class by itself if truth has rows.
        samples: Examples that are worth a look, see :func:`kerasdl.diagnostics.report_samples.sample_groups`.
        gradients: The log of gradients, see `kerasdl.training.gradient_log.add`; may be empty.
        explained: Pictures of what answers rest on: a caption and SVG each.
        pictures: Figures as HTML, by their heading.
        texts: Samples of what the model writes, by what each is.
        story: What :func:`kerasdl.improve` tried, as `Attempt`s in dictionaries.
        repeat: Code that repeats the run, by what it is for.
        exports: What is known of each export: "path", "format", "quantization", "parity", "exported_metrics".

    Example:
        >>> write_report(Path("report.html"), title="digits", data="1,797 images", metrics={"accuracy": 0.98},
        ...              findings=[], history=history, best_epoch=7, config=config)
    """
    baselines = baselines or {}
    classes, calibration, examples = list[Section](), list[Section](), None
    if truth is not None and scores is not None:
        single = truth.ndim == 1
        examples = len(truth) if single else None
        classes = (
            classes_sections(class_names, truth, scores) if single else [labels_section(class_names, truth, scores)]
        )
        calibration = [calibration_section(truth, scores, fitted=bool(config.get("calibrate")))]
    epochs = max(map(len, history.values()), default=best_epoch)
    sections = [
        verdict(findings, metrics, baselines, kept=f"{best_epoch} of {epochs}", examples=examples),
        findings_section(findings, recipe=recipe, in_memory=config.get("data") in IN_MEMORY),
        metrics_section(metrics, baselines),
        curves_section(history, best_epoch),
        rate_section(history, best_epoch),
        *classes,
        samples_section(samples),
        *calibration,
        gradients_section(gradients or {}),
        _explained(explained),
        *[Section(heading, f'<div class="pair">{"".join(each)}</div>') for heading, each in (pictures or {}).items()],
        *[
            Section(name, f'<pre class="wrapped">{escape(text)}</pre>', "Sample")
            for name, text in (texts or {}).items()
        ],
        story_section(story),
        configuration_section(config),
        repeat_section(repeat or {}),
        exports_section(exports),
    ]
    return write_page(path, title=title, kind="Training report", about=data, sections=sections)


def _explained(explained: Sequence[tuple[str, str]]) -> Section:
    parts, size = list[str](), 0
    for caption, svg in explained:
        size += len(svg)
        if size > MOST_EXPLAINED:
            parts.append(paragraph("Further examples would make this page too large.", note=True))
            break
        # Colours of these pictures stand on white.
        box = scrolling(svg, label=caption, kind="plate")
        parts.append(f"<figure>{box}<figcaption>{escape(caption)}</figcaption></figure>")
    return Section("What answers rest on", "".join(parts), "Explanations")
