"""Fashion-MNIST through the real builder of TensorFlow Datasets, from files that lie in its manual folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kerasdl.data import Dataset, load
from kerasdl.data.samples import scenes
from tests import fashion_mnist


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory) -> Path:
    if not fashion_mnist.available():
        pytest.skip("the Debian package dataset-fashion-mnist is not installed")
    folder = tmp_path_factory.mktemp("tfds")
    fashion_mnist.restore(folder)
    return folder


@pytest.fixture(scope="session")
def dataset(data_dir) -> Dataset:
    return load("fashion_mnist", data_dir=data_dir)


def test_official_splits_and_names(dataset):
    assert dataset.counts == {"train": 54000, "validation": 6000, "test": 10000}
    assert dataset.input_shape == (28, 28, 1)
    assert dataset.class_names[9] == "Ankle boot"
    assert dataset.class_names[0] == "T-shirt/top"
    assert (dataset.name, dataset.source) == ("fashion_mnist", "fashion_mnist")


def test_splits_are_stratified(dataset):
    assert np.bincount(dataset.train.targets).tolist() == [5400] * 10
    assert np.bincount(dataset.validation.targets).tolist() == [600] * 10


def test_prepared_data_is_read_without_its_downloads(dataset, data_dir):
    for file in (data_dir / "downloads" / "manual").iterdir():
        file.unlink()
    assert load("tfds:fashion_mnist/3.0.1", data_dir=data_dir).fingerprint == dataset.fingerprint


def test_garment_scenes_keep_the_splits_apart(dataset, data_dir, monkeypatch):
    monkeypatch.setattr(scenes, "COUNTS", {"train": 8, "validation": 8, "test": 8})
    found = load("garment_scenes", kind="detection", data_dir=data_dir)
    assert found.counts == {"train": 32, "validation": 8, "test": 8}
    assert set(found.class_names) <= set(dataset.class_names)
    made = scenes.make_scenes(
        np.minimum(dataset.test.inputs[..., 0] / 64.0, 1.0),
        np.array(dataset.class_names)[dataset.test.targets],
        8,
        seed=2,
        shades=dataset.test.inputs[..., 0] / 255.0,
    )
    np.testing.assert_array_equal(found.test.inputs, made[0])
