"""How examples become batches: in an order that depends on nothing but the seed and the position.

`fit(arrays, shuffle=True)` replays one permutation every epoch once a seed is set, and a counter inside a data source
is off by one because `fit` peeks at items. So a batch here is a function of (seed, position), whoever asks and however
often: position p is batch p % steps of epoch p // steps.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import keras
import numpy as np

from kerasdl import feeding


class Examples(Protocol):
    """What training needs of a split: a length, targets, and the examples at some indices."""

    @property
    def targets(self) -> np.ndarray:
        """One target an example."""

    def __len__(self) -> int: ...

    def batch(self, indices: np.ndarray) -> tuple[Any, np.ndarray]:
        """Return inputs, an array or several by name, and targets at `indices`."""


# So many batches are drawn at random before their examples are sorted by length: enough that those of a batch are
# alike, few enough that its company changes from epoch to epoch.
BUCKETED_BATCHES = 50

Encode = Callable[[np.ndarray], Any]
Augment = Callable[[np.random.Generator, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


class TrainingBatches:
    """The endless sequence of shuffled batches, all of one size; each epoch has its own permutation.

    Examples with `lengths` come in batches of similar length; those with `shifts`, the number of variants of each, in
    another variant every epoch; those with `weights` count by these in the loss. Examples that do not fill a last batch
    are left out of that epoch; since every epoch shuffles anew, all are seen.

    Args:
        examples: The training split.
        batch_size: Examples a batch; a smaller split makes one batch of all its examples.
        seed: Seed of the order and of the augmentation.
        encode_targets: What turns stored targets into those that the loss compares, a batch at a time.
        augment: What changes inputs and encoded targets of a batch, at random from the generator that it is given.
        class_weight: Weight of each class in the loss; soft targets get the mean that they stand for.
        encode_last: Whether targets are encoded after the augmentation, which then changes the stored ones: boxes move
            with their image.

    Example:
        >>> batches = TrainingBatches(dataset.train, batch_size=64, seed=0)
        >>> inputs, targets = batches[3 * batches.steps]  # the first of the fourth epoch
    """

    def __init__(
        self,
        examples: Examples,
        *,
        batch_size: int,
        seed: int,
        encode_targets: Encode | None = None,
        augment: Augment | None = None,
        class_weight: Mapping[int, float] | None = None,
        encode_last: bool = False,
    ):
        self.examples = examples
        self.batch_size = min(batch_size, len(examples))
        self.steps = len(examples) // self.batch_size
        self.seed = seed
        self.start = 0
        """Position of the first batch of the stream."""
        self._encode_targets = encode_targets
        self._augment = augment
        self._class_weight = class_weight
        self._encode_last = encode_last
        self._permutation: tuple[int, np.ndarray] = (-1, np.empty(0, np.int64))

    def order(self, epoch: int) -> np.ndarray:
        """Return the indices of the examples in the order in which `epoch` (from 0) visits them."""
        if self._permutation[0] != epoch:
            generator = np.random.default_rng((self.seed, epoch))
            order = generator.permutation(len(self.examples))
            lengths = getattr(self.examples, "lengths", None)
            if lengths is not None:
                order = self._by_length(order[: self.steps * self.batch_size], lengths, generator)
            shifts = getattr(self.examples, "shifts", None)
            if shifts is not None:
                order = order + len(self.examples) * generator.integers(shifts)
            self._permutation = (epoch, order)
        return self._permutation[1]

    def _by_length(self, order: np.ndarray, lengths: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Put examples of similar length into a batch, so that little is padding, and the batches in random order."""
        pool = BUCKETED_BATCHES * self.batch_size
        pools = [order[begin : begin + pool] for begin in range(0, len(order), pool)]
        batches = np.concatenate([some[np.argsort(lengths[some], kind="stable")] for some in pools])
        return generator.permutation(batches.reshape(self.steps, self.batch_size)).ravel()

    def __getitem__(self, position: int) -> tuple[Any, ...]:
        epoch, step = divmod(position, self.steps)
        indices = self.order(epoch)[step * self.batch_size : (step + 1) * self.batch_size]
        # Sorted within the batch, a memory map reads forward; the order inside a batch does not matter.
        inputs, targets = self.examples.batch(np.sort(indices))
        if self._encode_targets is not None and not self._encode_last:
            targets = self._encode_targets(targets)
        if self._augment is not None:
            # Three numbers, where the order has two: another stream.
            inputs, targets = self._augment(np.random.default_rng((self.seed, epoch, step)), inputs, targets)
        if self._encode_targets is not None and self._encode_last:
            targets = self._encode_targets(targets)
        weights = getattr(self.examples, "weights", None)
        if weights is not None:
            return inputs, targets, weights[np.sort(indices)]
        if self._class_weight is None:
            return inputs, targets
        return inputs, targets, self._weights(targets)

    def _weights(self, targets: np.ndarray) -> np.ndarray:
        weights = np.zeros(max(self._class_weight or ()) + 1, np.float32)
        for index, weight in (self._class_weight or {}).items():
            weights[index] = weight
        return targets @ weights if targets.ndim == 2 else weights[targets.astype(np.int64)]

    def stream(self, start: int = 0) -> Iterator[tuple[Any, ...]]:
        """Yield the batches from position `start` on, without end: `fit` cuts them into epochs of `steps`."""
        self.start = start
        return (self[position] for position in itertools.count(start))

    def source(self, start: int = 0) -> Any:
        """Return :meth:`stream` as Keras takes it, also where lengths vary."""
        return feeding.source(
            lambda: self.stream(start),
            varying=hasattr(self.examples, "lengths"),
            otherwise=self.stream(start),
        )


class EvaluationBatches(keras.utils.PyDataset):
    """Every example once, in the stored order, the last batch as small as it is.

    Args:
        examples: A validation or test split.
        batch_size: Examples a batch.
        encode_targets: As for :class:`TrainingBatches`.
    """

    def __init__(self, examples: Examples, *, batch_size: int, encode_targets: Encode | None = None):
        super().__init__(workers=1, use_multiprocessing=False)
        self.examples = examples
        self.batch_size = batch_size
        self._encode_targets = encode_targets

    @property
    def num_batches(self) -> int:
        """How many batches hold all examples."""
        return -(-len(self.examples) // self.batch_size)

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        begin = index * self.batch_size
        indices = np.arange(begin, min(begin + self.batch_size, len(self.examples)))
        inputs, targets = self.examples.batch(indices)
        targets = targets if self._encode_targets is None else self._encode_targets(targets)
        weights = getattr(self.examples, "weights", None)
        return (inputs, targets) if weights is None else (inputs, targets, weights[indices])

    def source(self) -> Any:
        """Return the batches as Keras takes them, also where lengths vary."""
        return feeding.source(
            lambda: (self[index] for index in range(self.num_batches)),
            varying=hasattr(self.examples, "lengths"),
            otherwise=self,
            count=self.num_batches,
        )
