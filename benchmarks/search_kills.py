"""Kill a search at random moments, whatever belongs to it, and show that it ends as one that nobody disturbed.

    python benchmarks/search_kills.py                  # 30 kills, some 15 minutes on two cores
    python benchmarks/search_kills.py --kills 6

One search (Hyperband) runs undisturbed with one worker. Then the same call runs again: on one machine, where the
search, the process that starts trials and the trials are killed by SIGKILL, and as a chief with two workers on the
loopback, where the chief, the workers and their trials are; each as often, in a new folder, as it takes for half of the
kills. What is killed is drawn anew each time, and what does not come back by itself is started with the same call.
Compared to the bit: the table (without its seconds), the finalists' scores, the winner's test metrics and weights. No
trial may end twice at the same epoch, and no process may be left.
"""

from __future__ import annotations

import argparse
import collections
import hashlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

OUTCOME = "final.json"
WORKERS = 2
PAUSE = (3.0, 15.0)
"""Seconds between two kills, the least and the most."""


def child(folder: Path, role: str) -> None:
    """Search to the end, going on from what is there, and write all that must be equal."""
    from kerasdl.tuning import search
    from recipes import image_classification

    outcome = search(
        image_classification,
        "digits",
        space={"filters": [(8, 16), (16, 16)], "learning_rate": (1e-4, 1e-1), "dropout": (0.0, 0.5)},
        architecture="cnn",
        epochs=9,
        max_trials=8,
        tuner="hyperband",
        finalists=2,
        repeats=2,
        directory=folder / "search",
        workers=role if role in ("chief", "worker") else 1,
        worker_seconds=20,
        verbose=0,
    )
    if role == "worker":
        return
    weights = b"".join(weight.tobytes() for weight in outcome.best.model.get_weights())
    found = {
        "table": [{name: value for name, value in row.items() if name != "seconds"} for row in outcome.table],
        "finalists": outcome.finalists,
        "metrics": outcome.best.metrics,
        "weights": hashlib.sha256(weights).hexdigest(),
    }
    (folder / "writing").write_text(json.dumps(found))
    os.replace(folder / "writing", folder / OUTCOME)


class Crew:
    """The processes of one search: started, killed, started again."""

    def __init__(self, folder: Path, roles: list[str]):
        folder.mkdir(parents=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        threads = str(max(1, (os.cpu_count() or 1) // max(1, len(roles) - 1)))
        self._environment = {
            **os.environ,
            "KERASTUNER_ORACLE_PORT": port,
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "KERASDL_BENCHMARK": str(folder),
            "OMP_NUM_THREADS": threads,
        }
        self.folder = folder
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._roles = roles
        self.tend()

    def tend(self) -> None:
        """Start what does not run and is not done; what failed by itself ends the campaign."""
        for name in self._roles:
            process = self._processes.get(name)
            if process is not None and process.poll() is None:
                continue
            if process is not None and process.returncode not in (0, -signal.SIGKILL):
                raise SystemExit(f"{name} ended with {process.returncode}: see {self.folder / name}.log")
            if process is not None and process.returncode == 0:
                continue
            with open(self.folder / f"{name}.log", "ab") as log:
                self._processes[name] = subprocess.Popen(
                    [sys.executable, __file__, "child", str(self.folder), name.split("-")[0]],
                    env=self._environment | {"KERASTUNER_TUNER_ID": name},
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )

    @property
    def done(self) -> bool:
        """Whether every process has ended well."""
        return all(process.poll() == 0 for process in self._processes.values())

    def members(self) -> list[tuple[int, str]]:
        """Return the number of each process of the search and what it is."""
        mark = f"KERASDL_BENCHMARK={self.folder}".encode()
        mine = {process.pid: name for name, process in self._processes.items()}
        found = []
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdecimal() and mark in (entry / "environ").read_bytes().split(b"\0"):
                    found.append((int(entry.name), mine.get(int(entry.name), "trial or what starts it")))
            except OSError:  # it has ended in between, or is somebody else's
                continue
        return found


def ended_twice(folder: Path) -> list[str]:
    """Return the trials that the log says ended twice at the same epoch."""
    lines = (folder / "search" / "events.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    ends = collections.Counter(
        f"trial {event['trial']}, repeat {event['repeat']}, epoch {event['epochs']}"
        for event in events
        if event["event"] == "end"
    )
    return [key for key, count in ends.items() if count > 1]


def run(folder: Path, roles: list[str], kills: int, draw: random.Random) -> tuple[dict[str, Any], dict[str, int]]:
    """Run one search with so many kills and return what it found and what was killed how often."""
    crew, killed = Crew(folder, roles), collections.Counter[str]()
    since = time.monotonic()
    pause = draw.uniform(*PAUSE)
    while not crew.done:
        time.sleep(0.2)
        if sum(killed.values()) < kills and time.monotonic() - since > pause:
            # First what kind of process, so that the many helpers do not crowd out the others.
            members = crew.members()
            if not members:
                continue
            kind = draw.choice(sorted({name for _, name in members}))
            pid = draw.choice(sorted(pid for pid, name in members if name == kind))
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
            killed[kind.split("-")[0]] += 1
            print(f"  {sum(killed.values()):>3} of {kills}: {kind} {pid}", flush=True)
            since, pause = time.monotonic(), draw.uniform(*PAUSE)
        crew.tend()
    deadline = time.monotonic() + 30
    while crew.members() and time.monotonic() < deadline:
        time.sleep(0.2)
    if left := crew.members():
        raise SystemExit(f"processes are left: {left}")
    if twice := ended_twice(folder):
        raise SystemExit(f"these trials ended twice: {twice}")
    return json.loads((folder / OUTCOME).read_text()), dict(killed)


def main() -> None:
    """Run the campaign and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--directory", type=Path, default=None, help="a new folder; by default a temporary one")
    options = parser.parse_args()
    root = options.directory or Path(tempfile.mkdtemp())
    draw = random.Random(options.seed)
    alone = ["search"]
    crew = ["chief", *(f"worker-{number}" for number in range(WORKERS))]
    print(f"Undisturbed, one worker, in {root}", flush=True)
    undisturbed, _ = run(root / "undisturbed", alone, 0, draw)
    rows, equal = [], True
    for name, roles, kills in (
        ("one machine", alone, options.kills // 2),
        ("chief and workers", crew, -(-options.kills // 2)),
    ):
        print(f"{name}, {kills} kills", flush=True)
        killed, same, searches = collections.Counter[str](), dict.fromkeys(undisturbed, True), 0
        while searches == 0 or killed.total() < kills:
            found, more = run(root / f"{name.replace(' ', '_')}_{searches}", roles, kills - killed.total(), draw)
            killed.update(more)
            searches += 1
            same = {part: same[part] and found[part] == undisturbed[part] for part in same}
        equal &= all(same.values())
        told = ", ".join(f"{count} × {kind}" for kind, count in sorted(killed.items()))
        told += f" | {searches} | " + " | ".join("equal" if same[part] else "DIFFERENT" for part in same)
        rows.append(f"| {name} | {told} |")
    heads = ["search", "killed", "searches", *undisturbed]
    print("\n| " + " | ".join(heads) + " |\n" + "|---" * len(heads) + "|")
    print("\n".join(rows))
    print(f"{len(undisturbed['table'])} trials; nothing was lost, repeated or left" if equal else f"see {root}")
    sys.exit(0 if equal else 1)


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        child(Path(sys.argv[2]), sys.argv[3])
    else:
        main()
