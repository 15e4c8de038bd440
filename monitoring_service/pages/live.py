"""What the live page shows of each model, in words and numbers ready for its template."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from monitoring_service.model_monitor import ModelMonitor, MultivariateOutcome, Outcome
from monitoring_service.pages.badges import Badge, growth_badge, model_badges, segment_badge
from monitoring_service.views import waiting_reason
from sextant.contracts.schema import Task
from sextant.evaluation.by_segment import SegmentEvaluation
from sextant.evaluation.evaluate import Evaluation
from sextant.evaluation.performance.error_growth import ErrorGrowth
from sextant.evaluation.performance.estimation import ESTIMATED
from sextant.evaluation.performance.measures import HEADLINE
from sextant.evaluation.quality import ColumnQuality
from sextant.pages.charts import Chart, Points, Sparkline, line_chart, sparkline
from sextant.pages.words import age, duration, number, pace

TITLES: dict[Task, str] = {"regression": "Mean absolute error", "classification": "Accuracy"}


@dataclass(frozen=True, slots=True)
class FeatureRow:
    """One column of the model: its score against its threshold, now and before."""

    name: str
    method: str
    score: str
    threshold: str
    drifted: bool | None
    quality: str
    bad_quality: bool
    line: Sparkline | None


@dataclass(frozen=True, slots=True)
class MeasureRow:
    """One performance measure, now and on the reference."""

    name: str
    now: str
    reference: str


@dataclass(frozen=True, slots=True)
class SegmentRow:
    """One segment: how many rows, the headline measure, and what drifted in it."""

    name: str
    rows: str
    now: str
    estimated: str
    reference: str
    fairness: Badge
    drift: Badge


@dataclass(frozen=True)
class Performance:
    """How well the model does: its headline measure over time, and all measures now."""

    headline: str
    chart: Chart | None
    verdicts: Sequence[tuple[str, Badge]]
    measures: Sequence[MeasureRow]


@dataclass(frozen=True)
class ModelCard:
    """One model on the page; before its first evaluation it has no more than facts."""

    name: str
    version: str
    badges: Sequence[Badge]
    facts: Sequence[tuple[str, str]]
    has_rows: bool
    features: Sequence[FeatureRow] = ()
    together: str = ""
    performance: Performance | None = None
    segments: Sequence[SegmentRow] = ()
    errors: Sequence[tuple[str, str]] = ()


def card(monitor: ModelMonitor, min_rows: int, now: datetime) -> ModelCard:
    """The card of a model, also when there is nothing to show yet."""
    latest, snapshot = monitor.latest, monitor.snapshot()
    rows = len(snapshot.rows.predictions)
    facts = [("Window", f"{rows:,} rows")]
    if snapshot.rows.start:
        facts.append(("Oldest row", age(now, snapshot.rows.start)))
    if snapshot.rows.other_versions:
        facts.append(("Other versions", f"{snapshot.rows.other_versions:,} rows"))
    version = snapshot.subject.manifest.version
    if latest is None:
        facts.append(("Evaluation", waiting_reason(monitor, min_rows)))
        return ModelCard(monitor.name, version, [Badge("no evaluation yet", "quiet")], facts, rows > 0)
    evaluation, together, history = latest.evaluation, monitor.multivariate, monitor.history
    task = snapshot.subject.manifest.task
    return ModelCard(
        name=monitor.name,
        version=version,
        badges=model_badges(evaluation, together),
        facts=[*facts, *_facts(latest, now)],
        has_rows=rows > 0,
        features=_features(latest, history),
        together=_together(together, now),
        performance=_performance(evaluation, history, task),
        segments=[_segment(name, found, task) for name, found in evaluation.segments.items()],
        errors=sorted(
            {
                **latest.subject.unknowable,
                **evaluation.performance.errors,
                **evaluation.errors,
            }.items()
        ),
    )


def _facts(latest: Outcome, now: datetime) -> list[tuple[str, str]]:
    evaluation, window = latest.evaluation, latest.window
    facts = [
        ("Last evaluation", age(now, latest.evaluated_at)),
        ("Labelled", f"{evaluation.label_coverage:.0%} ({evaluation.labelled_rows:,} rows)"),
    ]
    if window.label_delay is not None:
        facts.append(("Label delay", duration(window.label_delay)))
    if window.rows_per_second is not None:
        facts.append(("Pace", pace(window.rows_per_second)))
    if window.duplicate_ratio:
        facts.append(("Repeated rows", f"{window.duplicate_ratio:.1%}"))
    return facts


def _features(latest: Outcome, history: Sequence[Outcome]) -> list[FeatureRow]:
    bad = {verdict.feature for verdict in latest.evaluation.data_quality if verdict.detected}
    return [
        FeatureRow(
            name=column.column,
            method=column.method,
            score=number(column.score),
            threshold="not yet" if column.threshold is None else number(column.threshold),
            drifted=column.drifted,
            quality=_quality(latest.evaluation.quality.get(column.column)),
            bad_quality=column.column in bad,
            line=sparkline(_shares(column.column, history)),
        )
        for column in latest.evaluation.drift.values()
    ]


def _shares(name: str, history: Sequence[Outcome]) -> list[float]:
    columns = (outcome.evaluation.drift.get(name) for outcome in history)
    shares = (column.share_of_threshold for column in columns if column)
    return [share for share in shares if share is not None]


def _quality(quality: ColumnQuality | None) -> str:
    if quality is None:
        return ""
    shares = {
        "missing": quality.missing_ratio,
        "out of range": quality.out_of_range_ratio,
        "unseen": quality.unseen_category_ratio,
    }
    return ", ".join(f"{share:.1%} {name}" for name, share in shares.items() if share)


def _together(outcome: MultivariateOutcome | None, now: datetime) -> str:
    if outcome is None:
        return ""
    drift = outcome.drift
    limit = "not calibrated yet" if drift.threshold is None else f"of {drift.threshold:.3f}"
    return f"{drift.score:.3f} {limit}, {age(now, outcome.evaluated_at)}"


def _performance(evaluation: Evaluation, history: Sequence[Outcome], task: Task) -> Performance | None:
    now = {**evaluation.performance.measures, **evaluation.estimated}
    then = {**evaluation.reference_performance.measures, **evaluation.reference_estimated}
    if not now:
        return None
    return Performance(
        headline=TITLES[task],
        chart=_course(history, HEADLINE[task], then.get(HEADLINE[task])),
        verdicts=[(name, growth_badge(found)) for name, found in _growths(evaluation).items() if found],
        measures=[
            MeasureRow(name.replace("_", " "), number(value), number(then.get(name)))
            for name, value in now.items()
        ],
    )


def _growths(evaluation: Evaluation) -> dict[str, ErrorGrowth | None]:
    return {
        "Error against reference": evaluation.performance_degradation,
        "Unexplained by the features": evaluation.concept_drift,
        "Estimated against reference": evaluation.estimated_degradation,
    }


def _course(history: Sequence[Outcome], measure: str, reference: float | None) -> Chart | None:
    """The measure over time, realised and estimated."""
    if not reference:
        return None
    realised = [(o.evaluated_at, o.evaluation.performance.measures.get(measure)) for o in history]
    estimated = [(o.evaluated_at, o.evaluation.estimated.get(ESTIMATED + measure)) for o in history]
    lines = {"realised": _known(realised), "estimated": _known(estimated)}
    over = (history[0].evaluated_at, history[-1].evaluated_at)
    return line_chart({name: points for name, points in lines.items() if points}, level=reference, over=over)


def _known(points: Sequence[tuple[datetime, float | None]]) -> Points:
    return [(at, value) for at, value in points if value is not None]


def _segment(name: str, found: SegmentEvaluation, task: Task) -> SegmentRow:
    measure = HEADLINE[task]
    return SegmentRow(
        name=name,
        rows=f"{found.rows:,}",
        now=number(found.performance.measures.get(measure)),
        estimated=number(found.estimated.get(ESTIMATED + measure)),
        reference=number(found.reference_performance.measures.get(measure)),
        fairness=growth_badge(found.fairness_gap),
        drift=segment_badge(found),
    )
