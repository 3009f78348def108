"""Pictures of forecasts as SVG: what was seen, what came, what was foretold with its interval, and the last value."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

WIDTH, HEIGHT, MARGIN = 460, 220, 44


def forecast_picture(
    seen: np.ndarray,
    truth: np.ndarray,
    quantiles: np.ndarray,
    *,
    middle: int,
    title: str,
    levels: Sequence[float],
    begin: str = "",
    end: str = "",
) -> str:
    """Draw one forecast of one target.

    Args:
        seen: What the forecaster saw, (steps,), NaN where missing.
        truth: What came, (horizon,).
        quantiles: What was foretold, (horizon, levels).
        middle: Index of the level that is the forecast.
        title: Heading.
        levels: Of the quantiles.
        begin: When the picture begins.
        end: When it ends.

    Returns:
        A figure with the picture, as SVG.
    """
    values = np.concatenate([seen, truth, quantiles.ravel()])
    finite = values[np.isfinite(values)]
    low, high = float(finite.min()), float(finite.max())
    span = (high - low) or 1.0
    steps = len(seen) + len(truth)

    def place(step: float, value: float) -> str:
        x = MARGIN + (WIDTH - 2 * MARGIN) * step / max(1, steps - 1)
        return f"{x:.1f},{HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * (value - low) / span:.1f}"

    def line(start: int, some: np.ndarray, kind: str) -> str:
        points = " ".join(place(start + step, value) for step, value in enumerate(some) if np.isfinite(value))
        return f'<polyline class="curve {kind}" points="{points}"/>'

    origin = len(seen)
    last = seen[np.isfinite(seen)][-1] if np.isfinite(seen).any() else quantiles[0, middle]
    forecast = np.concatenate([[last], quantiles[:, middle]])
    parts = []
    if quantiles.shape[1] > 1:
        upper = [place(origin + step, value) for step, value in enumerate(quantiles[:, -1])]
        lower = [place(origin + step, value) for step, value in enumerate(quantiles[:, 0])]
        parts.append(f'<polygon class="band" points="{" ".join([*upper, *lower[::-1]])}"/>')
    parts += [
        line(0, seen, "seen"),
        line(origin - 1, np.concatenate([[last], truth]), "truth"),
        line(origin - 1, np.full(len(truth) + 1, last), "naive"),
        line(origin - 1, forecast, "forecast"),
    ]
    interval = f", band: {100 * (levels[-1] - levels[0]):g} % interval" if len(levels) > 1 else ""
    summary = f"{title}: forecast of {len(truth)} steps after {len(seen)}"
    return (
        f'<figure><svg class="chart" role="img" viewBox="0 0 {WIDTH} {HEIGHT}"><title>{escape(summary)}</title>'
        f'<text x="{MARGIN}" y="14">{escape(title)}</text>'
        f'<line class="axis" x1="{MARGIN}" y1="{HEIGHT - MARGIN}" x2="{WIDTH - MARGIN}" y2="{HEIGHT - MARGIN}"/>'
        f"{''.join(parts)}"
        f'<text x="{MARGIN}" y="{MARGIN - 9}">{high:.4g}</text>'
        f'<text x="{MARGIN}" y="{HEIGHT - MARGIN + 18}">{low:.4g} · {escape(begin)}</text>'
        f'<text x="{WIDTH - MARGIN}" y="{HEIGHT - MARGIN + 18}" text-anchor="end">{escape(end)}</text></svg>'
        f"<figcaption>Thin: seen, then what came; thick: forecast{interval}; dotted: the last value.</figcaption>"
        "</figure>"
    )
