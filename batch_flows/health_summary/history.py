"""What Prometheus remembers of a window: availability, latency, drift, alarms and delivery, by PromQL."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from batch_flows.health_summary.prometheus_api import QueryRefused, Series
from batch_flows.time_range import TimeRange

HOUR = timedelta(hours=1)
ALARM_POINTS = 2_000
SHORTEST_STEP = timedelta(minutes=1)

UPTIME = "sum by (job) (sum_over_time(up[RANGE])) / sum by (job) (count_over_time(up[RANGE]))"
P95 = (
    "histogram_quantile(0.95, sum by (model, le) "
    '(rate(sextant_prediction_duration_seconds_bucket{outcome="ok"}[RANGE])))'
)
DRIFT = (
    "sum by (model) (sum_over_time(sextant_dataset_drift[RANGE]))"
    " / sum by (model) (count_over_time(sextant_dataset_drift[RANGE]))"
)
BACKLOG = "max by (sink) (max_over_time(sextant_outbox_events[RANGE]))"
ALARMS = 'ALERTS{alertstate="firing",severity!="none"}'  # the Watchdog always fires
FIRING = f"max by (alertname, severity, model, job) (max_over_time({ALARMS}[RANGE]))"
COUNTS = {
    "Predictions not answered as asked": (
        "outcome",
        'sum by (outcome) (increase(sextant_predictions_total{outcome!="ok"}[RANGE]))',
    ),
    "Failed deliveries": ("sink", "sum by (sink) (increase(sextant_delivery_failures_total[RANGE]))"),
    "Events dead-lettered": ("sink", "sum by (sink) (increase(sextant_events_dead_lettered_total[RANGE]))"),
    "Events skipped": ("sink", "sum by (sink) (increase(sextant_events_skipped_total[RANGE]))"),
    "Columns that could not be evaluated": (
        "model",
        "sum by (model) (increase(sextant_evaluation_errors_total[RANGE]))",
    ),
}

ByHour = Mapping[datetime, float]
"""A value for each full hour that has one, by the hour's start."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alert that fired without a break; `about` is its model or job."""

    name: str
    severity: str
    about: str
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Count:
    """How often something went wrong, and for whom: an outcome, a sink or a model."""

    what: str
    about: str
    number: int


@dataclass(frozen=True, slots=True)
class PrometheusHistory:
    """Prometheus' view of a window; shares are 0 to 1, latencies seconds, keys the job, model or sink."""

    uptime: Mapping[str, float]
    uptime_by_hour: Mapping[str, ByHour]
    p95: Mapping[str, ByHour]
    drift: Mapping[str, float]
    drift_by_hour: Mapping[str, ByHour]
    backlog: Mapping[str, float]
    alarms: Sequence[Alarm]
    counts: Sequence[Count]
    notes: Sequence[str]


class Api(Protocol):
    """What is asked of Prometheus; `prometheus_api.PrometheusApi` is the real one."""

    def instant(self, query: str, at: datetime) -> list[Series]:
        """The query's value at a moment."""

    def over(self, query: str, start: datetime, end: datetime, step: timedelta) -> list[Series]:
        """The query's values from start to end, both included."""


def read_history(api: Api, window: TimeRange) -> PrometheusHistory:
    """Everything at once; a query that is refused becomes a note, PrometheusAway goes to the caller."""
    reader = _Reader(api, window)
    uptime = reader.total("uptime", UPTIME, "job")
    return PrometheusHistory(
        uptime=uptime,
        uptime_by_hour=reader.by_hour("uptime by hour", UPTIME, "job"),
        p95=reader.by_hour("latency", P95, "model"),
        drift=reader.total("drift", DRIFT, "model"),
        drift_by_hour=reader.by_hour("drift by hour", DRIFT, "model"),
        backlog=reader.total("backlog", BACKLOG, "sink"),
        alarms=reader.alarms(),
        counts=list(reader.counts()),
        notes=reader.notes if uptime or reader.notes else ["Prometheus remembers nothing of this window."],
    )


