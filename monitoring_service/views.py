"""The latest evaluation of a model as JSON for programs."""

from typing import Any

from monitoring_service.model_monitor import ModelMonitor, MultivariateOutcome, Outcome
from sextant.evaluation.by_segment import SegmentEvaluation
from sextant.evaluation.drift.column import ColumnDrift
from sextant.evaluation.drift.multivariate import METHOD
from sextant.evaluation.performance.error_growth import ErrorGrowth


def drift_view(monitor: ModelMonitor, min_rows: int) -> dict[str, Any]:
    """What /models/<name>/drift answers; `dataset_drift` is null while there is no verdict, with the reason."""
    latest = monitor.latest
    return _judged(latest, monitor.multivariate) if latest else _not_judged(monitor, min_rows)


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
        "data_quality": [],
        "multivariate": None,
        "performance": None,
        "segments": [],
        "errors": {},
    }


def _judged(outcome: Outcome, together: MultivariateOutcome | None) -> dict[str, Any]:
    evaluation, manifest, window = outcome.evaluation, outcome.subject.manifest, outcome.window
    return {
        "model": manifest.name,
        "model_version": manifest.version,
        "status": "evaluated" if evaluation.calibrated else "evaluated, not calibrated yet: no verdict",
        "evaluated_at": outcome.evaluated_at,
        "calibrated": evaluation.calibrated,
        "window": {
            "rows": evaluation.rows,
            "start": window.start,
            "end": window.end,
            "rows_per_second": window.rows_per_second,
            "duplicate_rows_ratio": window.duplicate_ratio,
        },
        "dataset_drift": evaluation.dataset_drift,
        "drifted_features_ratio": evaluation.drifted_ratio,
        "features": [_feature(column) for column in evaluation.drift.values()],
        "quality": dict(evaluation.quality),
        "data_quality": list(evaluation.data_quality),
        "multivariate": _multivariate(together),
        "performance": _performance(outcome),
        "segments": [_segment(name, segment) for name, segment in evaluation.segments.items()],
        "errors": {**outcome.subject.unknowable, **evaluation.errors},
    }


def _feature(column: ColumnDrift) -> dict[str, Any]:
    return {
        "name": column.column,
        "method": column.method,
        "score": column.score,
        "threshold": column.threshold,
        "drifted": column.drifted,
    }


def _multivariate(outcome: MultivariateOutcome | None) -> dict[str, Any] | None:
    if outcome is None:
        return None
    drift = outcome.drift
    return {
        "method": METHOD,
        "rows": drift.rows,
        "score": drift.score,
        "threshold": drift.threshold,
        "drifted": drift.drifted,
        "evaluated_at": outcome.evaluated_at,
    }


def _performance(outcome: Outcome) -> dict[str, Any]:
    evaluation = outcome.evaluation
    now, concept = evaluation.performance, evaluation.performance_degradation
    return {
        "labelled_rows": evaluation.labelled_rows,
        "label_coverage": evaluation.label_coverage,
        "label_delay_seconds": outcome.window.label_delay,
        "measures": {**now.measures, **evaluation.estimated},
        "reference": {**evaluation.reference_performance.measures, **evaluation.reference_estimated},
        "performance_degradation_ratio": concept.ratio if concept else None,
        "performance_degradation_threshold": concept.threshold if concept else None,
        "performance_degradation": concept.drifted if concept else None,
        "concept_drift": _growth(evaluation.concept_drift),
        "estimated_degradation": _growth(evaluation.estimated_degradation),
        "prediction_mean": evaluation.prediction_mean,
        "reference_prediction_mean": outcome.subject.reference.prediction_mean,
        "errors": dict(now.errors),
    }


def _growth(found: ErrorGrowth | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {"ratio": found.ratio, "threshold": found.threshold, "detected": found.drifted}


def _segment(name: str, segment: SegmentEvaluation) -> dict[str, Any]:
    return {
        "segment": name,
        "rows": segment.rows,
        "labelled_rows": segment.performance.labelled_rows,
        "drifted": segment.drifted,
        "features": [_feature(column) for column in segment.drift.values()],
        "measures": {**segment.performance.measures, **segment.estimated},
        "reference": {**segment.reference_performance.measures, **segment.reference_estimated},
        "fairness_gap": _growth(segment.fairness_gap),
    }
