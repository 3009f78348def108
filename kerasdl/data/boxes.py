"""Boxes in NumPy: the formats they come in, by the names of `keras.utils.bounding_boxes`, and which are wrong.

Inside the kit a box is always left, top, right, bottom in pixels ("xyxy"); the first pixel reaches from 0 to 1. Keras's
own conversion needs a backend's tensors and has 32 bits, which would move boxes of large images that are written and
read; the one here says the same, which a test checks format by format.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from kerasdl.errors import InputError, check_choice

FORMATS = (
    *("xyxy", "yxyx", "xywh", "center_xywh", "center_yxhw"),
    *("rel_xyxy", "rel_yxyx", "rel_xywh", "rel_center_xywh"),
)
"""`rel_`: as a share of the image's width and height."""
OVERHANG = 1.0
"""Pixels by which a box may reach beyond the border: rounding in annotation tools does that, and it is cut off."""
INVALID = ("refuse", "drop")
"""What can be done about boxes that are wrong."""


def convert(boxes: np.ndarray, sizes: np.ndarray, source: str, target: str = "xyxy") -> np.ndarray:
    """Convert boxes from one format to another.

    Args:
        boxes: Shape (..., 4).
        sizes: Height and width of the image of each box, shape (..., 2), or of all, shape (2,).
        source: The format they have, one of `FORMATS`.
        target: The format wanted.

    Returns:
        float64 of the same shape.

    Raises:
        InputError: For another format.

    Example:
        >>> convert(np.array([[10, 20, 30, 40]]), np.array([100, 100]), "xywh")
        array([[10., 20., 40., 60.]])

    https://keras.io/api/utils/bounding_boxes/
    """
    for name in (source, target):
        check_choice("box_format", name, FORMATS)
    boxes = np.asarray(boxes, np.float64)
    limits = np.asarray(sizes, np.float64)[..., [1, 0, 1, 0]]
    plain = source.removeprefix("rel_")
    if plain in ("yxyx", "center_yxhw"):
        boxes = boxes[..., [1, 0, 3, 2]]
    first, second = boxes[..., :2], boxes[..., 2:]
    # What is not finite is for `check_boxes` to find, which can say where it stands.
    with np.errstate(invalid="ignore"):
        if plain == "xywh":
            second = first + second
        elif plain.startswith("center"):
            first, second = first - second / 2, first + second / 2
    corners = np.concatenate([first, second], axis=-1)
    if source.startswith("rel_"):
        corners = corners * limits
    if target.startswith("rel_"):
        corners = corners / limits
    return _from_corners(corners, target.removeprefix("rel_"))


def _from_corners(corners: np.ndarray, target: str) -> np.ndarray:
    first, second = corners[..., :2], corners[..., 2:]
    if target == "xywh":
        second = second - first
    elif target.startswith("center"):
        first, second = (first + second) / 2, second - first
    found = np.concatenate([first, second], axis=-1)
    return found[..., [1, 0, 3, 2]] if target in ("yxyx", "center_yxhw") else found


def check_boxes(
    boxes: np.ndarray, sizes: np.ndarray, where: Callable[[int], str], *, invalid: str = "refuse"
) -> tuple[np.ndarray, np.ndarray]:
    """Refuse or drop boxes that are none, and cut at the border those that reach a little beyond.

    Args:
        boxes: Left, top, right, bottom in pixels, shape (count, 4).
        sizes: Height and width of each one's image, shape (count, 2).
        where: From the number of a box to what messages call it: file and line.
        invalid: "refuse"; or "drop", which drops those that are not finite, inverted, empty or outside altogether,
            and cuts the others at the border however far they reach.

    Returns:
        The boxes, cut, of the same shape; and which of them are right, bool (count,).

    Raises:
        InputError: With "refuse", for the first that is wrong.
    """
    limits = np.asarray(sizes, np.float64)[..., [1, 0]].reshape(-1, 2)
    finite = np.asarray(np.isfinite(boxes).all(axis=1))
    with np.errstate(invalid="ignore"):
        low, high = boxes[:, :2], boxes[:, 2:]
        inverted = np.asarray((high < low).any(axis=1))
        empty = np.asarray((high == low).any(axis=1))
        cut = np.clip(boxes, 0, np.concatenate([limits, limits], axis=1))
        outside = (low < -OVERHANG).any(axis=1) | (high > limits + OVERHANG).any(axis=1)
        gone = (cut[:, 2:] <= cut[:, :2]).any(axis=1)
    if invalid == "refuse" and len(wrong := np.flatnonzero(~finite | inverted | empty | outside | gone)):
        first = int(wrong[0])
        height, width = (int(limit) for limit in limits[first][::-1])
        if not finite[first]:
            fault = "coordinates that are not finite"
        elif inverted[first]:
            fault = "an inverted box: right < left or bottom < top"
        elif empty[first]:
            fault = "a box without area"
        else:
            fault = f"a box that reaches outside its image of {width} x {height} pixels (width x height)"
        left, top, right, bottom = (f"{value:.6g}" for value in boxes[first])
        raise InputError(
            where(first),
            received=f"{fault}: left {left}, top {top}, right {right}, bottom {bottom}",
            expected=f"left < right and top < bottom, at most {OVERHANG:g} pixel beyond the image",
            mend="Correct it there and look at others of the kind, or leave such boxes out by invalid_boxes='drop'.",
        )
    return cut, finite & ~inverted & ~empty & ~gone