def alarm_step(window: TimeRange) -> timedelta:
    """How finely alarms are looked at: at most ALARM_POINTS times, at least a minute apart."""
    seconds = math.ceil((window.end - window.start).total_seconds() / ALARM_POINTS)
    return max(SHORTEST_STEP, timedelta(seconds=seconds))


def episodes(moments: Sequence[datetime], step: timedelta) -> list[tuple[datetime, datetime]]:
    """Start and end of each run of moments a step apart; a moment stands for the step before it."""
    runs: list[tuple[datetime, datetime]] = []
    for moment in moments:
        if runs and moment - runs[-1][1] <= step:
            runs[-1] = (runs[-1][0], moment)
        else:
            runs.append((moment - step, moment))
    return runs


def start_of_hour(moment: datetime) -> datetime:
    """The full hour that a moment lies in."""
    return moment.replace(minute=0, second=0, microsecond=0)


class _Reader:
    """Asks about one window and notes what Prometheus refused."""

    def __init__(self, api: Api, window: TimeRange) -> None:
        self._api = api
        self._window = window
        self.notes: list[str] = []

    def total(self, what: str, query: str, label: str) -> dict[str, float]:
        found = self._instant(what, query, self._window.end - self._window.start)
        return {series.labels.get(label, ""): series.points[0][1] for series in found if series.points}

    def by_hour(self, what: str, query: str, label: str) -> dict[str, ByHour]:
        """Full hours in one query, and the hour that the window ends in by itself."""
        values: dict[str, dict[datetime, float]] = {}
        last_hour = start_of_hour(self._window.end)
        hours = self._over(what, query, self._window.start + HOUR, last_hour, HOUR)
        tail = self._instant(what, query, self._window.end - last_hour)
        for series in [*hours, *tail]:
            of_label = values.setdefault(series.labels.get(label, ""), {})
            of_label.update({start_of_hour(moment - _INSTANT): value for moment, value in series.points})
        return {name: by_hour for name, by_hour in sorted(values.items()) if by_hour}

    def alarms(self) -> list[Alarm]:
        step = alarm_step(self._window)
        steps = max(1, (self._window.end - self._window.start) // step)
        first = self._window.end - (steps - 1) * step
        found = self._over("alarms", FIRING, first, self._window.end, step)
        alarms = (alarm for series in found for alarm in _alarms(series, step))
        return sorted(alarms, key=lambda alarm: (alarm.start, alarm.name, alarm.about))

    def counts(self) -> Iterator[Count]:
        for what, (label, query) in COUNTS.items():
            for about, number in sorted(self.total(what.lower(), query, label).items()):
                if round(number):
                    yield Count(what, about, round(number))

    def _instant(self, what: str, query: str, length: timedelta) -> list[Series]:
        if not length:
            return []
        try:
            return self._api.instant(_with_range(query, length), self._window.end)
        except QueryRefused as error:
            return self._note(what, error)

    def _over(self, what: str, query: str, start: datetime, end: datetime, step: timedelta) -> list[Series]:
        if start > end:
            return []
        try:
            return self._api.over(_with_range(query, step), start, end, step)
        except QueryRefused as error:
            return self._note(what, error)

    def _note(self, what: str, error: QueryRefused) -> list[Series]:
        note = f"Not known: {what} ({error})."
        if note not in self.notes:
            self.notes.append(note)
        return []


_INSTANT = timedelta(milliseconds=1)
"""A value at ten o'clock is about the hour before it."""


def _with_range(query: str, length: timedelta) -> str:
    return query.replace("RANGE", f"{math.ceil(length.total_seconds())}s")


def _alarms(series: Series, step: timedelta) -> Iterator[Alarm]:
    labels = series.labels
    about = labels.get("model") or labels.get("job") or ""
    for start, end in episodes([moment for moment, value in series.points if value], step):
        yield Alarm(labels.get("alertname", "?"), labels.get("severity", ""), about, start, end)
