"""What an export is worth beside the live model, in words. Light."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Of each kind of task the metric that a user asks for first, in the order in which they are looked for.
FIRST = ("accuracy", "subset_accuracy", "mase", "bits_per_byte", "map")


def accuracy_line(description: Mapping[str, Any]) -> str:
    """Return how an export does on the test split beside the live model; nothing where it was not measured.

    Args:
        description: Of the export, with "metrics" and "exported_metrics".

    Example:
        >>> accuracy_line({"metrics": {"accuracy": 0.9083}, "exported_metrics": {"accuracy": 0.9167}})
        'Exported model on the test split: accuracy 0.9167 (+0.0084 against 0.9083 before)'
    """
    live, exported = description.get("metrics", {}), description.get("exported_metrics", {})
    name = next((name for name in FIRST if name in live and name in exported), None)
    if name is None:
        return ""
    change = exported[name] - live[name]
    return (
        f"Exported model on the test split: {name} {exported[name]:.4f} ({change:+.4f} against {live[name]:.4f} before)"
    )
