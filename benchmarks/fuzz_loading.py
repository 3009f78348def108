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

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks import fuzz_mutations, fuzz_objects, fuzz_weights
from benchmarks.fuzz_changes import CHANGES, choose, make
from benchmarks.fuzz_sources import load, make_folders, make_models
from benchmarks.fuzz_watch import Watch

SECONDS, MEMORY, LIMIT, PER_PROCESS = 60, 400 << 20, 6 << 30, 300


def is_plain(model: Any) -> bool:
    """Return whether a model consists of Keras's own layers and the kit's."""
    parts = model._flatten_layers() if hasattr(model, "_flatten_layers") else []
    allowed = ("keras.src.layers.", "keras.src.ops.", "keras.src.models.", "kerasdl.layers.")
    refused = ("Lambda", "TFSMLayer", "StringLookup", "IntegerLookup", "TextVectorization", "JaxLayer")
    return all(type(part).__module__.startswith(allowed) and type(part).__name__ not in refused for part in parts)


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
