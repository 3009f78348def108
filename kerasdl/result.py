"""The result of a training: the model and all that is known about it, and what can be done with it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasdl import measuring, run_directory
from kerasdl.errors import InputError

if TYPE_CHECKING:
    import keras

    from kerasdl.data import Dataset, Split
    from kerasdl.export import ImageClassifier

PARITY_EXAMPLES = 64


class Result:
    """What a recipe's `train` returns.

    Args:
        recipe: Name of the recipe.
        model: The trained model with the weights of its best epoch; raw inputs in, logits out.
        history: A list with one number an epoch for every curve.
        config: Every argument as resolved, versions and hardware; `train(**config)` repeats the run.
        dataset: The data, or a function that loads it when it is first asked for.
        class_names: Name of each class, in the order of the logits.
        multi_label: Whether several classes of an example may be true at once; None asks the dataset.
        metrics: Measured on the untouched test split; None measures them now.
        diagnosis: Findings; None makes them now.
        directory: The run's folder.
    """

    def __init__(
        self,
        *,
        recipe: str,
        model: keras.Model,
        history: Mapping[str, Sequence[float]],
        config: Mapping[str, Any],
        dataset: Dataset | Callable[[], Dataset],
        class_names: Sequence[str],
        multi_label: bool | None = None,
        metrics: Mapping[str, float] | None = None,
        diagnosis: Sequence[Any] | None = None,
        directory: Path | None = None,
    ):
        self.recipe = recipe
        self.model = model
        self.history = {name: list(values) for name, values in history.items()}
        self.config = dict(config)
        self.class_names = tuple(class_names)
        self.directory = directory
        self._dataset = dataset
        self.multi_label = self.dataset.multi_label if multi_label is None else multi_label
        self.metrics = dict(metrics) if metrics is not None else self.evaluate()
        if diagnosis is None:
            diagnosis = measuring.diagnose(model, self.dataset, history=self.history, config=self.config)
        self.diagnosis = list(diagnosis)

    def __repr__(self) -> str:
        metrics = ", ".join(f"{name} {value:.4f}" for name, value in self.metrics.items())
        return f"<Result of {self.recipe} on {self.config['data']}: {metrics}>"

    @property
    def dataset(self) -> Dataset:
        """The data with its splits; after `Result.load` it is read again when first asked for."""
        if callable(self._dataset):
            self._dataset = self._dataset()
        return self._dataset

    @property
    def best_epoch(self) -> int:
        """The epoch, from 1, whose weights the model has."""
        return int(np.nanargmin(self.history["val_loss"])) + 1

    def summary(self) -> str:
        """Return what a person wants to know at the end: metrics, best epoch, findings, where the files are."""
        lines = [f"Best epoch: {self.best_epoch} of {len(self.history['val_loss'])}", "Test split:"]
        width = max(map(len, self.metrics)) + 1
        lines += [f"  {name:<{width}} {value:.4f}" for name, value in self.metrics.items()]
        lines.append("Diagnosis:" if self.diagnosis else "Diagnosis: nothing found")
        lines += [f"  {finding}" for finding in self.diagnosis]
        if self.directory is not None:
            lines.append(f"Run: {self.directory} ({', '.join(run_directory.FILES)})")
        return "\n".join(lines)

    def predict(self, raw: Any) -> dict[str, np.ndarray]:
        """Predict on raw inputs with the live model.

        Args:
            raw: One image or many: uint8 arrays of any size, paths, encoded bytes, or a list of these.

        Returns:
            "scores": float32 (count, classes), each row sums to 1; "label": the best class's name, (count,). Of a
            multi-label model each score is in [0, 1] by itself, and "present" says which are above 0.5.
        """
        return self._classifier().predict(raw)

    def evaluate(self, data: Any = None) -> dict[str, float]:
        """Measure the model.

        Args:
            data: Data of any kind that `train` takes; its test split if it brings one, else all of it is measured. None
                measures the test split of the training's dataset.

        Returns:
            "accuracy" and "macro_f1" in [0, 1], "log_loss" in nats; of a multi-label model "subset_accuracy",
            "macro_f1", "micro_f1", "mean_average_precision", "log_loss": see `measuring.classification_metrics`.

        Raises:
            InputError: When the data cannot be read or has classes that the model does not know.
        """
        from kerasdl.data import load_split

        if data is None:
            split = self.dataset.test
        else:
            shape = tuple(self.model.input_shape[1:])
            split = load_split(data, class_names=self.class_names, input_shape=shape, multi_label=self.multi_label)
        return measuring.classification_metrics(split.targets, self._scores(split))

    def report(self, path: str | Path) -> Path:
        """Write the run's report, one self-contained HTML page, and return its path."""
        from kerasdl.diagnostics import write_report

        path = Path(path)
        if path.is_dir() or not path.absolute().parent.is_dir():
            raise InputError(
                "path", received=repr(str(path)), expected="a file in a folder that exists", mend="Try report.html."
            )
        return write_report(
            path,
            title=f"{self.recipe} · {self.dataset.name}",
            data=self.dataset.describe(),
            metrics=self.metrics,
            findings=self.diagnosis,
            history=self.history,
            best_epoch=self.best_epoch,
            config=self.config,
            class_names=self.class_names,
            truth=self.dataset.test.targets,
            scores=self._scores(self.dataset.test),
        )

    def export(self, path: str | Path) -> Path:
        """Export the model as a SavedModel and prove that it answers as this one; see `kerasdl.export.export`.

        Args:
            path: Folder of the model, for example "saved_models/digits".

        Returns:
            The folder of the new version, for example saved_models/digits/1.
        """
        from kerasdl.export import export

        test = self.dataset.test
        spread = np.unique(np.linspace(0, len(test) - 1, min(PARITY_EXAMPLES, len(test))).astype(int))
        return export(
            self._classifier(),
            path,
            examples=test.batch(spread)[0],
            description={
                "recipe": self.recipe,
                "metrics": self.metrics,
                "config": self.config,
                "data_fingerprint": self.dataset.fingerprint,
            },
        )

    def save(self, directory: str | Path) -> Path:
        """Write the result into a folder from which :meth:`load` gives it back; `result.json` seals it."""
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        self.report(directory / run_directory.REPORT_FILE)
        run_directory.seal(
            directory,
            model=self.model,
            config=self.config,
            history=self.history,
            facts={
                "recipe": self.recipe,
                "class_names": self.class_names,
                "multi_label": self.multi_label,
                "metrics": self.metrics,
                "diagnosis": [finding.as_dict() for finding in self.diagnosis],
                "data_fingerprint": self.dataset.fingerprint,
            },
        )
        self.directory = directory
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
            model, config, history, facts = run_directory.unseal(directory)
            sizes = {name: config[name] for name in ("input_shape", "num_classes")}
            source = config["data"] if data is None else data
            return cls(
                recipe=facts["recipe"],
                model=model,
                history=history,
                config=config,
                dataset=functools.partial(load_again, source, fingerprint=facts["data_fingerprint"], **sizes),
                class_names=facts["class_names"],
                multi_label=facts.get("multi_label", False),
                metrics=facts["metrics"],
                diagnosis=[Finding(**finding) for finding in facts["diagnosis"]],
                directory=directory,
            )

    def _classifier(self) -> ImageClassifier:
        from kerasdl.data import images
        from kerasdl.export import ImageClassifier

        return ImageClassifier(
            self.model, self.class_names, decode=images.decode, resize=images.resize, multi_label=self.multi_label
        )

    def _scores(self, split: Split) -> np.ndarray:
        return measuring.predict_scores(
            self.model, split, batch_size=self.config["batch_size"], multi_label=self.multi_label
        )
