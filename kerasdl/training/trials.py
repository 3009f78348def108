"""One trial after another of a calibration: what each candidate is measured to do, and the budget that all keep to.

Which candidates there are, and where measurements are kept, is in `calibration`.
"""

from __future__ import annotations

import contextlib
import gc
import random
import time
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
from keras.src.backend.common import global_state

from kerasdl.training.allocator import keep_freed_memory
from kerasdl.training.batches import TrainingBatches
from kerasdl.training.building import build_variables
from kerasdl.training.fast_operations import fast_operations

# The share of the expected run that calibration may take, and how much shorter a run must become to leave the default.
BUDGET, GAIN = 0.03, 1.05
# Before anything was compiled: seconds that tracing takes, and those of each layer; XLA takes this many times longer.
TRACE, TRACE_LAYER, XLA = 1.0, 0.15, 4.0
# Executions before the measurement proper (compiling, warming up, sizing), its windows, and their seconds together.
FIRST, WINDOWS, SECONDS = 3, 3, 1.0

Candidate = tuple[str, bool, int]
Timing = dict[str, float]


def name_of(candidate: Candidate) -> str:
    """Return the candidate as a word, the key of its timing."""
    return "/".join(str(part) for part in candidate)


def parse(name: str) -> Candidate:
    """Return the candidate that :func:`name_of` made a word of."""
    precision, jit, steps = name.split("/")
    return precision, jit == "True", int(steps)


@contextlib.contextmanager
def nothing_changed() -> Iterator[None]:
    """Leave Keras's and Python's random state, Keras's dtype policy and its counters of names as they are.

    Inside, names count from zero, so that one model has one configuration whatever was built before it.
    """
    python, numpy, policy = random.getstate(), np.random.get_state(), keras.config.dtype_policy()
    names = global_state.get_global_attribute("object_name_uids")
    seeds = global_state.get_global_attribute("global_seed_generator")
    global_state.set_global_attribute("object_name_uids", None)
    global_state.set_global_attribute("global_seed_generator", None)
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        keras.config.set_dtype_policy(policy)
        global_state.set_global_attribute("object_name_uids", names)
        global_state.set_global_attribute("global_seed_generator", seeds)


class Trials:
    """The candidates measured so far, the reasons of those that were dropped, and the budget of both."""

    def __init__(
        self,
        *,
        build: Callable[..., keras.Model],
        compile_keywords: Callable[[], dict[str, Any]],
        batches: TrainingBatches,
        total_steps: int,
        expected_seconds: float | None,
        known: dict[str, Timing],
        started: float,
    ):
        self.timings = dict(known)
        self.dropped: dict[str, str] = {}
        self.new = False
        self._build, self._compile_keywords, self._batches = build, compile_keywords, batches
        self._total_steps, self._expected, self._started = total_steps, expected_seconds, started

    def begin(self, candidate: Candidate, model: keras.Model) -> None:
        """Try the candidate that all others are compared with, on the `model` that was built for it."""
        self._first, self._model = candidate, model
        if name_of(candidate) not in self.timings:
            if self._expected is None:
                run = self._total_steps * _step_seconds(model, self._batches[0][0])
            else:
                run = self._expected
            tracing = (TRACE + TRACE_LAYER * len(model.layers)) * (XLA if candidate[1] else 1)
            self._within_budget(candidate, run, tracing + SECONDS)
        self._model = None

    def attempt(self, candidate: Candidate) -> None:
        """Try a candidate, if the budget has room for what that is likely to take."""
        first = self.timings.get(name_of(self._first))
        if name_of(candidate) in self.timings:
            return
        if first is None:
            self.dropped[name_of(candidate)] = f"not tried, as {name_of(self._first)} was not"
            return
        if candidate[2] > self._batches.steps:
            self.dropped[name_of(candidate)] = f"not tried: an epoch has only {self._batches.steps} steps"
            return
        alike = [timing["compile_seconds"] for name, timing in self.timings.items() if parse(name)[1] == candidate[1]]
        compiling = max(alike, default=XLA * first["compile_seconds"])
        step = self._batches.batch_size / first["images_per_second"]
        trial = compiling + FIRST * candidate[2] * step + max(SECONDS, WINDOWS * candidate[2] * step)
        run = self.run_seconds(self._first) if self._expected is None else self._expected
        self._within_budget(candidate, run, trial)

    def _within_budget(self, candidate: Candidate, run: float, trial: float) -> None:
        left = BUDGET * run - (time.perf_counter() - self._started)
        if trial > left:
            self.dropped[name_of(candidate)] = (
                f"not tried: it would take about {trial:.0f} s of the {max(left, 0):.1f} s left, "
                f"{BUDGET:.0%} of a run of {run:.0f} s"
            )
            return
        try:
            model = self._model or self._build(precision=candidate[0])
            if any(output.dtype != "float32" for output in model.outputs):
                self.dropped[name_of(candidate)] = f"not tried: its outputs are {model.outputs[0].dtype}, not float32"
                return
            self.timings[name_of(candidate)] = _measure(model, self._batches, candidate, self._compile_keywords())
            self.new = True
        except Exception as error:
            # What the first candidate fails with, the training would too; any other is merely not for this model.
            if candidate == self._first:
                raise
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            self.dropped[name_of(candidate)] = f"failed: {reason[:80]}"
        finally:
            model = None
            gc.collect()

    def run_seconds(self, candidate: Candidate) -> float:
        """What the whole run would take with a measured candidate, compiling included."""
        timing = self.timings[name_of(candidate)]
        return timing["compile_seconds"] + self._total_steps * self._batches.batch_size / timing["images_per_second"]

    def best(self, candidates: list[Candidate]) -> Candidate:
        """The measured candidate with the shortest run; the first one unless another is clearly better."""
        measured = [candidate for candidate in candidates if name_of(candidate) in self.timings]
        best = min(measured, key=self.run_seconds, default=self._first)
        if best != self._first and self.run_seconds(best) * GAIN > self.run_seconds(self._first):
            return self._first
        return best

    def row(self, candidate: Candidate) -> dict[str, Any]:
        """What is known of a candidate, for :class:`Choice`."""
        timing = self.timings.get(name_of(candidate), {"images_per_second": None, "compile_seconds": None})
        names = ("precision", "jit_compile", "steps_per_execution")
        dropped = None if name_of(candidate) in self.timings else self.dropped[name_of(candidate)]
        return {**dict(zip(names, candidate, strict=True)), **timing, "dropped": dropped}


