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
from kerasdl.diagnostics import Finding, sample_groups, write_report

VOID = {"meta", "br", "img"}
HEADINGS = ("h1", "h2", "h3")


class Page(HTMLParser):
    """Checks that every tag is closed in order, and collects tags with their attributes, text and headings."""

    def __init__(self, text: str):
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.under: dict[str, list[str]] = {}
        self.untitled = 0
        self.feed(text)
        self.close()
        assert self.open == [], f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if self.elements and self.elements[-1][0] == "svg" and tag != "title":
            self.untitled += 1
        self.tags.append(tag)
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] == ["style"] or not data.strip():
            return
        self.words.append(data)
        if self.open[-1:] == ["h2"]:
            self.under[data] = []
        elif self.under:
            next(reversed(self.under.values())).append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def check(path: Path) -> Page:
    """Check what must hold of any report: whole, small, by itself, and readable without eyes."""
    text = path.read_text("utf-8")
    page = Page(text)
    assert path.stat().st_size < 3_000_000
    assert not {"script", "link", "iframe", "object"} & set(page.tags)
    assert not re.search(r'(?<!xmlns=")https?://|url\(|@import', text)
    for _, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on")]
        assert (attributes.get("href") or "#").startswith("#")
        assert (attributes.get("src") or "data:image/png;base64,").startswith("data:image/png;base64,")
    drawn = [found.get(name) or "" for _, found in page.elements for name in ("points", "cx", "cy", "x1", "y1", "d")]
    assert not [each for each in drawn if "nan" in each or "inf" in each]
    levels = [int(tag[1]) for tag in page.tags if tag in HEADINGS]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in zip(levels, levels[1:], strict=False))
    for landmark in ("header", "nav", "main", "footer"):
        assert page.tags.count(landmark) == 1
    identifiers = [found["id"] for _, found in page.elements if "id" in found]
    assert len(set(identifiers)) == len(identifiers)
    assert {(found["href"] or "")[1:] for found in page.all("a")} <= set(identifiers)
    assert page.untitled == 0
    assert all(found.get("role") == "img" for found in page.all("svg"))
    assert all(found.get("alt") for found in page.all("img"))
    assert page.tags.count("caption") == page.tags.count("table")
    assert all(found.get("scope") in ("col", "row") for found in page.all("th"))
    boxes = [found for _, found in page.elements if "scroll" in (found.get("class") or "").split()]
    assert all(found.get("tabindex") == "0" and found.get("aria-label") for found in boxes)
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
    for expected in ("image_classification", "digits", "Learning curves", "Confusion", "batch_size", "Calibration"):
        assert expected in text
    assert f"{digits_result.metrics['accuracy']:.4f}" in text
    # Loss, accuracy, learning rate, calibration; gradients over depth, over time, and updates.
    assert page.tags.count("svg") == 7
    assert 12 <= page.tags.count("img") <= 24
    assert "kerasdl rerun" in text
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
    assert ("Learning curves" in page.under) == ("svg" in page.tags)
    assert page.tags.count("svg") == (0 if history["loss"] == [pytest.approx(math.nan, nan_ok=True)] else 1)


def test_what_only_the_validation_split_has_is_drawn_after_the_loss(tmp_path: Path) -> None:
    history = {"boxes_loss": [2.0, 1.0], "loss": [3.0, 2.0], "val_loss": [3.0, 2.5], "val_map": [0.1, 0.4]}
    words = "".join(write(tmp_path / "r.html", history=history, best_epoch=1).words)
    assert words.index("loss") < words.index("map") < words.index("boxes loss")


def test_many_classes_show_what_is_confused_most(tmp_path: Path) -> None:
    names = [f"class{index}" for index in range(1000)]
    truth = np.arange(1000)
    predicted = truth.copy()
    predicted[3] = 7
    page = write(tmp_path / "r.html", class_names=names, truth=truth, scores=np.eye(1000)[predicted])
    assert page.under["Confusion"][-3:] == ["class3", "class7", "1"]


def test_precision_and_recall(tmp_path: Path) -> None:
    page = write(tmp_path / "r.html", class_names=["a", "b", "c"], scores=np.eye(3)[[0, 1, 0]])
    words = page.under["Classes"]
    # a: 2 found, 1 right; b: 2 true, 1 found; c: neither.
    assert words[words.index("F1") + 1 :] == [
        "a", "1", "0.500", "1.000", "0.667",
        "b", "2", "1.000", "0.500", "0.667",
        "c", "0", "none found", "none", "none",
    ]  # fmt: skip


def test_several_classes_of_an_example(tmp_path: Path) -> None:
    truth = np.array([[1, 1, 0], [1, 0, 0], [0, 1, 0]])
    scores = np.array([[0.9, 0.4, 0.1], [0.8, 0.6, 0.1], [0.2, 0.7, 0.1]])
    history = {"loss": [2.0, 1.0], "val_loss": [2.0, 1.5], "macro_f1": [0.1, 0.5]}
    page = write(tmp_path / "r.html", class_names=["a", "b", "c"], truth=truth, scores=scores, history=history)
    rows = page.under["Classes"][page.under["Classes"].index("average precision") + 1 :]
    # b: of two one is found, and one that is not there; by score: there, not there, there. c: never there.
    assert rows[:18] == [
        "a", "2", "1.000", "1.000", "1.000", "1.000",
        "b", "2", "0.500", "0.500", "0.500", "0.833",
        "c", "0", "none found", "none", "none", "none",
    ]  # fmt: skip
    assert "Confusion" not in page.under
    assert page.tags.count("svg") == 2


