"""The trials as CSV come back to the bit, and what is seen of a search while it goes on says each trial once."""

from __future__ import annotations

import ast
import csv
import io
import math
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from kerasdl.tuning.table import FIXED, LiveTable, as_csv


def row(trial: int, score: Any, *, status: str = "finished", reason: str = "", **space: Any) -> dict[str, Any]:
    return {
        "trial": trial,
        "status": status,
        "score": score,
        "best_epoch": 7,
        "epochs": 9,
        "seconds": 31.2,
        "seed": 12345,
        "reason": reason,
        "space": space,
        "history": {"val_loss": [1.0]},
    }


ROWS = [
    row(1, 0.1 + 0.2, learning_rate=1 / 3, architecture="cnn", ema=True, units=[64, 32]),
    row(2, None, status="out_of_memory", reason='too large: "a", b\nc', learning_rate=5e-324, dropout=0.2),
    row(3, math.nan, status="not_finite", learning_rate=1e22, architecture="a,b", units=None),
]


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_csv_comes_back_to_the_bit():
    lines = read(as_csv(ROWS))
    assert len(lines) == 3
    for line, given in zip(lines, ROWS, strict=True):
        for name in ("trial", "epochs", "seconds", "seed"):
            assert ast.literal_eval(line[name]) == given[name]
        assert line["status"] == given["status"]
        assert line["reason"] == given["reason"]
        assert float(line["learning_rate"]) == given["space"]["learning_rate"]
    assert float(lines[0]["score"]) == 0.1 + 0.2
    assert lines[1]["score"] == ""
    assert math.isnan(float(lines[2]["score"]))
    assert [line["architecture"] for line in lines] == ["cnn", "", "a,b"]
    assert [line["dropout"] for line in lines] == ["", "0.2", ""]
    assert ast.literal_eval(lines[0]["units"]) == [64, 32]
    assert lines[0]["ema"] == "True"
    assert lines[2]["units"] == "None", "chosen, not missing"


def test_a_hyperparameter_may_have_the_name_of_a_column():
    header = as_csv([row(1, 0.5, epochs=20, dropout=0.1)]).splitlines()[0].split(",")
    assert header == [*FIXED, "space.epochs", "dropout"]
    assert read(as_csv([row(1, 0.5, epochs=20)]))[0]["epochs"] == "9"


def test_numbers_of_numpy_are_written_as_numbers():
    value = np.float32(0.1)
    line = read(as_csv([row(1, np.float64(0.3), a=value, b=np.int64(3), c=[np.float64(0.5)])]))[0]
    assert np.float32(float(line["a"])) == value
    assert (line["score"], line["b"], line["c"]) == ("0.3", "3", "[0.5]")


def test_csv_of_no_trials_is_its_header():
    assert as_csv([]) == ",".join(FIXED) + "\n"


def shown(*updates: Any, terminal: bool = False, **keywords: Any) -> str:
    """Return what a live table prints on these updates."""
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=110, height=40, color_system=None, legacy_windows=False)
    with LiveTable("val_loss", console=console, **keywords) as table:
        for rows, running, best, left in updates:
            table.update(rows, running, best, done=len(rows) - len(running), total=20, seconds_left=left)
    return out.getvalue()


FIRST = row(1, 0.4012, learning_rate=0.01, dropout=0.1, epochs=20)
SECOND = row(2, None, status="out_of_memory", reason="OOM [64,\n64]", learning_rate=0.1, dropout=0.1, epochs=20)
THIRD = row(3, 0.4312, learning_rate=0.0031, dropout=0.2, epochs=20)
FOURTH = row(4, None, status="running", learning_rate=0.3, dropout=0.3, epochs=20)


def test_one_plain_line_a_trial():
    text = shown(
        ([FIRST], {}, FIRST, None),
        ([FIRST, SECOND], {}, FIRST, 400.0),
        ([FIRST, SECOND, THIRD, FOURTH], {4: (1, 20)}, FIRST, 360.0),
        ([FIRST, SECOND, THIRD, FOURTH], {4: (2, 20)}, FIRST, 350.0),
    )
    assert text.splitlines() == [
        "trial 1 of 20: val_loss 0.4012 (the best so far), 31 s, learning_rate 0.01, dropout 0.1, epochs 20",
        "trial 2 of 20: out of memory: OOM [64, 64] (best 0.4012, trial 1), 31 s, learning_rate 0.1; about 7 min left",
        "trial 3 of 20: val_loss 0.4312 (best 0.4012, trial 1), 31 s, learning_rate 0.0031, dropout 0.2; "
        "about 6 min left",
    ]


def test_a_paused_trial_is_told_each_time_it_pauses():
    paused, later = row(1, 0.5, status="paused", a=1), row(1, 0.4, status="paused", a=1)
    later["epochs"] = 18
    text = shown(*[([each], {}, each, None) for each in (paused, paused, later, {**later, "status": "finished"})])
    assert text.splitlines() == [
        "trial 1 of 20: val_loss 0.5, paused after 9 epochs (the best so far), 31 s, a 1",
        "trial 1 of 20: val_loss 0.4, paused after 18 epochs (the best so far), 31 s, a 1",
        "trial 1 of 20: val_loss 0.4 (the best so far), 31 s, a 1",
    ]


def test_trials_of_before_an_interruption_are_not_told_again():
    text = shown(([FIRST, SECOND, THIRD], {}, FIRST, None), known=[FIRST, SECOND])
    assert [line.split(":")[0] for line in text.splitlines()] == ["trial 3 of 20"]


@pytest.mark.parametrize("terminal", [False, True])
def test_silence(terminal):
    assert shown(([FIRST], {}, FIRST, 1.0), terminal=terminal, verbose=0) == ""


def test_plain_lines_on_a_terminal_when_asked_for():
    assert shown(([FIRST], {}, FIRST, None), terminal=True, verbose=2).startswith("trial 1 of 20: val_loss 0.4012")


def test_a_live_table_on_a_terminal():
    rows = [FIRST, SECOND, THIRD, FOURTH]
    text = shown((rows, {4: (3, 20)}, FIRST, 360.0), terminal=True)
    assert "trial 2: out of memory: OOM [64, 64]" in text
    assert "3 of 20 trials  ·  1 failed  ·  best val_loss 0.4012 (trial 1)  ·  about 6 min left" in text
    last = text[text.rindex("3 of 20 trials") :]
    assert "3/20" in last
    assert "learning_rate 0.3, dropout 0.3" in last
    assert [line.split()[1] for line in last.splitlines()[2:6]] == ["finished", "out", "finished", "running"]


def test_where_not_all_fits_the_values_give_way_and_nothing_else():
    many = [{**each, "space": {f"hyperparameter_{n}": each["trial"] + n for n in range(9)}} for each in (FIRST, THIRD)]
    lines = shown((many, {}, many[0], None), terminal=True).splitlines()[-3:-1]
    assert [line.split()[:2] for line in lines] == [["1", "finished"], ["3", "finished"]]
    assert [line.split()[3] for line in lines] == ["0.4012", "0.4312"]
    assert all(line.rstrip().endswith("…") for line in lines)


def test_a_live_table_with_nothing_to_show():
    assert "0 of 20 trials" in shown(([], {}, None, None), terminal=True)
