"""Bits per byte of the default language model against an n-gram model and a compressor, on the same held-out bytes.

    python benchmarks/kjv.py kjv.txt                                # once, see there
    python benchmarks/language.py pydoc_topics kjv.txt              # 20 minutes each on two idle cores
    python benchmarks/language.py --keywords '{"epochs": 1}'

The recipe's defaults, the last 10 % of the text held out. The n-gram model counts the training split, which is all that
the language model learns from; also shown is one that counts the validation split, too.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from kerasdl.data.vocabulary import Vocabulary  # noqa: E402 - TensorFlow reads the variable when it is imported
from kerasdl.language_measuring import NGRAM, language_baselines, ngram_metrics  # noqa: E402
from recipes import language_model  # noqa: E402

# As many as fit into 20 minutes on two idle cores, where they are not the default.
EPOCHS = {"kjv": 2}
PROMPTS = {"pydoc_topics": 'The "with" statement', "kjv": "And God said, "}


def row(name: str, bits_per_byte: float, seconds: float | None = None) -> str:
    """Return one line of the table."""
    took = "" if seconds is None else f"{seconds:>8.0f} s"
    return f"  {name:<40} {bits_per_byte:>7.4f}{took}"


def measure(data: str, keywords: dict[str, Any]) -> None:
    """Train on one text and print its table."""
    started = time.perf_counter()
    name = Path(data).stem
    epochs = {"epochs": EPOCHS[name]} if name in EPOCHS else {}
    result = language_model.train(data, **epochs | keywords)
    seconds = time.perf_counter() - started
    train, validation, test = (split.inputs for split in result.dataset.splits.values())
    sizes = ", ".join(f"{name} {int(split.targets.sum()):,}" for name, split in result.dataset.splits.items())
    vocabulary = Vocabulary("byte")
    baselines = language_baselines(result.dataset, vocabulary) | result.baselines
    print(f"{result.dataset.name}: bytes of {sizes}; {result.model.count_params():,} parameters; bits per byte of test")
    print(row("language model", result.metrics["bits_per_byte"], seconds))
    for name, metrics in baselines.items():
        print(row(name, metrics["bits_per_byte"]))
    print(row(f"{NGRAM}, validation too", ngram_metrics([*train, *validation], test, vocabulary)["bits_per_byte"]))
    prompt = PROMPTS.get(result.dataset.name, "The ")
    print(f"{prompt}{result.generate(prompt, max_new_tokens=400, temperature=0.7, seed=0)}\n", flush=True)


def main() -> None:
    """Train on each text."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="*", default=["pydoc_topics"])
    parser.add_argument("--keywords", type=json.loads, default={}, help="of the recipe, as JSON")
    arguments = parser.parse_args()
    for data in arguments.data:
        measure(data, arguments.keywords)


if __name__ == "__main__":
    main()
