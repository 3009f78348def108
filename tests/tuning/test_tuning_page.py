"""The page of a search: whole HTML with every trial on it, whatever the trials, their values and their scores are."""

from __future__ import annotations

import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from kerasdl.tuning.axes import number_axis, score_axis, value_axis
from kerasdl.tuning.page import search_page
from kerasdl.tuning.trial_rows import best_of, duration, ranked, score_of

VOID = {"meta", "br"}
HEADINGS = ["Best so far", "All trials side by side", "Importance", "One hyperparameter at a time", "Learning curves"]


class Page(HTMLParser):
    """Checks that every tag is closed in order, and collects tags with their attributes, and the text."""

    def __init__(self, text: str):
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == [], f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] not in (["style"], ["script"]):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.words)

    def trials(self, tag: str) -> list[int]:
        return [int(found["data-trial"] or -1) for name, found in self.tags if name == tag and "data-trial" in found]


def row(trial: int, score: Any, *, status: str = "finished", reason: str = "", **space: Any) -> dict[str, Any]:
    history = [] if score is None else [score + 1, score, score + 0.5]
    return {
        "trial": trial,
        "status": status,
        "score": score,
        "best_epoch": 2 if history else None,
        "epochs": len(history),
        "seconds": 31.2,
        "seed": 1000 + trial,
        "reason": reason,
        "space": space,
        "history": {"loss": history, "val_loss": history},
    }


def written(path: Path, rows: list[dict[str, Any]], direction: str = "min", **keywords: Any) -> Page:
    keywords = {"title": "Search", "objective": "val_loss", "facts": {}, **keywords}
    page = search_page(path / "search.html", rows=rows, direction=direction, **keywords)
    assert [file.name for file in path.iterdir()] == ["search.html"], "nothing is left beside it"
    text = page.read_text("utf-8")
    numbers = re.findall(r' (?:points|d|x|y|x1|x2|y1|y2|cx|cy|r|width|height)="([^"]*)"', text)
    assert not [found for found in numbers if "nan" in found or "inf" in found]
    return Page(text)


MIXED = [
    row(1, 0.7, learning_rate=1e-4, architecture="cnn", units=[64], ema=True, filters=16),
    row(2, 0.4, learning_rate=1e-2, architecture="mlp", units=[64, 32], ema=False),
    row(3, None, status="out_of_memory", reason="OOM: tensor <float>", learning_rate=1e-3, architecture="cnn"),
    row(4, 0.3, status="pruned", learning_rate=3e-3, architecture="mlp", units=None, ema=False),
    row(5, 0.9, learning_rate=1e-1, architecture="cnn", units=[64], ema=True, filters=24),
    row(6, math.nan, status="not_finite", reason="the loss was nan", learning_rate=1.0, architecture="cnn"),
]


def test_every_trial_is_in_the_table_and_in_the_pictures(tmp_path):
    page = written(tmp_path, MIXED, facts={"Optimism": "the best of 6 scores is too good by 0.02"})
    assert page.trials("tr") == [2, 1, 5, 4, 3, 6], "by score, failed ones last"
    assert sorted(page.trials("path")) == [3, 6], "crosses for what has no score"
    assert {1, 2, 4, 5} == set(page.trials("circle")) == set(page.trials("polyline")) - {6}
    for heading in HEADINGS:
        assert heading in page.words
    assert "OOM: tensor <float>" in page.words
    assert "out of memory" in page.words
    assert "the best of 6 scores is too good by 0.02" in page.words
    assert "6: 3 finished, 1 out of memory, 1 pruned, 1 not finite" in page.words
    assert "trial 2, val_loss 0.4" in page.words, "the pruned trial has the better score, after fewer epochs"
    assert "learning_rate=0.01, architecture='mlp', units=[64, 32], ema=False" in page.words


