"""Thousands of damaged and malicious files, each loaded: refused by one error, or harmless; else a failure.

    python benchmarks/fuzz_loading.py [--files 5000] [--seed 0] [--first 0] [--only WORD] [--naive]

Takes saved models of several kinds, a run's folders, an export, checkpoints and kept features, changes each file as
`fuzz_mutations`, `fuzz_objects`, `fuzz_weights` and `fuzz_folders` know, and loads it in a process that is watched:
what it touches, starts and writes, how much memory it takes, how long it lasts. A file passes if it is refused by an
InputError (a checkpoint: passed over), or loaded though its change is harmless: the model consists of plain layers. Any
other exception, crash, hang, touched file, started program or too much memory is a failure; file N of a seed is always
the same, `--first N --files 1` repeats it. `--naive` loads models by `keras.models.load_model(compile=False,
safe_mode=True)` instead, to see what the campaign finds. Expected: no failure. Linux only; a quarter of an hour.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import json
import multiprocessing
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks import fuzz_folders, fuzz_mutations, fuzz_objects, fuzz_weights
from benchmarks.fuzz_watch import Watch

SECONDS, MEMORY, LIMIT, PER_PROCESS = 60, 400 << 20, 6 << 30, 300
MODELS = ("convnet", "lstm", "transformer", "text", "forecaster")
RUNS, EXPORTS = ("run images", "run text"), ("export",)
CHANGES: dict[str, tuple[tuple[str, ...], Any, bool, float]] = {}
"""Under its name each change: what it changes, how, whether nothing of it may load, how often in comparison."""


def _change(name: str, kinds: tuple[str, ...], mutate: Any, *, refuse: bool = False, weight: float = 1.0) -> None:
    CHANGES[name] = (kinds, mutate, refuse, weight)


for _name, _mutate in fuzz_mutations.RAW.items():
    _change(f"file: {_name}", MODELS, _mutate)
_change("zip: structure", MODELS, fuzz_mutations.zip_structure, weight=2)
_change("config: bytes", MODELS, fuzz_mutations.in_member(fuzz_mutations.CONFIG))
_change("config: values", MODELS, fuzz_mutations.in_config(fuzz_mutations.json_values), weight=3)
_change("config: sizes", MODELS, fuzz_mutations.in_config(fuzz_mutations.sizes), weight=2)
_change("config: JSON", MODELS, fuzz_mutations.in_config(fuzz_mutations.json_text), weight=0.5)
_change("config: objects", MODELS, fuzz_mutations.in_config(fuzz_objects.objects), refuse=True, weight=4)
_change("weights: bytes", MODELS, fuzz_mutations.in_member(fuzz_mutations.WEIGHTS), weight=2)
_change("weights: structure", MODELS, fuzz_weights.structure, weight=3)
_change("weights: crafted", MODELS, fuzz_weights.hdf5(fuzz_weights.CRAFTED), refuse=True, weight=2)
_change("weights: other", MODELS, fuzz_weights.hdf5(fuzz_weights.OTHER), weight=0.5)
_change("run: bytes", RUNS, fuzz_folders.any_file)
_change("run: odd file", RUNS, fuzz_folders.odd_file)
_change("run: JSON", RUNS, fuzz_folders.one_of("result.json"), weight=2)
_change("run: rehashed", RUNS, fuzz_folders.rehashed(fuzz_folders.one_of("config.json", "history.csv")))
_change("run: hashes", RUNS, fuzz_folders.seal_names, refuse=True, weight=0.5)
_change("export: description", EXPORTS, fuzz_folders.one_of("assets.extra/kerasdl.json"))
_change("checkpoint: bytes", ("checkpoints",), fuzz_folders.any_file)
_change("checkpoint: arrays", ("checkpoints",), fuzz_folders.arrays)
_change("checkpoint: odd file", ("checkpoints",), fuzz_folders.odd_file, weight=0.5)
_change("features: bytes", ("features",), fuzz_folders.any_file, weight=0.5)
_change("features: arrays", ("features",), fuzz_folders.arrays, weight=0.5)
_change("features: odd file", ("features",), fuzz_folders.odd_file, weight=0.25)


def make_models(folder: Path) -> None:
    """Save a tiny model of each kind of `MODELS`."""
    import keras

    from kerasdl import models

    statistics = np.stack([np.arange(15.0).reshape(3, 5) / 5, 1 + np.arange(15.0).reshape(3, 5) / 15], axis=-1)
    wide = {"num_targets": 2, "num_past": 1, "num_known": 2, "statistics": statistics}
    heads: dict[str, Any] = {"num_layers": 1, "num_heads": 2, "hidden_dim": 8}
    keras.utils.set_random_seed(0)
    made = {
        "convnet": models.cnn((8, 8, 1), 3, filters=(4,), units=(8,)),
        "lstm": models.lstm_classifier((9, 2), 3, units=(3,), bidirectional=True),
        "transformer": models.causal_transformer(6, 11, **heads),
        "text": models.text_cnn(7, 11, 3, hidden_dim=5, filters=4, subwords=np.arange(44).reshape(11, 4) % 7),
        "forecaster": models.linear_forecaster(13, 4, **wide),
    }
    for name, model in made.items():
        if name == "convnet":  # as a run saves it
            model.compile("adam", "sparse_categorical_crossentropy")
        model.save(folder / f"{name}.keras")


def make_folders(folder: Path) -> None:
    """Save runs, an export, checkpoints and kept features."""
    from kerasdl.training.checkpoint import write_checkpoint
    from recipes import image_classification, text_classification

    quick = {"epochs": 1, "verbose": 0, "learning_rate": 0.01}
    result = image_classification.train(
        "digits", architecture="mlp", units=(8,), directory=folder / "run images", **quick
    )
    result.export(folder / "exports")
    (folder / "exports" / "1").rename(folder / "export")
    texts = np.array(["good and fine", "bad and poor", "a fine day", "a poor one"] * 20, object)
    labels = np.array(["good", "bad"] * 40, object)
    text_classification.train((texts, labels), architecture="cnn", directory=folder / "run text", **quick)
    for name in ("run images", "run text"):
        shutil.rmtree(folder / name / "tensorboard", ignore_errors=True)
        (folder / name / "report.html").unlink(missing_ok=True)
    (folder / "checkpoints").mkdir()
    for position in (3, 6):
        values = {f"model/{index}": np.full((4, 3), index, "float32") for index in range(4)}
        write_checkpoint(folder / "checkpoints", position, values, {"position": position, "callbacks": []})
    (folder / "features").mkdir()
    with open(folder / "features" / "features.npz", "wb") as file:
        np.savez(file, features=np.ones((5, 3), "float32"), targets=np.arange(5))


def load(kind: str, path: Path, naive: bool) -> Any:
    """Load what was changed, and return it; None if it was passed over as damaged."""
    import keras

    if kind in MODELS and naive:
        return keras.models.load_model(path, compile=False, safe_mode=True)
    if kind in MODELS:
        from kerasdl.safe_loading import load_keras

        return load_keras(path)
    if kind in RUNS:
        import kerasdl

        return kerasdl.Result.load(path).model
    if kind == "checkpoints":
        from kerasdl.training.checkpoint import read_newest

        return read_newest(path)
    if kind == "features":
        from kerasdl.training.frozen_features import kept

        return kept(path / "features.npz", lambda: (np.ones((5, 3), "float32"), np.arange(5)))
    from kerasdl.export import load_exported

    return load_exported(path)


def is_plain(model: Any) -> bool:
    """Return whether a model consists of Keras's own layers and the kit's."""
    parts = model._flatten_layers() if hasattr(model, "_flatten_layers") else []
    allowed = ("keras.src.layers.", "keras.src.ops.", "keras.src.models.", "kerasdl.layers.")
    refused = ("Lambda", "TFSMLayer", "StringLookup", "IntegerLookup", "TextVectorization", "JaxLayer")
    return all(type(part).__module__.startswith(allowed) and type(part).__name__ not in refused for part in parts)


def choose(number: int, seed: int, only: str) -> tuple[str, str, np.random.Generator]:
    """Return the change of one file, what it changes, and what decides the rest."""
    rng = np.random.default_rng((seed, number))
    names = [name for name in CHANGES if only in name]
    weights = np.array([CHANGES[name][3] for name in names])
    name = names[int(rng.choice(len(names), p=weights / weights.sum()))]
    kinds = CHANGES[name][0]
    return name, kinds[int(rng.integers(0, len(kinds)))], rng


def make(name: str, kind: str, rng: np.random.Generator, sources: Path, place: Path) -> Path:
    """Write a changed copy into a folder and return its path."""
    mutate = CHANGES[name][1]
    if kind in MODELS:
        path = place / "model.keras"
        path.write_bytes(mutate((sources / f"{kind}.keras").read_bytes(), rng))
        return path
    path = place / "1"
    shutil.copytree(sources / kind, path)
    with contextlib.suppress(FileNotFoundError, IsADirectoryError):
        mutate(path, rng)
    return path


def judge(name: str, kind: str, path: Path, watch: Watch, naive: bool) -> tuple[str, str, int]:
    """Load one file and return the outcome, what is wrong with it ("" for nothing), and the memory it took."""
    from kerasdl.errors import InputError

    wrong, loaded = [], None
    watch.begin()
    try:
        loaded = load(kind, path, naive)
        outcome = "refused" if loaded is None else "loaded"
    except InputError as error:
        outcome = "refused"
        if len(str(error)) > 2000 + 2 * len(str(path)):
            wrong.append(f"a message of {len(str(error))} characters")
    except (Exception, KeyboardInterrupt, SystemExit) as error:
        outcome = "other error"
        wrong.append(f"{type(error).__name__}: {' '.join(str(error).split())[:150]}")
    events, memory = watch.end()
    wrong += events
    if memory > MEMORY:
        wrong.append(f"{memory >> 20} MiB")
    if outcome == "loaded" and (CHANGES[name][2] or not is_plain(loaded)):
        wrong.append("it should not have been loaded")
    return outcome, "; ".join(dict.fromkeys(wrong)), memory


def work(numbers: list[int], options: argparse.Namespace, root: Path, answers: Connection) -> None:
    """Be a process that loads files and tells what became of each."""
    place = root / "work"
    for variable, folder in (("TMPDIR", "tmp"), ("HOME", "home")):
        os.environ[variable] = str(place / folder)
    tempfile.tempdir = None
    os.chdir(place / "home")
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 2)
    import keras

    fuzz_objects.register_evil()
    keras.ops.zeros((1,))  # TensorFlow starts here, and not while it is watched
    for name in ("convnet", "lstm"):
        load(name, root / "sources" / f"{name}.keras", options.naive)
    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_DATA, (LIMIT, LIMIT))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # What is kept beside a training is made again where it is damaged.
    watch = Watch(place, Path(fuzz_mutations.CANARY), own=(place / "tmp", place / "file" / "1" / ".features"))
    for number in numbers:
        name, kind, rng = choose(number, options.seed, options.only)
        folder = place / "file"
        folder.mkdir()
        answers.send((number, name, kind))
        try:
            path = make(name, kind, rng, root / "sources", folder)
        except Exception as error:
            answers.send(("not made", f"{type(error).__name__}: {error}", 0))
        else:
            answers.send(judge(name, kind, path, watch, options.naive))
        shutil.rmtree(folder)


class Campaign:
    """Processes one after another, and what they found."""

    def __init__(self, options: argparse.Namespace, root: Path):
        self.options, self.root = options, root
        self.table: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
        self.peak: dict[str, int] = collections.Counter()
        self.failures: list[str] = []

    def run(self, numbers: list[int]) -> None:
        """Load all files."""
        while numbers:
            numbers = self._batch(numbers[:PER_PROCESS]) + numbers[PER_PROCESS:]
            print(f"{len(numbers)} to go, {len(self.failures)} failures", flush=True)

    def _batch(self, numbers: list[int]) -> list[int]:
        for name in ("tmp", "home", "file"):
            shutil.rmtree(self.root / "work" / name, ignore_errors=True)
        for name in ("tmp", "home"):
            (self.root / "work" / name).mkdir(parents=True)
        answers, sender = multiprocessing.Pipe(duplex=False)
        process = multiprocessing.get_context("fork").Process(
            target=work, args=(numbers, self.options, self.root, sender)
        )
        process.start()
        sender.close()
        left = list(numbers)
        try:
            while left:
                number, name, kind = answers.recv()
                left.remove(number)
                if not answers.poll(SECONDS):  # the end of the other side counts as an answer
                    process.kill()
                    self._note(number, name, kind, "hang", f"more than {SECONDS} seconds", 0)
                    break
                self._note(number, name, kind, *answers.recv())
        except EOFError:
            process.join()
            code = process.exitcode or 0
            if len(left) == len(numbers):
                raise RuntimeError(f"a process ended before its first file, with status {code}") from None
            end = signal.Signals(-code).name if code < 0 else f"exit status {code}"
            self._note(number, name, kind, "crash", end, 0)
        process.join()
        return left

    def _note(self, number: int, name: str, kind: str, outcome: str, wrong: str, memory: int) -> None:
        self.table[name][outcome] += 1
        self.table[name]["FAILURE"] += bool(wrong)
        self.peak[name] = max(self.peak[name], memory)
        if wrong:
            self.failures.append(f"{number}: {name} of {kind}: {outcome}: {wrong}")
            print("FAILURE", self.failures[-1], flush=True)

    def report(self) -> str:
        """Return the table."""
        outcomes = ("refused", "loaded", "other error", "crash", "hang", "not made", "FAILURE")
        rows = [f"| {'change':<22} | " + " | ".join(outcomes) + " | peak MiB |", "|---" * (len(outcomes) + 2) + "|"]
        for name in [name for name in CHANGES if name in self.table]:
            cells = [f"{self.table[name][outcome]:>{len(outcome)}}" for outcome in outcomes]
            rows.append(f"| {name:<22} | " + " | ".join(cells) + f" | {self.peak[name] / 2**20:8.0f} |")
        total = [sum(counts[outcome] for counts in self.table.values()) for outcome in outcomes]
        cells = [f"{count:>{len(outcome)}}" for count, outcome in zip(total, outcomes, strict=True)]
        rows.append(f"| {'all':<22} | " + " | ".join(cells) + f" | {max(self.peak.values()) / 2**20:8.0f} |")
        return "\n".join(rows)


def apart(function: Callable[[Path], None], folder: Path) -> None:
    """Call a function in a process of its own: this one must not start TensorFlow, whose threads no fork copies."""
    process = multiprocessing.get_context("fork").Process(target=function, args=(folder,))
    process.start()
    process.join()
    if process.exitcode:
        raise RuntimeError(f"{function.__name__} failed")


def main() -> int:
    """Run the campaign; the exit status is 1 after a failure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first file")
    parser.add_argument("--only", default="", help="a word in the names of the changes to try")
    parser.add_argument("--naive", action="store_true", help="load models as Keras does")
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras  # noqa: F401 - the processes inherit what is imported here

    import recipes.image_classification  # noqa: F401

    begun = time.monotonic()
    canary = Path(fuzz_mutations.CANARY)
    shutil.rmtree(canary, ignore_errors=True)
    canary.mkdir()
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "sources").mkdir()
        apart(make_models, root / "sources")
        apart(make_folders, root / "sources")
        apart(fuzz_weights.plant, canary)
        print(
            f"made in {time.monotonic() - begun:.0f} s: {', '.join(sorted(os.listdir(root / 'sources')))}", flush=True
        )
        campaign = Campaign(options, root)
        campaign.run(list(range(options.first, options.first + options.files)))
    shutil.rmtree(canary, ignore_errors=True)
    print(campaign.report())
    print(
        json.dumps(
            {
                "files": options.files,
                "seed": options.seed,
                "failures": len(campaign.failures),
                "seconds": round(time.monotonic() - begun),
            }
        )
    )
    return bool(campaign.failures)


if __name__ == "__main__":
    sys.exit(main())
