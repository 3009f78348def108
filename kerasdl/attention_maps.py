"""The attention of a built model as numbers: a second model with the same weights that also puts out every map."""

from __future__ import annotations

from typing import Any

import keras

from kerasdl import layers
from kerasdl.errors import InputError


def attention_maps(model: keras.Model) -> keras.Model:
    """Return a model that shares the weights of `model` and also puts out what each attention layer looks at.

    The graph of `model` is walked again on the same layers, so the maps follow its weights as they train. It works on
    any functional model with layers of `kerasdl.layers.SelfAttention`; those inside a nested model are not seen. The
    maps take memory that grows with the square of the length.

    Args:
        model: A functional model, for example from `transformer_classifier`.

    Returns:
        A model from the inputs of `model` to a dict: "output", what `model` puts out, and under the name of each
        attention layer its weights, of shape (batch, heads, queries, keys). The weights of a query sum to 1.

    Raises:
        InputError: If `model` is not functional or has no attention layer.

    Example:
        >>> attention_maps(model).predict(tokens)["block1_attention"]
    """
    maps: dict[str, Any] = {}
    unpadded: list[Any] = []

    def again(layer: Any, *args: Any, **keywords: Any) -> Any:
        if isinstance(layer, layers.PadLength) and not unpadded:
            unpadded.append(args[0])
        if isinstance(layer, layers.SelfAttention):
            # a layer that is called twice has two maps
            name = layer.name if layer.name not in maps else f"{layer.name}_{len(maps)}"
            weights = layers.AttentionWeights(layer, name=f"{name}_weights")
            maps[name] = weights(*args, unpadded=unpadded[0] if unpadded else None, **keywords)
        return layer(*args, **keywords)

    functional = isinstance(model, keras.Model) and hasattr(model, "operations")
    if functional:
        shared = keras.models.clone_model(model, clone_function=lambda layer: layer, call_function=again)
    if not maps:
        raise InputError(
            "model",
            received=f"{type(model).__name__} {getattr(model, 'name', '')!r}" + (" without attention" * functional),
            expected="a functional Keras model with a layer of self-attention",
            mend="Build it for example with kerasdl.models.transformer_classifier.",
        )
    return keras.Model(shared.input, {"output": shared.output, **maps}, name=f"{model.name}_attention")
