"""The frame of every page: one self-contained HTML file, and the parts that it is put together from.

A page needs no network and no script. Everything that is given as text is escaped here; what is called HTML is not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from kerasdl.configuration import write_text
from kerasdl.pages.style import STYLE


@dataclass(frozen=True)
class Section:
    """A part of a page that its table of contents names.

    Args:
        heading: Its heading, text.
        content: HTML; a section without content is left out.
        short: What the table of contents says, if it is not the heading.
        kind: Class of the section, for the stylesheet.
    """

    heading: str
    content: str
    short: str = ""
    kind: str = ""


def write_page(
    path: Path,
    *,
    title: str,
    kind: str,
    about: str,
    sections: Iterable[Section],
    script: str = "",
) -> Path:
    """Write a page and return its path; it is written beside and renamed.

    Args:
        path: Where the page goes.
        title: Its heading, the only one of the first order.
        kind: What sort of page it is, in a few words above the heading.
        about: What stands under the heading, as text; lines stay lines.
        sections: The parts, in order; the first is the verdict.
        script: What makes the page handier and is not needed to read it.
    """
    kept = [section for section in sections if section.content]
    names = _identifiers(section.short or section.heading for section in kept)
    entries = "".join(
        f'<li><a href="#{name}">{escape(section.short or section.heading)}</a></li>'
        for name, section in zip(names, kept, strict=True)
    )
    body = "\n".join(
        f'<section id="{name}" class="{section.kind}" aria-labelledby="{name}-heading">'
        f'<h2 id="{name}-heading">{escape(section.heading)}</h2>'
        f"{section.content}</section>"
        for name, section in zip(names, kept, strict=True)
    )
    page = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>\n"
        '<a class="skip" href="#content">Skip to the content</a><div class="page">\n'
        f'<header><p class="eyebrow">{escape(kind)}</p><h1>{escape(title)}</h1><p class="about">{escape(about)}</p>'
        f'</header>\n<div class="columns"><nav aria-label="Contents"><ol>{entries}</ol></nav>\n'
        f'<main id="content" tabindex="-1">\n{body}\n</main></div>\n'
        "<footer>Written by kerasdl. One file, nothing from the network.</footer></div>"
        + (f"<script>{script}</script>" if script else "")
        + "</body></html>\n"
    )
    path = Path(path)
    write_text(path, page)
    return path


def table(
    header: Sequence[str], rows: Iterable[Sequence[Any]], *, caption: str, kind: str = "", text: Sequence[int] = ()
) -> str:
    """Return a table in a box of its own that scrolls.

    Args:
        header: Of each column; the first column names its rows.
        rows: The cells, as text.
        caption: What the table says, and where its numbers are from.
        kind: Class of the table, for the stylesheet.
        text: Columns beside the first that are read as words rather than compared as numbers.
    """
    head = "".join(f'<th scope="col"{_left(index, text)}>{escape(str(cell))}</th>' for index, cell in enumerate(header))
    body = "".join(
        f'<tr><th scope="row">{escape(str(row[0]))}</th>'
        + "".join(f"<td{_left(i, text)}>{escape(str(cell))}</td>" for i, cell in enumerate(row[1:], start=1))
        + "</tr>"
        for row in rows
    )
    return whole_table(f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody>", caption=caption, kind=kind)


def whole_table(inside: str, *, caption: str, kind: str = "") -> str:
    """Return a table of finished HTML with its caption, in a box that scrolls."""
    named = f' class="{kind}"' if kind else ""
    return scrolling(f"<table{named}><caption><span>{escape(caption)}</span></caption>{inside}</table>", label=caption)


def scrolling(inside: str, *, label: str, kind: str = "") -> str:
    """Return HTML in a box that scrolls by itself, with the keyboard too."""
    return (
        f'<div class="scroll{f" {kind}" if kind else ""}" role="region" tabindex="0" '
        f'aria-label="{escape(label)}">{inside}</div>'
    )


def code(text: str, *, label: str) -> str:
    """Return code that is copied as it stands; long lines scroll."""
    named = f'class="scroll" role="region" tabindex="0" aria-label="{escape(label)}"'
    return f"<pre {named}><code>{escape(text)}</code></pre>"


def details(summary: str, inside: str) -> str:
    """Return HTML that is seen when it is asked for."""
    return f"<details><summary>{escape(summary)}</summary>{inside}</details>"


def paragraph(text: str, *, note: bool = False) -> str:
    """Return a paragraph of text; a note stands back."""
    return f"{'<p class=note>' if note else '<p>'}{escape(text)}</p>"


def definitions(pairs: Iterable[tuple[str, str]], *, kind: str, apart: bool = True) -> str:
    """Return names with what each is; `apart` puts each pair into a box."""
    each = (f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in pairs)
    return f'<dl class="{kind}">{"".join(f"<div>{pair}</div>" if apart else pair for pair in each)}</dl>'


def _left(column: int, text: Sequence[int]) -> str:
    return ' class="text"' if column in text else ""


def _identifiers(headings: Iterable[str]) -> list[str]:
    found: list[str] = []
    for heading in headings:
        name = re.sub(r"[^a-z0-9]+", "-", heading.lower())[:40].strip("-") or "part"
        found.append(name if name not in (*found, "content") else f"{name}-{len(found)}")
    return found
