"""Answers a second, and milliseconds for one: the same networks exported by kerasdl, in Keras, PyTorch and its kits.

    pip install -e '.[peers]'
    python benchmarks/inference_speed.py                        # ten minutes on two quiet cores
    python benchmarks/inference_speed.py --models cnn --sides kerasdl PyTorch

The networks of `training_speed.py` that take images or series, with the weights that they start from, in float32.
kerasdl: an export, loaded again, `.predict` on NumPy arrays, which answers with labels too. Keras: `model.predict`.
PyTorch: the module under `inference_mode`. Lightning: `Trainer.predict`; fastai: `Learner.get_preds`, both on a loader.
Each side is a process of its own; medians of 7 calls with 1,024 examples in batches of 128, and of 20 with one.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np  # noqa: E402 - TensorFlow reads the variable when it is imported
import sides  # noqa: E402
from training_speed import KITS, TRANSFORMERS, examples  # noqa: E402

MODELS = ("cnn", "resnet9", "resnet18", "vit", "lstm")
MANY, BATCH = 1024, 128


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--sides", nargs="+", choices=KITS, default=list(KITS))
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        sides.reply(measure, options.models[0], options.sides[0])
        return
    print("| model | side | answers/s | one answer |\n|---|---|---|---|")
    for model in options.models:
        for side in options.sides:
            many, one = sides.in_a_process(__file__, "--serve", "--models", model, "--sides", side)
            print(f"| {model} | {side} | {MANY / many:,.0f} | {1000 * one:.1f} ms |", flush=True)


def measure(name: str, side: str) -> list[float]:
    """Return the seconds for many examples, and for one."""
    inputs, _ = examples(name, MANY)
    answer = by_keras(name, side, inputs) if side in ("Keras", "kerasdl") else by_torch(name, side)
    return [median(lambda: answer(inputs), 7), median(lambda: answer(inputs[:1]), 20)]


def median(call: Callable[[], Any], times: int) -> float:
    """Return the median seconds of a call, after two that do not count."""
    seconds = []
    for _ in range(times + 2):
        began = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds[2:])


def by_keras(name: str, side: str, inputs: np.ndarray) -> Callable[[np.ndarray], Any]:
    """Return what answers by the tutorial's network in Keras, or by kerasdl's, exported."""
    from keras_networks import built, tutorial

    from kerasdl import data, export

    if side == "Keras":
        model = tutorial(name, TRANSFORMERS.get(name))
        return lambda asked: model.predict(asked, batch_size=BATCH, verbose=0)
    classes = [str(index) for index in range(10)]
    model = built(name, TRANSFORMERS.get(name))
    predictor: Any
    if name == "lstm":
        predictor = export.SeriesClassifier(model, classes, input_shape=(28, 28))
    else:
        predictor = export.ImageClassifier(model, classes, decode=data.images.decode, resize=data.images.resize)
    with tempfile.TemporaryDirectory() as folder:
        exported = export.load_exported(export.export(predictor, folder, examples=inputs[:8]))
        exported.predict(inputs[:1])
    return lambda asked: [exported.predict(asked[start : start + BATCH]) for start in range(0, len(asked), BATCH)]


def by_torch(name: str, side: str) -> Callable[[np.ndarray], Any]:
    """Return what answers by the network in PyTorch, Lightning or fastai."""
    import torch
    from torch_networks import QUIET, network, tensors

    torch.manual_seed(0)
    model = network(name, TRANSFORMERS.get(name)).eval()

    def given(asked: np.ndarray) -> Any:
        return tensors(name, asked, np.zeros(len(asked), int))

    if side == "PyTorch":

        def answer(asked: np.ndarray) -> Any:
            with torch.inference_mode():
                return [model(batch) for batch in given(asked).tensors[0].split(BATCH)]

        return answer
    if side == "Lightning":
        import lightning

        class Module(lightning.LightningModule):
            """What the Trainer asks."""

            def __init__(self) -> None:
                super().__init__()
                self.model = model

            def predict_step(self, batch: Any, index: int) -> Any:
                """Return the logits."""
                return self.model(batch[0])

        trainer, module = lightning.Trainer(accelerator="cpu", **QUIET), Module()
        return lambda asked: trainer.predict(module, torch.utils.data.DataLoader(given(asked), BATCH))

    from fastai.callback import progress  # noqa: F401 - gives the Learner `no_bar`
    from fastai.data.core import DataLoaders
    from fastai.data.load import DataLoader
    from fastai.learner import Learner
    from fastai.losses import CrossEntropyLossFlat

    few = given(examples(name, 8)[0])
    learner = Learner(DataLoaders.from_dsets(few, few, device="cpu"), model, loss_func=CrossEntropyLossFlat())

    def learner_s(asked: np.ndarray) -> Any:
        with learner.no_bar(), learner.no_logging():
            return learner.get_preds(dl=DataLoader(given(asked), bs=BATCH, num_workers=0, device="cpu"))

    return learner_s


if __name__ == "__main__":
    main()
