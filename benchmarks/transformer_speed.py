"""Tokens a second of a training step, against an equal model in PyTorch, side by side on the same cores.

    python benchmarks/transformer_speed.py --torch-python ../torch/bin/python      # ten minutes on two quiet cores
    python benchmarks/transformer_speed.py --models vit --ways float32 --rounds 3

Three models: a text classifier (2 layers, 128 features, 64 tokens, batches of 64), a causal language model (4 layers,
256 features, 256 tokens, batches of 16) and a vision transformer (6 layers, 128 features, 49 patches of 28x28 pixels,
batches of 64). Same layers, sizes, dropout, data and AdamW on both sides; different numbers of parameters are an error.
Each side is a process of its own and they take turns, a few steps each; medians count. "compiled" is XLA here and
`torch.compile` there. Where other work keeps the cores busy take --threads 1 --clock cpu, which counts processor time:
threads that wait for each other after every operation, as PyTorch's do, suffer far more from it than others.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import sys
from collections.abc import Callable
from typing import IO, Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np  # noqa: E402 - TensorFlow reads the variable when it is imported
import sides  # noqa: E402

MODELS: dict[str, dict[str, Any]] = {
    "text": {
        "batch": 64,
        "length": 64,
        "vocabulary_size": 20_000,
        "num_classes": 4,
        "num_layers": 2,
        "hidden_dim": 128,
    },
    "causal": {"batch": 16, "length": 256, "vocabulary_size": 257, "num_layers": 4, "hidden_dim": 256},
    "vit": {"batch": 64, "length": 49, "patch_size": 4, "num_classes": 10, "num_layers": 6, "hidden_dim": 128},
}
MODELS = {name: {"kind": name, "num_heads": 4, "dropout": 0.1, **sizes} for name, sizes in MODELS.items()}
WAYS = ("float32", "float32 compiled", "bfloat16", "bfloat16 compiled")
SIDES = ("kerasdl", "PyTorch")
until_the_end = contextlib.ExitStack()


def data(sizes: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Return one batch of inputs and targets; a quarter of the classifier's tokens is padding."""
    generator = np.random.default_rng(0)
    shape = sizes["batch"], sizes["length"]
    if sizes["kind"] == "vit":
        inputs = generator.integers(0, 256, (sizes["batch"], 28, 28, 1)).astype("uint8")
        return inputs, generator.integers(0, sizes["num_classes"], sizes["batch"])
    tokens = generator.integers(1, sizes["vocabulary_size"], shape).astype("int32")
    if sizes["kind"] == "causal":
        return tokens, np.roll(tokens, -1, axis=1).astype("int64")
    lengths = generator.integers(sizes["length"] // 2, sizes["length"] + 1, (sizes["batch"], 1))
    tokens[np.arange(sizes["length"]) >= lengths] = 0
    return tokens, generator.integers(0, sizes["num_classes"], sizes["batch"])


def kerasdl_step(
    sizes: dict[str, Any], inputs: np.ndarray, targets: np.ndarray, *, precision: str, compiled: bool
) -> tuple[Callable[[], Any], int]:
    """Return a function that trains one step, and the number of parameters of its model."""
    import keras
    from keras_networks import built

    from kerasdl import training
    from kerasdl.training.allocator import keep_freed_memory
    from kerasdl.training.fast_operations import fast_operations

    with training.precision_policy(precision):
        model = built(sizes["kind"], sizes)
    model.compile(
        keras.optimizers.AdamW(1e-3, weight_decay=0.05),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=compiled,
    )
    parameters = sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)
    # As in `kerasdl.training.fit`.
    until_the_end.enter_context(keep_freed_memory())
    until_the_end.enter_context(fast_operations(model))
    return lambda: model.train_on_batch(inputs, targets), parameters


def serve(side: str, name: str, answers: IO[str]) -> None:
    """Be one side in this process."""
    sizes = MODELS[name]

    def make(way: str) -> tuple[Callable[[], Any], int]:
        if side == "PyTorch":
            from torch_transformers import training_step
        else:
            training_step = kerasdl_step
        precision, _, compiled = way.partition(" ")
        return training_step(sizes, *data(sizes), precision=precision, compiled=bool(compiled))

    sides.serve(make, answers)


def compare(name: str, options: argparse.Namespace) -> None:
    """Measure one model on both sides and print its table."""
    pythons = {"kerasdl": sys.executable, "PyTorch": options.torch_python}
    tokens = MODELS[name]["batch"] * MODELS[name]["length"]
    seconds, faults, parameters = sides.take_turns(__file__, name, pythons, options.ways, options)
    speed = {key: tokens / statistics.median(values) for key, values in seconds.items()}
    print(f"\n{name}: {parameters.get('kerasdl', 0):,} parameters, batches of {tokens:,} tokens; tokens/s")
    print(f"{'':<20}{'kerasdl':>12}{'PyTorch':>12}{'ratio':>8}")
    for way in options.ways:
        row(way, *(speed.get((side, way), 0.0) for side in SIDES))
    row("the best of each", *(max(speed.get((side, way), 0.0) for way in options.ways) for side in SIDES))
    for (side, way), fault in faults.items():
        print(f"{side}, {way}: {fault}")


def row(what: str, ours: float, theirs: float) -> None:
    """Print one line of the table."""
    ratio = f"{ours / theirs:.2f}" if ours and theirs else ""
    print(
        f"{what:<20}"
        + "".join(f"{speed or '-':>12{',.0f' if speed else ''}}" for speed in (ours, theirs))
        + f"{ratio:>8}"
    )


def main() -> None:
    """Compare the models one after another."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    sides.add_arguments(parser)
    parser.add_argument("--torch-python", default=sys.executable, help="interpreter that has PyTorch")
    parser.add_argument("--serve", choices=SIDES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        # What a library prints must not come between the answers.
        answers, sys.stdout = sys.stdout, sys.stderr
        serve(options.serve, options.models[0], answers)
        return
    threads = f"{options.threads} threads" if options.threads else "as many threads as the libraries choose"
    print(f"{os.cpu_count()} cores, {threads}, {options.clock} time, load {os.getloadavg()[0]:.1f} at the start")
    for name in options.models:
        compare(name, options)
    print(f"\nload {os.getloadavg()[0]:.1f} at the end")


if __name__ == "__main__":
    main()
