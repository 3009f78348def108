"""Examples in a report: those of the highest loss and those whose label looks wrong, as pictures, texts or lines."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

import numpy as np

from kerasdl.diagnostics.labels import suspicious_labels
from kerasdl.pages.chart import KINDS
from kerasdl.pages.frame import Section, definitions, paragraph
from kerasdl.pages.png import png_uri, thumbnail
from kerasdl.spread import spread

# Of each group.
SAMPLES = 12
# Pixels of an image and letters of a text that are shown, steps and channels of a series.
LARGEST_SIDE, LONGEST_TEXT, MOST_STEPS = 96, 400, 200
# A smaller image is enlarged with its pixels as squares.
SMALL_SIDE = 48
LINE_WIDTH, LINE_HEIGHT = 300, 90


@dataclass(frozen=True)
class Sample:
    """One example.

    Args:
        shown: An image, uint8 (height, width, channels); a series, float (length, channels); or a text.
        facts: What is said of it, by what each is.
    """

    shown: np.ndarray | str
    facts: Mapping[str, str]


@dataclass(frozen=True)
class SampleGroup:
    """Examples that stand together for one reason.

    Args:
        heading: What they have in common.
        note: How they were chosen, and from which split.
        samples: The examples.
    """

    heading: str
    note: str
    samples: Sequence[Sample] = field(default_factory=list)


def sample_groups(
    inputs: Callable[[np.ndarray], Sequence[np.ndarray | str]],
    targets: np.ndarray,
    scores: np.ndarray,
    class_names: Sequence[str],
    *,
    split: str = "validation",
) -> list[SampleGroup]:
    """Choose the examples of a split that the model is worst at, and those whose label looks wrong.

    Args:
        inputs: Returns the inputs at some indices.
        targets: Class indices (count,), or rows of 0 and 1 (count, classes).
        scores: Of a model that did not learn from them, (count, classes).
        class_names: Of each class.
        split: Its name.

    Returns:
        The groups, with at most 12 examples each. Labels are only doubted where one class is true.
    """
    single = targets.ndim == 1
    if single:
        losses = -np.log(np.maximum(scores[np.arange(len(targets)), targets], 1e-12))
    else:
        losses = -np.log(np.maximum(np.where(targets == 1, scores, 1 - scores), 1e-12)).mean(axis=1)
    worst = np.argsort(-losses, kind="stable")[:SAMPLES]

    def names(row: np.ndarray) -> str:
        return ", ".join(class_names[index] for index in np.flatnonzero(row).tolist()) or "none"

    def facts(index: int) -> dict[str, str]:
        if single:
            answer = int(scores[index].argmax())
            said = f"{class_names[answer]} ({scores[index, answer]:.2f})"
            return {"label": class_names[targets[index]], "model": said}
        return {"label": names(targets[index]), "model": names(scores[index] > 0.5)}

    def samples(indices: Sequence[int], more: Callable[[int], dict[str, str]]) -> list[Sample]:
        chosen = np.array(indices, dtype=int)
        return [
            Sample(each, facts(index) | more(index) | {"number": str(index)})
            for index, each in zip(chosen.tolist(), inputs(chosen), strict=True)
        ]

    groups = [
        SampleGroup(
            "Highest loss",
            f"The {len(worst)} examples of the {split} split whose label the model thinks least likely. Numbers "
            "count the split from 0.",
            samples(worst.tolist(), lambda index: {"loss": f"{losses[index]:.2f}"}),
        )
    ]
    found = {each["index"]: each for each in suspicious_labels(scores, targets)[:SAMPLES]} if single else {}
    if found:
        groups.append(
            SampleGroup(
                "Most suspicious labels",
                f"Examples of the {split} split whose label the model denies most surely, by confident learning. The "
                "mistakes of the model look the same: see for yourself before a label is corrected.",
                samples(list(found), lambda index: {"rather": class_names[found[index]["suggested"]]}),
            )
        )
    return groups


def samples_section(groups: Sequence[SampleGroup]) -> Section:
    """Return the part of a report that shows examples."""
    parts = []
    for group in groups:
        if not group.samples:
            continue
        wide = " wide" if not _is_image(group.samples[0].shown) else ""
        items = "".join(
            f"<li>{_shown(sample)}{definitions(sample.facts.items(), kind='of', apart=False)}</li>"
            for sample in group.samples
        )
        parts.append(
            f'<h3>{escape(group.heading)}</h3>{paragraph(group.note, note=True)}<ul class="samples{wide}">{items}</ul>'
        )
    return Section("Samples", "".join(parts))


def _is_image(shown: np.ndarray | str) -> bool:
    return not isinstance(shown, str) and shown.ndim == 3


def _shown(sample: Sample) -> str:
    shown = sample.shown
    said = ", ".join(f"{name} {value}" for name, value in sample.facts.items())
    if isinstance(shown, str):
        cut = shown if len(shown) <= LONGEST_TEXT else f"{shown[:LONGEST_TEXT]}…"
        return f"<blockquote>{escape(cut)}</blockquote>"
    if shown.ndim == 3:
        smooth = "" if max(shown.shape[:2]) <= SMALL_SIDE else ' class="smooth"'
        uri = png_uri(thumbnail(shown.astype(np.uint8), side=LARGEST_SIDE))
        return f'<img{smooth} alt="{escape(f"Example: {said}")}" src="{uri}">'
    return _lines(shown, f"Series: {said}")


def _lines(series: np.ndarray, title: str) -> str:
    """Draw a series as small lines, its first four channels."""
    series = np.asarray(series, dtype=float)[:, : len(KINDS)]
    series = series[spread(len(series), MOST_STEPS)]
    finite = series[np.isfinite(series)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    span = (high - low) or 1.0
    lines = ""
    for kind, values in zip(KINDS, series.T, strict=False):
        points = " ".join(
            f"{LINE_WIDTH * step / max(1, len(values) - 1):.1f},{LINE_HEIGHT - 4 - (LINE_HEIGHT - 8) * share:.1f}"
            for step, share in enumerate((values - low) / span)
            if np.isfinite(share)
        )
        lines += f'<polyline class="curve {kind}" style="stroke-width: 1.5" points="{points}"/>'
    return (
        f'<svg class="chart" role="img" viewBox="0 0 {LINE_WIDTH} {LINE_HEIGHT}"><title>{escape(title)}</title>'
        f"{lines}</svg>"
    )
