"""Makes `glosses.xz`, the sample "glosses": definitions of nouns and the topics that lexicographers filed them under.

    apt-get install wordnet-base && python kerasdl/data/samples/make_glosses.py

It reads WordNet 3.0 from Debian, writes the same bytes each time, less than 1 MB, and prints what is in them.

A gloss is a definition and, after it, examples in quotes. Only the definition is taken: examples have the defined word
in them. To make the file small enough, remarks in parentheses are left out, and of a definition in several parts only
the first and what fits into 14 words. Of equal texts the first is taken, and none if they were filed under different
topics.

The file is two XZ streams: the number of texts of each topic and all words, then the texts as numbers of words. The
words come first by frequency, then by spelling: both compress best so.

https://wordnet.princeton.edu/documentation/wndb5wn https://wordnet.princeton.edu/documentation/lexnames5wn
"""

from __future__ import annotations

import lzma
import re
import sys
from collections import Counter, defaultdict
from pathlib import Path

HERE = Path(__file__).parent
SOURCE = Path("/usr/share/wordnet/data.noun")
FIRST = 3
"""The number of the file "noun.Tops"; the others follow."""
TOPICS = [
    *("Tops", "act", "animal", "artifact", "attribute", "body", "cognition", "communication", "event", "feeling"),
    *("food", "group", "location", "motive", "object", "person", "phenomenon", "plant", "possession", "process"),
    *("quantity", "relation", "shape", "state", "substance", "time"),
]
MOST_WORDS = 14
FREQUENT = 20
"""Words that occur so often are numbered by frequency."""

Pair = tuple[str, str]
"""A topic and a text."""


def read(source: Path) -> tuple[list[Pair], str]:
    """Return the topic and the text of every synset in the order of the file, and its licence."""
    pairs, licence = [], []
    for line in source.read_text("ascii").splitlines():
        if line.startswith("  "):
            licence.append(re.sub(r"^ *\d+ ?", "", line).rstrip())
            continue
        synset, gloss = line.split(" | ", 1)
        pairs.append((TOPICS[int(synset.split()[1]) - FIRST], shorten(gloss)))
    return pairs, "\n".join(licence) + "\n"


def shorten(gloss: str) -> str:
    """Return the definition of a gloss without remarks, and without those of its later parts that are too many."""
    definition = re.split(r'[;:,]? "', re.sub(r"\s*\([^)]*\)", "", gloss))[0].strip(' ;:"')
    text, *others = definition.split(";")
    for part in others:
        if len(f"{text};{part}".split()) > MOST_WORDS:
            break
        text += f";{part}"
    return " ".join(text.split()).strip(" ;:")


def choose(pairs: list[Pair]) -> list[Pair]:
    """Return the pairs without repetitions, by topic."""
    topics = defaultdict(set)
    for topic, text in pairs:
        topics[text].add(topic)
    kept = dict.fromkeys(pair for pair in pairs if pair[1] and len(topics[pair[1]]) == 1)
    return sorted(kept, key=lambda pair: TOPICS.index(pair[0]))


def pack(pairs: list[Pair]) -> bytes:
    """Return pairs, ordered by topic, as `kerasdl.data.samples.glosses` reads them."""
    # One blank between two words goes without saying.
    texts = [[piece for piece in re.findall(r"[A-Za-z0-9]+|[^A-Za-z0-9]+", text) if piece != " "] for _, text in pairs]
    counts = Counter(piece for pieces in texts for piece in pieces)
    frequent = [piece for piece, count in counts.most_common() if count >= FREQUENT]
    words = frequent + sorted(set(counts) - set(frequent))
    numbers = {piece: number for number, piece in enumerate(words, start=1)}
    head = "\n".join(
        [*(f"{topic} {count}" for topic, count in Counter(topic for topic, _ in pairs).items()), "", *words]
    )
    body = b"".join(
        number.to_bytes(2, "little") for pieces in texts for number in [*(numbers[piece] for piece in pieces), 0]
    )
    return _compress(head.encode() + b"\0", lc=4, lp=0, pb=0) + _compress(body, lc=3, lp=1, pb=1)


def _compress(content: bytes, **bits: int) -> bytes:
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, **bits}]
    return lzma.compress(content, format=lzma.FORMAT_XZ, check=lzma.CHECK_CRC32, filters=filters)


def main(source: Path = SOURCE, folder: Path = HERE) -> None:
    """Write the sample and its licence into a folder."""
    pairs, licence = read(source)
    kept = choose(pairs)
    packed = pack(kept)
    (folder / "glosses.xz").write_bytes(packed)
    (folder / "glosses.LICENSE.txt").write_text(licence)
    lengths = sorted(len(text.split()) for _, text in kept)
    print(f"{len(pairs)} glosses, {len(kept)} kept, of {lengths[0]} to {lengths[-1]} words; {len(packed)} bytes")
    for topic, count in Counter(topic for topic, _ in kept).most_common():
        print(f"{topic:14} {count:6} {count / len(kept):7.2%}")


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:]))
