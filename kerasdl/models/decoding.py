"""A causal language model for the next tokens only: a second model of the same weights, with kept keys and values."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from kerasdl import layers
from kerasdl.errors import InputError


def decoder(model: keras.Model) -> keras.Model:
    """Return a model that shares the weights of `model` and computes the next tokens from kept keys and values.

    The graph of `model` is walked again on the same layers, so the decoder follows its weights as they train. It
    costs as much for one token as the tokens it is given, not those before. `empty_caches` makes the first caches.

    Args:
        model: A functional model from `kerasdl.models.causal_transformer`, or of the same kinds of layers.

    Returns:
        A model from a dict: "tokens", int32 (batch, length), the next tokens; "token_positions", int32 (batch, length),
        where each stands in its sequence; "mask", booleans (batch, length, places), where each may look, itself
        included; "index", an int32 scalar, the place of the first; "caches", a dict from the name of each attention
        layer to its keys and values, both (batch, places, heads, head size). It puts out "logits", float32 (batch,
        vocabulary size), after the last of the tokens, and the new "caches".

    Raises:
        InputError: If `model` is not a functional model with causal attention from one input of tokens.

    Example:
        >>> decoder(causal_transformer(256, 257))
    """
    check_causal(model)
    # A name of its own for each: within a model they are unique.
    given = {
        "tokens": keras.Input((None,), dtype="int32", name="tokens"),
        "token_positions": keras.Input((None,), dtype="int32", name="token_positions"),
        "mask": keras.Input((None, None), dtype="bool", name="mask"),
        "index": keras.Input(batch_shape=(), dtype="int32", name="index"),
    }
    before: dict[str, tuple[Any, Any]] = {}
    after: dict[str, tuple[Any, Any]] = {}
    walked = keras.Input(batch_shape=model.inputs[0].shape, dtype=model.inputs[0].dtype)
    # from the tensors of the graph as it is walked (kept, so that no id is used twice) to those with caches
    found: dict[int, tuple[Any, Any]] = {id(walked): (walked, given["tokens"])}

    def counterpart(x: Any) -> Any:
        return found[id(x)][1] if isinstance(x, keras.KerasTensor) else x

    def again(layer: Any, *args: Any, **keywords: Any) -> Any:
        plain = layer(*args, **keywords)
        args, keywords = keras.tree.map_structure(counterpart, (args, keywords))
        if isinstance(layer, layers.SelfAttention):
            name = layer.name if layer.name not in before else f"{layer.name}_{len(before)}"
            shape = (None, layer.num_heads, layer.head_dim)
            pair = [keras.Input(shape, dtype=layer.compute_dtype, name=f"{name}_{part}") for part in ("key", "value")]
            cached = layers.CachedAttention(layer, dtype=layer.dtype_policy, name=f"{name}_cached")
            outputs, *kept = cached(*args, given["token_positions"], given["mask"], given["index"], *pair)
            before[name], after[name] = tuple(pair), tuple(kept)
        elif isinstance(layer, layers.Positions):
            outputs = layer(*args, positions=given["token_positions"])
        else:
            if layer.name == "vocabulary" or keywords.get("reverse"):
                # A large product, of which generating uses the last row only.
                args = (args[0][:, -1:], *args[1:])
            outputs = layer(*args, **keywords)
        for old, new in zip(keras.tree.flatten(plain), keras.tree.flatten(outputs), strict=True):
            found[id(old)] = (old, new)
        return plain

    # Its input is not the graph's only one any more, so the clone itself is of no use.
    inputs = keras.tree.map_structure(lambda _: walked, model.input)
    clone = keras.models.clone_model(
        model, input_tensors=inputs, clone_function=lambda layer: layer, call_function=again
    )
    logits = counterpart(clone.output)[:, -1]
    return keras.Model({**given, "caches": before}, {"logits": logits, "caches": after}, name=f"{model.name}_decoder")


def check_causal(model: Any) -> None:
    """Raise :class:`InputError` unless `model` is a functional one with causal attention, from one input of tokens."""
    functional = isinstance(model, keras.Model) and hasattr(model, "operations")
    attention = [layer for layer in model.layers if isinstance(layer, layers.SelfAttention)] if functional else []
    if not attention or not all(layer.causal for layer in attention) or len(model.inputs) > 1:
        raise InputError(
            "model",
            received=f"{type(model).__name__} {getattr(model, 'name', '')!r}",
            expected="a functional Keras model from tokens to the logits of the next ones, with causal self-attention",
            mend="Build it with kerasdl.models.causal_transformer.",
        )


def empty_caches(model: keras.Model, batch: Any, places: Any) -> dict[str, tuple[Any, Any]]:
    """Return caches of zeros for a `decoder`.

    Args:
        model: The decoder.
        batch: Number of sequences, an int or a scalar tensor.
        places: Number of tokens that they hold, an int or a scalar tensor.
    """
    return keras.tree.map_structure(
        lambda x: ops.zeros((batch, places, *x.shape[2:]), dtype=x.dtype), model.input["caches"]
    )
