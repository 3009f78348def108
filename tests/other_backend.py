"""Running a part of the tests in a process of another backend than this one's."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import keras
import pytest

ROOT = Path(__file__).parents[1]


def needed(backend: str) -> None:
    """Skip the test where the backend is not installed, or is the one of this process."""
    if backend == keras.backend.backend():
        pytest.skip(f"{backend} is the backend of this process")
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")


def run(backend: str, *command: str | Path) -> str:
    """Run Python with a command on a backend, without a GPU, and return what it printed; fail where it fails."""
    environment = {
        **os.environ,
        "KERAS_BACKEND": backend,
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")]),
        "CUDA_VISIBLE_DEVICES": "",
        # Whether numbers are right is asked, not how fast they come: most of JAX's time would be its compiler's.
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
    }
    done = subprocess.run([sys.executable, *command], env=environment, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def run_tests(backend: str, *files: str | Path, chosen: str = "") -> str:
    """Run the tests of some files, or those that `chosen` names, and return pytest's last words."""
    # Warnings of the backends' own are not ours to mend.
    return run(backend, "-m", "pytest", "-q", "-n", "0", "-W", "default", *files, "-k", chosen)
