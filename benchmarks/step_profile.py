"""Where the time of a training step goes, and what the machine could do at best.

    taskset -c 0 python benchmarks/step_profile.py                   # five minutes on one quiet core
    taskset -c 0 python benchmarks/step_profile.py --models resnet9

The networks of `training_speed.py`, as kerasdl trains them. Two peaks are measured first: products and sums a second
in products of large matrices, and bytes a second in copying what no cache holds. Then TensorFlow's profiler times every
operation of some steps; the graph of the step says how many products and sums each kind of operation needs, and how
many bytes go in and out of it. "at least" is the longer of the two divided by their peaks: what no operation of that
kind can do without, if nothing it reads is still in a cache and no algorithm saves products. One core, so that an
operation's time is its own.
"""

from __future__ import annotations

import argparse
import glob
import math
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras  # noqa: E402 - TensorFlow reads the variable when it is imported
import tensorflow as tf  # noqa: E402
from keras_networks import built  # noqa: E402
from training_speed import BATCH, TRANSFORMERS, examples  # noqa: E402

import kerasdl  # noqa: E402
from kerasdl.training.allocator import keep_freed_memory  # noqa: E402
from kerasdl.training.fast_operations import fast_operations  # noqa: E402

# What reads or writes nothing of its operands.
FREE = {"Const", "Identity", "Reshape", "Shape", "ReadVariableOp", "Placeholder", "NoOp", "StopGradient", "ExpandDims"}
PICKS = {"StridedSlice", "Slice", "GatherV2"}
STEPS = 10


def main() -> None:
    """Print the peaks and a table for each network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=BATCH, default=list(BATCH))
    options = parser.parse_args()
    with keep_freed_memory():
        flops, traffic = peaks()
    cores = len(os.sched_getaffinity(0))
    print(f"{cores} core(s): at most {flops / 1e9:.0f} GFLOP/s in products, {traffic / 1e9:.1f} GB/s in copies")
    for name in options.models:
        profile(name, flops, traffic)


def peaks() -> tuple[float, float]:
    """Return the most operations, and the most bytes, a second that were seen."""
    square = tf.random.normal((2048, 2048))
    long = tf.random.normal((2**26,))
    return 2 * 2048**3 / fastest(lambda: square @ square), 2 * 4 * 2**26 / fastest(lambda: long + 1.0)


def fastest(call: Callable[[], Any]) -> float:
    """Return the seconds of the fastest of ten calls."""
    seconds = []
    for _ in range(10):
        began = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def profile(name: str, flops: float, traffic: float) -> None:
    """Print the table of one network."""
    inputs, targets = map(tf.constant, examples(name, BATCH[name]))
    model = built(name, TRANSFORMERS.get(name))
    model.compile(keras.optimizers.Adam(1e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    kerasdl.training.building.build_variables(model, (inputs, targets))
    with keep_freed_memory(), fast_operations(model), tempfile.TemporaryDirectory() as folder:
        step = tf.function(lambda x, y: model.train_step((x, y)))
        traced = step.get_concrete_function(inputs, targets)
        for _ in range(3):
            traced(inputs, targets)
        for place in ("first", "second"):  # while it profiles for the first time, every step gets all its memory anew
            began = time.perf_counter()
            with tf.profiler.experimental.Profile(f"{folder}/{place}"):
                for _ in range(STEPS):
                    traced(inputs, targets)
            wall = (time.perf_counter() - began) / STEPS
        spent = times(f"{folder}/second")
    needs = work(traced.graph)
    print(f"\n{name}, batches of {BATCH[name]}, {model.count_params():,} parameters: {1000 * wall:.0f} ms a step\n")
    print("| operation | calls | ms | share | GFLOP/s | of the peak | GB/s | at least, ms |")
    print("|---|---|---|---|---|---|---|---|")
    least = 0.0
    for kind, seconds in sorted(spent.items(), key=lambda item: -item[1]):
        calls, products, volume = needs.get(kind, (0, 0.0, 0.0))
        bound = max(products / flops, volume / traffic)
        least += bound
        if seconds > 0.01 * wall:
            speed = (f"{products / seconds / 1e9:.0f}", f"{products / seconds / flops:.0%}") if products else ("", "")
            cells = kind, calls, f"{1000 * seconds:.1f}", f"{seconds / wall:.0%}", *speed
            print("| " + " | ".join(map(str, (*cells, f"{volume / seconds / 1e9:.1f}", f"{1000 * bound:.1f}"))) + " |")
    everything = sum(products for _, products, _ in needs.values())
    print(
        f"| all | | {1000 * wall:.1f} | | {everything / wall / 1e9:.0f} | {everything / wall / flops:.0%} | | ", end=""
    )
    print(f"{1000 * least:.1f} |", flush=True)


def times(folder: str) -> dict[str, float]:
    """Return the seconds a step of each kind of operation, as the profiler wrote them."""
    from tensorflow.python.framework import op_def_registry
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    space = xplane_pb2.XSpace()
    (path,) = glob.glob(f"{folder}/**/*.xplane.pb", recursive=True)
    with open(path, "rb") as file:
        space.ParseFromString(file.read())
    known = op_def_registry.get  # the profiler tells of other things too
    found: dict[str, float] = defaultdict(float)
    for plane in space.planes:
        for line in plane.lines:
            for event in line.events:
                _, colon, kind = plane.event_metadata[event.metadata_id].name.rpartition(":")
                if colon and known(kind):
                    found[in_the_graph(kind)] += event.duration_ps / 1e12 / STEPS
    return found


def in_the_graph(kind: str) -> str:
    """Return what the graph calls an operation: oneDNN's have a prefix, and some are put together with what follows."""
    kind = kind.removeprefix("_MklNative").removeprefix("_Mkl").removeprefix("_")
    fused = {"FusedBatchNormEx": "FusedBatchNormV3", "FusedConv2D": "Conv2D", "FusedMatMul": "MatMul"}
    return fused.get(kind, kind)


