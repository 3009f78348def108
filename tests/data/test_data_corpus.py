"""Corpora: every byte in one split, in order; every source; damage and scarcity refused."""

from __future__ import annotations

from pathlib import Path
from pydoc_data.topics import topics

import numpy as np
import pytest

from kerasdl.data.corpus import cut, load_corpus, load_documents
from kerasdl.data.dataset import Dataset
from kerasdl.errors import InputError

TEXT = "".join(f"{number} is a number – and 🙂 a smiley.\r\n" for number in range(60))


def texts(dataset: Dataset) -> dict[str, list[str]]:
    return {name: split.inputs.tolist() for name, split in dataset.splits.items()}


def joined(dataset: Dataset) -> str:
    return "".join(text for split in texts(dataset).values() for text in split)


def test_one_text_is_cut_into_train_validation_and_test() -> None:
    dataset = load_corpus([TEXT])
    assert (dataset.kind, dataset.class_names, dataset.source) == ("language", (), "arrays")
    assert joined(dataset) == TEXT
    total = len(TEXT.encode())
    sizes = [int(split.targets.sum()) for split in dataset.splits.values()]
    # A cut moves back to the start of its character, of 4 bytes at most.
    np.testing.assert_allclose(sizes, [0.81 * total, 0.09 * total, 0.1 * total], atol=4.5)
    for split in dataset.splits.values():
        assert split.inputs.dtype == object
        assert split.targets.dtype == np.int64
        assert split.targets.tolist() == [len(text.encode()) for text in split.inputs]


def test_fractions() -> None:
    sizes = [
        int(split.targets.sum())
        for split in load_corpus(["a" * 1000], test_fraction=0.2, validation_fraction=0.25).splits.values()
    ]
    assert sizes == [600, 200, 200]


def test_documents_stay_in_order_and_one_is_cut() -> None:
    documents = [letter * 100 for letter in "abcdefghijklmno"]
    assert texts(load_corpus(documents)) == {
        "train": [*documents[:12], "m" * 15],
        "validation": ["m" * 85, "n" * 50],
        "test": ["n" * 50, "o" * 100],
    }


@pytest.mark.parametrize("position", range(12))
def test_a_cut_falls_between_characters(position: int) -> None:
    before, after = cut(["aé", "", "🙂", "end"], position)
    starts = [0, 1, 1, 3, 3, 3, 3, 7, 8, 9, 10, 10]
    assert "".join(before).encode() == "aé🙂end".encode()[: starts[position]]
    assert "".join(before + after) == "aé🙂end"
    assert before + after == [*before, *after]


def test_the_embedded_sample_is_the_language_reference_in_order_of_its_topics() -> None:
    dataset = load_corpus("pydoc_topics")
    assert joined(dataset) == "".join(topics[name] for name in sorted(topics))
    assert dataset.source == dataset.name == "pydoc_topics"
    total = len(joined(dataset).encode())
    assert dataset.test.targets.sum() == pytest.approx(0.1 * total, abs=4)


def test_a_file_is_kept_byte_for_byte(tmp_path: Path) -> None:
    file = tmp_path / "my text.md"
    file.write_bytes(TEXT.encode())
    for data in (file, str(file)):
        dataset = load_corpus(data)
        assert joined(dataset).encode() == file.read_bytes()
        assert (dataset.name, dataset.source) == ("my_text", str(file))
    file.write_bytes(b"\xef\xbb\xbf" + TEXT.encode())
    assert joined(load_corpus(file)) == TEXT


def test_a_folder_is_read_in_order_of_its_paths(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / ".git").mkdir()
    contents = {"a.txt": "a" * 500, "b/1.txt": "b" * 500, "b/2.py": "c" * 500, "c": "", "d.txt": "d" * 500}
    for name, content in {**contents, ".hidden": "x", ".git/config": "y"}.items():
        (tmp_path / name).write_text(content)
    dataset = load_corpus(tmp_path)
    assert joined(dataset) == "".join(contents.values())
    assert [text[0] for text in dataset.train.inputs] == ["a", "b", "c", "d"]


