"""What the recipe for series promises beyond the contract: architectures, ragged exports, baselines, augmentation."""

from __future__ import annotations

import csv
import dataclasses

import numpy as np
import pytest

import kerasdl
from kerasdl import InputError
from kerasdl.data import Split, make_series_augmentation
from kerasdl.series_baselines import nearest_neighbours, warping_distances
from recipes import sequence_classification
from recipes.__main__ import main

RNG = np.random.default_rng(0)
# Waves that rise in front or behind, of different lengths, in units far from 1.
LABELS = ["early", "late"] * 30


def waves(*, shortest: int = 6, longest: int = 14) -> list[np.ndarray]:
    series = []
    for label in LABELS:
        length = int(RNG.integers(shortest, longest + 1))
        rise = np.linspace(1, 0, length) if label == "early" else np.linspace(0, 1, length)
        series.append((500 + 100 * rise[:, np.newaxis] + RNG.normal(0, 5, (length, 2))).astype(np.float32))
    return series


RAGGED = waves()
SMALL = {
    "fcn": {"filters": 4},
    "resnet": {"filters": (4, 4, 4)},
    "inception_time": {"num_layers": 1, "filters": 2},
    "lstm": {"num_layers": 1, "units": 4},
    "lstm_fcn": {"units": 4, "filters": 4},
    "transformer": {"num_layers": 1, "num_heads": 2, "hidden_dim": 8},
}


@pytest.fixture(scope="module")
def learnt() -> kerasdl.Result:
    """A small FCN on series of different lengths."""
    return sequence_classification.train(
        (RAGGED, LABELS), filters=8, epochs=15, learning_rate=0.02, augmentation="standard", verbose=0
    )


@pytest.mark.parametrize("architecture", [name for name in sequence_classification.ARCHITECTURES if name != "fcn"])
def test_every_architecture_takes_series_of_any_length(architecture):
    result = sequence_classification.train(
        (RAGGED, LABELS), architecture=architecture, epochs=1, verbose=0, **SMALL[architecture]
    )
    scores = result.predict([RAGGED[0], RAGGED[1][:1], np.concatenate([RAGGED[2]] * 4)])["scores"]
    np.testing.assert_allclose(scores.sum(axis=-1), 1, rtol=1e-5)


def test_it_learns_and_stands_beside_the_nearest_neighbour(learnt):
    assert learnt.metrics["accuracy"] >= 0.9
    names = list(learnt.baselines)
    assert names == ["1 nearest neighbour, Euclidean", "1 nearest neighbour, DTW within 10%"]
    assert "1 nearest neighbour" in learnt.summary()


def test_how_long_it_trains_follows_from_the_data():
    shortest = sequence_classification.resolve()
    assert shortest["epochs"] is None
    dataset = kerasdl.data.load("gun_point", kind="series")
    found = sequence_classification.lengths(dataset, shortest)
    assert found["batch_size"] == 16
    steps = found["epochs"] * (45 // 16)
    assert sequence_classification.STEPS <= steps <= sequence_classification.STEPS + 2
    assert sequence_classification.lengths(dataset, {**shortest, "epochs": 3, "batch_size": 5}) == {
        "batch_size": 5,
        "epochs": 3,
        "keep": "last",
    }


def test_few_validation_series_do_not_choose_the_epoch(learnt):
    assert learnt.config["keep"] == "last"
    assert learnt.best_epoch == 15
    assert "Epoch kept, the last: 15 of 15" in learnt.summary()
    few = kerasdl.data.load("gun_point", kind="series")
    many = dataclasses.replace(few, validation=few.test)
    none_given = sequence_classification.resolve()
    assert sequence_classification.lengths(many, none_given)["keep"] == "best"
    for keywords in ({"keep": "best"}, {"early_stopping": 3}):
        assert sequence_classification.lengths(few, none_given | keywords)["keep"] == "best"


def test_the_export_takes_raw_series_of_any_length(learnt, tmp_path):
    exported = kerasdl.export.load_exported(learnt.export(tmp_path / "model"))
    assert exported.description["inputs"] == "series"
    assert exported.description["input_shape"] == [None, 2]
    raw = [RAGGED[0], RAGGED[1][:1], np.concatenate([RAGGED[2]] * 5)]
    live = learnt.predict(raw)
    np.testing.assert_allclose(exported.predict(raw)["scores"], live["scores"], atol=1e-5)
    assert exported.predict(raw)["label"].tolist() == live["label"].tolist()
    # One by one, as one array padded by NaN, and as lists: the same.
    padded = np.full((3, 80, 2), np.nan)
    for row, one in zip(padded, raw, strict=True):
        row[: len(one)] = one
    for one in (padded, [one.tolist() for one in raw]):
        np.testing.assert_allclose(exported.predict(one)["scores"], live["scores"], atol=1e-5)
    np.testing.assert_allclose(learnt.predict(raw[2])["scores"], live["scores"][2:], atol=1e-5)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (np.zeros((4, 9, 3)), ["raw, index 0", "3 channels", "of 2 channels"]),
        (np.full((9, 2), np.inf), ["raw, index 0", "inf at step 1"]),
        ([[1.0, 2.0], [np.nan, 2.0], [1.0, 2.0]], ["missing value at step 2, channel 1"]),
        ([], ["no series"]),
        ("walk", ["'walk'"]),
    ],
)
def test_what_is_no_series_of_the_model_is_refused(learnt, raw, words):
    with pytest.raises(InputError) as caught:
        learnt.predict(raw)
    for word in words:
        assert word in str(caught.value)


