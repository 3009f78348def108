"""Training on a GPU: this kit on JAX and on PyTorch, and a plain loop of PyTorch compiled, on equal networks.

    pip install jax[cuda13] torch torchvision
    python benchmarks/gpu_speed.py                            # six minutes on an H200
    python benchmarks/gpu_speed.py --models lstm --tiny       # whether it runs, on a processor too

ResNet-50 on 224 x 224 pixels, ViT-B/16, GPT-2 small on 1024 tokens, two LSTM layers of 512 units on 256 steps; random
examples in the processor's memory, AdamW, bfloat16 (`precision="bfloat16"` here, autocast there). kerasdl: its builders
and `kerasdl.training.fit` as recipes call it. PyTorch: torchvision's ResNet-50 with channels last, the transformers of
`torch_transformers.py`, `nn.LSTM`; `torch.compile`, the fused AdamW, a DataLoader of workers with pinned memory.
Different numbers of parameters are an error. The sides of a pair of models compile at the same time, then each trains
alone while the others wait. "of peak" is the arithmetic that the network needs (that of convolutions and products,
three times the forward pass; a causal model's as if it looked at all tokens) over the fastest product of two matrices
of bfloat16 that PyTorch makes on the device; "busy" what nvidia-smi says of its utilisation.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import sides

BASE = "PyTorch, compiled"
SIDES = {BASE: "", "kerasdl, JAX": "jax", "kerasdl, PyTorch": "torch"}
TRANSFORMER = {"num_heads": 12, "hidden_dim": 768, "num_layers": 12, "dropout": 0.1}
MODELS: dict[str, dict[str, Any]] = {
    "resnet50": {"batch": 128, "size": 224, "num_classes": 1000},
    "gpt2": {**TRANSFORMER, "kind": "causal", "batch": 8, "length": 1024, "vocabulary_size": 50_257},
    "vit": {
        **TRANSFORMER,
        **{"kind": "vit", "batch": 128, "size": 224, "channels": 3, "patch_size": 16, "length": 196},
        "num_classes": 1000,
    },
    "lstm": {"batch": 256, "length": 256, "features": 64, "units": 512, "num_classes": 10},
}
TINY = {"batch": 4, "size": 32, "length": 4, "vocabulary_size": 50, "num_layers": 2, "hidden_dim": 48, "units": 8}
WARM_UP = 5
"""Steps before the others' turn is waited for, and again after it."""


def sizes_of(name: str, tiny: bool) -> dict[str, Any]:
    """Return the sizes of a model."""
    sizes = MODELS[name]
    return sizes | {each: TINY[each] for each in TINY if tiny and each in sizes}


