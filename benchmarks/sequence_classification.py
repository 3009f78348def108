"""Accuracy of `sequence_classification` with its defaults on the archives' own splits, beside the nearest neighbour.

    python benchmarks/sequence_classification.py                                  the three samples, seeds 0, 1 and 2
    python benchmarks/sequence_classification.py aeon-1.6.0-py3-none-any.whl      and what else that wheel has
    python benchmarks/sequence_classification.py FOLDER --only OSULeaf --architecture inception_time

A FOLDER, or a wheel of aeon's, holds NAME_TRAIN.ts and NAME_TEST.ts; the wheel is unpacked, nothing of it is imported.
Three samples with three seeds take some ten minutes on two cores. Targets: gun_point 0.99, italy_power_demand 0.96,
basic_motions 0.99, the means of three seeds, each training under two minutes.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np

from kerasdl.data.series_files import series_files
from recipes import sequence_classification

SAMPLES = ("gun_point", "italy_power_demand", "basic_motions")


def datasets(source: Path | None, folder: Path) -> dict[str, str]:
    """Return the datasets of a folder or a wheel by name, or the samples."""
    if source is None:
        return {name: name for name in SAMPLES}
    if source.suffix == ".whl":
        with zipfile.ZipFile(source) as wheel:
            for name in wheel.namelist():
                if name.endswith((f"{Path(name).parent.name}_TRAIN.ts", f"{Path(name).parent.name}_TEST.ts")):
                    (folder / Path(name).name).write_bytes(wheel.read(name))
        source = folder
    files = sorted(source.glob("*_TRAIN.ts"))
    return {file.name.removesuffix("_TRAIN.ts"): str(file) for file in files if len(series_files(file)) > 1}


def main() -> None:
    """Print a row for each dataset and seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", nargs="?", type=Path)
    parser.add_argument("--only", nargs="+", help="datasets by name")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--architecture", default="fcn", choices=sequence_classification.ARCHITECTURES)
    options = parser.parse_args()
    print("| data | seed | accuracy | log loss | epochs | seconds | CPU seconds | 1-NN Euclidean | 1-NN DTW |")
    print("|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name, data in datasets(options.source, Path(folder)).items():
            if options.only and name not in options.only:
                continue
            accuracies = []
            for seed in range(options.seeds):
                wall, processor = time.perf_counter(), time.process_time()
                result = sequence_classification.train(data, architecture=options.architecture, seed=seed, verbose=0)
                wall, processor = time.perf_counter() - wall, time.process_time() - processor
                accuracies.append(result.metrics["accuracy"])
                nearest = [f"{metrics['accuracy']:.4f}" for metrics in result.baselines.values()]
                print(
                    f"| {name} | {seed} | {accuracies[-1]:.4f} | {result.metrics['log_loss']:.3f} "
                    f"| {result.config['epochs']} | {wall:.0f} | {processor:.0f} | {' | '.join(nearest)} |",
                    flush=True,
                )
            print(f"| **{name}** | mean | **{np.mean(accuracies):.4f}** | | | | | | |", flush=True)


if __name__ == "__main__":
    main()
