"""The Keras sides of the speed benchmarks: kerasdl's builders, and the same networks as a Keras tutorial has them."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

import kerasdl


def built(name: str, sizes: dict[str, Any] | None) -> keras.Model:
    """Return the network that kerasdl's builders make.

    Args:
        name: "cnn", "resnet9", "resnet18", "lstm", or "text", "vit" or "causal".
        sizes: Of the last three, from `transformer_speed.MODELS`.
    """
    if sizes is None:
        if name == "lstm":
            return kerasdl.models.lstm_classifier((28, 28), 10, units=(128,))
        filters = {"filters": (32, 64, 128, 256)} if name == "resnet9" else {}
        return getattr(kerasdl.models, name)((28, 28, 1), 10, **filters)
    same = {each: sizes[each] for each in ("num_layers", "num_heads", "hidden_dim", "dropout")}
    same["positions"] = "learned"
    if name == "text":
        wide = sizes["length"], sizes["vocabulary_size"], sizes["num_classes"]
        return kerasdl.models.transformer_classifier(*wide, **same)
    if name == "causal":
        return kerasdl.models.causal_transformer(sizes["length"], sizes["vocabulary_size"], **same)
    return kerasdl.models.vision_transformer((28, 28, 1), sizes["num_classes"], patch_size=sizes["patch_size"], **same)


def tutorial(name: str, sizes: dict[str, Any] | None) -> keras.Model:
    """Return the same network out of Keras's own layers. The convolutional builders use nothing else."""
    if name == "lstm":
        return keras.Sequential([keras.Input((28, 28)), layers.LSTM(128), layers.Dense(10)])
    return built(name, sizes) if sizes is None else transformer(sizes)


@keras.saving.register_keras_serializable("benchmarks")
class Positions(layers.Layer):
    """Adds a learned vector to each place, as in keras.io's examples."""

    def build(self, input_shape: Any) -> None:
        """Make the vectors."""
        self.vectors = self.add_weight(shape=input_shape[1:], initializer="random_normal")

    def call(self, x: Any) -> Any:
        """Add them."""
        return x + self.vectors


def transformer(sizes: dict[str, Any]) -> keras.Model:
    """Return a transformer of Keras's own layers, in the manner of keras.io's examples, with normalization in front."""
    features, heads, dropout = sizes["hidden_dim"], sizes["num_heads"], sizes["dropout"]
    mask = keep = None
    if sizes["kind"] == "vit":
        inputs = keras.Input((28, 28, 1))
        x = layers.Conv2D(features, sizes["patch_size"], sizes["patch_size"])(layers.Rescaling(1 / 127.5, -1)(inputs))
        x = layers.Reshape((sizes["length"], features))(x)
    else:
        inputs = keras.Input((sizes["length"],), dtype="int32")
        x = layers.Embedding(sizes["vocabulary_size"], features)(inputs)
        keep = ops.not_equal(inputs, 0)
        mask = ops.expand_dims(keep, 1)
    x = layers.Dropout(dropout)(Positions()(x))
    for _ in range(sizes["num_layers"]):
        y = layers.LayerNormalization()(x)
        y = layers.MultiHeadAttention(heads, features // heads)(y, y, attention_mask=mask)
        x = x + layers.Dropout(dropout)(y)
        y = layers.Dense(4 * features, activation="gelu")(layers.LayerNormalization()(x))
        x = x + layers.Dropout(dropout)(layers.Dense(features)(y))
    x = layers.LayerNormalization()(x)
    x = layers.GlobalAveragePooling1D()(x, mask=keep)
    return keras.Model(inputs, layers.Dense(sizes["num_classes"])(x))
