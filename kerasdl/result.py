"""The result of a training: the model and all that is known about it, and what can be done with it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasdl import result_words, run_directory
from kerasdl import task as tasks
from kerasdl.errors import InputError, check_page
from kerasdl.spread import spread

if TYPE_CHECKING:
    import keras

    from kerasdl.data import Dataset
    from kerasdl.task import Task

PARITY_EXAMPLES = 64
# Of the training, from which the ranges of an int8 export are taken.
CALIBRATION_EXAMPLES = 200


class Result:
    """What a recipe's `train` returns.

    Args:
        recipe: Name of the recipe.
        model: The trained model with the weights of its best epoch; raw inputs in, logits out.
        history: A list with one number an epoch for every curve.
        config: Every argument as resolved, versions and hardware; `train(**config)` repeats the run.
        dataset: The data, or a function that loads it when it is first asked for.
        task: What kind of problem it is.
        metrics: Measured on the untouched test split; None measures them now.
        gradients: Sizes of gradients and updates over time, see `kerasdl.training.gradient_log.add`; may be empty.
        diagnosis: Findings; None makes them now.
        baselines: What simple methods reach on the test split, by their name.
        directory: The run's folder.
        story: What :func:`kerasdl.improve` tried before it had this result.
        exports: What is known of each export of the model, see :func:`kerasdl.run_directory.add_export`.
    """

    def __init__(
        self,
        *,
        recipe: str,
        model: keras.Model,
        history: Mapping[str, Sequence[float]],
        config: Mapping[str, Any],
        dataset: Dataset | Callable[[], Dataset],
        task: Task,
        gradients: Mapping[str, Any] | None = None,
        metrics: Mapping[str, float] | None = None,
        diagnosis: Sequence[Any] | None = None,
        baselines: Mapping[str, Mapping[str, float]] | None = None,
        directory: Path | None = None,
        story: Sequence[Mapping[str, Any]] = (),
        exports: Sequence[Mapping[str, Any]] = (),
    ):
        self.recipe = recipe
        self.model = model
        self.history = {name: list(values) for name, values in history.items()}
        self.gradients = dict(gradients or {})
        self.config = dict(config)
        self.task = task
        self.directory = directory
        self.story = [dict(attempt) for attempt in story]
        self.exports = [dict(each) for each in exports]
        self.baselines = {name: dict(values) for name, values in (baselines or {}).items()}
        self._dataset = dataset
        self.metrics = dict(metrics) if metrics is not None else self.evaluate()
        if diagnosis is None:
            diagnosis = self._diagnose()
        self.diagnosis = list(diagnosis)

    def __repr__(self) -> str:
        metrics = ", ".join(f"{name} {value:.4f}" for name, value in self.metrics.items())
        return f"<Result of {self.recipe} on {self.config['data']}: {metrics}>"

    def _diagnose(self) -> list[Any]:
        from kerasdl.training_findings import training_findings

        known = {"history": self.history, "config": self.config}
        scored = self.task.diagnose(self.model, self.dataset, **known)
        return training_findings(self.model, self.task, self.dataset, gradients=self.gradients, scored=scored, **known)

    @property
    def dataset(self) -> Dataset:
        """The data with its splits; after `Result.load` it is read again when first asked for."""
        if callable(self._dataset):
            self._dataset = self._dataset()
        return self._dataset

    @functools.cached_property
    def _explained(self) -> list[tuple[str, str]]:
        # Kept, since a report is written again with each export.
        from kerasdl.explained_examples import explained_examples

        return explained_examples(self)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Name of each class, in the order of the logits; empty where there are none."""
        return self.task.class_names

    @property
    def multi_label(self) -> bool:
        """Whether several classes of an example may be true at once."""
        return self.task.multi_label

    @property
    def best_epoch(self) -> int:
        """The epoch, from 1, whose weights the model has: the best, or the last where the run was to keep that."""
        losses = np.asarray(self.history["val_loss"], dtype=float)
        if self.config.get("keep") == "last":
            return int(np.flatnonzero(np.isfinite(losses))[-1]) + 1
        return int(np.nanargmin(losses)) + 1

    def summary(self) -> str:
        """Return what a person wants to know at the end: metrics, best epoch, findings, where the files are."""
        return result_words.summary(self)

    def predict(self, raw: Any) -> dict[str, np.ndarray]:
        """Predict on raw inputs with the live model.

        Args:
            raw: One input or many. Images: uint8 arrays of any size, paths, encoded bytes, or a list of these. Texts: a
                string or a list of strings. Series: numbers of shape (length, channels), or (count, length, channels),
                or a list of arrays of different lengths. To forecast: a table as the one of the training, or windows of
                raw values, see :func:`kerasdl.export.raw_windows.predict_raw_windows`.

        Returns:
            Of a classifier "scores": float32 (count, classes), each row sums to 1; "label": the best class's name,
            (count,). Of a multi-label model each score is in [0, 1] by itself, and "present" says which are above 0.5.
            Of a language model "text": each prompt with what follows it, see :meth:`generate`. Of a forecaster
            "forecast", "quantiles", "lower" and "upper", see :meth:`kerasdl.export.Forecaster.predict`.
        """
        return self.task.predictor(self.model).predict(raw)

    def generate(
        self,
        prompt: str | Sequence[str],
        *,
        max_new_tokens: int = 64,
        temperature: float = 0.8,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int = 0,
        stop: str | None = None,
        use_cache: bool = True,
        stream: bool = False,
    ) -> Any:
        """Go on with a text, if the model is a language model.

        Args:
            prompt: The text, or many; it may be empty.
            max_new_tokens: Tokens written at most; less where a text ends before.
            temperature: What the logits are divided by; 0 takes the most likely token always.
            top_k: Draw among that many of the most likely tokens; None for all.
            top_p: Then among as few of the most likely as have this probability together, in (0, 1]; None for all.
            seed: Of the draws.
            stop: Characters at which the new text ends; they are left out.
            use_cache: Whether keys and values of earlier tokens are kept; else the same text comes slowly.
            stream: Return an iterator over the pieces of the new text, as they are written. For one prompt.

        Returns:
            The prompt with what follows it: a string, for many prompts a list of strings.

        Raises:
            InputError: For a model that is no language model, and for an argument that cannot work.

        Example:
            >>> result.generate("The ", max_new_tokens=64, temperature=0.8)
        """
        if self.task.kind != "language":
            raise InputError(
                "generate",
                received=f"a result of {self.recipe}",
                expected="a language model",
                mend="Train one with recipes.language_model, or use .predict(raw).",
            )
        options = {"max_new_tokens": max_new_tokens, "temperature": temperature, "top_k": top_k, "top_p": top_p}
        options |= {"seed": seed, "use_cache": use_cache}
        writer: Any = self.task.predictor(self.model)
        if stream:
            return writer.stream(prompt, stop=stop, **options)
        texts = writer.write(prompt, stop=stop, **options)
        return texts[0] if isinstance(prompt, (str, bytes)) else texts

    def evaluate(self, data: Any = None) -> dict[str, float]:
        """Measure the model.

        Args:
            data: Data of any kind that `train` takes; its test split if it brings one, else all of it is measured. None
                measures the test split of the training's dataset.

        Returns:
            Of a classifier "accuracy" and "macro_f1" in [0, 1], "log_loss" in nats; of a multi-label one
            "subset_accuracy", "macro_f1", "micro_f1", "mean_average_precision", "log_loss": see
            `measuring.classification_metrics`; of a forecaster see `forecast_metrics.forecast_metrics`.

        Raises:
            InputError: When the data cannot be read or has classes that the model does not know.
        """
        split = self.dataset.test if data is None else self.task.load_split(data)
        return self.task.measure(self.model, split, batch_size=self.config["batch_size"])

    def report(self, path: str | Path) -> Path:
        """Write the run's report, one self-contained HTML page, and return its path."""
        from kerasdl.diagnostics import write_report
        from kerasdl.repeating import repeat_code

        path = Path(path)
        check_page("path", path)
        return write_report(
            path,
            title=f"{self.recipe.replace('_', ' ').capitalize()} · {self.dataset.name}",
            data=self.dataset.describe(),
            metrics=self.metrics,
            baselines=self.baselines,
            findings=self.diagnosis,
            history=self.history,
            best_epoch=self.best_epoch,
            config=self.config,
            recipe=self.recipe,
            gradients=self.gradients,
            story=self.story,
            repeat=repeat_code(self.recipe, self.config, self.directory),
            exports=self.exports,
            # A trial of a search is not measured, and nobody looks at it before it has won.
            explained=self._explained if self.metrics else [],
            **self.task.report(self.model, self.dataset, batch_size=self.config["batch_size"]),
        )

    def export(self, path: str | Path, *, format: str = "saved_model", quantization: str | None = None) -> Path:
        """Export the model and prove that it answers as this one; see `kerasdl.export.export`.

        Its metrics on the test split are measured too, in its own runtime, and recorded beside this one's.

        Args:
            path: Folder of the model, for example "saved_models/digits". It holds one format.
            format: "saved_model"; "litert", for phones; "onnx", for onnxruntime; "keras", to go on with in Keras.
            quantization: Of litert and onnx: "dynamic" for weights in int8, "int8" for activations too, whose ranges
                are taken from training examples.

        Returns:
            The folder of the new version, for example saved_models/digits/1.

        Example:
            >>> result.export("saved_models/digits_phone", format="litert", quantization="int8")
            PosixPath('saved_models/digits_phone/1')
        """
        from kerasdl.export import export, read_description

        version = export(
            self.task.predictor(self.model),
            path,
            examples=_spread(self.dataset.test, PARITY_EXAMPLES),
            description=result_words.export_description(self),
            format=format,
            quantization=quantization,
            calibration=_spread(self.dataset.train, CALIBRATION_EXAMPLES) if quantization == "int8" else None,
            measure=lambda exported: self.task.measure_export(exported, self.dataset.test),
        )
        self.exports = run_directory.add_export(self.directory, self.exports, version, read_description(version))
        if self.directory is not None and (page := self.directory / run_directory.REPORT_FILE).is_file():
            self.report(page)
        return version

    def save(self, directory: str | Path) -> Path:
        """Write the result into a folder from which :meth:`load` gives it back; `result.json` seals it."""
        directory = self.directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        self.report(directory / run_directory.REPORT_FILE)
        run_directory.seal(
            directory,
            model=self.model,
            config=self.config,
            history=self.history,
            gradients=self.gradients,
            facts={
                "recipe": self.recipe,
                "task": self.task.as_dict(),
                "metrics": self.metrics,
                "baselines": self.baselines,
                "diagnosis": [finding.as_dict() for finding in self.diagnosis],
                "story": self.story,
                "data_fingerprint": self.dataset.fingerprint,
            },
        )
        return directory

    @classmethod
    def load(cls, directory: str | Path, *, data: Any = None) -> Result:
        """Load a finished run.

        Args:
            directory: The folder that `train(..., directory=...)` wrote.
            data: The data of the run, if it came from memory and cannot be read again by its name.

        Returns:
            The same result: model, history, metrics, diagnosis, configuration; its dataset is read when asked for.

        Raises:
            InputError: When there is no finished run, a file is damaged, or the data are not those of the run.
        """
        from kerasdl.data import load_again
        from kerasdl.diagnostics import Finding

        directory = Path(directory)
        with run_directory.refusing_damage(directory):
            model, config, history, gradients, facts = run_directory.unseal(directory)
            task = tasks.restore(facts["task"])
            source = config["data"] if data is None else data
            return cls(
                recipe=facts["recipe"],
                model=model,
                history=history,
                gradients=gradients,
                config=config,
                dataset=functools.partial(
                    load_again,
                    source,
                    fingerprint=facts["data_fingerprint"],
                    kind=task.kind,
                    **task.load_keywords(config),
                ),
                task=task,
                metrics=facts["metrics"],
                baselines=facts["baselines"],
                diagnosis=[Finding(**finding) for finding in facts["diagnosis"]],
                directory=directory,
                story=facts.get("story", ()),
                exports=run_directory.exports(directory),
            )


def _spread(split: Any, count: int) -> Any:
    """Return some examples from all over a split, as `predict` takes them."""
    return split.raw(spread(len(split), count))
