"""Vocabularies: Python and the graph agree on every string, ids have their meaning, decoding inverts encoding."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from kerasdl.data.vocabulary import KINDS, Vocabulary
from kerasdl.errors import InputError

NASTY = [
    "", " ", "good :)", "Don't\tSTOP\r\nme\x0bnow\x85", "ΟΔΟΣ οδος", "İstanbul I ı", "e\u0301te\u0301", "\u0301alone",
    "👨‍👩‍👧 🏽 ❤️ 1️⃣", "lone \ud800 surrogate", "a\0b\0", "\0", "می‌خواهم", "\ufeffmark", "a\u00a0b\u3000c\u2028d",
    "日本語。", "x_y @me #tag http://t.co/a?b=1", "\U0010ffff\ufffe", "Ⱟ Ꟁ 𐕰", "[UNK]", "word " * 10_000,
]  # fmt: skip
EVERY = [
    "".join(map(chr, range(start, start + 256))) for start in [*range(0, 0x20000, 256), *range(0x20000, 0x110000, 4096)]
]
"""Every code point of the first two planes, the surrogates among them, and some of the others."""


def as_tensor(texts: list[str]) -> tf.Tensor:
    return tf.constant([text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode() for text in texts])


@pytest.fixture(scope="module", params=KINDS)
def vocabulary(request):
    return Vocabulary.make([*NASTY, *EVERY[:1]], kind=request.param, size=100)


@pytest.fixture(scope="module")
def graphs(vocabulary):
    """Its encoding and decoding as a SavedModel has them, traced before anything ran eagerly."""
    encode = tf.function(vocabulary.encode_tensor, input_signature=[tf.TensorSpec([None], tf.string)])
    decode = tf.function(vocabulary.decode_tensor, input_signature=[tf.RaggedTensorSpec([None, None], tf.int32)])
    encode.get_concrete_function()
    return encode, decode


def test_python_and_graph_agree_on_every_string(vocabulary, graphs):
    encode, decode = graphs
    texts = [text.replace("\ud800", "\ufffd") for text in NASTY]
    texts += ["".join(c for c in text if not "\ud800" <= c <= "\udfff") for text in EVERY]
    ids = vocabulary.encode(texts)
    ragged = encode(as_tensor(texts))
    assert ragged.dtype == tf.int32
    assert {each.dtype for each in ids} == {np.dtype("int32")}
    np.testing.assert_array_equal(ragged.row_lengths(), [len(each) for each in ids])
    np.testing.assert_array_equal(ragged.values, np.concatenate(ids))
    decoded = [vocabulary.decode(each) for each in ids]
    assert [text.decode() for text in decode(ragged).numpy()] == decoded
    padded = vocabulary.decode_tensor(ragged[:9].to_tensor())
    assert [text.decode() for text in padded.numpy()] == decoded[:9]
    if vocabulary.kind == "byte":
        assert decoded == texts


def test_no_texts_and_no_entries(vocabulary, graphs):
    values, row_splits = vocabulary.encode_flat([])
    assert (values.shape, values.dtype, row_splits.tolist()) == ((0,), np.int32, [0])
    assert graphs[0](tf.constant([], tf.string)).to_list() == []
    assert vocabulary.decode([]) == ""
    empty = Vocabulary(vocabulary.kind)
    assert empty.encode(["ab c"])[0].tolist() == empty.encode_tensor(tf.constant(["ab c"])).to_list()[0]


def test_flat_and_listed_ids_are_the_same(vocabulary):
    values, row_splits = vocabulary.encode_flat(NASTY)
    for index, ids in enumerate(vocabulary.encode(NASTY)):
        assert values[row_splits[index] : row_splits[index + 1]].tolist() == ids.tolist()
    assert row_splits[-1] == len(values)


def test_a_dictionary_fit_for_json_makes_it_again(vocabulary):
    assert Vocabulary.from_dict(json.loads(json.dumps(vocabulary.as_dict()))) == vocabulary


@pytest.mark.parametrize("kind", ["character", "byte"])
def test_decoding_inverts_encoding(kind):
    texts = [text for text in NASTY + EVERY if text.isprintable() or "\0" in text]
    vocabulary = Vocabulary.make(texts, kind=kind)
    assert [vocabulary.decode(ids) for ids in vocabulary.encode(texts)] == [
        "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in text) for text in texts
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Good :)", "good : )"),
        ("ΟΔΟΣ οδος", "οδοσ οδοσ"),
        ("e\u0301tude Café1", "e\u0301tude café1"),
        ("don't x_y", "don ' t x _ y"),
        ("so\u00adft\u200d \u200bzero", "soft zero"),
        ("a\x00b\x0bc\x85d\u3000e", "a b c d e"),
        ("❤️!", "❤️ !"),
    ],
)
def test_what_a_word_is(text, words):
    vocabulary = Vocabulary.make([text])
    assert vocabulary.decode(vocabulary.encode([text])[0]) == words
    assert sorted(vocabulary.entries) == sorted(set(words.split()))


def test_case_is_kept_when_asked():
    assert set(Vocabulary.make(["Go go GÖ"], lowercase=False).entries) == {"Go", "go", "GÖ"}
    assert set(Vocabulary.make(["Go go GÖ"]).entries) == {"go", "gö"}
    assert set(Vocabulary.make(["Aa"], kind="character").entries) == {"A", "a"}


def test_the_most_frequent_are_kept_and_ties_go_by_code_point():
    texts = ["b a c", "c a b", "z", "z z z"]
    assert Vocabulary.make(texts).entries == ("z", "a", "b", "c")
    made = Vocabulary.make(texts, size=4)
    assert (made.entries, made.size) == (("z", "a"), 4)
    assert Vocabulary.make(texts, minimum_count=3).entries == ("z",)
    assert Vocabulary.make(["ba", "ab", "c"], kind="character", size=4).entries == ("a", "b")
    assert Vocabulary.make(texts, kind="byte", size=4) == Vocabulary("byte")


def test_ids():
    words = Vocabulary("word", ("b", "a"))
    assert words.encode(["a b x"])[0].tolist() == [3, 2, 1]
    assert words.decode([0, 3, 1, 0, 2, 0]) == "a [UNK] b"
    assert Vocabulary("character", ("b", "a")).encode(["abx"])[0].tolist() == [3, 2, 1]
    assert Vocabulary("character", ("b",)).decode([2, 1, 0]) == "b\ufffd"
    assert Vocabulary("byte").encode(["\0é"])[0].tolist() == [1, 0xC3 + 1, 0xA9 + 1]
    assert [Vocabulary(kind).size for kind in KINDS] == [2, 2, 257]


def test_bytes_that_are_no_text_decode_alike():
    generator = np.random.default_rng(0)
    alphabet = np.array(list(b" A\x80\xbf\xc3\xa9\xe2\x82\xac\xed\xa0\xf0\x9f\x98\xff\xc0\xf4\x90")) + 1
    ids = generator.choice(alphabet, (500, 12)).astype(np.int32)
    vocabulary = Vocabulary("byte")
    decoded = vocabulary.decode_tensor(tf.constant(ids)).numpy()
    assert [text.decode() for text in decoded] == [vocabulary.decode(row) for row in ids]


@pytest.mark.parametrize("kind", ["word", "character"])
def test_a_graph_takes_damaged_strings(kind):
    vocabulary = Vocabulary.make(["ab \ufffd"], kind=kind)
    found = vocabulary.encode_tensor(tf.constant([b"ab \xff"])).to_list()
    assert found == [vocabulary.encode(["ab \ufffd"])[0].tolist()]


def test_a_saved_model_needs_nothing_else(tmp_path):
    vocabulary = Vocabulary.make(["good :)"])
    module = tf.Module()
    module.encode = tf.function(
        lambda strings: vocabulary.encode_tensor(strings).to_tensor(),
        input_signature=[tf.TensorSpec([None], tf.string)],
    )
    tf.saved_model.save(module, tmp_path)
    loaded = tf.saved_model.load(tmp_path)
    assert loaded.encode(tf.constant(["good: bad"])).numpy().tolist() == [vocabulary.encode(["good: bad"])[0].tolist()]


def test_characters_and_bytes_do_without_tensorflow():
    code = """
