"""Who attends to whom in a model that is given a text or an image: attention from the raw input to numbers, a table
and a picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from kerasdl.attention_maps import attention_maps
from kerasdl.diagnostics import saliency_inputs
from kerasdl.diagnostics.attention import (
    Pair,
    attention_rollout,
    attention_table,
    patch_attention,
    stack_maps,
    strongest_pairs,
)
from kerasdl.diagnostics.attention_picture import attention_picture, patch_map
from kerasdl.diagnostics.saliency_places import patch_grid
from kerasdl.errors import InputError


@dataclass(frozen=True, eq=False)
class AttentionMap:
    """What :func:`attention_map` returns.

    Args:
        weights: Who attends to whom, (layers, heads, length, length); those of each that attends sum to 1.
        tokens: What stands at each position of a text; of an image "class" and the place of each patch, as "2,3".
        image: The image (height, width, channels); None of a text.
        grid: Patches from top to bottom and from left to right; None of a text.
        class_token: Whether the first position is a class token.
    """

    weights: np.ndarray
    tokens: tuple[str, ...]
    image: np.ndarray | None = None
    grid: tuple[int, int] | None = None
    class_token: bool = False

    @property
    def rollout(self) -> np.ndarray:
        """From where each position comes through all layers, (length, length): see :func:`attention_rollout`."""
        return attention_rollout(self.weights)

    @property
    def patches(self) -> np.ndarray:
        """From which patches of an image the answer comes, of the shape of the grid: see :func:`patch_attention`."""
        if self.grid is None:
            raise InputError("patches", received="a text", expected="an image", mend="Take rollout.")
        return patch_attention(self.weights, grid=self.grid, class_token=self.class_token)

    def pairs(self, *, count: int = 3, itself: bool = False) -> list[Pair]:
        """Return the strongest pairs of each head: see :func:`strongest_pairs`."""
        return strongest_pairs(self.weights, count=count, itself=itself)

    def table(self, *, count: int = 3, itself: bool = False) -> str:
        """Return the strongest pairs of each head as lines to print: see :func:`attention_table`."""
        return attention_table(self.tokens, self.weights, count=count, itself=itself)

    def picture(self, *, title: str = "Attention") -> str:
        """Draw it as SVG: a heat map for each head, or the image with the patches that are taken most from."""
        if self.image is None:
            return attention_picture(self.tokens, self.weights, title=title)
        image = np.clip(self.image, 0, 255).astype(np.uint8)
        return patch_map(image, self.weights, grid=self.grid, class_token=self.class_token, title=title)


def attention_map(model: Any, text_or_image: Any, *, vocabulary: Any = None) -> AttentionMap:
    """Look at who attends to whom in a transformer that is given a text or an image, by layer and head.

    Attention says where a layer takes its values from, and not by itself why the model decides as it does
    (arXiv:1902.10186): for that see :func:`kerasdl.diagnostics.saliency`.

    Args:
        model: A functional model with layers of `kerasdl.layers.SelfAttention`, raw inputs in, or a
            :class:`kerasdl.Result` of one.
        text_or_image: A text; the ids of its tokens; or an image (height, width, channels).
        vocabulary: From texts to ids and back, with `encode` and `decode`; a result has its own.

    Returns:
        The weights with what stands at each position; `rollout`, `pairs()`, `table()` and `picture()` are made of them.

    Raises:
        InputError: For a model without attention, a text without a vocabulary, several inputs, other inputs.

    Example:
        >>> found = attention_map(result, "the cat sat on the mat")
        >>> print(found.table(count=1))
        layer  head  strongest pairs
            1     1  sat -> cat 0.83
        >>> Path("cat.svg").write_text(found.picture(), encoding="utf-8")

    Reference: Abnar and Zuidema, Quantifying attention flow in transformers, arXiv:2005.00928 (rollout)
    """
    opened = saliency_inputs.open_model(model, vocabulary=vocabulary)
    kind = saliency_inputs.check_kind(opened.model, None)
    if kind == "series":
        raise InputError(
            "model",
            received="a model of series",
            expected="a transformer of texts or images",
            mend="Use saliency, or kerasdl.models.attention_maps.",
        )
    maps = attention_maps(opened.model)
    if kind == "text":
        ids, lengths = saliency_inputs.token_ids(opened, text_or_image)
        _refuse_many(len(ids))
        weights = stack_maps(maps.predict_on_batch(ids))[0][..., : lengths[0], : lengths[0]]
        return AttentionMap(weights, saliency_inputs.token_names(opened, ids[0, : lengths[0]]))
    images = saliency_inputs.images(opened.model, text_or_image)
    _refuse_many(len(images))
    weights = stack_maps(maps.predict_on_batch(images))[0]
    grid = patch_grid(opened.model)
    extra = None if grid is None else weights.shape[-1] - grid[0] * grid[1]
    if grid is None or extra not in (0, 1):
        raise InputError(
            "model",
            received=f"{weights.shape[-1]} positions for a grid of patches {grid}",
            expected="a vision transformer, with a position for each patch and at most a class token in front",
            mend="Take kerasdl.models.attention_maps for others.",
        )
    places = [f"{row},{column}" for row in range(1, grid[0] + 1) for column in range(1, grid[1] + 1)]
    return AttentionMap(weights, tuple(["class"] * extra + places), images[0], grid, class_token=bool(extra))


def _refuse_many(count: int) -> None:
    if count != 1:
        raise InputError(
            "text_or_image", received=f"{count} inputs", expected="one text or one image", mend="Call it for each."
        )
