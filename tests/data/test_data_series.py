"""Series of every source, of one length or of several, become the same splits; samples are what their archives have."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from kerasdl.data import channel_statistics, load, load_split, read_unlabelled
from kerasdl.data.series_examples import SeriesExamples

RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 5, 2)).astype(np.float32)
Y = np.arange(20) % 2
RAGGED = [RNG.normal(size=(3 + index % 4, 2)).astype(np.float32) for index in range(20)]


def ts(series: list[np.ndarray], labels: np.ndarray, *, header: str = "") -> str:
    lines = [
        ":".join([*(",".join(map(repr, channel.tolist())) for channel in one.T), f"c{label}"])
        for one, label in zip(series, labels, strict=True)
    ]
    return "\n".join(["# a comment", "@problemName x", header, "@classLabel true c0 c1", "@data", *lines, ""])


def everything(dataset) -> tuple[list[np.ndarray], list[str]]:
    splits = dataset.splits.values()
    series = [one for split in splits for one in split.inputs]
    return series, [dataset.class_names[target] for split in splits for target in split.targets]


@pytest.mark.parametrize(
    ("name", "counts", "shape", "classes"),
    [
        ("gun_point", [45, 5, 150], (150, 1), 2),
        ("italy_power_demand", [60, 7, 1029], (24, 1), 2),
        ("basic_motions", [36, 4, 40], (100, 6), 4),
    ],
)
def test_samples_keep_the_splits_of_their_archives(name, counts, shape, classes):
    dataset = load(name, kind="series")
    assert list(dataset.counts.values()) == counts
    assert (dataset.input_shape, dataset.num_classes, dataset.source) == (shape, classes, name)
    assert dataset.train.inputs.dtype == np.float32
    if name == "gun_point":
        # The first value of the archive's test file.
        assert dataset.test.inputs[0, 0, 0] == np.float32(-1.1250133)
        assert dataset.test.targets[0] == 0


@pytest.mark.parametrize("given", ["folder", "train", "test"])
def test_a_pair_of_files_is_both_splits(given, tmp_path):
    (tmp_path / "Toy_TRAIN.ts").write_text(ts(list(X[:12]), Y[:12]))
    (tmp_path / "Toy_TEST.ts").write_text(ts(list(X[12:]), Y[12:]))
    path = {"folder": tmp_path, "train": tmp_path / "Toy_TRAIN.ts", "test": tmp_path / "Toy_TEST.ts"}[given]
    dataset = load(path, kind="series")
    assert dataset.counts == {"train": 10, "validation": 2, "test": 8}
    np.testing.assert_array_equal(dataset.test.inputs, X[12:])
    assert dataset.class_names == ("c0", "c1")
    assert given == "folder" or dataset.name == "Toy"


def test_a_single_file_is_split(tmp_path):
    (tmp_path / "Toy_TEST.ts").write_text(ts(list(X), Y))
    assert sum(load(tmp_path / "Toy_TEST.ts", kind="series").counts.values()) == 20


def sources(folder: Path):
    long = ["id,time,a,b,label"]
    for index, (one, label) in enumerate(zip(RAGGED, Y, strict=True)):
        # Backwards: the time says what comes first.
        rows = [f"s{index},{step},{a!r},{b!r},c{label}" for step, (a, b) in enumerate(one.tolist())]
        long += reversed(rows)
    (folder / "long.csv").write_text("\n".join(long))
    (folder / "ragged.ts").write_text(ts(RAGGED, Y))
    padded = np.full((20, 9, 2), np.nan, np.float32)
    for row, one in zip(padded, RAGGED, strict=True):
        row[: len(one)] = one
    labels = [f"c{label}" for label in Y]
    np.savez(folder / "ragged.npz", x=padded, y=labels)
    return {
        "list": (RAGGED, labels),
        "lists": ([one.tolist() for one in RAGGED], labels),
        "NaN at the end": (padded, labels),
        ".npz": folder / "ragged.npz",
        ".ts": folder / "ragged.ts",
        "a row for each step": folder / "long.csv",
        "tf.data": tf.data.Dataset.from_generator(
            lambda: zip(RAGGED, labels, strict=True),
            output_signature=(tf.TensorSpec((None, 2), tf.float32), tf.TensorSpec((), tf.string)),
        ),
    }


def test_every_source_gives_the_same_series_of_different_lengths(tmp_path):
    expected = None
    for name, data in sources(tmp_path).items():
        dataset = load(data, kind="series")
        expected = expected or dataset
        assert dataset.input_shape == (None, 2), name
        assert dataset.fingerprint == expected.fingerprint, name
        assert dataset.train.inputs.dtype == object
    assert expected.describe().startswith("arrays: 20 series of 3 to 6 steps (median 4), 2 channels; 2 classes: c0, c1")


def test_the_fingerprint_sees_every_value_and_where_series_end():
    def fingerprint(series):
        return load({"train": (series, Y), "validation": (series, Y), "test": (series, Y)}, kind="series").fingerprint

    changed = [one.copy() for one in RAGGED]
    changed[7][1, 1] += 1e-3
    moved = [*RAGGED]
    moved[0], moved[1] = RAGGED[0][:-1], np.concatenate([RAGGED[0][-1:], RAGGED[1]])
    assert len({fingerprint(series) for series in (RAGGED, changed, moved)}) == 3


def test_rows_of_a_table_with_and_without_a_header(tmp_path):
    rows = [[f"{label}", *(repr(value) for value in one[:, 0].tolist())] for one, label in zip(X, Y, strict=True)]
    (tmp_path / "a.csv").write_text("class,a,b,c,d,e\n" + "\n".join(map(",".join, rows)))
    # As the UCR archive has them.
    (tmp_path / "Toy_TRAIN.tsv").write_text("\n".join(map("\t".join, rows)))
    ours, theirs = load(tmp_path / "a.csv", kind="series"), load(tmp_path / "Toy_TRAIN.tsv", kind="series")
    assert ours.fingerprint == theirs.fingerprint
    assert ours.input_shape == (5, 1)
    # The first row ends early.
    (tmp_path / "b.tsv").write_text("\n".join(["0\t1\t2", *map("\t".join, rows)]))
    lengths = [len(one) for one in everything(load(tmp_path / "b.tsv", kind="series"))[0]]
    assert sorted(lengths) == [2, *[5] * 20]


def test_shorter_rows_end_in_empty_cells(tmp_path):
    rows = [f"{index},x{index % 2},1,{index},{'' if index % 3 else 4.5}" for index in range(20)]
    (tmp_path / "a.csv").write_text("id,label,a,b,c\n" + "\n".join(rows))
    dataset = load(tmp_path / "a.csv", kind="series")
    assert dataset.input_shape == (None, 1)
    assert sorted({len(one) for one in everything(dataset)[0]}) == [2, 3]


def test_gaps_are_filled_along_time_on_request():
    gaps = X.astype(np.float64)
    gaps[3, 1:3, 0] = np.nan
    gaps[4, 0, 1] = np.nan
    series, _ = everything(load((gaps, Y), kind="series", missing="interpolate"))
    found = {one[0, 0].item(): one for one in series}
    np.testing.assert_allclose(
        found[X[3, 0, 0].item()][:, 0], np.interp(range(5), [0, 3, 4], X[3, [0, 3, 4], 0]), rtol=1e-6
    )
    assert found[X[4, 0, 0].item()][0, 1] == X[4, 1, 1]


def test_columns_may_be_named(tmp_path):
    rows = [f"u{index},{step},{index + step},k{index % 2}" for index in range(20) for step in range(3)]
    (tmp_path / "a.csv").write_text("unit,hour,load,kind\n" + "\n".join(rows))
    columns = {"label_column": "kind", "id_column": "unit", "time_column": "hour"}
    dataset = load(tmp_path / "a.csv", kind="series", **columns)
    assert dataset.input_shape == (3, 1)
    assert dataset.class_names == ("k0", "k1")


def test_a_file_of_another_length_is_no_test_of_a_model_of_one_length(tmp_path):
    (tmp_path / "a.ts").write_text(ts(RAGGED, Y))
    split = load_split(tmp_path / "a.ts", kind="series", class_names=("c0", "c1"), input_shape=(None, 2))
    assert len(split) == 20
    with pytest.raises(ValueError, match="index 0: received 3 time steps of 2 channels; expected 5 time steps"):
        load_split(tmp_path / "a.ts", kind="series", class_names=("c0", "c1"), input_shape=(5, 2))


def test_what_is_to_be_classified_needs_no_labels(tmp_path):
    (tmp_path / "a.csv").write_text("a,b\n1,2\n3,4\n")
    (tmp_path / "a.ts").write_text("@classLabel false\n@data\n1,2:3,4\n")
    np.savez(tmp_path / "a.npz", x=X)
    assert [one.tolist() for one in read_unlabelled(tmp_path / "a.csv")] == [[[1], [2]], [[3], [4]]]
    assert [one.tolist() for one in read_unlabelled(tmp_path / "a.ts")] == [[[1, 3], [2, 4]]]
    np.testing.assert_array_equal(read_unlabelled(tmp_path / "a.npz"), X)


def test_batches_are_padded_by_nan_on_the_right():
    examples = SeriesExamples(load((RAGGED, Y), kind="series").train)
    series, _ = examples.batch(np.arange(4))
    assert series.shape == (4, 16, 2)
    assert (np.isnan(series).all(axis=2).sum(axis=1) == 16 - examples.lengths[:4]).all()
    assert not np.isnan(series[0, : examples.lengths[0]]).any()


def test_statistics_of_channels_are_of_the_training_split_and_never_zero():
    constant = np.concatenate([X, np.full((20, 5, 1), 7.1)], axis=2)
    dataset = load((constant, Y), kind="series")
    mean, scale = channel_statistics(dataset.train)
    np.testing.assert_allclose(mean, dataset.train.inputs.mean(axis=(0, 1)), rtol=1e-5)
    np.testing.assert_allclose(scale[:2], dataset.train.inputs[..., :2].std(axis=(0, 1)), rtol=1e-5)
    assert scale[2] == 1
