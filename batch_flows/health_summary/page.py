"""The health summary as one HTML page: facts in tables, then plots; every text is escaped by the template."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import orjson
from jinja2 import Environment, FileSystemLoader

from batch_flows.health_summary.facts import (
    Health,
    ModelWeek,
    alarm_lines,
    drift_episodes,
    has_p95,
    lowest_uptime,
    performance_of,
    slowest_hours,
    watched_hours,
)
from batch_flows.health_summary.figures import figures
from batch_flows.health_summary.history import PrometheusHistory, alarm_step
from sextant.contracts.page_policy import own_parts
from sextant.pages.words import UNKNOWN, share, span

TEMPLATES = Path(__file__).resolve().parent / "templates"


@dataclass(frozen=True, slots=True)
class Link:
    """A cell that leads to another page, relative to this one."""

    text: str
    href: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table, or the sentence that stands in its place when it has no rows."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str | Link]]
    otherwise: str
    remark: str = ""


def render(health: Health, created_at: datetime, plotly: str) -> str:
    """The page; `plotly` is the path of plotly.js relative to it."""
    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True)
    drawn = figures(health)
    return environment.get_template("health.html").render(
        window=health.window,
        created_at=created_at,
        notes=health.notes,
        facts=_facts(health),
        tables=tables(health),
        titles=[figure.title for figure in drawn],
        figures=_json([asdict(figure) for figure in drawn]),
        plotly=plotly,
        policy=own_parts(
            (TEMPLATES / "health.html").read_text(), scripts=("'self'",), styles=("'unsafe-inline'",)
        ),
    )


def tables(health: Health) -> list[Table]:
    """The page's tables; those that only Prometheus can fill are left out without it."""
    history = health.history
    shown = [_models(health)]
    if history:
        shown += [_availability(health, history), _alarms(health, history)]
    shown += [_drift(health), _slowest(health)]
    if history:
        shown.append(_delivery(history))
    return shown


def _facts(health: Health) -> dict[str, str]:
    busy = {start for model in health.models for start in model.hours}
    facts = {
        "Predictions": f"{health.rows:,}" if health.rows else "none: zero traffic",
        "Models": str(len(health.models)),
        "Hours with traffic": f"{len(busy):,} of {len(health.hours):,}",
    }
    if health.history:
        if lowest := lowest_uptime(health.history):
            facts["Lowest availability"] = f"{share(lowest[1], 2)} ({lowest[0]})"
        facts["Alarms"] = str(len(health.history.alarms))
    return facts


def _models(health: Health) -> Table:
    columns = ("Model", "Predictions", "Busy hours", "Mean latency", "In drift", "Reports with drift")
    return Table(
        "Models",
        (*columns, "Label coverage", "Performance"),
        [_model(model, health.history) for model in health.models],
        "No model.",
        "In drift: share of the time, from Prometheus. Label coverage: targets that have arrived by now. Reports: "
        "drift reports that end in the window; performance as the newest of them knows it.",
    )


def _model(model: ModelWeek, history: PrometheusHistory | None) -> Sequence[str | Link]:
    judged = [report.dataset_drift for report in model.reports if report.dataset_drift is not None]
    known = [performance for report in model.reports if (performance := performance_of(report))]
    return (
        model.model,
        f"{model.rows:,}",
        f"{len(model.hours):,}",
        _milliseconds(model.latency_ms),
        share(history.drift.get(model.model)) if history else UNKNOWN,
        f"{sum(judged)} of {len(judged)}" if judged else UNKNOWN,
        f"{share(model.coverage)} ({model.rows_with_target:,})" if model.rows else UNKNOWN,
        known[-1] if known else UNKNOWN,
    )


def _availability(health: Health, history: PrometheusHistory) -> Table:
    worst_first = sorted(history.uptime.items(), key=lambda item: (item[1], item[0]))
    return Table(
        "Availability",
        ("Service", "Answered Prometheus", "Hours watched"),
        [(job, share(up, 2), f"{watched_hours(history, job)} of {len(health.hours)}") for job, up in worst_first],
        "Prometheus watched no service in this window.",
        "Share of Prometheus' scrapes that were answered. Hours that Prometheus itself missed do not count.",
    )


def _alarms(health: Health, history: PrometheusHistory) -> Table:
    rows = [
        (line.name, line.about or UNKNOWN, line.severity or UNKNOWN, str(line.times), span(line.total),
         _time(line.last_start))
        for line in alarm_lines(history)
    ]  # fmt: skip
    return Table(
        "Alarms",
        ("Alarm", "About", "Severity", "Times", "In all", "Last began"),
        rows,
        "No alarm fired.",
        f"Times are exact to {span(alarm_step(health.window))}.",
    )


def _drift(health: Health) -> Table:
    episodes = [episode for model in health.models for episode in drift_episodes(model)]
    rows = [
        (found.model, _time(found.start), _time(found.end), str(found.reports), ", ".join(found.columns),
         Link("last report", found.html))
        for found in sorted(episodes, key=lambda episode: (episode.start, episode.model))
    ]  # fmt: skip
    any_report = any(model.reports for model in health.models)
    otherwise = "No drift report found drift." if any_report else "No drift report ends in this window."
    columns = ("Model", "From", "To", "Reports", "Drifted columns", "Look")
    told = ["Drift reports in a row that found drift.", *map(_thresholds, health.models)]
    return Table("Drift episodes", columns, rows, otherwise, " ".join(filter(None, told)))


def _thresholds(model: ModelWeek) -> str:
    """For which rows a model's newest report says that its thresholds hold."""
    known = [report.thresholds_hold for report in model.reports if report.thresholds_hold]
    return f"Thresholds of {model.model}: {known[-1]}." if known else ""


def _slowest(health: Health) -> Table:
    rows = [
        (hour.model or UNKNOWN, _time(hour.start), _milliseconds(hour.latency_ms),
         UNKNOWN if hour.rows is None else f"{hour.rows:,}")
        for hour in slowest_hours(health)
    ]  # fmt: skip
    measure = "95th percentile" if has_p95(health) else "Mean latency"
    columns = ("Model", "Hour from", measure, "Predictions")
    return Table("Slowest hours", columns, rows, "No latency is known.")


def _delivery(history: PrometheusHistory) -> Table:
    backlog = [
        ("Largest backlog (events)", sink or UNKNOWN, f"{size:,.0f}") for sink, size in history.backlog.items()
    ]
    counts = [(count.what, count.about or UNKNOWN, f"{count.number:,}") for count in history.counts]
    remark = "" if counts else "No errors, dead letters or skipped events."
    return Table(
        "Delivery and errors", ("What", "Of", "How many"), [*backlog, *counts], "Nothing is known.", remark
    )


def _milliseconds(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:,.3g} ms"


def _time(moment: datetime) -> str:
    return f"{moment:%a %Y-%m-%d %H:%M}"


def _json(value: object) -> str:
    """JSON that may stand in a script element: nothing in it can end the element."""
    text = orjson.dumps(value).decode()
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
