"""A detector trained from scratch on digit_scenes: what it reaches, what that costs, and how fast its export answers.

    python benchmarks/object_detection.py                     # about ten minutes of training on two free cores
    python benchmarks/object_detection.py --epochs 1          # to see that it runs
    python benchmarks/object_detection.py --only latency
    python benchmarks/object_detection.py --only kerasdl --data garment_scenes --backbone efficientnet_lite0 --epochs 9
    pip install ultralytics
    python benchmarks/object_detection.py --only ultralytics --seconds 600

The table has COCO's measures on the test split and the time of training, on the clock and of the processors: on a busy
machine only the second says something. Then the latency of one image of 320 x 320 on the exported nano model
(letterbox, network, suppression, way back) beside the bare forward pass of the same network as a compiled function; the
two take turns call by call and medians count. Ultralytics' smallest model is trained from scratch for so many seconds
on the same scenes, with its own defaults but that digits are not mirrored, and measured by the same code.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np  # noqa: E402 - TensorFlow reads the variable when it is imported

SIDE = 320


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="digit_scenes")
    parser.add_argument("--size", default="nano")
    parser.add_argument("--backbone", help="with ImageNet's weights; by default the kit's own, from scratch")
    parser.add_argument("--epochs", type=int, help="by default those of the recipe")
    parser.add_argument("--calls", type=int, default=100)
    parser.add_argument("--only", choices=["kerasdl", "latency", "ultralytics"])
    parser.add_argument("--seconds", type=float, default=600, help="that ultralytics trains")
    options = parser.parse_args()
    if options.only in (None, "kerasdl"):
        train(options.data, options.size, options.backbone, options.epochs)
    if options.only == "ultralytics":
        train_peer(options.data, options.seconds)
    if options.only in (None, "latency"):
        times = latencies(options.calls)
        for name, milliseconds in times.items():
            print(f"  {name:<40} {milliseconds:7.2f} ms")
        whole, bare = times.values()
        print(f"  ratio {whole / bare:.2f} (target below 1.5)")


def train(data: str, size: str, backbone: str | None, epochs: int | None) -> None:
    """Train, all else by the recipe's defaults, and print what the test split says."""
    from recipes import object_detection

    keywords: dict[str, Any] = {} if epochs is None else {"epochs": epochs}
    if backbone is not None:
        keywords |= {"backbone": backbone, "weights": "imagenet"}
    wall, cpu = time.perf_counter(), time.process_time()
    result = object_detection.train(data, size=size, verbose=2, **keywords)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    epoch = f"epoch {result.best_epoch} of {len(result.history['loss'])} kept"
    show(
        f"{data}, {size}, {backbone or 'own'} backbone, test split, {epoch}",
        result.metrics,
        f"{result.model.count_params():,} parameters; data, training, measuring and diagnosis",
        wall,
        cpu,
    )


def show(heading: str, metrics: dict[str, float], what: str, wall: float, cpu: float) -> None:
    """Print a part of the table."""
    print(f"\n{heading}")
    for name, value in metrics.items():
        print(f"  {name:<12} {value:.4f}")
    print(f"  {what}: {wall:.0f} s on the clock, {cpu:.0f} s of the processors")


def train_peer(data: str, seconds: float) -> None:
    """Train ultralytics' smallest model from scratch for so long and measure it as ours."""
    import kerasdl
    from kerasdl.detection_metrics import coco_metrics

    dataset: Any = kerasdl.data.load(data, kind="detection")
    side = max(dataset.image_size)
    with tempfile.TemporaryDirectory() as folder:
        files = kerasdl.data.write_yolo(dataset, Path(folder) / "yolo")
        from ultralytics import YOLO
        from ultralytics.utils import torch_utils

        torch_utils.NUM_THREADS = os.cpu_count()  # it would leave one core out
        model = YOLO("yolo26n.yaml")
        wall, cpu = time.perf_counter(), time.process_time()
        model.train(
            data=str(next(files.glob("*.yaml"))),
            time=seconds / 3600,
            imgsz=side,
            batch=16,
            fliplr=0.0,
            pretrained=False,
            device="cpu",
            plots=False,
            project=folder,
        )
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        # The weights of its best epoch, and images as it takes them: blue, green, red.
        best = YOLO(model.trainer.best)
        test = dataset.test
        answers = best.predict(
            list(test.inputs[..., ::-1]), imgsz=side, conf=0.001, iou=0.6, max_det=100, device="cpu", verbose=False
        )
    found = {"boxes": np.full((len(test), 100, 4), -1.0), "scores": np.full((len(test), 100), -1.0)}
    found["labels"] = np.full((len(test), 100), -1)
    for index, answer in enumerate(answers):
        count = len(answer.boxes)
        for name, values in (("boxes", answer.boxes.xyxy), ("scores", answer.boxes.conf), ("labels", answer.boxes.cls)):
            found[name][index, :count] = values.numpy()
    metrics = coco_metrics(test.targets, **found, num_classes=dataset.num_classes).summary
    count = sum(parameter.numel() for parameter in best.model.parameters())
    known = {name: value for name, value in metrics.items() if np.isfinite(value)}
    show(f"{data}, ultralytics' yolo26n", known, f"{count:,} parameters; training", wall, cpu)


def latencies(calls: int) -> dict[str, float]:
    """Return milliseconds for one image on an exported nano model and on its network alone."""
    import keras
    import tensorflow as tf

    from kerasdl import models
    from kerasdl.detection_task import ObjectDetection
    from kerasdl.export import export, load_exported

    keras.utils.set_random_seed(0)
    shape, names = (SIDE, SIDE, 3), [str(digit) for digit in range(10)]
    model = models.detector(shape, len(names))
    predictor = ObjectDetection(names, input_shape=shape, strides=(8, 16, 32)).predictor(model)
    images = np.random.default_rng(0).integers(0, 256, (2, *shape), np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        exported = load_exported(export(predictor, Path(folder) / "nano", examples=images))
    bare = tf.function(
        lambda batch: model(batch, training=False), input_signature=[tf.TensorSpec((None, *shape), tf.uint8)]
    )
    batch = tf.constant(images[:1])
    ways: dict[str, Callable[[], Any]] = {
        "exported, .predict of one image": lambda: exported.predict(images[0]),
        "bare forward pass of the network": lambda: bare(batch),
    }
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for call in range(calls + 5):
        for name, way in ways.items():
            began = time.perf_counter()
            way()
            if call >= 5:
                taken[name].append(1000 * (time.perf_counter() - began))
    return {name: statistics.median(values) for name, values in taken.items()}


if __name__ == "__main__":
    main()
