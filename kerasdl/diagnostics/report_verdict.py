"""The top of a run's report: the verdict, the findings with their remedies, and the metrics beside what is simple."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from kerasdl.diagnostics.curves import Finding, wilson_interval
from kerasdl.pages.frame import Section, code, definitions, details, paragraph, table

Metrics = Mapping[str, float]

# Of these less is better; of all others that are known, more.
LESS = ("log_loss", "loss", "perplexity", "bits_per_byte", "mae", "rmse", "mase", "smape", "pinball", "p_value")
# Neither less nor more: it should be what the levels say.
NEITHER = ("coverage",)
# Where the evidence is from, if not from the training and validation splits.
EVIDENCE_FROM = {
    "leakage": "the inputs of all splits, and answers on those that have duplicates",
    "no_better_than_naive": "the test split",
    "miscalibrated_intervals": "the test split",
}
TRAINING = (
    *("vanishing_gradients", "exploding_gradients", "learning_rate_too_high", "learning_rate_too_low"),
    *("batch_too_small", "diverged", "plateau"),
)
LONGEST_DETAILS = 4_000


def verdict(
    findings: Sequence[Finding],
    metrics: Metrics,
    baselines: Mapping[str, Metrics],
    *,
    kept: str,
    examples: int | None,
) -> Section:
    """Return what a person wants to know first: whether anything is wrong, and how good the model is.

    Args:
        findings: The diagnosis.
        metrics: Of the model on the test split.
        baselines: Of simple methods on it, by their names.
        kept: Which epoch the weights are of.
        examples: Test examples that an accuracy is a share of; None where it is none.
    """
    if findings:
        names = ", ".join(finding.name.replace("_", " ") for finding in findings)
        many = (
            f"{len(findings)} things were found, the first to be mended first"
            if findings[1:]
            else "One thing was found"
        )
        said = f"<strong>{many}:</strong> {escape(names)}."
    else:
        said = "<strong>Nothing wrong was found</strong> by the checks of the training and of its data."
    tiles, beaten = [], ""
    if metrics:
        name = next((each for each in metrics if any(each in values for values in baselines.values())), None)
        name = name or next(iter(metrics))
        tiles.append((f"{_words(name)}, test split{_interval(name, metrics[name], examples)}", shown(metrics[name])))
        others = {each: values[name] for each, values in baselines.items() if math.isfinite(values.get(name, math.nan))}
        if others and name not in NEITHER:
            best = (min if name in LESS else max)(others, key=lambda each: others[each])
            tiles.append((f"{_words(name)} of {best}, the best baseline, test split", shown(others[best])))
            if _as_good(name, others[best], metrics[name], examples):
                beaten = f"<p>A simple method, {escape(best)}, does as well or better on the test split.</p>"
    tiles.append(("epoch whose weights were kept", kept))
    inside = f"<p>{said}</p>{beaten}{definitions(tiles, kind='tiles')}"
    return Section("Verdict", inside, kind="verdict" if findings or beaten else "verdict good")


def findings_section(findings: Sequence[Finding], *, recipe: str, in_memory: bool) -> Section:
    """Return a card for each finding: its name, a plain sentence, the evidence, and the remedy as a call."""
    cards = "".join(_card(finding, recipe=recipe, in_memory=in_memory) for finding in findings)
    return Section("Findings", cards)


def metrics_section(metrics: Metrics, baselines: Mapping[str, Metrics]) -> Section:
    """Return the metrics on the test split, beside those of simple methods."""
    if not metrics:
        return Section("Test split", "")
    columns = (metrics, *baselines.values())
    rows = [[_sense(name), *(shown(values[name]) if name in values else "" for values in columns)] for name in metrics]
    caption = "On the test split, which was neither trained on nor chosen by"
    return Section("Test split", table(["metric", "this model", *baselines], rows, caption=caption))


def shown(value: float) -> str:
    """Return a number with four decimals, or four digits where it is very large or small."""
    return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 1e5 else f"{value:.4g}"


def _words(name: str) -> str:
    return name.replace("_", " ")


def _sense(name: str) -> str:
    return name + ("" if name in NEITHER else " ↓ less is better" if name in LESS else "")


def _interval(name: str, value: float, examples: int | None) -> str:
    if name != "accuracy" or not examples:
        return ""
    low, high = wilson_interval(value, examples)
    return f", 95 % interval {low:.3f} to {high:.3f}"


def _as_good(name: str, simple: float, value: float, examples: int | None) -> bool:
    """Return whether a simple method is as good or better; of an accuracy, beyond its interval."""
    if name == "accuracy" and examples:
        value = wilson_interval(value, examples)[1]
    return simple <= value if name in LESS else simple >= value


def _card(finding: Finding, *, recipe: str, in_memory: bool) -> str:
    where = EVIDENCE_FROM.get(finding.name, "the training and validation splits")
    where = "the log of the training" if finding.name in TRAINING else where
    evidence = definitions([(_words(name), f"{value:.4g}") for name, value in finding.evidence.items()], kind="facts")
    parts = [f"<h3>{escape(_words(finding.name).capitalize())}</h3>", paragraph(finding.advice), evidence]
    parts.append(paragraph(f"Evidence from {where}.", note=True))
    if finding.remedy:
        parts.append(paragraph("Remedy:") + code(remedy_call(finding, recipe, in_memory), label="Remedy"))
    if finding.details:
        text = json.dumps(finding.details, indent=1, ensure_ascii=False, default=str)
        cut = text if len(text) <= LONGEST_DETAILS else f"{text[:LONGEST_DETAILS]}\n… cut, see result.diagnosis"
        parts.append(details("Details", code(cut, label=f"Details of {_words(finding.name)}")))
    return f'<div class="finding">{"".join(parts)}</div>'


def remedy_call(finding: Finding, recipe: str, in_memory: bool) -> str:
    """Return the call that trains again with a finding's remedy."""
    changed: dict[str, Any] = dict(finding.remedy)
    items = [*(['"data": data'] if in_memory else []), *(f'"{name}": {value!r}' for name, value in changed.items())]
    return f"{f'{recipe}.' if recipe else ''}train(**{{**result.config, {', '.join(items)}}})"
