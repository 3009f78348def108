"""Which layers of a pretrained model train, and how fast."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import keras


def freeze(layers: Sequence[keras.layers.Layer], *, unfreeze: int) -> list[str]:
    """Let the last layers train and freeze the others; every batch normalization is frozen.

    A frozen batch normalization works with its statistics of the pretraining, in training too, and leaves them alone:
    batches of a small data set would ruin them. The model must be compiled again afterwards, as
    :func:`kerasdl.training.fit` does.

    Args:
        layers: Those of the pretrained part, from the input on.
        unfreeze: How many of the layers that have weights, batch normalizations not counted, train.

    Returns:
        The names of the layers that train, from the input on.

    Example:
        >>> freeze(kerasdl.models.backbone_layers(model), unfreeze=10)

    Reference: https://keras.io/guides/transfer_learning/
    """
    counted = countable(layers)
    trained = {layer.name for layer in counted[max(0, len(counted) - unfreeze) :]}
    for layer in layers:
        layer.trainable = layer.name in trained
        for inner in _flat([layer]):
            if isinstance(inner, keras.layers.BatchNormalization):
                inner.trainable = False
    return [layer.name for layer in counted if layer.name in trained]


def countable(layers: Iterable[keras.layers.Layer]) -> list[keras.layers.Layer]:
    """Return the layers that have trainable weights, batch normalizations left out."""
    return [
        layer
        for layer in layers
        if any(
            inner.variables and inner._trainable_variables
            for inner in _flat([layer])
            if not isinstance(inner, keras.layers.BatchNormalization)
        )
    ]


def falling_rates(names: Sequence[str], *, lowest: float) -> dict[str, float]:
    """Return shares of the learning rate that fall geometrically from the last layer to the first.

    Args:
        names: Of the layers that train, from the input on; the head, with a share of 1, is not among them.
        lowest: Share of the first of them, in (0, 1].

    Example:
        >>> falling_rates(["first", "last"], lowest=0.01)
        {'first': 0.01, 'last': 0.1}
    """
    return {name: lowest ** ((len(names) - index) / len(names)) for index, name in enumerate(names)}


def _flat(layers: Iterable[keras.layers.Layer]) -> Iterator[keras.layers.Layer]:
    for layer in layers:
        yield layer
        yield from _flat(layer.layers if isinstance(layer, keras.Model) else ())
