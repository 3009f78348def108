"""Training on all devices of a machine: each has a copy of the model and a part of every batch."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import keras

from kerasdl.accelerators import accelerators
from kerasdl.errors import InputError
from kerasdl.training.remade import copied

# What Keras cannot do on several devices of TensorFlow, and what does without.
NEEDS_ONE_DEVICE = {
    "jit_compile": (False, "XLA finds the variables on another device"),
    "steps_per_execution": (1, "tf.distribute runs no loop over batches"),
    "gradient_accumulation": (1, "tf.distribute adds up no gradients under a condition"),
}


def suited(arguments: Mapping[str, Any], examples: int) -> dict[str, Any]:
    """Return what `strategy` makes of "auto" in other arguments, and refuse what several devices cannot do.

    Args:
        arguments: Of a recipe, resolved.
        examples: Examples of an epoch, of which a batch has at most all.

    Raises:
        InputError: On the PyTorch backend, for batches that cannot be divided evenly, and on TensorFlow for
            compilation by XLA, several steps an execution, accumulated gradients and float16.
    """
    strategy, batch_size = arguments["strategy"], min(arguments["batch_size"], examples)
    if strategy is None:
        return {}
    backend = keras.backend.backend()
    if backend == "torch":
        raise InputError(
            "strategy",
            received=f"{strategy} on the PyTorch backend",
            expected="the TensorFlow or the JAX backend: Keras has no data parallelism on PyTorch",
            mend="Set KERAS_BACKEND=tensorflow or jax, or leave strategy out.",
        )
    devices = len(_devices())
    if batch_size % devices:
        raise InputError(
            "batch_size",
            received=f"{batch_size} on {devices} devices",
            expected="as many examples for each of them",
            mend=f"Try batch_size={-(-batch_size // devices) * devices}.",
        )
    if backend == "jax":
        return {}
    given = dict(arguments)
    own_steps = getattr(arguments["optimizer"], "gradient_accumulation_steps", None)
    given["gradient_accumulation"] = max(arguments["gradient_accumulation"], own_steps or 1)
    for name, (value, reason) in NEEDS_ONE_DEVICE.items():
        if given[name] not in (value, "auto"):
            raise InputError(
                name,
                received=f"{given[name]} with strategy={strategy!r} on TensorFlow",
                expected=f"{value}: {reason}",
                mend=f"Leave {name} out, or set KERAS_BACKEND=jax.",
            )
    if given["precision"] == "float16" or (given["precision"] == "auto" and accelerators()):
        raise InputError(
            "precision",
            received=f"{given['precision']} with strategy={strategy!r} on TensorFlow",
            expected="float32 or bfloat16: Keras looks for overflow of float16 on the first device only",
            mend='Pass precision="bfloat16".',
        )
    return {name: value for name, (value, _) in NEEDS_ONE_DEVICE.items()}


@contextlib.contextmanager
def distributed(strategy: str | None) -> Iterator[None]:
    """Build and train models on all devices inside this context; on TensorFlow and JAX.

    On TensorFlow it is `tf.distribute.MirroredStrategy`, on JAX `keras.distribution.DataParallel`. Gradients are those
    of the whole batch: one device would learn the same, but for rounding, the random numbers of dropout, and on
    TensorFlow the mean of a loss that leaves out missing values, which each device takes over its own.

    Args:
        strategy: "mirrored" for all GPUs, or where there are none all processors that the backend shows; None for a
            single device.

    Example:
        >>> with distributed("mirrored"):
        ...     model = kerasdl.models.cnn((28, 28, 1), 10)
        ...     fit(model, dataset.train, dataset.validation, batch_size=64, loss=loss)
    """
    if strategy is None:
        yield
    elif keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        with tf.distribute.MirroredStrategy(_devices()).scope():
            yield
    else:
        before = keras.distribution.distribution()
        keras.distribution.set_distribution(_DataParallel(devices=_devices(), auto_shard_dataset=False))
        try:
            yield
        finally:
            keras.distribution.set_distribution(before)


def for_strategy(optimizer: Any) -> Any:
    """Return an optimizer object as one made in here, inside of :func:`distributed`; all else as it is."""
    # It belongs to the devices that it is made for.
    return copied(optimizer) if isinstance(optimizer, keras.optimizers.Optimizer) and _is_distributed() else optimizer


def _is_distributed() -> bool:
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.distribute.has_strategy()
    return keras.backend.backend() == "jax" and keras.distribution.distribution() is not None


def synchronize(model: keras.Model) -> None:
    """Have batch normalization and gradient clipping see the whole batch and not a device's part of it.

    On JAX they do by themselves.

    Args:
        model: A compiled model; nothing happens to one that was not built inside of :func:`distributed`.
    """
    if not is_mirrored(model):
        return
    import tensorflow as tf

    for layer in _normalizations(model):
        layer.synchronized = True
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    clip = optimizer._clip_gradients

    def clipped(gradients: list[Any]) -> list[Any]:
        there = [each for each in gradients if each is not None]
        summed = iter(tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, there))
        return clip([None if each is None else next(summed) for each in gradients])

    # Keras adds up the devices' gradients after it has clipped each of them.
    optimizer._clip_gradients = clipped
    optimizer._all_reduce_sum_gradients = list


@contextlib.contextmanager
def no_batch_taken(model: keras.Model) -> Iterator[None]:
    """Keep Keras from taking a first batch to build variables by, where `build_variables` has built them.

    It does so on several devices of TensorFlow, and training would begin with the second batch.
    """
    if not is_mirrored(model):
        yield
        return
    model._maybe_symbolic_build = _nothing
    try:
        yield
    finally:
        del model._maybe_symbolic_build


def undistributed(model: keras.Model) -> keras.Model:
    """Return the same model with the same state on one device, outside of :func:`distributed`; it is not compiled."""
    for layer in _normalizations(model):
        layer.synchronized = False
    plain = type(model).from_config(model.get_config())
    for one, other in zip(plain.variables, model.variables, strict=True):
        one.assign(keras.ops.convert_to_numpy(other))
    return plain


def evaluation_batch_size(examples: int, batch_size: int) -> int:
    """Return how many examples a batch of an evaluation or of predictions has inside of :func:`distributed`.

    On several devices of JAX, Keras divides all batches as the first. Where the last cannot be divided, none shall be.

    Args:
        examples: How many there are.
        batch_size: How many are wanted in a batch.
    """
    distribution = keras.distribution.distribution() if keras.backend.backend() == "jax" else None
    if distribution is None:
        return batch_size
    devices = distribution.num_model_replicas
    return batch_size + 1 if examples % devices and batch_size % devices == 0 else batch_size


def _devices() -> list[str]:
    graphics = [name for name in accelerators() if name.startswith("gpu")]
    return graphics or keras.distribution.list_devices("cpu")


class _DataParallel(keras.distribution.DataParallel):
    """Batches that cannot be divided go to every device as they are."""

    def get_data_layout(self, data_shape: Any) -> Any:
        if data_shape[0] % self.num_model_replicas == 0:
            return super().get_data_layout(data_shape)
        return keras.distribution.TensorLayout([None] * len(data_shape), self.device_mesh)


def is_mirrored(model: keras.Model) -> bool:
    """Return whether a model was built inside of :func:`distributed` on TensorFlow."""
    return getattr(model, "_distribute_strategy", None) is not None


def _nothing(**arguments: Any) -> None:
    """Stand for what has been done."""


def _normalizations(model: keras.Model) -> list[Any]:
    return [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization)]
