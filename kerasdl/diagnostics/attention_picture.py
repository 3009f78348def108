"""Pictures of attention as SVG text: a heat map for each head, and an image with what was looked at.

A picture is one string without script, font or network, to be written to a file or put into a page. Colours stand on
white, so that it looks the same everywhere.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from html import escape

import numpy as np

from kerasdl.diagnostics.attention import (
    attention_rollout,
    check_weights,
    label,
    patch_attention,
    strongest_pairs,
)
from kerasdl.errors import InputError
from kerasdl.pages.png import png_uri

# Labels of more positions are no longer readable, nor are they in one line.
LARGEST = 128
FONT, LETTER, GAP = 10, 6.2, 22
SIDE, SMALLEST, WIDEST = 150, 11, 22
INK, LINE, WARM = "#1c2330", "#8a929e", "#e8590c"
# From nothing to all: white, blue, nearly black.
COLORS = np.array([(255, 255, 255), (190, 214, 240), (84, 146, 210), (21, 82, 158), (6, 28, 70)], float)


def attention_picture(tokens: Sequence[str], weights: np.ndarray, *, title: str = "Attention") -> str:
    """Draw who attends to whom: a small heat map for each layer and head, and one for all layers together.

    Rows attend to columns. Under each map stands its strongest pair of two positions. Colours go by the square root of
    the weight, the same in all maps, so that weights spread over many positions can still be seen.

    Args:
        tokens: What stands at each position, at most 128.
        weights: Of shape (layers, heads, length, length).
        title: Heading.

    Returns:
        The picture as SVG.

    Raises:
        InputError: For other shapes, what cannot be attention weights, or too many tokens.

    Example:
        >>> Path("cat.svg").write_text(attention_picture("the cat sat".split(), maps[0]), encoding="utf-8")
    """
    array = check_weights(weights, tokens)
    if len(tokens) > LARGEST:
        raise InputError(
            "tokens",
            received=f"{len(tokens)} tokens",
            expected=f"at most {LARGEST}: more labels cannot be read",
            mend="Take a shorter text, or look at attention_table.",
        )
    num_layers, num_heads, length, _ = array.shape
    labels = [label(token) for token in tokens]
    cell = min(max(SIDE // length, SMALLEST), WIDEST)
    # Chinese, Japanese and emoji are as wide as two letters.
    wide = [sum(1 + (unicodedata.east_asian_width(char) in "WF") for char in said) for said in labels]
    margin = max(wide) * LETTER + 6
    # The line under a map may be wider than a map of few positions.
    width = max(margin + cell * length, 27 * LETTER) + GAP
    height = margin + cell * length + 3 * FONT + GAP
    strongest = {(pair.layer, pair.head): pair for pair in strongest_pairs(array, count=1)}

    def panel(row: int, column: int, heading: str, found: np.ndarray, caption: str) -> str:
        left, top = GAP + column * width, 2 * GAP + FONT + row * height
        return (
            f'<g transform="translate({left:.1f} {top:.1f})"><text y="-5" font-weight="bold">{escape(heading)}</text>'
            f"{_heat_map(labels, found, cell=cell, margin=margin)}"
            f'<text y="{margin + cell * length + 2 * FONT:.1f}">{escape(caption)}</text></g>'
        )

    panels = []
    for layer in range(num_layers):
        for head in range(num_heads):
            pair = strongest.get((layer + 1, head + 1))
            caption = f"{labels[pair.query]} → {labels[pair.key]} {pair.weight:.2f}" if pair else "each only to itself"
            panels.append(panel(layer, head, f"layer {layer + 1}, head {head + 1}", array[layer, head], caption))
    panels.append(panel(num_layers, 0, "all layers (rollout)", attention_rollout(array), "with residual connections"))
    total = max(GAP + num_heads * width, 420), 2 * GAP + (num_layers + 1) * height
    return _svg(title, *total, "".join(panels) + _scale(GAP + 21 * LETTER + len(title) * 8, 4))


def patch_map(
    image: np.ndarray,
    weights: np.ndarray,
    *,
    grid: tuple[int, int] | None = None,
    class_token: bool = False,
    title: str = "Attention",
) -> str:
    """Draw an image, and beside it the same with the patches that a vision transformer takes most from, in orange.

    The shares are those of :func:`kerasdl.diagnostics.attention.patch_attention`, which sum to 1; the strongest patch
    has the strongest colour.

    Args:
        image: uint8, of shape (height, width, channels), 1 or 3 channels.
        weights: Of shape (layers, heads, length, length).
        grid: Patches from top to bottom and from left to right; None for a square.
        class_token: Whether the first position is a class token.
        title: Heading.

    Returns:
        The picture as SVG.

    Raises:
        InputError: For another image, other shapes, and for what cannot be attention weights.

    Example:
        >>> Path("shirt.svg").write_text(patch_map(image, maps[0]), encoding="utf-8")
    """
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[-1] not in (1, 3) or image.dtype != np.uint8:
        raise InputError(
            "image",
            received=f"{image.dtype} of shape {image.shape}",
            expected="uint8 of shape (height, width, 1 or 3)",
            mend="Pass one image as it goes into the model.",
        )
    shares = patch_attention(weights, grid=grid, class_token=class_token)
    scale = 224 / max(image.shape[:2])
    height, width = image.shape[0] * scale, image.shape[1] * scale
    picture = png_image(image, width, height)
    rows, columns = shares.shape
    patches = "".join(
        f'<rect x="{width * column / columns:.2f}" y="{height * row / rows:.2f}" width="{width / columns:.2f}" '
        f'height="{height / rows:.2f}" fill="{WARM}" fill-opacity="{0.85 * share / shares.max():.3f}">'
        f"<title>{share:.1%}</title></rect>"
        for (row, column), share in np.ndenumerate(shares)
    )
    top = 2 * GAP
    body = (
        f'<g transform="translate({GAP} {top})">{picture}</g>'
        f'<g transform="translate({2 * GAP + width:.1f} {top})">{picture}{patches}</g>'
        f'<text x="{2 * GAP + width:.1f}" y="{top + height + 2 * FONT:.1f}">'
        f"strongest patch {shares.max():.1%}, evenly {1 / shares.size:.1%}</text>"
    )
    return _svg(title, 3 * GAP + 2 * width, top + height + 2 * GAP, body)


def _heat_map(labels: Sequence[str], weights: np.ndarray, *, cell: int, margin: float) -> str:
    side = cell * len(labels)
    before = f"{margin - 4:.1f}"
    # 3.5 pixels bring the middle of a line of letters to the middle of its cell.
    middles = [f"{margin + cell * (index + 0.5) + 3.5:.1f}" for index in range(len(labels))]
    rows = "".join(
        f'<text x="{before}" y="{middle}" text-anchor="end">{escape(said)}</text>'
        f'<text transform="translate({middle} {before}) rotate(-90)">{escape(said)}</text>'
        for middle, said in zip(middles, labels, strict=True)
    )
    pixels = _colors(weights).repeat(cell, axis=0).repeat(cell, axis=1)
    frame = f'<rect width="{side}" height="{side}" fill="none" stroke="{LINE}"/>'
    return f'{rows}<g transform="translate({margin:.1f} {margin:.1f})">{png_image(pixels, side, side)}{frame}</g>'


def _colors(weights: np.ndarray) -> np.ndarray:
    place = np.sqrt(np.clip(weights, 0, 1)) * (len(COLORS) - 1)
    channels = [np.interp(place, np.arange(len(COLORS)), COLORS[:, channel]) for channel in range(3)]
    return np.stack(channels, axis=-1).round().astype(np.uint8)


def _scale(x: float, y: float) -> str:
    stops = (0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0)
    return "".join(
        f'<rect x="{x + 30 * index:.1f}" y="{y + 4}" width="30" height="10" stroke="{LINE}" '
        f'fill="#{bytes(_colors(np.array([stop]))[0]).hex()}"/>'
        f'<text x="{x + 30 * index + 15:.1f}" y="{y + 25}" text-anchor="middle">{stop:g}</text>'
        for index, stop in enumerate(stops)
    )


def _svg(title: str, width: float, height: float, body: str) -> str:
    said = escape("".join(char if char.isprintable() else " " for char in title))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" role="img" font-family="ui-monospace, monospace" '
        f'font-size="{FONT}" fill="{INK}"><title>{said}</title><rect width="100%" height="100%" fill="#ffffff"/>'
        f'<text x="{GAP}" y="{GAP}" font-size="14" font-weight="bold">{said}</text>{body}</svg>\n'
    )


def png_image(pixels: np.ndarray, width: float, height: float) -> str:
    """Return uint8 pixels of shape (height, width, 1 or 3) as an element of SVG, so many units wide and high."""
    return (
        f'<image width="{width:.1f}" height="{height:.1f}" preserveAspectRatio="none" '
        f'style="image-rendering: pixelated" href="{png_uri(pixels)}"/>'
    )
