"""The model card of an export: what a stranger who finds the folder wants to know, in Markdown, out of its description.

Written from the facts alone, so that it says nothing that was not measured or decided.
https://arxiv.org/abs/1810.03993
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kerasdl.export.card_usage import specification, usage
from kerasdl.export.hashes import PROGRAM

TASKS = {
    "images": "Image classification",
    "text": "Text classification",
    "prompt": "Language modelling",
    "series": "Classification of series",
    "forecast": "Forecasting",
    "detection": "Object detection",
}
# How a run is watched and kept, which says nothing about the model.
_WITHOUT_EFFECT = ("data", "directory", "resume", "checkpoint_every", "verbose", "versions", "hardware")
_SHOWN_CLASSES = 50


def model_card(facts: Mapping[str, Any], *, name: str) -> str:
    """Return the card of an export.

    Args:
        facts: The description that travels with the export; what it lacks is left out.
        name: Of the model's folder, which holds the folders of its versions.

    Example:
        >>> print(model_card(exported.description, name="digits"))
    """
    kind = facts.get("inputs", "images")
    sections = [
        _head(facts, name, kind),
        _data(facts),
        _metrics(facts),
        _diagnosis(facts),
        _classes(facts),
        specification(facts, kind),
        usage(facts, kind, name),
        _training(facts),
        _parity(facts),
        _files(facts),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def cell(value: Any) -> str:
    """Return a value as Markdown shows it in a table or a sentence: on one line, nothing in it read as markup."""
    return re.sub(r"([\\`*_|<>\[\]])", r"\\\1", " ".join(str(value).split()))


def code(value: Any) -> str:
    """Return a value as code in a table."""
    text = repr(value)
    return cell(text) if "`" in text or "\n" in text else "`" + text.replace("|", "\\|") + "`"


def number(value: float) -> str:
    """Return a number with four decimals, or with as many as a small one needs."""
    return f"{value:.4f}" if value == 0 or abs(value) >= 1e-3 else f"{value:.3g}"


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return a table; its cells are Markdown already."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def _head(facts: Mapping[str, Any], name: str, kind: str) -> str:
    several = ", several classes at once" if facts.get("multi_label") else ""
    recipe = f", trained by `recipes.{facts['recipe']}` of kerasdl" if "recipe" in facts else ""
    format, quantization = facts.get("format", "saved_model"), facts.get("quantization")
    how = f"Format: {format}{f', quantized ({quantization})' if quantization else ''}."
    warning = PROGRAM if format == "saved_model" else ""
    lines = [f"# {cell(name)}", f"{TASKS.get(kind, 'A model')}{several}{recipe}. {how}", warning]
    return "\n\n".join(line for line in lines if line)


def _data(facts: Mapping[str, Any]) -> str:
    data = facts.get("data", {})
    rows = [("Name", cell(data["name"]))] if "name" in data else []
    rows += [("Splits", ", ".join(f"{split} {count}" for split, count in data.get("splits", {}).items()))]
    rows += [("Licence", cell(data["licence"]))] if "licence" in data else []
    if "data_fingerprint" in facts:
        rows.append(("Fingerprint", f"`{facts['data_fingerprint']}` (SHA-256 of all splits)"))
    if "weights_licence" in facts:
        rows.append(("Weights", cell(facts["weights_licence"])))
    rows = [row for row in rows if row[1]]
    if not rows:
        return ""
    summary = "\n\n" + f"```text\n{data['summary']}\n```" if "summary" in data else ""
    return "## Data and licences\n\n" + table(("", ""), rows) + summary


def _metrics(facts: Mapping[str, Any]) -> str:
    metrics, exported = facts.get("metrics", {}), facts.get("exported_metrics", {})
    if not metrics:
        return ""
    text = "## Metrics\n\nOn the test split, which was neither trained on nor chosen by.\n\n"
    columns = ("metric", "as trained", "as exported", "change") if exported else ("metric", "value")
    rows: list[Sequence[str]] = []
    for key, value in metrics.items():
        if not exported:
            rows.append((f"`{key}`", number(value)))
        elif key in exported:
            rows.append((f"`{key}`", number(value), number(exported[key]), f"{exported[key] - value:+.4g}"))
    text += table(columns, rows)
    baselines = facts.get("baselines") or {}
    if baselines:
        reached = [
            (cell(name), ", ".join(f"`{key}` {number(value)}" for key, value in values.items()))
            for name, values in baselines.items()
        ]
        text += "\n\nWhat simple methods reach on the same split:\n\n" + table(("baseline", "metrics"), reached)
    return text


def _diagnosis(facts: Mapping[str, Any]) -> str:
    if "diagnosis" not in facts:
        return ""
    findings = [f"- **{cell(found['name'])}**: {cell(found['advice'])}" for found in facts["diagnosis"]]
    return "## Diagnosis of the training\n\n" + ("\n".join(findings) or "Nothing was found.")


def _classes(facts: Mapping[str, Any]) -> str:
    names = facts.get("class_names") or ()
    if not names:
        return ""
    more = f" and {len(names) - _SHOWN_CLASSES} more" if len(names) > _SHOWN_CLASSES else ""
    shown = ", ".join(map(cell, names[:_SHOWN_CLASSES]))
    return f"## Classes\n\n{len(names)}, in the order of the scores: {shown}{more}."


def _training(facts: Mapping[str, Any]) -> str:
    config = facts.get("config", {})
    if not config or "recipe" not in facts:
        return ""
    shown = {key: value for key, value in config.items() if value is not None and key not in _WITHOUT_EFFECT}
    shown.pop("data_fingerprint", None)
    rows = [(f"`{key}`", code(value)) for key, value in shown.items()]
    memory = config.get("data") in ("arrays", "tf.data")
    given = '"data": data, ' if memory else ""
    repeat = [
        "import json",
        f"from recipes import {facts['recipe']}",
        "",
        f'config = json.load(open("{facts.get("description_file", "assets.extra/kerasdl.json")}"))["config"]',
        f'{facts["recipe"]}.train(**{{**config, {given}"directory": None}})'
        + ("  # data: the same, which came from memory" if memory else ""),
    ]
    text = "## Training\n\n" + table(("keyword", "value"), rows)
    text += "\n\nThe same call gives the same model:\n\n```python\n" + "\n".join(repeat) + "\n```"
    for key in ("versions", "hardware"):
        if isinstance(config.get(key), Mapping):
            items = ", ".join(f"{each} {value}" for each, value in config[key].items() if value not in ([], None))
            text += f"\n\n{key.capitalize()}: {cell(items)}."
    return text


def _parity(facts: Mapping[str, Any]) -> str:
    parity = facts.get("parity")
    if not parity:
        return ""
    if (tolerance := parity["tolerance"]) is None:
        allowed = f"nothing bounds that, because {facts.get('quantization')} quantization changes answers by design"
    else:
        allowed = f"{tolerance:g} was allowed"
    unit = " of the largest forecast, or of 1" if facts.get("inputs") == "forecast" else ""
    text = (
        f"## Proof\n\nBefore this folder got its number, its files were loaded again and compared with the "
        f"trained model on {parity['examples']} example{'s' if parity['examples'] > 1 else ''} of the test split. "
        f"Numbers differ by at most {parity['max_difference']:.1e}{unit}; {allowed}."
    )
    batches = parity.get("batches", ())
    return text + (f" Signatures and batch sizes: {', '.join(batches)}." if batches else "")


def _files(facts: Mapping[str, Any]) -> str:
    hashes = facts.get("files_sha256")
    if not hashes:
        return ""
    rows = [(f"`{name}`", f"`{digest}`") for name, digest in hashes.items()]
    return (
        "## Files\n\n`load_exported` compares these before anything is loaded. This card is not among them: notes may "
        "be added to it.\n\n" + table(("file", "SHA-256"), rows)
    )
