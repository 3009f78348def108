"""A detector learns a few images by heart, with the losses as a dict and nothing but `fit`."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import keras
import numpy as np

from kerasdl import models, training
from kerasdl.detection_matching import average_precision
from kerasdl.detection_targets import encode
from kerasdl.layers import Detections
from kerasdl.training.detection_losses import detection_losses

SIZE = (64, 64)


@dataclass
class Scenes:
    """Bright rectangles of two colours on grey noise; the last image is empty."""

    inputs: np.ndarray
    targets: np.ndarray

    @classmethod
    def make(cls, count: int) -> Scenes:
        rng = np.random.default_rng(1)
        inputs = rng.integers(60, 120, (count, *SIZE, 3), "uint8")
        targets = np.full((count, 2, 6), -1, np.float32)
        targets[..., 5] = 0
        for image in range(count - 1):
            for place in range(2):
                # one in each half, so that no box hides another
                left, top = rng.integers(0, 20), 32 * place + rng.integers(0, 10)
                width, height, label = rng.integers(12, 40), rng.integers(12, 22), rng.integers(2)
                inputs[image, top : top + height, left : left + width, 2 * label] = 250
                targets[image, place] = (left, top, left + width, top + height, label, 0)
        return cls(inputs, targets)

    def __len__(self) -> int:
        return len(self.inputs)

    def batch(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self.inputs[indices], self.targets[indices]


def mirrored(generator: np.random.Generator, inputs: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Some of the images and their boxes left side right."""
    inputs, targets = inputs.copy(), targets.copy()
    chosen = generator.uniform(size=len(inputs)) < 0.5
    inputs[chosen] = inputs[chosen, :, ::-1]
    real = chosen[:, None] & (targets[..., 4] >= 0)
    targets[..., [0, 2]] = np.where(real[..., None], SIZE[1] - targets[..., [2, 0]], targets[..., [0, 2]])
    return inputs, targets


def test_eight_images_by_heart() -> None:
    keras.utils.set_random_seed(0)
    scenes = Scenes.make(8)
    model = models.detector((*SIZE, 3), 2)
    # Five steps an epoch: what comes with an epoch costs as much as one.
    repeated = Scenes(np.tile(scenes.inputs, (5, 1, 1, 1)), np.tile(scenes.targets, (5, 1, 1)))
    history = training.fit(
        model,
        repeated,
        scenes,
        loss=detection_losses(),
        epochs=10,
        batch_size=8,
        learning_rate=0.004,
        schedule="cosine",
        encode_targets=functools.partial(encode, image_size=SIZE),
        encode_last=True,
        augment=mirrored,
        verbose=0,
    )
    assert history["val_loss"][-1] < history["val_loss"][0] / 2
    found = Detections(SIZE, num_detections=10)(model.predict(scenes.inputs, verbose=0))
    arrays = {name: keras.ops.convert_to_numpy(value) for name, value in found.items()}
    reached = average_precision(scenes.targets, **arrays, num_classes=2)
    assert reached["map50"] > 0.9, reached
