"""The trials of a search as text: a table in a file, and what is seen of them while the search goes on."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from kerasdl.tuning.trial_rows import FAILED, Row, duration, exact, in_words, names_of, score_of, shown, varying

FIXED = ("trial", "status", "score", "best_epoch", "epochs", "seconds", "seed", "reason")
# Of the trials that ended, on a terminal.
SHOWN_TRIALS = 5


def as_csv(rows: Sequence[Row]) -> str:
    """Return the trials as CSV, one a line in order of start, their learning curves left out.

    Numbers are written so that every bit comes back, lists as Python writes them; what a trial lacks is empty. A
    hyperparameter with the name of one of the other columns has "space." before it.
    """
    names = names_of(rows)
    columns = [f"space.{name}" if name in FIXED else name for name in names]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*FIXED, *columns])
    for row in rows:
        fixed = ["" if row[name] is None else _cell(row[name]) for name in FIXED]
        writer.writerow([*fixed, *(_cell(row["space"][name]) if name in row["space"] else "" for name in names)])
    return out.getvalue()


def _cell(value: Any) -> str:
    return value if isinstance(value, str) else exact(value)


class LiveTable:
    """What is seen of a search while it goes on: a live table on a terminal, a plain line a trial elsewhere.

    Args:
        objective: Name of the score.
        verbose: 0 shows nothing, 1 chooses by where the output goes, 2 prints plain lines everywhere.
        known: Trials of an interrupted search that goes on; those that ended are not told again.
        console: Where to print, standard output unless given.

    Example:
        >>> with LiveTable("val_loss") as table:
        ...     table.update(rows, {4: (2, 20)}, best=rows[0], done=3, total=20, seconds_left=360.0)
    """

    def __init__(self, objective: str, *, verbose: int = 1, known: Iterable[Row] = (), console: Console | None = None):
        self._objective = objective
        # Reasons and values may have brackets, which are no markup.
        self._console = console or Console(highlight=False, markup=False, soft_wrap=True, file=sys.stdout)
        self._plain = verbose > 0 and (verbose > 1 or not self._console.is_terminal)
        # Without a thread of its own: worker processes are started while the table is shown.
        self._live = Live(console=self._console, auto_refresh=False) if verbose and not self._plain else None
        self._told = {_state(row) for row in known}

    def __enter__(self) -> LiveTable:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def update(
        self,
        rows: Sequence[Row],
        running: Mapping[int, tuple[int, int]],
        best: Row | None,
        done: int,
        total: int,
        seconds_left: float | None,
    ) -> None:
        """Show where the search is.

        Args:
            rows: One dictionary a trial, in order of start.
            running: By trial, the epochs it did and those it will do.
            best: The best trial so far.
            done: Trials that ended.
            total: Trials that there will be.
            seconds_left: Until the end, as far as one can say.
        """
        ended = [row for row in rows if row["status"] != "running" and _state(row) not in self._told]
        self._told |= {_state(row) for row in ended}
        for row in ended:
            if self._plain:
                line = _line(row, rows, objective=self._objective, best=best, total=total, seconds_left=seconds_left)
                self._console.print(line, markup=False, highlight=False, soft_wrap=True)
            elif self._live is not None and row["status"] in FAILED:
                # Above the table, where it stays.
                self._console.print(Text(f"trial {row['trial']}: {_failure(row)}", style="red"), soft_wrap=True)
        if self._live is not None:
            self._live.update(self._picture(rows, running, best, done, total, seconds_left), refresh=True)

    def _picture(
        self,
        rows: Sequence[Row],
        running: Mapping[int, tuple[int, int]],
        best: Row | None,
        done: int,
        total: int,
        seconds_left: float | None,
    ) -> Group:
        failed = sum(row["status"] in FAILED for row in rows)
        parts = [f"{done} of {total} trials", *([f"{failed} failed"] if failed else [])]
        parts += [f"best {self._objective} {best['score']:.4g} (trial {best['trial']})"] if best is not None else []
        parts += [f"about {duration(seconds_left)} left"] if seconds_left is not None else []
        # Expanded, so that only the last column gives way where all do not fit.
        table = Table(box=None, pad_edge=False, header_style="bold", expand=True)
        for name in ("trial", "status", "epochs", "", self._objective):
            table.add_column(Text(name), no_wrap=True)
        table.add_column(Text("values"), no_wrap=True, overflow="ellipsis", ratio=1)
        changing = varying(rows)
        ended = [row for row in rows if row["trial"] not in running and row["status"] != "running"]
        for row in [*ended[-SHOWN_TRIALS:], *(row for row in rows if row["trial"] in running)]:
            epoch, epochs = running.get(row["trial"], (row["epochs"] or 0, row["epochs"] or 0))
            score = score_of(row)
            is_best = best is not None and row["trial"] == best["trial"]
            table.add_row(
                Text(str(row["trial"])),
                Text("running" if row["trial"] in running else in_words(row)),
                Text(f"{epoch}/{epochs}" if row["trial"] in running else str(epoch)),
                ProgressBar(total=max(1, epochs), completed=epoch, width=12) if row["trial"] in running else Text(""),
                Text("" if score is None else f"{score:.4g}"),
                Text(_values(row, changing)),
                style="bold" if is_best else "red" if row["status"] in FAILED else "",
            )
        head = Table.grid(padding=(0, 1))
        head.add_row(ProgressBar(total=max(1, total), completed=done, width=16), Text("  ·  ".join(parts)))
        return Group(head, table)


def _state(row: Row) -> tuple[Any, ...]:
    # A trial that was paused and goes on is told again when it is paused or ends the next time.
    return row["trial"], row["status"], row["epochs"]


def _line(
    row: Row, rows: Sequence[Row], *, objective: str, best: Row | None, total: int, seconds_left: float | None
) -> str:
    score = score_of(row)
    said = _failure(row) if row["status"] in FAILED or score is None else f"{objective} {score:.4g}"
    if score is not None and row["status"] != "finished":
        said += f", {in_words(row)} after {row['epochs']} epochs"
    if best is not None:
        own = best["trial"] == row["trial"]
        said += " (the best so far)" if own else f" (best {best['score']:.4g}, trial {best['trial']})"
    parts = [said, *([duration(row["seconds"])] if row["seconds"] is not None else []), _values(row, varying(rows))]
    left = f"; about {duration(seconds_left)} left" if seconds_left is not None else ""
    return f"trial {row['trial']} of {total}: {', '.join(filter(None, parts))}{left}"


def _failure(row: Row) -> str:
    return f"{in_words(row)}: {' '.join(row['reason'].split())}" if row["reason"] else in_words(row)


def _values(row: Row, changing: Sequence[str]) -> str:
    # The first trial alone has nothing that varies: all its values are told.
    names = [name for name in row["space"] if name in changing] or list(row["space"])
    return ", ".join(f"{name} {shown(row['space'][name])}" for name in names)
