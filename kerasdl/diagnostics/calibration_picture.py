"""The reliability diagram as SVG: how often answers are right beside how sure the model was of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

SIZE, MARGIN = 320, 44


def reliability_picture(
    bins: Sequence[Mapping[str, float]], *, after: Sequence[Mapping[str, float]] = (), title: str = "Calibration"
) -> str:
    """Draw a reliability diagram.

    Args:
        bins: As :func:`kerasdl.diagnostics.reliability` returns them.
        after: The same with a temperature.
        title: Heading.

    Returns:
        A figure with the picture, as SVG.

    Reference: Bröcker and Smith, Increasing the reliability of reliability diagrams, 2007, doi:10.1175/WAF993.1
    """
    inner = SIZE - 2 * MARGIN

    def place(confidence: float, accuracy: float) -> str:
        return f"{MARGIN + inner * confidence:.1f},{SIZE - MARGIN - inner * accuracy:.1f}"

    def line(values: Sequence[Mapping[str, float]], kind: str) -> str:
        points = " ".join(place(each["confidence"], each["accuracy"]) for each in values)
        return f'<polyline class="curve {kind}" points="{points}"/>'

    upper = [place(each["confidence"], each["high"]) for each in bins]
    lower = [place(each["confidence"], each["low"]) for each in bins]
    zero, one = place(0, 0).split(","), place(1, 1).split(",")
    parts = [
        f'<polygon class="band" points="{" ".join([*upper, *lower[::-1]])}"/>',
        f'<line class="best" x1="{zero[0]}" y1="{zero[1]}" x2="{one[0]}" y2="{one[1]}"/>',
        line(bins, "train"),
        *([line(after, "validation")] if after else []),
        *[
            f'<circle cx="{point[0]}" cy="{point[1]}" r="3" fill="var(--train)"/>'
            for point in (place(each["confidence"], each["accuracy"]).split(",") for each in bins)
        ],
    ]
    worst = max(bins, key=lambda each: abs(each["confidence"] - each["accuracy"]))
    summary = (
        f"{title}: answers with a mean score of {worst['confidence']:.2f} are right in {worst['accuracy']:.0%} of cases"
    )
    dashed = "; dashed: with a temperature" if after else ""
    return (
        f'<figure><svg class="chart" role="img" viewBox="0 0 {SIZE} {SIZE}" style="max-width: 26rem">'
        f"<title>{escape(summary)}</title>"
        f'<text x="{MARGIN}" y="18">{escape(title)}</text>'
        f'<line class="axis" x1="{MARGIN}" y1="{zero[1]}" x2="{one[0]}" y2="{zero[1]}"/>'
        f'<line class="axis" x1="{MARGIN}" y1="{zero[1]}" x2="{MARGIN}" y2="{one[1]}"/>'
        f"{''.join(parts)}"
        f'<text x="{MARGIN - 6}" y="{zero[1]}" text-anchor="end">0</text>'
        f'<text x="{MARGIN - 6}" y="{float(one[1]) + 4:.1f}" text-anchor="end">1</text>'
        f'<text x="{SIZE // 2}" y="{SIZE - 10}" text-anchor="middle">score of the answer</text>'
        f'<text x="14" y="{SIZE // 2}" text-anchor="middle" transform="rotate(-90 14 {SIZE // 2})">share right</text>'
        f"</svg><figcaption>Line: share of answers that are right, in bins of equally many{dashed}; band: where a "
        "calibrated model is with 95 %; dotted: where score and share are one.</figcaption></figure>"
    )
