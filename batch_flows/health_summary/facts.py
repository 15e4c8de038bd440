"""What a health summary states: volume, drift, coverage and slowest hours, from MongoDB and Prometheus; pure."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from batch_flows.health_summary.history import ByHour, History, start_of_hour
from batch_flows.time_range import Window, choose_window
from sextant.contracts.errors import Rejected
from sextant.infrastructure.documents import HourlyTraffic

FLOW = "health-summary"
ALL_MODELS = "all"
LONGEST_DAYS = 366
SLOWEST_HOURS = 5
HEADLINES = ("mae", "accuracy")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one drift report found; `drifted` is None where nothing could be judged."""

    model: str
    window: Window
    drifted: bool | None
    columns: Sequence[str]
    drifted_ratio: float | None
    performance: str
    html: str


@dataclass(frozen=True, slots=True)
class ModelWeek:
    """What MongoDB holds of a model: traffic and share of labelled rows by hour; drift reports, oldest first."""

    model: str
    hours: Mapping[datetime, HourlyTraffic]
    labelled: ByHour
    verdicts: Sequence[Verdict]

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

    window: Window
    models: Sequence[ModelWeek]
    history: History | None = None
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

    @property
    def report_id(self) -> str:
        """The same window is the same summary, made again."""
        return f"{FLOW}_{ALL_MODELS}_{self.window.slug}"

    @property
    def html_name(self) -> str:
        """The page, relative to the reports folder."""
        return f"{self.report_id}.html"


def choose_days(*, days: float, end: datetime | str | None, now: datetime) -> Window:
    """So many days up to `end` or now, begun at a full hour so that hours are whole; raises Rejected."""
    if not 0 < days <= LONGEST_DAYS:
        raise Rejected(f"days must lie between 0 and {LONGEST_DAYS}, got {days:g}")
    window = choose_window(hours=days * 24, start=None, end=end, now=now)
    last = window.end.replace(microsecond=0)
    return Window(start_of_hour(window.start), last if last > start_of_hour(window.start) else window.end)


def verdict_of(report: Mapping[str, Any]) -> Verdict:
    """A `reports` document as a verdict; raises KeyError, TypeError, ValueError or AttributeError for others."""
    metrics = report["metrics"]
    drifted = [name for name, column in metrics["drift"].items() if column["drifted"]]
    return Verdict(
        model=str(report["model"]),
        window=Window(report["window"]["start"], report["window"]["end"]),
        drifted=metrics["dataset_drift"],
        columns=drifted,
        drifted_ratio=metrics.get("drifted_features_ratio"),
        performance=_performance(metrics.get("performance", {}), metrics.get("reference_performance", {})),
        html=str(report["html"]),
    )


def verdicts_in(window: Window, reports: Sequence[Mapping[str, Any]]) -> tuple[list[Verdict], int]:
    """The drift verdicts of reports that end in the window, oldest first, and how many could not be read."""
    verdicts, unreadable = [], 0
    for report in reports:
        try:
            if "dataset_drift" not in report["metrics"]:
                continue  # another flow's
            verdict = verdict_of(report)
            if window.start < verdict.window.end <= window.end:
                verdicts.append(verdict)
        except (KeyError, TypeError, ValueError, AttributeError):
            unreadable += 1
    return sorted(verdicts, key=lambda verdict: verdict.window.end), unreadable


def drift_episodes(model: ModelWeek) -> list[DriftEpisode]:
    """Runs of reports that found drift; a report that could not judge does not break a run."""
    found: list[list[Verdict]] = []
    drifting = False
    for verdict in model.verdicts:
        if verdict.drifted and drifting:
            found[-1].append(verdict)
        elif verdict.drifted:
            found.append([verdict])
        if verdict.drifted is not None:
            drifting = verdict.drifted
    return [_episode(run) for run in found]


def _episode(run: Sequence[Verdict]) -> DriftEpisode:
    columns = dict.fromkeys(column for verdict in run for column in verdict.columns)
    start = min(verdict.window.start for verdict in run)
    return DriftEpisode(run[0].model, start, run[-1].window.end, len(run), list(columns), run[-1].html)


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


def alarm_lines(history: History) -> list[AlarmLine]:
    """Each alert of a model or job once, the longest first."""
    groups: dict[tuple[str, str, str], list[tuple[datetime, datetime]]] = {}
    for alarm in history.alarms:
        groups.setdefault((alarm.name, alarm.severity, alarm.about), []).append((alarm.start, alarm.end))
    lines = [
        AlarmLine(*key, len(spans), sum((end - start for start, end in spans), timedelta()), spans[-1][0])
        for key, spans in groups.items()
    ]
    return sorted(lines, key=lambda line: (-line.total, line.name, line.about))


def lowest_uptime(history: History) -> tuple[str, float] | None:
    """The job that answered the smallest share of scrapes, and that share."""
    return min(history.uptime.items(), key=lambda item: item[1], default=None)


def watched_hours(history: History, job: str) -> int:
    """In how many hours Prometheus looked at a job at all."""
    return len(history.uptime_by_hour.get(job, {}))


def _performance(now: Mapping[str, float], reference: Mapping[str, float]) -> str:
    name = next((name for name in HEADLINES if now.get(name) is not None), None)
    if name is None:
        return ""
    before = reference.get(name)
    return f"{name} {now[name]:.3g}" + (f" (reference {before:.3g})" if before is not None else "")
