"""Every change that `fuzz_loading.py` makes, of what, how often, and which of them a seed and a number stand for."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import fuzz_folders, fuzz_mutations, fuzz_objects, fuzz_weights
from benchmarks.fuzz_sources import MODELS, RUNS

EXPORTS = ("export",)
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
_change("export: bytes", EXPORTS, fuzz_folders.any_file)
_change("export: odd file", EXPORTS, fuzz_folders.odd_file)
_change("checkpoint: bytes", ("checkpoints",), fuzz_folders.any_file)
_change("checkpoint: arrays", ("checkpoints",), fuzz_folders.arrays)
_change("checkpoint: odd file", ("checkpoints",), fuzz_folders.odd_file, weight=0.5)
_change("features: bytes", ("features",), fuzz_folders.any_file, weight=0.5)
_change("features: arrays", ("features",), fuzz_folders.arrays, weight=0.5)
_change("features: odd file", ("features",), fuzz_folders.odd_file, weight=0.25)


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
