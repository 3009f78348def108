"""Milliseconds of an LSTM's training step on a CPU: Keras's layer, `kerasdl.layers.LSTM` and `torch.nn.LSTM`.

    python benchmarks/lstm.py --threads 2                            # ten minutes on two quiet cores
    python benchmarks/lstm.py --threads 1 --clock cpu --rounds 3     # where other work keeps the cores busy
    python benchmarks/lstm.py --models rows --ways plain unrolled

Two models, LSTM and a dense layer on its last output, Adam, float32: "rows" (batches of 128, 28 steps of 28 features,
128 units) and "long" (batches of 64, 250 steps of 32 features, 256 units). A step is forward, backward and optimizer.
Each side is a process of its own and they take turns; medians count. PyTorch has two biases where Keras has one: its
second one is frozen at zero. Ways: "plain"; "unrolled", Keras's `unroll=True`, for "rows" only (the graph of 250 steps
takes minutes to trace); "compiled", XLA by `jit_compile`. PyTorch knows the plain way only.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np  # noqa: E402 - TensorFlow reads the variable when it is imported
import sides  # noqa: E402

MODELS = {
    "rows": {"batch": 128, "length": 28, "features": 28, "units": 128},
    "long": {"batch": 64, "length": 250, "features": 32, "units": 256},
}
SIDES = ("Keras", "kerasdl", "PyTorch")
WAYS = ("plain", "unrolled", "compiled")
NUM_CLASSES = 10


def data(sizes: dict[str, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return one batch of series and their classes."""
    generator = np.random.default_rng(0)
    series = generator.standard_normal((sizes["batch"], sizes["length"], sizes["features"]), "float32")
    return series, generator.integers(0, NUM_CLASSES, sizes["batch"])


def keras_step(side: str, sizes: dict[str, int], way: str) -> tuple[Callable[[], Any], int]:
    """Return a function that trains one step, and the number of parameters of its model."""
    import keras

    from kerasdl import layers

    kind = keras.layers.LSTM if side == "Keras" else layers.LSTM
    series = keras.Input((sizes["length"], sizes["features"]))
    x = kind(sizes["units"], unroll=way == "unrolled")(series)
    model = keras.Model(series, keras.layers.Dense(NUM_CLASSES)(x))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-3), loss, jit_compile=way == "compiled")
    inputs, targets = data(sizes)
    return lambda: model.train_on_batch(inputs, targets), model.count_params()


def torch_step(sizes: dict[str, int], way: str) -> tuple[Callable[[], Any], int]:
    """Return a function that trains one step, and the number of parameters of its model."""
    import torch

    if way != "plain":
        raise ValueError("PyTorch has one way")
    lstm = torch.nn.LSTM(sizes["features"], sizes["units"], batch_first=True)
    torch.nn.init.zeros_(lstm.bias_hh_l0)
    lstm.bias_hh_l0.requires_grad_(False)
    dense = torch.nn.Linear(sizes["units"], NUM_CLASSES)
    trained = [p for p in (*lstm.parameters(), *dense.parameters()) if p.requires_grad]
    optimizer = torch.optim.Adam(trained, lr=1e-3)
    inputs, targets = map(torch.from_numpy, data(sizes))

    def step() -> float:
        optimizer.zero_grad(set_to_none=True)
        loss = torch.nn.functional.cross_entropy(dense(lstm(inputs)[0][:, -1]), targets)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step, sum(p.numel() for p in trained)


def compare(name: str, options: argparse.Namespace) -> None:
    """Measure one model on all sides and print its table."""
    pythons = {side: options.torch_python if side == "PyTorch" else sys.executable for side in options.sides}
    ways = [way for way in options.ways if name == "rows" or way != "unrolled"]
    seconds, faults, parameters = sides.take_turns(__file__, name, pythons, ways, options)
    print(f"\n{name}: {MODELS[name]}, {max(parameters.values(), default=0):,} parameters; ms a step")
    print(f"{'':<20}" + "".join(f"{side:>12}" for side in options.sides) + f"{'kerasdl is faster than':>27}")
    times = {key: 1000 * statistics.median(values) for key, values in seconds.items()}
    for way in ways:
        row(way, [times.get((side, way)) for side in options.sides], options.sides)
    row(
        "the best of each",
        [min((t for (s, _), t in times.items() if s == side), default=None) for side in options.sides],
        options.sides,
    )
    for (side, way), fault in faults.items():
        if (side, way) not in {("PyTorch", "unrolled"), ("PyTorch", "compiled")}:
            print(f"{side}, {way}: {fault}")


def row(what: str, times: list[float | None], names: list[str]) -> None:
    """Print one line of the table, with how many times longer each other side takes than ours."""
    ours = dict(zip(names, times, strict=True)).get("kerasdl")
    ratios = [f"{n} {t / ours:.2f}" for n, t in zip(names, times, strict=True) if ours and t and n != "kerasdl"]
    print(f"{what:<20}" + "".join(f"{t:>12.1f}" if t else f"{'-':>12}" for t in times) + "     " + ", ".join(ratios))


def main() -> None:
    """Compare the models one after another."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES))
    sides.add_arguments(parser)
    parser.add_argument("--torch-python", default=sys.executable, help="interpreter that has PyTorch")
    parser.add_argument("--serve", choices=SIDES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        # What a library prints must not come between the answers.
        answers, sys.stdout = sys.stdout, sys.stderr
        side, sizes = options.serve, MODELS[options.models[0]]
        sides.serve(lambda way: torch_step(sizes, way) if side == "PyTorch" else keras_step(side, sizes, way), answers)
        return
    threads = f"{options.threads} threads" if options.threads else "as many threads as the libraries choose"
    print(f"{os.cpu_count()} cores, {threads}, {options.clock} time, load {os.getloadavg()[0]:.1f} at the start")
    for name in options.models:
        compare(name, options)
    print(f"\nload {os.getloadavg()[0]:.1f} at the end")


if __name__ == "__main__":
    main()
