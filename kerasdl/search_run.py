"""One search under way: what starts and ends trials, and how it goes on after a kill."""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from kerasdl import configuration, search_rows, search_trial
from kerasdl.errors import InputError
from kerasdl.tuning import log, pool, proposers
from kerasdl.tuning.table import LiveTable
from kerasdl.tuning.trial_rows import best_of, ranked

POLL_SECONDS = 0.25


class Search:
    """One search under way: starts trials, notes what becomes of them, and how to go on after a kill."""

    def __init__(
        self,
        *,
        module: ModuleType,
        data: Any,
        proposer: Any,
        objective: tuple[str, str],
        folder: Path,
        seed: int,
        trial_minutes: float | None,
        budget_minutes: float | None,
        default_epochs: int | None,
        max_trials: int,
        kept: int,
        verbose: int,
    ):
        self.rows: list[dict[str, Any]] = []
        self.finals: list[dict[str, Any]] = []
        """The rows of finalists from other seeds, each with "repeat"."""
        self._module, self._data, self._proposer = module, data, proposer
        self._objective, self._direction = objective
        self._folder, self._seed = folder, seed
        self._trial_seconds = math.inf if trial_minutes is None else trial_minutes * 60
        self._budget_seconds = math.inf if budget_minutes is None else budget_minutes * 60
        self._default_epochs, self._max_trials, self._kept = default_epochs, max_trials, kept
        self._verbose = verbose
        self._display: LiveTable | None = None
        self._log = log.EventLog(folder)
        self._pool: pool.Crew | None = None
        self._running: dict[str, dict[str, Any]] = {}
        """What runs, by its name: "row", "begun", "ends" without a further epoch, "epochs"."""
        self._brought = any(event.get("last") for event in self._log.before)
        self._begun = time.monotonic()
        self._before = max((event.get("elapsed", 0.0) for event in self._log.before), default=0.0)

    @property
    def elapsed(self) -> float:
        """Seconds of this search, those before a kill included."""
        return self._before + time.monotonic() - self._begun

    def close(self) -> None:
        """End the display and close the log."""
        if self._display is not None:
            self._display.__exit__(None, None, None)
        self._log.close()

    def carry_out(self, crew: pool.Crew) -> None:
        """Go through what has been done before, and have the crew train the rest."""
        self._pool = crew
        open_legs = self._replay()
        told = [row for row in self.rows if row["status"] != "running"]
        self._display = LiveTable(self._objective, verbose=self._verbose, known=told).__enter__()
        for event in open_legs:
            self._launch(self._row_of(event), event)
        stopped = False
        while True:
            # A chief whose workers have not come, or have gone, still finds out that nothing is left to train.
            while not stopped and len(self._running) < max(crew.places, 1) and not self._is_over_budget():
                proposal = self._proposer.next()
                if isinstance(proposal, str):
                    stopped = proposal == proposers.STOP
                    break
                self._begin(proposal)
            if not self._running and (stopped or self._is_over_budget()):
                break
            self._wait()
        self._bring_to_end()
        self._prune(over=True)

    def _bring_to_end(self) -> None:
        """When time is over, train the best trial to its end if it is a paused one."""
        able = ranked([row for row in self.rows if row["status"] in ("finished", "paused")], self._direction)
        if self._is_over_budget() and not self._brought and able and able[0]["status"] == "paused":
            row = self.rows[able[0]["trial"]]
            row["status"] = "running"
            self._note("start", row, until=None, last=True)
            self._launch(row, {"until": None, "last": True})
        while self._running:
            self._wait()

    def look_back(self) -> None:
        """Go through what has been done before, and train nothing."""
        if self._replay():
            raise RuntimeError(f"The search in {self._folder} is not over.")

    def repeat_best(self, finalists: int, repeats: int) -> dict[str, Any]:
        """Train the best trials again from other seeds and return the row of the winner."""
        finished = ranked([row for row in self.rows if row["status"] == "finished"], self._direction)
        if not finished:
            reasons = {row["reason"] or row["status"]: None for row in self.rows}
            raise RuntimeError(f"None of {len(self.rows)} trials has finished: {'; '.join(reasons)[:1000]}")
        candidates = finished[:finalists]
        todo = [
            {**row, "repeat": repeat, "seed": self._seed_of(row["trial"], repeat)}
            for row in candidates
            for repeat in range(1, repeats)
            if not any(each["trial"] == row["trial"] and each["repeat"] == repeat for each in self.finals)
        ]
        if todo and self._pool is None:
            raise RuntimeError(f"The search in {self._folder} is not over.")
        while self._pool is not None and (todo or self._running):
            while todo and len(self._running) < self._pool.places:
                row = todo.pop(0) | search_rows.begun()
                self.finals.append(row)
                self._note("start", row, until=None)
                self._launch(row, {"until": None})
            self._wait()
        for row in self.finals:  # their scores are kept, and of the winner's there is a model already
            shutil.rmtree(self._place(row) / search_trial.RUN_FOLDER, ignore_errors=True)
        in_order = sorted(candidates, key=lambda row: row["trial"])  # of equal means, the first trial's
        means = [{**row, "score": float(np.mean(search_rows.scores(row, self.finals)))} for row in in_order]
        return self.rows[ranked(means, self._direction)[0]["trial"]]

    def _seed_of(self, trial: int, repeat: int = 0) -> int:
        return int(np.random.SeedSequence([self._seed, trial, repeat]).generate_state(1)[0])

    def _is_over_budget(self) -> bool:
        # The way of the best trial to its end is set aside.
        aside = (
            0.0 if self._brought else search_rows.seconds_to_finish(self.rows, self._direction, self._default_epochs)
        )
        return self.elapsed + aside >= self._budget_seconds

    # What happens to a trial.

    def _begin(self, proposal: proposers.Proposal) -> None:
        row = self._propose(proposal)
        until = search_rows.until(proposal.share, row["keywords"].get("epochs") or self._default_epochs)
        self._note("start", row, until=until, values=proposal.point.values)
        try:
            self._module.resolve(**proposal.point.keywords)
        except InputError as error:
            self._end(row, "failed", " ".join(str(error).split()), until)
            return
        self._launch(row, {"until": until})

    def _propose(self, proposal: proposers.Proposal) -> dict[str, Any]:
        """Return the row of a proposal, a new one unless its trial goes on."""
        if proposal.trial < len(self.rows):
            row = self.rows[proposal.trial]
        else:
            row = search_rows.new(proposal.trial, seed=self._seed_of(proposal.trial), point=proposal.point)
            self.rows.append(row)
        row["status"] = "running"
        return row

    def _launch(self, row: dict[str, Any], leg: Mapping[str, Any]) -> None:
        place = self._place(row)
        place.mkdir(parents=True, exist_ok=True)
        name = place.name
        ends = self._running.get(name, {}).get("ends", [])
        (place / search_trial.END_FILE).unlink(missing_ok=True)
        self._running[name] = {
            "row": row,
            "until": leg["until"],
            # It goes on beyond the budget, and the proposer hears nothing of it.
            "last": leg.get("last", False),
            "begun": time.monotonic(),
            "ends": ends,
            "epochs": search_rows.read(place, None)["epochs"],
            "timed_out": "",
        }
        if self._pool is None:
            raise RuntimeError("The search has not been carried out.")
        self._pool.start(
            {
                "name": name,
                "folder": str(place),
                "keywords": {**row["keywords"], "seed": row["seed"]},
                "until": leg["until"],
                "data": None if self._data is None else str(self._data),
            }
        )

    def _wait(self) -> None:
        """Wait a little, and deal with what has ended."""
        if self._pool is None:
            return
        ends = self._pool.poll(POLL_SECONDS)
        for name, code in ends:
            leg = self._running.get(name)
            if leg is None:
                continue
            place, row = self._place(leg["row"]), leg["row"]
            row["seconds"] = round(row["seconds"] + time.monotonic() - leg["begun"], 3)
            if (place / search_trial.END_FILE).exists():
                end = json.loads((place / search_trial.END_FILE).read_text("utf-8"))
                self._end(row, end["status"], end["reason"], leg["until"])
            elif leg["timed_out"]:
                self._end(row, "timed_out", leg["timed_out"], leg["until"])
            else:
                self._crashed(leg, code)
        waiting = self._pool.waiting
        for name, leg in self._running.items():
            if name in waiting:
                leg["begun"] = time.monotonic()
            spent = leg["row"]["seconds"] + time.monotonic() - leg["begun"]
            over = self._is_over_budget() and not (leg["last"] or leg["row"].get("repeat"))
            if not leg["timed_out"] and (spent > self._trial_seconds or over):
                whose = "of the search" if over else "of a trial"
                leg["timed_out"] = f"stopped after {spent:.0f} s: the time {whose} is over"
                self._pool.kill(name)
        self._show()

    def _crashed(self, leg: dict[str, Any], code: int | None) -> None:
        row, place = leg["row"], self._place(leg["row"])
        epochs = search_rows.read(place, None)["epochs"]
        leg["ends"] = [*(leg["ends"] if epochs <= leg["epochs"] else []), code]
        reason = search_rows.crash(leg["ends"], epochs)
        if reason is None:
            self._launch(row, leg)
            return
        said = search_rows.last_line(place / search_trial.LOG_FILE)
        self._end(row, "crashed", reason + said, leg["until"])

    def _end(self, row: dict[str, Any], status: str, reason: str, until: int | None) -> None:
        place = self._place(row)
        row |= {"status": status, "reason": reason} | search_rows.read(place, until)
        row |= search_rows.score(row, self._objective)
        if status in ("finished", "paused") and row["score"] is None:
            row |= {"status": "not_finite", "reason": f"no finite {self._objective} in {row['epochs']} epochs"}
        self._note(
            "end", row, **{name: row[name] for name in ("status", "reason", "score", "best_epoch", "epochs", "seconds")}
        )
        if not self._running.pop(place.name, {}).get("last"):
            self._tell(row)
        if not row.get("repeat"):
            self._prune()

    def _tell(self, row: Mapping[str, Any]) -> None:
        if not row.get("repeat"):
            able = row["status"] in ("finished", "paused")
            self._proposer.tell(row["trial"], row["score"] if able else None)

    def _prune(self, *, over: bool = False) -> None:
        """Keep the models of the best trials only; checkpoints of trials that may go on are kept until they cannot."""
        done = ranked([row for row in self.rows if row["status"] not in ("running", "paused")], self._direction)
        kept = [row for row in done if row["status"] == "finished"][: self._kept]
        gone = [row for row in done if row not in kept]
        is_over = getattr(self._proposer, "is_over", None)
        paused = [row for row in self.rows if row["status"] == "paused"]
        gone += [row for row in paused if over or (is_over is not None and is_over(row["trial"]))]
        for row in gone:
            shutil.rmtree(self._place(row) / search_trial.RUN_FOLDER, ignore_errors=True)

    # The log.

    def _note(self, event: str, row: Mapping[str, Any], **facts: Any) -> None:
        self._log.write(
            event=event, trial=row["trial"], repeat=row.get("repeat", 0), elapsed=round(self.elapsed, 3), **facts
        )

    def _replay(self) -> list[dict[str, Any]]:
        """Go through the events of the calls before; return what was started and has not ended."""
        running: dict[tuple[int, int], dict[str, Any]] = {}
        for event in self._log.before:
            key = (event["trial"], event["repeat"])
            if event["event"] == "start" and event["repeat"]:
                row = self.rows[event["trial"]]
                seed = self._seed_of(*key)
                self.finals.append({**row, "repeat": event["repeat"], "seed": seed, **search_rows.begun()})
                running[key] = event
            elif event.get("last"):
                running[key] = event
                self.rows[event["trial"]]["status"] = "running"
            elif event["event"] == "start":
                proposal = self._next_as(event)
                row = self._propose(proposal)
                running[key] = event
            else:
                last = running.pop(key, {}).get("last")
                row = self._row_of(event)
                row |= {name: event[name] for name in ("status", "reason", "score", "best_epoch", "epochs", "seconds")}
                row |= search_rows.read(self._place(row), row["epochs"])
                if not last:
                    self._tell(row)
        return list(running.values())

    def _next_as(self, event: Mapping[str, Any]) -> proposers.Proposal:
        """Return the proposal that an event is about, which the proposer makes again."""
        proposal = self._proposer.next()
        same = not isinstance(proposal, str) and (
            proposal.trial == event["trial"] and configuration.jsonable(proposal.point.values) == event["values"]
        )
        if not same:
            raise InputError(
                "directory",
                received=f"trial {event['trial']} at {event['values']} there, and {proposal} now",
                expected="the same points in the same order",
                mend="Go on with the versions of kerasdl and keras-tuner that began it, or choose another directory.",
            )
        return proposal

    def _row_of(self, event: Mapping[str, Any]) -> dict[str, Any]:
        if not event["repeat"]:
            return self.rows[event["trial"]]
        key = (event["trial"], event["repeat"])
        return next(row for row in self.finals if (row["trial"], row["repeat"]) == key)

    def _place(self, row: Mapping[str, Any]) -> Path:
        return search_rows.place(self._folder, row)

    def _show(self) -> None:
        if self._display is None:
            return
        epochs = {
            leg["row"]["trial"]: (
                search_rows.read(self._place(leg["row"]), None)["epochs"],
                leg["until"] or leg["row"]["keywords"].get("epochs") or self._default_epochs or 0,
            )
            for leg in self._running.values()
        }
        done = [row for row in self.rows if row["status"] != "running"]
        # What goes on from a pause, and how long, nobody knows yet.
        known = done and not any(row["status"] == "paused" for row in done)
        seconds = self.elapsed / len(done) * max(self._max_trials - len(done), 0) if known else None
        if seconds is not None:
            seconds = min(seconds, max(self._budget_seconds - self.elapsed, 0))
        self._display.update(self.rows, epochs, best_of(done, self._direction), len(done), self._max_trials, seconds)
