"""What simple methods reach on the same data, shown beside a result so that nobody takes a small gain for skill."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from kerasdl.data import Dataset

LINEAR = "bag of words, linear SVM"


def bag_of_words(dataset: Dataset) -> dict[str, dict[str, float]]:
    """Return what a linear support vector machine on TF-IDF of words and pairs of words reaches on the test split.

    It is fitted on the training split, with scikit-learn's default penalty.

    Args:
        dataset: Texts with their classes.

    Returns:
        Metrics by the name of the method: "accuracy" and "macro_f1"; of a multi-label dataset "subset_accuracy",
        "macro_f1" and "micro_f1".

    Reference: Wang and Manning, Baselines and bigrams, ACL 2012, https://aclanthology.org/P12-2018
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.svm import LinearSVC

    # Single characters count too: punctuation says much in short messages.
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"\w+|[^\w\s]")
    machine = LinearSVC(random_state=0)
    classifier = OneVsRestClassifier(machine) if dataset.multi_label else machine
    train, test = dataset.train, dataset.test
    try:
        features = vectorizer.fit_transform(train.inputs)
    except ValueError:  # no text has a word
        return {}
    predicted = classifier.fit(features, train.targets).predict(vectorizer.transform(test.inputs))

    return {LINEAR: agreement(test.targets, predicted, multi_label=dataset.multi_label)}


def agreement(targets: np.ndarray, predicted: np.ndarray, *, multi_label: bool) -> dict[str, float]:
    """Return how well answers without scores agree with what is true.

    Args:
        targets: Class indices (count,), or rows of 0 and 1 (count, classes).
        predicted: Of the same shape.
        multi_label: Which of the two.

    Returns:
        "accuracy" and "macro_f1"; of rows "subset_accuracy", "macro_f1" and "micro_f1".
    """
    from sklearn import metrics

    def f1(average: str) -> float:
        labels = np.flatnonzero(targets.any(axis=0)) if multi_label else np.unique(targets)
        return float(metrics.f1_score(targets, predicted, labels=labels, average=average, zero_division=0))

    accuracy = float(metrics.accuracy_score(targets, predicted))
    if multi_label:
        return {"subset_accuracy": accuracy, "macro_f1": f1("macro"), "micro_f1": f1("micro")}
    return {"accuracy": accuracy, "macro_f1": f1("macro")}
