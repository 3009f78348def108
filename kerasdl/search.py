"""Hyperparameter search: trials in processes of their own, a log that survives every kill, a winner that is trusted.

    kerasdl search image_classification --data digits --max_trials 20 --directory searches/digits

Here the parts of `kerasdl.tuning` meet the recipes, their data and their results.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from kerasdl import checks, configuration, search_crew
from kerasdl.errors import InputError
from kerasdl.recipe_modules import find_recipe
from kerasdl.search_outcome import Outcome
from kerasdl.search_run import Search
from kerasdl.tuning import log, proposers, spaces, wire

# What a search decides about its trials, so that nobody else can.
OWN = ("directory", "resume", "callbacks", "verbose", "seed", "strategy", *configuration.RECORDED)


def search(
    recipe: ModuleType | str,
    data: Any = None,
    *,
    space: Callable[[Any], dict[str, Any]] | Mapping[str, Any] | None = None,
    tuner: Any = "random",
    max_trials: int = 20,
    objective: str | None = None,
    finalists: int = 3,
    repeats: int = 3,
    workers: int | Literal["chief", "worker"] | None = None,
    worker_seconds: float = 60,
    trial_minutes: float | None = None,
    budget_minutes: float | None = None,
    directory: str | Path | None = None,
    seed: int = 0,
    verbose: int = 1,
    **fixed: Any,
) -> Outcome:
    """Search the hyperparameters of a recipe.

    Every trial trains in a process of its own, from a seed that depends on `seed` and its number. What crashes, runs
    out of memory or time, or gives no finite number is a row with its reason, and the search goes on. Killed at any
    moment, the same call goes on: finished trials are kept, running ones continue from their checkpoints. Trials never
    see the test split; at the end the best of them are trained again from other seeds, the one with the best mean is
    the winner, and only its model is measured on the test split, once.

    Args:
        recipe: A module such as `recipes.image_classification`, or its name.
        data: As the recipe's `train` takes them; None for its embedded sample.
        space: What is searched: None for the recipe's own space; a function from KerasTuner's `hp` to keyword
            arguments of `train`; or a mapping of single entries that replace or extend those of the recipe, such as
            {"dropout": (0.0, 0.6), "batch_size": [32, 64]}: a list of values, a pair of numbers, one of KerasTuner's
            hyperparameter objects, a function of `hp`, or a single value.
        tuner: random, grid, bayesian, hyperband (many trials for few epochs, the best of them for more; a forest
            that learns from all of them picks new ones), or one of KerasTuner's tuners or oracles.
        max_trials: Different points of the space at most. A smaller space is tried out in full.
        objective: What is searched by, such as val_loss or val_accuracy, at the epoch whose weights are kept; by
            default val_accuracy where each example has one class, else val_loss.
        finalists: Trials that are trained again from other seeds before a winner is named.
        repeats: Seeds of each finalist in all; 1 names the winner by its single best score.
        workers: Trials at the same time; by default one for each GPU, and one where there is none. On processors they
            share the cores. Or "chief" in one process and "worker" in others with the same call, on machines that share
            `directory`: the chief hands out trials and trains none. It listens at KERASTUNER_ORACLE_IP, by default
            127.0.0.1, and KERASTUNER_ORACLE_PORT, by default 8000, without any password; for None,
            KERASTUNER_TUNER_ID says who is the chief: its name starts with "chief". Each can be killed and started
            again. A worker's call returns, when the search is over, the same outcome.
        worker_seconds: Silence of a worker after which its trial is given to another one, to go on from its last
            checkpoint. Workers wait for a chief that is away ten times as long.
        trial_minutes: Time after which a trial is stopped and recorded as timed out.
        budget_minutes: Time after which the search starts no more trials and stops those that run. The best trial's
            way to its end, if Hyperband has left all halfway, is estimated and set aside from it. The finalists from
            other seeds come after it.
        directory: Folder of the search; by default searches/NAME of the data.
        seed: Of the points and of all trainings.
        verbose: 0 silent, 1 a live table on a terminal and lines elsewhere, 2 always lines.
        fixed: Arguments of `train` that are the same in all trials.

    Returns:
        The outcome: `best`, `best_config`, `table`, `refit()`.

    Raises:
        InputError: For an argument, a space or data that cannot work, and for a directory with another search.
        RuntimeError: When no trial has finished; on a worker, when its chief was away for too long.

    Example:
        >>> outcome = search(image_classification, "digits", max_trials=20, tuner="hyperband")
        >>> outcome.best.metrics, outcome.best_config
    """
    module, data = find_recipe(recipe, data)
    for name, value, least in (("max_trials", max_trials, 1), ("finalists", finalists, 1), ("repeats", repeats, 1)):
        checks.integer(least, example=3)(name, value)
    checks.integer(0, maximum=2**31)("seed", seed)
    role = wire.role(workers)
    if workers is not None and role is None:
        checks.integer(1, example=2)("workers", workers)
    checks.number(1, example=60)("worker_seconds", worker_seconds)
    for name, minutes in (("trial_minutes", trial_minutes), ("budget_minutes", budget_minutes)):
        if minutes is not None:
            checks.number(0, above=True, example=30)(name, minutes)
    _check_fixed(module, fixed)
    whole = spaces.make_space(module.space, space, fixed)
    known = spaces.discover(whole)
    # The space's own defaults, so that what can never work is refused before anything is written.
    arguments = module.resolve(data=data, **spaces.point(whole, {}).keywords)
    own_data = _searched_data(module, whole, known, data)
    dataset = module.load(**{**arguments, **fixed})
    goal = _objective(objective, dataset)
    folder = Path("searches") / dataset.name if directory is None else Path(directory)
    checks.folder("directory", folder)
    settings = {
        "recipe": module.__name__,
        "data": {"source": dataset.source, "fingerprint": dataset.fingerprint},
        "space": spaces.describe(known),
        "fixed": configuration.jsonable(fixed),
        "search": {
            "tuner": tuner if isinstance(tuner, str) else type(tuner).__name__,
            "max_trials": max_trials,
            "objective": goal[0],
            "finalists": finalists,
            "repeats": repeats,
            "seed": seed,
        },
    }
    say = functools.partial(print, flush=True) if verbose else _say_nothing
    if role == "worker":
        search_crew.work(
            module, dataset, data, folder=folder, settings=settings, worker_seconds=worker_seconds, say=say
        )
    log.begin(folder, settings)
    proposer = proposers.make_proposer(
        tuner, whole, known=known, objective=goal[0], direction=goal[1], max_trials=max_trials, seed=seed
    )
    run = Search(
        module=module,
        data=data if own_data else None,
        proposer=proposer,
        objective=goal,
        folder=folder,
        seed=seed,
        trial_minutes=trial_minutes,
        budget_minutes=budget_minutes,
        default_epochs=arguments.get("epochs"),
        max_trials=max_trials,
        kept=finalists,
        verbose=verbose,
    )
    with search_crew.crew(
        role, module, dataset, folder=folder, workers=workers, worker_seconds=worker_seconds, say=say
    ) as crew:
        try:
            if crew is None:
                run.look_back()
            else:
                run.carry_out(crew)
            winner = run.repeat_best(finalists, repeats)
        finally:
            run.close()
        outcome = Outcome(
            module,
            folder=folder,
            dataset=dataset,
            rows=run.rows,
            objective=goal,
            finals=run.finals,
            winner=winner,
            log_names=spaces.log_names(known),
        )
        if crew is not None:
            outcome.finish()
    if verbose:
        print(outcome.summary(), flush=True)
    return outcome


def _say_nothing(line: str) -> None:
    pass


def _check_fixed(module: Any, fixed: Mapping[str, Any]) -> None:
    parameters = inspect.signature(module.train).parameters
    for name in fixed:
        if name in OWN or name not in parameters or name == "data":
            raise InputError(
                name,
                received="an argument that a search sets for each trial" if name in OWN else "an unknown argument",
                expected=f"an argument of search, or one of {module.__name__}.train",
                mend="Leave it out: trials run in processes of their own, each with its folder and seed."
                if name in OWN
                else f"Choose among {', '.join(each for each in parameters if each not in (*OWN, 'data'))}.",
            )


def _searched_data(module: Any, space: spaces.Space, known: Any, data: Any) -> bool:
    """Return whether trials must load the data themselves, because what is searched changes them."""
    seen = [spaces.point(space, {hp.name: hp.random_sample(number) for hp in known.space}) for number in range(20)]
    changing = sorted(
        name for name in module.DATA_KEYWORDS if len({repr(each.keywords.get(name)) for each in seen}) > 1
    )
    if changing and not isinstance(data, (str, Path)):
        raise InputError(
            f"space[{changing[0]!r}]",
            received="data from memory",
            expected="a name, a folder or a file: each trial loads the data anew, as this changes them",
            mend=f"Save the data to a file, or leave {changing[0]} out of the space.",
        )
    return bool(changing)


def _objective(asked: str | None, dataset: Any) -> tuple[str, str]:
    """Return what is looked at, and whether the lowest ("min") or the highest ("max") is best."""
    classes = dataset.kind in ("images", "text", "series") and not dataset.multi_label
    name = asked or ("val_accuracy" if classes else "val_loss")
    if not isinstance(name, str) or not name.startswith("val_"):
        raise InputError(
            "objective",
            received=repr(name),
            expected="a curve of the validation split, such as val_loss or val_accuracy",
            mend='Try objective="val_loss".',
        )
    higher = any(word in name for word in ("accuracy", "auc", "f1", "precision", "recall", "score", "r2"))
    return name, "max" if higher else "min"
