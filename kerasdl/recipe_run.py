"""What every recipe does around its data, model and loss: configuration, folder, memory that runs out, result."""

from __future__ import annotations

import contextlib
import gc
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras

from kerasdl import configuration, diagnostics, measuring, run_directory, training
from kerasdl.result import Result

if TYPE_CHECKING:
    from kerasdl.data import Dataset
    from kerasdl.task import Task

History = dict[str, list[float]]
_test_is_left: ContextVar[bool] = ContextVar("_test_is_left", default=False)


@contextlib.contextmanager
def without_test() -> Iterator[None]:
    """Train without looking at the test split: no metrics, no baselines, no diagnosis; a search has them at its end.

    The runs in here have the same configuration, weights and history as others.
    """
    token = _test_is_left.set(True)
    try:
        yield
    finally:
        _test_is_left.reset(token)


def run_recipe(
    recipe: str,
    arguments: Mapping[str, Any],
    dataset: Dataset,
    *,
    task: Task,
    prepare: Callable[[dict[str, Any]], dict[str, Any]],
    build: Callable[[dict[str, Any]], keras.Model],
    fit: Callable[[keras.Model, dict[str, Any]], History],
    baselines: Callable[[], Mapping[str, Mapping[str, float]]] | None = None,
    examples: int | None = None,
) -> Result:
    """Carry out a recipe's training: go on with the run that is in its folder, or begin one, and return its result.

    When memory runs out, the training begins again with half the batch and twice the gradient accumulation, so that
    an update sees as many examples; this is warned of, and written into the configuration.

    Args:
        recipe: Its name.
        arguments: Those of its `train`, checked and resolved.
        dataset: The data.
        task: What kind of problem they set.
        prepare: Returns those arguments that only data and machine can decide, such as "auto".
        build: Builds the model from the arguments, all decided; random states are seeded before. What it refuses is
            refused before anything is written.
        fit: Trains the model, given the arguments and what :func:`kerasdl.training.fit` must know of the folder, and
            leaves it with its best weights; returns the history.
        baselines: Returns what simple methods reach on the test split, metrics by their name.
        examples: Examples of an epoch, where they are not those of the training split.

    Returns:
        The result, saved in its folder if there is one.
    """
    asked = {name: arguments[name] for name in run_directory.BATCH}
    folder = None if arguments["directory"] is None else Path(arguments["directory"])
    arguments = {**arguments, **run_directory.decided(folder, arguments)}
    while True:
        try:
            arguments = arguments | training.suited(arguments, examples or len(dataset.train))
            decided = arguments | prepare(arguments)
            config = configured(decided, dataset)
            if decided["verbose"]:
                print(f"Data: {dataset.describe()}\nConfiguration:\n{configuration.describe(config)}", flush=True)
            if folder is not None and run_directory.is_finished(folder, config):
                return _said(Result.load(folder, data=dataset), decided["verbose"])
            strategy = decided["strategy"]
            with training.distributed(strategy):
                keras.utils.set_random_seed(decided["seed"])
                model = build(decided)
                if decided["verbose"]:
                    _say_slow_kernels(model)
                _check_optimizer(decided)
                if folder is not None:
                    run_directory.begin(folder, config)
                gradients: dict[str, Any] = {}
                history = fit(model, decided | run_directory.places(folder) | {"gradient_log": gradients})
            if strategy is not None:
                model = training.undistributed(model)
            break
        except Exception as error:
            if not training.is_out_of_memory(error):
                raise
            arguments = arguments | _with_less_memory(arguments, examples or len(dataset.train))
            model = None
            for callback in arguments["callbacks"]:
                callback._model = None
        # Only here, where the error holds no frame and no tensor any more, can the memory come back.
        keras.utils.clear_session(free_memory=True)
        gc.collect()
        run_directory.restart(folder, asked=asked)
    if decided.get("calibrate") and isinstance(task, measuring.Classification):
        # Only now: checkpoints have the weights as they were trained, so that a run that is killed here ends alike.
        temperature = task.temperature(model, dataset.validation, batch_size=decided["batch_size"])
        training.divide_logits(model, temperature)
        if decided["verbose"]:
            print(f"Calibrated: logits divided by {temperature:.3f}, by the validation split.", flush=True)
    left = _test_is_left.get()
    result = Result(
        recipe=recipe,
        model=model,
        history=history,
        gradients=gradients,
        config=config,
        dataset=dataset,
        task=task,
        metrics={} if left else None,
        diagnosis=[] if left else None,
        baselines=baselines() if baselines is not None and not left else None,
    )
    if folder is not None:
        result.save(folder)
    return _said(result, decided["verbose"])


def configured(arguments: Mapping[str, Any], dataset: Dataset) -> dict[str, Any]:
    """Return the configuration: every argument as resolved, and what else a run's numbers depend on."""
    # The one says the other; where there is no input_shape, image_size says all.
    said = {"input_shape": list(dataset.input_shape), "image_size": None} if "input_shape" in arguments else {}
    return {
        **configuration.jsonable({name: value for name, value in arguments.items() if name != "callbacks"}),
        **{name: value for name, value in said.items() if name in arguments},
        "data": dataset.source,
        "directory": None,  # a repeated run needs a folder of its own
        "resume": False,
        "versions": training.versions(),
        "hardware": training.describe_hardware(),
        "data_fingerprint": dataset.fingerprint,
    }


def _say_slow_kernels(model: keras.Model) -> None:
    for kernel in diagnostics.recurrent_kernels(model):
        if kernel.reason:
            print(f"Not the fastest kernel: {kernel}", flush=True)


def _check_optimizer(decided: Mapping[str, Any]) -> None:
    # Made once for nothing, so that what an optimizer refuses is refused before anything is written.
    options = configuration.matching(training.make_optimizer, decided)
    if decided.get("l1_mode") == "proximal":
        options["proximal_l1"] = decided["l1"]
    training.make_optimizer(decided["optimizer"], total_steps=1, **options)


def _with_less_memory(arguments: Mapping[str, Any], examples: int) -> dict[str, Any]:
    before = min(arguments["batch_size"], examples), arguments["gradient_accumulation"]
    smaller = None if arguments["strategy"] else training.smaller_batch(*before)
    if smaller is None or not isinstance(arguments["optimizer"], str):
        raise MemoryError(
            f"Memory ran out with batches of {before[0]}. "
            + (
                "Choose smaller batches: with a strategy nothing is accumulated."
                if arguments["strategy"]
                else "Nothing smaller is left: choose a smaller model or smaller inputs."
                if smaller is None
                else f"Pass batch_size={smaller[0]} and set gradient_accumulation_steps={smaller[1]} on the optimizer."
            )
        )
    warnings.warn(
        f"OUT OF MEMORY with batch_size={before[0]}, gradient_accumulation={before[1]}: training begins again with "
        f"batch_size={smaller[0]}, gradient_accumulation={smaller[1]}, which makes the same updates of "
        f"{before[0] * before[1]} examples (batch normalization and the moving average go by the smaller batches).",
        stacklevel=3,
    )
    return {"batch_size": smaller[0], "gradient_accumulation": smaller[1]}


def _said(result: Result, verbose: int) -> Result:
    if verbose:
        print(result.summary(), flush=True)
    return result
