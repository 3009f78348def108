"""The embedded sample of texts: what is in it, its splits, its size, and that it can be made again."""

from __future__ import annotations

import numpy as np
import pytest

from kerasdl.data import load
from kerasdl.data.samples import HERE, glosses, make_glosses


def test_what_is_in_it():
    texts, topics = glosses()
    assert (len(texts), texts.dtype) == (81069, object)
    assert sorted(set(topics)) == sorted(make_glosses.TOPICS)
    assert len(set(texts)) == len(texts)
    assert all(text and text == text.strip() and text.isascii() for text in texts)
    place = texts.tolist().index(
        "twining deciduous shrub with hairy leaves and spikes of yellow-orange flowers; northeastern America"
    )
    assert topics[place] == "plant"
    assert (HERE / "glosses.xz").stat().st_size < 10**6
    assert "Princeton" in (HERE / "glosses.LICENSE.txt").read_text()


def test_its_splits():
    dataset = load("glosses", kind="text")
    assert dataset.counts == {"train": 58369, "validation": 6486, "test": 16214}
    assert (dataset.name, dataset.source, dataset.num_classes) == ("glosses", "glosses", 26)
    shares = [np.bincount(split.targets) / len(split) for split in dataset.splits.values()]
    np.testing.assert_allclose(shares, np.broadcast_to(shares[0], (3, 26)), atol=2e-3)


@pytest.mark.parametrize(
    ("gloss", "text"),
    [
        ('a motion; "he gave a nod"; "a nod"', "a motion"),
        ("(botany) a plant (or tree) of the north", "a plant of the north"),
        ("one two; three", "one two; three"),
        (" ".join("abcdefghijklmn") + "; o", " ".join("abcdefghijklmn")),
    ],
)
def test_glosses_are_shortened_to_definitions(gloss, text):
    assert make_glosses.shorten(gloss) == text


def test_of_equal_texts_one_is_kept_and_none_of_several_topics():
    pairs = [("plant", "a"), ("act", "b"), ("plant", "a"), ("food", "c"), ("plant", "c"), ("food", "")]
    assert make_glosses.choose(pairs) == [("act", "b"), ("plant", "a")]


@pytest.mark.skipif(not make_glosses.SOURCE.exists(), reason="needs Debian's wordnet-base")
def test_the_script_makes_the_same_bytes(tmp_path, capsys):
    make_glosses.main(folder=tmp_path)
    assert capsys.readouterr().out.startswith("82115 glosses, 81069 kept")
    for name in ("glosses.xz", "glosses.LICENSE.txt"):
        assert (tmp_path / name).read_bytes() == (HERE / name).read_bytes()
