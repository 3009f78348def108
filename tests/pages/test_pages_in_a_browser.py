"""The pages in headless Chromium, as wide as a telephone and as a screen: no error, nothing wider than the page."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html import escape, unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kerasdl.diagnostics import Finding, forecast_picture, sample_groups, write_report
from kerasdl.tuning.page import search_page

CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt-get install chromium")
WIDTHS = (360, 1440)
# Frames with scripts allowed and of one origin with this page, which measures them; it has no other way to say so.
WRAPPER = """<!doctype html><meta charset="utf-8"><body>{frames}<pre id="found"></pre><script>
addEventListener("load", () => setTimeout(() => {{
  const found = [...document.querySelectorAll("iframe")].map(frame => {{
    const inside = frame.contentDocument, root = inside.documentElement;
    return {{page: frame.title, wide: frame.clientWidth, scrolls: root.scrollWidth, height: root.scrollHeight,
      sections: inside.querySelectorAll("section").length,
      broken: [...inside.images].filter(image => !image.naturalWidth).length}};
  }});
  document.getElementById("found").textContent = JSON.stringify(found);
}}, 100));
</script>"""


def report(path: Path) -> Path:
    """Write a report with everything that may be wide: names, numbers, code, many classes, series, pictures."""
    generator = np.random.default_rng(0)
    names = [f"a_rather_long_class_name_{index}" * (1 + index % 2) for index in range(12)]
    targets = np.arange(120) % 12
    scores = generator.dirichlet(np.ones(12), 120)
    images = generator.integers(0, 256, (120, 20, 30, 3), dtype=np.uint8)
    texts = np.array(["word " * 90 + "without_an_end" * 40] * 120, dtype=object)
    series = np.cumsum(generator.normal(size=60))
    quantiles = np.sort(generator.normal(size=(12, 3)), axis=1)
    remedy = {f"a_keyword_{index}": "x" * 40 for index in range(4)}
    log = {
        "layers": [f"layer{index}" for index in range(9)],
        "step": [0.0, 40.0, 90.0],
        "gradient": (10 ** generator.normal(-4, 1, (3, 9))).tolist(),
        "ratio": (10 ** generator.normal(-3, 1, (3, 9))).tolist(),
    }
    return write_report(
        path,
        title="A title of unreasonable_length_without_a_single_space_in_it · data",
        data="some data\nin two lines, the second of which goes on and on and on and on and on and on and on and on",
        metrics={"accuracy": 0.5, "log_loss": 1.25},
        baselines={f"a baseline with a long name, number {index}": {"accuracy": 0.4} for index in range(5)},
        findings=[Finding("overfitting", {"a_long_name_of_evidence" * 3: 1e-9}, "Advice. " * 30, remedy, remedy)],
        history={"loss": [2.0, 1.0], "val_loss": [2.0, 1.5], "learning_rate": [0.1, 0.01]},
        best_epoch=2,
        config={"epochs": 2, "versions": {"python": "3.11", "hash": "0" * 200}},
        class_names=names,
        truth=targets,
        scores=scores,
        samples=[
            *sample_groups(images.__getitem__, targets, scores, names),
            *sample_groups(texts.__getitem__, targets, scores, names),
        ],
        gradients=log,
        explained=[("a wide picture", '<svg role="img" width="900" height="20"><title>wide</title></svg>')],
        pictures={
            "Forecasts": [
                forecast_picture(series, series[:12], quantiles, middle=1, title="sales", levels=(0.1, 0.5, 0.9))
            ]
        },
        texts={"Sample": "x" * 3000},
        repeat={"On the command line": "kerasdl train " + "--word value " * 60},
        exports=[{"path": "saved_models/" + "x" * 300, "parity": {"examples": 1, "max_difference": 0.1}}],
    )


def search(path: Path) -> Path:
    """Write the page of a search with as many hyperparameters as one may have."""
    rows: list[dict[str, Any]] = [
        {
            "trial": index,
            "status": "finished",
            "score": 1 / index,
            "best_epoch": 2,
            "epochs": 3,
            "seconds": 31.2,
            "seed": index,
            "reason": "",
            "space": {f"a_hyperparameter_{number}": index * number for number in range(12)},
            "history": {"val_loss": [2.0, 1 / index, 1.5]},
        }
        for index in range(1, 12)
    ]
    facts = {"A fact": "word " * 60}
    return search_page(path, title="Search", rows=rows, objective="val_loss", direction="min", facts=facts)


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[dict[str, Any]], str]:
    """What the browser measured in all pages at all widths, and what it complained about: it is started once."""
    folder = tmp_path_factory.mktemp("pages")
    pages = [report(folder / "report.html"), search(folder / "search.html")]
    frames = "".join(
        f'<iframe title="{page.stem}" style="border: 0; width: {width}px; height: 900px" '
        f'srcdoc="{escape(page.read_text("utf-8"))}"></iframe>'
        for page in pages
        for width in WIDTHS
    )
    wrapper = folder / "wrapper.html"
    wrapper.write_text(WRAPPER.format(frames=frames), "utf-8")
    options = (
        "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
        "--disable-component-update --disable-sync --disable-dev-shm-usage --enable-logging=stderr --dump-dom"
    )
    done = subprocess.run(
        [str(CHROMIUM), *options.split(), "--virtual-time-budget=5000", f"--user-data-dir={folder / 'profile'}",
         "--host-resolver-rules=MAP * ~NOTFOUND", wrapper.as_uri()],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    found = re.search(r'<pre id="found">(.+?)</pre>', done.stdout)
    assert found, done.stderr[-2000:]
    return json.loads(unescape(found[1])), done.stderr


def test_nothing_is_wider_than_the_page(seen: tuple[list[dict[str, Any]], str]) -> None:
    measured, _ = seen
    assert [(each["page"], each["wide"]) for each in measured] == [
        (page, width) for page in ("report", "search") for width in WIDTHS
    ]
    for each in measured:
        assert each["scrolls"] <= each["wide"], each
        assert each["height"] > 3000, "the page is there"
        assert each["sections"] >= 7
        assert each["broken"] == 0


def test_the_browser_has_nothing_to_complain_about(seen: tuple[list[dict[str, Any]], str]) -> None:
    _, said = seen
    assert "CONSOLE" not in said
