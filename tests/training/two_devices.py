"""A program that trains on two devices of the processor and on one, and says how far apart their weights are.

KERAS_BACKEND=jax python tests/training/two_devices.py
"""

from __future__ import annotations

import os
import tempfile

os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"

import keras
import numpy as np
from conftest import make_model, make_points

from kerasdl.training import TrainingInterrupted, distributed, extract_features, fit, undistributed

LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


class Interrupt(keras.callbacks.Callback):
    """Stops the training as a signal would, once."""

    def __init__(self, after: int):
        super().__init__()
        self.left = after

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), 15)


def trained(strategy: str | None, folder: str | None = None, **keywords: object) -> tuple[list[np.ndarray], dict]:
    with distributed(strategy):
        model = make_model(normalization=True)
        history = fit(
            model,
            make_points(48),
            make_points(17, seed=1),  # cannot be divided by two
            epochs=3,
            batch_size=8,
            loss=LOSS,
            metrics=["accuracy"],
            verbose=0,
            checkpoint_directory=folder,
            **{"optimizer": "sgd", "learning_rate": 0.2, "gradient_clip": 0.1} | keywords,
        )
        features, _ = extract_features(keras.Model(model.inputs, model.layers[2].output), make_points(17), batch_size=8)
        assert features.shape == (17, 6)
    if strategy:
        model = undistributed(model)
    assert np.isfinite(model.predict(make_points(5).inputs, verbose=0)).all()
    return model.get_weights(), history


def difference(one: list[np.ndarray], other: list[np.ndarray]) -> float:
    return max(float(np.abs(a - b).max()) for a, b in zip(one, other, strict=True))


def main() -> None:
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        processor = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * 2)
    print(f"devices {len(keras.distribution.list_devices('cpu'))}")
    one, history = trained(None)
    two, of_two = trained("mirrored")
    print(f"weights moved {difference(one, make_model(normalization=True).get_weights()) > 0.01}")
    print(f"weights equal {difference(one, two) < 1e-5}")
    print(f"history equal {all(np.allclose(history[name], of_two[name], atol=1e-5) for name in history)}")
    own = {"optimizer": keras.optimizers.SGD(0.2, global_clipnorm=0.1), "learning_rate": None, "gradient_clip": None}
    again, _ = trained("mirrored", **own)
    one, _ = trained(None, **own | {"optimizer": keras.optimizers.SGD(0.2, global_clipnorm=0.1)})
    print(f"own optimizer equal {difference(one, again) < 1e-5}")
    with tempfile.TemporaryDirectory() as folder:
        try:
            trained("mirrored", folder, checkpoint_every=2, callbacks=[Interrupt(after=9)])
            print("not interrupted")
        except TrainingInterrupted:
            again, _ = trained("mirrored", folder, checkpoint_every=2, callbacks=[Interrupt(after=0)], resume=True)
            print(f"resumed equal {difference(two, again) == 0}")


if __name__ == "__main__":
    main()
