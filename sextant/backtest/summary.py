"""What the evaluations of a backtest come to: alarms, the episodes that they make, and what drove them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from statistics import median

from sextant.backtest.replay import BacktestResult, Step
from sextant.evaluation.evaluate import THRESHOLDS, Evaluation
from sextant.evaluation.performance.estimation import ALL_ROWS
from sextant.evaluation.verdict import Verdict
from sextant.evaluation.verdicts import KINDS, Kind

ALARMS = tuple(kind for kind in KINDS if not kind.summed_up_by)


@dataclass(frozen=True, slots=True)
class Cause:
    """A verdict that was detected in an episode: at its worst, and in how many evaluations."""

    worst: Verdict
    evaluations: int


@dataclass(frozen=True, slots=True)
class Episode:
    """Alarms of one kind in consecutive evaluations, from the first to the last, what fired worst first."""

    kind: Kind
    start: datetime
    end: datetime
    evaluations: int
    ongoing: bool
    causes: Sequence[Cause]


@dataclass(frozen=True, slots=True)
class AlarmSummary:
    """How often one kind of alarm fired, and how often chance alone would have made it fire."""

    kind: Kind
    judged: int
    alarms: int
    reason: str
    """Why it was not judged, where it never was."""

    expected: float
    episodes: int

    @property
    def share(self) -> float:
        """Share of the judged evaluations that alarmed."""
        return self.alarms / self.judged if self.judged else 0.0


@dataclass(frozen=True, slots=True)
class SignalSummary:
    """How near one signal came to its threshold, over all evaluations that could judge it."""

    kind: Kind
    name: str
    judged: int
    alarms: int
    median: float
    highest: float


@dataclass(frozen=True, slots=True)
class MeasureSummary:
    """A measure of performance, realised or estimated, over all evaluations that have it."""

    name: str
    reference: float | None
    lowest: float
    median: float
    highest: float


@dataclass(frozen=True, slots=True)
class Failure:
    """A column that could not be judged, the last reason why, and in how many evaluations."""

    column: str
    reason: str
    evaluations: int


@dataclass(frozen=True)
class BacktestSummary:
    """All that a person is told.

    `label_coverage` is the share of a window's rows whose target came in time, in the median of the evaluations.
    """

    alarms: Sequence[AlarmSummary]
    signals: Sequence[SignalSummary]
    episodes: Sequence[Episode]
    measures: Sequence[MeasureSummary]
    label_coverage: float
    failures: Sequence[Failure]
    notes: Mapping[str, str]
    """For which rows the thresholds hold; of the rows that were not compared, the evaluation with most of them."""


def summarise(result: BacktestResult) -> BacktestSummary:
    """Sum up a replay, which may have no evaluation at all."""
    kinds = [kind for kind in ALARMS if any(verdicts_of(step.evaluation, kind) for step in result.steps)]
    found = {kind.name: episodes(result.steps, kind) for kind in kinds}
    return BacktestSummary(
        alarms=[_alarms(result, kind, len(found[kind.name])) for kind in kinds],
        signals=[signal for kind in kinds for signal in sorted(_signals(result.steps, kind), key=_urgency)],
        episodes=sorted((episode for kind in kinds for episode in found[kind.name]), key=lambda e: e.start),
        measures=_measures(result.steps),
        label_coverage=median(step.evaluation.label_coverage for step in result.steps) if result.steps else 0.0,
        failures=_failures(result.steps),
        notes=_notes(result.steps),
    )


def verdicts_of(evaluation: Evaluation, kind: Kind) -> list[Verdict]:
    """What an evaluation says about one kind of alarm: the verdicts that it sums up, or else its own."""
    parts = [part.name for part in KINDS if part.summed_up_by == kind.name] or [kind.name]
    return [verdict for name in parts for verdict in evaluation.of(name)]


def signal_name(verdict: Verdict, kind: Kind) -> str:
    """What a verdict is called in a table: what it is about, or for the model its kind."""
    return verdict.subject or kind.title.lower()


def fired(evaluation: Evaluation, kind: Kind) -> bool:
    """Whether this kind of alarm fired."""
    return any(verdict.detected for verdict in verdicts_of(evaluation, kind))


def episodes(steps: Sequence[Step], kind: Kind) -> list[Episode]:
    """The runs of consecutive evaluations with an alarm of this kind."""
    runs = groupby(steps, key=lambda step: fired(step.evaluation, kind))
    return [_episode(kind, list(run), steps[-1]) for alarmed, run in runs if alarmed]


def _episode(kind: Kind, run: Sequence[Step], last: Step) -> Episode:
    alarms = [verdict for step in run for verdict in verdicts_of(step.evaluation, kind) if verdict.detected]
    causes = [Cause(max(of_one, key=_ratio), len(of_one)) for of_one in _by_subject(alarms).values()]
    return Episode(
        kind=kind,
        start=run[0].at,
        end=run[-1].at,
        evaluations=len(run),
        ongoing=run[-1] is last,
        causes=sorted(causes, key=lambda cause: -_ratio(cause.worst)),
    )


def _ratio(verdict: Verdict) -> float:
    return verdict.threshold_ratio or 0.0


def _by_subject(found: Iterable[Verdict]) -> dict[str, list[Verdict]]:
    by_subject: dict[str, list[Verdict]] = {}
    for verdict in found:
        by_subject.setdefault(verdict.subject, []).append(verdict)
    return by_subject


def _alarms(result: BacktestResult, kind: Kind, episodes: int) -> AlarmSummary:
    found = [verdicts_of(step.evaluation, kind) for step in result.steps]
    judged = [any(verdict.detected for verdict in of_one) for of_one in map(_judged, found) if of_one]
    reason = "" if judged else next((verdict.reason for of_one in found for verdict in of_one), "")
    return AlarmSummary(kind, len(judged), sum(judged), reason, result.plan.rate * len(judged), episodes)


def _judged(verdicts: Iterable[Verdict]) -> list[Verdict]:
    return [verdict for verdict in verdicts if verdict.detected is not None]


def _signals(steps: Sequence[Step], kind: Kind) -> Iterator[SignalSummary]:
    """How near each subject came to an alarm of this kind."""
    verdicts = (verdict for step in steps for verdict in _judged(verdicts_of(step.evaluation, kind)))
    for found in _by_subject(verdicts).values():
        ratios = [_ratio(verdict) for verdict in found]
        alarms = sum(bool(verdict.detected) for verdict in found)
        yield SignalSummary(kind, signal_name(found[0], kind), len(found), alarms, median(ratios), max(ratios))


def _urgency(summary: SignalSummary) -> tuple[int, float]:
    return -summary.alarms, -summary.highest


def _notes(steps: Sequence[Step]) -> Mapping[str, str]:
    found = (step.evaluation for step in steps)
    most = max(found, key=lambda one: one.unsupported_rows + one.rows_without_time, default=None)
    if most is None:
        return {}
    return {name if name == THRESHOLDS else f"{name}, at most": words for name, words in most.notes.items()}


def _failures(steps: Sequence[Step]) -> list[Failure]:
    reasons: dict[str, list[str]] = {}
    for step in steps:
        for column, reason in step.evaluation.errors.items():
            reasons.setdefault(column, []).append(reason)
    return [Failure(column, of_one[-1], len(of_one)) for column, of_one in reasons.items()]


def _measures(steps: Sequence[Step]) -> list[MeasureSummary]:
    values: dict[str, list[float]] = {}
    for step in steps:
        for name, value in step.evaluation.measures[ALL_ROWS].items():
            values.setdefault(name, []).append(value)
    return [
        MeasureSummary(name, reference_of(steps, name), min(found), median(found), max(found))
        for name, found in sorted(values.items())
    ]


def reference_of(steps: Sequence[Step], measure: str) -> float | None:
    """A measure on the reference, of which each window has its own hours: the median."""
    known = (step.evaluation.reference_measures[ALL_ROWS].get(measure) for step in steps)
    return median(found) if (found := [value for value in known if value is not None]) else None
