"""What a trial costs beyond its training: seconds from one trial to the next, against the same training by itself.

    python benchmarks/search_overhead.py searches/overhead             # some two minutes
    python benchmarks/search_overhead.py searches/overhead --trials 40

The same small network is trained again and again in one warm process, which writes a run's folder as a trial does, and
as the trials of a search; the two take turns. Medians, the first of each left out. Target: at most one second.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import kerasdl.tuning
from kerasdl.recipe_run import without_test
from recipes import image_classification

SETTINGS: dict[str, Any] = {"architecture": "cnn", "filters": (8, 16), "epochs": 5, "learning_rate": 0.003}


def alone(trainings: int) -> list[float]:
    """Return the seconds of each training by itself."""
    seconds = []
    dataset = kerasdl.data.load("digits")
    for seed in range(trainings):
        with tempfile.TemporaryDirectory() as folder, without_test():
            began = time.monotonic()
            image_classification.train(dataset, seed=seed, directory=Path(folder) / "run", verbose=0, **SETTINGS)
            seconds.append(time.monotonic() - began)
    return seconds


def trials(directory: Path, count: int) -> list[float]:
    """Return the seconds from the end of each trial to the end of the next."""
    kerasdl.tuning.search(
        image_classification,
        "digits",
        space={"dropout": (0.0, 0.5), **{name: [value] for name, value in SETTINGS.items() if name != "epochs"}},
        epochs=SETTINGS["epochs"],
        max_trials=count,
        finalists=1,
        repeats=1,
        directory=directory,
        verbose=0,
    )
    events = [json.loads(line) for line in (directory / "events.jsonl").read_text().splitlines()]
    ends = [event["elapsed"] for event in events if event["event"] == "end"]
    return [after - before for before, after in zip(ends, ends[1:], strict=False)]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path, help="a new folder for the searches")
    parser.add_argument("--trials", type=int, default=20)
    options = parser.parse_args()
    bare, searched = [], []
    for turn in range(2):
        bare += alone(options.trials // 2 + 1)[1:]
        searched += trials(options.directory / str(turn), options.trials // 2 + 1)
    a, b = statistics.median(bare), statistics.median(searched)
    print(
        f"a training by itself {a:.2f} s, as a trial {b:.2f} s: {b - a:+.2f} s a trial ({len(bare)}, {len(searched)})"
    )


if __name__ == "__main__":
    main()