def test_a_file_gets_a_line_for_each_of_its_series(learnt, tmp_path, capsys):
    learnt.export(tmp_path / "model")
    with open(tmp_path / "new.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "time", "x", "y"])
        writer.writerows([index, step, *RAGGED[index][step]] for index in (0, 1) for step in range(len(RAGGED[index])))
    assert main(["predict", str(tmp_path / "model"), str(tmp_path / "new.csv"), "--top", "1"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{tmp_path / 'new.csv'}, series 1: early 0.")
    assert second.startswith(f"{tmp_path / 'new.csv'}, series 2: late 0.")


def test_a_model_that_fills_gaps_fills_them_in_what_it_answers_too():
    gap = [one.copy() for one in RAGGED]
    gap[5][2, 0] = np.nan
    with pytest.raises(InputError, match="missing value at step 3, channel 1"):
        sequence_classification.train((gap, LABELS), epochs=1, verbose=0)
    result = sequence_classification.train((gap, LABELS), filters=4, epochs=1, missing="interpolate", verbose=0)
    assert np.isfinite(result.predict(gap[5])["scores"]).all()


def test_series_with_several_labels():
    rows = np.array([[1, 0, 1], [0, 1, 1], [1, 0, 0], [0, 1, 0]] * 15)
    result = sequence_classification.train(
        (np.stack([one[:6] for one in RAGGED]), rows), filters=4, epochs=1, verbose=0
    )
    assert {"subset_accuracy", "macro_f1"} <= set(result.metrics)
    assert {"subset_accuracy", "macro_f1", "micro_f1"} == set(*[set(each) for each in result.baselines.values()][:1])
    assert result.predict(RAGGED[0][:6])["present"].shape == (1, 3)


def test_the_nearest_neighbours_are_those_of_the_bake_off():
    # Published for the archive's own splits: 0.9133 and 0.9553.
    for name, accuracy in (("gun_point", 0.9133), ("italy_power_demand", 0.9553)):
        found = nearest_neighbours(kerasdl.data.load(name, kind="series"), most_steps=8_000_000)
        assert round(found["1 nearest neighbour, Euclidean"]["accuracy"], 4) == accuracy


def test_much_data_is_drawn_from_and_this_is_said():
    found = nearest_neighbours(kerasdl.data.load("gun_point", kind="series"), most_steps=100_000)
    assert [name.split(", ")[2:] for name in found] == [
        ["13 of 50 known series", "50 of 150 test series"],
        ["1 of 50 known series", "20 of 150 test series"],
    ] or all("known series" in name and "test series" in name for name in found)


def test_warping_finds_the_cheapest_path_within_its_window():
    def plain(one, other, window):
        cost = np.full((len(one) + 1, len(other) + 1), np.inf)
        cost[0, 0] = 0
        for i in range(1, len(one) + 1):
            for j in range(max(1, i - window), min(len(other), i + window) + 1):
                least = min(cost[i - 1, j], cost[i, j - 1], cost[i - 1, j - 1])
                cost[i, j] = least + ((one[i - 1] - other[j - 1]) ** 2).sum()
        return cost[-1, -1]

    known, asked = RNG.normal(size=(3, 7, 2)), RNG.normal(size=(2, 7, 2))
    expected = [[plain(one, other, 2) for other in known] for one in asked]
    np.testing.assert_allclose(warping_distances(known, asked, window=2), expected)


@pytest.mark.parametrize("policy", ["jitter", "scale", "warp", "crop", "standard"])
def test_augmentation_changes_values_and_never_padding(policy):
    series = np.full((4, 12, 2), np.nan, np.float32)
    for row, length in zip(series, (12, 5, 1, 7), strict=True):
        row[:length] = RNG.normal(size=(length, 2))
    augment = make_series_augmentation(policy, Split(RNG.normal(size=(9, 12, 2)), np.zeros(9)))
    found, targets = augment(np.random.default_rng(0), series.copy(), np.arange(4))
    np.testing.assert_array_equal(np.isnan(found), np.isnan(series))
    assert found.dtype == np.float32
    assert targets.tolist() == [0, 1, 2, 3]
    assert not np.allclose(found[0], series[0])
    again, _ = augment(np.random.default_rng(0), series.copy(), np.arange(4))
    np.testing.assert_array_equal(found, again)


@pytest.mark.parametrize(
    ("keywords", "words"),
    [
        ({"architecture": "fnc"}, ["'fnc'", "'fcn'"]),
        ({"units": 3}, ["units", "fcn has only filters"]),
        ({"filters": (1, 2)}, ["filters: received 2 numbers", "3 numbers"]),
        ({"architecture": "inception_time", "filters": (1, 2)}, ["filters: received (1, 2)", "filters=32"]),
        ({"architecture": "transformer", "num_heads": 3}, ["hidden_dim: received 64", "hidden_dim=66"]),
        ({"augmentation": "flip"}, ["augmentation: received 'flip'", "jitter"]),
        ({"keep": "last", "early_stopping": 3}, ["early_stopping: received 3", "keep='best'"]),
        ({"missing": "drop"}, ["missing: received 'drop'"]),
    ],
)
def test_arguments_that_cannot_work_are_refused(keywords, words):
    with pytest.raises(InputError) as caught:
        sequence_classification.resolve(**keywords)
    for word in words:
        assert word in str(caught.value)
