"""A search's page: one self-contained HTML file, nothing from the network, readable without its few lines of script."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from html import escape
from pathlib import Path

from kerasdl.configuration import write_text
from kerasdl.tuning.importance import FEWEST_TRIALS, importance
from kerasdl.tuning.pictures import Pictures, shares_picture
from kerasdl.tuning.trial_rows import (
    Row,
    best_of,
    duration,
    exact,
    in_words,
    names_of,
    ranked,
    score_of,
    shown,
    varying,
)

STYLE = """
:root { color-scheme: light dark; --ink: #1c2330; --paper: #ffffff; --line: #c9cfd8; --soft: #f2f4f7; --good: #1257c4;
  --bad: #e08a3c; --marked: #c2187a; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e8ee; --paper: #14181f; --line: #3d4653; --soft: #1d232c;
  --good: #79b0ff; --bad: #dd8f4e; --marked: #ff7cc4; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 72rem; padding: 1rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums;
  font-size: .875rem; }
th, td { padding: .25rem .6rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap;
  vertical-align: top; }
.text { text-align: left; } td small { display: block; white-space: normal; min-width: 14rem; }
tr.best td { background: var(--soft); font-weight: 600; } tr.on td { color: var(--marked); }
.headline { background: var(--soft); border-left: 4px solid var(--good); padding: .6rem 1rem; }
.headline.none { border-color: var(--bad); } code { overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; }
dt { font-weight: 600; } dd { margin: 0; }
figure { margin: 1rem 0; } figcaption { font-size: .875rem; } svg { display: block; width: 100%; height: auto; }
svg text { fill: var(--ink); font-size: 12px; }
svg .on { paint-order: stroke; stroke: var(--paper); stroke-width: 4px; } svg .name { font-weight: 600; }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(20rem, 1fr)); gap: 0 1rem; }
.grid figcaption { text-align: center; font-weight: 600; }
.axis { stroke: var(--line); fill: none; stroke-width: 1.5; } .grid-line { stroke: var(--line); opacity: .5; }
.trial { --hue: color-mix(in oklab, var(--bad) var(--at), var(--good)); fill: none; stroke: var(--hue);
  stroke-width: 1.4; opacity: calc(90% - .5 * var(--at)); }
.dot { --hue: color-mix(in oklab, var(--bad) var(--at), var(--good)); fill: var(--hue); stroke: var(--hue);
  stroke-width: 1.5; opacity: .85; }
