"""A search's page: one self-contained HTML file, nothing from the network, readable without its few lines of script."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from html import escape
from pathlib import Path

from kerasdl.pages.frame import Section, code, definitions, paragraph, whole_table, write_page
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
        "Outcome": _headline(rows, objective, direction) + _facts(rows, facts),
        "Best so far": pictures.best_so_far(),
        "All trials side by side": pictures.parallel(),
        "Importance": shares_picture(shares) or _no_importance(rows),
        "One hyperparameter at a time": pictures.slices() + _constant(rows),
        "Learning curves": pictures.curves(),
        "Trials": _table(rows, objective, direction) if rows else "",
    }
    return write_page(
        path,
        title=title,
        kind="Hyperparameter search",
        about=f"{objective}, {'the more the better' if direction == 'max' else 'the less the better'}",
        sections=[Section(heading, content) for heading, content in sections.items()],
        script=SCRIPT,
    )


def _headline(rows: Sequence[Row], objective: str, direction: str) -> str:
    best = best_of(rows, direction)
    if best is None:
        reasons = Counter(row["reason"] for row in rows if row["reason"]).most_common(1)
        why = f" The most frequent reason: {escape(reasons[0][0])}" if reasons else ""
        said = "No trial has a score yet." if rows else "No trial was started yet."
        return f"<p>{said}{why}</p>"
    epoch = f" after epoch {best['best_epoch']} of {best['epochs']}" if best["best_epoch"] else ""
    state = "" if best["status"] == "finished" else f" ({escape(best['status'])}; no trial is finished yet)"
    values = ", ".join(f"{name}={exact(value)}" for name, value in best["space"].items())
    return (
        f"<p>Best: <strong>trial {best['trial']}, {escape(objective)} {best['score']:.6g}</strong>"
        f"{epoch}{state}, with</p>" + code(values, label="Hyperparameters of the best trial")
    )


def _facts(rows: Sequence[Row], facts: Mapping[str, str]) -> str:
    counts = Counter(in_words(row) for row in rows).most_common()
    all_facts = {
        "Trials": ": ".join([str(len(rows)), *([", ".join(f"{n} {status}" for status, n in counts)] if rows else [])]),
        "Time": f"{duration(sum(row['seconds'] or 0 for row in rows))} in all trials together",
        **facts,
    }
    return definitions(all_facts.items(), kind="described", apart=False)


def _no_importance(rows: Sequence[Row]) -> str:
    finished = sum(row["status"] == "finished" and score_of(row) is not None for row in rows)
    if not rows or not varying(rows):
        return ""
    if finished < FEWEST_TRIALS:
        return paragraph(f"Told from {FEWEST_TRIALS} finished trials on; there are {finished}.")
    return paragraph("No hyperparameter explains the scores of the finished trials.")


def _constant(rows: Sequence[Row]) -> str:
    changing = varying(rows)
    alone = {name: row["space"][name] for row in rows for name in row["space"] if name not in changing}
    values = ", ".join(f"{name} {shown(value)}" for name, value in alone.items())
    return paragraph(f"The same wherever it is there: {values}.", note=True) if alone else ""


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
            f'<tr data-trial="{row["trial"]}" class="{"best" if row is best else ""}">'
            f'<th scope="row">{row["trial"]}</th>'
            f'<td class="text">{escape(in_words(row))}{reason}</td>'
            + "".join(f"<td>{escape(str(cell))}</td>" for cell in cells)
            + "</tr>"
        )
    return whole_table(
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody>",
        caption=f"All trials, the best by {objective} first",
        kind="trials",
    )


def _left(index: int) -> str:
    return ' class="text"' if index == 1 else ""
