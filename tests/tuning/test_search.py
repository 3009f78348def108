"""A search keeps its promises: nothing is lost or repeated, a promoted trial never paused, faults are rows."""

from __future__ import annotations

import inspect
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kerasdl
from kerasdl import InputError, search_rows, search_trial
from kerasdl.search import Outcome
from kerasdl.search_run import Search
from kerasdl.tuning import search
from recipes import forecasting, image_classification
from tests.tuning import faulty_recipe

CALL: dict[str, Any] = {
    "space": {"units": [8, 16], "learning_rate": (1e-3, 1e-1)},
    "architecture": "mlp",
    "epochs": 3,
    "max_trials": 3,
    "tuner": "hyperband",
    "finalists": 2,
    "repeats": 2,
    "verbose": 0,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("search") / "digits"


@pytest.fixture(scope="module")
def outcome(folder: Path) -> Outcome:
    return search(image_classification, "digits", directory=folder, **CALL)


def without_seconds(outcome: Outcome) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name != "seconds"} for row in outcome.table]


def test_a_promoted_trial_is_the_training_that_never_paused(outcome: Outcome) -> None:
    assert {row["status"] for row in outcome.table} == {"finished", "paused"}
    assert sorted({row["epochs"] for row in outcome.table}) == [1, 3]
    undisturbed = image_classification.train("digits", **outcome.best_config, verbose=0)
    assert undisturbed.history == outcome.best.history
    for one, other in zip(undisturbed.model.get_weights(), outcome.best.model.get_weights(), strict=True):
        assert np.array_equal(one, other)
    assert outcome.best.metrics == undisturbed.metrics


def test_the_winner_is_named_by_several_seeds(outcome: Outcome) -> None:
    winner = outcome.finalists[0]
    assert len(winner["scores"]) == 2
    assert winner["mean"] == pytest.approx(np.mean(winner["scores"]))
    assert outcome.optimism == pytest.approx(winner["scores"][0] - winner["scores"][1])
    assert "Optimism" in outcome.facts
    assert "Test split, once" in outcome.facts


def test_only_the_best_models_stay_on_disk(outcome: Outcome, folder: Path) -> None:
    kept = {path.parent.name for path in (folder / "trials").glob("*/run")}
    assert kept == {f"{row['trial']:04d}" for row in outcome.table if row["status"] == "finished"}
    assert not (folder / ".data").exists()
    assert {"table.csv", "search.html", "outcome.json", "best"} <= {path.name for path in folder.iterdir()}


def test_the_same_call_again_trains_nothing_and_says_the_same(outcome: Outcome, folder: Path) -> None:
    events = (folder / "events.jsonl").read_bytes()
    again = search(image_classification, "digits", directory=folder, **CALL)
    assert (folder / "events.jsonl").read_bytes() == events
    assert again.table == outcome.table
    assert again.best.metrics == outcome.best.metrics


def test_another_search_in_the_same_folder_is_refused_with_the_difference(outcome: Outcome, folder: Path) -> None:
    for change, words in (
        ({"space": {"units": [8, 32], "learning_rate": (1e-3, 1e-1)}}, r"space: units was .*16.* and is .*32"),
        ({"epochs": 4}, "fixed: epochs was 3 there and is 4 now"),
        ({"max_trials": 5}, "search: max_trials was 3 there and is 5 now"),
    ):
        with pytest.raises(InputError, match=words):
            search(image_classification, "digits", directory=folder, **CALL | change)


def test_refit_trains_on_training_and_validation_for_the_best_number_of_epochs(outcome: Outcome) -> None:
    again = outcome.refit(verbose=0)
    best = next(row for row in outcome.table if row["trial"] == outcome.finalists[0]["trial"])
    assert (again.config["epochs"], again.config["keep"]) == (best["best_epoch"], "last")
    counts = outcome.best.dataset.counts
    assert len(again.dataset.train) == counts["train"] + counts["validation"]
    assert again.dataset.counts["test"] == counts["test"]


