"""Seconds to a test accuracy: kerasdl, fastai, Lightning and the examples of keras.io, each with its own defaults.

    pip install -e '.[peers]'
    TFDS_DATA_DIR=... python benchmarks/time_to_accuracy.py --data fashion_mnist       # an hour and a half on two cores
    python benchmarks/time_to_accuracy.py --data glosses                               # half an hour
    TFDS_DATA_DIR=... python benchmarks/time_to_accuracy.py --data fashion_mnist --runs kerasdl=4 fastai=3
    TFDS_DATA_DIR=... python benchmarks/time_to_accuracy.py --runs kerasdl=4 --keywords '{"precision": "bfloat16"}'

A run is a kit and a number of epochs, in a process of its own. A schedule that falls to zero has its accuracy at its
end, so each number of epochs is a run; only the examples of keras.io have a constant rate, and one run gives the
accuracy after each epoch. Imports and reading the data are not counted, nor is measuring the test split. kerasdl: the
recipe with its defaults but for `epochs` and `--keywords`; "in all" is what `train` took with what comes after the
training: measuring, baselines, diagnosis. Images: fastai and Lightning train the ResNet-9 of `torch_networks.py` (32,
64, 128 and 256 channels), fastai by `fit_one_cycle`, Lightning by SGD with one cycle as its CIFAR-10 tutorial has it;
keras.io: https://keras.io/examples/vision/mnist_convnet/. Texts: fastai's AWD-LSTM without pretrained weights, which it
would have to download; keras.io: https://keras.io/examples/nlp/text_classification_from_scratch/. The other kits train
on what kerasdl's validation split has as well.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np  # noqa: E402 - TensorFlow reads the variable when it is imported
import sides  # noqa: E402

RUNS = {
    "fashion_mnist": ["kerasdl=3", "kerasdl=4", "fastai=3", "Lightning=3", "keras.io=15"],
    "glosses": ["kerasdl=3", "kerasdl=6", "kerasdl=12", "fastai=4", "keras.io=6"],
}
Split = tuple[np.ndarray, np.ndarray]
# Seconds of training, seconds in all, accuracy on the test split.
Row = tuple[float, float, float]


def main() -> None:
    """Print a line for each run as soon as it has ended."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=RUNS, default="fashion_mnist")
    parser.add_argument("--runs", nargs="+", help="kit=epochs")
    parser.add_argument("--keywords", default="{}", help="more keywords for kerasdl's recipe, in JSON")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    options = parser.parse_args()
    runs = options.runs or RUNS[options.data]
    if options.serve:
        kit, epochs = runs[0].split("=")
        sides.reply(run, kit, options.data, int(epochs), options.serve, json.loads(options.keywords))
        return
    with tempfile.TemporaryDirectory() as folder:
        arrays = f"{folder}/arrays.npz"
        save(options.data, arrays)
        print("| kit | epochs | training | in all | test accuracy |\n|---|---|---|---|---|", flush=True)
        for each in runs:
            kit, epochs = each.split("=")
            words = "--serve", arrays, "--data", options.data, "--runs", each, "--keywords", options.keywords
            rows = sides.in_a_process(__file__, *words)
            for place, (seconds, whole, accuracy) in enumerate(rows, start=1):
                reached = epochs if len(rows) == 1 else place
                print(f"| {kit} | {reached} | {seconds:.0f} s | {whole:.0f} s | {accuracy:.4f} |", flush=True)


def load(data: str) -> Any:
    """Return the data as kerasdl has them."""
    import kerasdl

    return kerasdl.data.load(data, **({"kind": "text"} if data == "glosses" else {}))


def save(data: str, path: str) -> None:
    """Write the arrays, for kits in whose process TensorFlow must not be: PyTorch's CUDA build crashes beside it."""
    dataset = load(data)
    train, validation, test = (
        split.batch(np.arange(len(split))) for split in (dataset.train, dataset.validation, dataset.test)
    )
    inputs, targets = (np.concatenate(both) for both in zip(train, validation, strict=True))
    np.savez(path, train_inputs=inputs, train_targets=targets, test_inputs=test[0], test_targets=test[1])


def run(kit: str, data: str, epochs: int, arrays: str, keywords: dict[str, Any]) -> list[Row]:
    """Train once, and return what came out: one row, or one for each epoch."""
    text = data == "glosses"
    if kit == "kerasdl":
        return [by_kerasdl(load(data), text, epochs, keywords)]
    kits: dict[tuple[str, bool], Callable[[Split, Split, int], list[Row]]] = {
        ("fastai", False): images_by_fastai,
        ("fastai", True): texts_by_fastai,
        ("Lightning", False): images_by_lightning,
        ("keras.io", False): images_by_keras_io,
        ("keras.io", True): texts_by_keras_io,
    }
    with np.load(arrays, allow_pickle=True) as found:
        train, test = ((found[f"{part}_inputs"], found[f"{part}_targets"]) for part in ("train", "test"))
    return kits[kit, text](train, test, epochs)


def by_kerasdl(dataset: Any, text: bool, epochs: int, keywords: dict[str, Any]) -> Row:
    """Train by a recipe."""
    import keras

    from recipes import image_classification, text_classification

    ends = []

    class End(keras.callbacks.Callback):
        """Says when the training ended."""

        def on_train_end(self, logs: Any = None) -> None:
            """Say so."""
            ends.append(time.perf_counter())

    recipe = text_classification if text else image_classification
    began = time.perf_counter()
    result = recipe.train(dataset, epochs=epochs, callbacks=[End()], verbose=0, **keywords)
    return ends[-1] - began, time.perf_counter() - began, result.metrics["accuracy"]