def examples(sizes: dict[str, Any], count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return random examples and their targets."""
    generator = np.random.default_rng(0)
    classes = generator.integers(0, sizes.get("num_classes", 2), count)
    if "size" in sizes:
        return generator.integers(0, 256, (count, sizes["size"], sizes["size"], 3), np.uint8), classes
    if "units" in sizes:
        return generator.standard_normal((count, sizes["length"], sizes["features"]), "float32"), classes
    tokens = generator.integers(0, sizes["vocabulary_size"], (count, sizes["length"] + 1), np.int32)
    return tokens[:, :-1].copy(), tokens[:, 1:].astype(np.int64)


def operations(name: str, sizes: dict[str, Any]) -> float:
    """Return the floating-point operations that training needs for an example."""
    if name == "resnet50":
        return 3 * 2 * 4.09e9 * (sizes["size"] / 224) ** 2
    if name == "lstm":
        inputs = sizes["features"] + sizes["units"], 2 * sizes["units"]
        return 3 * 2 * sizes["length"] * sum(4 * sizes["units"] * width for width in inputs)
    length, width, layers = sizes["length"], sizes["hidden_dim"], sizes["num_layers"]
    ends = sizes["vocabulary_size"] if name == "gpt2" else 3 * sizes["patch_size"] ** 2
    return 3 * length * (2 * (12 * layers * width**2 + ends * width) + 4 * layers * length * width)


class Turn:
    """Called after each step, with something that is known when the step is done: waits, and takes the time."""

    def __init__(self, steps: int):
        self._marks = WARM_UP, 2 * WARM_UP, 2 * WARM_UP + steps
        self._step, self._began = 0, 0.0

    def __call__(self, wait: Any) -> None:
        """Count a step."""
        self._step += 1
        if self._step not in self._marks:
            return
        wait()
        if self._step == self._marks[0]:
            say(ready=True)
            sys.stdin.readline()
        elif self._step == self._marks[1]:
            self._began = time.perf_counter()
        else:
            say(seconds=(time.perf_counter() - self._began) / (self._marks[2] - self._marks[1]))
            os._exit(0)


def say(**what: Any) -> None:
    """Tell the process that compares."""
    print(json.dumps(what), flush=True)


def train_kerasdl(name: str, sizes: dict[str, Any], steps: int) -> None:
    """Train by this kit."""
    import keras

    import kerasdl

    build = kerasdl.models
    with kerasdl.training.precision_policy("bfloat16"):
        same = {each: sizes[each] for each in TRANSFORMER if each in sizes}
        if name == "resnet50":
            model = build.resnet50((sizes["size"], sizes["size"], 3), sizes["num_classes"], stem="large")
        elif name == "lstm":
            shape = sizes["length"], sizes["features"]
            model = build.lstm_classifier(shape, sizes["num_classes"], units=(sizes["units"],) * 2)
        elif name == "gpt2":
            model = build.gpt2_small(sizes["length"], sizes["vocabulary_size"], **same)
        else:
            shape = sizes["size"], sizes["size"], 3
            model = build.vision_transformer(shape, sizes["num_classes"], patch_size=sizes["patch_size"], **same)
    say(parameters=sum(int(np.prod(weights.shape)) for weights in model.trainable_weights))
    turn = Turn(steps)

    class Clock(keras.callbacks.Callback):
        """Says when a step is done."""

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            """Say so."""
            turn(lambda: float(logs["loss"]))

    inputs, targets = examples(sizes, sizes["batch"] * (2 * WARM_UP + steps))
    kerasdl.training.fit(
        model,
        kerasdl.data.Split(inputs, targets),
        kerasdl.data.Split(inputs[: sizes["batch"]], targets[: sizes["batch"]]),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        epochs=1,
        batch_size=sizes["batch"],
        optimizer="adamw",
        learning_rate=1e-4,
        weight_decay=0.05,
        jit_compile=False,
        callbacks=[Clock()],
        verbose=0,
    )


def train_torch(name: str, sizes: dict[str, Any], steps: int) -> None:
    """Train by a loop of PyTorch."""
    import torch
    import torch.nn.functional as F
    from torch_networks import Recurrent
    from torch_transformers import Transformer

    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.backends.cudnn.benchmark = True
    torch.set_float32_matmul_precision("high")

    if name == "lstm":
        model = Recurrent(sizes["features"], sizes["units"], sizes["num_classes"], layers=2)
    elif name == "resnet50":
        import torchvision

        model = torchvision.models.resnet50(num_classes=sizes["num_classes"]).to(memory_format=torch.channels_last)
    else:
        model = Transformer(sizes)
    model = model.to(device).train()
    say(parameters=sum(weights.numel() for weights in model.parameters() if weights.requires_grad))
    trained = [weights for weights in model.parameters() if weights.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4, weight_decay=0.05, fused=True)
    forward = torch.compile(model) if device == "cuda" else model
    inputs, targets = examples(sizes, sizes["batch"] * (2 * WARM_UP + steps))
    loader = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(torch.from_numpy(inputs), torch.from_numpy(targets)),
        sizes["batch"],
        shuffle=True,
        drop_last=True,
        num_workers=8 if device == "cuda" else 0,
        pin_memory=device == "cuda",
    )
    turn = Turn(steps)
    for batch in loader:
        x, y = (each.to(device, non_blocking=True) for each in batch)
        if name == "resnet50":
            x = x.permute(0, 3, 1, 2).float() / 127.5 - 1
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device, dtype=torch.bfloat16):
            logits = forward(x)
        loss = F.cross_entropy(logits.float().flatten(0, -2), y.flatten())
        loss.backward()
        optimizer.step()
        turn(loss.item)


def peak() -> None:
    """Say the device's name and its fastest product of matrices, in operations a second."""
    import torch

    size = 8192 if torch.cuda.is_available() else 256
    device = "cuda" if size == 8192 else "cpu"
    a, b = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    seconds = []
    for _ in range(20):
        began = time.perf_counter()
        (a @ b)[0, 0].item()
        seconds.append(time.perf_counter() - began)
    name = torch.cuda.get_device_name() if device == "cuda" else "processor"
    say(device=name, peak=2 * size**3 / min(seconds))


def started(side: str, name: str, options: argparse.Namespace, log: Path) -> subprocess.Popen[str]:
    """Start the process of a side."""
    root = str(Path(__file__).parents[1])
    environment = os.environ | {
        "KERAS_BACKEND": SIDES[side] or "torch",
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        "PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")]),
    }
    command = [sys.executable, __file__, "--measure", side, "--models", name, "--steps", str(options.steps)]
    return subprocess.Popen(
        command + ["--tiny"] * options.tiny,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=open(log, "w"),  # noqa: SIM115 - it is the process's
        text=True,
        env=environment,
    )


