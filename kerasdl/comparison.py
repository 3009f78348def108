"""Two finished runs side by side: what differs, the test metrics, the findings, the curves; as rows and as a page."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from kerasdl import configuration, run_directory
from kerasdl.pages.chart import curves
from kerasdl.pages.frame import Section, paragraph, table, write_page

Row = tuple[str, str, str]


def configuration_changes(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[Row]:
    """Return name and both values of what differs in the arguments that have an effect, versions and hardware."""
    rows = [(name, repr(old), repr(new)) for name, old, new in configuration.differences(one, other)]
    for name in ("versions", "hardware"):
        keys = sorted({*one[name], *other[name]})
        pairs = [(key, one[name].get(key), other[name].get(key)) for key in keys]
        rows += [(f"{name}: {key}", repr(old), repr(new)) for key, old, new in pairs if old != new]
    return rows


def metrics_beside(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[Row]:
    """Return each test metric of the first run and the same of the other."""
    return [
        (name, f"{value:.4f}", f"{other['metrics'].get(name, float('nan')):.4f}")
        for name, value in one["metrics"].items()
    ]


def write_comparison(path: Path, one: str, other: str) -> Path:
    """Write the page that compares two runs, and return its path.

    Args:
        path: Where the page goes.
        one: Folder of a finished run.
        other: Folder of another.

    Raises:
        InputError: When a folder is damaged.
    """
    folders = [Path(one), Path(other)]
    configs = [run_directory.read(folder / run_directory.CONFIG_FILE) for folder in folders]
    facts = [run_directory.read(folder / run_directory.RESULT_FILE) for folder in folders]
    histories = [run_directory.read_history(folder) for folder in folders]
    header = ["", one, other]
    changes = configuration_changes(*configs)
    same_data = configs[0].get("data_fingerprint") == configs[1].get("data_fingerprint")
    names = [name for name in histories[0] if name in histories[1]]
    names.sort(key=lambda name: (not name.startswith("val_"), name))
    figures = [
        curves({one: histories[0][name], other: histories[1][name]}, title=name.replace("_", " "), note="over epochs")
        for name in names
    ]
    said = (
        "Both runs had the same data."
        if same_data
        else "The data of the runs are not the same: their metrics are of different test splits and do not compare."
    )
    caption = "Each on the test split of its own data, which was neither trained on nor chosen by"
    metrics = paragraph(said) + table(header, metrics_beside(*facts), caption=caption)
    differ = table(header, changes, caption="What has an effect and differs", text=(1, 2)) if changes else ""
    sections = [
        Section("Test split", metrics, kind="verdict good" if same_data else "verdict"),
        Section("What differs", differ or paragraph("Nothing that has an effect.")),
        Section("Findings", "".join(_found(name, each) for name, each in zip((one, other), facts, strict=True))),
        Section("Learning curves", f'<div class="pair">{"".join(figures)}</div>' if any(figures) else ""),
    ]
    recipes = " and ".join(dict.fromkeys(str(each["recipe"]).replace("_", " ") for each in facts))
    about = f"{one} and {other}\n{recipes}"
    return write_page(path, title="Two runs compared", kind="Comparison", about=about, sections=sections)


def _found(name: str, facts: Mapping[str, Any]) -> str:
    items = "".join(
        f"<li><strong>{escape(str(each['name']).replace('_', ' '))}</strong>: {escape(str(each['advice']))}</li>"
        for each in facts["diagnosis"]
    )
    listed = f"<ul>{items}</ul>" if items else paragraph("Nothing wrong was found.")
    return f"<h3>{escape(name)}</h3>{listed}"
