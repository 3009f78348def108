"""Searches side by side: this kit, stock KerasTuner, Optuna and AutoKeras, the same time on the same data and cores.

    pip install -e ".[peers]" autokeras
    python benchmarks/search.py                            # 30 minutes a search, three seeds: 7.5 hours
    python benchmarks/search.py --minutes 10 --seeds 0     # 50 minutes
    python benchmarks/search.py --directory D              # goes on after a kill, or with --methods, --seeds in pieces

Fashion-MNIST is read by TFDS, from TFDS_DATA_DIR or ~/tensorflow_datasets: 10,000 of Fashion-MNIST's training images,
a fifth of them for validation; the test split is its own 10,000.
All but AutoKeras, which has a space of its own, search the same space of a small convolutional network with the same
training code, at most 10 epochs a trial: what differs is which points they try, for how long, and what a trial costs
beside its training. Each runs in a process of its own that is killed when its time is over; what counts is the model
with the best validation accuracy until then, measured on the test split. Of this kit it is `search(...)` with
Hyperband and `budget_minutes`, without the repetitions from other seeds, which have nothing to be compared with; within
the same time its winner is trained again on training and validation split together, by `outcome.refit()`, which is
a column of its own, with the seconds of it all. Also printed: after which share of its time each had, after an epoch of
any trial, the validation accuracy that stock RandomSearch ended with.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

EPOCHS, IMAGES = 10, 10_000
SEARCHING = 0.85
"""The share of the time that this kit searches in; the rest is for training the winner again."""
METHODS = ("kerasdl", "keras_tuner random", "keras_tuner hyperband", "optuna", "autokeras")
SCORES, BEST, DONE = "scores.jsonl", "best.keras", "done.json"


def space(hp: Any) -> dict[str, Any]:
    """The space, in KerasTuner's language."""
    width = hp.Choice("width", [8, 16, 32])
    return {
        "filters": (width, 2 * width),
        "dropout": hp.Float("dropout", 0.0, 0.5),
        "learning_rate": hp.Float("learning_rate", 1e-4, 1e-1, sampling="log"),
        "weight_decay": hp.Float("weight_decay", 1e-3, 0.3, sampling="log"),
        "schedule": hp.Choice("schedule", ["constant", "cosine"]),
        "label_smoothing": hp.Choice("label_smoothing", [0.0, 0.1]),
        "batch_size": hp.Choice("batch_size", [32, 64, 128]),
    }


def dataset(seed: int) -> Any:
    """Return the data; which images they are depends on the seed."""
    import numpy as np

    import kerasdl

    whole = kerasdl.data.load("fashion_mnist")
    x, y = (
        np.concatenate([getattr(part, name) for part in (whole.train, whole.validation)])
        for name in ("inputs", "targets")
    )
    chosen = np.random.default_rng(seed).permutation(len(x))[:IMAGES]
    splits = ((x[chosen], y[chosen]), (whole.test.inputs, whole.test.targets))
    return kerasdl.data.load(splits, validation_fraction=0.2)


def record(folder: Path, began: float) -> Any:
    """Return a callback that notes the score of each epoch with its time, and keeps the best model."""
    import keras

    class Record(keras.callbacks.Callback):
        """It may be copied: what it knows is in files."""

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            score = float(logs["val_accuracy"])
            path = folder / SCORES
            before = [json.loads(line)[1] for line in path.read_text().splitlines()] if path.exists() else []
            with open(path, "a") as file:
                file.write(json.dumps([time.time() - began, score]) + "\n")
            if score > max(before, default=0.0):
                self.model.save(folder / f"new-{BEST}")
                os.replace(folder / f"new-{BEST}", folder / BEST)

    return Record()


def compiled(point: dict[str, Any], data: Any) -> tuple[Any, Any, Any]:
    """Return a compiled model, its training batches and its validation data: the training that all share."""
    from kerasdl import targets, training
    from kerasdl.training.batches import EvaluationBatches, TrainingBatches
    from recipes import image_classification

    ways = targets.loss_and_encoding(data, label_smoothing=point["label_smoothing"])
    batches = TrainingBatches(
        data.train, batch_size=point["batch_size"], seed=0, encode_targets=ways["encode_targets"], augment=None
    )
    model = image_classification.build(
        data.input_shape, 10, architecture="cnn", filters=point["filters"], dropout=point["dropout"]
    )
    optimizer = training.make_optimizer(
        "adamw",
        total_steps=EPOCHS * batches.steps,
        **{name: point[name] for name in ("learning_rate", "weight_decay", "schedule")},
    )
    model.compile(optimizer=optimizer, loss=ways["loss"], metrics=["accuracy"], jit_compile=False)
    validation = EvaluationBatches(data.validation, batch_size=256, encode_targets=ways["encode_targets"])
    return model, batches, validation.source()


