"""Features of a frozen backbone, computed once: its output never changes, so it need not run in every epoch."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from kerasdl import feeding
from kerasdl.errors import InputError
from kerasdl.safe_loading.npz import read_npz
from kerasdl.training.batches import Augment, Encode, Examples
from kerasdl.training.distribution import evaluation_batch_size


class _Passes(keras.utils.PyDataset):
    def __init__(
        self,
        examples: Examples,
        encode_targets: Encode,
        *,
        passes: int,
        augment: Augment | None,
        batch_size: int,
        seed: int,
    ):
        super().__init__(workers=1, use_multiprocessing=False)
        self._examples, self._batch_size, self._seed = examples, batch_size, seed
        self._passes, self._augment = passes, augment
        self._encode_targets = encode_targets
        self.targets: dict[int, np.ndarray] = {}

    @property
    def num_batches(self) -> int:
        return self._passes * -(-len(self._examples) // self._batch_size)

    def __getitem__(self, index: int) -> np.ndarray:
        number, step = divmod(index, self.num_batches // self._passes)
        begin = step * self._batch_size
        indices = np.arange(len(self._examples))
        if self._augment is not None:
            # Mixtures need neighbours of other classes, and others in every pass.
            indices = np.random.default_rng((self._seed, number, 0, 0, 0)).permutation(indices)
        inputs, targets = self._examples.batch(np.sort(indices[begin : begin + self._batch_size]))
        targets = self._encode_targets(targets)
        if self._augment is not None:
            # The order of training has two numbers and its augmentation three: another stream.
            generator = np.random.default_rng((self._seed, number, step, 0))
            inputs, targets = self._augment(generator, inputs, targets)
        self.targets[index] = targets
        return inputs


def extract_features(
    model: keras.Model,
    examples: Examples,
    *,
    encode_targets: Encode = np.asarray,
    passes: int = 1,
    augment: Augment | None = None,
    batch_size: int = 64,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Run examples through a model and keep what comes out, beside the encoded targets.

    Args:
        model: Inputs to features.
        examples: The split.
        encode_targets: What turns stored targets into those that the loss compares; augmentation may mix them.
        passes: How often to run over the examples; worth more than one with `augment` only.
        augment: As for :func:`kerasdl.training.fit`; it is a pure function of the seed here, too.
        batch_size: Examples at a time.
        seed: Of the augmentation.

    Returns:
        Features (passes * examples, ...) and targets, pass after pass; without `augment` in the stored order.
    """
    batch_size = evaluation_batch_size(len(examples), batch_size)
    batches = _Passes(examples, encode_targets, passes=passes, augment=augment, batch_size=batch_size, seed=seed)
    source = feeding.source(
        lambda: ((batches[index],) for index in range(batches.num_batches)),
        varying=False,
        otherwise=batches,
        count=batches.num_batches,
    )
    features = model.predict(source, verbose=0)
    return np.asarray(features), np.concatenate([batches.targets[index] for index in range(batches.num_batches)])


def kept(path: Path | None, make: Callable[[], tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Return the two arrays that `make` returned when `path` was written, or write what it returns now.

    Args:
        path: The .npz file, written beside and renamed; a damaged one is made again. None keeps nothing.
        make: What computes the arrays.

    Raises:
        InputError: When there is a folder of that name.
    """
    if path is not None and path.exists():
        if path.is_dir():
            raise InputError(str(path), received="a folder", expected="a file of features", mend="Remove it.")
        with contextlib.suppress(OSError, ValueError, KeyError):
            arrays = read_npz(path)
            return arrays["features"], arrays["targets"]
    features, targets = make()
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.{os.getpid()}")
        with open(beside, "wb") as written:
            np.savez(written, features=features, targets=targets)
        os.replace(beside, path)
    return features, targets
