"""ONNX: for onnxruntime and all else that reads it. Loading one needs onnxruntime and NumPy."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasdl.export.formats import require
from kerasdl.export.quiet import errors_only

if TYPE_CHECKING:
    import keras

OPSET = 18


class OnnxNetwork:
    """An .onnx file in a session of onnxruntime, on the CPU.

    Args:
        file: The file.

    Raises:
        InputError: If onnxruntime is not installed.
    """

    def __init__(self, file: Path):
        runtime = require("onnxruntime", "onnxruntime", why="which runs .onnx files")
        options = runtime.SessionOptions()
        options.log_severity_level = 3
        self._session = runtime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        self.inputs = [each.name for each in self._session.get_inputs()]

    def __call__(self, inputs: np.ndarray | Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the output for a batch of any size."""
        given = inputs if isinstance(inputs, Mapping) else {self.inputs[0]: inputs}
        return self._session.run(None, {name: given[name] for name in self.inputs})[0]


def write_onnx(
    model: keras.Model, file: Path, *, quantization: str | None, calibration: Iterable[Mapping[str, np.ndarray]]
) -> None:
    """Write a model as an .onnx file.

    With "dynamic", weights are int8 and activations are quantized as they come; with "int8" activations have ranges
    from the calibration, and inputs and outputs stay as they are.

    Args:
        model: The model.
        file: Where to.
        quantization: None, "dynamic" or "int8".
        calibration: For "int8": inputs by name, batches of one, from which the ranges of activations are taken.

    Raises:
        InputError: If tf2onnx, onnx or onnxruntime is not installed, or a layer cannot be converted; it is named.

    https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html
    """
    from kerasdl.export import conversion

    onnx = require("onnx", "onnx", why="which .onnx files are written with")
    tf2onnx = require("tf2onnx", "tf2onnx", why="which converts TensorFlow to ONNX")
    runtime = require("onnxruntime", "onnxruntime", why="which proves the file, and quantizes it")
    options = runtime.SessionOptions()
    options.log_severity_level = 4
    conversion.check_precision(model, "onnx")

    def converted(optimized: bool) -> Any:
        # Keras's own loop is one that tf2onnx can read; it gives the same numbers.
        layers = [each for each in conversion.recurrent_layers(model) if hasattr(each, "slow_reason")]
        with conversion.attributes_set(layers, slow_reason=_readable), _optimizing(optimized):
            proto, _ = tf2onnx.convert.from_function(
                conversion.network_function(model),
                input_signature=[conversion.network_specifications(model)],
                opset=OPSET,
                custom_op_handlers={"Erfc": (_erfc, []), "SelectV2": (_where, [])},
            )
        onnx.checker.check_model(proto)
        runtime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return proto

    def converted_somehow() -> Any:
        try:
            return converted(True)
        # tf2onnx's optimizer makes graphs of some models that are none; onnxruntime has one of its own.
        except Exception:
            return converted(False)

    with errors_only("tf2onnx", "root"):
        proto = conversion.convert(converted_somehow, model, format="onnx")
        if quantization is None:
            onnx.save(proto, str(file))
            return
        with tempfile.TemporaryDirectory() as folder:
            plain = Path(folder) / "plain.onnx"
            onnx.save(proto, str(plain))
            conversion.convert(lambda: _quantize(plain, file, quantization, calibration), model, format="onnx")


@contextlib.contextmanager
def _optimizing(optimized: bool) -> Iterator[None]:
    """Let tf2onnx optimize what it converts, or not."""
    from tf2onnx import optimizer

    def sort(graph: Any, *_: Any, **__: Any) -> Any:
        graph.topological_sort(graph.get_nodes())
        return graph

    kept = optimizer.optimize_graph
    if not optimized:
        optimizer.optimize_graph = sort
    try:
        yield
    finally:
        optimizer.optimize_graph = kept


def _readable() -> str:
    return "ONNX reads Keras's own loop"


def _erfc(context: Any, node: Any, name: str, _: Any) -> None:
    """Tell tf2onnx what GELU needs and it does not know: erfc(x) = 1 - erf(x)."""
    (output,) = node.output
    kind, shape = context.get_dtype(output), context.get_shape(output)
    erf = context.make_node("Erf", node.input, dtypes=[kind], shapes=[shape])
    one = context.make_const(f"{name}_one", np.ones((), np.float32))
    context.remove_node(node.name)
    context.make_node("Sub", [one.output[0], erf.output[0]], outputs=[output], name=name, dtypes=[kind], shapes=[shape])


def _where(context: Any, node: Any, name: str, _: Any) -> None:
    """Let tf2onnx take a selection for one: else it multiplies by 0 or 1, which keeps NaN."""
    (output,) = node.output
    given, kind, shape = list(node.input), context.get_dtype(output), context.get_shape(output)
    context.remove_node(node.name)
    context.make_node("Where", given, outputs=[output], name=name, dtypes=[kind], shapes=[shape])


def _quantize(plain: Path, file: Path, quantization: str, calibration: Iterable[Mapping[str, np.ndarray]]) -> None:
    from onnxruntime import quantization as tools

    prepared = plain.with_name("prepared.onnx")
    tools.quant_pre_process(str(plain), str(prepared), skip_symbolic_shape=True)
    if quantization == "dynamic":
        tools.quantize_dynamic(str(prepared), str(file), weight_type=tools.QuantType.QInt8)
        return
    examples = iter([{name: np.asarray(values) for name, values in each.items()} for each in calibration])

    class Reader(tools.CalibrationDataReader):
        def get_next(self) -> Any:
            return next(examples, None)

    tools.quantize_static(str(prepared), str(file), Reader(), per_channel=True, weight_type=tools.QuantType.QInt8)
