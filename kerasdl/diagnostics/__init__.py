"""Diagnosis: what is wrong with a training, its evidence in numbers, and the keyword arguments that mend it."""

from kerasdl.diagnostics.activity import Activity, activity
from kerasdl.diagnostics.attention import (
    attention_rollout,
    attention_table,
    patch_attention,
    stack_maps,
    strongest_pairs,
)
from kerasdl.diagnostics.attention_of import AttentionMap, attention_map
from kerasdl.diagnostics.attention_picture import attention_picture, patch_map
from kerasdl.diagnostics.calibration import best_temperature, calibration_error, diagnose_calibration, reliability
from kerasdl.diagnostics.calibration_picture import reliability_picture
from kerasdl.diagnostics.classes import diagnose_imbalance, diagnose_linear
from kerasdl.diagnostics.curves import Finding, diagnose_classifier
from kerasdl.diagnostics.detection import diagnose_detector
from kerasdl.diagnostics.dynamics import diagnose_dynamics
from kerasdl.diagnostics.forecast_picture import forecast_picture
from kerasdl.diagnostics.forecasts import diagnose_forecaster
from kerasdl.diagnostics.gradient_picture import gradient_picture
from kerasdl.diagnostics.gradients import GradientFlow, LayerFlow, gradient_flow
from kerasdl.diagnostics.kernels import Kernel, recurrent_kernels
from kerasdl.diagnostics.labels import diagnose_labels, diagnose_memorising, noise_share, suspicious_labels
from kerasdl.diagnostics.language import diagnose_language_model
from kerasdl.diagnostics.leakage import diagnose_leakage, find_leaks
from kerasdl.diagnostics.report import write_report
from kerasdl.diagnostics.report_samples import Sample, SampleGroup, sample_groups
from kerasdl.diagnostics.saliency import Saliency, saliency
from kerasdl.diagnostics.saliency_picture import saliency_picture
from kerasdl.diagnostics.sparsity import sparsity, sparsity_table

__all__ = [
    "Activity",
    "AttentionMap",
    "Finding",
    "GradientFlow",
    "Kernel",
    "LayerFlow",
    "Saliency",
    "Sample",
    "SampleGroup",
    "activity",
    "attention_map",
    "attention_picture",
    "attention_rollout",
    "attention_table",
    "best_temperature",
    "calibration_error",
    "diagnose_calibration",
    "diagnose_classifier",
    "diagnose_detector",
    "diagnose_dynamics",
    "diagnose_forecaster",
    "diagnose_imbalance",
    "diagnose_labels",
    "diagnose_language_model",
    "diagnose_leakage",
    "diagnose_linear",
    "diagnose_memorising",
    "find_leaks",
    "forecast_picture",
    "gradient_flow",
    "gradient_picture",
    "noise_share",
    "patch_attention",
    "patch_map",
    "recurrent_kernels",
    "reliability",
    "reliability_picture",
    "saliency",
    "saliency_picture",
    "sample_groups",
    "sparsity",
    "sparsity_table",
    "stack_maps",
    "strongest_pairs",
    "suspicious_labels",
    "write_report",
]
