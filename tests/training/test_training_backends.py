"""Training on the other backends, each in a process of its own: the backend is chosen when Keras is imported."""

from __future__ import annotations

from pathlib import Path

import pytest
from other_backend import needed, run_tests

TESTS = Path(__file__).with_name("test_training_resume.py")


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_exact_resume(backend: str) -> None:
    needed(backend)
    assert "2 passed" in run_tests(backend, TESTS, chosen="stopped_by_a_signal")


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_a_step_is_not_waited_for(backend: str) -> None:
    needed(backend)
    assert "1 passed" in run_tests(backend, TESTS.with_name("test_training_steps.py"), chosen="told_of_each_step")
