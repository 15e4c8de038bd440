"""The health summary: how a week went for all models, from MongoDB and, where it answers, Prometheus."""

from contextlib import closing
from datetime import UTC, datetime
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from batch_flows.health_summary.document import record_of, sentence, summary
from batch_flows.health_summary.facts import FLOW, Health, ModelWeek, choose_days, drift_reports
from batch_flows.health_summary.history import PrometheusHistory, read_history
from batch_flows.health_summary.labels import labelled_by_hour
from batch_flows.health_summary.prometheus_api import PrometheusApi, PrometheusAway
from batch_flows.orchestration.steps import run_logger, step
from batch_flows.reports.publish import publish
from batch_flows.reports.record import read_records
from batch_flows.time_range import TimeRange
from sextant.contracts.errors import SextantError
from sextant.contracts.model_bundle import model_names
from sextant.infrastructure.event_store import EventStore
from sextant.infrastructure.settings import Settings, load_settings


@flow(
    name=FLOW,
    flow_run_name="health of {days:g} days",
    description="Availability, volume, drift, label coverage, alarms and slowest hours of all models.",
    timeout_seconds=1800,
)
def health_summary(days: float = 7.0, end: datetime | None = None) -> "State[Any]":
    """Completed with what was found, or with "Empty" when there is no model; Failed with one sentence.

    Args:
        days: How many days up to the end; the first hour is taken whole.
        end: End of the window, with a time zone; none: now.
    """
    try:
        window = choose_days(days=days, end=end, now=datetime.now(UTC))
        return _summary(load_settings(), window)
    except SextantError as error:
        return Failed(message=str(error))


def _summary(settings: Settings, window: TimeRange) -> "State[Any]":
    from batch_flows.health_summary.page import render

    models, unreadable = read_models(settings, window)
    if not models:
        return Completed(name="Empty", message="there is no model, neither published nor with predictions")
    notes = [f"{unreadable:,} report(s) in MongoDB could not be read and are left out."] if unreadable else []
    health = _with_history(settings, Health(window, models, notes=notes))

    record = record_of(health, datetime.now(UTC))
    page = render(health, record.created_at, share_plotly(settings))
    return publish(settings, record, page, sentence=sentence(health), summary=summary(health))


def _with_history(settings: Settings, health: Health) -> Health:
    """What Prometheus adds; without it the page has less, and says so."""
    try:
        history = ask_prometheus(settings, health.window)
    except PrometheusAway as error:
        run_logger().warning("%s", error)
        missing = "Availability, alarms, drift by the hour and delivery are therefore missing."
        return Health(health.window, health.models, notes=[*health.notes, f"{error}. {missing}"])
    return Health(health.window, health.models, history, [*health.notes, *history.notes])


@step(name="Read traffic and drift reports from MongoDB", minutes=10)
def read_models(settings: Settings, window: TimeRange) -> tuple[list[ModelWeek], int]:
    """Every model that is published or has predictions, and how many of their reports could not be read."""
    weeks, unreadable = [], 0
    with closing(EventStore.connect(settings.mongodb_uri, settings.mongodb_database)) as store:
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