def test_refit_lets_a_constant_learning_rate_fall(outcome: Outcome, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []
    monkeypatch.setattr(image_classification, "train", lambda data, **keywords: asked.append(keywords))
    keywords = outcome._winner["keywords"]
    for schedule in ("constant", "plateau", "one_cycle"):
        monkeypatch.setitem(keywords, "schedule", schedule)
        outcome.refit()
    outcome.refit(schedule="constant")
    assert [each["schedule"] for each in asked] == ["cosine", "cosine", "one_cycle", "constant"]


def test_when_time_is_over_the_best_trial_is_not_left_halfway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def two_have_paused(run: Search) -> bool:
        return len(run.rows) >= 2 and all(row["epochs"] for row in run.rows)

    monkeypatch.setattr(Search, "_is_over_budget", two_have_paused)
    found = search(image_classification, "digits", directory=tmp_path / "short", budget_minutes=600, **CALL)
    assert sorted((row["status"], row["epochs"]) for row in found.table) == [("finished", 3), ("paused", 1)]
    # Neither the best trial's way to its end nor its other seeds are stopped by a budget that is over.
    assert len(found.finalists[0]["scores"]) == 2
    assert found.best.history == image_classification.train("digits", **found.best_config, verbose=0).history
    (tmp_path / "short" / "outcome.json").unlink()
    again = search(image_classification, "digits", directory=tmp_path / "short", budget_minutes=600, **CALL)
    assert again.table == found.table


def test_bad_arguments_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    for change, words in (
        ({"tuner": "best"}, "tuner: received 'best'"),
        ({"max_trials": 0}, "max_trials"),
        ({"objective": "accuracy"}, "a curve of the validation split"),
        ({"callbacks": []}, "callbacks: received an argument that a search sets"),
        ({"epoch": 3}, "epoch: received an unknown argument"),
        ({"epochs": 0}, "epochs"),
        ({"space": 3}, "space: received 3"),
    ):
        with pytest.raises(InputError, match=words):
            search(image_classification, "digits", directory=tmp_path / "new", **CALL | change)
    with pytest.raises(InputError, match="a recipe, such as"):
        search(json, "digits", directory=tmp_path / "new")
    assert not (tmp_path / "new" / "events.jsonl").exists()
    (tmp_path / "file.txt").write_text("mine")
    with pytest.raises(InputError, match="holds files and no search"):
        search(image_classification, "digits", directory=tmp_path, **CALL)


def test_what_goes_wrong_is_a_row_with_its_reason(tmp_path: Path) -> None:
    outcome = search(
        faulty_recipe, "digits", tuner="grid", repeats=1, trial_minutes=0.5, directory=tmp_path / "faults", verbose=0
    )
    rows = {row["fault"]: row for row in outcome.table}
    assert {fault: row["status"] for fault, row in rows.items()} == {
        "none": "finished",
        "raises": "failed",
        "memory": "out_of_memory",
        "dies": "crashed",
        "hangs": "timed_out",
        "refused": "failed",
        "not_finite": "not_finite",
    }
    assert "ZeroDivisionError: on purpose" in rows["raises"]["reason"]
    assert "signal 11" in rows["dies"]["reason"]
    assert outcome.best_config["fault"] == "none"


def test_a_trial_that_is_lost_has_not_crashed_and_is_given_up_at_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = {"space": {"fault": ["loses_server"]}, "max_trials": 1, "repeats": 1, "verbose": 0}
    found = search(faulty_recipe, "digits", directory=tmp_path / "found", **call)
    assert [row["status"] for row in found.table] == ["finished"]
    assert len((tmp_path / "found/trials/0000/losses").read_bytes()) == faulty_recipe.LOSSES
    monkeypatch.setattr(search_rows, "ATTEMPTS_LOST", 2)
    with pytest.raises(RuntimeError, match="2 times lost with the machine or the process that trained it"):
        search(faulty_recipe, "digits", directory=tmp_path / "lost", **call)
    assert len((tmp_path / "lost/trials/0000/losses").read_bytes()) == 2


def test_killed_anywhere_it_goes_on_and_ends_the_same(outcome: Outcome, tmp_path: Path) -> None:
    script = (
        "import json, sys\nfrom recipes import image_classification\nfrom kerasdl.tuning import search\n"
        "call = json.loads(sys.argv[2]); call['space']['learning_rate'] = tuple(call['space']['learning_rate'])\n"
        "search(image_classification, 'digits', directory=sys.argv[1], **call)\n"
    )
    place = tmp_path / "killed"

    def killed_when(ready: Any, victim: str) -> None:
        process = subprocess.Popen([sys.executable, "-W", "ignore", "-c", script, str(place), json.dumps(CALL)])
        deadline = time.monotonic() + 300
        while not ready() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        if victim == "child":  # the search goes on by itself
            for pid in children_of(children_of(process.pid)[0]):
                os.kill(pid, signal.SIGKILL)
            process.wait(timeout=300)
            return
        process.kill()
        process.wait()

    log = place / "events.jsonl"
    killed_when(lambda: log.exists() and b'"trial": 1' in log.read_bytes(), "parent")
    assert log.read_bytes().count(b'"end"') < 6
    killed_when(lambda: (place / "trials/0002/epochs.jsonl").exists(), "child")
    again = search(image_classification, "digits", directory=place, **CALL)
    assert without_seconds(again) == without_seconds(outcome)
    assert again.best.metrics == outcome.best.metrics
    for one, other in zip(again.best.model.get_weights(), outcome.best.model.get_weights(), strict=True):
        assert np.array_equal(one, other)
    assert not [pid for pid in os.listdir("/proc") if pid.isdigit() and _runs_in(place, pid)]


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _runs_in(place: Path, pid: str) -> bool:
    try:
        return str(place).encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def test_keywords_that_change_the_data_can_be_searched(tmp_path: Path) -> None:
    call = CALL | {"space": {"image_size": [8, 12]}, "tuner": "grid", "epochs": 1, "repeats": 1}
    arrays = (np.zeros((40, 8, 8, 1), np.uint8), np.arange(40) % 2)
    with pytest.raises(InputError, match="data from memory"):
        search(image_classification, arrays, directory=tmp_path / "arrays", **call)


def test_what_the_data_depend_on_is_all_that_their_loader_takes() -> None:
    parameters = inspect.signature(kerasdl.data.load_forecasting).parameters.values()
    assert tuple(each.name for each in parameters if each.kind is each.KEYWORD_ONLY) == forecasting.DATA_KEYWORDS


def test_the_whole_split_is_there_once() -> None:
    for name, kind in (("digits", "images"), ("stocks", "forecasting")):
        dataset = kerasdl.data.load_forecasting(name) if kind == "forecasting" else kerasdl.data.load(name)
        merged = kerasdl.data.with_validation_in_training(dataset)
        assert len(merged.train) >= len(dataset.train) + len(dataset.validation)
        assert len(merged.test) == len(dataset.test)


def test_the_way_of_the_best_trial_to_its_end_is_known() -> None:
    paused = {"trial": 0, "status": "paused", "score": 0.8, "seconds": 20.0, "epochs": 2, "keywords": {}}
    worse = {**paused, "trial": 1, "score": 0.7, "seconds": 2.0}
    assert search_rows.seconds_to_finish([worse, paused], "max", 10) == 80.0
    assert search_rows.seconds_to_finish([worse, paused], "min", 10) == 8.0
    assert search_rows.seconds_to_finish([], "max", 10) == 0.0
    # Where it is known what the start of a process takes, it is no part of an epoch's time.
    told = {**worse, "seconds": 12.0, "epochs": 4, "pace": {"legs": 2, "epoch": 1.0}}
    assert search_rows.seconds_to_finish([told, paused], "max", 10) == 4.0 + 8 * (20.0 - 4.0) / 2
    assert search_rows.seconds_to_finish([told, {**paused, "pace": {"legs": 1, "epoch": 0.5}}], "max", 10) == 11.5 + 4.0
    # What is finished is an answer, whatever another may become; what runs may become one.
    finished = {**paused, "status": "finished", "score": 0.1}
    assert search_rows.seconds_to_finish([paused, finished], "max", 10) == 0.0
    assert search_rows.seconds_to_finish([worse, {**paused, "status": "running"}], "max", 10) == 0.0


def test_the_pace_of_a_trial_leaves_out_the_starts_of_its_processes(tmp_path: Path) -> None:
    assert search_rows.read(tmp_path, None)["pace"] == {"legs": 1, "epoch": None}
    lines = [
        json.dumps({"epoch": epoch, "seconds": seconds, "first_step": 7.0, "logs": {}})
        for epoch, seconds in ((1, 9.0), (2, 7.5), (3, 8.0), (4, 8.5))
    ]
    path = tmp_path / search_trial.EPOCHS_FILE
    path.write_text('{"epoch": 1, "seconds": 9.0, "logs": {}}\n', encoding="utf-8")
    assert search_rows.read(tmp_path, None)["pace"] == {"legs": 1, "epoch": None}
    path.write_text("\n".join(lines[:1]) + "\n", encoding="utf-8")
    assert search_rows.read(tmp_path, None)["pace"] == {"legs": 1, "epoch": 2.0}
    path.write_text("\n".join([*lines, '{"epoch": 5, "sec']) + "\n", encoding="utf-8")
    assert search_rows.read(tmp_path, None)["pace"] == {"legs": 2, "epoch": 0.5}
