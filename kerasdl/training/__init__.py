"""Training: the one place that compiles and fits, and what it is made of."""

from kerasdl.training.auto import resolve_auto
from kerasdl.training.batches import EvaluationBatches, TrainingBatches
from kerasdl.training.calibration import Choice, calibrate
from kerasdl.training.distribution import distributed, suited, undistributed
from kerasdl.training.fit import fit
from kerasdl.training.freezing import countable, falling_rates, freeze
from kerasdl.training.frozen_features import extract_features, kept
from kerasdl.training.hardware import describe_hardware, precision_policy, versions
from kerasdl.training.layer_rates import layerwise
from kerasdl.training.learning_rate_finder import LearningRateCurve, find_learning_rate
from kerasdl.training.memory import is_out_of_memory, smaller_batch
from kerasdl.training.optimizers import make_optimizer
from kerasdl.training.pinball import MedianError, PinballLoss
from kerasdl.training.proximal import proximal
from kerasdl.training.pruning import prune_units
from kerasdl.training.remade import copied
from kerasdl.training.resume import TrainingInterrupted
from kerasdl.training.temperature import divide_logits

__all__ = [
    "Choice",
    "LearningRateCurve",
    "MedianError",
    "PinballLoss",
    "calibrate",
    "copied",
    "countable",
    "extract_features",
    "falling_rates",
    "find_learning_rate",
    "EvaluationBatches",
    "TrainingBatches",
    "describe_hardware",
    "distributed",
    "divide_logits",
    "fit",
    "freeze",
    "is_out_of_memory",
    "kept",
    "layerwise",
    "make_optimizer",
    "resolve_auto",
    "precision_policy",
    "proximal",
    "prune_units",
    "smaller_batch",
    "suited",
    "undistributed",
    "TrainingInterrupted",
    "versions",
]
