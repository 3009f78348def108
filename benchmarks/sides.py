"""Training steps of several libraries side by side: a process for each, in turns, medians count.

Here belongs what `transformer_speed.py`, `lstm.py`, `training_speed.py`, `inference_speed.py`, `time_to_accuracy.py`,
`gpu_speed.py` and `search_gpu.py` share.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

THREADS = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that `take_turns` reads."""
    parser.add_argument("--rounds", type=int, default=7, help="turns of each way")
    parser.add_argument("--steps", type=int, default=3, help="steps a turn")
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall", help="what counts as time")
    parser.add_argument("--threads", type=int, help="of each side; by default what each library takes")


def in_a_process(script: str, *arguments: str, **variables: str) -> Any:
    """Return what a script prints on its last line, JSON, run in a process of its own with further variables.

    Raises:
        RuntimeError: With the end of what it printed on standard error, if it fails.
    """
    done = subprocess.run(
        [sys.executable, script, *arguments], capture_output=True, text=True, env=os.environ | variables
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)}:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def reply(measure: Callable[..., Any], *arguments: Any) -> None:
    """Be the process of `in_a_process`: print what a function returns as JSON, and all that it prints elsewhere."""
    with contextlib.redirect_stdout(sys.stderr):
        found = measure(*arguments)
    print(json.dumps(found))


def serve(make: Callable[[str], tuple[Callable[[], Any], int]], answers: IO[str]) -> None:
    """Be one side: for each line, the name of a way, train some steps in it and answer with the seconds of one.

    Args:
        make: From the name of a way to a function that trains one step, and the number of parameters.
        answers: Where a line of JSON goes for each line of the standard input.
    """
    made: dict[str, Callable[[], Any]] = {}
    for line in sys.stdin:
        request = json.loads(line)
        way = request["way"]
        answer: dict[str, Any] = {}
        try:
            if way not in made:
                began = time.perf_counter()
                step, answer["parameters"] = make(way)
                step()
                made[way] = step
                answer["start"] = time.perf_counter() - began
            clock = time.process_time if request["clock"] == "cpu" else time.perf_counter
            began = clock()
            for _ in range(request["steps"]):
                made[way]()
            answer["seconds"] = (clock() - began) / request["steps"]
        except Exception as error:  # such as no compiler for torch.compile: told in the table
            answer["error"] = f"{type(error).__name__}: {str(error).strip().splitlines()[0][:90]}"
        print(json.dumps(answer), file=answers, flush=True)


class Side:
    """One library in a process of its own, which runs `script --serve name --models model`."""

    def __init__(self, script: str, name: str, model: str, python: str, threads: int | None):
        path = {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])}
        limits = {variable: str(threads) for variable in THREADS} if threads else {}
        if threads == 1:
            # XLA takes all cores whatever TensorFlow is told
            limits["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_cpu_multi_thread_eigen=false"
        self.process = subprocess.Popen(
            [python, script, "--serve", name, "--models", model],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=os.environ | path | limits,
        )

    def run(self, **request: Any) -> dict[str, Any]:
        """Train some steps and return what the process answers."""
        print(json.dumps(request), file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline() if self.process.stdout else ""
        return json.loads(answer) if answer else {"error": "the process ended"}

    def close(self) -> None:
        """Let the process end."""
        if self.process.stdin:
            self.process.stdin.close()
        self.process.wait()


def take_turns(
    script: str, model: str, pythons: Mapping[str, str], ways: Sequence[str], options: argparse.Namespace
) -> tuple[dict[tuple[str, str], list[float]], dict[tuple[str, str], str], dict[str, int]]:
    """Measure one model on all sides.

    Args:
        script: The file that serves.
        model: Name of the model.
        pythons: Interpreter of each side.
        ways: Names of the ways that each side trains in.
        options: Parsed arguments of `add_arguments`.

    Returns:
        Seconds of a step in each turn and what failed, by (side, way), and the parameters of each side.

    Raises:
        RuntimeError: If the models have different numbers of parameters.
    """
    processes = {side: Side(script, side, model, python, options.threads) for side, python in pythons.items()}
    seconds: dict[tuple[str, str], list[float]] = {}
    faults: dict[tuple[str, str], str] = {}
    parameters: dict[str, int] = {}
    try:
        for turn in range(options.rounds + 1):
            for way in ways:
                for side, process in processes.items():
                    if (side, way) in faults:
                        continue
                    answer = process.run(way=way, steps=options.steps, clock=options.clock)
                    if "error" in answer:
                        faults[side, way] = answer["error"]
                    elif turn:  # the first turn only compiles and warms up
                        seconds.setdefault((side, way), []).append(answer["seconds"])
                    parameters |= {side: answer["parameters"]} if "parameters" in answer else {}
            if len(set(parameters.values())) > 1:
                raise RuntimeError(f"{model}: the models are not equal, parameters are {parameters}")
    finally:
        for process in processes.values():
            process.close()
    return seconds, faults, parameters


@contextlib.contextmanager
def watched(found: list[tuple[float, float]]) -> Iterator[None]:
    """Collect a GPU's utilisation in percent and memory in MiB meanwhile; nothing where there is no nvidia-smi."""
    command = ["nvidia-smi", "--query-gpu=utilization.gpu,memory.used", "--format=csv,noheader,nounits", "-lms", "200"]
    try:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    except FileNotFoundError:
        yield
        return

    def read() -> None:
        for line in process.stdout or ():
            share, used = line.split(",")
            found.append((float(share), float(used)))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield
    finally:
        process.kill()
        reader.join()