def fitted(
    point: dict[str, Any], data: Any, *, made: Any = None, epochs: int = EPOCHS, initial_epoch: int = 0, **keywords: Any
) -> Any:
    """Train a point and return the history."""
    model, batches, validation = compiled(point, data)
    return (made or model).fit(
        batches.source(initial_epoch * batches.steps),
        steps_per_epoch=batches.steps,
        shuffle=False,
        validation_data=validation,
        epochs=epochs,
        initial_epoch=initial_epoch,
        verbose=0,
        **keywords,
    )


def searched(data: Any, *, minutes: float, directory: Path, seed: int, workers: int | None = None) -> Any:
    """Return the outcome of a search with this kit."""
    from kerasdl.tuning import search
    from recipes import image_classification

    return search(
        image_classification,
        data,
        space=space,
        architecture="cnn",
        epochs=EPOCHS,
        objective="val_accuracy",
        tuner="hyperband",
        max_trials=10_000,
        finalists=1,
        repeats=1,
        budget_minutes=minutes,
        workers=workers,
        directory=directory,
        seed=seed,
        verbose=0,
    )


def run_kerasdl(data: Any, folder: Path, minutes: float, seed: int) -> None:
    """Search with this kit, train the winner on all but the test split, and write what it says itself."""
    begun = time.time()
    outcome = searched(data, minutes=SEARCHING * minutes, directory=folder / "search", seed=seed)
    found = {"test": outcome.best.metrics["accuracy"], "searched": time.time() - begun}
    (folder / DONE).write_text(json.dumps(found))
    found |= {"refitted": outcome.refit(verbose=0).metrics["accuracy"], "seconds": time.time() - begun}
    (folder / DONE).write_text(json.dumps(found))


def course_of_kerasdl(search: Path) -> list[tuple[float, float]]:
    """Return when each epoch of a search ended, in seconds from its beginning, and its validation accuracy."""
    events = [json.loads(line) for line in (search / "events.jsonl").read_text().splitlines()]
    course = []
    for path in sorted(search.glob("trials/*/epochs.jsonl")):
        # A trial goes on from a pause in another process, whose seconds begin anew.
        trial = int(path.parent.name)
        legs = [each for each in events if each["event"] == "start" and each["trial"] == trial]
        for line in path.read_text().splitlines():
            epoch = json.loads(line)
            leg = next(each for each in legs if each["until"] is None or epoch["epoch"] <= each["until"])
            course.append((leg["elapsed"] + epoch["seconds"], epoch["logs"]["val_accuracy"]))
    return sorted(course)


def run_keras_tuner(data: Any, folder: Path, name: str, seed: int) -> None:
    """Search with a stock tuner until somebody kills it."""
    import keras_tuner

    callback = record(folder, time.time())

    class Model(keras_tuner.HyperModel):
        def build(self, hp: Any) -> Any:
            return compiled(space(hp), data)[0]

        def fit(self, hp: Any, model: Any, **keywords: Any) -> Any:
            keywords = {key: keywords[key] for key in ("epochs", "initial_epoch", "callbacks") if key in keywords}
            return fitted(space(hp), data, made=model, **keywords)

    common = {"objective": "val_accuracy", "seed": seed + 1, "directory": str(folder), "project_name": "stock"}
    if name == "random":
        tuner = keras_tuner.RandomSearch(Model(), max_trials=10_000, **common)
        tuner.search(epochs=EPOCHS, callbacks=[callback], verbose=0)
    else:
        tuner = keras_tuner.Hyperband(Model(), max_epochs=EPOCHS, hyperband_iterations=1000, **common)
        tuner.search(callbacks=[callback], verbose=0)


def run_optuna(data: Any, folder: Path, seed: int) -> None:
    """Search with TPE and median pruning until somebody kills it."""
    import keras
    import optuna

    callback = record(folder, time.time())

    class Hp:
        def __init__(self, trial: Any):
            self._trial = trial

        def Choice(self, name: str, values: list[Any]) -> Any:  # noqa: N802
            return self._trial.suggest_categorical(name, values)

        def Float(self, name: str, low: float, high: float, sampling: str = "linear") -> float:  # noqa: N802
            return self._trial.suggest_float(name, low, high, log=sampling == "log")

    class Prune(keras.callbacks.Callback):
        def __init__(self, trial: Any):
            super().__init__()
            self._trial = trial

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self._trial.report(float(logs["val_accuracy"]), epoch)
            if self._trial.should_prune():
                raise optuna.TrialPruned

    def objective(trial: Any) -> float:
        history = fitted(space(Hp(trial)), data, callbacks=[callback, Prune(trial)])
        return max(history.history["val_accuracy"])

    study = optuna.create_study(
        direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed), pruner=optuna.pruners.MedianPruner()
    )
    study.optimize(objective, n_trials=10_000)


