"""What a linear model on the same inputs answers: cheap, on a sample where there is much, and a bar for any network."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasdl.signatures import resampled, shrunk

if TYPE_CHECKING:
    from kerasdl.data import Dataset, Split

MOST_EXAMPLES = {"images": 2000, "series": 2000, "text": 5000}
"""Of training, and as many of validation: some second on one core."""
SIDE, STEPS = 16, 64
"""Pixels of a side, and time steps, that larger inputs are brought to."""
ITERATIONS = 50


def linear_answers(dataset: Dataset) -> tuple[np.ndarray, np.ndarray, int]:
    """Fit a linear model on training examples and let it answer validation examples.

    Of images and series a logistic regression on standardised values, of texts a linear support vector machine on
    TF-IDF of words, by scikit-learn with its default penalties.

    Args:
        dataset: Images, texts or series, each with one class.

    Returns:
        Indices of the validation examples, their answers as class indices, and how many training examples were seen.
        No answers where no text has a word.

    Reference: Wang and Manning, Baselines and bigrams, ACL 2012, https://aclanthology.org/P12-2018
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import LinearSVC

    most = MOST_EXAMPLES[dataset.kind]
    known, asked = _spread(len(dataset.train), most), _spread(len(dataset.validation), most)
    classifier: Any
    if dataset.kind == "text":
        vectorizer = TfidfVectorizer(sublinear_tf=True, token_pattern=r"\w+|[^\w\s]")
        classifier = make_pipeline(vectorizer, LinearSVC(random_state=0))
    else:
        classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=ITERATIONS))
    table, targets = _table(dataset, dataset.train, known)
    if len(np.unique(targets)) < 2 or (dataset.kind == "text" and not any(text.strip() for text in table)):
        return asked[:0], asked[:0], 0
    with warnings.catch_warnings():
        # Nearly there is good enough for a bar.
        warnings.simplefilter("ignore", ConvergenceWarning)
        classifier.fit(table, targets)
    return asked, classifier.predict(_table(dataset, dataset.validation, asked)[0]), len(known)


def _spread(count: int, most: int) -> np.ndarray:
    # A fixed draw, as examples may lie class by class.
    return np.sort(np.random.default_rng(0).permutation(count)[:most])


def _table(dataset: Dataset, split: Split, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    inputs, targets = split.batch(indices)
    if dataset.kind == "text":
        return inputs, targets
    small = shrunk(inputs, SIDE) if dataset.kind == "images" else np.stack([resampled(one, STEPS) for one in inputs])
    return small.reshape(len(small), -1), targets
