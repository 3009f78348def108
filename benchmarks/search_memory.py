"""Memory of a search over many trials: resident MiB of the search and of the process that starts trials.

    python benchmarks/search_memory.py searches/memory              # 200 trials of a small network, one epoch each
    python benchmarks/search_memory.py searches/memory --trials 50

Each trial ends with its own process and gives all of its memory back. Target: after 200 trials within 5 % of after 10.
"""

from __future__ import annotations

import argparse
import os
import re
import threading
import time
from pathlib import Path
from typing import Any

import kerasdl.tuning
from recipes import image_classification


def resident(pid: int | str) -> float:
    """Return the resident memory of a process in MiB, 0 when it has ended."""
    try:
        found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0.0
    return int(found.group(1)) / 1024 if found else 0.0


def watch(directory: Path, points: dict[int, tuple[float, float]]) -> None:
    """Note both sizes after each trial."""
    own = os.getpid()
    while True:
        time.sleep(0.5)
        log = directory / "events.jsonl"
        if log.exists():
            ended = log.read_bytes().count(b'"event": "end"')
            children = Path(f"/proc/{own}/task/{own}/children").read_text().split()
            points.setdefault(ended, (resident(own), sum(map(resident, children))))


def space(hp: Any) -> dict[str, Any]:
    """One learning rate."""
    return {"learning_rate": hp.Float("learning_rate", 1e-4, 1e-1, sampling="log")}


def main() -> None:
    """Search and print the curve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path, help="a new folder for the search")
    parser.add_argument("--trials", type=int, default=200)
    options = parser.parse_args()
    points: dict[int, tuple[float, float]] = {}
    threading.Thread(target=watch, args=(options.directory, points), daemon=True).start()
    kerasdl.tuning.search(
        image_classification,
        "digits",
        space=space,
        max_trials=options.trials,
        finalists=1,
        repeats=1,
        directory=options.directory,
        verbose=0,
        architecture="mlp",
        units=8,
        epochs=1,
    )
    print("trials  search MiB  server MiB")
    for trials, (search, server) in points.items():
        if trials in (1, 10, options.trials - 1) or trials % 20 == 0:
            print(f"{trials:6}  {search:10.0f}  {server:10.0f}")


if __name__ == "__main__":
    main()
