"""The small real data that ships with the kit, by name."""

from __future__ import annotations

import functools
import io
import json
import lzma
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasdl.data.samples.scenes import digit_scenes, garment_scenes
from kerasdl.data.tables import as_labels

if TYPE_CHECKING:
    import pandas as pd

HERE = Path(__file__).parent


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Return 1797 handwritten digits of 8 x 8 pixels and their labels.

    Returns:
        Images of shape (1797, 8, 8, 1), uint8, scaled from [0, 16] to [0, 255]; labels 0 to 9 of shape (1797,).

    https://archive.ics.uci.edu/dataset/80/optical+recognition+of+handwritten+digits
    """
    from sklearn.datasets import load_digits

    found = load_digits()
    return np.round(found.images[..., np.newaxis] * (255 / 16)).astype(np.uint8), found.target


def glosses() -> tuple[np.ndarray, np.ndarray]:
    """Return short definitions of WordNet's nouns and their topics; `make_glosses.py` says how they were chosen.

    Returns:
        Texts of shape (count,), an object array of str; 26 topics, such as "animal", of shape (count,).

    WordNet 3.0, copyright 2006 by Princeton University: see `glosses.LICENSE.txt`. https://wordnet.princeton.edu
    """
    head, _, body = lzma.decompress((HERE / "glosses.xz").read_bytes()).partition(b"\0")
    topics, words = (part.split("\n") for part in head.decode().split("\n\n"))
    # Nothing comes between a word and punctuation: \b takes the blank away.
    pieces = ["\n\b", *(f" {word}" if word.isalnum() else f"{word}\b" for word in words)]
    joined = "".join([pieces[number] for number in np.frombuffer(body, "<u2").tolist()])
    texts = joined.removesuffix("\n\b").replace("\b ", "").replace("\b", "").strip().split("\n")
    names, counts = zip(*(line.split() for line in topics), strict=True)
    return np.array(texts, object), np.repeat(names, np.array(counts, int))


def stocks() -> pd.DataFrame:
    """Return daily closing prices, adjusted for splits and dividends, and volumes of AAPL, IBM and MSFT, 2000 to 2013.

    Returns:
        The columns ticker, date, close (dollars) and volume (shares), 3270 rows a ticker.

    From the package bokeh-sampledata; `make_stocks.py` says how. https://github.com/bokeh/bokeh_sampledata
    """
    import pandas as pd

    return pd.read_csv(io.BytesIO(lzma.decompress((HERE / "stocks.csv.xz").read_bytes())))


FORECASTING_SAMPLES: Mapping[str, Callable[[], pd.DataFrame]] = {"stocks": stocks}
"""From the name of an embedded sample to forecast to the function that returns its table."""


def series(name: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return the series of a file that `make_series.py` made, and their labels, by split.

    Returns:
        Of "train" and "test", series of shape (count, length, channels), float32, and labels of shape (count,).

    From the UCR and UEA archives by way of aeon: see `series.LICENSE.txt`. https://www.timeseriesclassification.com
    """
    content = lzma.decompress((HERE / f"{name}.xz").read_bytes())
    facts, end = json.JSONDecoder().raw_decode(content.decode("latin-1"))
    values = np.frombuffer(content, "<f4", offset=end + -end % 4)
    parts, start = {}, 0
    for split, known in facts.items():
        size = math.prod(known["shape"])
        found = values[start : start + size].reshape(known["shape"]).astype(np.float32)
        parts[split] = found, as_labels(known["labels"])
        start += size
    return parts


SAMPLES: Mapping[str, Mapping[str, Callable[[], Any]]] = {
    "images": {"digits": digits},
    "text": {"glosses": glosses},
    "series": {name: functools.partial(series, name) for name in ("gun_point", "italy_power_demand", "basic_motions")},
    "detection": {"digit_scenes": digit_scenes, "garment_scenes": garment_scenes},
}
"""By kind, from the name of an embedded sample to the function that returns its inputs and labels, or its splits."""
