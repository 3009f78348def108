"""The guide's vanishing gradient: thirty layers of sigmoids, and what mends them.

    python benchmarks/gradient_flow.py

Gradients of new networks of thirty layers of 64 units on a batch of the digits, and how well each learns the digits
afterwards. Prints a table and writes docs/gradient_flow.svg; three minutes on two cores.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

DEPTH, WIDTH = 30, 64
PICTURE = Path(__file__).resolve().parent.parent / "docs" / "gradient_flow.svg"
NETWORKS: dict[str, dict[str, Any]] = {
    "sigmoid": {"activation": "sigmoid"},
    "ReLU": {"activation": "relu"},
    "sigmoid, BatchNorm": {"activation": "sigmoid", "normalization": "batch"},
    "ReLU, BatchNorm": {"activation": "relu", "normalization": "batch"},
    "sigmoid, residual": {"activation": "sigmoid", "residual": True},
}


def network(activation: str, *, normalization: str | None = None, residual: bool = False, depth: int = DEPTH) -> Any:
    """Build a network of `depth` layers; with `residual`, each adds to what was before it."""
    import keras

    from kerasdl import blocks

    image = keras.Input((8, 8, 1), dtype="uint8", name="image")
    x = keras.layers.Flatten()(blocks.scale_image(image))
    for number in range(1, depth + 1):
        y = blocks.dense(x, WIDTH, activation=activation, normalization=normalization, name=f"dense{number}")
        x = keras.layers.Add()([x, y]) if residual else y
    return keras.Model(image, blocks.logits(x, 10))


def main() -> None:
    """Measure every network, train it if asked for, and draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=20, help="0 only measures the new networks")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras
    import numpy as np

    import kerasdl
    from kerasdl.diagnostics import gradient_flow, gradient_picture

    dataset = kerasdl.data.load("digits")
    inputs, targets = dataset.train.batch(np.arange(128))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    print(f"{'network':<20}  {'first layer':>11}  {'middle':>8}  {'last':>8}  {'first/last':>10}  validation accuracy")
    curves = {}
    for name, settings in NETWORKS.items():
        keras.utils.set_random_seed(options.seed)
        model = network(**settings)
        flow = gradient_flow(model, (inputs, targets), loss=loss)
        curves[name] = [layer.gradient for layer in flow.kernels()]
        line = f"{name:<20}  {curves[name][0]:11.1e}  {curves[name][DEPTH // 2]:8.1e}  {curves[name][-1]:8.1e}  "
        line += f"{flow.decline():10.1e}"
        if options.epochs:
            history = kerasdl.training.fit(
                model,
                dataset.train,
                dataset.validation,
                loss=loss,
                metrics=["accuracy"],
                epochs=options.epochs,
                optimizer="sgd",
                schedule="one_cycle",
                seed=options.seed,
                verbose=0,
            )
            line += f"  {history['val_accuracy'][int(np.argmin(history['val_loss']))]:.3f}"
        print(line, flush=True)
    title = f"Gradient of each of {DEPTH} new layers and the logits (root mean square a weight)"
    PICTURE.write_text(gradient_picture(curves, title=title), encoding="utf-8")
    print(f"Picture: {PICTURE}")


if __name__ == "__main__":
    main()
