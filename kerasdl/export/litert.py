"""LiteRT, the format of TensorFlow Lite: for phones and small machines. Loading one needs ai-edge-litert and NumPy."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasdl.errors import InputError
from kerasdl.export.formats import require
from kerasdl.export.quiet import captured, errors_only

if TYPE_CHECKING:
    import keras

# Shapes of inputs that an interpreter each is kept for: making one anew costs more than most calls.
KEPT = 4


class LiteRTNetwork:
    """A .tflite file in its interpreter.

    Args:
        file: The file.

    Raises:
        InputError: If ai-edge-litert is not installed.
    """

    def __init__(self, file: Path):
        self._runtime = require(
            "ai_edge_litert.interpreter", "ai-edge-litert", why="the interpreter that runs .tflite files"
        )
        self._content = file.read_bytes()
        self._interpreters: OrderedDict[Any, Any] = OrderedDict()
        self._lock = threading.Lock()
        # It writes that it has found a CPU.
        with captured():
            first = self._made({})
        self.inputs = {each["name"]: each for each in first.get_input_details()}

    def _made(self, shapes: Mapping[str, tuple[int, ...]]) -> Any:
        interpreter = self._runtime.Interpreter(model_content=self._content)
        for each in interpreter.get_input_details():
            if each["name"] in shapes:
                interpreter.resize_tensor_input(each["index"], shapes[each["name"]])
        interpreter.allocate_tensors()
        return interpreter

    def __call__(self, inputs: np.ndarray | Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the output for a batch of any size."""
        given = inputs if isinstance(inputs, Mapping) else {next(iter(self.inputs)): inputs}
        key = tuple(given[name].shape for name in self.inputs)
        # An interpreter holds its inputs and outputs: two threads must not share it at a time.
        with self._lock:
            if key in self._interpreters:
                self._interpreters.move_to_end(key)
            else:
                self._interpreters[key] = self._made(dict(zip(self.inputs, key, strict=True)))
                if len(self._interpreters) > KEPT:
                    self._interpreters.popitem(last=False)
            interpreter = self._interpreters[key]
            for name, each in self.inputs.items():
                interpreter.set_tensor(each["index"], np.asarray(given[name], each["dtype"]))
            try:
                interpreter.invoke()
            except RuntimeError as error:
                raise InputError(
                    "model.tflite",
                    received=f"a network with a step that LiteRT cannot compute ({' '.join(str(error).split())})",
                    expected="one whose numbers have a place in its types",
                    mend='Export with quantization="dynamic", or none: in int8 a divisor may round to 0.',
                ) from error
            return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def write_litert(
    model: keras.Model, file: Path, *, quantization: str | None, calibration: Iterable[Mapping[str, np.ndarray]]
) -> None:
    """Write a model as a .tflite file.

    With "dynamic", weights are int8 and activations float; with "int8" both are, as far as there are kernels, while
    inputs and outputs stay as they are. Recurrent layers are laid out step by step, as LiteRT has no loops for them.

    Args:
        model: The model.
        file: Where to.
        quantization: None, "dynamic" or "int8".
        calibration: For "int8": inputs by name, batches of one, from which the ranges of activations are taken.

    Raises:
        InputError: If a layer cannot be converted; it is named.

    https://ai.google.dev/edge/litert/conversion/tensorflow/quantization/post_training_quantization
    """
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    from kerasdl.export import conversion

    conversion.check_precision(model, "litert")
    recurrent = conversion.recurrent_layers(model)
    # Those of the model itself: a wrapper such as Bidirectional has the name that its builder gave.
    loops = [each for each in model.layers if conversion.recurrent_layers(each)] if _lengths_vary(model) else []
    if loops:
        raise InputError(
            'format="litert"',
            received=f"a model whose layer {loops[0].name!r} ({type(loops[0]).__name__}) reads sequences of any length",
            expected="one length, along which its steps can be laid out: LiteRT has no loop for them",
            mend='Export with format="onnx" or "saved_model", or train on sequences of one length.',
        )

    def converted() -> bytes:
        with conversion.attributes_set(recurrent, unroll=True):
            concrete = conversion.network_function(model).get_concrete_function()
        # Not frozen, TensorFlow 2.21's converter leaves variables that nothing ever initialises.
        converter = tf.lite.TFLiteConverter.from_concrete_functions([convert_variables_to_constants_v2(concrete)])
        if quantization is not None:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if quantization == "int8":
            names = [each.name.split(":")[0] for each in concrete.inputs if each.dtype != tf.resource]
            examples = [[np.asarray(example[name]) for name in names] for example in calibration]
            converter.representative_dataset = lambda: iter(examples)
        return converter.convert()

    # The converter's advice is against the only way that works.
    with errors_only("absl"):
        file.write_bytes(conversion.convert(converted, model, format="litert"))


def _lengths_vary(model: keras.Model) -> bool:
    return any(size is None for each in model.inputs for size in each.shape[1:])
