"""From a Keras model to a TensorFlow function that other formats are made from, and which layer they fail at.

The function holds the network alone, its inputs named as the model's, its batch of any size.
"""

from __future__ import annotations

import contextlib
import re
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import keras

from kerasdl.errors import InputError
from kerasdl.export.quiet import captured

OUTPUT = "output"


def network_specifications(model: keras.Model) -> dict[str, Any]:
    """Return the `tf.TensorSpec` of each input, by its name."""
    import tensorflow as tf

    return {each.name: tf.TensorSpec((None, *each.shape[1:]), each.dtype, name=each.name) for each in model.inputs}


def by_name(model: keras.Model) -> Callable[[dict[str, Any]], Any]:
    """Return a function of the inputs as a dict, whatever the model takes itself, to its output."""
    named = isinstance(model.input, dict)

    def network(inputs: dict[str, Any]) -> Any:
        # training=False must be said: some layers are random in a plain call.
        return model(inputs if named else next(iter(inputs.values())), training=False)

    return network


def network_function(model: keras.Model) -> Any:
    """Return a `tf.function` of the inputs as a dict, see :func:`network_specifications`, to {"output": numbers}."""
    import tensorflow as tf

    network = by_name(model)
    return tf.function(
        lambda inputs: {OUTPUT: network(inputs)}, input_signature=[network_specifications(model)], autograph=False
    )


def recurrent_layers(model: keras.layers.Layer) -> list[keras.layers.Layer]:
    """Return the layers of a model, or of a wrapper and itself, that go along time step by step."""
    return [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.RNN)]


@contextlib.contextmanager
def attributes_set(layers: list[Any], **values: Any) -> Iterator[None]:
    """Set attributes of layers for a while: their programs are traced anew, their weights are the same."""
    before = [(layer, name, vars(layer).get(name)) for layer in layers for name in values]
    try:
        for layer in layers:
            vars(layer).update(values)
        yield
    finally:
        for layer, name, value in before:
            if value is None:
                vars(layer).pop(name)
            else:
                vars(layer)[name] = value


def check_precision(model: keras.Model, format: str) -> None:
    """Refuse a model of mixed precision: other runtimes would compute it in float32, and answer otherwise.

    Raises:
        InputError: If a layer computes in something else than float32; it is named.
    """
    for layer in model._flatten_layers(include_self=False):
        if layer.compute_dtype not in (None, "float32") and layer.weights:
            raise InputError(
                f"format={format!r}",
                received=f"a model whose layer {layer.name!r} computes in {layer.compute_dtype}",
                expected="float32 in every layer: these runtimes would round otherwise, and not be the trained model",
                mend='Train with precision="float32", or export with format="saved_model".',
            )


def convert(what: Callable[[], Any], model: keras.Model, *, format: str) -> Any:
    """Run a converter, quietly, and say which layer it fails at.

    Args:
        what: Converts.
        model: Whose layers may be named in what it complains of.
        format: Into which format.

    Returns:
        What the converter returns.

    Raises:
        InputError: If it fails; with the layers and operations it names.
    """
    with captured() as told, warnings.catch_warnings():
        # Converters warn of what their own parts do.
        warnings.simplefilter("ignore")
        try:
            return what()
        except InputError:
            raise
        # Converters raise whatever their passes meet, and tell more on standard error.
        except Exception as error:
            reason, text = error, f"{error}\n{told()}"
    layers = _layers_named(text, model)
    operations = sorted(set(re.findall(r"'(?:tf|tfl)\.(\w+)' op|Op registered for (\w+)", text)))
    names = " and ".join(dict.fromkeys(next(filter(None, pair)) for pair in operations))
    raise InputError(
        f"format={format!r}",
        received=f"a model whose {_listed(layers)} cannot be converted"
        + (f" (operation {names})" if names else f" ({type(reason).__name__}: {str(reason).strip()[:120]})"),
        expected="layers that this format has operations for",
        mend='Export with format="saved_model" or "keras", or train another architecture.',
    ) from reason


def _listed(layers: list[str]) -> str:
    if not layers:
        return "layers"
    return f"layer{'s' if len(layers) > 1 else ''} {', '.join(map(repr, layers[:5]))}{', …' if layers[5:] else ''}"


def _layers_named(text: str, model: keras.Model) -> list[str]:
    """Return the names of the model's layers that occur in paths of operations, as in "model_1/block1_mlp_1/Erf"."""
    parts = set(re.findall(r"[\w.]+(?=/)", text))
    parts |= {re.sub(r"_\d+$", "", part) for part in parts}
    return [layer.name for layer in model._flatten_layers(include_self=False) if layer.name in parts]
