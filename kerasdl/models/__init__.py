"""Builders: functions from sizes to an uncompiled functional `keras.Model`, raw inputs in and logits out.

A builder never sees data or hyperparameter objects, compiles nothing and returns no subclass. This file only gathers
their names.
"""

from kerasdl.attention_maps import attention_maps
from kerasdl.backbone_table import backbones
from kerasdl.models.convolutional import cnn
from kerasdl.models.detector import detector
from kerasdl.models.efficientnet_lite import efficientnet_lite0
from kerasdl.models.forecasting_convolutional import temporal_cnn
from kerasdl.models.forecasting_linear import linear_forecaster
from kerasdl.models.forecasting_recurrent import lstm_forecaster, sequence_to_sequence
from kerasdl.models.forecasting_transformer import transformer_forecaster
from kerasdl.models.generation import generate_tokens, stream_tokens
from kerasdl.models.generator import Generator
from kerasdl.models.mlp import mlp
from kerasdl.models.pretrained import backbone_layers, classifier, features
from kerasdl.models.recurrent import lstm_classifier
from kerasdl.models.residual import resnet, resnet9, resnet18, resnet34, resnet50
from kerasdl.models.series_convolutional import fcn, time_series_resnet
from kerasdl.models.series_inception import inception_time
from kerasdl.models.series_mixed import lstm_fcn, series_transformer
from kerasdl.models.text import text_cnn, text_lstm
from kerasdl.models.transformer import (
    causal_transformer,
    gpt2_small,
    gpt_small,
    gpt_tiny,
    transformer_classifier,
    transformer_classifier_small,
    transformer_classifier_tiny,
)
from kerasdl.models.vision_transformer import vision_transformer, vit_small, vit_tiny

__all__ = [
    "Generator",
    "attention_maps",
    "backbone_layers",
    "backbones",
    "causal_transformer",
    "classifier",
    "cnn",
    "detector",
    "efficientnet_lite0",
    "fcn",
    "features",
    "generate_tokens",
    "gpt2_small",
    "gpt_small",
    "gpt_tiny",
    "linear_forecaster",
    "lstm_forecaster",
    "inception_time",
    "lstm_classifier",
    "lstm_fcn",
    "mlp",
    "resnet",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet9",
    "series_transformer",
    "stream_tokens",
    "sequence_to_sequence",
    "temporal_cnn",
    "text_cnn",
    "text_lstm",
    "time_series_resnet",
    "transformer_classifier",
    "transformer_classifier_small",
    "transformer_classifier_tiny",
    "transformer_forecaster",
    "vision_transformer",
    "vit_small",
    "vit_tiny",
]
