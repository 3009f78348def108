"""Accuracy against sparsity: proximal L1, an L1 penalty and an L2 penalty side by side, at several strengths.

    python benchmarks/sparsity.py [--data digits|fashion_mnist]

Every row is one perceptron, trained alike but for the column "kind"; validation chooses its epoch, and the row that is
marked in each kind: the one with most zeros among those whose validation accuracy is at most two points below the best
of all. The test split is only reported. Expected: a penalty makes no zero at all; proximal L1 makes most weights zero
at about the accuracy of the dense model, and `prune_units` then removes units without changing the outputs. Two
minutes on two cores for each of the two data sets; Fashion-MNIST (a fifth of it) needs TFDS to have it prepared.
"""

from __future__ import annotations

import argparse
import functools

import keras
import numpy as np

import kerasdl
from kerasdl.diagnostics.sparsity import sparsity
from kerasdl.training import fit, make_optimizer
from kerasdl.training.proximal import proximal
from kerasdl.training.pruning import prune_units

STRENGTHS = {
    "dense": (0.0,),
    "proximal L1": (3e-4, 1e-3, 3e-3, 1e-2),
    "L1 penalty": (3e-4, 1e-3, 3e-3, 1e-2),
    "L2 penalty": (1e-4, 1e-3, 1e-2),
}
TOLERANCE = 0.02
EPOCHS, BATCH_SIZE = {"digits": 60, "fashion_mnist": 20}, 64


class Part:
    """The first examples of a split."""

    def __init__(self, split: kerasdl.data.Dataset, count: int):
        self.inputs, self.targets = split.batch(np.arange(min(count, len(split))))

    def __len__(self) -> int:
        return len(self.targets)

    def batch(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return inputs and targets at `indices`."""
        return self.inputs[indices], self.targets[indices]


def row(kind: str, strength: float, parts: dict[str, Part], classes: int, epochs: int) -> dict[str, object]:
    """Train one model and return its line of the table."""
    keras.utils.set_random_seed(0)
    penalty = {"L1 penalty": "l1", "L2 penalty": "l2"}.get(kind)
    model = kerasdl.models.mlp(
        parts["train"].inputs.shape[1:], classes, hidden=(128,), **({penalty: strength} if penalty else {})
    )
    steps = epochs * (len(parts["train"]) // BATCH_SIZE)
    optimizer = make_optimizer("sgd", total_steps=steps, learning_rate=0.05, schedule="one_cycle")
    if kind == "proximal L1":
        optimizer = proximal(optimizer, l1=strength)
    fit(
        model,
        parts["train"],
        parts["validation"],
        loss=keras.losses.CategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        epochs=epochs,
        batch_size=BATCH_SIZE,
        optimizer=optimizer,
        encode_targets=functools.partial(keras.utils.to_categorical, num_classes=classes),
        verbose=0,
    )
    pruned = prune_units(model)
    logits = {name: model.predict(part.inputs, batch_size=512, verbose=0) for name, part in parts.items()}
    accuracy = {name: float(np.mean(logits[name].argmax(1) == part.targets)) for name, part in parts.items()}
    return {
        "kind": kind,
        "strength": strength,
        "zeros": sparsity(model)["total"],
        "validation": accuracy["validation"],
        "test": accuracy["test"],
        "units": pruned.get_layer("dense1").units,
        "parameters": pruned.count_params(),
        "difference": float(
            np.abs(pruned.predict(parts["test"].inputs, batch_size=512, verbose=0) - logits["test"]).max()
        ),
    }


def main() -> None:
    """Train all models and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="digits", choices=list(EPOCHS))
    name = parser.parse_args().data
    dataset = kerasdl.data.load(name)
    parts = {"train": Part(dataset.train, 12_000), "validation": Part(dataset.validation, 5000)}
    parts["test"] = Part(dataset.test, 10_000)
    rows = [
        row(kind, strength, parts, dataset.num_classes, EPOCHS[name])
        for kind, strengths in STRENGTHS.items()
        for strength in strengths
    ]
    enough = max(line["validation"] for line in rows) - TOLERANCE
    good = [line for line in rows if line["validation"] >= enough]
    chosen = [
        max((line for line in good if line["kind"] == kind), key=lambda line: line["zeros"], default=None)
        for kind in STRENGTHS
    ]
    print(
        f"{name}: {', '.join(f'{len(part)} {split}' for split, part in parts.items())}; one hidden layer of 128 units"
    )
    print(f"{'kind':<12} {'strength':>8} {'zeros':>7} {'validation':>10} {'test':>7}   after prune_units")
    for line in rows:
        print(
            f"{line['kind']:<12} {line['strength']:>8g} {line['zeros']:>7.1%} {line['validation']:>10.4f} "
            f"{line['test']:>7.4f}   {line['units']:>3} units, {line['parameters']:>7,} parameters, "
            f"outputs within {line['difference']:.0e}" + ("  <- chosen" if line in chosen else "")
        )


if __name__ == "__main__":
    main()