@pytest.mark.parametrize("path", [".", "no/such/folder/report.html"])
def test_where_it_cannot_go(digits_result: kerasdl.Result, tmp_path: Path, path: str) -> None:
    with pytest.raises(InputError, match="path"):
        digits_result.report(tmp_path / path)


def test_a_finding_is_a_card_with_a_call_that_can_be_copied(tmp_path: Path) -> None:
    finding = Finding("overfitting", {"gap": 0.25}, "Regularize the model.", {"dropout": 0.3}, {"examples": [1, 2]})
    leak = Finding("leakage", {"count": 3}, "Some test examples are in the training split.", {})
    page = write(tmp_path / "r.html", findings=[finding, leak], recipe="image_classification")
    text = " ".join(page.under["Findings"])
    assert 'image_classification.train(**{**result.config, "dropout": 0.3})' in text
    assert "Evidence from the training and validation splits." in text
    assert text.count("Remedy:") == 1
    assert "2 things were found" in " ".join(page.under["Verdict"])
    memory = write(tmp_path / "r.html", findings=[finding], recipe="x", config={"data": "arrays"})
    assert 'x.train(**{**result.config, "data": data, "dropout": 0.3})' in " ".join(memory.under["Findings"])


def test_a_model_that_something_simple_beats_gets_no_good_verdict(tmp_path: Path) -> None:
    def said(accuracy: float) -> str:
        baselines = {"nearest neighbour": {"accuracy": accuracy}}
        truth, scores = np.arange(200) % 2, np.eye(2)[np.zeros(200, int)]
        page = write(tmp_path / "r.html", baselines=baselines, truth=truth, scores=scores)
        kind = next(found["class"] for found in page.all("section"))
        return f"{kind}: {' '.join(page.under['Verdict'])}"

    assert said(0.9).startswith("verdict: ")
    assert "nearest neighbour, does as well or better" in said(0.9)
    assert said(0.5).startswith("verdict good: ")


def test_samples_of_every_kind(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    targets = np.array([0, 1, 1, 0] * 10)
    scores = np.where(np.eye(2)[targets] == 1, 0.9, 0.1)
    scores[7] = scores[7, ::-1]
    inputs = {
        "img": generator.integers(0, 256, (40, 300, 200, 3), dtype=np.uint8),
        "svg": generator.normal(size=(40, 30, 2)),
        "blockquote": np.array(["<script>alert(1)</script> " * 50] * 40, dtype=object),
    }
    bare = write(tmp_path / "r.html")
    for tag, values in inputs.items():
        groups = sample_groups(values.__getitem__, targets, scores, ["a", "<b>"])
        assert [group.samples[0].facts["number"] for group in groups] == ["7", "7"]
        assert len(groups[0].samples) == 12
        assert len(groups[1].samples) == 1
        page = write(tmp_path / "r.html", samples=groups)
        assert page.tags.count(tag) - bare.tags.count(tag) == 13
        assert "validation split" in " ".join(page.under["Samples"])


def test_explanations_stop_before_the_page_is_too_large(tmp_path: Path) -> None:
    svg = f'<svg role="img" viewBox="0 0 1 1"><title>t</title><!-- {"x" * 400_000} --></svg>'
    page = write(tmp_path / "r.html", explained=[("a <caption>", svg)] * 9)
    assert "a <caption>" in page.words
    assert "Further examples would make this page too large." in page.under["What answers rest on"]


def test_gradients_and_exports_and_what_was_tried(tmp_path: Path) -> None:
    log = {
        "layers": ["first", "<last>"],
        "step": [0.0, 40.0, 80.0],
        "gradient": [[1e-6, 1.0], [1e-6, math.nan], [0.0, 0.5]],
        "ratio": [[1e-3, 1e-2], [1e-3, 1e-2], [1e-3, math.nan]],
    }
    parity = {"examples": 64, "max_difference": 1e-7, "tolerance": 1e-5}
    exports = [{"path": "saved/1", "format": "onnx", "parity": parity, "exported_metrics": {"accuracy": 0.5}}]
    story = [{"finding": "overfitting", "remedy": {"dropout": 0.3}, "score": 0.5, "gain": 0.1, "low": 0.05,
              "high": 0.15, "kept": True, "reason": ""}]  # fmt: skip
    page = write(tmp_path / "r.html", gradients=log, exports=exports, story=story)
    assert " ".join(page.under["Gradients"]).count("<last>") >= 3
    assert {"saved/1", "onnx", "64", "1.0e-07", "1e-05", "accuracy 0.5"} <= set(page.under["Exports"])
    assert "dropout=0.3" in page.under["What was tried"]
