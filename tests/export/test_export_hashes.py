"""The files of an export are those that were written: what is changed, missing, added or led elsewhere is refused."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from kerasdl import InputError
from kerasdl.export import hashes, load_exported, read_description


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An export that no TensorFlow has to load: refusals come before."""
    folder = tmp_path / "models" / "1"
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"graph")
    (folder / "variables" / "variables.index").write_bytes(b"index")
    describe(folder, {"files_sha256": hashes.file_hashes(folder)})
    (folder / "README.md").write_text("A card.")
    return folder


def describe(folder: Path, facts: Any) -> None:
    (folder / "assets.extra").mkdir(exist_ok=True)
    (folder / "assets.extra" / "kerasdl.json").write_text(json.dumps(facts))


def check(folder: Path, **keywords: Any) -> None:
    hashes.check_files(folder, read_description(folder), **keywords)


def test_what_was_written_passes_and_the_card_may_change(folder: Path) -> None:
    check(folder)
    (folder / "README.md").write_text("A card with a note.")
    (folder / "assets.extra" / "tf_serving_warmup_requests").write_bytes(b"requests")
    check(folder)
    os.symlink("1", folder.parent / "latest")
    check(folder.parent / "latest")
    assert list(hashes.file_hashes(folder)) == ["saved_model.pb", "variables/variables.index"]


def outside(folder: Path) -> Path:
    target = folder.parents[1] / "elsewhere"
    target.write_bytes(b"graph")
    return target


def replace_by_link(folder: Path) -> None:
    (folder / "saved_model.pb").unlink()
    os.symlink(outside(folder), folder / "saved_model.pb")


def replace_by_folder_link(folder: Path) -> None:
    shutil.move(folder / "variables", folder.parents[1] / "variables")
    os.symlink(folder.parents[1] / "variables", folder / "variables")


CHANGES = {
    "changed": (
        lambda folder: (folder / "variables" / "variables.index").write_bytes(b"indey"),
        "variables/variables.index with other content",
    ),
    "a terabyte": (
        lambda folder: os.truncate(folder / "saved_model.pb", 1 << 40),
        "saved_model.pb has 1099511627776 bytes",
    ),
    "missing": (lambda folder: (folder / "variables" / "variables.index").unlink(), "variables.index missing"),
    "added": (lambda folder: (folder / "assets").mkdir() or (folder / "assets" / "x").touch(), "assets/x not of"),
    "two added": (lambda folder: [(folder / name).touch() for name in "ab"], "a and 1 more not of the export"),
    "a link out": (replace_by_link, "saved_model.pb, a link that leads elsewhere"),
    "a folder's link": (replace_by_folder_link, "variables, a link that leads elsewhere"),
    "a link to nothing": (lambda folder: os.symlink("nowhere", folder / "x"), "x, which cannot be read"),
    "a link in a circle": (lambda folder: os.symlink("..", folder / "variables" / "up"), "up, a link"),
    "no hashes": (lambda folder: describe(folder, {"recipe": "x"}), "without hashes"),
    "empty hashes": (lambda folder: describe(folder, {"files_sha256": {}}), "without hashes"),
    "hashes as a list": (lambda folder: describe(folder, {"files_sha256": ["x"]}), "without hashes"),
    "a path out": (lambda folder: describe(folder, {"files_sha256": {"../x": "0" * 64}}), r"names '\.\./x'"),
    "an absolute path": (lambda folder: describe(folder, {"files_sha256": {"/etc/passwd": "0" * 64}}), "names '/etc"),
    "no digest": (lambda folder: describe(folder, {"files_sha256": {"x": "00"}}), "no SHA-256 of 'x'"),
    "a description that is a list": (lambda folder: describe(folder, [1]), "damaged description"),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_what_is_not_as_written_is_refused_before_it_is_loaded(
    folder: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    change, words = CHANGES[kind]
    change(folder)
    with pytest.raises(InputError, match=words):
        load_exported(folder)


def test_a_pipe_is_refused_and_not_waited_for(folder: Path) -> None:
    os.mkfifo(folder / "variables" / "pipe")
    with pytest.raises(InputError, match="variables/pipe, which is no file"):
        check(folder)


def test_odd_descriptions_are_refused(folder: Path) -> None:
    file = folder / "assets.extra" / "kerasdl.json"
    for content in ("[" * 100_000, "", '{"a": 1', "\0"):
        file.write_text(content)
        with pytest.raises(InputError, match="damaged description"):
            read_description(folder)
    with open(file, "wb") as sparse:
        sparse.truncate(2**36)
    with pytest.raises(InputError, match="damaged description"):
        read_description(folder)
    file.unlink()
    for target in ("nowhere", outside(folder)):
        os.symlink(target, file)
        with pytest.raises(InputError, match="damaged description"):
            read_description(folder)
        file.unlink()
    file.mkdir()
    with pytest.raises(InputError, match="damaged description"):
        read_description(folder)


def test_hashes_are_left_out_on_request_but_not_the_names(folder: Path) -> None:
    (folder / "variables" / "variables.index").write_bytes(b"indey")
    check(folder, verify=False)
    (folder / "more").touch()
    with pytest.raises(InputError, match="more not of the export"):
        check(folder, verify=False)


def test_a_saved_model_of_others_is_loaded_with_a_warning(exported: Path, tmp_path: Path) -> None:
    copy = tmp_path / "1"
    shutil.copytree(exported, copy)
    shutil.rmtree(copy / "assets.extra")
    with pytest.warns(UserWarning, match="no description by `export`.*is a program") as caught:
        loaded = load_exported(copy)
    assert caught[0].filename == __file__
    assert set(loaded.signatures) == {"serving_default", "encoded"}
