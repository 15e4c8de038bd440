"""What a health summary reads: two days of a model, its drift reports, and what Prometheus remembers."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from batch_flows.health_summary.facts import ModelWeek, drift_reports
from batch_flows.health_summary.history import Alarm, Count, PrometheusHistory
from batch_flows.reports.record import read_records
from batch_flows.time_range import TimeRange
from sextant.infrastructure.documents import HourlyTraffic

START = datetime(2026, 3, 2, 0, tzinfo=UTC)

HOUR = timedelta(hours=1)

MINUTE = timedelta(minutes=1)

WINDOW = TimeRange(START, START + timedelta(days=2, minutes=20))


def report(number: int, drifted: bool | None, *columns: str, **more: Any) -> dict[str, Any]:
    """A drift report's document, over the six hours that end `number` hours after the start."""
    drift = {name: {"drifted": name in columns} for name in ("trip_distance", "PULocationID")}
    metrics = {"dataset_drift": drifted, "drifted_features_ratio": len(columns) / 2, "drift": drift}
    performance = {"performance": {"mae": 3.21}, "reference_performance": {"mae": 2.4}}
    end = START + number * HOUR
    window = {"start": end - 6 * HOUR, "end": end}
    document = {"_id": f"r{number}", "flow": "drift-report", "model": "taxi", "window": window, "rows": 100}
    document["created_at"] = end
    return document | {"metrics": metrics | performance, "html": f"r{number}.html"} | more


def week(*reports: Mapping[str, Any], model: str = "taxi", hours: int = 30) -> ModelWeek:
    traffic = {
        START + number * HOUR: HourlyTraffic(10 + number, 10 + number, 2.0 + number) for number in range(hours)
    }
    labelled = dict.fromkeys(traffic, 0.5)
    return ModelWeek(model, traffic, labelled, drift_reports(WINDOW, read_records(reports)[0]))


def history(**changes: Any) -> PrometheusHistory:
    seen = {START + number * HOUR: 1.0 for number in range(40)}
    values = {
        "uptime": {"prediction": 1.0, "relay": 0.99996},
        "uptime_by_hour": {"prediction": seen, "relay": seen | {START + 3 * HOUR: 0.4}},
        "p95": {"taxi": {START: 0.004, START + 5 * HOUR: 0.25}},
        "drift": {"taxi": 0.125},
        "drift_by_hour": {"taxi": seen | {START: 0.0}},
        "backlog": {"mongodb": 1200.0},
        "alarms": [
            Alarm("DatasetDrift", "warning", "taxi", START, START + 90 * MINUTE),
            Alarm("ServiceDown", "page", "relay", START + HOUR, START + HOUR + 2 * MINUTE),
            Alarm("DatasetDrift", "warning", "taxi", START + 9 * HOUR, START + 10 * HOUR),
        ],
        "counts": [Count("Events dead-lettered", "mongodb", 3)],
        "notes": [],
    }
    return PrometheusHistory(**(values | changes))