def test_the_best_is_highlighted_in_each_picture(tmp_path):
    tags = written(tmp_path, MIXED).tags
    best = [(tag, found["data-trial"]) for tag, found in tags if "best" in (found.get("class") or "").split()]
    assert {trial for _, trial in best} == {"2"}
    # The table, the lines side by side and over epochs, and a dot over trials and each of four hyperparameters.
    assert sorted(tag for tag, _ in best) == ["circle"] * 5 + ["polyline"] * 2 + ["tr"]


def test_for_an_accuracy_more_is_better(tmp_path):
    page = written(tmp_path, MIXED, direction="max")
    assert page.trials("tr")[:3] == [5, 1, 2]
    assert "trial 5, val_loss 0.9" in page.words


def test_the_line_of_the_best_so_far_never_gets_worse(tmp_path):
    rows = [row(index, score, a=index) for index, score in enumerate([0.8, 0.9, 0.5, 0.6, 0.2, 0.7], start=1)]
    line = next(found["points"] for _, found in written(tmp_path, rows).tags if found.get("class") == "best-so-far")
    places = [tuple(map(float, point.split(","))) for point in (line or "").split()]
    assert [y for _, y in places] == sorted(y for _, y in places), "down the picture is less"
    assert len({y for _, y in places}) == 3
    assert [x for x, _ in places] == sorted(x for x, _ in places)


def test_all_text_is_escaped(tmp_path):
    wild = "<script>alert('&\"')</script>"
    rows = [row(1, 0.5, **{wild: wild}), row(2, 0.4, **{wild: 2}), row(3, None, status="failed", reason=wild)]
    rows[0]["history"] = {wild: [3.0, 2.0]}
    page = written(tmp_path, rows, title=wild, objective=wild, facts={wild: wild})
    assert [tag for tag, _ in page.tags].count("script") == 1, "the page's own"
    assert page.words.count(wild) >= 6


def test_the_page_is_self_contained(tmp_path):
    written(tmp_path, MIXED)
    text = (tmp_path / "search.html").read_text("utf-8")
    assert not re.search(r"https?:|src=|href=\"[^#]|@import|url\(", text)


