"""Leakage: planted copies are found in images, texts and series, and what is naturally alike is left alone."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

import kerasdl
from kerasdl.data import Dataset, Split, load
from kerasdl.diagnostics import diagnose_leakage, find_leaks
from kerasdl.duplicates import find_duplicates
from kerasdl.errors import InputError
from kerasdl.signatures import image_signatures

CHANGES: dict[str, Any] = {
    "as they are": lambda images: images,
    "mirrored": lambda images: images[:, :, ::-1],
    "darker": lambda images: (0.6 * images).astype(np.uint8),
    "brighter": lambda images: (40 + 0.8 * images).astype(np.uint8),
}


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load("digits")


def with_copies(dataset: Dataset, share: float, change: Any = CHANGES["as they are"]) -> Dataset:
    """Return the dataset with a part of its test examples replaced by training examples."""
    count = int(share * len(dataset.test))
    chosen = np.random.default_rng(0).permutation(len(dataset.train))[:count]
    inputs, targets = dataset.test.inputs.copy(), dataset.test.targets.copy()
    inputs[:count], targets[:count] = change(dataset.train.inputs[chosen]), dataset.train.targets[chosen]
    return dataclasses.replace(dataset, test=Split(inputs, targets))


def leaks_of(dataset: Dataset) -> Any:
    return find_leaks({name: split.inputs for name, split in dataset.splits.items()}, kind=dataset.kind)


def right_of(dataset: Dataset, share: float = 0.95) -> Any:
    return lambda name: np.arange(len(dataset.splits[name])) % 100 < 100 * share


@pytest.mark.parametrize("change", CHANGES)
def test_copied_images(digits: Dataset, change: str) -> None:
    planted = with_copies(digits, 0.1, CHANGES[change])
    found = find_duplicates(planted.train.inputs, planted.test.inputs, kind="images")
    assert np.mean(np.isin(np.arange(36), found.indices)) > 0.9
    assert (found.indices < 36).all()
    assert found.exact.any() == (change == "as they are")


@pytest.mark.parametrize("name", ["digits", "gun_point", "italy_power_demand", "basic_motions"])
def test_what_is_naturally_alike_is_no_leak(name: str) -> None:
    dataset = load(name, kind="images" if name == "digits" else "series")
    assert diagnose_leakage(leaks_of(dataset), right=right_of(dataset)) is None


def test_the_finding(digits: Dataset) -> None:
    planted = with_copies(digits, 0.1)
    right = right_of(planted, 0.8)
    finding = diagnose_leakage(leaks_of(planted), right=right, config={"deduplicate": False})
    assert finding is not None
    assert finding.evidence["test_leaked"] == 36
    assert finding.evidence["test_share"] == pytest.approx(0.1)
    assert finding.evidence["test_accuracy_without"] == pytest.approx(right("test")[36:].mean())
    assert finding.remedy == {"deduplicate": True}
    pairs = finding.details["test in train"]["pairs"]
    assert all((planted.test.inputs[one] == planted.train.inputs[other]).all() for one, other in pairs)
    # Without the keyword nothing is promised; and a few copies change nothing beyond chance.
    assert diagnose_leakage(leaks_of(planted), right=right, config={}).remedy == {}  # type: ignore[union-attr]
    assert diagnose_leakage(leaks_of(with_copies(digits, 0.01)), right=right) is None


def test_the_test_split_is_not_asked_where_nothing_leaked(digits: Dataset) -> None:
    def right(name: str) -> np.ndarray:
        raise AssertionError(f"asked for {name}")

    assert diagnose_leakage(leaks_of(digits), right=right) is None


def test_texts() -> None:
    words = np.array([f"word{index}" for index in range(500)])
    generator = np.random.default_rng(0)
    texts = np.array([" ".join(generator.choice(words, 20)) for _ in range(300)], dtype=object)
    known, asked = texts[:200], texts[200:].copy()
    asked[0] = known[3].upper() + "!"
    asked[1] = known[7].replace(known[7].split()[4], "another", 1)
    found = find_duplicates(known, asked, kind="text")
    assert list(zip(found.asked, found.known, found.exact, strict=True)) == [(0, 3, True), (1, 7, False)]
    # Ten templates with one word changed: each has many that are as near, so that none is a copy of another.
    templates = [texts[index % 10].rsplit(" ", 1)[0] + f" number{index}" for index in range(300)]
    found = find_duplicates(np.array(templates[:200], object), np.array(templates[200:], object), kind="text")
    assert len(found.indices) == 0


@pytest.mark.parametrize("ragged", [False, True])
def test_series(ragged: bool) -> None:
    generator = np.random.default_rng(0)
    lengths = generator.integers(40, 60, 120) if ragged else np.full(120, 50)
    series = np.empty(120, object)
    series[:] = [np.cumsum(generator.normal(size=(length, 2)), axis=0).astype(np.float32) for length in lengths]
    known, asked = series[:80], series[80:].copy()
    asked[0], asked[1] = known[5], 3 * known[9] + 1
    if not ragged:
        known, asked = np.stack(list(known)), np.stack(list(asked))
    found = find_duplicates(known, asked, kind="series")
    assert list(zip(found.asked, found.known, found.exact, strict=True)) == [(0, 5, True), (1, 9, False)]


def test_constant_images_and_few_examples() -> None:
    flat = np.full((40, 8, 8, 1), 7, np.uint8) + np.arange(40, dtype=np.uint8)[:, None, None, None]
    assert len(find_duplicates(flat, 100 + flat, kind="images").indices) == 0
    assert list(find_duplicates(flat[:5], flat[3:8], kind="images").indices) == [0, 1]
    assert find_duplicates(flat[:5], flat[3:8], kind="images").compared == 0


def test_signatures_of_a_mirror_image_differ_in_sign_only(digits: Dataset) -> None:
    for images in (digits.train.inputs[:20], digits.train.inputs[:20, :, :7], np.repeat(digits.train.inputs, 3, 2)[:9]):
        even, odd = image_signatures(images)
        mirrored_even, mirrored_odd = image_signatures(images[:, :, ::-1])
        np.testing.assert_allclose(even, mirrored_even, atol=1e-6)
        np.testing.assert_allclose(odd, -mirrored_odd, atol=1e-6)
        np.testing.assert_allclose((even**2).sum(axis=1) + (odd**2).sum(axis=1), 1, rtol=1e-5)


def test_a_sample_of_many(digits: Dataset) -> None:
    planted = with_copies(digits, 0.5, CHANGES["mirrored"])
    found = find_duplicates(planted.train.inputs, planted.test.inputs, kind="images", most_pairs=100 * 1293)
    assert found.compared == 100
    assert 40 <= len(found.indices) <= 60
    leaks = {("train", "test"): found}
    finding = diagnose_leakage(leaks, right=right_of(planted, 0.8))
    assert finding is not None
    assert "sample" in finding.advice


def test_deduplicated_data(digits: Dataset) -> None:
    planted = with_copies(digits, 0.1, CHANGES["mirrored"])
    clean = load(planted, deduplicate=True)
    assert len(planted.train) - len(clean.train) in range(34, 40)
    assert clean.test.inputs is planted.test.inputs
    assert len(leaks_of(clean)["train", "test"].indices) == 0
    assert load(clean, deduplicate=True).fingerprint == clean.fingerprint
    assert load(digits, deduplicate=True).fingerprint == digits.fingerprint


def test_deduplication_that_leaves_nothing() -> None:
    images = np.random.default_rng(0).integers(0, 256, (60, 8, 8, 1)).astype(np.uint8)
    labels = np.arange(60) // 30
    part = {
        "train": (images, labels),
        "validation": (images[:8] // 2, labels[22:30]),
        "test": (images[30:], labels[30:]),
    }
    with pytest.raises(InputError, match="deduplicate"):
        load(part, deduplicate=True)


def test_train_finds_the_leak_and_its_remedy_mends_it(digits: Dataset, tmp_path: Any) -> None:
    from recipes import image_classification

    planted = with_copies(digits, 0.3)
    options: dict[str, Any] = {"architecture": "mlp", "units": (32,), "epochs": 2, "learning_rate": 0.02, "verbose": 0}
    found = {finding.name: finding for finding in image_classification.train(planted, **options).diagnosis}
    mended = image_classification.train(
        planted, **options, **found["leakage"].remedy, directory=tmp_path / "run", calibrate=True
    )
    assert "leakage" not in {finding.name for finding in mended.diagnosis}
    assert mended.config["deduplicate"] is True
    assert len(mended.dataset.train) == len(digits.train) - 108
    loaded = kerasdl.Result.load(tmp_path / "run", data=planted)
    assert loaded.evaluate() == mended.metrics
    assert loaded.diagnosis == mended.diagnosis
