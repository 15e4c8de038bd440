"""What a health summary is made from, each read in a step: traffic, labels, drift reports, and Prometheus."""

from collections.abc import Collection
from datetime import datetime
from itertools import islice

from batch_flows.health_summary.facts import ModelWeek, drift_reports
from batch_flows.health_summary.history import HOUR, PrometheusHistory, read_history
from batch_flows.health_summary.prometheus_api import PrometheusApi
from batch_flows.orchestration.steps import run_logger, step
from batch_flows.reports.record import read_records
from batch_flows.store import open_store
from batch_flows.time_range import TimeRange
from sextant.contracts.model_bundle import model_names
from sextant.infrastructure.event_store import EventStore
from sextant.infrastructure.settings import Settings

MOST_PARTS = 30
"""A week's parts are six hours long; nx-27017 reads its whole collection for each."""
OPTIONAL = ("context", "latency_ms", "probabilities")


@step(name="Read traffic and drift reports from MongoDB", minutes=10)
def read_models(settings: Settings, window: TimeRange) -> tuple[list[ModelWeek], int]:
    """Every model that is published or has predictions, and how many of their reports could not be read."""
    weeks, unreadable = [], 0
    with open_store(settings) as store:
        for model in sorted({*model_names(settings.models_dir), *store.models()}):
            hours = store.hourly(model, window.start, window.end)
            records, skipped = read_records(store.reports(model))
            labelled = labelled_by_hour(store, model, window, hours, most=settings.report_max_rows)
            weeks.append(ModelWeek(model, hours, labelled, drift_reports(window, records)))
            unreadable += len(skipped)
    rows = sum(week.rows for week in weeks)
    run_logger().info("window %s: %d predictions of %d models", window, rows, len(weeks))
    return weeks, unreadable


@step(name="Ask Prometheus", minutes=10)
def ask_prometheus(settings: Settings, window: TimeRange) -> PrometheusHistory:
    """What Prometheus remembers of the window; raises PrometheusAway, which is tried again."""
    return read_history(PrometheusApi(settings.prometheus_url), window)


@step(name="Share plotly.js", minutes=5)
def share_plotly(settings: Settings) -> str:
    """The path of the reports' one copy of plotly.js, relative to a report."""
    from batch_flows.reports.files import ensure_plotly

    return ensure_plotly(settings.reports_dir)


def labelled_by_hour(
    store: EventStore, model: str, window: TimeRange, hours: Collection[datetime], *, most: int
) -> dict[datetime, float]:
    """For each of these hours the share of labelled predictions in its part of the window.

    About `most` predictions are looked at, the first ones of each part; in a window of no more, all.
    """
    shares: dict[datetime, float] = {}
    for part in window.parts(MOST_PARTS, HOUR):
        busy = [hour for hour in hours if part.start <= hour < part.end]
        share = _labelled(store, model, part, most // MOST_PARTS or 1) if busy else None
        if share is not None:
            shares.update(dict.fromkeys(busy, share))
    return shares


def _labelled(store: EventStore, model: str, part: TimeRange, most: int) -> float | None:
    """Documents that are no predictions are left out; None when there is nothing else."""
    found = store.between(model, part.start, part.end, skip=lambda _refusal: None, without=OPTIONAL)
    ids = [prediction.prediction_id for prediction in islice(found, most)]
    return len(store.targets_for(model, ids)) / len(ids) if ids else None
