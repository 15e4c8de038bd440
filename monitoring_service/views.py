"""The latest evaluation of a model as JSON for programs."""

from dataclasses import asdict
from typing import Any

from monitoring_service.model_monitor import MonitorState, Snapshot, WindowEvaluation
from sextant.evaluation.evaluate import THRESHOLDS
from sextant.evaluation.verdict import as_dicts


def drift_view(state: MonitorState, min_rows: int) -> dict[str, Any]:
    """What /models/<name>/drift answers; `dataset_drift` is null while there is no verdict, with the reason."""
    manifest = state.snapshot.monitored.manifest
    found = {"model": manifest.name, "model_version": manifest.version}
    return found | (_judged(state, state.latest) if state.latest else _not_judged(state.snapshot, min_rows))


def waiting_reason(snapshot: Snapshot, min_rows: int) -> str:
    """Why a model has no evaluation now."""
    present, others = len(snapshot.rows.predictions), snapshot.rows.other_versions
    if present >= min_rows:
        return "the first evaluation is due"
    reason = f"{present:,} of the {min_rows:,} rows that an evaluation needs"
    return f"{reason} ({others:,} more are of other model versions)" if others else reason


def _not_judged(snapshot: Snapshot, min_rows: int) -> dict[str, Any]:
    rows, reference = snapshot.rows, snapshot.monitored.reference
    return {
        "status": f"not evaluated: {waiting_reason(snapshot, min_rows)}",
        "evaluated_at": None,
        "calibrated": False,
        "thresholds": {"order": reference.order, "hold": reference.holds},
        "window": {"rows": len(rows.predictions), "start": rows.start, "end": rows.end},
        "dataset_drift": None,
        "drifted_features_ratio": None,
        "verdicts": [],
        "measures": {},
        "reference_measures": {},
        "quality": {},
        "segments": {},
        "errors": {},
    }


def _judged(state: MonitorState, latest: WindowEvaluation) -> dict[str, Any]:
    evaluation, window = latest.evaluation, latest.window
    together = state.multivariate
    return {
        "status": "evaluated"
        if evaluation.calibrated
        else f"evaluated, no verdict: {evaluation.notes[THRESHOLDS]}",
        "evaluated_at": latest.evaluated_at,
        "multivariate_evaluated_at": together.evaluated_at if together else None,
        "calibrated": evaluation.calibrated,
        "thresholds": {"order": evaluation.order, "hold": evaluation.holds},
        "window": {
            "rows": evaluation.rows,
            "rows_without_time": evaluation.rows_without_time,
            "unsupported_rows": evaluation.unsupported_rows,
            "unsupported_hours": evaluation.unsupported_hours,
            "labelled_rows": evaluation.labelled_rows,
            "label_coverage": evaluation.label_coverage,
            "label_delay_seconds": window.label_delay,
            "start": window.start,
            "end": window.end,
            "rows_per_second": window.rows_per_second,
            "duplicate_rows_ratio": window.duplicate_ratio,
        },
        "dataset_drift": evaluation.dataset_drift,
        "drifted_features_ratio": evaluation.drifted_ratio,
        "verdicts": as_dicts(state.verdicts),
        "measures": evaluation.measures,
        "reference_measures": evaluation.reference_measures,
        "prediction_mean": evaluation.prediction_mean,
        "reference_prediction_mean": evaluation.reference_prediction_mean,
        "quality": evaluation.quality,
        "segments": {name: asdict(segment) for name, segment in evaluation.segments.items()},
        "undefined": evaluation.undefined,
        "errors": {**latest.monitored.unknowable, **evaluation.errors},
    }
