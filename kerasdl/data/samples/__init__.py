"""The small real data that ships with the kit, by name."""

from __future__ import annotations

import io
import lzma
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

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
SAMPLES: Mapping[str, Mapping[str, Callable[[], tuple[np.ndarray, np.ndarray]]]] = {
    "images": {"digits": digits},
    "text": {"glosses": glosses},
}
"""By kind, from the name of an embedded sample to the function that returns its inputs and labels."""
