"""A picture of gradients over depth as SVG: one curve a model, on a logarithmic scale."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 680, 320, 64, 40, 44
INK, LINE = "#1c2330", "#8a929e"
# Told apart in print and by those who see fewer colours (Okabe and Ito); each has a mark of its own, too.
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#7a5c00", "#56b4e9")
DASHES = ("", "6 3", "2 3", "8 3 2 3", "12 4", "1 2")
# More decades would only show rounding.
MOST_DECADES = 40


def gradient_picture(curves: Mapping[str, Sequence[float]], *, title: str = "Gradient of each layer") -> str:
    """Draw the size of gradients from the first layer to the last, a curve for each model.

    Args:
        curves: By the name of the model, root mean squares of the gradients of its layers, from the input on; what is
            not above zero is left out.
        title: Heading.

    Returns:
        The picture as SVG, colours on white.

    Example:
        >>> gradient_picture({"sigmoid": [1e-9, 1e-6, 1e-3], "relu": [1e-3, 1e-3, 1e-3]})
    """
    known = [value for values in curves.values() for value in values if value > 0 and math.isfinite(value)]
    high = math.ceil(math.log10(max(known, default=1.0)))
    low = max(min(math.floor(math.log10(min(known, default=0.1))), high - 1), high - MOST_DECADES)
    longest = max((len(values) for values in curves.values()), default=1)
    right = WIDTH - 16 - (150 if any(curves) else 0)

    def place(index: int, value: float) -> tuple[float, float]:
        x = LEFT + (right - LEFT) * index / max(1, longest - 1)
        share = (math.log10(max(value, 10.0**low)) - low) / (high - low)
        return x, HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * share

    parts = [f'<text x="{LEFT}" y="22" font-weight="bold">{escape(title)}</text>']
    step = -(-(high - low) // 8)
    for decade in range(low, high + 1, step):
        _, y = place(0, 10.0**decade)
        parts.append(f'<line class="rule" x1="{LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" stroke="#e3e6ea"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">1e{decade}</text>')
    for number, (name, values) in enumerate(curves.items()):
        dash = DASHES[number % len(DASHES)]
        # In a page, its stylesheet has the last word on colours.
        stroke = f'class="s{number % len(COLORS)}" stroke="{COLORS[number % len(COLORS)]}"'
        dot = stroke.replace("stroke", "fill")
        points = [place(index, value) for index, value in enumerate(values) if value > 0 and math.isfinite(value)]
        said = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline points="{said}" fill="none" {stroke} stroke-width="2" stroke-dasharray="{dash}"/>')
        parts += [f'<circle {dot} cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>' for x, y in points]
        if name:
            y = TOP + 8 + 20 * number
            parts.append(
                f'<line x1="{right + 14}" x2="{right + 38}" y1="{y}" y2="{y}" {stroke} stroke-width="2" '
                f'stroke-dasharray="{dash}"/><text x="{right + 44}" y="{y + 4}">{escape(name)}</text>'
            )
    parts.append(f'<text x="{LEFT}" y="{HEIGHT - 14}">first layer</text>')
    parts.append(f'<text x="{right}" y="{HEIGHT - 14}" text-anchor="end">layer {longest}</text>')
    summary = "; ".join(
        f"{name or 'gradient'} from {values[0]:.1e} in the first layer to {values[-1]:.1e} in the last"
        for name, values in curves.items()
        if values
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'font-family="sans-serif" font-size="12" fill="{INK}"><title>{escape(f"{title}: {summary}")}</title>'
        f'<rect class="sheet" width="{WIDTH}" height="{HEIGHT}" fill="#fff"/><line class="rule" '
        f'x1="{LEFT}" x2="{LEFT}" y1="{TOP}" y2="{HEIGHT - BOTTOM}" stroke="{LINE}"/>{"".join(parts)}</svg>'
    )
