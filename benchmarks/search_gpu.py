"""A search on a GPU: trials a minute, and how busy the device was.

    KERAS_BACKEND=jax python benchmarks/search_gpu.py --minutes 3
    KERAS_BACKEND=jax python benchmarks/search_gpu.py --minutes 3 --workers 1 4    # four trials at a time, too

The search of `search.py`: 10,000 images of Fashion-MNIST's training split, a fifth of them for validation, the same
space, Hyperband, at most 10 epochs a trial; `keras.datasets` reads the files, from ~/.keras/datasets/fashion-mnist
where they are. It needs no TensorFlow. "busy" is the mean of what nvidia-smi says of the utilisation, "memory" the
median of what is taken on the device; empty where there is no nvidia-smi.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import keras
import numpy as np
import sides
from search import IMAGES, searched

import kerasdl


def dataset() -> kerasdl.data.Dataset:
    """Return the images."""
    (x, y), test = keras.datasets.fashion_mnist.load_data()
    chosen = np.random.default_rng(0).permutation(len(x))[:IMAGES]
    (x, y), test = ((x[..., None], y) for x, y in ((x[chosen], y[chosen]), test))
    return kerasdl.data.load(((x, y), test), validation_fraction=0.2)


def main() -> None:
    """Search, and print a row for each number of workers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=3)
    parser.add_argument("--workers", type=int, nargs="+", default=[1])
    options = parser.parse_args()
    data = dataset()
    print("| workers | trials | trials a minute | epochs a minute | busy | memory | validation | test | seconds |")
    print("|---|---|---|---|---|---|---|---|---|", flush=True)
    for workers in options.workers:
        seen: list[tuple[float, float]] = []
        began = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder, sides.watched(seen):
            directory = Path(folder) / "search"
            outcome = searched(data, minutes=options.minutes, directory=directory, seed=0, workers=workers)
            seconds = time.perf_counter() - began
        faults = {row["reason"] for row in outcome.table if row["status"] == "failed"}
        trained = [row for row in outcome.table if row["epochs"]]
        minutes = seconds / 60
        busy = f"{statistics.mean(share for share, _ in seen):.0f} %" if seen else ""
        memory = f"{statistics.median(used for _, used in seen):,.0f} MiB" if seen else ""
        rates = f"{len(trained)} | {len(trained) / minutes:.1f} | {sum(row['epochs'] for row in trained) / minutes:.0f}"
        best = max(row["score"] for row in trained)
        scores = f"{best:.4f} | {outcome.best.metrics['accuracy']:.4f}"
        print(f"| {workers} | {rates} | {busy} | {memory} | {scores} | {seconds:.0f} |", flush=True)
        for fault in faults:
            print(f"failed: {fault}")


if __name__ == "__main__":
    main()