CASES: dict[str, list[dict[str, Any]]] = {
    "none": [],
    "one": [row(1, 0.5, a=1)],
    "one without hyperparameters": [row(1, 0.5)],
    "first running": [{**row(1, None, status="running", a=1), "seconds": None, "seed": None}],
    "all failed": [row(index, None, status="crashed", reason="signal 11", a=index) for index in range(1, 5)],
    "not finite": [row(1, math.inf, a=1), row(2, -math.inf, a=2), row(3, math.nan, a=3)],
    "one finite": [row(1, math.nan, a=1), row(2, 0.5, a=2)],
    "paused only": [row(1, 0.5, status="paused", a=1), row(2, 0.4, status="paused", a=2)],
    "same scores": [row(index, 0.0, a=index) for index in range(1, 12)],
    "huge": [row(index, index * 1e307, a=index) for index in range(1, 12)],
    "tiny": [row(index, index * 1e-300, a=index) for index in range(1, 12)],
    "far apart": [row(index, (-1) ** index * 1e308, a=(-1) ** index * 1.7e308) for index in range(1, 12)],
    "same values": [row(index, index / 7, a="x", b=[1], c=None) for index in range(1, 12)],
    "mixed kinds": [row(1, 0.5, a=1), row(2, 0.4, a="x"), row(3, 0.3, a=None), row(4, 0.2, a=True), row(5, 0.1, a=[])],
    "values not finite": [row(1, 0.5, a=math.nan), row(2, 0.4, a=math.inf), row(3, 0.3, a=0.1)],
    "zero on a log scale": [row(index, 0.1 * index, log=index / 10) for index in range(12)],
    "near each other": [row(1, 0.5, log=1.0), row(2, 0.5 + 1e-16, log=1.0 + 2e-16), row(3, 0.5, log=1.0 + 4e-16)],
    "many categories": [row(index, 0.1 * index, a=f"a rather long category {index}") for index in range(40)],
    "many hyperparameters": [row(i, 0.1 * i, **{f"rather_long_name_{n}": i * n for n in range(30)}) for i in range(3)],
    "tuples": [row(1, 0.5, a=(1, 2.5)), row(2, 0.4, a=())],
    "no history": [{**row(index, 0.1 * index, a=index), "history": {}} for index in range(3)],
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("direction", ["min", "max"])
def test_any_trials_make_a_page(tmp_path, case, direction):
    rows = CASES[case]
    page = written(tmp_path, rows, direction, log_names={"log"})
    assert page.trials("tr") == [found["trial"] for found in ranked(rows, direction)]
    assert ("Best so far" in page.words) is any(score_of(found) is not None for found in rows)


def test_what_the_page_says_where_there_is_no_best(tmp_path):
    assert "No trial was started yet." in written(tmp_path, CASES["none"]).text
    text = written(tmp_path, CASES["all failed"]).text
    assert "No trial has a score yet. The most frequent reason: signal 11" in text
    assert "paused; no trial is finished yet" in written(tmp_path, CASES["paused only"]).text
    assert "Told from 8 finished trials on; there are 0." in written(tmp_path, CASES["paused only"]).text
    assert "No hyperparameter explains the scores" in written(tmp_path, CASES["same scores"]).text
    assert "The same wherever it is there: a x, b (1), c None." in written(tmp_path, CASES["same values"]).text


def test_rows_from_json_give_the_same_page(tmp_path):
    written(tmp_path, MIXED)
    page = (tmp_path / "search.html").read_text("utf-8")
    written(tmp_path, json.loads(json.dumps(MIXED)))
    assert (tmp_path / "search.html").read_text("utf-8") == page


def test_one_diverged_trial_leaves_room_for_the_others():
    scores = [0.3, 0.35, 0.4, 0.42, 0.5, 0.6, 1e6]
    low, high = score_axis(scores, "min"), score_axis([-score for score in scores], "max")
    assert low.place(0.6) - low.place(0.3) > 0.5
    assert low.place(1e6) == 1
    assert high.place(-0.3) - high.place(-0.6) > 0.5
    assert high.place(-1e6) == 0
    assert score_axis([0.3, -1e6, *scores[:-1]], "min").place(0.3) > 0.9, "a far better score is never cut"


def test_axes_by_kind():
    def axis(*values: Any, log: bool = False) -> Any:
        return value_axis([row(index, 0.5, a=value) for index, value in enumerate(values)], "a", log=log)

    assert axis(128, 32, 64).labels == ("32", "64", "128")
    assert axis(*range(1, 20)).kind == "linear"
    assert axis(0.1, 0.5, 0.9).kind == "linear"
    assert axis(0.1, 0.5, 0.9, log=True).kind == "log"
    assert axis(1e-5, 1e-2).kind == "log", "linear, only the largest would be seen"
    assert axis(0.0, 1e-5, 1.0, log=True).kind == "linear", "zero has no logarithm"
    assert axis(True, False).labels == ("False", "True")
    assert axis("b", "a").labels == ("a", "b")
    assert axis([64, 32], None, [0.123456]).labels == ("(64, 32)", "None", "(0.1235)")
    assert axis(1e-4, 1e-2, log=True).place(1e-3) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("values", "log", "labels"),
    [
        ([0, 10], False, ["0", "2", "4", "6", "8", "10"]),
        ([0.31, 0.79], False, ["0.4", "0.5", "0.6", "0.7"]),
        ([1e-5, 1e-1], True, ["1e-05", "0.0001", "0.001", "0.01", "0.1"]),
        ([16, 128], True, ["20", "30", "50", "100"]),
    ],
)
def test_ticks_are_round(values, log, labels):
    assert [label for _, label in number_axis(values, log=log).ticks()] == labels


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (31.2, "31 s"), (99.6, "2 min"), (3599, "60 min"), (7500, "2 h 05 min")]
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_the_first_of_equals_is_the_best():
    assert best_of([row(1, 0.5), row(2, 0.5)], "min") == row(1, 0.5)
    assert best_of([row(1, 0.5), row(2, 0.5)], "max") == row(1, 0.5)
    assert best_of([], "min") is None
