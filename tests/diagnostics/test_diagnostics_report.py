"""The report: whole HTML without scripts or anything from the network, whatever the names and numbers are."""

from __future__ import annotations

import math
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kerasdl
from kerasdl import InputError
from kerasdl.diagnostics import Finding, write_report

VOID = {"meta", "line", "polyline", "br", "circle", "rect"}


class Page(HTMLParser):
    """Checks that every tag is closed in order, and collects tags, attributes and text."""

    def __init__(self, text: str):
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == [], f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def check(path: Path) -> Page:
    text = path.read_text("utf-8")
    page = Page(text)
    assert path.stat().st_size < 3_000_000
    assert not {"script", "img", "link", "iframe", "object"} & set(page.tags)
    assert not re.search(r"https?://|url\(|@import|nan,|,nan|inf,", text)
    assert not [name for name, _ in page.attributes if name.startswith("on") or name in ("src", "href")]
    return page


def write(path: Path, **changes: Any) -> Page:
    arguments: dict[str, Any] = {
        "title": "a title",
        "data": "some data",
        "metrics": {"accuracy": 0.5},
        "findings": [],
        "history": {"loss": [2.0, 1.0], "val_loss": [2.0, 1.5], "learning_rate": [0.1, 0.1]},
        "best_epoch": 2,
        "config": {"epochs": 2},
        "class_names": ["a", "b"],
        "truth": np.array([0, 1, 1]),
        "scores": np.eye(2)[[0, 1, 0]],
    }
    assert write_report(path, **{**arguments, **changes}) == path
    return check(path)


def test_report_of_a_run(digits_result: kerasdl.Result, tmp_path: Path) -> None:
    path = digits_result.report(tmp_path / "report.html")
    page = check(path)
    text = " ".join(page.words)
    for expected in ("image_classification", "digits", "Learning curves", "Confusion", "batch_size"):
        assert expected in text
    assert f"{digits_result.metrics['accuracy']:.4f}" in text
    assert page.tags.count("svg") == 3
    assert check(digits_result.directory / "report.html").words == page.words
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.html"]


def test_names_are_text_and_never_markup(tmp_path: Path) -> None:
    evil = '<script>alert("x")</script>&'
    finding = Finding(evil, {evil: 1.0}, evil, {evil: evil})
    page = write(
        tmp_path / "r.html",
        title=evil,
        data=evil,
        metrics={evil: 1.0},
        findings=[finding],
        config={evil: evil},
        class_names=[evil, "b"],
    )
    assert "".join(page.words).count(evil) >= 7


@pytest.mark.parametrize(
    "history",
    [
        {"loss": [1.0], "val_loss": [2.0]},
        {"loss": [1.0, math.nan], "val_loss": [2.0, math.inf]},
        {"loss": [math.nan], "val_loss": [math.nan]},
        {"loss": [0.0, 0.0, 0.0], "val_loss": [0.0, 0.0, 0.0]},
    ],
)
def test_curves_of_any_numbers(tmp_path: Path, history: dict[str, list[float]]) -> None:
    page = write(tmp_path / "r.html", history=history, best_epoch=1)
    assert page.tags.count("svg") == (0 if history["loss"] == [pytest.approx(math.nan, nan_ok=True)] else 1)


def test_many_classes_show_what_is_confused_most(tmp_path: Path) -> None:
    names = [f"class{index}" for index in range(1000)]
    truth = np.arange(1000)
    predicted = truth.copy()
    predicted[3] = 7
    page = write(tmp_path / "r.html", class_names=names, truth=truth, scores=np.eye(1000)[predicted])
    confusion = page.words[page.words.index("Confusion") :]
    assert confusion[confusion.index("times") + 1 :][:3] == ["class3", "class7", "1"]


def test_precision_and_recall(tmp_path: Path) -> None:
    words = write(tmp_path / "r.html", class_names=["a", "b", "c"], scores=np.eye(3)[[0, 1, 0]]).words
    # a: 2 found, 1 right; b: 2 true, 1 found; c: neither.
    rows = words[words.index("recall") + 1 :]
    assert rows[:12] == ["a", "1", "0.500", "1.000", "b", "2", "1.000", "0.500", "c", "0", "none found", "none"]


def test_several_classes_of_an_example(tmp_path: Path) -> None:
    truth = np.array([[1, 1, 0], [1, 0, 0], [0, 1, 0]])
    scores = np.array([[0.9, 0.4, 0.1], [0.8, 0.6, 0.1], [0.2, 0.7, 0.1]])
    history = {"loss": [2.0, 1.0], "val_loss": [2.0, 1.5], "macro_f1": [0.1, 0.5]}
    page = write(tmp_path / "r.html", class_names=["a", "b", "c"], truth=truth, scores=scores, history=history)
    rows = page.words[page.words.index("average precision") + 1 :]
    # b: of two one is found, and one that is not there; by score: there, not there, there. c: never there.
    assert rows[:18] == [
        "a", "2", "1.000", "1.000", "1.000", "1.000",
        "b", "2", "0.500", "0.500", "0.500", "0.833",
        "c", "0", "none found", "none", "none", "none",
    ]  # fmt: skip
    assert "Confusion" not in page.words
    assert page.tags.count("svg") == 2


@pytest.mark.parametrize("path", [".", "no/such/folder/report.html"])
def test_where_it_cannot_go(digits_result: kerasdl.Result, tmp_path: Path, path: str) -> None:
    with pytest.raises(InputError, match="path"):
        digits_result.report(tmp_path / path)