def work(graph: Any) -> dict[str, tuple[int, float, float]]:
    """Return for each kind of operation its calls, its products and sums, and the bytes in and out of it."""
    found: dict[str, tuple[int, float, float]] = {}
    for operation in graph.get_operations():
        calls, products, volume = found.get(operation.type, (0, 0.0, 0.0))
        # Of what it picks from, it reads as much as it picks.
        read = operation.outputs if operation.type in PICKS else operation.inputs
        moved = 0.0
        if operation.type not in FREE:
            moved = sum(size(tensor) * tensor.dtype.size for tensor in (*read, *operation.outputs))
        found[operation.type] = calls + 1, products + arithmetic(operation), volume + moved
    return found


def size(tensor: Any) -> int:
    """Return the number of values of a tensor, 0 where the graph does not know it."""
    count = tensor.shape.num_elements()
    return 0 if count is None or tensor.dtype in (tf.resource, tf.variant, tf.string) else count


def arithmetic(operation: Any) -> float:
    """Return the products and sums of a convolution or a product of matrices; others count as none."""
    shapes = [tensor.shape for tensor in operation.inputs]
    if operation.type in ("MatMul", "BatchMatMulV2", "BatchMatMulV3"):
        transposed = operation.get_attr("transpose_a" if operation.type == "MatMul" else "adj_x")
        return 2.0 * size(operation.outputs[0]) * shapes[0][-2 if transposed else -1]
    if operation.type == "Einsum" and len(shapes) == 2:
        # Every name is summed over or in the output: one product for each choice of all of them.
        names, _, _ = operation.get_attr("equation").decode().partition("->")
        sizes = dict(zip(names.replace(",", ""), [*shapes[0], *shapes[1]], strict=True))
        return 2.0 * math.prod(sizes.values())
    # A kernel of (height, width, in, out) is used once for each example and place of the output.
    if operation.type == "Conv2D":
        return 2.0 * size(operation.inputs[1]) * math.prod(operation.outputs[0].shape[:3])
    if operation.type == "Conv2DBackpropInput":
        return 2.0 * size(operation.inputs[1]) * math.prod(shapes[2][:3])
    if operation.type == "Conv2DBackpropFilter":
        return 2.0 * size(operation.outputs[0]) * math.prod(shapes[2][:3])
    return 0.0


if __name__ == "__main__":
    main()
