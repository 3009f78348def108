"""What a result says of itself: on the terminal, and in the description of its exports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kerasdl import licences, run_directory

if TYPE_CHECKING:
    from kerasdl.result import Result


def summary(result: Result) -> str:
    """Return what a person wants to know at the end: metrics, best epoch, findings, where the files are."""
    kept = "Epoch kept, the last" if result.config.get("keep") == "last" else "Best epoch"
    lines = [f"{kept}: {result.best_epoch} of {len(result.history['val_loss'])}", "Test split:"]
    width = max(map(len, result.metrics)) + 1
    lines += [f"  {name:<{width}} {value:.4f}" for name, value in result.metrics.items()]
    for baseline, values in result.baselines.items():
        lines.append(f"  ({baseline}: {', '.join(f'{name} {value:.4f}' for name, value in values.items())})")
    lines.append("Diagnosis:" if result.diagnosis else "Diagnosis: nothing found")
    lines += [f"  {finding}" for finding in result.diagnosis]
    if result.story:
        remedies = sum(attempt["kept"] for attempt in result.story) - 1
        lines.append(f"Improved: {len(result.story)} trainings, {remedies} remedies kept")
    if result.directory is not None:
        lines.append(f"Run: {result.directory} ({', '.join(run_directory.FILES)})")
    return "\n".join(lines)


def export_description(result: Result) -> dict[str, Any]:
    """Return what an export records of the training that it comes from."""
    return {
        "recipe": result.recipe,
        "metrics": result.metrics,
        "baselines": result.baselines,
        "config": result.config,
        "data_fingerprint": result.dataset.fingerprint,
        "data": {
            "name": result.dataset.name,
            "splits": result.dataset.counts,
            "summary": result.dataset.describe(),
            "licence": licences.data_licence(result.dataset.source),
        },
        "weights_licence": licences.weights_licence(result.config),
        "diagnosis": [finding.as_dict() for finding in result.diagnosis],
    }
