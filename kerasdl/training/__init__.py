"""Training: the one place that compiles and fits, and what it is made of."""

from kerasdl.training.batches import EvaluationBatches, TrainingBatches
from kerasdl.training.fit import fit
from kerasdl.training.hardware import describe_hardware, precision_policy, versions
from kerasdl.training.optimizers import make_optimizer

__all__ = [
    "EvaluationBatches",
    "TrainingBatches",
    "describe_hardware",
    "fit",
    "make_optimizer",
    "precision_policy",
    "versions",
]
