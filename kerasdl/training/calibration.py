"""Calibration: which precision, compilation and steps an execution train a model fastest on this machine.

Here belong the candidates, the choice between them and the cache of what was measured; measuring is in `trials`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from kerasdl import checks, keywords
from kerasdl.accelerators import accelerators
from kerasdl.configuration import write_json
from kerasdl.training import hardware
from kerasdl.training.batches import Augment, Encode, Examples, TrainingBatches
from kerasdl.training.optimizers import make_optimizer
from kerasdl.training.trials import Candidate, Timing, Trials, name_of, nothing_changed, parse

MANY_STEPS = 20


@dataclasses.dataclass(frozen=True)
class Choice:
    """What calibration chose, and why.

    Args:
        precision: "float32", "bfloat16" or "float16".
        jit_compile: Whether to compile with XLA.
        steps_per_execution: Batches that the backend runs in one go.
        measured: One row a candidate: precision, jit_compile, steps_per_execution, images_per_second and
            compile_seconds, or under "dropped" why it has none.
        seconds: What calibration took.
        from_cache: Whether every number was known from an earlier calibration.
    """

    precision: str
    jit_compile: bool
    steps_per_execution: int
    measured: list[dict[str, Any]]
    seconds: float
    from_cache: bool

    def as_dict(self) -> dict[str, Any]:
        """Return it all as plain values for JSON."""
        return dataclasses.asdict(self)

    def __str__(self) -> str:
        """A table of the candidates, then the choice."""
        lines = [f"{'precision':<10} {'XLA':<4} {'steps':>5} {'examples/s':>11} {'compiling':>10}"]
        for row in self.measured:
            rate = row["images_per_second"]
            end = f" {row['dropped']}" if rate is None else f"{rate:>11,.0f} {row['compile_seconds']:>8.1f} s"
            jit = "yes" if row["jit_compile"] else "no"
            lines.append(f"{row['precision']:<10} {jit:<4} {row['steps_per_execution']:>5} {end}")
        compiled = "with XLA" if self.jit_compile else "without XLA"
        source = "known from an earlier calibration" if self.from_cache else f"calibration took {self.seconds:.1f} s"
        lines.append(f"Chosen: {self.precision} {compiled}, {self.steps_per_execution} steps an execution ({source}).")
        return "\n".join(lines)


def calibrate(
    build: Callable[..., keras.Model],
    examples: Examples,
    *,
    loss: Any,
    total_steps: int,
    batch_size: int = 64,
    encode_targets: Encode | None = None,
    encode_last: bool = False,
    augment: Augment | None = None,
    optimizer: Any = "adamw",
    weight_decay: float | None = None,
    gradient_clip: float | None = None,
    gradient_accumulation: int = 1,
    ema: float | None = None,
    precision: str = "auto",
    jit_compile: bool | str = "auto",
    steps_per_execution: int | str = "auto",
    expected_seconds: float | None = None,
    cache: str | Path | None = None,
) -> Choice:
    """Train throw-away models for a moment each, and choose what makes the whole run shortest.

    Measured are float32 and bfloat16 (on a GPU float16 too), without and with XLA, cheapest to compile first, and then
    20 steps an execution for the best of them; what compiling costs counts as part of the run. A candidate whose trial
    is not expected to fit into 3 % of the run is dropped, so that a short run just starts: with float32, without XLA,
    one step an execution. Outside of that budget is only what it takes to estimate the run: one build and two forward
    passes. Measurements are kept by model, batch, versions and hardware. Random state, the counters of names and the
    dtype policy are as before when this returns.

    Args:
        build: Called as `build(precision=...)`; returns a new, uncompiled model each time.
        examples: The training split: `len(...)`, `.targets`, `.batch(indices)`.
        loss: A Keras loss.
        total_steps: Batches of the whole run.
        batch_size: Examples a step.
        encode_targets: What turns stored targets into those that `loss` compares.
        encode_last: Whether that comes after `augment`.
        augment: What changes a training batch at random.
        optimizer: See :func:`kerasdl.training.make_optimizer`, also for the next four; of an object, copies are used.
        weight_decay: Decoupled weight decay.
        gradient_clip: Largest global gradient norm.
        gradient_accumulation: Batches an update.
        ema: Momentum of a moving average of the weights.
        precision: "auto", or the one to stay with.
        jit_compile: "auto", or whether to compile with XLA.
        steps_per_execution: "auto", or the number to stay with.
        expected_seconds: What the run is expected to take; by default estimated from the first measurement.
        cache: The file that keeps measurements; by default calibration.json in the folder `KERASDL_CACHE`, or in
            ~/.cache/kerasdl.

    Returns:
        The choice, with every measurement and every candidate that was dropped.

    Raises:
        InputError: For a keyword that cannot work.

    Example:
        >>> choice = calibrate(build, dataset.train, loss=loss, total_steps=20_000)
        >>> with precision_policy(choice.precision): ...
    """
    started = time.perf_counter()
    keywords.check({"jit_compile": jit_compile, "batch_size": batch_size})
    if precision != "auto":
        keywords.check({"precision": precision})
    checks.integer(1, example=1000)("total_steps", total_steps)
    if steps_per_execution != "auto":
        checks.integer(1, example=MANY_STEPS)("steps_per_execution", steps_per_execution)
    batches = TrainingBatches(
        examples,
        batch_size=batch_size,
        seed=0,
        encode_targets=encode_targets,
        encode_last=encode_last,
        augment=augment,
    )
    first, many = _candidates(precision, jit_compile, steps_per_execution)
    if len(first) == 1 and many is None:
        return Choice(*first[0], measured=[], seconds=0.0, from_cache=False)
    settings = {
        "weight_decay": weight_decay,
        "gradient_clip": gradient_clip,
        "gradient_accumulation": gradient_accumulation,
        "ema": ema,
    }
    path = _cache_path(cache)
    with nothing_changed():
        model = build(precision=first[0][0])
        key = _key(model, batches, {"loss": loss, "optimizer": optimizer, **settings})
        trials = Trials(
            build=build,
            compile_keywords=lambda: {"loss": loss, "optimizer": _fresh(optimizer, total_steps, settings)},
            batches=batches,
            total_steps=total_steps,
            expected_seconds=expected_seconds,
            known=_read(path).get(key, {}),
            started=started,
        )
        trials.begin(first[0], model)
        for candidate in first[1:]:
            trials.attempt(candidate)
        best = trials.best(first)
        if many is not None:
            second = (*best[:2], many)
            trials.attempt(second)
            best, first = trials.best([first[0], best, second]), [*first, second]
    if trials.new:
        _write(path, key, trials.timings)
    return Choice(
        *best,
        measured=[trials.row(candidate) for candidate in first],
        seconds=time.perf_counter() - started,
        from_cache=bool(trials.timings) and not trials.new,
    )


def _candidates(
    precision: str, jit_compile: bool | str, steps_per_execution: int | str
) -> tuple[list[Candidate], int | None]:
    """Return those tried at first, cheapest to compile first, and the steps an execution to try on the best of them."""
    backend = keras.backend.backend()
    precisions = ["float32", "bfloat16"] + (
        ["float16"] if any(name.startswith("gpu") for name in accelerators()) else []
    )
    # JAX without XLA is for debugging; PyTorch's compiler takes minutes, and wants a C compiler.
    compiled = {"tensorflow": [False, True], "jax": [True]}.get(backend, [False])
    steps = 1 if steps_per_execution == "auto" else int(steps_per_execution)
    first = [
        (which, jit, steps)
        for jit in (compiled if jit_compile == "auto" else [bool(jit_compile)])
        for which in (precisions if precision == "auto" else [precision])
    ]
    # Elsewhere it is a loop in Python around the same step.
    return first, MANY_STEPS if steps_per_execution == "auto" and backend == "tensorflow" else None


def _fresh(optimizer: Any, total_steps: int, settings: dict[str, Any]) -> keras.optimizers.Optimizer:
    if isinstance(optimizer, keras.optimizers.Optimizer):
        optimizer = keras.optimizers.serialize(optimizer)
    return make_optimizer(optimizer, total_steps=total_steps, **settings)


def _cache_path(cache: str | Path | None) -> Path:
    if cache is not None:
        return Path(cache)
    return Path(os.environ.get("KERASDL_CACHE") or Path.home() / ".cache" / "kerasdl") / "calibration.json"


def _key(model: keras.Model, batches: TrainingBatches, training: dict[str, Any]) -> str:
    shapes = keras.tree.map_structure(lambda array: f"{array.dtype}{array.shape}", batches[0])
    machine = [hardware._processor(), os.cpu_count(), accelerators()]
    facts = {"model": model.to_json(), "batch": shapes, "versions": hardware.versions(), "hardware": machine}
    training = {name: _plain(value) for name, value in training.items()}
    return hashlib.sha256(json.dumps([facts, training], sort_keys=True, default=str).encode()).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return keras.saving.serialize_keras_object(value) if hasattr(value, "get_config") else value


def _read(path: Path) -> dict[str, dict[str, Timing]]:
    """Return what the cache holds; a damaged or missing one holds nothing."""
    try:
        entries = json.loads(path.read_text("utf-8"))
        return {
            key: {
                name: {field: float(timing[field]) for field in ("images_per_second", "compile_seconds")}
                for name, timing in timings.items()
                if name_of(parse(name)) == name and timing["images_per_second"] > 0
            }
            for key, timings in entries.items()
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def _write(path: Path, key: str, timings: dict[str, Timing]) -> None:
    # Without a place to write it, the next calibration just measures again.
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, {**_read(path), key: timings})
