"""What the pictures of a search share: a frame of two axes with ticks, a figure with its caption, short labels."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any, TypeVar

from kerasdl.tuning.axes import Axis

Item = TypeVar("Item")

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 280, 64, 20, 16, 40
# Between the frame and the first and last value across, so that a mark covers no number.
INSET = 10
# Of a letter of 12 pixels, on average.
LETTER = 7
MOST_LABELS = 12


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
            parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{escape(label)}</text>')
        ticks = thinned(self.across.ticks() if across is None else across, MOST_LABELS)
        room = (right - LEFT) / max(1, len(ticks))
        for index, (share, label) in enumerate(ticks):
            # Long names take turns in two lines.
            long = any(LETTER * len(short(text)) > room for _, text in ticks)
            y = bottom + 21 + (13 if long and index % 2 else 0)
            text = escape(short(label, max(3, int(room * (2 if long else 1) / LETTER))))
            parts.append(f'<text x="{self._x(share):.1f}" y="{y}" text-anchor="middle">{text}</text>')
        return (
            f'<svg viewBox="0 0 {self._width} {self._height}" style="max-width: {self._width}px" role="img">'
            f"{''.join(parts)}{inside}</svg>"
        )


def figure(svg: str, caption: str, *, label: str = "") -> str:
    """Return a picture with its caption; `label` is what a screen reader says of it."""
    svg = svg.replace('role="img"', f'role="img" aria-label="{escape(label)}"', 1) if label else svg
    return f'<figure><div class="scroll">{svg}</div><figcaption>{escape(caption)}</figcaption></figure>'


def short(text: str, length: int = 14) -> str:
    """Return `text` without its middle where it is longer than `length` letters: names often differ in their end."""
    end = (length - 1) // 3
    return text if len(text) <= length else f"{text[: length - 1 - end]}…{text[len(text) - end :]}"


def thinned(items: Sequence[Item], most: int) -> Sequence[Item]:
    """Return every second, third, ... item, so that no more than `most` are left."""
    return items[:: -(-len(items) // most)] if items else items
