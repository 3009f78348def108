"""Builders: functions from sizes to an uncompiled functional `keras.Model`, raw inputs in and logits out.

A builder never sees data or hyperparameter objects, compiles nothing and returns no subclass. This file only gathers
their names.
"""

from kerasdl.backbone_table import backbones
from kerasdl.models.convolutional import cnn
from kerasdl.models.efficientnet_lite import efficientnet_lite0
from kerasdl.models.mlp import mlp
from kerasdl.models.pretrained import backbone_layers, classifier, features
from kerasdl.models.residual import resnet, resnet9, resnet18, resnet34, resnet50

__all__ = [
    "backbone_layers",
    "backbones",
    "classifier",
    "cnn",
    "efficientnet_lite0",
    "features",
    "mlp",
    "resnet",
    "resnet9",
    "resnet18",
    "resnet34",
    "resnet50",
]