def answer(process: subprocess.Popen[str], key: str) -> Any:
    """Return what a process says by that name, None if it ended without."""
    for line in process.stdout or ():
        with contextlib.suppress(json.JSONDecodeError, AttributeError):
            told = json.loads(line)
            if key in told:
                return told[key]
    return None


def compare(names: list[str], options: argparse.Namespace, fastest: float) -> None:
    """Measure all sides of some models and print their rows."""
    logs = {
        (name, side): options.logs / f"{name}-{side.replace(', ', '-')}.txt" for name in names for side in options.sides
    }
    processes = {key: started(key[1], key[0], options, log) for key, log in logs.items()}
    parameters = {key: answer(process, "parameters") for key, process in processes.items()}
    for process in processes.values():
        answer(process, "ready")
    for name in names:
        sizes = sizes_of(name, options.tiny)
        counts = {parameters[name, side] for side in options.sides} - {None}
        if len(counts) > 1:
            raise RuntimeError(f"{name}: the networks are not equal, parameters are {counts}")
        rates = {}
        for side in options.sides:
            process, seconds = processes[name, side], None
            seen: list[tuple[float, float]] = []
            with sides.watched(seen), contextlib.suppress(BrokenPipeError):
                print("go", file=process.stdin, flush=True)
                seconds = answer(process, "seconds")
            if seconds is None:
                print(f"| {name} | {side} | failed: {logs[name, side].read_text().strip()[-300:]!r} |")
                continue
            rates[side] = sizes["batch"] / seconds
            ratio = f"{rates[side] / rates[BASE]:.2f}" if BASE in rates else ""
            share = rates[side] * operations(name, sizes) / fastest
            tokens = f"{rates[side] * sizes['length']:,.0f}" if name in ("gpt2", "lstm") else ""
            used = f"{statistics.median(share for share, _ in seen):.0f} %" if seen else ""
            told = f"{max(counts):,} | {side} | {rates[side]:,.1f} | {tokens} | {share:.0%} | {used} | {ratio}"
            print(f"| {name} | {sizes['batch']} | {told} |", flush=True)
    for process in processes.values():
        process.kill()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES))
    parser.add_argument("--together", type=int, default=2, help="models that compile at the same time")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--tiny", action="store_true", help="small sizes, to see whether it runs")
    parser.add_argument("--logs", type=Path, default=Path("/tmp"), help="where what the processes print goes")
    parser.add_argument("--measure", choices=[*SIDES, "peak"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure == "peak":
        peak()
    elif options.measure:
        name = options.models[0]
        train = train_kerasdl if SIDES[options.measure] else train_torch
        train(name, sizes_of(name, options.tiny), options.steps)
    else:
        command = [sys.executable, __file__, "--measure", "peak"]
        told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
        print(f"{told['device']}, {told['peak'] / 1e12:.0f} TFLOP/s in products of bfloat16\n")
        print("| model | batch | parameters | side | examples/s | tokens/s | of peak | busy | of PyTorch's |")
        print("|---|---|---|---|---|---|---|---|---|", flush=True)
        for place in range(0, len(options.models), options.together):
            compare(options.models[place : place + options.together], options, told["peak"])


if __name__ == "__main__":
    main()
