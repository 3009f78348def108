"""Images from TensorFlow Datasets, with data that is not there refused at once instead of after minutes of retries.

https://www.tensorflow.org/datasets/overview
"""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from kerasdl.data.samples import SAMPLES
from kerasdl.data.streams import StreamImages
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


def read_tfds(name: str, *, data_dir: str | Path | None) -> tuple[dict[str, StreamImages], tuple[str, ...]]:
    """Open a dataset of TensorFlow Datasets, preparing it first if need be.

    Args:
        name: As TFDS names it: `mnist`, `voc/2007`, `mnist:3.0.1`; also `mnist/3.0.1`.
        data_dir: Where prepared data and downloads are; None for TFDS's own place.

    Returns:
        The images by split, and the class names.

    Raises:
        InputError: For an unknown version or configuration, data without an image or a class label, data that is
            neither prepared nor to be had.
    """
    import tensorflow_datasets as tfds

    spelled = re.sub(r"/(\d+\.\d+\.\d+)$", r":\1", name)
    try:
        builder = tfds.builder(spelled, data_dir=None if data_dir is None else str(data_dir))
    except (ValueError, AssertionError) as error:
        known, word = builder_names(), re.split("[/:]", name)[0]
        raise InputError(
            name,
            received=str(error).splitlines()[0],
            expected="a dataset, configuration and version that TFDS has",
            mend=nearest(word, known) if word not in known else "Leave the version out, or correct the configuration.",
        ) from None
    image, label = _image_and_label(builder)
    config = tfds.ReadConfig(try_autocache=False)

    def read(split: str) -> tf.data.Dataset:
        stream = builder.as_dataset(split=split, shuffle_files=False, read_config=config)
        return stream.map(lambda example: (example[image], example[label]))

    try:
        train = read("train")
    except AssertionError:
        # TFDS says so when nothing is prepared. Asking first would miss tfds.testing.mock_data, which prepares nothing.
        _prepare(builder)
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
    streams |= {SPLIT_NAMES[split]: read(split) for split in official if split in SPLIT_NAMES and split != "train"}
    class_names = tuple(builder.info.features[label].names)
    return {split: StreamImages(stream, what=f"{name} {split}") for split, stream in streams.items()}, class_names


def _image_and_label(builder: tfds.core.DatasetBuilder) -> tuple[str, str]:
    import tensorflow_datasets as tfds

    features = builder.info.features
    keys = {
        kind: [key for key, feature in features.items() if type(feature) is kind]
        for kind in (tfds.features.Image, tfds.features.ClassLabel)
    }
    if not all(keys.values()):
        listed = ", ".join(f"{key}: {type(feature).__name__}" for key, feature in features.items())
        raise InputError(
            builder.name,
            received=f"the features {listed}",
            expected="an Image and a ClassLabel",
            mend="Choose a dataset for image classification, such as mnist or cifar10.",
        )
    supervised = builder.info.supervised_keys or ()
    image, label = (next((key for key in found if key in supervised), found[0]) for found in keys.values())
    return image, label


def _prepare(builder: tfds.core.DatasetBuilder) -> None:
    import tensorflow_datasets as tfds

    downloads = Path(builder.data_dir_root) / "downloads"
    missing = _missing_files(builder, downloads)
    if missing and not _answers(next(iter(missing))):
        raise InputError(
            builder.name,
            received=f"no prepared data in {builder.data_dir_root}, and the host of its files does not answer",
            expected=f"prepared data there, or {', '.join(missing.values())} in {downloads / 'manual'}/",
            mend=f"Put the files there (from {', '.join(missing)}), or train offline on an embedded sample "
            f"({', '.join(SAMPLES)}), a folder of images, a .npz file or arrays.",
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
