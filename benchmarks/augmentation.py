"""What augmentation costs; run `python benchmarks/augmentation.py`, about a minute on two cores.

Claims, for batches of 64 grey images of 28 x 28 and the default model of image_classification (ResNet-9 of 32, 64, 128
and 128 filters, TensorFlow, compiled):

- "light" costs under 10 % of a training step;
- "light" is at least 3 times as fast as keras.layers.RandomFlip and RandomTranslation, that do the same in the model.

All times are medians in one run, taken by turns so that other work on the machine slows all of them alike.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

BATCH, SHAPE, NUM_CLASSES, ROUNDS = 64, (28, 28, 1), 10, 15
POLICIES = (
    "none light standard strong shift flip rotate scale color rand_augment random_erasing mixup cutmix".split()  # noqa: SIM905
)


def medians(functions: dict[str, Callable[[], object]], *, rounds: int = ROUNDS) -> dict[str, float]:
    """Return the median time of each function in seconds, over rounds in which each runs once."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for function in functions.values():  # traces what is to be traced
        function()
    for _ in range(rounds):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            times[name].append(time.perf_counter() - start)
    return {name: float(np.median(values)) for name, values in times.items()}


def keras_layers() -> Callable[[np.ndarray], object]:
    """Return the light policy made of Keras's layers, compiled, in training."""
    import keras
    import tensorflow as tf

    layers = keras.Sequential(
        [
            keras.layers.Input(SHAPE),
            keras.layers.RandomTranslation(1 / 8, 1 / 8, seed=0),
            keras.layers.RandomFlip("horizontal", seed=0),
        ]
    )
    compiled = tf.function(lambda images: layers(images, training=True), autograph=False)
    return lambda images: compiled(images).numpy()


def training_step(images: np.ndarray, targets: np.ndarray) -> Callable[[], object]:
    """Return one training step of the default model."""
    import keras

    from kerasdl.models import resnet9

    model = resnet9(SHAPE, NUM_CLASSES, filters=(32, 64, 128, 128), dropout=0.2)
    model.compile(optimizer="adamw", loss=keras.losses.CategoricalCrossentropy(from_logits=True))
    return lambda: model.train_on_batch(images, targets)


def main() -> None:
    """Print the table."""
    from kerasdl.data.augmentation import make_augmentation

    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (BATCH, *SHAPE), dtype=np.uint8)
    targets = np.eye(NUM_CLASSES, dtype=np.float32)[generator.integers(0, NUM_CLASSES, BATCH)]

    def augment(policy: str) -> Callable[[], object]:
        function = make_augmentation(policy, num_classes=NUM_CLASSES)
        # A generator a batch, as in training.
        return lambda: function(np.random.default_rng((0, 1)), images, targets)

    layers = keras_layers()
    functions = {policy: augment(policy) for policy in POLICIES}
    functions["keras.layers"] = lambda: layers(images)
    functions["training step"] = training_step(images, targets)
    taken = medians(functions)
    print(f"{'':<16}{'ms a batch':>12}{'of a training step':>20}{'keras.layers / it':>20}")
    for name, seconds in taken.items():
        share = f"{seconds / taken['training step']:.2%}"
        ratio = f"{taken['keras.layers'] / seconds:.1f}" if name in ("light", "keras.layers") else ""
        print(f"{name:<16}{1000 * seconds:>12.3f}{share:>20}{ratio:>20}")


if __name__ == "__main__":
    main()
