"""The health summary: how a week went for all models, from MongoDB and, where it answers, Prometheus."""

from datetime import UTC, datetime
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from batch_flows.health_summary import steps
from batch_flows.health_summary.facts import FLOW, Health, choose_days
from batch_flows.health_summary.prometheus_api import PrometheusAway
from batch_flows.health_summary.summary import record_of, sentence, summary
from batch_flows.orchestration.steps import run_logger
from batch_flows.reports.publish import publish
from batch_flows.time_range import TimeRange
from sextant.contracts.errors import SextantError
from sextant.infrastructure.settings import Settings, load_settings


@flow(
    name=FLOW,
    flow_run_name="health of {days:g} days",
    description="Availability, volume, drift, label coverage, alarms and slowest hours of all models.",
    timeout_seconds=1800,
)
def health_summary(days: float = 7.0, end: datetime | None = None) -> "State[Any]":
    """Completed with what was found, "Empty" when there is no model, "Kept" where an earlier page saw more.

    Failed with one sentence.

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

    models, unreadable = steps.read_models(settings, window)
    if not models:
        return Completed(name="Empty", message="there is no model, neither published nor with predictions")
    notes = [f"{unreadable:,} report(s) in MongoDB could not be read and are left out."] if unreadable else []
    health = _with_history(settings, Health(window, models, notes=notes))

    record = record_of(health, datetime.now(UTC))
    page = render(health, record.created_at, steps.share_plotly(settings))
    return publish(settings, record, page, sentence=sentence(health), summary=summary(health))


def _with_history(settings: Settings, health: Health) -> Health:
    """What Prometheus adds; without it the page has less, and says so."""
    try:
        history = steps.ask_prometheus(settings, health.window)
    except PrometheusAway as error:
        run_logger().warning("%s", error)
        missing = "Availability, alarms, drift by the hour and delivery are therefore missing."
        return Health(health.window, health.models, notes=[*health.notes, f"{error}. {missing}"])
    return Health(health.window, health.models, history, [*health.notes, *history.notes])
