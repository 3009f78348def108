"""Texts: every source gives the same dataset; object arrays of str; fingerprints; measuring on other data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from kerasdl.data import class_weights, load, load_again, load_split
from kerasdl.data.dataset import Dataset
from kerasdl.errors import InputError

TEXTS = [f"text {index}, né 🙂" + " more" * (index % 7) for index in range(40)]
NAMES = ["cat", "dog"] * 20


def found(dataset: Dataset) -> list[tuple[str, str]]:
    """Return all texts with the name of their class, sorted."""
    return sorted(
        (text, dataset.class_names[target])
        for split in dataset.splits.values()
        for text, target in zip(split.inputs.tolist(), split.targets.tolist(), strict=True)
    )


def write_table(path: Path, rows: list[str], *, encoding: str = "utf-8") -> Path:
    path.write_bytes("\n".join([*rows, ""]).encode(encoding))
    return path


def write_folder(root: Path, texts: list[str], names: list[str]) -> Path:
    for index, (text, name) in enumerate(zip(texts, names, strict=True)):
        (root / name).mkdir(parents=True, exist_ok=True)
        (root / name / f"{index:03}.txt").write_text(text, encoding="utf-8")
    return root


@pytest.fixture(scope="module")
def plain() -> Dataset:
    return load((TEXTS, NAMES), kind="text")


def test_lists(plain):
    assert (plain.kind, plain.name, plain.source, plain.input_shape) == ("text", "arrays", "arrays", ())
    assert plain.class_names == ("cat", "dog")
    assert found(plain) == sorted(zip(TEXTS, NAMES, strict=True))
    assert plain.counts == {"train": 28, "validation": 4, "test": 8}
    for split in plain.splits.values():
        assert split.inputs.dtype == object
        assert split.inputs.shape == (len(split),)
        assert {type(text) for text in split.inputs} == {str}
    inputs, targets = plain.train.batch(np.array([3, 1]))
    assert (inputs == plain.train.inputs[[3, 1]]).all()
    assert targets.tolist() == plain.train.targets[[3, 1]].tolist()


@pytest.mark.parametrize(
    "texts",
    [
        tuple(TEXTS),
        np.array(TEXTS),
        np.array(TEXTS, object),
        np.array([text.encode() for text in TEXTS]),
        [text.encode() for text in TEXTS],
    ],
    ids=["tuple", "array of U", "array of objects", "array of S", "bytes"],
)
def test_texts_of_any_type_are_the_same(plain, texts):
    assert load((texts, np.array(NAMES)), kind="text").fingerprint == plain.fingerprint


@pytest.mark.parametrize("batched", [False, True])
@pytest.mark.parametrize("labels", ["strings", "one-hot"])
def test_streams(plain, batched, labels):
    targets = np.eye(2, dtype=int)[[NAMES.index(name) for name in NAMES]] if labels == "one-hot" else NAMES
    stream = tf.data.Dataset.from_tensor_slices((TEXTS, targets))
    dataset = load(stream.batch(7) if batched else stream, kind="text")
    assert dataset.source == "tf.data"
    for name, split in dataset.splits.items():
        assert split.inputs.tolist() == plain.splits[name].inputs.tolist()
        assert split.targets.tolist() == plain.splits[name].targets.tolist()


def test_splits_of_pairs_mappings_and_npz(tmp_path):
    pairs = (TEXTS[:30], NAMES[:30]), (TEXTS[30:], NAMES[30:])
    expected = load(pairs, kind="text")
    assert expected.test.inputs.tolist() == TEXTS[30:]
    assert expected.counts == {"train": 27, "validation": 3, "test": 10}
    stream = tf.data.Dataset.from_tensor_slices(pairs[1])
    assert load({"train": pairs[0], "test": stream}, kind="text").fingerprint == expected.fingerprint
    np.savez(tmp_path / "a b.npz", x_train=pairs[0][0], y_train=pairs[0][1], x_test=pairs[1][0], y_test=pairs[1][1])
    dataset = load(tmp_path / "a b.npz", kind="text")
    assert dataset.fingerprint == expected.fingerprint
    assert (dataset.name, dataset.source) == ("a_b", str(tmp_path / "a b.npz"))


def test_folders(plain, tmp_path):
    root = write_folder(tmp_path / "pets", TEXTS, NAMES)
    (root / "cat" / "deeper").mkdir()
    (root / "cat" / "000.txt").rename(root / "cat" / "deeper" / "000.TXT")
    (root / "cat" / "001.txt").write_text("\ufeffwith a mark", encoding="utf-8")
    (root / "dog" / "notes.md").write_text("no text of this kind")
    (root / ".git").mkdir()
    dataset = load(root, kind="text")
    assert found(dataset) == sorted([*zip(TEXTS, NAMES, strict=True), ("with a mark", "cat")])
    assert (dataset.name, dataset.source) == ("pets", str(root))


def test_folder_as_of_the_large_movie_reviews(tmp_path):
    names = ["pos", "neg"] * 20
    for split in ("train", "test"):
        write_folder(tmp_path / split, [f"{text} {split}" for text in TEXTS], names)
    write_folder(tmp_path / "train", ["of no class"], ["unsup"])
    (tmp_path / "imdb.vocab").write_text("the\n")
    dataset = load(tmp_path, kind="text")
    assert dataset.class_names == ("neg", "pos")
    assert dataset.counts == {"train": 36, "validation": 4, "test": 40}


def test_a_class_may_be_called_unsup(tmp_path):
    root = write_folder(tmp_path, TEXTS, ["unsup", "sup"] * 20)
    assert load(root, kind="text").class_names == ("sup", "unsup")


QUOTED = [(f'"{text}"', name) for text, name in zip(TEXTS, NAMES, strict=True)]
TABLES = {
    "usual names": ("t.csv", ["id,Review,Sentiment", *(f"{i},{t},{n}" for i, (t, n) in enumerate(QUOTED))], {}),
    "label first": ("t.csv", ["label,text", *(f"{n},{t}" for t, n in QUOTED)], {}),
    "unnamed": ("t.csv", ["animal,said", *(f"{n},{t}" for t, n in QUOTED)], {}),
    "one named": ("t.csv", ["animal,text", *(f"{n},{t}" for t, n in QUOTED)], {}),
    "columns chosen": (
        "t.csv", ["a,label,b", *(f"{n},x{i},{t}" for i, (t, n) in enumerate(QUOTED))],
        {"text_column": "b", "label_column": "a"},
    ),
    "tabs": ("t.tsv", ["text\tlabel", *(f"{t}\t{n}" for t, n in zip(TEXTS, NAMES, strict=True))], {}),
    "semicolons": ("t.csv", ["text;label", *(f"{t};{n}" for t, n in zip(TEXTS, NAMES, strict=True))], {}),
    "carriage returns, a mark, empty lines": (
        "T.CSV", ["\ufefftext,label\r", *(f"{t},{n}\r\n\r" for t, n in QUOTED)], {},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", TABLES)
def test_tables(plain, tmp_path, case):
    name, rows, columns = TABLES[case]
    assert load(write_table(tmp_path / name, rows), kind="text", **columns).fingerprint == plain.fingerprint


def test_cells_with_quotes_line_breaks_and_a_megabyte(tmp_path):
    texts = ['she said "no", twice', "two\nlines", "a\rb\r\nc", " blanks ", "x" * 2**20, "last"] * 2
    rows = ["text,label", *('"' + text.replace('"', '""') + f'",{i % 2}' for i, text in enumerate(texts))]
    dataset = load(write_table(tmp_path / "t.csv", rows), kind="text")
    assert sorted(text for text, _ in found(dataset)) == sorted(texts)
    assert dataset.class_names == ("0", "1")


def test_numbers_as_labels_are_ordered_as_numbers(tmp_path):
    rows = ["text,label", *(f"{text.replace(',', '')},{8 + index % 3}" for index, text in enumerate(TEXTS))]
    assert load(write_table(tmp_path / "t.csv", rows), kind="text").class_names == ("8", "9", "10")


def test_folder_with_a_table_a_split(tmp_path):
    header, rows = "text,label", [f'"{text}",{name}' for text, name in zip(TEXTS, NAMES, strict=True)]
    for name, part in (("train", rows[:30]), ("valid", rows[30:34]), ("Test", rows[34:])):
        write_table(tmp_path / f"{name}.csv", [header, *part])
    assert load(tmp_path, kind="text", text_column="text").counts == {"train": 30, "validation": 4, "test": 6}


@pytest.mark.parametrize(("name", "classes"), [("imdb_reviews", 2), ("ag_news_subset", 4)])
def test_tfds_mocked(name, classes):
    with tfds.testing.mock_data(num_examples=80):
        dataset = load(name, kind="text")
    assert (dataset.name, dataset.source, dataset.num_classes) == (name, name, classes)
    assert dataset.counts == {"train": 72, "validation": 8, "test": 80}
    assert all(isinstance(text, str) for text in dataset.train.inputs)


def test_several_labels_at_once():
    rows = np.array([[index % 2, index % 3 > 0, index % 5 == 0] for index in range(40)], int)
    dataset = load((TEXTS, rows), kind="text")
    assert dataset.multi_label
    for split in dataset.splits.values():
        for text, row in zip(split.inputs, split.targets, strict=True):
            assert row.tolist() == rows[TEXTS.index(text)].tolist()
    assert "3 classes (multi-label)" in dataset.describe()
    with pytest.raises(InputError, match="texts of arrays may have several classes"):
        class_weights(dataset, "balanced")
    split = load_split((TEXTS[:2], rows[:2]), kind="text", class_names=dataset.class_names, multi_label=True)
    assert split.targets.tolist() == rows[:2].tolist()


def test_describe(plain):
    assert plain.describe() == (
        "arrays: 40 texts of 4 to 10 words (median 7); 2 classes: cat, dog\ntrain 28, validation 4, test 8"
    )


def test_single_texts_may_be_empty():
    dataset = load((["", *TEXTS[1:]], NAMES), kind="text")
    assert ("", "cat") in found(dataset)
    assert " 0 to 10 words" in dataset.describe()


def test_the_fingerprint_sees_where_a_text_ends():
    first = load({split: (["ab", "c"], [0, 1]) for split in ("train", "validation", "test")}, kind="text")
    other = load({split: (["a", "bc"], [0, 1]) for split in ("train", "validation", "test")}, kind="text")
    assert first.fingerprint != other.fingerprint


def test_a_later_change_of_the_users_lists_changes_nothing():
    texts = np.array(TEXTS, object)
    dataset = load({split: (texts, NAMES) for split in ("train", "validation", "test")}, kind="text")
    texts[:] = "changed"
    assert dataset.train.inputs.tolist() == TEXTS


def test_load_again(plain):
    again = load_again((TEXTS, NAMES), kind="text", fingerprint=plain.fingerprint)
    assert again.fingerprint == plain.fingerprint
    with pytest.raises(InputError, match="the run's own"):
        load_again((TEXTS[::-1], NAMES), kind="text", fingerprint=plain.fingerprint)


def test_data_to_measure_on(plain, tmp_path):
    names = plain.class_names
    split = load_split((TEXTS[:3], NAMES[:3]), kind="text", class_names=names)
    assert split.inputs.tolist() == TEXTS[:3]
    assert split.targets.tolist() == [0, 1, 0]
    assert load_split(plain, kind="text", class_names=names).inputs is plain.test.inputs
    table = write_table(tmp_path / "t.csv", ["text,label", "one,dog", "two,dog"])
    assert load_split(table, kind="text", class_names=names).targets.tolist() == [1, 1]
    parts = {"train": (TEXTS[:3], NAMES[:3]), "validation": (TEXTS[4:6], NAMES[4:6])}
    whole = load_split(parts, kind="text", class_names=names)
    assert whole.inputs.tolist() == TEXTS[:3] + TEXTS[4:6]
    assert [names[target] for target in whole.targets] == list(NAMES[:3]) + list(NAMES[4:6])
    with pytest.raises(InputError, match="'bird'"):
        load_split((["one"], ["bird"]), kind="text", class_names=names)
    with pytest.raises(InputError, match="kind 'text'.*kind 'images'"):
        load_split(plain, class_names=names)


def test_language_to_measure_on():
    assert load_split(["ab", "", "é"], kind="language").targets.tolist() == [2, 2]
    assert load_split({"train": ["a"], "validation": ["bc"]}, kind="language").inputs.tolist() == ["a", "bc"]
    assert load_split({"train": ["a"], "test": ["bc"]}, kind="language").inputs.tolist() == ["bc"]
    with pytest.raises(InputError, match="no text"):
        load_split([""], kind="language")


def test_class_weights(plain):
    assert class_weights(plain, {"dog": 2}) == {0: 1.0, 1: 2.0}
