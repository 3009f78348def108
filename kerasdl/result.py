"""The result of a training: the model and all that is known about it, and what can be done with it."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasdl.configuration import write_json, write_text
from kerasdl.errors import InputError

if TYPE_CHECKING:
    import keras

    from kerasdl.data import Dataset, Split
    from kerasdl.export import ImageClassifier

MODEL_FILE, CONFIG_FILE, HISTORY_FILE, RESULT_FILE = "model.keras", "config.json", "history.csv", "result.json"
REPORT_FILE = "report.html"
# What `load` reads; the report is for people, who may do with it as they like.
SEALED_FILES = (MODEL_FILE, CONFIG_FILE, HISTORY_FILE)
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
        self.metrics = dict(metrics) if metrics is not None else self.evaluate()
        self.diagnosis = list(diagnosis) if diagnosis is not None else self._diagnose()

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
        lines += [f"  {name:<9} {value:.4f}" for name, value in self.metrics.items()]
        lines.append("Diagnosis:" if self.diagnosis else "Diagnosis: nothing found")
        lines += [f"  {finding}" for finding in self.diagnosis]
        if self.directory is not None:
            lines.append(
                f"Run: {self.directory} ({REPORT_FILE}, {MODEL_FILE}, {CONFIG_FILE}, {HISTORY_FILE}, tensorboard)"
            )
        return "\n".join(lines)

    def predict(self, raw: Any) -> dict[str, np.ndarray]:
        """Predict on raw inputs with the live model.

        Args:
            raw: One image or many: uint8 arrays of any size, paths, encoded bytes, or a list of these.

        Returns:
            "scores": float32 (count, classes), each row sums to 1; "label": the best class's name, (count,).
        """
        return self._classifier().predict(raw)

    def evaluate(self, data: Any = None) -> dict[str, float]:
        """Measure the model.

        Args:
            data: Data of any kind that `train` takes; its test split if it brings one, else all of it is measured. None
                measures the test split of the training's dataset.

        Returns:
            "accuracy" and "macro_f1" in [0, 1], "log_loss" in nats.

        Raises:
            InputError: When the data cannot be read or has classes that the model does not know.
        """
        import sklearn.metrics

        split = self.dataset.test if data is None else self._evaluation_split(data)
        scores = self._scores(split)
        indices = np.arange(len(self.class_names))
        predicted = scores.argmax(axis=-1)
        return {
            "accuracy": float(sklearn.metrics.accuracy_score(split.targets, predicted)),
            "macro_f1": float(
                sklearn.metrics.f1_score(split.targets, predicted, labels=np.unique(split.targets), average="macro")
            ),
            "log_loss": float(sklearn.metrics.log_loss(split.targets, scores, labels=indices)),
        }

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
            predicted=self._scores(self.dataset.test).argmax(axis=-1),
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
        beside = directory / f".{os.getpid()}.{MODEL_FILE}"
        self.model.save(beside)
        os.replace(beside, directory / MODEL_FILE)
        write_json(directory / CONFIG_FILE, self.config)
        write_text(directory / HISTORY_FILE, _history_as_csv(self.history))
        self.report(directory / REPORT_FILE)
        write_json(
            directory / RESULT_FILE,
            {
                "recipe": self.recipe,
                "class_names": self.class_names,
                "metrics": self.metrics,
                "diagnosis": [finding.as_dict() for finding in self.diagnosis],
                "data_fingerprint": self.dataset.fingerprint,
                "files_sha256": {name: _sha256(directory / name) for name in SEALED_FILES},
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
        import keras

        from kerasdl.diagnostics import Finding

        directory = Path(directory)
        if not (directory / RESULT_FILE).is_file():
            raise InputError(
                str(directory),
                received="a folder without a finished run" if directory.is_dir() else "no such folder",
                expected=f"a folder with {RESULT_FILE}, as train(..., directory=...) writes it",
                mend="Check the path, or let the training end.",
            )
        try:
            facts = json.loads((directory / RESULT_FILE).read_text("utf-8"))
            for name, digest in facts["files_sha256"].items():
                if _sha256(directory / name) != digest:
                    raise ValueError(f"{name} has changed since it was written")
            config = json.loads((directory / CONFIG_FILE).read_text("utf-8"))
            history = _history_from_csv((directory / HISTORY_FILE).read_text("utf-8"))
            model = keras.models.load_model(directory / MODEL_FILE, compile=False, safe_mode=True)
            diagnosis = [Finding(**finding) for finding in facts["diagnosis"]]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                str(directory),
                received=f"a damaged run ({type(error).__name__}: {error})",
                expected="the files as they were written",
                mend="Restore the folder from a copy, or train again.",
            ) from error

        def load_dataset() -> Dataset:
            return _load_dataset(config, data, facts["data_fingerprint"])

        return cls(
            recipe=facts["recipe"],
            model=model,
            history=history,
            config=config,
            dataset=load_dataset,
            class_names=facts["class_names"],
            metrics=facts["metrics"],
            diagnosis=diagnosis,
            directory=directory,
        )

    def _classifier(self) -> ImageClassifier:
        from kerasdl.data import images
        from kerasdl.export import ImageClassifier

        return ImageClassifier(self.model, self.class_names, decode=images.decode, resize=images.resize)

    def _scores(self, split: Split) -> np.ndarray:
        import keras

        from kerasdl.training import EvaluationBatches

        batches = EvaluationBatches(split, batch_size=max(self.config["batch_size"], 128))
        return keras.ops.convert_to_numpy(keras.ops.softmax(self.model.predict(batches, verbose=0)))

    def _evaluation_split(self, data: Any) -> Split:
        from kerasdl.data import load_split

        return load_split(data, class_names=self.class_names, input_shape=tuple(self.model.input_shape[1:]))

    def _diagnose(self) -> list[Any]:
        from kerasdl.data import Split
        from kerasdl.diagnostics import diagnose_classifier

        train, validation = self.dataset.train, self.dataset.validation
        # As many training examples as validation ones: a sample is enough, and measuring costs as much for both.
        sample = Split(*train.batch(np.arange(min(len(train), max(len(validation), 256)))))
        shares = np.bincount(validation.targets, minlength=len(self.class_names)) / len(validation)
        return diagnose_classifier(
            history=self.history,
            config=self.config,
            train_accuracy=float((self._scores(sample).argmax(-1) == sample.targets).mean()),
            train_count=len(sample),
            validation_accuracy=float((self._scores(validation).argmax(-1) == validation.targets).mean()),
            validation_count=len(validation),
            class_shares=shares.tolist(),
        )


def _load_dataset(config: Mapping[str, Any], data: Any, fingerprint: str) -> Dataset:
    import kerasdl.data

    dataset = kerasdl.data.load(
        config["data"] if data is None else data,
        input_shape=config["input_shape"],
        num_classes=config["num_classes"],
    )
    if dataset.fingerprint != fingerprint:
        raise InputError(
            "data",
            received=f"data with fingerprint {dataset.fingerprint[:12]}",
            expected=f"the run's own, {fingerprint[:12]}",
            mend="Pass the data of the run: Result.load(directory, data=...).",
        )
    return dataset


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _history_as_csv(history: Mapping[str, Sequence[float]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["epoch", *history])
    # repr keeps every bit of a float.
    writer.writerows([epoch, *map(repr, row)] for epoch, row in enumerate(zip(*history.values(), strict=True), start=1))
    return text.getvalue()


def _history_from_csv(text: str) -> dict[str, list[float]]:
    header, *rows = list(csv.reader(io.StringIO(text)))
    return {
        name: [math.nan if row[column] == "nan" else float(row[column]) for row in rows]
        for column, name in enumerate(header)
        if name != "epoch"
    }
