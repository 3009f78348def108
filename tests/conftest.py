"""What more than one test file needs: a classifier that is trained once a worker, and its data."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

if (worker := os.environ.get("PYTEST_XDIST_WORKER")) and hasattr(os, "sched_setaffinity"):
    # Each worker and what it starts keep to their share of the cores, before a library counts them: as many threads
    # in each as there are cores would wait for one another more than they compute.
    cores = sorted(os.sched_getaffinity(0))
    if share := cores[int(worker.removeprefix("gw")) :: int(os.environ["PYTEST_XDIST_WORKER_COUNT"])]:
        os.sched_setaffinity(0, share)

import keras  # noqa: E402 - it counts the cores

import kerasdl  # noqa: E402


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Begin every test, its fixtures included, with the same seeds, so that one that fails fails again."""
    keras.utils.set_random_seed(0)


@pytest.fixture(scope="module", autouse=True)
def set_aside() -> Iterator[None]:
    """After each file, take what outlives it out of the collector's sight: it would be looked at again and again."""
    yield
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def digits_result(tmp_path_factory: pytest.TempPathFactory) -> kerasdl.Result:
    """A small perceptron on the digits, trained for three epochs; its run is saved in `.directory`."""
    from recipes import image_classification

    return image_classification.train(
        "digits",
        architecture="mlp",
        units=(32,),
        epochs=3,
        learning_rate=0.02,
        verbose=0,
        directory=tmp_path_factory.mktemp("runs") / "digits",
    )


@pytest.fixture(scope="session")
def digits_files(digits_result: kerasdl.Result, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The first test digits as files: a PNG in grey, a JPEG in colour and twice as large, a PNG that is not square."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("digits_files")
    images = [Image.fromarray(image) for image in digits_result.dataset.test.inputs[:3, :, :, 0]]
    images[0].save(folder / "a.png")
    images[1].convert("RGB").resize((16, 16)).save(folder / "b.jpg")
    images[2].resize((11, 7)).save(folder / "c.png")
    return sorted(folder.iterdir())
