"""What a search returns: the winner's model, measured once, and all that was tried."""

from __future__ import annotations

import functools
import math
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasdl import configuration, search_rows, search_trial
from kerasdl.result import Result
from kerasdl.tuning.page import search_page
from kerasdl.tuning.table import as_csv

if TYPE_CHECKING:
    from kerasdl.data import Dataset

BEST_FOLDER, TABLE_FILE, PAGE_FILE, OUTCOME_FILE = "best", "table.csv", "search.html", "outcome.json"
CONFIDENCE = 0.95


class Outcome:
    """The end of a search.

    Args:
        recipe: The recipe's module.
        folder: The search's folder.
        dataset: The data.
        rows: One for each trial.
        objective: What was searched by, and "min" or "max".
        finals: The finalists' trainings from other seeds.
        winner: The winner's row.
        log_names: Hyperparameters that are sampled in their logarithm.
    """

    def __init__(
        self,
        recipe: ModuleType,
        *,
        folder: Path,
        dataset: Dataset,
        rows: Sequence[Mapping[str, Any]],
        objective: tuple[str, str],
        finals: Sequence[Mapping[str, Any]],
        winner: Mapping[str, Any],
        log_names: frozenset[str] = frozenset(),
    ):
        self.directory = folder
        self.objective, self.direction = objective
        self._recipe, self._dataset, self._log_names = recipe, dataset, log_names
        self._rows, self._finals, self._winner = rows, finals, winner

    def __repr__(self) -> str:
        return f"<Outcome of {len(self._rows)} trials of {self._recipe.__name__}: best {self._winner['trial']}>"

    @property
    def table(self) -> list[dict[str, Any]]:
        """One row a trial: its number, status, score, best epoch, epochs, seconds, seed, reason, and the values."""
        hidden = ("space", "history", "pace", "keywords")
        return [{**{name: row[name] for name in row if name not in hidden}, **row["space"]} for row in self._rows]

    @property
    def finalists(self) -> list[dict[str, Any]]:
        """The best trials with the scores of all their seeds: "mean", and "half_width" of its 95 % interval."""
        trials = list(dict.fromkeys([self._winner["trial"], *(row["trial"] for row in self._finals)]))
        return [self._finalist(self._rows[trial]) for trial in trials]

    def _finalist(self, row: Mapping[str, Any]) -> dict[str, Any]:
        from scipy import stats

        scores = search_rows.scores(row, self._finals)
        half = math.nan
        if len(scores) > 1:
            half = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(scores) - 1) * stats.sem(scores))
        return {"trial": row["trial"], "scores": scores, "mean": float(np.mean(scores)), "half_width": half}

    @property
    def optimism(self) -> float | None:
        """How much better the winner's searched score is than the mean of its other seeds; None without these."""
        first, *fresh = self._finalist(self._winner)["scores"]
        if not fresh:
            return None
        return (first - float(np.mean(fresh))) * (1 if self.direction == "max" else -1)

    @property
    def best_config(self) -> dict[str, Any]:
        """The winner's arguments of `train`, its seed included."""
        return {**self._winner["keywords"], "seed": self._winner["seed"]}

    @functools.cached_property
    def best(self) -> Result:
        """The winner's model as it was trained in the search, measured once on the test split."""
        folder = self.directory / BEST_FOLDER
        if (folder / "result.json").is_file():
            return Result.load(folder, data=self._dataset)
        trial = Result.load(self._run_folder(), data=self._dataset)
        task = trial.task
        measured = Result(
            recipe=trial.recipe,
            model=trial.model,
            history=trial.history,
            config=trial.config,
            dataset=self._dataset,
            task=task,
            baselines=task.baselines(self._dataset) if hasattr(task, "baselines") else None,
        )
        shutil.rmtree(folder, ignore_errors=True)  # what a kill has left of it
        measured.save(folder)
        return measured

    def refit(self, *, directory: str | Path | None = None, verbose: int = 1, **changes: Any) -> Result:
        """Train the winner on the training and the validation split together, for its best number of epochs.

        The schedule is laid out for these epochs. Nothing is left to choose an epoch by: the last one is kept, and a
        learning rate that would not fall by itself ("constant", "plateau") falls by "cosine" from where it is, as else
        the last few batches decide how good the last epoch is.

        Args:
            directory: Folder of the run.
            verbose: As in `train`.
            changes: Arguments of `train` in place of the winner's.

        Returns:
            The result, measured on the test split.
        """
        from kerasdl.data import with_validation_in_training

        kept = {"epochs": self._winner["best_epoch"], "keep": "last", "early_stopping": None}
        if self.best_config.get("schedule") in ("constant", "plateau"):
            kept["schedule"] = "cosine"
        keywords = {**self.best_config, **kept, **changes}
        return self._recipe.train(
            with_validation_in_training(self._dataset), **keywords, directory=directory, verbose=verbose
        )

    def _run_folder(self) -> Path:
        return search_rows.place(self.directory, self._winner) / search_trial.RUN_FOLDER

    @property
    def facts(self) -> dict[str, str]:
        """What a person must know of the outcome, in lines."""
        counts: dict[str, int] = {}
        for row in self._rows:
            counts[row["status"]] = counts.get(row["status"], 0) + 1
        lines = {
            "Trials": ", ".join(
                f"{count} {'stopped early' if status == 'paused' else status.replace('_', ' ')}"
                for status, count in counts.items()
            )
        }
        for each in self.finalists:
            interval = "" if math.isnan(each["half_width"]) else f" ± {each['half_width']:.4f} (95 % interval)"
            scores = ", ".join(f"{score:.4f}" for score in each["scores"])
            name = "Winner" if each["trial"] == self._winner["trial"] else "Finalist"
            lines[f"{name}, trial {each['trial']}"] = f"{self.objective} {each['mean']:.4f}{interval}: {scores}"
        if self.optimism is not None:
            by, than = abs(self.optimism), "better than" if self.optimism > 0 else "worse than"
            how = f"{by:.4f} {than}" if by >= 5e-5 else "the same as"
            lines["Optimism"] = f"the winner's first score, by which it was found, is {how} the mean of its other seeds"
        metrics = ", ".join(f"{name} {value:.4f}" for name, value in self.best.metrics.items())
        lines["Test split, once"] = metrics
        for baseline, values in self.best.baselines.items():
            lines[f"({baseline})"] = ", ".join(f"{name} {value:.4f}" for name, value in values.items())
        return lines

    def summary(self) -> str:
        """Return the outcome as text."""
        facts = self.facts
        width = max(map(len, facts)) + 1
        lines = [f"{name + ':':<{width}} {line}" for name, line in facts.items()]
        lines.append("Best configuration: " + ", ".join(f"{k}={v!r}" for k, v in self._winner["keywords"].items()))
        lines.append(f"Search: {self.directory} ({BEST_FOLDER}/, {TABLE_FILE}, {PAGE_FILE})")
        return "\n".join(lines)

    def finish(self) -> None:
        """Measure the winner and write the table, the page and the outcome."""
        facts = self.facts
        configuration.write_text(self.directory / TABLE_FILE, as_csv(self._rows))
        search_page(
            self.directory / PAGE_FILE,
            title=f"Search of {self._recipe.__name__.removeprefix('recipes.')} on {self._dataset.name}",
            rows=self._rows,
            objective=self.objective,
            direction=self.direction,
            log_names=self._log_names,
            facts=facts,
        )
        configuration.write_json(
            self.directory / OUTCOME_FILE,
            {"winner": self._winner["trial"], "best_config": self.best_config, "facts": facts},
        )
