"""Exact resume on the other backends, each in a process of its own: the backend is chosen when Keras is imported."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).with_name("test_training_resume.py")


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_exact_resume(backend: str) -> None:
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    done = subprocess.run(
        # Warnings of the backends' own are not ours to mend.
        [sys.executable, "-m", "pytest", "-q", "-n", "0", "-W", "default", "-k", "stopped_by_a_signal", str(TESTS)],
        env={**os.environ, "KERAS_BACKEND": backend},
        cwd=TESTS.parent.parent.parent,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert "2 passed" in done.stdout
