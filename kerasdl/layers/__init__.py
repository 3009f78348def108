"""Registered Keras layers: here belongs only state or masking that core Keras cannot express.

A layer is registered under the package name "kerasdl" (`keras.saving.register_keras_serializable`), uses `keras` and
`keras.ops` only, and imports nothing of the kit but other layers. What can be said with core layers is a function in
`kerasdl.blocks`.
"""

from kerasdl.layers.attention import AttentionWeights, SelfAttention
from kerasdl.layers.cached_attention import CachedAttention
from kerasdl.layers.detections import Detections
from kerasdl.layers.lstm import LSTM
from kerasdl.layers.scaling import AscendingQuantiles, CalibratedQuantiles, ScaleSeries, UnscaleForecast
from kerasdl.layers.sequence import ClassToken, PadLength, Positions
from kerasdl.layers.subwords import SubwordEmbedding
from kerasdl.layers.term_scores import TermScores

__all__ = [
    "AscendingQuantiles",
    "AttentionWeights",
    "CachedAttention",
    "CalibratedQuantiles",
    "ClassToken",
    "Detections",
    "LSTM",
    "PadLength",
    "Positions",
    "ScaleSeries",
    "SelfAttention",
    "SubwordEmbedding",
    "TermScores",
    "UnscaleForecast",
]
