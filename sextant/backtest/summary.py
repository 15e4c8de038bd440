"""What the evaluations of a backtest come to: alarms, the episodes that they make, and what drove them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from statistics import median

from sextant.backtest.replay import BacktestResult, Step
from sextant.evaluation.drift.column import ColumnDrift
from sextant.evaluation.evaluate import Evaluation

DATASET_DRIFT = "dataset drift"
CONCEPT_DRIFT = "concept drift"
KINDS = (DATASET_DRIFT, CONCEPT_DRIFT)
ERROR = "error against the reference"


@dataclass(frozen=True, slots=True)
class Signal:
    """One score against its threshold in one evaluation; `share` is the score in multiples of the threshold."""

    name: str
    score: float
    threshold: float
    share: float
    fired: bool


@dataclass(frozen=True, slots=True)
class Cause:
    """A signal that fired in an episode: its worst evaluation, and in how many it did."""

    worst: Signal
    evaluations: int


@dataclass(frozen=True, slots=True)
class Episode:
    """Alarms of one kind in consecutive evaluations, from the first to the last, what fired worst first."""

    kind: str
    start: datetime
    end: datetime
    evaluations: int
    ongoing: bool
    causes: Sequence[Cause]


@dataclass(frozen=True, slots=True)
class AlarmSummary:
    """How often one kind of alarm fired, and how often chance alone would have made it fire."""

    kind: str
    judged: int
    alarms: int
    expected: float
    episodes: int

    @property
    def share(self) -> float:
        """Share of the judged evaluations that alarmed."""
        return self.alarms / self.judged if self.judged else 0.0


@dataclass(frozen=True, slots=True)
class SignalSummary:
    """How near one signal came to its threshold, over all evaluations that could judge it."""

    kind: str
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


def summarise(result: BacktestResult) -> BacktestSummary:
    """Sum up a replay, which may have no evaluation at all."""
    found = {kind: episodes(result.steps, kind) for kind in KINDS}
    return BacktestSummary(
        alarms=[_alarms(result, kind, len(found[kind])) for kind in KINDS],
        signals=_signal_summaries(result.steps),
        episodes=sorted((episode for kind in KINDS for episode in found[kind]), key=lambda e: e.start),
        measures=_measures(result.steps),
        label_coverage=median(step.evaluation.label_coverage for step in result.steps) if result.steps else 0.0,
        failures=_failures(result.steps),
    )


def signals(evaluation: Evaluation, kind: str) -> list[Signal]:
    """What an evaluation says about one kind of alarm; nothing where it cannot judge."""
    if kind == DATASET_DRIFT:
        return [_column_signal(column) for column in evaluation.judged]
    concept = evaluation.performance_degradation
    if concept is None or concept.threshold is None:
        return []
    share = concept.ratio / concept.threshold if concept.threshold else 0.0
    return [Signal(ERROR, concept.ratio, concept.threshold, share, bool(concept.drifted))]


def _column_signal(column: ColumnDrift) -> Signal:
    threshold = float("nan") if column.threshold is None else column.threshold
    return Signal(column.column, column.score, threshold, column.share_of_threshold or 0.0, bool(column.drifted))


def fired(evaluation: Evaluation, kind: str) -> bool:
    """Whether this kind of alarm fired."""
    return any(signal.fired for signal in signals(evaluation, kind))


def episodes(steps: Sequence[Step], kind: str) -> list[Episode]:
    """The runs of consecutive evaluations with an alarm of this kind."""
    runs = groupby(steps, key=lambda step: fired(step.evaluation, kind))
    return [_episode(kind, list(run), steps[-1]) for alarmed, run in runs if alarmed]


def _episode(kind: str, run: Sequence[Step], last: Step) -> Episode:
    alarms = [signal for step in run for signal in signals(step.evaluation, kind) if signal.fired]
    causes = [Cause(_worst(of_one), len(of_one)) for of_one in _by_name(alarms).values()]
    return Episode(
        kind=kind,
        start=run[0].at,
        end=run[-1].at,
        evaluations=len(run),
        ongoing=run[-1] is last,
        causes=sorted(causes, key=lambda cause: -cause.worst.share),
    )


def _worst(of_one: Iterable[Signal]) -> Signal:
    return max(of_one, key=lambda signal: signal.share)


def _by_name(found: Iterable[Signal]) -> dict[str, list[Signal]]:
    by_name: dict[str, list[Signal]] = {}
    for signal in found:
        by_name.setdefault(signal.name, []).append(signal)
    return by_name


def _alarms(result: BacktestResult, kind: str, episodes: int) -> AlarmSummary:
    verdicts = [found for step in result.steps if (found := signals(step.evaluation, kind))]
    alarms = sum(any(signal.fired for signal in found) for found in verdicts)
    return AlarmSummary(kind, len(verdicts), alarms, result.plan.rate * len(verdicts), episodes)


def _signal_summaries(steps: Sequence[Step]) -> list[SignalSummary]:
    """The signals of each kind, those that alarmed most and came nearest to it first."""
    return [summary for kind in KINDS for summary in sorted(_of_kind(steps, kind), key=_urgency)]


def _of_kind(steps: Sequence[Step], kind: str) -> Iterator[SignalSummary]:
    for name, found in _by_name(signal for step in steps for signal in signals(step.evaluation, kind)).items():
        shares = [signal.share for signal in found]
        alarms = sum(signal.fired for signal in found)
        yield SignalSummary(kind, name, len(found), alarms, median(shares), max(shares))


def _urgency(summary: SignalSummary) -> tuple[int, float]:
    return -summary.alarms, -summary.highest


def performance(evaluation: Evaluation) -> dict[str, float]:
    """Measures by name: the realised ones where there were targets, and the estimated ones."""
    return {**evaluation.performance.measures, **evaluation.estimated}


def reference_performance(evaluation: Evaluation) -> dict[str, float]:
    """The same on the reference."""
    return {**evaluation.reference_performance.measures, **evaluation.reference_estimated}


def _failures(steps: Sequence[Step]) -> list[Failure]:
    reasons: dict[str, list[str]] = {}
    for step in steps:
        for column, reason in step.evaluation.errors.items():
            reasons.setdefault(column, []).append(reason)
    return [Failure(column, of_one[-1], len(of_one)) for column, of_one in reasons.items()]


def _measures(steps: Sequence[Step]) -> list[MeasureSummary]:
    values: dict[str, list[float]] = {}
    for step in steps:
        for name, value in performance(step.evaluation).items():
            values.setdefault(name, []).append(value)
    reference = reference_performance(steps[-1].evaluation) if steps else {}
    return [
        MeasureSummary(name, reference.get(name), min(found), median(found), max(found))
        for name, found in sorted(values.items())
    ]
