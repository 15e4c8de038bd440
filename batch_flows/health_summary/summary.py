"""A health summary in few words: the sentence of a run, what its page in Prefect says, and what is kept of it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from batch_flows.health_summary.facts import (
    FLOW,
    Health,
    ModelWeek,
    drift_episodes,
    lowest_uptime,
    slowest_hours,
)
from batch_flows.health_summary.history import PrometheusHistory
from batch_flows.reports.record import ALL_MODELS, ReportRecord
from sextant.pages.words import share


def sentence(health: Health) -> str:
    """The finding in one line."""
    volume = f"{health.rows:,} predictions" if health.rows else "zero traffic"
    parts = [f"{health.window}: {volume}, {len(health.models)} model(s)"]
    drifted = [model.model for model in health.models if drift_episodes(model)]
    parts.append(f"drift reported of {', '.join(drifted)}" if drifted else "no drift reported")
    if health.history is None:
        parts.append("without Prometheus")
    else:
        parts.append(f"{len(health.history.alarms)} alarm(s)")
        if lowest := lowest_uptime(health.history):
            parts.append(f"lowest availability {share(lowest[1], 2)} ({lowest[0]})")
    return "; ".join(parts)


def summary(health: Health) -> str:
    """The finding and what is not known, for the flow run's page."""
    return "\n\n".join([sentence(health), *health.notes])


def status(health: Health) -> Mapping[str, str]:
    """The verdict as the index shows it: the first thing that a reader should see to."""
    alarms = len(health.history.alarms) if health.history else 0
    if not health.rows:
        return {"text": "zero traffic", "kind": "bad"}
    if alarms:
        return {"text": f"{alarms} alarms" if alarms > 1 else "1 alarm", "kind": "bad"}
    if any(drift_episodes(model) for model in health.models):
        return {"text": "drift", "kind": "bad"}
    if not health.history:
        return {"text": "without Prometheus", "kind": "quiet"}
    return {"text": "no alarm", "kind": "good"}


def record_of(health: Health, created_at: datetime) -> ReportRecord:
    """What is kept of the summary; the same window is the same summary, made again."""
    report_id = f"{FLOW}_{ALL_MODELS}_{health.window.slug}"
    return ReportRecord(
        id=report_id,
        flow=FLOW,
        model=ALL_MODELS,
        model_version="",
        window=health.window,
        rows=health.rows,
        rows_with_target=sum(model.rows_with_target for model in health.models),
        created_at=created_at,
        metrics={
            "status": status(health),
            "sources": ["MongoDB", "Prometheus"] if health.history else ["MongoDB"],
            "models": [_model(model) for model in health.models],
            "slowest_hours": [
                {"model": hour.model, "start": hour.start, "latency_ms": hour.latency_ms}
                for hour in slowest_hours(health)
            ],
            "notes": list(health.notes),
            **(_history(health.history) if health.history else {}),
        },
        html=f"{report_id}.html",
    )


def _model(model: ModelWeek) -> Mapping[str, Any]:
    return {
        "model": model.model,
        "predictions": model.rows,
        "hours_with_traffic": len(model.hours),
        "latency_ms": model.latency_ms,
        "label_coverage_ratio": model.coverage,
        "drift_reports": len(model.reports),
        "drift_episodes": len(drift_episodes(model)),
    }


def _history(history: PrometheusHistory) -> Mapping[str, Any]:
    """Names are values here, never keys: a job may be called what MongoDB takes for a path."""
    return {
        "uptime": [{"job": job, "ratio": up} for job, up in history.uptime.items()],
        "drift_time": [{"model": model, "ratio": share} for model, share in history.drift.items()],
        "largest_backlog": [{"sink": sink, "events": size} for sink, size in history.backlog.items()],
        "alarms": [
            {"name": alarm.name, "about": alarm.about, "start": alarm.start, "end": alarm.end}
            for alarm in history.alarms
        ],
        "errors": [{"what": count.what, "of": count.about, "number": count.number} for count in history.counts],
    }
