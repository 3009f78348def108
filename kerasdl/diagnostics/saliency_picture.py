"""Pictures of saliency as SVG text: an image with its map beside it, a text with shaded tokens, a shaded series.

A picture is one string without script, font or network. Its colours follow the light or dark mode of who reads it, and
what is said by colour is also said in words: under the picture, and in titles for who hears it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from html import escape

import numpy as np

from kerasdl.diagnostics.attention import label
from kerasdl.diagnostics.attention_picture import png_image

WIDTH, GAP, SIDE = 640, 16, 240
FONT, LETTER, LINE = 13, 7.9, 26
# More tokens, channels or bands make a page slow and say nothing more; images larger than shown only make it heavy.
MOST_TOKENS, MOST_CHANNELS, MOST_BANDS, LARGEST = 300, 4, 160, 320
# The strongest shade: dark letters on it keep a contrast of 6 in both modes.
STRONGEST = 0.55
WARM = np.array([232, 89, 12])
STYLE = (
    ".sal-paper{fill:#fff}.sal-ink{fill:#1c2330}.sal-soft{fill:#555e6b}.sal-for{fill:#e8590c}.sal-against{fill:#1f6feb}"
    ".sal-line{fill:none;stroke:#1c2330;stroke-width:1.5;stroke-linejoin:round}"
    ".sal-frame{fill:none;stroke:#8a929e}.sal-below{stroke:#1f6feb;stroke-width:2;stroke-dasharray:3 2}"
    "@media (prefers-color-scheme:dark){.sal-paper{fill:#14181f}.sal-ink{fill:#e4e8ee}.sal-soft{fill:#aab3bf}"
    ".sal-line{stroke:#e4e8ee}.sal-frame{stroke:#5b6572}.sal-below{stroke:#79b0ff}}"
)


def saliency_picture(
    kind: str,
    scores: np.ndarray,
    *,
    inputs: np.ndarray | None = None,
    tokens: Sequence[str] = (),
    title: str = "What speaks for it",
) -> str:
    """Draw what an answer rests on.

    Args:
        kind: "image", "text" or "series".
        scores: Of an image (height, width) in [0, 1]; of a text (tokens,); of a series (steps, channels).
        inputs: The image (height, width, channels) in [0, 255], or the series (steps, channels).
        tokens: Of a text, what stands at each position.
        title: Heading.

    Returns:
        The picture as SVG.

    Example:
        >>> saliency_picture("text", np.array([0.1, 2.0, -0.4]), tokens=["the", "good", "film"])
    """
    if kind == "text":
        return _text(tokens, scores, title)
    if inputs is None:
        inputs = np.zeros((*scores.shape[:2], 1))
    return _image(inputs, scores, title) if kind == "image" else _series(inputs, scores, title)


def _image(image: np.ndarray, scores: np.ndarray, title: str) -> str:
    # Every n-th pixel of large ones; they are shown small.
    stride = -(-max(scores.shape) // LARGEST)
    pixels = np.clip(image[::stride, ::stride], 0, 255).astype(np.uint8)
    pixels = pixels if pixels.shape[-1] in (1, 3) else pixels[..., :1]
    share = scores[::stride, ::stride, None]
    # What does not count is faded to grey, so that the colour stands out on colourful images, too.
    grey = pixels.mean(axis=-1, keepdims=True)
    shown = (grey + (np.broadcast_to(pixels, (*grey.shape[:2], 3)) - grey) * 0.25) * (1 - 0.7 * share)
    shown = (shown + WARM * 0.7 * share).round().astype(np.uint8)
    height, width = (SIDE * side / max(scores.shape) for side in scores.shape)
    total = scores.sum()
    said = "nothing in these features speaks for it"
    if total > 0:
        area = _smallest_area(scores, 0.5)
        row, column = np.unravel_index(scores.argmax(), scores.shape)
        where = _where((row + 0.5) / scores.shape[0], (column + 0.5) / scores.shape[1])
        said = f"half of it in {area:.0%} of the image, strongest {where}"
    top = 2 * GAP + FONT

    def panel(left: float, array: np.ndarray, caption: str) -> str:
        return (
            f'<g transform="translate({left:.1f} {top})"><title>{escape(caption)}</title>'
            f'{png_image(array, width, height)}<rect class="sal-frame" width="{width:.1f}" height="{height:.1f}"/></g>'
        )

    body = panel(GAP, pixels, "The image") + panel(2 * GAP + width, shown, f"The image with its map in orange: {said}")
    body += _words(GAP, top + height + 1.5 * FONT, f"orange: speaks for it; {said}", "sal-soft")
    wide = max(3 * GAP + 2 * width, 2 * GAP + LETTER * max(len(title) * 1.1, len(said) + 24))
    return _svg(title, said, wide, top + height + GAP + 1.5 * FONT, body)


def _smallest_area(scores: np.ndarray, share: float) -> float:
    """Return the share of the pixels that has the given share of the whole map at least."""
    ordered = np.sort(scores, axis=None)[::-1].cumsum()
    return float((np.searchsorted(ordered, share * ordered[-1]) + 1) / scores.size)


def _where(down: float, right: float) -> str:
    rows, columns = ("at the top", "in the middle", "at the bottom"), ("left", "", "right")
    row, column = min(int(down * 3), 2), min(int(right * 3), 2)
    if row == 1 and column == 1:
        return "in the centre"
    return f"{rows[row]} {columns[column]}".strip() if row != 1 else f"on the {columns[column]}"


def _text(tokens: Sequence[str], scores: np.ndarray, title: str) -> str:
    highest = float(np.abs(scores).max(initial=0)) or 1.0
    labels = [label(token, length=30) for token in tokens[:MOST_TOKENS]]
    x, y, parts = float(GAP), 2 * GAP + 2.0 * FONT, []
    for said, score in zip(labels, scores.tolist(), strict=False):
        width = LETTER * sum(1 + (unicodedata.east_asian_width(char) in "WF") for char in said) + 6
        if x + width > WIDTH - GAP and x > GAP:
            x, y = float(GAP), y + LINE
        kind = "for" if score > 0 else "against"
        below = ""
        if score < -0.1 * highest:
            below = f'<line class="sal-below" x1="{x + 3:.1f}" x2="{x + width - 3:.1f}" y1="{y + 5}" y2="{y + 5}"/>'
        parts.append(
            f'<g><title>{escape(said)} {score:+.3g}</title><rect class="sal-{kind}" x="{x:.1f}" y="{y - 15}" rx="3" '
            f'width="{width:.1f}" height="21" fill-opacity="{STRONGEST * abs(score) / highest:.3f}"/>'
            f"{below}{_words(x + 3, y, said)}</g>"
        )
        x += width + 2
    if len(tokens) > MOST_TOKENS:
        parts.append(_words(x + 4, y, f"… {len(tokens) - MOST_TOKENS} more", "sal-soft"))
    order = np.argsort(-np.abs(scores), kind="stable")[:4]
    strongest = ", ".join(f"“{label(tokens[index])}” {scores[index]:+.2f}" for index in order)
    y += LINE + 4
    lines = [f"strongest: {strongest}", "orange: speaks for it; blue, underlined: against it; numbers add to the logit"]
    body = "".join(parts) + "".join(_words(GAP, y + 18 * row, line, "sal-soft") for row, line in enumerate(lines))
    return _svg(title, lines[0], WIDTH, y + 18 + GAP, body)


def _series(series: np.ndarray, scores: np.ndarray, title: str) -> str:
    steps, channels = scores.shape
    # The channels that count most, in their order.
    shown = np.sort(np.argsort(-np.abs(scores).sum(axis=0), kind="stable")[:MOST_CHANNELS])
    edges = np.unique(np.linspace(0, steps, min(steps, MOST_BANDS) + 1).round().astype(int))
    bands = np.add.reduceat(scores, edges[:-1], axis=0)
    highest = float(np.abs(bands).max(initial=0)) or 1.0
    high = 120 if len(shown) == 1 else 80
    left, right = GAP + 7 * LETTER, WIDTH - GAP
    parts = []
    top = 2 * GAP + FONT
    for channel in shown.tolist():
        values = series[:, channel].astype(float)
        finite = values[np.isfinite(values)]
        low, span = float(finite.min(initial=np.inf)), float(np.ptp(finite)) if len(finite) else 0.0
        low = low if np.isfinite(low) else 0.0
        for begin, end, score in zip(edges[:-1].tolist(), edges[1:].tolist(), bands[:, channel].tolist(), strict=True):
            at, until = (left + (right - left) * edge / steps for edge in (begin, end))
            if abs(score) > 0.05 * highest:
                where = f"step {begin + 1}" if end - begin == 1 else f"steps {begin + 1} to {end}"
                parts.append(
                    f'<rect class="sal-{"for" if score > 0 else "against"}" x="{at:.2f}" y="{top}" '
                    f'width="{until - at:.2f}" height="{high}" fill-opacity="{0.75 * abs(score) / highest:.3f}">'
                    f"<title>{where}: {score:+.3g}</title></rect>"
                )
        heights = top + high - 6 - (high - 12) * (values - low) / (span or 1)
        points = " ".join(
            f"{left + (right - left) * (step + 0.5) / steps:.1f},{y:.1f}"
            for step, y in enumerate(heights.tolist())
            if np.isfinite(y)
        )
        name = f"channel {channel + 1}" if channels > 1 else ""
        parts.append(
            f'<polyline class="sal-line" points="{points}"/><rect class="sal-frame" x="{left:.1f}" y="{top}" '
            f'width="{right - left:.1f}" height="{high}"/>'
            + "".join(
                _words(left - 6, height, said, "sal-soft", anchor="end")
                for height, said in ((top + 12, f"{low + span:.4g}"), (top + high - 2, f"{low:.4g}"))
            )
            + (_words(left + 5, top + 14, name) if name else "")
        )
        top += high + 8
    parts.append(
        _words(left, top + 8, "step 1", "sal-soft") + _words(right, top + 8, str(steps), "sal-soft", anchor="end")
    )
    place = np.unravel_index(np.abs(bands).argmax(), bands.shape)
    begin, end = edges[place[0]] + 1, edges[place[0] + 1]
    where = f"step {begin}" if begin == end else f"steps {begin} to {end}"
    where += f" of channel {place[1] + 1}" if channels > 1 else ""
    hidden = f"; {channels - len(shown)} channels that count less are not shown" if channels > len(shown) else ""
    lines = [f"strongest: {where}, {bands[place]:+.2f}{hidden}", "orange: speaks for it; blue: against it"]
    top += 30
    body = "".join(parts) + "".join(_words(GAP, top + 18 * row, line, "sal-soft") for row, line in enumerate(lines))
    return _svg(title, lines[0], WIDTH, top + 18 + GAP, body)


def _words(x: float, y: float, said: str, kind: str = "sal-ink", *, anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(said)}</text>'


def _svg(title: str, summary: str, width: float, height: float, body: str) -> str:
    title, summary = (
        escape("".join(char if char.isprintable() else " " for char in said)) for said in (title, summary)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" role="img" font-family="ui-monospace, monospace" font-size="{FONT}">'
        f"<title>{title}. {summary}</title><style>{STYLE}</style>"
        f'<rect class="sal-paper" width="100%" height="100%"/>'
        f'<text class="sal-ink" x="{GAP}" y="{GAP + FONT / 2}" font-size="14" font-weight="bold">{title}</text>'
        f"{body}</svg>\n"
    )
