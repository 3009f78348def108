"""Folders of any origin: runs, checkpoints and arrays that lie, link, or never end are refused or passed over."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from benchmarks import fuzz_folders, fuzz_objects
from benchmarks.fuzz_mutations import CONFIG, members, packed
from kerasdl import InputError, Result, models
from kerasdl.export.folders import read_description
from kerasdl.export.formats import description_of
from kerasdl.safe_loading import read_json
from kerasdl.safe_loading.npz import read_npz
from kerasdl.training.checkpoint import read_newest, restore, write_checkpoint
from kerasdl.training.frozen_features import kept

# Runs: their hashes tell accidents, not whoever changes both.


@pytest.fixture
def run(digits_result: Result, tmp_path: Path) -> Path:
    """A copy of the run's folder, whose hashes can be made true again."""
    folder = tmp_path / "run"
    folder.mkdir()
    for path in digits_result.directory.iterdir():
        if path.is_file():
            (folder / path.name).write_bytes(path.read_bytes())
    return folder


def rehash(folder: Path, **facts: Any) -> None:
    found = json.loads((folder / "result.json").read_text())
    hashes = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in found["files_sha256"]}
    (folder / "result.json").write_text(json.dumps({**found, "files_sha256": hashes, **facts}))


def test_a_run_with_a_crafted_model_and_true_hashes_is_refused(run: Path) -> None:
    path = run / "model.keras"
    text = fuzz_objects.poisoned(members(path.read_bytes())[CONFIG], "lambda", "itself", np.random.default_rng(0))
    path.write_bytes(packed({**members(path.read_bytes()), CONFIG: text}))
    rehash(run)
    with pytest.raises(InputError, match="refused model"):
        Result.load(run)


@pytest.mark.parametrize("name", ["../../../../../../etc/passwd", "/dev/zero", "result.json"])
def test_hashes_of_other_files_are_refused(name: str, run: Path) -> None:
    found = json.loads((run / "result.json").read_text())["files_sha256"]
    rehash(run, files_sha256={**found, name: "0"})
    with pytest.raises(InputError, match="names other files"):
        Result.load(run)


@pytest.mark.parametrize(
    "facts",
    [
        *({"metrics": 5}, {"recipe": None}, {"task": []}, {"task": {"kind": "os"}}, {"task": {"kind": []}}),
        *({"diagnosis": {}}, {"diagnosis": [5]}, {"files_sha256": 5}, {"files_sha256": None}),
    ],
)
def test_a_run_that_says_something_else_is_refused(facts: dict[str, Any], run: Path) -> None:
    rehash(run, **facts)
    with pytest.raises(InputError, match="damaged run"):
        Result.load(run)


@pytest.mark.parametrize("name", ["config.json", "history.csv", "model.keras", "result.json"])
@pytest.mark.parametrize("kind", ["link", "pipe", "huge"])
def test_odd_files_in_a_run_are_refused(name: str, kind: str, run: Path) -> None:
    path = run / name
    path.rename(run / "elsewhere")
    if kind == "link":
        path.symlink_to(run / "elsewhere")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        with open(path, "wb") as file:
            file.truncate(1 << 40)
    with pytest.raises(InputError):
        Result.load(run)


@pytest.mark.parametrize("text", ["[" * 10**5, '{"a": 1, "a": 2}', "[]", '"', "\udcff"])
def test_json_of_a_run_is_read_strictly(text: str, run: Path) -> None:
    (run / "result.json").write_text(text, errors="surrogateescape")
    with pytest.raises(ValueError, match="."):
        read_json(run / "result.json")
    with pytest.raises(InputError, match="damaged run"):
        Result.load(run)


def test_a_history_with_a_short_row_is_refused(run: Path) -> None:
    (run / "history.csv").write_text("epoch,loss\n1\n")
    rehash(run)
    with pytest.raises(InputError, match="damaged run"):
        Result.load(run)


# Archives of arrays: numpy.load allocates the shape that a header claims, and unpacks anything.


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", ["huge shape", "pickle", "compressed", "header"])
def test_crafted_checkpoints_are_passed_over(kind: str, seed: int, tmp_path: Path) -> None:
    for position in (3, 6):
        write_checkpoint(tmp_path, position, {"model/0": np.ones((4, 3))}, {"position": position, "callbacks": []})
    fuzz_folders.arrays_of(tmp_path / "checkpoint-000000000006.npz", np.random.default_rng(seed), kind)
    with pytest.warns(UserWarning, match="is damaged"):
        _, facts = read_newest(tmp_path)
    assert facts["position"] == 3


def test_arrays_are_read_as_numpy_reads_them(tmp_path: Path) -> None:
    found = {"a": np.arange(6).reshape(2, 3), "b": np.asfortranarray(np.ones((2, 3), "f2")), "c": np.array(5.0)}
    found |= {"d": np.zeros((0, 3)), "e": np.array([True, False]), "f/g": np.array(["x", "yz"])}
    np.savez(tmp_path / "a.npz", **found)
    arrays = read_npz(tmp_path / "a.npz")
    assert arrays.keys() == found.keys()
    for name, array in found.items():
        assert arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(arrays[name], array)
        assert arrays[name].flags.writeable


def test_a_checkpoint_says_neither_where_callbacks_write_nor_what_they_do() -> None:
    model = models.mlp((4,), 3, hidden=(5,))

    class Count(keras.callbacks.Callback):
        seen = 0

        def __init__(self) -> None:
            super().__init__()
            self.path = "mine"

    model.compile("sgd", "mse")
    model.optimizer.build(model.trainable_variables)
    groups = {"model": model.variables, "optimizer": model.optimizer.variables}
    arrays = {f"{group}/{i}": np.asarray(v) for group, values in groups.items() for i, v in enumerate(values)}
    state = {"class": "Count", "arrays": {}, "seen": 7, "path": "/etc/other", "on_epoch_end": None, "other": {"a": 1}}
    restore(model, [count := Count()], arrays, {"callbacks": [state]})
    assert (count.seen, count.path) == (7, "mine")
    assert callable(count.on_epoch_end)
    assert not hasattr(count, "other")


def test_kept_features_that_are_damaged_are_made_again(tmp_path: Path) -> None:
    def make() -> tuple[np.ndarray, np.ndarray]:
        return np.ones((2, 3)), np.arange(2)

    path = tmp_path / "features.npz"
    kept(path, make)
    for kind in ("huge shape", "pickle", "compressed", "header", "missing"):
        fuzz_folders.arrays_of(path, np.random.default_rng(0), kind)
        np.testing.assert_array_equal(kept(path, make)[0], np.ones((2, 3)))
        assert read_npz(path).keys() == {"features", "targets"}
    path.unlink()
    path.mkdir()
    with pytest.raises(InputError, match="a folder"):
        kept(path, make)


@pytest.mark.parametrize(
    "text", ["[", "5", '{"class_names": 5}', '{"inputs": []}', '{"layout": "x"}', '{"a": 1, "a": 2}', "[" * 10**5]
)
def test_a_description_that_says_something_else_is_refused(text: str, tmp_path: Path) -> None:
    description_of(tmp_path).parent.mkdir()
    description_of(tmp_path).write_text(text)
    with pytest.raises(InputError, match="damaged description"):
        read_description(tmp_path)
