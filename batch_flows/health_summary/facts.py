"""What a health summary states: volume, drift, coverage and slowest hours, from MongoDB and Prometheus; pure."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from batch_flows.health_summary.history import ByHour, PrometheusHistory, start_of_hour
from batch_flows.reports.record import ReportRecord
from batch_flows.time_range import TimeRange, choose_time_range
from sextant.contracts.errors import Rejected
from sextant.infrastructure.documents import HourlyTraffic

FLOW = "health-summary"
LONGEST_DAYS = 366
SLOWEST_HOURS = 5
HEADLINES = ("mae", "accuracy")


@dataclass(frozen=True, slots=True)
class ModelWeek:
    """What MongoDB holds of a model: traffic and share of labelled rows by hour; drift reports, oldest first."""

    model: str
    hours: Mapping[datetime, HourlyTraffic]
    labelled: ByHour
    reports: Sequence[ReportRecord]

    @property
    def rows(self) -> int:
        """Predictions in the window."""
        return sum(hour.rows for hour in self.hours.values())

    @property
    def latency_ms(self) -> float | None:
        """Mean over the predictions that know their latency."""
        timed = sum(hour.timed for hour in self.hours.values())
        return (
            sum(hour.timed * (hour.latency_ms or 0.0) for hour in self.hours.values()) / timed if timed else None
        )

    @property
    def rows_with_target(self) -> int:
        """How many predictions have a target by now; estimated where there were too many to look at all."""
        return round(self._with_target())

    @property
    def coverage(self) -> float | None:
        """Share of the predictions that have a target by now."""
        return self._with_target() / self.rows if self.rows else None

    def _with_target(self) -> float:
        return sum(self.hours[start].rows * ratio for start, ratio in self.labelled.items())


@dataclass(frozen=True, slots=True)
class DriftEpisode:
    """Reports in a row, of one model, that found drift: from the first one's window to the last one's."""

    model: str
    start: datetime
    end: datetime
    reports: int
    columns: Sequence[str]
    html: str


@dataclass(frozen=True, slots=True)
class SlowHour:
    """An hour of a model by its latency; `rows` is None where MongoDB holds nothing of it."""

    model: str
    start: datetime
    latency_ms: float
    rows: int | None


@dataclass(frozen=True, slots=True)
class AlarmLine:
    """One alert of a model or job: how often it fired, how long in all, and when last."""

    name: str
    severity: str
    about: str
    times: int
    total: timedelta
    last_start: datetime


@dataclass(frozen=True, slots=True)
class Health:
    """All that the page shows; without a history, the notes say why."""

    window: TimeRange
    models: Sequence[ModelWeek]
    history: PrometheusHistory | None = None
    notes: Sequence[str] = field(default=())

    @property
    def rows(self) -> int:
        """Predictions of all models."""
        return sum(model.rows for model in self.models)

    @property
    def hours(self) -> list[datetime]:
        """Every hour that the window touches."""
        count = math.ceil((self.window.end - self.window.start) / timedelta(hours=1))
        return [self.window.start + timedelta(hours=number) for number in range(count)]


def choose_days(*, days: float, end: datetime | str | None, now: datetime) -> TimeRange:
    """So many days up to `end` or now, begun at a full hour so that hours are whole; raises Rejected."""
    if not 0 < days <= LONGEST_DAYS:
        raise Rejected(f"days must lie between 0 and {LONGEST_DAYS}, got {days:g}")
    window = choose_time_range(hours=days * 24, start=None, end=end, now=now)
    last = window.end.replace(microsecond=0)
    return TimeRange(start_of_hour(window.start), last if last > start_of_hour(window.start) else window.end)


def drift_reports(window: TimeRange, records: Sequence[ReportRecord]) -> list[ReportRecord]:
    """Those that judge drift and end in the window, oldest first."""
    ours = [record for record in records if record.judges_drift and window.start < record.window.end <= window.end]
    return sorted(ours, key=lambda record: record.window.end)


def drift_episodes(model: ModelWeek) -> list[DriftEpisode]:
    """Runs of reports that found drift; a report that could not judge does not break a run."""
    found: list[list[ReportRecord]] = []
    drifting = False
    for report in model.reports:
        if report.dataset_drift and drifting:
            found[-1].append(report)
        elif report.dataset_drift:
            found.append([report])
        if report.dataset_drift is not None:
            drifting = report.dataset_drift
    return [_episode(model.model, run) for run in found]


def _episode(model: str, run: Sequence[ReportRecord]) -> DriftEpisode:
    columns = dict.fromkeys(column for report in run for column in report.drifted_columns)
    start = min(report.window.start for report in run)
    return DriftEpisode(model, start, run[-1].window.end, len(run), list(columns), run[-1].html)


def slowest_hours(health: Health, count: int = SLOWEST_HOURS) -> list[SlowHour]:
    """By the 95th percentile where Prometheus has it, otherwise by MongoDB's mean."""
    hours = _from_prometheus(health) if has_p95(health) else _from_mongodb(health)
    return sorted(hours, key=lambda hour: (-hour.latency_ms, hour.start, hour.model))[:count]


def has_p95(health: Health) -> bool:
    """Whether latencies are Prometheus' 95th percentiles; otherwise they are MongoDB's means."""
    return health.history is not None and bool(health.history.p95)


def _from_prometheus(health: Health) -> Iterator[SlowHour]:
    traffic = {model.model: model.hours for model in health.models}
    for model, hours in health.history.p95.items() if health.history else ():
        for start, seconds in hours.items():
            hour = traffic.get(model, {}).get(start)
            yield SlowHour(model, start, seconds * 1_000, hour.rows if hour else None)


def _from_mongodb(health: Health) -> Iterator[SlowHour]:
    for model in health.models:
        for start, hour in model.hours.items():
            if hour.latency_ms is not None:
                yield SlowHour(model.model, start, hour.latency_ms, hour.rows)


def alarm_lines(history: PrometheusHistory) -> list[AlarmLine]:
    """Each alert of a model or job once, the longest first."""
    groups: dict[tuple[str, str, str], list[tuple[datetime, datetime]]] = {}
    for alarm in history.alarms:
        groups.setdefault((alarm.name, alarm.severity, alarm.about), []).append((alarm.start, alarm.end))
    lines = [
        AlarmLine(*key, len(spans), sum((end - start for start, end in spans), timedelta()), spans[-1][0])
        for key, spans in groups.items()
    ]
    return sorted(lines, key=lambda line: (-line.total, line.name, line.about))


def lowest_uptime(history: PrometheusHistory) -> tuple[str, float] | None:
    """The job that answered the smallest share of scrapes, and that share."""
    return min(history.uptime.items(), key=lambda item: item[1], default=None)


def watched_hours(history: PrometheusHistory, job: str) -> int:
    """In how many hours Prometheus looked at a job at all."""
    return len(history.uptime_by_hour.get(job, {}))


def performance_of(report: ReportRecord) -> str:
    """Its first headline measure beside the reference's; empty where it had no targets."""
    now, reference = report.measures("performance"), report.measures("reference_performance")
    name = next((name for name in HEADLINES if name in now), None)
    if name is None:
        return ""
    return f"{name} {now[name]:.3g}" + (f" (reference {reference[name]:.3g})" if name in reference else "")
