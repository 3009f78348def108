"""Diagnosis: what is wrong with a training, its evidence in numbers, and the keyword arguments that mend it."""

from kerasdl.diagnostics.curves import Finding, diagnose_classifier
from kerasdl.diagnostics.language import diagnose_language_model
from kerasdl.diagnostics.report import write_report
from kerasdl.diagnostics.sparsity import sparsity, sparsity_table

__all__ = ["Finding", "diagnose_classifier", "diagnose_language_model", "sparsity", "sparsity_table", "write_report"]
