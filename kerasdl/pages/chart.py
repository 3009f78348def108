"""Charts of a page as inline SVG: a frame of two axes with ticks, curves in it, a figure with its caption, labels.

Colours are those of the stylesheet, so that a chart suits light and dark rooms. Curves differ in their dashes, too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, TypeVar

from kerasdl.pages.axes import Axis, number_axis

Item = TypeVar("Item")

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 280, 64, 20, 16, 40
# Between the frame and the first and last value across, so that a mark covers no number.
INSET = 10
# Of a letter of 12 pixels, on average.
LETTER = 7
MOST_LABELS = 12
# Of a chart that stands beside another: on a telephone its letters are still read.
HALF_WIDTH, HALF_HEIGHT = 420, 240
KINDS = ("train", "validation", "k2", "k3")
"""Classes of the stylesheet: a colour and a dash each."""


class Frame:
    """Two axes with their ticks, and what is drawn between them."""

    def __init__(self, across: Axis, up: Axis, *, width: int = WIDTH, height: int = HEIGHT):
        self.across, self._up, self._width, self._height = across, up, width, height

    def x(self, value: Any) -> float:
        """Return where `value` is across the picture."""
        return self._x(self.across.place(value))

    def y(self, value: Any) -> float:
        """Return how far down the picture `value` is."""
        return self._y(self._up.place(value))

    def _x(self, share: float) -> float:
        return LEFT + INSET + (self._width - LEFT - RIGHT - 2 * INSET) * share

    def _y(self, share: float) -> float:
        return self._height - BOTTOM - (self._height - TOP - BOTTOM) * share

    def drawn(self, inside: str, across: Sequence[tuple[float, str]] | None = None) -> str:
        """Return the picture; `across` are the ticks of the lower axis, its own unless given."""
        bottom, right = self._height - BOTTOM, self._width - RIGHT
        parts = [f'<path class="axis" d="M{LEFT} {TOP}V{bottom + 8}H{right}"/>']
        for share, label in self._up.ticks():
            y = self._y(share)
            parts.append(f'<line class="grid-line" x1="{LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>')
            parts.append(f'<text class="tick" x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{escape(label)}</text>')
        ticks = thinned(self.across.ticks() if across is None else across, MOST_LABELS)
        room = (right - LEFT) / max(1, len(ticks))
        for index, (share, label) in enumerate(ticks):
            # Long names take turns in two lines.
            long = any(LETTER * len(short(text)) > room for _, text in ticks)
            y = bottom + 21 + (13 if long and index % 2 else 0)
            text = escape(short(label, max(3, int(room * (2 if long else 1) / LETTER))))
            parts.append(f'<text class="tick" x="{self._x(share):.1f}" y="{y}" text-anchor="middle">{text}</text>')
        return (
            f'<svg class="chart{" wide-chart" if self._width > HALF_WIDTH else ""}" role="img" '
            f'viewBox="0 0 {self._width} {self._height}" style="max-width: {1.25 * self._width:.0f}px">'
            f"{''.join(parts)}{inside}</svg>"
        )


def curves(
    values: Mapping[str, Sequence[float]],
    *,
    title: str,
    across: Sequence[float] | None = None,
    mark: float | None = None,
    log: bool = False,
    note: str = "",
) -> str:
    """Return a figure of curves, one kind of line each, with a caption that names them.

    Args:
        values: At most four curves by their name; what is not finite, or not positive on a log scale, is left out.
        title: What the curves are of.
        across: Where the values are; 1, 2, 3, ... unless given.
        mark: Where a dotted line is drawn.
        log: Whether the scale is logarithmic.
        note: What the caption says besides.

    Returns:
        HTML, or nothing where there is nothing to draw.
    """
    places = {name: across or range(1, len(each) + 1) for name, each in values.items()}
    points = {
        name: [(x, y) for x, y in zip(places[name], each, strict=False) if math.isfinite(y) and (y > 0 or not log)]
        for name, each in values.items()
    }
    known = [y for each in points.values() for _, y in each]
    if not known:
        return ""
    frame = Frame(
        number_axis([x for each in places.values() for x in each]),
        number_axis(known, log=log),
        width=HALF_WIDTH,
        height=HALF_HEIGHT,
    )
    parts = []
    if mark is not None:
        x = frame.x(mark)
        parts.append(f'<line class="best" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HALF_HEIGHT - BOTTOM + 8}"/>')
    for kind, each in zip(KINDS, points.values(), strict=False):
        line = " ".join(f"{frame.x(x):.1f},{frame.y(y):.1f}" for x, y in each)
        parts.append(f'<polyline class="curve {kind}" points="{line}"/>')
        if len(each) < 3:
            parts += [f'<circle class="{kind}" cx="{frame.x(x):.1f}" cy="{frame.y(y):.1f}" r="3"/>' for x, y in each]
    whole = [(place, label) for place, label in frame.across.ticks(6) if "." not in label and "e-" not in label]
    said = "; ".join(
        f"{name} from {each[0][1]:.4g} to {each[-1][1]:.4g}, lowest {min(each, key=_height)[1]:.4g}, highest "
        f"{max(each, key=_height)[1]:.4g}"
        for name, each in points.items()
        if each
    )
    keys = " ".join(
        f'<span class="key {kind}"></span>{escape(name)}' for kind, name in zip(KINDS, values, strict=False)
    )
    single = len({x for each in places.values() for x in each}) == 1
    only = f"{next(iter(places.values()))[0]:g}"
    svg = frame.drawn("".join(parts), across=[(0.5, only)] if single else whole)
    caption = f"<strong>{escape(title)}</strong> {keys if len(values) > 1 else ''} {escape(note)}".rstrip()
    return f"<figure>{_named(svg, f'{title}: {said}')}<figcaption>{caption}</figcaption></figure>"


def figure(svg: str, caption: str, *, label: str = "") -> str:
    """Return a picture with its caption, in a box that scrolls; `label` is what a screen reader says of it."""
    named = escape(label or caption)
    box = f'<div class="scroll" role="region" tabindex="0" aria-label="{named}">'
    return (
        f"<figure>{box}{_named(svg, label) if label else svg}</div><figcaption>{escape(caption)}</figcaption></figure>"
    )


def _named(svg: str, title: str) -> str:
    return svg.replace(">", f"><title>{escape(title)}</title>", 1)


def _height(point: tuple[float, float]) -> float:
    return point[1]


def short(text: str, length: int = 14) -> str:
    """Return `text` without its middle where it is longer than `length` letters: names often differ in their end."""
    end = (length - 1) // 3
    return text if len(text) <= length else f"{text[: length - 1 - end]}…{text[len(text) - end :]}"


def thinned(items: Sequence[Item], most: int) -> Sequence[Item]:
    """Return every second, third, ... item, so that no more than `most` are left."""
    return items[:: -(-len(items) // most)] if items else items