class _Stopwatch(keras.callbacks.Callback):
    """Times the first execution, which compiles, then a few windows of equal work, and stops the training."""

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Start the clock."""
        self.windows: list[float] = []
        self.compiling, self._executions, self._per_window = 0.0, 0, 1
        self._mark = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Read the clock where a window ends."""
        self._executions += 1
        if self._executions > FIRST and (self._executions - FIRST) % self._per_window:
            return
        float((logs or {})["loss"])  # waits until an accelerator is done
        seconds, self._mark = time.perf_counter() - self._mark, time.perf_counter()
        if self._executions == 1:
            self.compiling = seconds
        elif self._executions == FIRST:
            self._per_window = max(1, round(SECONDS / WINDOWS / seconds))
        elif self._executions > FIRST:
            self.windows.append(seconds / self._per_window)
            self.model.stop_training = len(self.windows) == WINDOWS


def _measure(
    model: keras.Model, batches: TrainingBatches, candidate: Candidate, compile_keywords: dict[str, Any]
) -> Timing:
    model.compile(jit_compile=candidate[1], steps_per_execution=candidate[2], **compile_keywords)
    build_variables(model, batches[0])
    watch = _Stopwatch()
    with keep_freed_memory(), fast_operations(model):  # as in the training
        model.fit(batches.source(), epochs=1, steps_per_epoch=10**6, shuffle=False, verbose=0, callbacks=[watch])
    # The fastest window is the one that other work on the machine disturbed least.
    execution = min(watch.windows)
    return {
        "images_per_second": candidate[2] * batches.batch_size / execution,
        "compile_seconds": max(0.0, watch.compiling - execution),
    }


def _step_seconds(model: keras.Model, inputs: Any) -> float:
    """Guess what a training step takes, compiled, from forward passes that are not."""

    def forward(inputs: Any) -> float:
        seconds = []
        for _ in range(3):  # the first one is slow for reasons of its own
            started = time.perf_counter()
            keras.tree.map_structure(keras.ops.convert_to_numpy, model(inputs, training=False))
            seconds.append(time.perf_counter() - started)
        return min(seconds)

    overhead = forward(keras.tree.map_structure(lambda array: array[:1], inputs))
    # The gradient costs about twice the forward pass; a single example shows what is no computation at all.
    return overhead + 3 * max(0.0, forward(inputs) - overhead)
