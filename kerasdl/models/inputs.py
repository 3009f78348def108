"""What every builder does first: check its arguments and make its input tensor.

Here belong checks of sizes and shares (kinds by name are checked with `kerasdl.errors.check_choice`) and the two
inputs a builder may have: images as raw uint8 pixels, features as float32 vectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from kerasdl import blocks, checks
from kerasdl.errors import InputError, check_choice


def check_integer(what: str, value: Any, *, minimum: int = 1) -> int:
    """Return `value` as an int, or raise :class:`InputError` unless it is an integer of at least `minimum`."""
    checks.integer(minimum)(what, value)
    return int(value)


def check_integers(what: str, values: Any, *, empty: bool = False) -> tuple[int, ...]:
    """Return `values` as a tuple of positive ints, at least one unless `empty`, or raise :class:`InputError`."""
    if not (empty and isinstance(values, (tuple, list)) and not values):
        checks.integers(what, values)
    return tuple(int(value) for value in values)


def check_share(what: str, share: Any, *, example: float = 0.2) -> float:
    """Return `share` as a float, or raise :class:`InputError` unless it is in [0, 1)."""
    checks.number(0, 1, example=example)(what, share)
    return float(share)


def check_activation(activation: object, normalization: object) -> None:
    """Raise :class:`InputError` unless both names are known; `normalization` may be None."""
    check_choice("activation", activation, blocks.ACTIVATIONS)
    if normalization is not None:
        check_choice("normalization", normalization, blocks.NORMALIZATIONS)


def penalty(l1: Any, l2: Any) -> keras.regularizers.Regularizer | None:
    """Return the penalty l1 * sum(abs(w)) + l2 * sum(w ** 2) on a kernel, or None when both are 0.

    Raises:
        InputError: If one of them is not a finite number of at least 0.
    """
    for name, value in {"l1": l1, "l2": l2}.items():
        checks.number(0, example=0.0001)(name, value)
    return keras.regularizers.L1L2(l1=float(l1), l2=float(l2)) if l1 or l2 else None


def image_input(input_shape: Sequence[int]) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """Return the input of uint8 pixels named "image" and the same scaled to [-1, 1].

    Args:
        input_shape: (height, width, channels) in pixels.

    Raises:
        InputError: If `input_shape` is not three positive integers.
    """
    shape = check_integers("input_shape", input_shape)
    if len(shape) != 3:
        raise InputError(
            "input_shape",
            received=repr(input_shape),
            expected="the shape of an image, (height, width, channels)",
            mend="Pass for example input_shape=(28, 28, 1), or use models.mlp for vectors of features.",
        )
    image = keras.Input(shape, dtype="uint8", name="image")
    return image, blocks.scale_image(image)


def vector_input(input_shape: Sequence[int]) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """Return an input and its tensor of shape (batch, features): raw features, or an image scaled and flattened.

    Args:
        input_shape: (features,) for an input of float32 named "features", taken as it is, or (height, width,
            channels) for an image as in `image_input`.

    Raises:
        InputError: If `input_shape` is neither one nor three positive integers.
    """
    shape = check_integers("input_shape", input_shape)
    if len(shape) == 1:
        features = keras.Input(shape, dtype="float32", name="features")
        return features, features
    if len(shape) != 3:
        raise InputError(
            "input_shape",
            received=repr(input_shape),
            expected="(features,) or (height, width, channels)",
            mend="Pass for example input_shape=(784,) or (28, 28, 1).",
        )
    image, x = image_input(shape)
    return image, keras.layers.Flatten(name="flatten")(x)
