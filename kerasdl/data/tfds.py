"""Examples from TensorFlow Datasets; data that is not there is refused at once instead of after minutes of retries.

https://www.tensorflow.org/datasets/overview
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasdl.data.kinds import Kind, Source
from kerasdl.errors import InputError, nearest

if TYPE_CHECKING:
    import tensorflow as tf
    import tensorflow_datasets as tfds

SPLIT_NAMES = {"train": "train", "validation": "validation", "valid": "validation", "val": "validation", "test": "test"}
TIMEOUT = 5.0
"""Seconds that the host of missing files has to answer."""


def builder_names() -> list[str]:
    """Return the names that TensorFlow Datasets knows."""
    import tensorflow_datasets as tfds

    return tfds.list_builders(with_community_datasets=False)


def read_tfds(name: str, *, kind: Kind, data_dir: str | Path | None) -> tuple[dict[str, Source], tuple[str, ...]]:
    """Open a dataset of TensorFlow Datasets, preparing it first if need be.

    Args:
        name: As TFDS names it: `mnist`, `voc/2007`, `mnist:3.0.1`; also `mnist/3.0.1`.
        kind: What the inputs are.
        data_dir: Where prepared data and downloads are; None for TFDS's own place.

    Returns:
        The examples by split, and the class names.

    Raises:
        InputError: For an unknown version or configuration, data without such an input or a class label, data that is
            neither prepared nor to be had.
    """
    builder = open_builder(name, data_dir)
    feature, label = _input_and_label(builder, kind)
    instead = f"({', '.join(kind.samples)}), {', '.join(kind.files)} or arrays"
    streams = open_streams(builder, name, lambda example: (example[feature], example[label]), instead=instead)
    class_names = tuple(builder.info.features[label].names)
    return {split: kind.stream(stream, what=f"{name} {split}") for split, stream in streams.items()}, class_names


def read_tfds_documents(
    name: str, *, data_dir: str | Path | None, samples: Iterable[str]
) -> dict[str, tf.data.Dataset]:
    """Open the texts of a dataset as streams of strings by split; arguments and errors as of :func:`read_tfds`.

    Of several Text features it is the one that is named "text" or that supervised learning takes, else the first.

    Args:
        name: As TFDS names it.
        data_dir: Where prepared data and downloads are.
        samples: What messages offer instead.
    """
    import tensorflow_datasets as tfds

    builder = open_builder(name, data_dir)
    features = builder.info.features
    found = [key for key, feature in features.items() if type(feature) is tfds.features.Text]
    if not found:
        listed = ", ".join(f"{key}: {type(feature).__name__}" for key, feature in features.items())
        raise InputError(
            builder.name,
            received=f"the features {listed}",
            expected="a Text",
            mend="Choose a dataset of text, such as lm1b or tiny_shakespeare.",
        )
    preferred = ("text", *(builder.info.supervised_keys or ()))
    chosen = next((key for key in preferred if key in found), found[0])
    instead = f"({', '.join(samples)}), a text file or strings"
    return open_streams(builder, name, lambda example: example[chosen], instead=instead)


def open_builder(name: str, data_dir: str | Path | None) -> tfds.core.DatasetBuilder:
    """Return the builder of a name as :func:`read_tfds` takes it, and refuse names that TFDS does not have."""
    import tensorflow_datasets as tfds

    spelled = re.sub(r"/(\d+\.\d+\.\d+)$", r":\1", name)
    try:
        return tfds.builder(spelled, data_dir=None if data_dir is None else str(data_dir))
    except (ValueError, AssertionError) as error:
        known, word = builder_names(), re.split("[/:]", name)[0]
        raise InputError(
            name,
            received=str(error).splitlines()[0],
            expected="a dataset, configuration and version that TFDS has",
            mend=nearest(word, known) if word not in known else "Leave the version out, or correct the configuration.",
        ) from None


def open_streams(
    builder: tfds.core.DatasetBuilder, name: str, pick: Callable[[dict[str, Any]], Any], *, instead: str
) -> dict[str, tf.data.Dataset]:
    """Return what `pick` takes of each example, by split; `instead` is what messages offer where there is no data."""
    import tensorflow_datasets as tfds

    config = tfds.ReadConfig(try_autocache=False)

    def read(split: str) -> tf.data.Dataset:
        return builder.as_dataset(split=split, shuffle_files=False, read_config=config).map(pick)

    try:
        train = read("train")
    except AssertionError:
        # TFDS says so when nothing is prepared. Asking first would miss tfds.testing.mock_data, which prepares nothing.
        _prepare(builder, instead)
        train = read("train")
    except (KeyError, ValueError):
        raise InputError(
            name,
            received=f"the splits {', '.join(builder.info.splits)}",
            expected="a split named train",
            mend="Pass a mapping of tf.data.Datasets instead.",
        ) from None
    # Mocked data has no list of splits.
    official = list(builder.info.splits) or ["train", "test"]
    streams = {"train": train}
    return streams | {
        SPLIT_NAMES[split]: read(split) for split in official if split in SPLIT_NAMES and split != "train"
    }


def _input_and_label(builder: tfds.core.DatasetBuilder, kind: Kind) -> tuple[str, str]:
    import tensorflow_datasets as tfds

    features = builder.info.features
    keys = {
        wanted: [key for key, feature in features.items() if type(feature) is wanted]
        for wanted in (getattr(tfds.features, kind.feature), tfds.features.ClassLabel)
    }
    if not all(keys.values()):
        listed = ", ".join(f"{key}: {type(feature).__name__}" for key, feature in features.items())
        raise InputError(
            builder.name,
            received=f"the features {listed}",
            expected=f"{'an' if kind.feature[0] in 'AEIO' else 'a'} {kind.feature} and a ClassLabel",
            mend=f"Choose {kind.catalog}.",
        )
    supervised = builder.info.supervised_keys or ()
    key, label = (next((key for key in found if key in supervised), found[0]) for found in keys.values())
    return key, label


def _prepare(builder: tfds.core.DatasetBuilder, instead: str) -> None:
    import tensorflow_datasets as tfds

    downloads = Path(builder.data_dir_root) / "downloads"
    missing = _missing_files(builder, downloads)
    if missing and not _answers(next(iter(missing))):
        raise InputError(
            builder.name,
            received=f"no prepared data in {builder.data_dir_root}, and the host of its files does not answer",
            expected=f"prepared data there, or {', '.join(missing.values())} in {downloads / 'manual'}/",
            mend=f"Put the files there (from {', '.join(missing)}), or train offline on an embedded sample {instead}.",
        )
    try:
        # A prepared copy on Google's storage would be asked for without a bound when offline.
        builder.download_and_prepare(download_config=tfds.download.DownloadConfig(try_download_gcs=False))
    except Exception as error:  # noqa: BLE001, as every builder fails in its own way
        raise InputError(
            builder.name,
            received=f"{type(error).__name__} while preparing: {str(error)[:500]}",
            expected=f"files from which TFDS can prepare it, in {downloads}",
            mend="Remove damaged files there, follow what TFDS says above, or choose other data.",
        ) from error


def _missing_files(builder: tfds.core.DatasetBuilder, downloads: Path) -> dict[str, str]:
    """Return the file name of each registered URL that is neither in the manual folder nor in the cache, by URL."""
    from tensorflow_datasets.core.download import resource

    missing = {}
    for url, info in (builder.url_infos or {}).items():
        cached = resource.get_dl_fname(url, info.checksum)
        places = [downloads / builder.name / cached, downloads / cached]
        manual = info.filename and (downloads / "manual" / info.filename).exists()
        if not manual and not any(resource.is_locally_cached(place) for place in places):
            missing[url] = info.filename or url
    return missing


def _answers(url: str) -> bool:
    """Ask once, through the proxies that the environment names, whether a file can be had."""
    import requests

    answers = []

    def ask() -> None:
        try:
            with requests.get(url, stream=True, timeout=TIMEOUT) as response:
                answers.append(response.ok)
        except requests.exceptions.InvalidSchema:
            answers.append(True)
        except requests.exceptions.RequestException:
            answers.append(False)

    # In a thread of its own as looking up a name has no timeout.
    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(2 * TIMEOUT)
    return bool(answers and answers[0])
