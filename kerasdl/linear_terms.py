"""The linear part of a text classifier: words and pairs of words, counted beside the network and added to its logits.

A network reads how words work together; a linear model on many thousand terms is the better at rare ones. Their sum is
better than both. It is fitted when the network has been trained, in seconds, and becomes a part of the model.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING

import keras
import numpy as np
from keras import ops

from kerasdl import layers
from kerasdl.layers.term_scores import LARGEST
from kerasdl.measuring import predict_batches

if TYPE_CHECKING:
    from scipy import sparse

    from kerasdl.data import Dataset
    from kerasdl.data.token_examples import TokenExamples

LEAST = 2
"""Texts that a term must be in: what a single text has says nothing of others."""
MOST_PAIRS = 200_000
MOST_TOKENS = 20_000_000
"""Of training texts, a sample of more: some gigabytes of memory."""
KNOWN = 0.5
"""Share of validation texts that are training texts, above which they cannot weigh the two parts."""
TERMS, LINEAR, LOGITS = "terms", "linear", "logits"


def frequent_pairs(examples: TokenExamples, vocabulary_size: int) -> np.ndarray:
    """Return the codes of the pairs of neighbours that are in two texts at least, ascending, int32.

    The code of a pair is that of :class:`kerasdl.layers.TermScores`. Of more than 200,000 the most frequent are taken.
    """
    rows, codes = _pairs(_some(examples), vocabulary_size)
    _, once = np.unique(rows << 32 | codes, return_index=True)
    found, counts = np.unique(codes[once], return_counts=True)
    order = np.argsort(-counts, kind="stable")[:MOST_PAIRS]
    return np.sort(found[order[counts[order] >= LEAST]]).astype(np.int32)


def beside(network: keras.Model, pairs: np.ndarray, vocabulary_size: int) -> keras.Model:
    """Return a text classifier with a linear part, which says nothing until :func:`fit`.

    Args:
        network: From token ids to logits, of a Dense layer named "logits".
        pairs: What :func:`frequent_pairs` returns.
        vocabulary_size: Number of token ids.

    Returns:
        A functional model with the same inputs, the same layers and three more.
    """
    (tokens,), (logits,) = network.inputs, network.outputs
    ids = layers.PadLength(name="pad_terms")(tokens)
    terms = layers.TermScores(vocabulary_size, len(pairs), logits.shape[-1], name=TERMS)
    # Frozen: no optimizer has anything to do here.
    linear = keras.layers.Dense(
        logits.shape[-1], kernel_initializer="zeros", trainable=False, dtype="float32", name=LINEAR
    )
    said = linear(ops.sum(terms(ids), axis=1))
    terms.codes.assign(np.concatenate([[-1], pairs]).astype(np.int32))
    total = keras.layers.Add(dtype="float32", name="logits_and_linear")([logits, said])
    return keras.Model(tokens, total, name=network.name)


def network_alone(model: keras.Model) -> keras.Model:
    """Return the network of a text classifier, without the linear part if it has one."""
    if not any(layer.name == LINEAR for layer in model.layers):
        return model
    return keras.Model(model.input, model.get_layer(LOGITS).output, name=model.name)


def fit(
    model: keras.Model,
    dataset: Dataset,
    examples: TokenExamples,
    held_out: TokenExamples,
    *,
    class_weight: Mapping[int, float] | None = None,
    batch_size: int = 128,
) -> tuple[float, float]:
    """Fit the linear part of a trained model, and weigh it and the network by the validation split.

    A linear support vector machine for each class, on TF-IDF of words and pairs, by scikit-learn; the same numbers
    come out every time. The weights are those of the lowest log loss on the validation split, never below zero; where
    its texts are among the training texts, as in a last training on all of them, both are 1.

    Args:
        model: What :func:`beside` returns, its network trained. Its weights are changed.
        dataset: The data.
        examples: The training texts as tokens.
        held_out: The validation texts as tokens.
        class_weight: Weight of each class index.
        batch_size: Texts at a time.

    Returns:
        The weights of the network and of the linear part.

    Reference: Wang and Manning, Baselines and bigrams, ACL 2012, https://aclanthology.org/P12-2018
    """
    terms, linear, logits = (model.get_layer(name) for name in (TERMS, LINEAR, LOGITS))
    size, classes = terms.vocabulary_size, linear.units
    pairs = ops.convert_to_numpy(terms.codes)[1:]
    examples = _some(examples)
    counts = _counts(examples, size, pairs)
    importance = _importance(counts)
    known = _one_hot(examples.targets, classes), _weights(examples.targets, class_weight)
    coefficients, biases = _machines(_features(counts, importance), *known)

    share, learnt = np.ones(2), set(dataset.train.inputs)
    if np.mean([text in learnt for text in dataset.validation.inputs]) <= KNOWN:
        said = _features(_counts(held_out, size, pairs), importance) @ coefficients.T + biases
        own = predict_batches(network_alone(model), held_out, batch_size=batch_size).astype(np.float64)
        known = _one_hot(held_out.targets, classes), _weights(held_out.targets, class_weight)
        share = _lowest_loss(own, said, *known, multi_label=dataset.multi_label)

    scores, squares = (coefficients * importance).T, importance**2
    terms.words.assign(scores[:size])
    terms.pairs.assign(np.pad(scores[size:], ((1, 0), (0, 0))))
    terms.word_squares.assign(squares[:size])
    terms.pair_squares.assign(np.pad(squares[size:], (1, 0)))
    linear.kernel.assign(share[1] * np.eye(classes))
    linear.bias.assign(share[1] * biases)
    for variable in logits.weights:
        variable.assign(variable * float(share[0]))
    return float(share[0]), float(share[1])


def _some(examples: TokenExamples) -> TokenExamples:
    """Return the examples, or of very many a fixed draw."""
    if len(examples.values) <= MOST_TOKENS:
        return examples
    order = np.random.default_rng(0).permutation(len(examples))
    kept = np.sort(order[np.cumsum(examples.lengths[order]) <= MOST_TOKENS])
    texts = np.split(examples.values, np.cumsum(examples.lengths)[:-1])
    return type(examples)([texts[index] for index in kept], examples.targets[kept], sequence_length=MOST_TOKENS)


def _pairs(examples: TokenExamples, vocabulary_size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return of each pair of neighbours the number of its text and its code, int64."""
    texts = np.repeat(np.arange(len(examples)), examples.lengths)
    first, second = examples.values[:-1].astype(np.int64), examples.values[1:].astype(np.int64)
    size = min(vocabulary_size, LARGEST)
    kept = (texts[:-1] == texts[1:]) & (first < size) & (second < size)
    return texts[1:][kept], (first * size + second)[kept]


