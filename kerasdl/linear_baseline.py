"""What a linear model on the same inputs answers: cheap, on a sample where there is much, and a bar for any network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kerasdl.signatures import resampled, shrunk

if TYPE_CHECKING:
    from kerasdl.data import Dataset, Split

MOST_EXAMPLES = {"images": 2000, "series": 2000, "text": 5000}
"""Of training, and as many of validation: a fraction of a second on one core."""
SIDE, STEPS = 16, 64
"""Pixels of a side, and time steps, that larger inputs are brought to."""
PENALTY = 0.1
"""Of ridge regression, as a share of the examples, on values of variance 1."""


def linear_answers(dataset: Dataset) -> tuple[np.ndarray, np.ndarray, int]:
    """Fit a linear model on training examples and let it answer validation examples.

    Of images and series ridge regression of the classes on standardised values, which is solved in closed form; of
    texts a linear support vector machine on TF-IDF of words; both by scikit-learn.

    Args:
        dataset: Images, texts or series, each with one class.

    Returns:
        Indices of the validation examples, their answers as class indices, and how many training examples were seen.
        No answers where no text has a word.

    Reference: Wang and Manning, Baselines and bigrams, ACL 2012, https://aclanthology.org/P12-2018
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import RidgeClassifier
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
        classifier = make_pipeline(StandardScaler(), RidgeClassifier(alpha=PENALTY * len(known)))
    table, targets = _table(dataset, dataset.train, known)
    if len(np.unique(targets)) < 2 or (dataset.kind == "text" and not any(text.strip() for text in table)):
        return asked[:0], asked[:0], 0
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