def test_streams_of_strings_batched_or_not() -> None:
    import tensorflow as tf

    documents = [TEXT, "a" * 200, "b\0b" * 200]
    stream = tf.data.Dataset.from_tensor_slices(documents)
    for one in (stream, stream.batch(2)):
        dataset = load_corpus(one)
        assert joined(dataset) == "".join(documents)
        assert dataset.source == "tf.data"
    with pytest.raises(InputError, match="an infinite stream"):
        load_corpus(stream.repeat())
    with pytest.raises(InputError, match="elements .*expected strings"):
        load_corpus(tf.data.Dataset.range(3))
    with pytest.raises(InputError, match="data, index 1: received the byte 0xff at offset 1;"):
        load_corpus(tf.data.Dataset.from_tensor_slices([b"a", b"b\xff"]))


def test_texts_of_tfds_keep_their_splits() -> None:
    import tensorflow_datasets as tfds

    with tfds.testing.mock_data(num_examples=80):
        dataset = load_corpus("tfds:ag_news_subset")
        measured = load_documents("tfds:ag_news_subset")
    assert (dataset.name, dataset.source) == ("ag_news_subset", "tfds:ag_news_subset")
    # The mock gives every split the same 80 texts; validation is cut off the training text.
    assert dataset.counts["test"] == 80
    assert [*dataset.train.inputs[:18]] == [*dataset.test.inputs[:18]]
    assert joined(dataset) == 2 * "".join(measured.inputs)
    with tfds.testing.mock_data(num_examples=1), pytest.raises(InputError, match="expected a Text. Choose a dataset"):
        load_corpus("tfds:mnist")


def test_text_to_measure_on_is_the_test_split_or_all(tmp_path: Path) -> None:
    assert load_documents([TEXT, "", "b"]).inputs.tolist() == [TEXT, "b"]
    assert load_documents({"train": ["a"], "test": ["é"]}).targets.tolist() == [2]
    with pytest.raises(InputError, match="received no text"):
        load_documents([""])


def test_given_splits_are_kept_and_missing_ones_cut(tmp_path: Path) -> None:
    (tmp_path / "test.txt").write_text("t" * 300)
    given = {"train": ["a" * 500, "b" * 500], "test": tmp_path / "test.txt"}
    assert texts(load_corpus(given)) == {
        "train": ["a" * 500, "b" * 400],
        "validation": ["b" * 100],
        "test": ["t" * 300],
    }
    whole = {split: np.array([split * 100], object) for split in ("train", "validation", "test")}
    assert texts(load_corpus(whole)) == {split: [split * 100] for split in whole}


def test_damaged_bytes_are_named_with_file_and_offset(tmp_path: Path) -> None:
    good, bad = tmp_path / "a.txt", tmp_path / "b.txt"
    good.write_text(TEXT)
    bad.write_bytes(TEXT.encode()[:1000] + b"\xe9t\xe9" + TEXT.encode())
    with pytest.raises(InputError, match=r"b\.txt: received the byte 0xe9 at offset 1000; expected UTF-8 text"):
        load_corpus(tmp_path)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (["abc"], "received 3 bytes of text, .* expected at least 100 bytes .* 1112 bytes in all"),
        ([], "received no texts"),
        ([""], "received 0 bytes of text"),
        ({"train": ["a" * 1000], "test": ["b"]}, "1001 bytes of text, 1 of them in the test split"),
        (["a" * 2000, 3], "data: received 3 at index 1; expected strings"),
        (["a" * 2000, b"b\xff"], "data, index 1: received the byte 0xff at offset 1; expected UTF-8 text"),
        (["ok", "a\ud800"], "half of a surrogate pair at character 1 of the text at index 1"),
        ("arrays", "data from memory .* Pass the same strings"),
        ("pydoc_topic", "does not exist; .* Did you mean 'pydoc_topics'"),
        (TEXT * 3, "does not exist; .* Text itself goes into a list"),
        ({"tran": ["a"]}, "received a mapping with tran; .* Did you mean 'train'"),
        ({"test": ["a"]}, "received a mapping with test; .* Add train"),
        (None, "received None; expected texts"),
        (b"text", "received b'text'; expected texts"),
        (np.zeros((3, 3)), r"an array of shape \(3, 3\)"),
    ],
)
def test_what_is_no_text_is_refused(data: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_corpus(data)