def _counts(examples: TokenExamples, vocabulary_size: int, pairs: np.ndarray) -> sparse.csr_matrix:
    """Return how often each token and each known pair is in each text, (texts, tokens and pairs)."""
    from scipy import sparse

    texts, codes = _pairs(examples, vocabulary_size)
    columns = np.minimum(np.searchsorted(pairs, codes), max(len(pairs) - 1, 0))
    known = pairs[columns] == codes if len(pairs) else np.zeros(len(codes), bool)
    rows = np.concatenate([np.repeat(np.arange(len(examples)), examples.lengths), texts[known]])
    columns = np.concatenate([examples.values, vocabulary_size + columns[known]])
    shape = (len(examples), vocabulary_size + len(pairs))
    return sparse.csr_matrix((np.ones(len(rows), np.float32), (rows, columns)), shape=shape)


def _importance(counts: sparse.csr_matrix) -> np.ndarray:
    """Return the inverse document frequency of each term, as scikit-learn has it; 0 of those in a single text."""
    within = np.bincount(counts.indices, minlength=counts.shape[1])
    weight = np.log((1 + counts.shape[0]) / (1 + within)) + 1
    return np.where(within >= LEAST, weight, 0.0).astype(np.float32)


def _features(counts: sparse.csr_matrix, importance: np.ndarray) -> sparse.csr_matrix:
    """Return TF-IDF of length 1; a term that comes twice counts as two in that length, as in the layer."""
    from scipy import sparse

    length = np.sqrt(np.maximum(counts @ importance**2, 1.0))
    return (sparse.diags(1 / length) @ counts @ sparse.diags(importance)).tocsr()


def _one_hot(targets: np.ndarray, classes: int) -> np.ndarray:
    return targets > 0.5 if targets.ndim == 2 else np.eye(classes, dtype=bool)[targets]


def _weights(targets: np.ndarray, class_weight: Mapping[int, float] | None) -> np.ndarray:
    return np.ones(len(targets)) if class_weight is None else np.array([class_weight[index] for index in targets])


def _machines(features: sparse.csr_matrix, answers: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fit a support vector machine for each class: coefficients (classes, terms) and biases (classes,)."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.svm import LinearSVC

    coefficients = np.zeros((answers.shape[1], features.shape[1]), np.float32)
    biases = np.where(answers.any(axis=0), 1.0, -1.0).astype(np.float32)
    for index, there in enumerate(answers.T):
        if there.any() and not there.all():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)  # almost converged is as good here
                machine = LinearSVC(random_state=0).fit(features, there, sample_weight=weights)
            coefficients[index], biases[index] = machine.coef_[0], machine.intercept_[0]
    return coefficients, biases


def _lowest_loss(
    own: np.ndarray, said: np.ndarray, answers: np.ndarray, weights: np.ndarray, *, multi_label: bool
) -> np.ndarray:
    """Return the two weights, at least 0, of logits (texts, classes) whose sum has the lowest log loss.

    They are drawn to 1 about as much as by one text: where all are told apart, nothing else would bound them.
    """
    from scipy import optimize, special

    def loss(share: np.ndarray) -> tuple[float, np.ndarray]:
        logits = share[0] * own + share[1] * said
        if multi_label:
            each = np.logaddexp(0, logits) - answers * logits
            slope = special.expit(logits) - answers
        else:
            each = special.logsumexp(logits, axis=1, keepdims=True) - (answers * logits).sum(axis=1, keepdims=True)
            slope = special.softmax(logits, axis=1) - answers
        slopes = np.array([(weights[:, None] * slope * part).sum() for part in (own, said)])
        total = (weights[:, None] * each).sum() + np.square(share - 1).sum() / 2
        return float(total / weights.sum()), (slopes + share - 1) / weights.sum()

    return np.asarray(optimize.minimize(loss, np.ones(2), jac=True, bounds=[(0, None)] * 2).x)
