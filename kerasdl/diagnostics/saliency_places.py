"""Where in a model saliency looks: the feature maps of an image model, the token vectors of a text model."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from kerasdl import layers
from kerasdl.diagnostics.sensitivity import Point, points
from kerasdl.errors import InputError

# Fewer positions on a side would hardly say where.
FEWEST = 4
CONVOLUTIONS = (
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
    keras.layers.Conv2DTranspose,
    keras.Model,
)
POOLING = (
    keras.layers.MaxPooling2D,
    keras.layers.AveragePooling2D,
    keras.layers.Dropout,
    keras.layers.SpatialDropout2D,
)
ATTENTION = (layers.SelfAttention, keras.layers.MultiHeadAttention)


def feature_place(model: keras.Model, layer: str | None = None) -> tuple[Point, tuple[int, int] | None]:
    """Return the place that Grad-CAM looks at.

    Args:
        model: A functional model of images.
        layer: Name of a layer, whose last call is taken; None for the best.

    Returns:
        The place, and how many patches there are from top to bottom and from left to right if it has tokens.

    Raises:
        InputError: Where nothing has places in the image, or there is no such layer.
    """
    all_points = points(model)
    spatial = _spatial(all_points)
    grid = _grid(spatial)
    if layer is not None:
        named = [point for point in all_points if point.name == layer]
        for point in reversed(named):
            if len(point.tensor.shape) == 4 and None not in point.tensor.shape[1:]:
                return point, None
            if len(point.tensor.shape) == 3 and grid and point.tensor.shape[1] in _lengths(grid):
                return point, grid
        raise InputError(
            "layer",
            received=f"{layer!r}" + (f" of shape {tuple(named[-1].tensor.shape)}" if named else ""),
            expected="a layer of feature maps (batch, height, width, channels) or of patch tokens",
            mend=f"Take one of {', '.join(point.name for point in spatial[-5:])}." if spatial else "Leave layer out.",
        )
    if (tokens := _last_tokens(all_points, grid)) is not None:
        return tokens, grid
    if not spatial:
        raise InputError(
            "model",
            received=f"{model.name!r}, which has no spatial layer",
            expected="a convolutional network or a vision transformer, whose features have a place in the image",
            mend="Train for example with architecture='cnn' or 'resnet'.",
        )
    sides = [min(point.tensor.shape[1:3]) for point in spatial]
    enough = [point for point, side in zip(spatial, sides, strict=True) if side >= FEWEST]
    return (enough or [point for point, side in zip(spatial, sides, strict=True) if side == max(sides)])[-1], None


def patch_grid(model: keras.Model) -> tuple[int, int] | None:
    """Return how many patches an image has from top to bottom and from left to right; None without feature maps."""
    return _grid(_spatial(points(model)))


def _spatial(all_points: list[Point]) -> list[Point]:
    """Return the feature maps from the first convolution on, but those that are only a smaller copy of another."""
    found = []
    begun = False
    for point in all_points:
        shape = point.tensor.shape
        begun = begun or (isinstance(point.operation, CONVOLUTIONS) and len(shape) == 4)
        if not begun or len(shape) != 4 or None in shape[1:] or min(shape[1:3]) < 2:
            continue
        if not isinstance(point.operation, POOLING):
            found.append(point)
    return found


def _grid(spatial: list[Point]) -> tuple[int, int] | None:
    return tuple(spatial[-1].tensor.shape[1:3]) if spatial else None


def _lengths(grid: tuple[int, int]) -> tuple[int, int]:
    """Return how many tokens there may be: the patches, with or without a class token in front."""
    return grid[0] * grid[1], grid[0] * grid[1] + 1


def _last_tokens(all_points: list[Point], grid: tuple[int, int] | None) -> Point | None:
    """Return the tokens that the last attention of a vision transformer reads.

    After it, those of single patches may not count any more: a class token has read them, or a mean is taken of them,
    whose derivative is the same everywhere.
    """
    attentions = [point for point in all_points if isinstance(point.operation, ATTENTION)]
    if not attentions or grid is None:
        return None
    by_tensor = {id(point.tensor): point for point in all_points}
    place = by_tensor.get(id(_read(attentions[-1])))
    return place if place is not None and place.tensor.shape[1] in _lengths(grid) else None


def _read(point: Point) -> Any:
    """Return the first tensor that goes into an operation at a place."""
    return point.operation._inbound_nodes[point.call].input_tensors[0]


def patch_tokens(values: np.ndarray, grid: tuple[int, int] | None) -> np.ndarray:
    """Return tokens of patches as maps (examples, rows, columns, features), without a class token; maps as they are."""
    if grid is None:
        return values
    rows, columns = grid
    return values[:, -rows * columns :].reshape(len(values), rows, columns, -1)


def embedding_places(model: keras.Model) -> list[Point]:
    """Return where ids of tokens become vectors: the sum of these is what the rest of the model reads.

    Raises:
        InputError: Where there is no such layer.
    """
    kinds = (keras.layers.Embedding, layers.SubwordEmbedding, layers.TermScores)
    found = [
        point for point in points(model) if isinstance(point.operation, kinds) and _read(point).dtype.startswith("int")
    ]
    if not found:
        raise InputError(
            "model",
            received=f"{model.name!r}, which has no embedding",
            expected="a model with a layer of token vectors",
            mend="Build it for example with kerasdl.models.text_cnn.",
        )
    return found