.dot.stopped { fill: var(--paper); } .trial.unscored { stroke-dasharray: 4 3; opacity: .5; }
.trial.best { stroke-width: 4; opacity: 1; } .dot.best { stroke: var(--ink); stroke-width: 2; opacity: 1; }
.failed { stroke: var(--bad); stroke-width: 2; fill: none; }
.best-so-far { fill: none; stroke: var(--ink); stroke-width: 1.5; } .share { fill: var(--good); }
svg .marked, svg .trial:hover { stroke: var(--marked); stroke-width: 4; opacity: 1; }
"""

# Whatever trial the pointer is over is marked in every picture and in the table.
SCRIPT = """
document.addEventListener("mouseover", event => {
  document.querySelectorAll(".marked, tr.on").forEach(mark => mark.classList.remove("marked", "on"));
  const over = event.target.closest("[data-trial]");
  if (over) document.querySelectorAll(`[data-trial="${over.dataset.trial}"]`).forEach(
    mark => mark.classList.add(mark.tagName == "TR" ? "on" : "marked"));
});
"""


def search_page(
    path: Path,
    *,
    title: str,
    rows: Sequence[Row],
    objective: str,
    direction: str,
    log_names: Collection[str] = frozenset(),
    facts: Mapping[str, str],
) -> Path:
    """Write the page of a search, finished or not, and return its path; it is written beside and renamed.

    Args:
        path: Where the page goes.
        title: Its heading.
        rows: One dictionary a trial, in order of start: "trial", "status", "score", "best_epoch", "epochs", "seconds",
            "seed", "reason", "space" with the hyperparameters, "history" with curves by name.
        objective: Name of the score.
        direction: "min" or "max", what is good.
        log_names: Hyperparameters that were sampled on a log scale.
        facts: Lines of text about the search, by what each is.
    """
    shares = importance(rows, direction)
    pictures = Pictures(rows, objective=objective, direction=direction, log_names=log_names, shares=shares)
    sections = {
        "Best so far": pictures.best_so_far(),
        "All trials side by side": pictures.parallel(),
        "Importance": shares_picture(shares) or _no_importance(rows),
        "One hyperparameter at a time": pictures.slices() + _constant(rows),
        "Learning curves": pictures.curves(),
        "Trials": _table(rows, objective, direction) if rows else "",
    }
    body = [f"<h1>{escape(title)}</h1>", _headline(rows, objective, direction), _facts(rows, facts)]
    body += [f"<h2>{heading}</h2>{content}" for heading, content in sections.items() if content]
    page = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><main>\n"
        + "\n".join(body)
        + f"\n</main><script>{SCRIPT}</script></body></html>\n"
    )
    path = Path(path)
    write_text(path, page)
    return path


def _headline(rows: Sequence[Row], objective: str, direction: str) -> str:
    best = best_of(rows, direction)
    if best is None:
        reasons = Counter(row["reason"] for row in rows if row["reason"]).most_common(1)
        why = f" The most frequent reason: {escape(reasons[0][0])}" if reasons else ""
        said = "No trial has a score yet." if rows else "No trial was started yet."
        return f'<p class="headline none">{said}{why}</p>'
    epoch = f" after epoch {best['best_epoch']} of {best['epochs']}" if best["best_epoch"] else ""
    state = "" if best["status"] == "finished" else f" ({escape(best['status'])}; no trial is finished yet)"
    values = ", ".join(f"{name}={exact(value)}" for name, value in best["space"].items())
    return (
        f'<p class="headline">Best: <strong>trial {best["trial"]}, {escape(objective)} {best["score"]:.6g}</strong>'
        f"{epoch}{state}, with<br><code>{escape(values)}</code></p>"
    )


def _facts(rows: Sequence[Row], facts: Mapping[str, str]) -> str:
    counts = Counter(in_words(row) for row in rows).most_common()
    all_facts = {
        "Trials": ": ".join([str(len(rows)), *([", ".join(f"{n} {status}" for status, n in counts)] if rows else [])]),
        "Time": f"{duration(sum(row['seconds'] or 0 for row in rows))} in all trials together",
        **facts,
    }
    return f"<dl>{''.join(f'<dt>{escape(name)}</dt><dd>{escape(text)}</dd>' for name, text in all_facts.items())}</dl>"


def _no_importance(rows: Sequence[Row]) -> str:
    finished = sum(row["status"] == "finished" and score_of(row) is not None for row in rows)
    if not rows or not varying(rows):
        return ""
    if finished < FEWEST_TRIALS:
        return f"<p>Told from {FEWEST_TRIALS} finished trials on; there are {finished}.</p>"
    return "<p>No hyperparameter explains the scores of the finished trials.</p>"


def _constant(rows: Sequence[Row]) -> str:
    changing = varying(rows)
    alone = {name: row["space"][name] for row in rows for name in row["space"] if name not in changing}
    values = ", ".join(f"{name} {shown(value)}" for name, value in alone.items())
    return f"<p>The same wherever it is there: {escape(values)}.</p>" if alone else ""


def _table(rows: Sequence[Row], objective: str, direction: str) -> str:
    names, best = names_of(rows), best_of(rows, direction)
    header = ["trial", "status", objective, *names, "best epoch", "epochs", "time", "seed"]
    head = "".join(f'<th scope="col"{_left(index)}>{escape(name)}</th>' for index, name in enumerate(header))
    body = []
    for row in ranked(rows, direction):
        score = row["score"]
        cells = [
            "" if score is None else f"{score:.6g}",
            *(shown(row["space"][name]) if name in row["space"] else "" for name in names),
            *("" if row[name] is None else row[name] for name in ("best_epoch", "epochs")),
            "" if row["seconds"] is None else duration(row["seconds"]),
            "" if row["seed"] is None else row["seed"],
        ]
        reason = f"<small>{escape(row['reason'])}</small>" if row["reason"] else ""
        body.append(
            f'<tr data-trial="{row["trial"]}" class="{"best" if row is best else ""}"><td>{row["trial"]}</td>'
            f'<td class="text">{escape(in_words(row))}{reason}</td>'
            + "".join(f"<td>{escape(str(cell))}</td>" for cell in cells)
            + "</tr>"
        )
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{"".join(body)}</tbody></table></div>'


def _left(index: int) -> str:
    return ' class="text"' if index == 1 else ""