def measured(model: Any, test: Split) -> float:
    """Return the test accuracy of a network in PyTorch."""
    import torch
    from torch_networks import tensors

    images, _ = tensors("resnet9", *test).tensors
    model.eval()
    with torch.inference_mode():
        scores = torch.cat([model(batch) for batch in images.split(500)])
    return float((scores.argmax(1).numpy() == test[1]).mean())


def images_by_fastai(train: Split, test: Split, epochs: int) -> list[Row]:
    """Train by `fit_one_cycle`, with fastai's batch size, optimizer and learning rate."""
    import torch
    from fastai.callback import progress, schedule  # noqa: F401 - give the Learner `no_bar` and `fit_one_cycle`
    from fastai.data.core import DataLoaders
    from fastai.learner import Learner
    from fastai.losses import CrossEntropyLossFlat
    from torch_networks import network, tensors

    began = time.perf_counter()
    torch.manual_seed(0)
    model, data = network("resnet9", None), tensors("resnet9", *train)
    few = torch.utils.data.Subset(data, range(64))
    learner = Learner(DataLoaders.from_dsets(data, few, device="cpu"), model, loss_func=CrossEntropyLossFlat())
    with learner.no_bar(), learner.no_logging():
        learner.fit_one_cycle(epochs)
    seconds = time.perf_counter() - began
    return [(seconds, seconds, measured(model, test))]


def images_by_lightning(train: Split, test: Split, epochs: int) -> list[Row]:
    """Train by SGD with one cycle, as https://lightning.ai/docs/pytorch/stable/notebooks does on CIFAR-10."""
    import torch
    from torch_networks import lightning_fit, network, tensors

    began = time.perf_counter()
    torch.manual_seed(0)
    model = network("resnet9", None)
    loader = torch.utils.data.DataLoader(tensors("resnet9", *train), batch_size=256, shuffle=True)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, epochs=epochs, steps_per_epoch=len(loader))
    ways = {"optimizer": optimizer, "lr_scheduler": {"scheduler": cycle, "interval": "step"}}
    lightning_fit(model, loader, ways, epochs=epochs)
    seconds = time.perf_counter() - began
    return [(seconds, seconds, measured(model, test))]


def texts_by_fastai(train: Split, test: Split, epochs: int) -> list[Row]:
    """Train by `text_classifier_learner`."""
    import fastai.text.all as fastai
    import pandas

    began = time.perf_counter()
    table = pandas.DataFrame({"text": train[0], "label": train[1]})
    loaders = fastai.TextDataLoaders.from_df(table, valid_pct=0.01, seed=0, text_col="text", label_col="label")
    learner = fastai.text_classifier_learner(loaders, fastai.AWD_LSTM, pretrained=False)
    with learner.no_bar(), learner.no_logging():
        learner.fit_one_cycle(epochs, 1e-2)
        seconds = time.perf_counter() - began
        given = loaders.test_dl(pandas.DataFrame({"text": test[0]}))
        scores, _ = learner.get_preds(dl=given)
    labels = np.array(loaders.vocab[1], int)[scores.argmax(1).numpy()]
    return [(seconds, seconds, float((labels == test[1]).mean()))]


def keras_io(model: Any, train: Split, test: Split, epochs: int, batch_size: int, began: float) -> list[Row]:
    """Train for some epochs and return a row for each."""
    import keras

    rows: list[Row] = []

    class Watch(keras.callbacks.Callback):
        """Measures after each epoch, and stops the clock meanwhile."""

        away = 0.0

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            """Measure."""
            stopped = time.perf_counter()
            scores = np.concatenate([model.predict_on_batch(test[0][i : i + 500]) for i in range(0, len(test[0]), 500)])
            seconds = stopped - began - self.away
            rows.append((seconds, seconds, float((scores.argmax(1) == test[1]).mean())))
            self.away += time.perf_counter() - stopped

    watch = Watch()
    model.compile(loss="sparse_categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    model.fit(*train, batch_size=batch_size, epochs=epochs, validation_split=0.1, callbacks=[watch], verbose=0)
    return rows


def images_by_keras_io(train: Split, test: Split, epochs: int) -> list[Row]:
    """Train the convnet of the example."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(0)
    began = time.perf_counter()
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(10, activation="softmax"),
        ]
    )
    train, test = ((images.astype("float32") / 255, targets) for images, targets in (train, test))
    return keras_io(model, train, test, epochs, 128, began)


def texts_by_keras_io(train: Split, test: Split, epochs: int) -> list[Row]:
    """Train the one-dimensional convolutions of the example, on texts cut at 100 words in place of 500."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(0)
    began = time.perf_counter()
    known = layers.TextVectorization(max_tokens=20_000, output_sequence_length=100)
    known.adapt(train[0].astype(str))
    train, test = ((np.asarray(known(texts.astype(str))), targets) for texts, targets in (train, test))
    model = keras.Sequential(
        [
            keras.Input((100,), dtype="int64"),
            layers.Embedding(20_000, 128),
            layers.Dropout(0.5),
            layers.Conv1D(128, 7, padding="valid", activation="relu", strides=3),
            layers.Conv1D(128, 7, padding="valid", activation="relu", strides=3),
            layers.GlobalMaxPooling1D(),
            layers.Dense(128, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(int(train[1].max()) + 1, activation="softmax"),
        ]
    )
    order = np.random.default_rng(0).permutation(len(train[1]))  # validation_split takes the end
    return keras_io(model, (train[0][order], train[1][order]), test, epochs, 32, began)


if __name__ == "__main__":
    main()
