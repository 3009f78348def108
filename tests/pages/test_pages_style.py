"""The colours of every page: text can be read on all that it stands on, in light rooms and in dark ones."""

from __future__ import annotations

import re

import numpy as np
import pytest

from kerasdl.pages.png import png, thumbnail
from kerasdl.pages.style import BEHIND, DARK, DEEPEST, LIGHT, STYLE, TEXT

SCHEMES = {"light": LIGHT, "dark": DARK}


def rgb(color: str) -> np.ndarray:
    return np.array([int(color[place : place + 2], 16) for place in (1, 3, 5)]) / 255


def luminance(color: np.ndarray) -> float:
    """Relative luminance, https://www.w3.org/TR/WCAG22/#dfn-relative-luminance."""
    linear = np.where(color <= 0.04045, color / 12.92, ((color + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(one: np.ndarray, other: np.ndarray) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_text_can_be_read(scheme: str) -> None:
    colors = {name: rgb(color) for name, color in SCHEMES[scheme].items()}
    for text in TEXT:
        for behind in BEHIND:
            assert contrast(colors[text], colors[behind]) >= 4.5, (text, behind)
    for name in ("train", "validation"):
        deepest = DEEPEST / 100 * colors[name] + (1 - DEEPEST / 100) * colors["soft"]
        assert contrast(colors["ink"], deepest) >= 4.5, f"numbers on the deepest cells of {name}"
    # What is drawn and not read: https://www.w3.org/TR/WCAG22/#non-text-contrast
    for name in ("train", "validation", "third", "marked"):
        assert contrast(colors[name], colors["card"]) >= 3, name


def test_the_stylesheet_has_these_colours_and_no_others() -> None:
    rules = STYLE
    for colors in SCHEMES.values():
        for name, color in colors.items():
            assert f"--{name}: {color};" in STYLE
            rules = rules.replace(f"--{name}: {color};", "")
    assert re.findall(r"#[0-9a-f]{3,6}\b", rules) == ["#fff"], "the plate of pictures whose colours stand on white"
    used = set(re.findall(r"var\(--([a-z]+)", STYLE)) - {"share", "hue", "at"}
    assert used <= set(LIGHT) == set(DARK)
    assert set(re.findall(r"[ {;]color: var\(--([a-z]+)\)", STYLE)) <= {*TEXT, "marked"}


def test_a_thumbnail_is_the_mean_of_squares() -> None:
    image = np.arange(6 * 4, dtype=np.uint8).reshape(6, 4, 1)
    assert thumbnail(image, side=6) is not None
    assert thumbnail(image, side=6).tolist() == image.tolist()
    assert thumbnail(image, side=3)[..., 0].tolist() == [[2, 4], [10, 12], [18, 20]]
    assert thumbnail(np.zeros((500, 3, 4), np.uint8), side=96).shape == (83, 1, 3)
    assert png(thumbnail(image, side=3)).startswith(b"\x89PNG")