def run_autokeras(data: Any, folder: Path, seed: int) -> None:
    """Let AutoKeras search its own space until somebody kills it."""
    import autokeras

    build = autokeras.ClassificationHead.build

    def with_python_integers(head: Any, hp: Any, inputs: Any = None) -> Any:
        # It counts classes in NumPy's integers, which the layers of Keras 3.15 refuse.
        head.shape = [int(size) for size in head.shape]
        return build(head, hp, inputs)

    autokeras.ClassificationHead.build = with_python_integers
    classifier = autokeras.ImageClassifier(
        directory=folder, max_trials=10_000, objective="val_accuracy", seed=seed, overwrite=True
    )
    classifier.fit(
        data.train.inputs,
        data.train.targets,
        validation_data=(data.validation.inputs, data.validation.targets),
        callbacks=[record(folder, time.time())],
        verbose=0,
    )


def child(method: str, folder: Path, minutes: float, seed: int) -> None:
    """One search, in a process of its own."""
    import keras

    data = dataset(seed)
    keras.utils.set_random_seed(seed)
    (folder / "ready").touch()
    if method == "kerasdl":
        run_kerasdl(data, folder, minutes, seed)
    elif method == "optuna":
        run_optuna(data, folder, seed)
    elif method == "autokeras":
        run_autokeras(data, folder, seed)
    else:
        run_keras_tuner(data, folder, method.split()[1], seed)


def measure(method: str, folder: Path, seed: int) -> None:
    """Measure a search's best model on the test split."""
    import keras
    import numpy as np

    if method == "autokeras":
        import autokeras  # noqa: F401 registers its layers

    test = dataset(seed).test
    model = keras.models.load_model(folder / BEST, compile=False)
    found = np.argmax(model.predict(test.inputs, batch_size=500, verbose=0), axis=1)
    (folder / "test.json").write_text(json.dumps(float(np.mean(found == test.targets))))


def compete(method: str, folder: Path, minutes: float, seed: int) -> dict[str, Any]:
    """Run one search for its time and return its best validation and test accuracy and its course."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, __file__, "--child", method, str(folder), str(minutes), str(seed)]
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(
            command, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        # Reading the data is not the search's work.
        while not (folder / "ready").exists() and process.poll() is None:
            time.sleep(0.2)
        try:
            # This kit ends by itself, and then measures.
            process.wait(minutes * 60 * (1.5 if method == "kerasdl" else 1.0))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.wait()
    if method == "kerasdl":
        done = json.loads((folder / DONE).read_text())
        course = course_of_kerasdl(folder / "search")
        return {**done, "validation": max(score for _, score in course), "course": course}
    course = [tuple(json.loads(line)) for line in (folder / SCORES).read_text().splitlines()]
    subprocess.run([sys.executable, __file__, "--measure", method, str(folder), str(seed)], env=environment, check=True)
    return {
        "validation": max(score for _, score in course),
        "test": json.loads((folder / "test.json").read_text()),
        "course": course,
    }


def main() -> None:
    """Run the searches and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--methods", nargs="*", choices=METHODS, default=METHODS)
    parser.add_argument("--directory", type=Path, default=None, help="where the searches are kept, and found again")
    options = parser.parse_args()
    root = options.directory or Path(tempfile.mkdtemp())
    print(
        "| seed | search | validation | test | refitted | epochs | time to RandomSearch's score |\n"
        "|---|---|---|---|---|---|---|"
    )
    for seed in options.seeds:
        found = {}
        for method in options.methods:
            folder = root / f"{method.replace(' ', '_')}-{seed}"
            kept = folder / f"found-{options.minutes:g}.json"
            if not kept.exists():
                kept.write_text(json.dumps(compete(method, folder, options.minutes, seed)))
            found[method] = json.loads(kept.read_text())
        goal = found.get("keras_tuner random", {}).get("validation")
        for method, each in found.items():
            reached = [seconds for seconds, score in each["course"] if goal is not None and score >= goal]
            share = f"{min(reached) / 60 / options.minutes:.2f}" if reached else "never" if goal else ""
            again = f"{each['refitted']:.4f} in {each['seconds']:.0f} s" if "refitted" in each else ""
            told = f"{each['validation']:.4f} | {each['test']:.4f} | {again} | {len(each['course'])} | {share}"
            print(f"| {seed} | {method} | {told} |", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2], Path(sys.argv[3]), float(sys.argv[4]), int(sys.argv[5]))
    elif sys.argv[1:2] == ["--measure"]:
        measure(sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))
    else:
        main()
