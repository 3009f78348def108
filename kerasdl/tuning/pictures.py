"""Pictures of a search as inline SVG: the best so far, all values side by side, slices, shares, learning curves.

Each mark of a trial carries its number, `data-trial`, so that the page can show the same trial in all pictures, and a
title with its score and values. The colour says where its score is between the best (`--at: 0%`) and the worst.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from html import escape

from kerasdl.pages.axes import Axis, number_axis
from kerasdl.pages.chart import BOTTOM, HEIGHT, LEFT, LETTER, Frame, figure, short, thinned
from kerasdl.tuning.axes import score_axis, value_axis
from kerasdl.tuning.trial_rows import Row, best_of, is_number, ranked, score_of, shown, varying

# Of parallel coordinates: the picture, and what is over and under the axes.
PARALLEL_WIDTH, PARALLEL_HEIGHT, PARALLEL_TOP, PARALLEL_BOTTOM = 1088, 380, 48, 40
# With more of them the labels run into each other.
MOST_AXES = 8
SLICE_WIDTH, SLICE_HEIGHT = 340, 220


class Pictures:
    """The pictures of one search; each is empty text where there is nothing to draw.

    Args:
        rows: One dictionary a trial, in order of start.
        objective: Name of the score.
        direction: "min" or "max", what is good.
        log_names: Hyperparameters that were sampled on a log scale.
        shares: Importance by name; what is most important is drawn first.
    """

    def __init__(
        self,
        rows: Sequence[Row],
        *,
        objective: str,
        direction: str,
        log_names: Collection[str] = (),
        shares: Mapping[str, float],
    ):
        self._rows = rows
        self._objective = objective
        self._direction = direction
        self._scored = [row for row in ranked(rows, direction) if score_of(row) is not None]
        self._best = best_of(rows, direction)
        self._shares = shares
        self._names = sorted(varying(rows), key=lambda name: -shares.get(name, 0.0))
        self._axes = {name: value_axis(rows, name, log=name in log_names) for name in self._names}
        scores = [float(row["score"]) for row in self._scored]
        self._scores = score_axis(scores, direction) if scores else Axis("linear")
        # By rank among all, so that every search uses all colours, whatever its scores are.
        by_score = sorted(self._scored, key=lambda row: row["score"], reverse=direction == "max")
        self._colours = {row["trial"]: index / max(1, len(by_score) - 1) for index, row in enumerate(by_score)}

    def best_so_far(self) -> str:
        """Draw the score of each trial in order of start, and the best until then."""
        if not self._scored:
            return ""
        frame = Frame(number_axis(range(1, len(self._rows) + 1)), self._scores)
        unfinished = not any(row["status"] == "finished" for row in self._scored)
        best: Row | None = None
        parts, steps = list[str](), list[str]()
        for index, row in enumerate(self._rows, start=1):
            x = frame.x(index)
            if score_of(row) is None:
                bottom = HEIGHT - BOTTOM
                parts.append(
                    f'<path class="failed" {self._mark(row)} d="M{x - 4:.1f} {bottom + 4}l8 8m0 -8l-8 8">'
                    f"{self._title(row)}</path>"
                )
                continue
            parts.append(self._dot(row, x, frame.y(row["score"])))
            if not unfinished and row["status"] != "finished":
                continue
            if best is None or ranked([best, row], self._direction)[0] is row:
                steps += [f"{x:.1f},{frame.y(best['score']):.1f}"] if best is not None else []
                steps.append(f"{x:.1f},{frame.y(row['score']):.1f}")
                best = row
        if best is not None:
            steps.append(f"{frame.x(len(self._rows)):.1f},{frame.y(best['score']):.1f}")
        line = f'<polyline class="best-so-far" points="{" ".join(steps)}"/>'
        whole = [(place, label) for place, label in frame.across.ticks() if "." not in label]
        return figure(
            frame.drawn(line + "".join(parts), across=whole if len(self._rows) > 1 else [(0.5, "1")]),
            f"{self._objective} of the trials in order of start; the line is the best finished so far. Hollow: stopped "
            f"before its last epoch; a cross on the axis: no score.{self._cut()}",
            label=f"{self._objective} of {len(self._rows)} trials",
        )

    def parallel(self) -> str:
        """Draw each trial as a line through its values to its score."""
        if not self._scored or not self._names:
            return ""
        names = self._names[:MOST_AXES]
        # The score is no hyperparameter, but one may have its name.
        axes = [*((name, self._axes[name]) for name in names), (f"→ {self._objective}", self._scores)]
        gap = (PARALLEL_WIDTH - 2 * LEFT - 40) / len(names)
        places = [LEFT + index * gap for index in range(len(axes))]
        bottom = PARALLEL_HEIGHT - PARALLEL_BOTTOM

        def height(share: float) -> float:
            return bottom - (bottom - PARALLEL_TOP) * share

        parts = []
        for row in reversed(self._scored):
            points = [
                f"{x:.1f},{height(axis.place(row['space'][name])) if name in row['space'] else bottom + 22:.1f}"
                for x, (name, axis) in zip(places[:-1], axes[:-1], strict=True)
            ]
            points.append(f"{places[-1]:.1f},{height(self._scores.place(row['score'])):.1f}")
            parts.append(
                f'<polyline class="trial{self._is_best(row)}" {self._mark(row)} points="{" ".join(points)}">'
                f"{self._title(row)}</polyline>"
            )
        for index, (x, (name, axis)) in enumerate(zip(places, axes, strict=True)):
            y = PARALLEL_TOP - 14 - 16 * (index % 2)
            parts.append(f'<path class="axis" d="M{x:.1f} {PARALLEL_TOP}V{bottom}"/>')
            anchor = "middle" if index else "start"
            text = escape(short(name, int(2 * gap / LETTER)))
            parts.append(f'<text class="name" x="{x:.1f}" y="{y}" text-anchor="{anchor}">{text}</text>')
            for share, label in thinned(axis.ticks(), 16):
                text = escape(short(label))
                parts.append(f'<text class="on" x="{x + 5:.1f}" y="{height(share) + 4:.1f}">{text}</text>')
            if index < len(names) and any(name not in row["space"] for row in self._scored):
                parts.append(f'<text class="on" x="{x + 5:.1f}" y="{bottom + 26}">none</text>')
        most = f"{len(names)} most important" if self._shares else f"first {len(names)}"
        most = f" of the {most} of {len(self._names)}" if len(names) < len(self._names) else ""
        return figure(
            f'<svg class="chart" role="img" viewBox="0 0 {PARALLEL_WIDTH} {PARALLEL_HEIGHT}" style="min-width: 50rem">'
            f"{''.join(parts)}</svg>",
            f"Each line is a trial through its values{most} to its score: blue the better, orange the worse, thick the "
            f"best; none: the trial has no such hyperparameter.{self._cut()}",
            label="the values of each trial and its score",
        )

    def slices(self) -> str:
        """Draw the score over each hyperparameter by itself."""
        if not self._scored:
            return ""
        figures = []
        for name, axis in self._axes.items():
            frame = Frame(axis, self._scores, width=SLICE_WIDTH, height=SLICE_HEIGHT)
            dots = []
            for row in reversed(self._scored):
                if name in row["space"]:
                    # Trials of one column are set apart, each always to the same side.
                    apart = (row["trial"] * 7 % 11 - 5) * 2.0 if axis.kind == "columns" else 0.0
                    apart *= min(1.0, 6 / max(1, len(axis.columns)))
                    dots.append(self._dot(row, frame.x(row["space"][name]) + apart, frame.y(row["score"])))
            caption = name + (" (log scale)" if axis.kind == "log" else "")
            figures.append(figure(frame.drawn("".join(dots)), caption, label=f"{self._objective} over {name}"))
        return f'<div class="pair">{"".join(figures)}</div>' if figures else ""

    def curves(self) -> str:
        """Draw the objective after each epoch, a line a trial."""
        curves = [
            (row, [(epoch, v) for epoch, v in enumerate(row["history"].get(self._objective, ()), 1) if is_number(v)])
            for row in [*(row for row in self._rows if score_of(row) is None), *reversed(self._scored)]
        ]
        curves = [(row, points) for row, points in curves if points]
        if not curves:
            return ""
        last = max(points[-1][0] for _, points in curves)
        frame = Frame(
            number_axis([1, last]), score_axis([v for _, points in curves for _, v in points], self._direction)
        )
        parts = []
        for row, points in curves:
            kind = f"trial{self._is_best(row)}" if score_of(row) is not None else "trial unscored"
            line = " ".join(f"{frame.x(epoch):.1f},{frame.y(value):.1f}" for epoch, value in points)
            parts.append(
                f'<polyline class="{kind}" {self._mark(row)} points="{line}">{self._title(row)}</polyline>'
                if len(points) > 1
                else self._dot(row, frame.x(points[0][0]), frame.y(points[0][1]))
            )
        whole = [(place, label) for place, label in frame.across.ticks(8) if "." not in label]
        return figure(
            frame.drawn("".join(parts), across=whole if last > 1 else [(0.5, "1")]),
            f"{self._objective} after each epoch; thick: the best trial; dashed: trials without a score.",
            label=f"{self._objective} after each epoch of {len(curves)} trials",
        )

    def _cut(self) -> str:
        places = [row["score"] for row in self._scored if not self._scores.low <= row["score"] <= self._scores.high]
        return f" Far worse scores ({len(places)} of {len(self._scored)}) are at the edge." if places else ""

    def _is_best(self, row: Row) -> str:
        return " best" if row is self._best else ""

    def _mark(self, row: Row) -> str:
        share = self._colours.get(row["trial"], 1.0)
        return f'data-trial="{row["trial"]}" style="--at: {100 * share:.0f}%"'

    def _title(self, row: Row) -> str:
        score = score_of(row)
        said = row["status"] if score is None else f"{self._objective} {score:.6g}"
        values = ", ".join(f"{name} {shown(value)}" for name, value in row["space"].items() if name in self._names)
        return f"<title>trial {row['trial']}: {escape('; '.join([said, *([values] if values else [])]))}</title>"

    def _dot(self, row: Row, x: float, y: float) -> str:
        kind = f"dot{self._is_best(row)}{'' if row['status'] == 'finished' else ' stopped'}"
        place = f'cx="{x:.1f}" cy="{y:.1f}" r="{6 if row is self._best else 4}"'
        return f'<circle class="{kind}" {self._mark(row)} {place}>{self._title(row)}</circle>'


def shares_picture(shares: Mapping[str, float]) -> str:
    """Draw the importance of each hyperparameter as a bar."""
    if not shares:
        return ""
    left, bar, line = 200, 400, 26
    largest = max(shares.values())
    parts = [
        f'<text x="{left - 8}" y="{line * index + 17}" text-anchor="end">{escape(short(name, 28))}</text>'
        f'<rect class="share" x="{left}" y="{line * index + 4}" width="{max(1.0, bar * share / largest):.1f}" '
        f'height="{line - 8}"/>'
        f'<text x="{left + bar * share / largest + 8:.1f}" y="{line * index + 17}">{100 * share:.0f} %</text>'
        for index, (name, share) in enumerate(shares.items())
    ]
    return figure(
        f'<svg class="chart wide-chart" role="img" viewBox="0 0 {left + bar + 60} {line * len(shares)}" '
        f'style="max-width: {left + bar + 60}px">'
        f"{''.join(parts)}</svg>",
        "Share of the score's variation between the finished trials that a random forest explains by each "
        "hyperparameter, within the ranges that were searched.",
        label="importance of the hyperparameters",
    )
