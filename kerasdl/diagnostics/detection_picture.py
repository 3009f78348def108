"""A picture of what a detector says of an image: right boxes, wrong ones, and the objects that it missed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from kerasdl.pages.png import png_uri

# Colours and dashes of the kinds of boxes; each stands on a dark line, so that it is seen on any ground.
KINDS = {"right": ("#4aa3ff", ""), "wrong": ("#ff8c1a", "5 3"), "missed": ("#ff4fd8", "2 3")}
WIDTH = 320
LETTER = 11


@dataclass(frozen=True)
class DrawnBox:
    """One box.

    Args:
        corners: Left, top, right, bottom in pixels of the image.
        text: What stands at it.
        kind: "right", "wrong" or "missed".
    """

    corners: Sequence[float]
    text: str
    kind: str


def detection_picture(image: np.ndarray, boxes: Sequence[DrawnBox], *, title: str) -> str:
    """Return an image with boxes drawn on it, as SVG.

    Args:
        image: uint8 (height, width, 1 or 3).
        boxes: What is drawn, the first at the bottom.
        title: What a screen reader says.

    Example:
        >>> detection_picture(image, [DrawnBox((4, 4, 20, 20), "7 0.93", "right")], title="A right 7")
    """
    height, width = image.shape[:2]
    scale = WIDTH / width
    parts = [
        f'<image href="{png_uri(image)}" width="{WIDTH}" height="{height * scale:.1f}" preserveAspectRatio="none"/>'
    ]
    for box in boxes:
        left, top, right, bottom = (float(side) * scale for side in box.corners)
        colour, dashes = KINDS[box.kind]
        place = f'x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}" height="{bottom - top:.1f}" fill="none"'
        parts.append(f'<rect {place} stroke="#000" stroke-opacity=".6" stroke-width="3.5"/>')
        parts.append(f'<rect {place} stroke="{colour}" stroke-width="1.8" stroke-dasharray="{dashes}"/>')
        above = top - 3 if top > LETTER + 4 else bottom + LETTER
        parts.append(
            f'<text x="{left:.1f}" y="{above:.1f}" style="font: bold {LETTER}px system-ui, sans-serif; fill: {colour}; '
            f'stroke: #000; stroke-width: 2.5px; paint-order: stroke">{escape(box.text)}</text>'
        )
    return (
        f'<svg role="img" viewBox="0 0 {WIDTH} {height * scale:.0f}" width="{WIDTH}" xmlns="http://www.w3.org/2000/svg">'
        f"<title>{escape(title)}</title>{''.join(parts)}</svg>"
    )
