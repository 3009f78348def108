"""Measuring a trained classifier: its scores on a split, the metrics they give, what they say about the training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasdl.spread import spread

if TYPE_CHECKING:
    import keras

    from kerasdl.data import Dataset, Split
    from kerasdl.export import Exported
    from kerasdl.training.batches import Examples

THRESHOLD = 0.5
"""Where several classes may be true at once: the score above which one is said to be there."""


CHUNK = 1024
"""Examples of a split that are in memory at a time while an export is measured."""


class Classification:
    """What the tasks of classifiers share, whatever their inputs are: see :class:`kerasdl.task.Task`.

    Args:
        class_names: Name of each class, in the order of the logits.
        multi_label: Whether several classes of an example may be true at once.
    """

    kind: str

    def __init__(self, class_names: Sequence[str], *, multi_label: bool):
        self.class_names = tuple(class_names)
        self.multi_label = multi_label

    def examples(self, split: Split) -> Examples:
        """Return the examples of a split as the model takes them."""
        raise NotImplementedError

    def scores(self, model: keras.Model, split: Split, *, batch_size: int) -> np.ndarray:
        """Return what the model says of every example of a split: see :func:`predict_scores`."""
        return predict_scores(model, self.examples(split), batch_size=batch_size, multi_label=self.multi_label)

    def scores_by_length(self, model: keras.Model, split: Split, *, batch_size: int) -> np.ndarray:
        """Return the same for examples of different lengths, of which those of a batch are to be alike."""
        from kerasdl.data import Split

        # By length, so that batches need little padding; then back in order.
        order = np.argsort([len(example) for example in split.inputs], kind="stable")
        scores = Classification.scores(self, model, Split(*split.batch(order)), batch_size=batch_size)
        return scores[np.argsort(order)]

    def measure(self, model: keras.Model, split: Split, *, batch_size: int) -> dict[str, float]:
        """Return the metrics of the model on a split: see :func:`classification_metrics`."""
        return classification_metrics(split.targets, self.scores(model, split, batch_size=batch_size))

    def goodness(self, model: keras.Model, split: Split, *, batch_size: int) -> np.ndarray:
        """Return how good each answer is, (count,): its mean is the accuracy with every class counting the same.

        Where several classes may be true at once, it is minus the log loss, in nats.
        """
        if self.multi_label:
            return self.log_likelihood(model, split, batch_size=batch_size)
        scores = self.scores(model, split, batch_size=batch_size)
        counts = np.bincount(split.targets, minlength=scores.shape[1])
        weights = len(split.targets) / (np.count_nonzero(counts) * counts[split.targets])
        return weights * (scores.argmax(axis=-1) == split.targets)

    def log_likelihood(self, model: keras.Model, split: Split, *, batch_size: int) -> np.ndarray:
        """Return the logarithm of the score of what is right, in nats, (count,); of several classes the mean."""
        scores = self.scores(model, split, batch_size=batch_size)
        if self.multi_label:
            likely = np.where(split.targets == 1, scores, 1 - scores)
        else:
            likely = scores[np.arange(len(split)), split.targets][:, None]
        return np.log(np.clip(likely, 1e-7, 1)).mean(axis=1)

    def measure_export(self, exported: Exported, split: Split) -> dict[str, float]:
        """Return the metrics of an exported model on a split."""
        return classification_metrics(split.targets, predict_all(exported, split)["scores"])

    def diagnose(
        self,
        model: keras.Model,
        dataset: Dataset,
        *,
        history: Mapping[str, Sequence[float]],
        config: Mapping[str, Any],
    ) -> list[Any]:
        """Return the findings on a training: see :func:`diagnose`."""

        def by(model: keras.Model) -> Callable[[Split], np.ndarray]:
            return lambda split: self.scores(model, split, batch_size=config["batch_size"])

        network = self.learnt(model)
        learnt = None if network is model else by(network)
        return diagnose(by(model), dataset, history=history, config=config, learnt=learnt)

    def learnt(self, model: keras.Model) -> keras.Model:
        """Return the part of a model that training made, whose answers say how training went: here all of it."""
        return model

    def temperature(self, model: keras.Model, split: Split, *, batch_size: int) -> float:
        """Return what the logits are divided by for the lowest log loss on a split."""
        from kerasdl.diagnostics import best_temperature

        scores = np.maximum(self.scores(model, split, batch_size=batch_size).astype(np.float64), 1e-30)
        logits = np.log(scores) - (np.log(np.maximum(1 - scores, 1e-8)) if self.multi_label else 0)
        return best_temperature(logits, split.targets)

    def report(self, model: keras.Model, dataset: Dataset, *, batch_size: int) -> dict[str, Any]:
        """Return what the report shows: answers on the test split, and some examples of the validation split."""
        from kerasdl.diagnostics import sample_groups

        test, validation = dataset.test, dataset.validation
        scores, held_out = (self.scores(model, split, batch_size=batch_size) for split in (test, validation))
        samples = sample_groups(validation.raw, validation.targets, held_out, self.class_names)
        return {"class_names": self.class_names, "truth": test.targets, "scores": scores, "samples": samples}

    def as_dict(self) -> dict[str, Any]:
        """Return all that makes the task, for JSON."""
        return {"kind": self.kind, "class_names": list(self.class_names), "multi_label": self.multi_label}


def predict_scores(model: keras.Model, split: Examples, *, batch_size: int, multi_label: bool) -> np.ndarray:
    """Return the scores of every example, float32 (count, classes): each in [0, 1], or each row a distribution.

    Args:
        model: Raw inputs in, logits out.
        split: The examples.
        batch_size: Examples at a time; 128 at least as long as memory allows.
        multi_label: Whether each class is there or not by itself.
    """
    import keras

    activation = keras.ops.sigmoid if multi_label else keras.ops.softmax
    return keras.ops.convert_to_numpy(activation(predict_batches(model, split, batch_size=batch_size)))


def predict_batches(model: keras.Model, split: Examples, *, batch_size: int) -> np.ndarray:
    """Return what the model puts out for every example; arguments as of :func:`predict_scores`."""
    from kerasdl.training import EvaluationBatches, is_out_of_memory

    size = max(batch_size, 128)
    while True:
        try:
            return model.predict(EvaluationBatches(split, batch_size=size).source(), verbose=0)
        except Exception as error:
            # What was trained must not be lost because measuring takes larger batches.
            if size == 1 or not is_out_of_memory(error):
                raise
        size //= 2


def predict_all(exported: Exported, split: Any) -> dict[str, np.ndarray]:
    """Return what an exported model answers to a split, some examples at a time."""
    chunks = [np.arange(begin, min(begin + CHUNK, len(split))) for begin in range(0, len(split), CHUNK)]
    answers = [exported.predict(split.raw(chunk)) for chunk in chunks]
    return {name: np.concatenate([each[name] for each in answers]) for name in answers[0]}


def classification_metrics(targets: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    """Return the metrics of a classifier, by scikit-learn.

    Macro averages are over the classes that occur in `targets`; if none does, they are NaN.

    Args:
        targets: Class indices (count,), or rows of 0 and 1 (count, classes).
        scores: Shape (count, classes).

    Returns:
        "accuracy", "macro_f1", "log_loss"; for rows "subset_accuracy" (the whole row is right), "macro_f1", "micro_f1",
        "mean_average_precision" and "log_loss", the mean over all classes and examples. Losses are in nats.

    https://scikit-learn.org/stable/modules/model_evaluation.html
    """
    from sklearn import metrics

    if targets.ndim == 1:
        predicted = scores.argmax(axis=-1)
        return {
            "accuracy": float(metrics.accuracy_score(targets, predicted)),
            "macro_f1": float(metrics.f1_score(targets, predicted, labels=np.unique(targets), average="macro")),
            "log_loss": float(metrics.log_loss(targets, scores, labels=np.arange(scores.shape[1]))),
        }
    predicted = scores > THRESHOLD
    occurring = np.flatnonzero(targets.any(axis=0))
    each = metrics.f1_score(targets, predicted, average=None, zero_division=0)[occurring]
    precisions = [metrics.average_precision_score(targets[:, index], scores[:, index]) for index in occurring]
    return {
        "subset_accuracy": float(metrics.accuracy_score(targets, predicted)),
        "macro_f1": float(np.mean(each)) if len(each) else float("nan"),
        "micro_f1": float(metrics.f1_score(targets, predicted, average="micro", zero_division=0)),
        "mean_average_precision": float(np.mean(precisions)) if precisions else float("nan"),
        "log_loss": float(metrics.log_loss(targets.ravel(), scores.ravel(), labels=[0, 1])),
    }


def diagnose(
    scored: Callable[[Split], np.ndarray],
    dataset: Dataset,
    *,
    history: Mapping[str, Sequence[float]],
    config: Mapping[str, Any],
    learnt: Callable[[Split], np.ndarray] | None = None,
) -> list[Any]:
    """Measure a trained classifier on its training and validation splits, and return the findings.

    The test split is asked for duplicates only, and the model's answers to it only where it has some.

    Args:
        scored: Returns the final model's scores on a split.
        dataset: The data it was trained on.
        history: Curves by name.
        config: The recipe's resolved arguments.
        learnt: The scores of what training made of the model, by which training is judged; None for all of it.
    """
    from kerasdl import data_findings
    from kerasdl.data import Split
    from kerasdl.diagnostics import diagnose_classifier

    train, validation = dataset.train, dataset.validation
    # As many training examples as validation ones: a sample is enough, and measuring costs as much for both.
    # Spread over all of them: a folder's lie class by class.
    count = min(len(train), max(len(validation), 256))
    sample = Split(*train.batch(spread(len(train), count)))
    scores = scored(validation)
    judged = scores if learnt is None else learnt(validation)
    right = [
        answers_right(sample.targets, (learnt or scored)(sample)),
        answers_right(validation.targets, judged),
    ]
    if dataset.multi_label:
        shares = validation.targets.mean(axis=0)
    else:
        shares = np.bincount(validation.targets, minlength=dataset.num_classes) / len(validation)
    whole = [labels.reshape(len(labels), -1).all(axis=1).mean() for labels in right]
    measured: dict[str, Any] = {
        "train_accuracy": float(whole[0]),
        "train_count": len(sample),
        "validation_accuracy": float(whole[1]),
        "validation_count": len(validation),
    }
    found = diagnose_classifier(
        history=history,
        config=config,
        class_shares=shares.tolist(),
        label_accuracy=float(right[1].mean()) if dataset.multi_label else None,
        **measured,
    )
    if config.get("class_weight") and not data_findings.guesses(scores.argmax(axis=1), validation.targets):
        # Weights give up accuracy for the rare classes, on purpose.
        found = [finding for finding in found if finding.name != "no_better_than_majority"]
    return [*found, *data_findings.find(dataset, scored=scored, scores=scores, config=config, **measured)]


def deduplication(config: Mapping[str, Any]) -> dict[str, bool]:
    """Return whether a run's data were loaded without duplicates; runs of before that was possible do not say."""
    return {"deduplicate": bool(config.get("deduplicate"))}


def answers_right(targets: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return which answers are right, bool (count,), or of rows of 0 and 1 (count, classes)."""
    return (scores.argmax(axis=-1) if targets.ndim == 1 else scores > THRESHOLD) == targets
