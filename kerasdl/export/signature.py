"""One signature of a loaded SavedModel, called with NumPy arrays as fast as TensorFlow can. Needs TensorFlow only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from kerasdl.errors import InputError
from kerasdl.export.outputs import Outputs


class Signature:
    """A signature that is prepared once, so that a call of one example costs little more than its operations.

    A concrete function binds its keywords, looks for gradient tapes and packs its outputs at each call; that takes more
    time than a small model's operations. Here it is wrapped once more, so that the order of its tensors is known, and
    then run by the operation that all of this ends in. Names and shapes, which that operation takes as they come, are
    checked before.

    Args:
        name: Of the signature.
        function: The concrete function, as `tf.saved_model.load` gives it.

    https://www.tensorflow.org/api_docs/python/tf/raw_ops/StatefulPartitionedCall
    """

    def __init__(self, name: str, function: Any):
        import tensorflow as tf

        self.name = name
        self.inputs: dict[str, Any] = dict(function.structured_input_signature[1])
        self._outputs = tuple(function.structured_outputs)
        self._constant = tf.constant

        def call(*tensors: Any) -> list[Any]:
            outputs = function(**dict(zip(self.inputs, tensors, strict=True)))
            return [outputs[key] for key in self._outputs]

        kinds = [tf.TensorSpec(kind.shape, kind.dtype) for kind in self.inputs.values()]
        self._function = tf.compat.v1.wrap_function(call, kinds)
        # Text cannot be on a GPU: where there is one, TensorFlow is to see what goes where.
        self._call = self._function if tf.config.list_logical_devices("GPU") else self._operation()
        shapes = {key: kind.shape.as_list() for key, kind in self.inputs.items()}
        # Of each input its type, the number of its axes, and those whose size is given.
        self._expected = {
            key: (kind.dtype, len(shapes[key]), [pair for pair in enumerate(shapes[key]) if pair[1] is not None])
            for key, kind in self.inputs.items()
        }

    def _operation(self) -> Callable[..., list[Any]]:
        """Return what runs the function on the CPU without anything in between."""
        import tensorflow as tf

        function, types = self._function, [output.dtype for output in self._function.outputs]
        captured = list(function.captured_inputs)
        run = tf.raw_ops.StatefulPartitionedCall
        return lambda *tensors: run(args=[*tensors, *captured], Tout=types, f=function)

    def __call__(self, batch: Any) -> Outputs:
        """Return the outputs for one batch, an array, or a mapping where there are several inputs; text as str."""
        if not isinstance(batch, Mapping):
            batch = dict.fromkeys(self._expected, batch) if len(self._expected) == 1 else {}
        if batch.keys() != self._expected.keys():
            raise self._refusal(f"{', '.join(map(str, batch)) or 'one array'}", "by these names")
        tensors = []
        for key, (dtype, axes, sizes) in self._expected.items():
            shape = np.shape(batch[key])
            if len(shape) != axes or [pair for pair in sizes if shape[pair[0]] != pair[1]]:
                wanted = tuple(self.inputs[key].shape.as_list())
                raise self._refusal(f"{key} of shape {shape}", f"of shape {wanted}, where None is any number")
            tensors.append(self._constant(batch[key], dtype))
        found = {}
        for key, output in zip(self._outputs, self._call(*tensors), strict=True):
            value = output.numpy()
            if value.dtype == object:
                texts = np.array([text.decode() for text in value.ravel()], object)
                value = texts.reshape(value.shape)
            found[key] = value
        return found

    def _refusal(self, received: str, mend: str) -> InputError:
        return InputError(
            f"signature {self.name!r}",
            received=received,
            expected=", ".join(self._expected),
            mend=f"Pass arrays {mend}.",
        )