import sys
from kerasdl.data.vocabulary import Vocabulary
for kind in ("character", "byte"):
    vocabulary = Vocabulary.make(["naive"], kind=kind)
    print(vocabulary.decode(vocabulary.encode(["naive"])[0]), "tensorflow" in sys.modules)
"""
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.split() == ["naive", "False", "naive", "False"]


def test_case_does_not_follow_the_locale(monkeypatch):
    lower = tf.strings.lower

    def ascii_only(strings, encoding=""):
        assert encoding == "", "on a Turkish computer, I becomes another letter"
        return lower(strings)

    monkeypatch.setattr(tf.strings, "lower", ascii_only)
    assert Vocabulary.make(["AI AİK"]).entries == ("ai", "aik")


BAD = {
    "kind": (lambda: Vocabulary("bytes"), ["kind: received 'bytes'", "'byte'"]),
    "entries of bytes": (lambda: Vocabulary("byte", ("a",)), ["entries: received 'a'"]),
    "long character": (lambda: Vocabulary("character", ("ab",)), ["'ab'"]),
    "empty word": (lambda: Vocabulary("word", ("a", "")), ["''"]),
    "number": (lambda: Vocabulary("word", (3,)), ["received 3"]),
    "twice": (lambda: Vocabulary("word", ("a", "b", "a")), ["'a'", "each once"]),
    "lower-cased bytes": (lambda: Vocabulary("byte", lowercase=True), ["lowercase: received True"]),
    "no boolean": (lambda: Vocabulary("word", lowercase="yes"), ["lowercase: received 'yes'"]),
    "one string": (lambda: Vocabulary("byte").encode("text"), ["one string", "[text]"]),
    "bytes": (lambda: Vocabulary("byte").encode(["a", b"b"]), ["b'b' at index 1"]),
    "numbers": (lambda: Vocabulary.make([1.5]), ["1.5 at index 0"]),
    "size": (lambda: Vocabulary.make(["a"], size=2), ["size: received 2", "at least 3"]),
    "size true": (lambda: Vocabulary.make(["a"], size=True), ["size: received True"]),
    "minimum_count": (lambda: Vocabulary.make(["a"], minimum_count=0), ["minimum_count: received 0"]),
    "ids too large": (lambda: Vocabulary("byte").decode([0, 257]), ["0 to 257", "0 to 256"]),
    "ids negative": (lambda: Vocabulary("byte").decode([-1]), ["from -1"]),
    "ids as fractions": (lambda: Vocabulary("byte").decode([0.5]), ["float64"]),
    "ids of rank 2": (lambda: Vocabulary("byte").decode([[1]]), ["(1, 1)"]),
    "dictionary": (lambda: Vocabulary.from_dict({"kind": "byte"}), ["{'kind': 'byte'}", "as_dict"]),
}


@pytest.mark.parametrize("case", BAD)
def test_refused(case):
    call, words = BAD[case]
    with pytest.raises(InputError) as error:
        call()
    for word in words:
        assert word in str(error.value)
