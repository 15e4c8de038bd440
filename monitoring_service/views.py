"""The latest evaluation of a model as JSON for programs."""

from typing import Any

from evaluation.drift import ColumnDrift
from evaluation.evaluate import Evaluation
from evaluation.performance import Performance
from monitoring_service.model_monitor import ModelMonitor, Outcome


def drift_view(monitor: ModelMonitor, min_rows: int) -> dict[str, Any]:
    """What /models/<name>/drift answers; `dataset_drift` is null while there is no verdict, with the reason."""
    latest = monitor.latest
    return _judged(latest) if latest else _not_judged(monitor, min_rows)


def waiting_reason(monitor: ModelMonitor, min_rows: int) -> str:
    """Why a model has no evaluation now."""
    rows = monitor.snapshot().rows
    present = len(rows.predictions)
    if present >= min_rows:
        return "the first evaluation is due"
    reason = f"{present:,} of the {min_rows:,} rows that an evaluation needs"
    if rows.other_versions:
        reason += f" ({rows.other_versions:,} more are of other model versions)"
    return reason


def _not_judged(monitor: ModelMonitor, min_rows: int) -> dict[str, Any]:
    snapshot = monitor.snapshot()
    return {
        "model": monitor.name,
        "model_version": snapshot.subject.manifest.version,
        "status": f"not evaluated: {waiting_reason(monitor, min_rows)}",
        "evaluated_at": None,
        "calibrated": False,
        "window": {
            "rows": len(snapshot.rows.predictions),
            "start": snapshot.rows.start,
            "end": snapshot.rows.end,
        },
        "dataset_drift": None,
        "drifted_features_ratio": None,
        "features": [],
        "quality": {},
        "performance": None,
        "errors": {},
    }


def _judged(outcome: Outcome) -> dict[str, Any]:
    evaluation, manifest = outcome.evaluation, outcome.subject.manifest
    return {
        "model": manifest.name,
        "model_version": manifest.version,
        "status": "evaluated" if evaluation.calibrated else "evaluated, not calibrated yet: no verdict",
        "evaluated_at": outcome.evaluated_at,
        "calibrated": evaluation.calibrated,
        "window": {"rows": evaluation.rows, "start": outcome.start, "end": outcome.end},
        "dataset_drift": evaluation.dataset_drift,
        "drifted_features_ratio": evaluation.drifted_ratio,
        "features": [_feature(column) for column in evaluation.drift.values()],
        "quality": dict(evaluation.quality),
        "performance": _performance(outcome),
        "errors": dict(evaluation.errors),
    }


def _feature(column: ColumnDrift) -> dict[str, Any]:
    return {
        "name": column.column,
        "method": column.method,
        "score": column.score,
        "threshold": column.threshold,
        "drifted": column.drifted,
    }


def _performance(outcome: Outcome) -> dict[str, Any]:
    evaluation: Evaluation = outcome.evaluation
    now: Performance = evaluation.performance
    return {
        "labelled_rows": evaluation.labelled_rows,
        "label_coverage": evaluation.label_coverage,
        "label_delay_seconds": outcome.label_delay,
        "measures": dict(now.measures),
        "reference": dict(evaluation.reference_performance.measures),
        "concept_drift_ratio": evaluation.concept_drift_ratio,
        "errors": dict(now.errors),
    }
